//! `health-check`: all agents at once, from the host, over ZeroMQ.
//!
//! The agents are asked while podman lists the containers, so that the truth
//! about exited and missing ones costs no extra time.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{App, podman_failure, select};
use crate::{
    cli::duration_ms,
    gate::{self, AgentStatus},
    podman::{Engine, observe},
    ui::{Paint, Ui, table},
};
use diagnostics::{Exit, Failure};
use health;
use model::{
    plan::agents,
    system::{Agent, System},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: every agent that is not optional]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Ask again until all are healthy, at most this long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "60s", value_parser = duration_ms)]
    wait: Option<u64>,
    /// Ask again and again until Ctrl-C
    #[arg(long, conflicts_with = "wait")]
    watch: bool,
    /// Time between two rounds of --watch
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration_ms, requires = "watch")]
    interval: u64,
}

/// The result of one round.
#[derive(Debug, Serialize)]
pub struct Round {
    pub healthy: usize,
    pub total: usize,
    /// Time that asking took, podman's listing not counted.
    pub probe_ms: f64,
    pub agents: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub container: String,
    pub status: AgentStatus,
    /// Why, when it is not healthy.
    pub reason: Option<String>,
    pub latency_ms: Option<f64>,
    pub reply: Option<String>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let chosen = select(&system, &args.names, true)?;
    let chosen: Vec<&Agent> = system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name))
        .collect();
    let engine = app.engine(&system)?;
    if args.watch {
        return watch(app, &engine, &system, &chosen, args.interval);
    }
    let deadline = Instant::now() + Duration::from_millis(args.wait.unwrap_or(0));
    let round = loop {
        let round = ask(app, &engine, &system, &chosen)?;
        if round.healthy == round.total || Instant::now() >= deadline {
            break round;
        }
        pause(app, 250)?;
    };
    show(app, &round);
    verdict(&round)
}

/// One round: every agent asked at once.
pub fn ask(
    app: &App,
    engine: &Engine,
    system: &System,
    agents: &[&Agent],
) -> Result<Round, Failure> {
    let targets: Vec<health::Target> = agents
        .iter()
        .map(|agent| gate::target(&agents::gate(agent)))
        .collect();
    let (probes, containers) = std::thread::scope(|scope| {
        let containers = scope.spawn(|| observe::containers(&engine.podman));
        let started = Instant::now();
        let probes = health::probe_all(&targets, gate::BUDGET, || app.cancel.requested());
        let took = started.elapsed();
        (
            probes.map(|probes| (probes, took)),
            containers.join().expect("observers do not panic"),
        )
    });
    let containers = containers.map_err(podman_failure)?;
    let (probes, took) = probes
        .map_err(|error| Failure::new(Exit::Other, format!("cannot ask the agents: {error}")))?;
    let rows: Vec<Row> = agents
        .iter()
        .zip(probes)
        .map(|(agent, probe)| {
            let container = containers
                .get(&agent.container)
                .filter(|container| container.belongs_to(&system.name));
            let (status, reason) = gate::judge(agent.health_port, container, Some(&probe));
            let asked = !matches!(status, AgentStatus::Missing | AgentStatus::Exited);
            Row {
                name: agent.name.clone(),
                container: agent.container.clone(),
                status,
                reason: (status != AgentStatus::Healthy).then_some(reason),
                latency_ms: asked.then_some((probe.latency_ms * 100.0).round() / 100.0),
                reply: probe.reply.filter(|_| asked),
            }
        })
        .collect();
    Ok(Round {
        healthy: rows
            .iter()
            .filter(|row| row.status == AgentStatus::Healthy)
            .count(),
        total: rows.len(),
        probe_ms: (took.as_secs_f64() * 1e5).round() / 1e2,
        agents: rows,
    })
}

pub fn show(app: &App, round: &Round) {
    if app.ui.json_wanted() {
        app.ui.json("health-check", round);
        return;
    }
    let mut rows = vec![
        ["AGENT", "STATUS", "LATENCY", "DETAIL"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(round.agents.iter().map(|row| {
        let latency = row
            .latency_ms
            .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        let detail = row.reason.clone().unwrap_or_default();
        vec![
            row.name.clone(),
            painted(&app.ui, row.status),
            latency,
            detail,
        ]
    }));
    for line in table::render(&rows) {
        app.ui.out(line);
    }
    app.ui.out(format!(
        "{} of {} agents healthy, asked in {:.1} ms",
        round.healthy, round.total, round.probe_ms
    ));
}

/// The status in its colour.
pub fn painted(ui: &Ui, status: AgentStatus) -> String {
    let paint = match status {
        AgentStatus::Healthy => Paint::Good,
        AgentStatus::Answering => Paint::Warn,
        AgentStatus::Missing => Paint::Dim,
        _ => Paint::Bad,
    };
    ui.paint(paint, status.as_str())
}

pub fn verdict(round: &Round) -> Result<(), Failure> {
    if round.healthy == round.total {
        return Ok(());
    }
    let sick: Vec<&str> = round
        .agents
        .iter()
        .filter(|row| row.status != AgentStatus::Healthy)
        .map(|row| row.name.as_str())
        .collect();
    let all_missing = round
        .agents
        .iter()
        .all(|row| row.status == AgentStatus::Missing);
    let hint = if all_missing {
        "nothing is deployed; `cargo xtask up` does it".to_owned()
    } else {
        format!(
            "`cargo xtask doctor {}` says why; `cargo xtask deploy` repairs",
            sick.join(" ")
        )
    };
    Err(Failure::new(Exit::Unhealthy, format!("not healthy: {}", sick.join(", "))).hint(hint))
}

fn watch(
    app: &App,
    engine: &Engine,
    system: &System,
    agents: &[&Agent],
    interval_ms: u64,
) -> Result<(), Failure> {
    let mut last: Vec<AgentStatus> = Vec::new();
    loop {
        let round = ask(app, engine, system, agents)?;
        let now: Vec<AgentStatus> = round.agents.iter().map(|row| row.status).collect();
        // A table per change rather than per round: what did not change does
        // not need to be read again.
        if now != last {
            show(app, &round);
        }
        last = now;
        pause(app, interval_ms)?;
    }
}

fn pause(app: &App, ms: u64) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end {
        if app.cancel.requested() {
            return Err(Failure::interrupted("nothing was changed"));
        }
        std::thread::sleep(Duration::from_millis(20).min(end - Instant::now().min(end)));
    }
    Ok(())
}
