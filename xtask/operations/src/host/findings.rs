//! A finding: one fact about this host that a user should know, with its
//! evidence and the exact fix. Ids are stable.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Info,
    /// Works, but not as well as it could.
    Warning,
    /// Will not work.
    Error,
}

#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub id: &'static str,
    pub severity: Severity,
    pub title: String,
    pub evidence: String,
    /// What to do; absent where nothing needs to be done.
    pub fix: Option<String>,
}

impl Finding {
    pub fn ok(id: &'static str, title: impl Into<String>, evidence: impl Into<String>) -> Self {
        Finding {
            id,
            severity: Severity::Ok,
            title: title.into(),
            evidence: evidence.into(),
            fix: None,
        }
    }

    pub fn new(
        id: &'static str,
        severity: Severity,
        title: impl Into<String>,
        evidence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Finding {
            id,
            severity,
            title: title.into(),
            evidence: evidence.into(),
            fix: Some(fix.into()),
        }
    }
}

pub fn worst(findings: &[Finding]) -> Severity {
    findings
        .iter()
        .map(|finding| finding.severity)
        .max()
        .unwrap_or(Severity::Ok)
}
