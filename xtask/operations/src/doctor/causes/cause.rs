//! A cause, and the rule that finds it.

use serde::Serialize;

use crate::doctor::evidence::{AgentEvidence, Evidence};

/// One cause, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cause {
    /// Stable; docs/troubleshooting.md explains it.
    pub id: &'static str,
    /// A fragment that fits behind "most likely:".
    pub title: String,
    /// What speaks for it.
    pub evidence: Vec<String>,
    /// What to do, with the command where there is one.
    pub next: String,
    #[serde(skip)]
    pub weight: u8,
    /// Agents whose trouble this may be in truth.
    #[serde(skip)]
    pub behind: Vec<String>,
}

impl Cause {
    pub fn new(
        id: &'static str,
        weight: u8,
        title: impl Into<String>,
        evidence: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Cause {
            id,
            title: title.into(),
            evidence: vec![evidence.into()],
            next: next.into(),
            weight,
            behind: Vec::new(),
        }
    }

    pub fn and(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    pub fn behind(mut self, agents: impl IntoIterator<Item = String>) -> Self {
        self.behind.extend(agents);
        self
    }
}

pub type Rule = fn(&AgentEvidence, &Evidence) -> Option<Cause>;

/// The command that makes a change of the manifest or the code true.
pub fn deploy(agent: &AgentEvidence) -> String {
    format!("cargo xtask deploy {}", agent.wanted.name)
}
