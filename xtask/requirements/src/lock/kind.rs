//! Kinds of requirements that cannot be met.

/// Why a package cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnmetKind {
    /// The index has the package, but none of these versions.
    NoSuchVersion,
    /// The index does not have it.
    NoSuchPackage,
    /// There are files for other interpreters or systems only.
    NotForPlatform,
    /// Its source cannot tell what it needs.
    BuildFailed {
        /// The Python module that its build script misses.
        misses: Option<String>,
    },
    /// It does not go together with others.
    Conflict,
}
