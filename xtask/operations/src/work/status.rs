//! One bulk view of every agent: container, health, and what a deployment would
//! find.

use std::collections::BTreeSet;

use diagnostics::Failure;
use model::{
    plan::{State, agents, label, spec, state, state::Status},
    system::{Agent, System},
};
use serde::Serialize;

use super::{app::App, ask, choose::select};
use crate::{
    carry_out::AgentStatus,
    podman::{Engine, observe::Ask},
};

/// Looks at podman and asks the agents; without names at all, optional ones only
/// if they have a container.
pub fn look(
    app: &App,
    system: &System,
    engine: &Engine,
    names: &[String],
) -> Result<Fleet, Failure> {
    let ask = Ask {
        containers: true,
        images: true,
        ..Ask::default()
    };
    let state = app.look(engine, system, ask)?;
    let shown = shown(system, &state, names)?;
    let round = ask::ask(app, engine, system, &shown)?;
    let rows = shown.iter().zip(&round.agents);
    Ok(Fleet {
        agents: rows
            .map(|(agent, health)| row(system, &state, agent, health.status))
            .collect(),
        orphans: orphans(system, &state),
    })
}

/// Every agent that was asked for.
#[derive(Debug, Serialize)]
pub struct Fleet {
    pub agents: Vec<AgentRow>,
    /// Containers with our label that the manifest does not know.
    pub orphans: Vec<String>,
}

/// One agent as it is.
#[derive(Debug, Serialize)]
pub struct AgentRow {
    pub name: String,
    pub group: String,
    pub container: String,
    /// podman's view: `running`, `exited`, `created`, `other` or `missing`.
    pub state: &'static str,
    pub health: AgentStatus,
    /// Time since the start, in words; absent if not running.
    pub up: Option<String>,
    pub exit_code: Option<i32>,
    /// What `deploy` would find: `current`, `changed` or `missing`.
    pub configuration: &'static str,
    pub ip: Option<String>,
    /// On 127.0.0.1: host port to container port.
    pub ports: Vec<(u16, u16)>,
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
    let configuration = match found {
        None => "missing",
        Some(found)
            if found.label(label::SPEC) == Some(&spec::hash_of(&wanted))
                && Some(found.image_id.as_str()) == image =>
        {
            "current"
        }
        Some(_) => "changed",
    };
    AgentRow {
        name: agent.name.clone(),
        group: agent.group.clone(),
        container: agent.container.clone(),
        state: found.map_or("missing", |found| match found.status {
            Status::Running => "running",
            Status::Exited => "exited",
            Status::Created => "created",
            Status::Other => "other",
        }),
        health,
        up: found
            .filter(|found| found.running())
            .map(|found| age(state, found)),
        exit_code: found
            .filter(|found| found.status == Status::Exited)
            .map(|found| found.exit_code),
        configuration,
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
