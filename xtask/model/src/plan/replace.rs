//! The vocabulary of a replacement: the names that stand in between, the
//! actions on one agent's container, and what undoes them.
//!
//! A successor is created as `NAME-next`. When its turn has come the old
//! container becomes `NAME-previous`, the successor `NAME`; the old one goes
//! once everything is healthy.

use super::step::Action;
use crate::system::Agent;

pub fn next_name(container: &str) -> String {
    format!("{container}-next")
}

pub fn previous_name(container: &str) -> String {
    format!("{container}-previous")
}

/// What undoes a replacement whose successor was started.
pub fn restore(agent: &Agent, start_old: bool) -> Vec<Action> {
    let mut actions = vec![stop(agent), remove(&agent.container)];
    actions.extend(bring_back(agent, start_old));
    actions
}

pub fn bring_back(agent: &Agent, start_old: bool) -> Vec<Action> {
    let name = &agent.container;
    [rename(&previous_name(name), name)]
        .into_iter()
        .chain(start_old.then(|| start_action(agent)))
        .collect()
}

pub fn remove(container: &str) -> Action {
    Action::RemoveContainer {
        container: container.into(),
    }
}

pub fn stop(agent: &Agent) -> Action {
    stop_container(&agent.container, agent.stop_timeout_s)
}

pub fn stop_container(container: &str, timeout_s: u32) -> Action {
    Action::StopContainer {
        container: container.into(),
        timeout_s,
    }
}

pub fn start_action(agent: &Agent) -> Action {
    Action::StartContainer {
        container: agent.container.clone(),
        host_ports: agent
            .host_port
            .into_iter()
            .chain([agent.host_health_port])
            .collect(),
    }
}

pub fn rename(from: &str, to: &str) -> Action {
    Action::RenameContainer {
        from: from.into(),
        to: to.into(),
    }
}
