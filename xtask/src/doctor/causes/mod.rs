//! Causes: what may be behind an agent's trouble, by the evidence that speaks
//! for it. Pure, one function per cause; each looks at everything and decides
//! for itself.
//!
//! Ids are stable and stand in docs/troubleshooting.md. Weights only order the
//! causes of one agent: what is proven and close to the root comes before what is
//! likely, and that before what is a symptom or merely untidy.

mod contract;
mod deployment;
mod ended;
mod running;
mod words;

use serde::Serialize;

use super::evidence::{AgentEvidence, Evidence};

/// One cause, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    pub id: &'static str,
    /// A fragment that fits behind "most likely:".
    pub title: String,
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
    fn new(
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

    fn and(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    fn behind(mut self, agents: impl IntoIterator<Item = String>) -> Self {
        self.behind.extend(agents);
        self
    }
}

type Rule = fn(&AgentEvidence, &Evidence) -> Option<Cause>;

const RULES: [&[Rule]; 4] = [
    deployment::RULES,
    words::RULES,
    ended::RULES,
    running::RULES,
];

/// The causes of one agent's trouble, the likeliest first; none if all is well.
pub fn of(agent: &AgentEvidence, evidence: &Evidence) -> Vec<Cause> {
    let rules = RULES.into_iter().flatten();
    let mut causes: Vec<Cause> = rules.filter_map(|rule| rule(agent, evidence)).collect();
    if causes.is_empty() && !agent.healthy() {
        causes.push(unclear(agent));
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.weight));
    causes
}

fn unclear(agent: &AgentEvidence) -> Cause {
    Cause::new(
        "unclear",
        1,
        "nothing that was looked at explains it",
        agent.exchange.reason.clone(),
        format!("cargo xtask logs {} --follow", agent.wanted.name),
    )
}

/// The command that makes a change of the manifest or the code true.
fn deploy(agent: &AgentEvidence) -> String {
    format!("cargo xtask deploy {}", agent.wanted.name)
}
