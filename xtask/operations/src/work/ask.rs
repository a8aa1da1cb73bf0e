//! Asks agents for their health: all at once, from the host, over ZeroMQ.
//!
//! The agents are asked while podman lists the containers, so that the truth
//! about exited and missing ones costs no extra time.

use std::time::{Duration, Instant};

use diagnostics::{Exit, Failure};
use model::{
    plan::agents,
    system::{Agent, System},
};
use serde::Serialize;

use super::{app::App, failures::podman_failure};
use crate::{
    carry_out::{self, AgentStatus},
    podman::{Engine, observe},
};

/// The result of one round.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Round {
    /// How many of them are healthy.
    pub healthy: usize,
    /// How many agents were asked.
    pub total: usize,
    /// Time that asking took, in ms, podman's listing not counted.
    pub probe_ms: f64,
    /// In start order.
    pub agents: Vec<AgentHealth>,
}

/// One agent of a round.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgentHealth {
    /// As in the manifest.
    pub name: String,
    /// Name of its container.
    pub container: String,
    /// How it fared.
    pub status: AgentStatus,
    /// Why, in words; null if it is healthy.
    pub reason: Option<String>,
    /// From the first connection to the outcome, in ms; null if it was not asked,
    /// since its container does not run.
    pub latency_ms: Option<f64>,
    /// The start of its reply, on one line; null if none came.
    pub reply: Option<String>,
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
        .map(|agent| carry_out::target(&agents::gate(agent)))
        .collect();
    let (probes, containers) = std::thread::scope(|scope| {
        let containers = scope.spawn(|| observe::containers(&engine.podman));
        let started = Instant::now();
        let probes = health::probe_all(&targets, carry_out::BUDGET, || app.cancel.requested());
        let took = started.elapsed();
        (
            probes.map(|probes| (probes, took)),
            containers.join().expect("observers do not panic"),
        )
    });
    let containers = containers.map_err(podman_failure)?;
    let (probes, took) = probes
        .map_err(|error| Failure::new(Exit::Other, format!("cannot ask the agents: {error}")))?;
    let rows: Vec<AgentHealth> = agents
        .iter()
        .zip(probes)
        .map(|(agent, probe)| {
            let container = containers
                .get(&agent.container)
                .filter(|container| container.belongs_to(&system.name));
            let (status, reason) = carry_out::judge(agent.health_port, container, Some(&probe));
            let asked = !matches!(status, AgentStatus::Missing | AgentStatus::Exited);
            AgentHealth {
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

pub fn pause(app: &App, ms: u64) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end {
        if app.cancel.requested() {
            return Err(Failure::interrupted("nothing was changed"));
        }
        std::thread::sleep(Duration::from_millis(20).min(end - Instant::now().min(end)));
    }
    Ok(())
}
