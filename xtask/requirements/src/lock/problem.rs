//! What can be wrong with locks, in words.

use std::fmt;

use diagnostics::finding::{Finding, Place, Severity};

/// Something wrong with a lock, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockProblem {
    pub at: Place,
    pub wrong: Wrong,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// There is no such lock.
    Missing,
    /// The text is no lock; why.
    Malformed(String),
    /// It does not say what it was made from.
    Unrecorded,
    /// It was made from other lists, limits or build tools than there are.
    Stale,
    /// It is not as it was made.
    Edited,
    /// The joint lock was made with another one.
    NotTogether,
    /// A package is in it twice.
    Twice { name: String },
    /// A package could be anything of its version.
    NoHash { name: String },
    /// The joint lock has another version, or none.
    Differs {
        name: String,
        release: String,
        joint: Option<String>,
    },
    /// A line of a list that the list's lock does not meet.
    Unmet {
        requirement: String,
        lock: String,
        /// What the lock has instead.
        release: Option<String>,
    },
    /// A limit that a lock does not keep.
    OverLimit {
        limit: String,
        lock: String,
        release: String,
    },
}

impl Wrong {
    /// Stable; explained in docs/troubleshooting.md.
    pub fn id(&self) -> &'static str {
        match self {
            Wrong::Missing => "lock-missing",
            Wrong::Malformed(_) => "lock-malformed",
            Wrong::Unrecorded | Wrong::Stale => "lock-stale",
            Wrong::Edited | Wrong::Twice { .. } => "lock-edited",
            Wrong::NotTogether | Wrong::Differs { .. } => "locks-disagree",
            Wrong::NoHash { .. } => "lock-without-hash",
            Wrong::Unmet { .. } | Wrong::OverLimit { .. } => "requirement-unlocked",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Wrong::Malformed(_) => {
                "restore it from the repository, or `cargo xtask split-requirements --upgrade`"
            }
            _ => "`cargo xtask split-requirements` makes it again and keeps the versions",
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Missing => out.write_str("the lock does not exist"),
            Wrong::Malformed(why) => out.write_str(why),
            Wrong::Unrecorded => out.write_str("the lock does not say what it was made from"),
            Wrong::Stale => {
                out.write_str("lists, limits or build tools have changed since the locks were made")
            }
            Wrong::Edited => out.write_str("the lock is not as it was made"),
            Wrong::NotTogether => {
                out.write_str("the lock was not made together with requirements.all.lock")
            }
            Wrong::Twice { name } => write!(out, "`{name}` is in the lock twice"),
            Wrong::NoHash { name } => write!(out, "`{name}` has no hash"),
            Wrong::Differs {
                name,
                release,
                joint: Some(joint),
            } => write!(
                out,
                "`{name}{release}` is `{name}{joint}` in requirements.all.lock"
            ),
            Wrong::Differs { name, release, .. } => {
                write!(out, "`{name}{release}` is not in requirements.all.lock")
            }
            Wrong::Unmet {
                requirement,
                lock,
                release: Some(release),
            } => write!(out, "`{requirement}` is not met: {lock} has {release}"),
            Wrong::Unmet {
                requirement, lock, ..
            } => write!(out, "`{requirement}` is not in {lock}"),
            Wrong::OverLimit {
                limit,
                lock,
                release,
            } => write!(out, "the limit `{limit}` is not kept: {lock} has {release}"),
        }
    }
}

impl LockProblem {
    /// With its remedy, for people and machines.
    pub fn finding(&self) -> Finding {
        Finding::new(
            self.wrong.id(),
            Severity::Error,
            &self.at,
            self.wrong.to_string(),
        )
        .hint(self.wrong.hint())
    }
}

impl fmt::Display for LockProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.at, self.wrong)
    }
}
