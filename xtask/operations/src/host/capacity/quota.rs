//! What is allowed of something, and what is used.

/// How much of something there may be, and is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub allows: u64,
    pub used: u64,
}
