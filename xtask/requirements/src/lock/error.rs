//! Why there are no new locks, in words.

use std::{fmt, io, path::PathBuf};

use diagnostics::{Exit, Failure};

use super::super::lock_file::Malformed;
use crate::lock::unmet::Unmet;

/// Why there are no new locks. Whatever it is, the old ones are untouched.
#[derive(Debug)]
pub enum LockError {
    Interrupted,
    Io {
        path: PathBuf,
        error: io::Error,
    },
    /// A lock that should be kept to cannot be read.
    Malformed {
        file: String,
        wrong: Malformed,
    },
    /// The index gave no answer; what uv says about it.
    NoIndex {
        said: Vec<String>,
    },
    /// There is no Python on the host, which uv asks for its tags and needs to
    /// build metadata.
    NoPython {
        python: String,
    },
    TimedOut {
        seconds: u64,
    },
    /// These cannot be met. `rest_resolves`: without them everything can.
    Unmet {
        unmet: Vec<Unmet>,
        rest_resolves: bool,
    },
    /// uv says something else.
    Uv {
        what: String,
        said: Vec<String>,
    },
}

impl LockError {
    /// As the failure of a command.
    pub fn into_failure(self, exit: Exit) -> Failure {
        let message = self.to_string();
        let failure = Failure::new(exit, message);
        match self {
            LockError::Interrupted => Failure::interrupted("the locks are as they were"),
            LockError::Io { .. } => failure.hint("make room, or give yourself the right to write there"),
            LockError::Malformed { .. } => failure.hint(
                "finish the merge or restore the file from the repository; with `--upgrade` it is \
                not looked at",
            ),
            LockError::NoIndex { said } => failure.detail(said).hint(
                "uv asks the index that pip asks (PIP_INDEX_URL, pip.conf); the locks are as they were",
            ),
            LockError::NoPython { python } => failure.hint(format!(
                "install Python {python} with the package manager of this host, or any other Python 3"
            )),
            LockError::TimedOut { .. } => {
                failure.hint("try again: what was fetched is kept; the locks are as they were")
            }
            LockError::Unmet {
                unmet,
                rest_resolves,
            } => {
                let hint = match rest_resolves {
                    true => "without them, everything can be locked",
                    false => "there may be more; these come first",
                };
                let lines = unmet.iter().flat_map(|one| {
                    let hint = one.hint().map(|hint| format!("  hint: {hint}"));
                    std::iter::once(one.to_string())
                        .chain(one.said.iter().map(|line| format!("  {line}")))
                        .chain(hint)
                        .collect::<Vec<_>>()
                });
                failure.detail(lines).hint(hint)
            }
            LockError::Uv { said, .. } => failure
                .detail(said)
                .hint("the locks are as they were"),
        }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Interrupted => out.write_str("interrupted"),
            LockError::Io { path, error } => write!(out, "cannot use {}: {error}", path.display()),
            LockError::Malformed { file, wrong } => {
                write!(out, "{file}:{}: {}", wrong.line, wrong.message)
            }
            LockError::NoIndex { .. } => out.write_str("the package index cannot be reached"),
            LockError::NoPython { python } => {
                write!(
                    out,
                    "uv finds no Python on this host; the locks are for Python {python}"
                )
            }
            LockError::TimedOut { seconds } => {
                write!(out, "uv did not finish within {seconds} s")
            }
            LockError::Unmet { unmet, .. } => {
                let count = unmet.len();
                let noun = if count == 1 {
                    "requirement"
                } else {
                    "requirements"
                };
                write!(out, "{count} {noun} cannot be satisfied")
            }
            LockError::Uv { what, .. } => write!(out, "uv could not {what}"),
        }
    }
}

impl std::error::Error for LockError {}
