//! Which agents a command is about.

use std::collections::BTreeSet;

use diagnostics::{Exit, Failure, names::nearest_or_all};
use model::{
    plan::{State, orphans},
    system::{Agent, System},
};

/// The agents whose containers run.
pub fn running<'s>(system: &'s System, state: &State) -> Vec<&'s Agent> {
    let runs = |agent: &&Agent| {
        let found = state.containers.get(&agent.container);
        found.is_some_and(|found| found.running() && found.belongs_to(&system.name))
    };
    system.agents.iter().filter(runs).collect()
}

/// The agents that names of agents and groups stand for; without names, all
/// that are not optional. Dependencies are added unless `alone`.
pub fn select(system: &System, names: &[String], alone: bool) -> Result<BTreeSet<String>, Failure> {
    if names.is_empty() {
        let wanted = system.agents.iter().filter(|agent| !agent.optional);
        return Ok(wanted.map(|agent| agent.name.clone()).collect());
    }
    let mut chosen = BTreeSet::new();
    for name in names {
        if let Some(agent) = find_agent(system, name) {
            chosen.insert(agent.name.clone());
        } else if system.groups.iter().any(|group| group.name == *name) {
            let members = system.members(name).filter(|agent| !agent.optional);
            chosen.extend(members.map(|agent| agent.name.clone()));
        } else {
            let groups = system.groups.iter().map(|group| group.name.as_str());
            let known = system
                .agents
                .iter()
                .map(|agent| agent.name.as_str())
                .chain(groups);
            return Err(
                Failure::new(Exit::Usage, format!("unknown agent or group `{name}`"))
                    .hint(nearest_or_all(name, known)),
            );
        }
    }
    // Agents stand behind what they depend on, so one pass backwards is enough.
    if !alone {
        for agent in system.agents.iter().rev() {
            if chosen.contains(&agent.name) {
                chosen.extend(agent.depends_on.iter().cloned());
            }
        }
    }
    Ok(chosen)
}

/// What these names stand for that can be removed: agents and groups of the
/// manifest, and agents and containers of the system that it no longer has.
pub fn select_removable(
    system: &System,
    state: &State,
    names: &[String],
) -> Result<BTreeSet<String>, Failure> {
    let orphans = orphans(system, state);
    let mut chosen = BTreeSet::new();
    let mut known = Vec::new();
    for name in names {
        let orphan = orphans
            .iter()
            .find(|orphan| orphan.name == name || orphan.agent == *name);
        match orphan {
            Some(orphan) => {
                chosen.insert(orphan.agent.clone());
            }
            None => known.push(name.clone()),
        }
    }
    if !known.is_empty() {
        chosen.extend(select(system, &known, true)?);
    }
    Ok(chosen)
}

/// By its name or by its container's.
pub fn find_agent<'a>(system: &'a System, name: &str) -> Option<&'a Agent> {
    system
        .agents
        .iter()
        .find(|agent| agent.name == name || agent.container == name)
}
