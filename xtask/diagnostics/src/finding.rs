//! Findings: what a user should know about requirements, each at its place.
//!
//! The ids are stable and explained in docs/troubleshooting.md.

use std::sync::Arc;

use serde::Serialize;

use super::excerpt::harmless;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As the user named it, or relative to the file that refers to it.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Place {
    /// The start of `line` of `file`.
    pub fn line(file: &str, line: usize) -> Self {
        Place {
            file: file.into(),
            line,
            column: 1,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing needs to be done.
    Remark,
    /// Was dealt with in a way the user may not have meant.
    Warning,
    /// An image or an agent would not work.
    Error,
}

/// One thing to know, and how to put it right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// Stable; docs/troubleshooting.md explains it.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// A lower-case fragment without a final period.
    pub message: String,
    /// As the user named it, or relative to what was read.
    pub file: String,
    /// From 1; 1 where a whole file is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What to do; left out where nothing needs to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    /// A finding that needs no remedy.
    pub fn new(
        id: &'static str,
        severity: Severity,
        at: &Place,
        message: impl Into<String>,
    ) -> Self {
        Finding {
            id,
            severity,
            // Names of files come from files, too.
            message: harmless(&message.into(), MESSAGE_MAX),
            file: at.file.to_string(),
            line: at.line,
            column: at.column,
            hint: None,
        }
    }

    /// The same with a remedy.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Longest message, in characters.
const MESSAGE_MAX: usize = 1000;
