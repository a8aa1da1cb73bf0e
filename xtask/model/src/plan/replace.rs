//! The vocabulary of a replacement: the names that stand in between, the
//! actions on one agent's container, and what undoes them.
//!
//! A successor is created as `NAME-next`. When its turn has come the old
//! container becomes `NAME-previous`, the successor `NAME`; the old one goes
//! once everything is healthy.

use super::{
    state::{Container, Status},
    step::Action,
};
use crate::system::Agent;

/// What stands under an agent's name once the marks of a run that was cut
/// short are dealt with.
pub struct Standing<'a> {
    pub current: Option<&'a Container>,
    /// It runs, perhaps only since it was unpaused.
    pub running: bool,
    /// Steps that bring this about.
    pub after: Vec<usize>,
    /// Marks were found: what is stopped may have been stopped by that run.
    pub cut_short: bool,
    /// The container that `current` replaced, while nobody has seen `current`
    /// healthy.
    pub unconfirmed: Option<&'a Container>,
}

/// What brings a container that is neither running nor stopped to one of the two,
/// and why.
pub fn even_out(
    container: &str,
    found: &Container,
    timeout_s: u32,
) -> Option<(Action, &'static str)> {
    match found.status {
        Status::Paused => Some((unpause(container), "is paused")),
        Status::Stopping => Some((stop_container(container, timeout_s), "is being stopped")),
        Status::Lost => Some((stop_container(container, timeout_s), "its process is gone")),
        Status::Created
        | Status::Initialized
        | Status::Running
        | Status::Exited
        | Status::Other => None,
    }
}

/// It runs, at the latest once it is evened out.
pub fn goes_on(found: &Container) -> bool {
    matches!(found.status, Status::Running | Status::Paused)
}

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
        pid: None,
    }
}

/// Removes a container that was found.
pub fn remove_found(container: &str, found: &Container) -> Action {
    Action::RemoveContainer {
        container: container.into(),
        pid: (found.pid > 0).then_some(found.pid),
    }
}

pub fn unpause(container: &str) -> Action {
    Action::UnpauseContainer {
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
