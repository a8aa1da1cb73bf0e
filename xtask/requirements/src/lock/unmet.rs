//! A requirement that cannot be met, and why.

use std::fmt;

use super::request::Constraint;
use crate::lock::kind::UnmetKind;

/// Something that cannot be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    pub kind: UnmetKind,
    /// The package that uv names; for a conflict, that of the first culprit.
    pub name: String,
    /// Leaving out any one of them helps; of a package that cannot be had, all
    /// that ask for it. Empty if nobody could be blamed.
    pub culprits: Vec<Constraint>,
    /// What else is part of a conflict.
    pub against: Vec<Constraint>,
    /// uv's explanation, trimmed.
    pub said: Vec<String>,
}

impl Unmet {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            UnmetKind::BuildFailed { misses: Some(module) } if module == "pkg_resources" => Some(
                "its build script is older than setuptools 81: `[build.setuptools]` with `specifier = \"<81\"` in \
                requirements/rules.toml helps"
                    .into(),
            ),
            UnmetKind::BuildFailed { misses: Some(module) } => {
                Some(format!("its build script does not say that it needs `{module}`"))
            }
            UnmetKind::BuildFailed { misses: None } => {
                Some("choose a version that has a wheel, or install what its build script asks for".into())
            }
            UnmetKind::NoSuchVersion => Some("choose a version that the index has".into()),
            UnmetKind::NoSuchPackage => Some("correct the name, or leave it out".into()),
            UnmetKind::NotForPlatform => Some("give it a marker such as `; sys_platform == \"win32\"`, or leave it out".into()),
            UnmetKind::Conflict => None,
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.culprits.iter().map(Constraint::to_string).collect();
        let against = self.against.iter().map(Constraint::to_string);
        let conflict: Vec<String> = all.iter().cloned().chain(against).collect();
        let what = match all.is_empty() {
            true => format!("`{}`, which something else needs,", self.name),
            false => all.join(" and "),
        };
        let verb = if all.len() > 1 { "ask" } else { "asks" };
        // Something of the lists stands behind a package that they do not name.
        let indirect = self.culprits.iter().all(|one| one.name != self.name);
        let own = |text: &str| match (indirect, all.is_empty()) {
            (true, false) => format!("{what} {verb} for `{}`, which {text}", self.name),
            _ => format!("{what} {text}"),
        };
        match &self.kind {
            UnmetKind::NoSuchVersion => {
                out.write_str(&own("is a version that the index does not have"))
            }
            UnmetKind::NoSuchPackage => {
                out.write_str(&own("is a package that the index does not have"))
            }
            UnmetKind::NotForPlatform => {
                out.write_str(&own("has no file for the images' Python and platform"))
            }
            UnmetKind::BuildFailed { .. } => {
                out.write_str(&own("is published as source that cannot be built here"))
            }
            UnmetKind::Conflict => match conflict.as_slice() {
                [] => out.write_str("the lists cannot be satisfied together"),
                [one] => write!(out, "{one} cannot be satisfied together with the rest"),
                [first, rest @ ..] => {
                    write!(
                        out,
                        "{first} cannot be satisfied together with {}",
                        rest.join(" and ")
                    )
                }
            },
        }
    }
}
