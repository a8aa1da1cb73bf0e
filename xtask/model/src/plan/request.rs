//! What a deployment is asked for, what an agent waits for, and how long it is
//! waited for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    names::groups_before,
    spec::ContainerSpec,
    step::{Gate, Unanswered},
};
use crate::system::{Agent, RestartPolicy, System};

/// An agent that already runs is asked again for at least this long before
/// anything is said about it: an inference or a model load holds it up for
/// seconds.
const BUSY_WINDOW_MS: u64 = 15_000;

/// Which agents to deploy and how.
#[derive(Debug, Clone)]
pub struct DeployRequest {
    /// Names of agents, all of them known.
    pub agents: BTreeSet<String>,
    pub order: Order,
    /// Keep a container that failed its gate as it is, for a post-mortem.
    pub keep: bool,
    /// Agents that are replaced even if they are as they should be.
    pub recreate: BTreeSet<String>,
    /// Remove containers whose agents the manifest no longer has.
    pub prune: bool,
    /// Restart agents that run and do not answer.
    pub restart_hung: bool,
    /// An agent that has a container keeps the image that it was made from.
    pub keep_images: bool,
    /// Specifications that hold instead of the manifest's, by agent.
    pub specs: BTreeMap<String, ContainerSpec>,
    /// Go back to the former containers if the new ones fail.
    pub go_back: bool,
    /// 0: no settle window.
    pub settle_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A group starts when the groups it comes after are healthy.
    Groups,
    /// Only `depends_on` counts; groups start side by side.
    Dependencies,
}

/// The condition that a started agent has to meet.
pub fn gate(agent: &Agent) -> Gate {
    Gate {
        agent: agent.name.clone(),
        container: agent.container.clone(),
        host_health_port: agent.host_health_port,
        health_port: agent.health_port,
        health: agent.health.clone(),
        timeout_ms: agent.start_timeout_ms,
        attempts: agent.start_attempts,
        restarts: agent.restart != RestartPolicy::No,
        stop_timeout_s: agent.stop_timeout_s,
        unanswered: Unanswered::Fail,
    }
}

/// The same for one that has been running: a missed question is no reason to
/// touch it.
pub fn patient_gate(agent: &Agent, restart: bool) -> Gate {
    Gate {
        timeout_ms: agent.start_timeout_ms.max(BUSY_WINDOW_MS),
        unanswered: match restart {
            true => Unanswered::Restart,
            false => Unanswered::Fail,
        },
        ..gate(agent)
    }
}

/// Those of `gates` (agent to position and group) that the agent's start has to
/// wait for.
pub fn waits_for(
    system: &System,
    order: Order,
    agent: &Agent,
    gates: &BTreeMap<String, (usize, String)>,
) -> Vec<usize> {
    let before = match order {
        Order::Groups => groups_before(system, &agent.group),
        Order::Dependencies => BTreeSet::new(),
    };
    let mut waits: Vec<usize> = gates
        .iter()
        .filter(|(other, (_, group))| {
            before.contains(group.as_str()) || agent.depends_on.contains(other)
        })
        .map(|(_, (step, _))| *step)
        .collect();
    waits.sort_unstable();
    waits
}
