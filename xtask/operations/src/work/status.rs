//! One bulk view of every agent: container, health, and what a deployment would
//! find.

use std::collections::BTreeSet;

use diagnostics::Failure;
use model::{
    plan::{
        State, agents,
        drift::{self, Difference},
        label, spec, state,
        state::Status,
    },
    system::{Agent, System},
};
use serde::Serialize;

use super::{app::App, ask, choose::select, secrets, verify};
use crate::{
    carry_out::AgentStatus,
    podman::{Engine, observe::Ask},
};

/// Looks at podman and asks the agents; without names at all, optional ones only
/// if they have a container. With `deep`, all settings of each container are
/// compared, too.
pub fn look(
    app: &App,
    system: &System,
    engine: &Engine,
    names: &[String],
    deep: bool,
) -> Result<Fleet, Failure> {
    let ask = Ask {
        containers: true,
        images: true,
        secrets: secrets::used(system),
        ..Ask::default()
    };
    let mut state = app.look(engine, system, ask)?;
    state.known = secrets::look(system, &state);
    if deep {
        verify::look_closer(engine, system, &mut state)?;
    }
    let shown = shown(system, &state, names)?;
    let round = ask::ask(app, engine, system, &shown)?;
    let rows = shown.iter().zip(&round.agents);
    Ok(Fleet {
        agents: rows
            .map(|(agent, health)| row(system, &state, agent, health.status))
            .collect(),
        orphans: orphans(system, &state),
        deep,
    })
}

/// Every agent that was asked for.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fleet {
    /// In start order.
    pub agents: Vec<AgentRow>,
    /// Containers with our label that the manifest does not know.
    pub orphans: Vec<String>,
    /// All settings were compared, and not only what every listing tells.
    pub deep: bool,
}

/// One agent as it is.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentRow {
    /// As in the manifest.
    pub name: String,
    /// The group that it belongs to.
    pub group: String,
    /// Name of its container.
    pub container: String,
    /// podman's view of its container.
    pub state: ContainerState,
    /// How it answers at its health port.
    pub health: AgentStatus,
    /// Time since the start, in words; null if it does not run.
    pub up: Option<String>,
    /// Null unless it has exited.
    pub exit_code: Option<i32>,
    /// What `deploy` would find.
    pub configuration: Configuration,
    /// Settings of its container that are not as the manifest has them, as far as
    /// somebody has looked.
    pub differences: Vec<Difference>,
    /// On its group's network; null without one.
    pub ip: Option<String>,
    /// Pairs of a port on the host's 127.0.0.1 and the container's port.
    pub ports: Vec<(u16, u16)>,
}

/// What podman says of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ContainerState {
    /// Its program runs.
    Running,
    /// Its program has ended.
    Exited,
    /// It was never started.
    Created,
    /// Its program stands still until podman is told to let it go on.
    Paused,
    /// It is being stopped, or a stop of it was cut short.
    Stopping,
    /// Anything else, such as being removed.
    Other,
    /// There is no container of ours.
    Missing,
}

impl ContainerState {
    pub fn as_str(self) -> &'static str {
        match self {
            ContainerState::Running => "running",
            ContainerState::Exited => "exited",
            ContainerState::Created => "created",
            ContainerState::Paused => "paused",
            ContainerState::Stopping => "stopping",
            ContainerState::Other => "other",
            ContainerState::Missing => "missing",
        }
    }
}

/// A container against the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Configuration {
    /// As the manifest has it, from the image as it is.
    Current,
    /// Made from other settings or another image: `deploy` would replace it.
    Changed,
    /// Made as the manifest has it, and changed since, by hand: `deploy` would
    /// replace it for what every listing tells, `deploy --verify` for the rest.
    Drifted,
    /// There is no container of ours.
    Missing,
}

impl Configuration {
    pub fn as_str(self) -> &'static str {
        match self {
            Configuration::Current => "current",
            Configuration::Changed => "changed",
            Configuration::Drifted => "drifted",
            Configuration::Missing => "missing",
        }
    }
}

fn shown<'a>(
    system: &'a System,
    state: &State,
    names: &[String],
) -> Result<Vec<&'a Agent>, Failure> {
    let mut chosen = select(system, names, true)?;
    if names.is_empty() {
        let present = system
            .agents
            .iter()
            .filter(|agent| state.containers.contains_key(&agent.container));
        chosen.extend(present.map(|agent| agent.name.clone()));
    }
    Ok(system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name))
        .collect())
}

fn row(system: &System, state: &State, agent: &Agent, health: AgentStatus) -> AgentRow {
    let wanted = spec::container(system, agent, state);
    let found = state
        .containers
        .get(&agent.container)
        .filter(|container| container.belongs_to(&system.name));
    let image = state
        .images
        .get(&wanted.image)
        .map(|image| image.id.as_str());
    let differences = found.map_or_else(Vec::new, |found| drift::differences(&wanted, found));
    let configuration = match found {
        None => Configuration::Missing,
        Some(found)
            if found.label(label::SPEC) != Some(&spec::hash_of_container(&wanted))
                || Some(found.image_id.as_str()) != image =>
        {
            Configuration::Changed
        }
        Some(_) if differences.is_empty() => Configuration::Current,
        Some(_) => Configuration::Drifted,
    };
    AgentRow {
        name: agent.name.clone(),
        group: agent.group.clone(),
        container: agent.container.clone(),
        state: found.map_or(ContainerState::Missing, |found| match found.status {
            Status::Running => ContainerState::Running,
            Status::Exited | Status::Lost => ContainerState::Exited,
            Status::Paused => ContainerState::Paused,
            Status::Stopping => ContainerState::Stopping,
            Status::Created | Status::Initialized => ContainerState::Created,
            Status::Other => ContainerState::Other,
        }),
        health,
        up: found
            .filter(|found| found.running())
            .map(|found| age(state, found)),
        exit_code: found
            .filter(|found| matches!(found.status, Status::Exited | Status::Lost))
            .map(|found| found.exit_code),
        configuration,
        differences,
        ip: agent.ip.map(|ip| ip.to_string()),
        ports: wanted.publish,
    }
}

fn orphans(system: &System, state: &State) -> Vec<String> {
    let known: BTreeSet<String> = system
        .agents
        .iter()
        .flat_map(|agent| {
            [
                agent.container.clone(),
                agents::next_name(&agent.container),
                agents::previous_name(&agent.container),
            ]
        })
        .collect();
    let ours = state
        .containers
        .iter()
        .filter(|(_, container)| container.belongs_to(&system.name));
    ours.map(|(name, _)| name.clone())
        .filter(|name| !known.contains(name))
        .collect()
}

/// Age in words: `12 s`, `3 min`, `2 h`, `5 d`.
fn age(state: &State, container: &state::Container) -> String {
    let seconds = (state.now_s - container.started_at_s).max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
