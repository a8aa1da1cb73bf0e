//! What a requirement or a marker cannot be.

/// Why a text is not a requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The byte where it goes wrong.
    pub offset: usize,
    /// A lower-case fragment.
    pub message: String,
}

impl Wrong {
    pub fn new(offset: usize, message: impl Into<String>) -> Self {
        Wrong {
            offset,
            message: message.into(),
        }
    }
}
