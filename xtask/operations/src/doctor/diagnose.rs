//! From evidence to verdicts, and from many troubles to the few that are behind
//! them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    causes::{
        Cause, {self},
    },
    checks::{self, Check},
    evidence::Evidence,
};

/// Causes below this weight make a healthy agent untidy, not limited.
const UNTIDY: u8 = 50;

/// How an agent fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It says so, and nothing speaks against it.
    Healthy,
    /// It says that it is healthy, and something that it needs is missing.
    Limited,
    /// It does not say that it is healthy.
    Sick,
}

/// One agent that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diagnosed {
    /// As in the manifest.
    pub name: String,
    /// Name of its container.
    pub container: String,
    /// How it fares.
    pub verdict: Verdict,
    /// The agent whose trouble this is in truth; null if it is its own.
    pub blocked_by: Option<String>,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// The likeliest first.
    pub causes: Vec<Cause>,
}

/// An agent whose trouble is behind that of others.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Root {
    /// As in the manifest.
    pub agent: String,
    /// Whether it is among those that were asked for.
    pub asked: bool,
    /// What is wrong with it.
    pub cause: Cause,
    /// Those that it blocks, in start order.
    pub blocks: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diagnosis {
    /// Those that were asked for, in start order.
    pub agents: Vec<Diagnosed>,
    /// In start order.
    pub blocks: Vec<Root>,
}

/// What is wrong with each agent that was asked for.
pub fn diagnose(evidence: &Evidence) -> Diagnosis {
    let causes: BTreeMap<&str, Vec<Cause>> = evidence
        .agents
        .iter()
        .map(|agent| (agent.wanted.name.as_str(), causes::of(agent, evidence)))
        .collect();
    let mut roots: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut agents = Vec::new();
    for agent in evidence.agents.iter().filter(|agent| agent.wanted.asked) {
        let name = &agent.wanted.name;
        let own = &causes[name.as_str()];
        let limited = own.iter().any(|cause| cause.weight >= UNTIDY);
        let verdict = match (agent.healthy(), limited) {
            (false, _) => Verdict::Sick,
            (true, true) => Verdict::Limited,
            (true, false) => Verdict::Healthy,
        };
        let behind = |cause: &Cause| root_of(name, &cause.behind, evidence, &causes);
        let blocked_by = own.first().and_then(behind);
        // One that has a trouble of its own may be blocked all the same.
        let behind: BTreeSet<String> = own.iter().filter_map(behind).collect();
        for root in behind {
            roots.entry(root).or_default().push(name.clone());
        }
        agents.push(Diagnosed {
            name: name.clone(),
            container: agent.wanted.container.clone(),
            verdict,
            blocked_by,
            checks: checks::of(agent, evidence.now_s),
            causes: own.clone(),
        });
    }
    let root = |agent: &super::evidence::AgentEvidence| {
        let name = &agent.wanted.name;
        let blocks = roots.get(name)?.clone();
        Some(Root {
            agent: name.clone(),
            asked: agent.wanted.asked,
            cause: causes[name.as_str()].first()?.clone(),
            blocks,
        })
    };
    Diagnosis {
        agents,
        blocks: evidence.agents.iter().filter_map(root).collect(),
    }
}

/// The agent at the end of the chain of those that are behind each other's
/// likeliest causes, from those that are behind one of `name`; `None` if none of
/// them is in trouble.
fn root_of(
    name: &str,
    behind: &[String],
    evidence: &Evidence,
    causes: &BTreeMap<&str, Vec<Cause>>,
) -> Option<String> {
    let mut seen = BTreeSet::from([name]);
    let mut behind = behind;
    let mut root = None;
    loop {
        // In start order, the first of several is nearest to the root.
        let next = evidence
            .agents
            .iter()
            .map(|agent| agent.wanted.name.as_str())
            .find(|other| {
                behind.iter().any(|name| name == other)
                    && !seen.contains(other)
                    && causes.get(other).is_some_and(|causes| in_trouble(causes))
            });
        let Some(next) = next else {
            return root.map(str::to_owned);
        };
        seen.insert(next);
        root = Some(next);
        behind = causes
            .get(next)
            .and_then(|causes| causes.first())
            .map_or(&[][..], |cause| cause.behind.as_slice());
    }
}

fn in_trouble(causes: &[Cause]) -> bool {
    causes.iter().any(|cause| cause.weight >= UNTIDY)
}
