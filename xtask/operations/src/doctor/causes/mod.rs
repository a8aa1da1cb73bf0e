//! Causes: what may be behind an agent's trouble, by the evidence that speaks
//! for it. Pure, one function per cause; each looks at everything and decides
//! for itself.
//!
//! Ids are stable and stand in docs/troubleshooting.md. Weights only order the
//! causes of one agent: what is proven and close to the root comes before what is
//! likely, and that before what is a symptom or merely untidy.

mod cause;
mod contract;
mod deployment;
mod ended;
mod running;
mod words;

pub use cause::Cause;
use cause::Rule;

use super::evidence::{AgentEvidence, Evidence};

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
