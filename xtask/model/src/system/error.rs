//! Why there is no `System`.

use std::{fmt, io, path::PathBuf};

use diagnostics::located::problem::{Invalid, ProblemRow, render_placeless};

/// Why there is no `System`.
#[derive(Debug)]
pub enum ManifestError {
    /// The file could not be read.
    Read { path: PathBuf, error: io::Error },
    /// Everything that is wrong with it.
    Invalid(Invalid),
}

impl ManifestError {
    /// For people: every problem with its source line, the place as
    /// `file:line:col`, and the remedy; ends with a newline.
    pub fn render(&self, color: bool) -> String {
        match self {
            ManifestError::Invalid(invalid) => invalid.render(color),
            ManifestError::Read { error, .. } => {
                render_placeless(&self.to_string(), &error.to_string(), READ_HELP, color)
            }
        }
    }

    /// For machines.
    pub fn problems(&self) -> Vec<ProblemRow> {
        match self {
            ManifestError::Invalid(invalid) => invalid.rows(),
            ManifestError::Read { path, error } => vec![ProblemRow {
                file: path.to_string_lossy().into_owned(),
                line: None,
                column: None,
                message: format!("{self}: {error}"),
                help: READ_HELP.to_owned(),
            }],
        }
    }
}

const READ_HELP: &str = "name the file with `--manifest PATH` or run inside the repository";

impl fmt::Display for ManifestError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ManifestError::Read { path, .. } => {
                write!(out, "cannot read the manifest `{}`", path.display())
            }
            ManifestError::Invalid(invalid) => {
                let (path, count) = (invalid.path().display(), invalid.count());
                write!(out, "manifest `{path}` has {count}")
            }
        }
    }
}

impl std::error::Error for ManifestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ManifestError::Read { error, .. } => Some(error),
            ManifestError::Invalid(_) => None,
        }
    }
}
