//! Findings: what a user should know about requirements, each at its place.
//!
//! The ids are stable and explained in docs/troubleshooting.md.

use std::sync::Arc;

use serde::Serialize;

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
pub struct Finding {
    pub id: &'static str,
    pub severity: Severity,
    /// A lower-case fragment without a final period.
    pub message: String,
    pub file: String,
    /// From 1; 1 where a whole file is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
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

/// Longest quotation of a file in a message, in characters.
const EXCERPT_MAX: usize = 72;

/// A line of a file as messages quote it: short, and harmless to a terminal.
pub fn excerpt(text: &str) -> String {
    harmless(text, EXCERPT_MAX)
}

/// At most `limit` characters of `text`, none of which moves a cursor.
pub fn harmless(text: &str, limit: usize) -> String {
    let mut out = String::new();
    for (count, letter) in text.trim().chars().enumerate() {
        if count == limit {
            out.push('…');
            break;
        }
        if letter.is_control()
            || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_harmless() {
        assert_eq!(excerpt("  a\u{1b}[31m\0b "), "a\\u{1b}[31m\\u{0}b");
        assert_eq!(excerpt(&"x".repeat(200)).chars().count(), EXCERPT_MAX + 1);
        assert_eq!(excerpt("a\u{202e}b"), "a\\u{202e}b");
    }
}
