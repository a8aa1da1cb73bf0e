//! A finding: one fact about this host that a user should know, with its
//! evidence and the exact fix. Ids are stable.

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum HostSeverity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Info,
    /// Works, but not as well as it could.
    Warning,
    /// Will not work.
    Error,
}

/// One fact.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostFinding {
    /// Stable; docs/troubleshooting.md explains it.
    pub id: &'static str,
    /// How much it matters.
    pub severity: HostSeverity,
    /// What is so, in short.
    pub title: String,
    /// What was seen; may be empty.
    pub evidence: String,
    /// What to do; null where nothing needs to be done.
    pub fix: Option<String>,
    /// The one agent that it concerns, if it does not concern all.
    #[serde(skip)]
    pub agent: Option<String>,
}

impl HostFinding {
    pub fn ok(id: &'static str, title: impl Into<String>, evidence: impl Into<String>) -> Self {
        HostFinding {
            id,
            severity: HostSeverity::Ok,
            title: title.into(),
            evidence: evidence.into(),
            fix: None,
            agent: None,
        }
    }

    pub fn new(
        id: &'static str,
        severity: HostSeverity,
        title: impl Into<String>,
        evidence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        HostFinding {
            id,
            severity,
            title: title.into(),
            evidence: evidence.into(),
            fix: Some(fix.into()),
            agent: None,
        }
    }

    /// It concerns this agent alone.
    pub fn of(mut self, agent: &str) -> Self {
        self.agent = Some(agent.to_owned());
        self
    }
}

pub fn worst(findings: &[HostFinding]) -> HostSeverity {
    findings
        .iter()
        .map(|finding| finding.severity)
        .max()
        .unwrap_or(HostSeverity::Ok)
}
