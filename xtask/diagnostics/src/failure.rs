//! Failures that a user can do something about, and the exit codes they get.
//!
//! Anything that is not a `Failure` is a defect of this tool and exits with 1.

use std::fmt;

/// Exit codes; stable, documented in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// A defect of this tool, or a failure without a code of its own.
    Other = 1,
    /// Wrong arguments; the code that clap uses.
    Usage = 2,
    /// The manifest is missing or has problems.
    Manifest = 3,
    /// podman is missing, too old, unusable, or answered nonsense.
    Engine = 4,
    /// An image could not be built.
    Build = 5,
    /// An agent did not become or stay healthy.
    Gate = 6,
    /// `health-check` or `up` found an agent that is not healthy.
    Unhealthy = 7,
    /// A test failed.
    Tests = 8,
    /// `check-toolchain` found an error.
    Findings = 9,
    /// Another run holds the lock of this system.
    Locked = 10,
    /// A container, network or image of the same name is not ours, or differs
    /// in a way that needs a decision.
    Conflict = 11,
    /// Ctrl-C, SIGTERM or SIGHUP.
    Interrupted = 130,
}

/// A failure with its remedy.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// A lower-case fragment without a final period.
    pub message: String,
    /// Evidence, already formatted, one line each.
    pub detail: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure {
            exit,
            message: message.into(),
            detail: Vec::new(),
            hint: None,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn detail(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.detail.extend(lines);
        self
    }

    pub fn interrupted(what_is_left: impl Into<String>) -> Self {
        Failure::new(Exit::Interrupted, "interrupted").hint(what_is_left)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
