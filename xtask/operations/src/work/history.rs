//! What was deployed when, by whom, and what changed with it.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::Failure;
use model::{
    plan::{
        State, Workload,
        deployed::{DeployedSet, Difference, differences},
        label,
    },
    system::System,
};
use serde::Serialize;

use super::{
    app::App,
    journal::{Entry, Journal, made_by},
};
use crate::podman::{Engine, observe::Ask};

/// The end of `history`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct History {
    /// The newest first.
    pub deployments: Vec<DeploymentRow>,
}

/// One deployment that succeeded and changed something.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeploymentRow {
    /// Counted from 1, and never given twice.
    pub number: u32,
    /// Seconds since 1970; null if the journal was lost.
    pub at_s: Option<i64>,
    /// `deploy`, `up` or `rollback to N`; null if the journal was lost.
    pub by: Option<String>,
    /// Who ran it; null if the journal was lost.
    pub user: Option<String>,
    /// Of the monorepo; null where it is not kept by git.
    pub commit: Option<String>,
    /// What runs is what it left.
    pub current: bool,
    /// `rollback` can go there: it is in the journal, and all of its images are there.
    pub can_go_back: bool,
    /// All agents of the set, by name.
    pub agents: BTreeMap<String, AgentInSet>,
    /// What changed since the deployment before, by agent; all agents are added in
    /// the oldest one.
    pub changes: BTreeMap<String, Difference>,
}

/// One agent of a set.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentInSet {
    /// Tag of its image's content.
    pub image: String,
    /// The image is still there.
    pub image_there: bool,
}

/// The journal, the newest first.
pub fn look(app: &App, system: &System, engine: &Engine) -> Result<History, Failure> {
    let ask = Ask {
        containers: true,
        images: true,
        ..Ask::default()
    };
    let state = app.look(engine, system, ask)?;
    Ok(history(system, &state, &Journal::open(system)?))
}

fn history(system: &System, state: &State, journal: &Journal) -> History {
    let nothing = DeployedSet::new();
    let before = std::iter::once(&nothing).chain(journal.entries.iter().map(|entry| &entry.agents));
    let rows = journal.entries.iter().zip(before);
    let mut deployments: Vec<DeploymentRow> = rows
        .map(|(entry, before)| row(system, state, entry, before))
        .collect();
    let newest = deployments.iter().map(|row| row.number).max();
    let made = made_by(system, state).max();
    if made > newest {
        deployments.extend(rebuilt(system, state, made));
    } else if let Some(last) = deployments.last_mut() {
        last.current = runs(
            system,
            state,
            &journal.entries[journal.entries.len() - 1].agents,
        );
    }
    deployments.reverse();
    History { deployments }
}

fn row(system: &System, state: &State, entry: &Entry, before: &DeployedSet) -> DeploymentRow {
    let agents: BTreeMap<String, AgentInSet> = entry
        .agents
        .iter()
        .map(|(name, agent)| (name.clone(), in_set(state, &agent.spec.image)))
        .collect();
    let mut there = agents
        .iter()
        .filter(|(name, _)| system.agent(name).is_some());
    DeploymentRow {
        number: entry.number,
        at_s: Some(entry.at_s),
        by: Some(entry.command.clone()),
        user: Some(entry.user.clone()),
        commit: entry.commit.clone(),
        current: false,
        can_go_back: there.all(|(_, agent)| agent.image_there),
        changes: differences(before, &entry.agents),
        agents,
    }
}

fn in_set(state: &State, image: &str) -> AgentInSet {
    AgentInSet {
        image: image.to_owned(),
        image_there: state.images.contains_key(image),
    }
}

/// What containers say of a deployment that the journal does not know.
fn rebuilt(system: &System, state: &State, number: Option<u32>) -> Option<DeploymentRow> {
    let agents = state.containers.values().filter_map(|container| {
        let agent = Workload::of(container).filter(|_| container.belongs_to(&system.name))?;
        Some((agent.name().to_owned(), in_set(state, &container.image)))
    });
    Some(DeploymentRow {
        number: number?,
        at_s: None,
        by: None,
        user: None,
        commit: None,
        current: true,
        can_go_back: false,
        agents: agents.collect(),
        changes: BTreeMap::new(),
    })
}

/// Whether all agents of a set have the containers that it names, and no others
/// have any.
fn runs(system: &System, state: &State, set: &DeployedSet) -> bool {
    let ours: BTreeMap<String, _> = state
        .containers
        .values()
        .filter(|container| container.belongs_to(&system.name))
        .filter_map(|found| Some((Workload::of(found)?.name().to_owned(), found)))
        .collect();
    let names: BTreeSet<&String> = ours.keys().collect();
    names == set.keys().collect()
        && set.iter().all(|(name, agent)| {
            let found = ours[name];
            found.image_id == agent.image_id && found.label(label::SPEC) == Some(&agent.spec_hash)
        })
}
