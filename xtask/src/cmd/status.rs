//! `status`: one bulk view of every agent.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{App, age, health_check, select};
use crate::{gate::AgentStatus, podman::observe::Ask, ui::table};
use diagnostics::Failure;
use model::{
    plan::{agents, spec, state::Status},
    system::{Agent, System},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: all, optional ones only if they have a container]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Serialize)]
struct Summary {
    agents: Vec<Row>,
    /// Containers with our label that the manifest does not know.
    orphans: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    group: String,
    container: String,
    /// podman's view: `running`, `exited`, `created`, `other` or `missing`.
    state: &'static str,
    health: AgentStatus,
    /// Time since the start, in words; absent if not running.
    up: Option<String>,
    exit_code: Option<i32>,
    /// What `deploy` would find: `current`, `changed` or `missing`.
    configuration: &'static str,
    ip: Option<String>,
    /// On 127.0.0.1: host port to container port.
    ports: Vec<(u16, u16)>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let engine = app.engine(&system)?;
    let ask = Ask {
        containers: true,
        images: true,
        ..Ask::default()
    };
    let state = app.look(&engine, &system, ask)?;
    let shown = shown(&system, &state, &args.names)?;
    let round = health_check::ask(app, &engine, &system, &shown)?;
    let rows: Vec<Row> = shown
        .iter()
        .zip(&round.agents)
        .map(|(agent, health)| row(&system, &state, agent, health.status))
        .collect();
    let orphans = orphans(&system, &state);
    if app.ui.json_wanted() {
        app.ui.json(
            "status",
            &Summary {
                agents: rows,
                orphans,
            },
        );
    } else {
        print(app, &rows, &orphans);
    }
    Ok(())
}

fn shown<'a>(
    system: &'a System,
    state: &model::plan::State,
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

fn row(system: &System, state: &model::plan::State, agent: &Agent, health: AgentStatus) -> Row {
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
            if found.label(model::plan::label::SPEC) == Some(&spec::hash_of(&wanted))
                && Some(found.image_id.as_str()) == image =>
        {
            "current"
        }
        Some(_) => "changed",
    };
    Row {
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

fn orphans(system: &System, state: &model::plan::State) -> Vec<String> {
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

fn print(app: &App, rows: &[Row], orphans: &[String]) {
    let titles = [
        "AGENT",
        "GROUP",
        "STATE",
        "HEALTH",
        "UP",
        "CONFIG",
        "ADDRESS",
        "PORTS ON 127.0.0.1",
    ];
    let mut lines = vec![titles.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let state = match row.exit_code {
            Some(code) => format!("exited ({code})"),
            None => row.state.to_owned(),
        };
        let ports: Vec<String> = row
            .ports
            .iter()
            .map(|(host, port)| {
                if host == port {
                    host.to_string()
                } else {
                    format!("{host}→{port}")
                }
            })
            .collect();
        vec![
            row.name.clone(),
            row.group.clone(),
            state,
            health_check::painted(&app.ui, row.health),
            row.up.clone().unwrap_or_else(|| "-".to_owned()),
            row.configuration.to_owned(),
            row.ip.clone().unwrap_or_else(|| "-".to_owned()),
            ports.join(" "),
        ]
    }));
    for line in table::render(&lines) {
        app.ui.out(line);
    }
    for orphan in orphans {
        app.ui.warn(format!("container `{orphan}` is ours, but the manifest does not know its agent; `cargo xtask down` removes it"));
    }
}
