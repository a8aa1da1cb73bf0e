//! Which secrets podman is to be given for the containers of a plan, and which it
//! can forget.
//!
//! Every value has a name of its own, so that a changed value is another secret
//! and the old one is there for as long as a container needs it: podman reads
//! those that are variables at every start. Values are not seen here.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    given::given,
    label,
    refusal::PlanError,
    secret::SecretSpec,
    spec::ContainerSpec,
    state::State,
    step::{Action, Plan, Step},
};
use crate::system::System;

/// Why the chosen agents cannot have their secrets.
pub fn refusals(system: &System, state: &State, chosen: &BTreeSet<String>) -> Vec<PlanError> {
    let mut errors = Vec::new();
    let mut note = |error: PlanError| {
        if !errors.contains(&error) {
            errors.push(error);
        }
    };
    for agent in system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name))
    {
        for given in given(system, agent, state).0 {
            let found = state.secrets.get(&given.name);
            let ours = found.is_some_and(|found| found.system.as_ref() == Some(&system.name));
            match (given.id.is_some(), found) {
                (true, None) => note(PlanError::SecretMissing {
                    agent: agent.name.clone(),
                    secret: given.name,
                }),
                (false, Some(_)) if !ours => note(PlanError::SecretTaken {
                    agent: agent.name.clone(),
                    secret: given.name,
                }),
                _ => {}
            }
        }
    }
    errors
}

/// The secrets that containers of `plan` need and podman does not have, each once.
pub fn create(system: &System, state: &State, plan: &Plan) -> Plan {
    let mut before = Plan::default();
    let values = || {
        let files = state.known.files.values().flatten();
        let files = files.filter_map(|(_, value)| value.as_ref());
        state.known.uses.values().chain(files)
    };
    let mut made: BTreeSet<&str> = BTreeSet::new();
    for given in plan
        .steps
        .iter()
        .filter_map(created)
        .flat_map(|spec| &spec.secrets)
    {
        if given.id.is_some()
            || state.secrets.contains_key(&given.name)
            || !made.insert(&given.name)
        {
            continue;
        }
        if let Some(value) = values().find(|value| value.name == given.name) {
            let spec = SecretSpec {
                system: system.name.clone(),
                name: value.name.clone(),
                origin: value.origin.clone(),
            };
            before.push(
                "secrets",
                Action::CreateSecret(spec),
                Vec::new(),
                "podman has no such value",
            );
        }
    }
    before
}

/// Appends the removal of the system's secrets that no container needs once all of
/// `plan` is done.
pub fn remove_unused(system: &System, state: &State, plan: &mut Plan) {
    let mut containers: BTreeMap<&str, BTreeSet<&str>> = state
        .containers
        .iter()
        .map(|(name, container)| {
            let names = container.label(label::SECRETS).unwrap_or_default();
            (name.as_str(), names.split(',').collect())
        })
        .collect();
    for step in &plan.steps {
        match &step.action {
            Action::CreateContainer(spec) => {
                let names = spec.secrets.iter().map(|given| given.name.as_str());
                containers.insert(&spec.name, names.collect());
            }
            Action::RenameContainer { from, to } => {
                let moved = containers.remove(from.as_str()).unwrap_or_default();
                containers.insert(to, moved);
            }
            Action::RemoveContainer { container, .. } => {
                containers.remove(container.as_str());
            }
            _ => {}
        }
    }
    let used: BTreeSet<&str> = containers.into_values().flatten().collect();
    let unused: Vec<&String> = state
        .secrets
        .iter()
        .filter(|(_, found)| found.system.as_ref() == Some(&system.name))
        .map(|(name, _)| name)
        .filter(|name| !used.contains(name.as_str()))
        .collect();
    // Until all is well the containers that were replaced may be needed again.
    let after: Vec<usize> = (0..plan.steps.len()).collect();
    for secret in unused {
        let secret = secret.clone();
        let cause = "no container needs it";
        plan.push(
            "secrets",
            Action::RemoveSecret { secret },
            after.clone(),
            cause,
        );
    }
}

fn created(step: &Step) -> Option<&ContainerSpec> {
    match &step.action {
        Action::CreateContainer(spec) => Some(spec),
        _ => None,
    }
}
