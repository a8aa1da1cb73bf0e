//! Takes the system down in reverse order.
//!
//! Only what carries our label goes, and never data: volumes are removed only
//! when asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    images::removable,
    label,
    replace::{next_name, previous_name, remove, remove_found, unpause},
    state::Status,
    step::Action,
};
use crate::{
    plan::{
        names::{groups_before, local_tag, namespace, volume_name},
        state::State,
        step::Plan,
        workload::Workload,
    },
    system::{FETCHED_SUFFIX, MountSource, System},
};

/// What to remove beside containers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Remove {
    pub networks: bool,
    pub images: bool,
    pub volumes: bool,
}

/// Steps that remove the containers of `agents` (all of the system's, also
/// those that the manifest has forgotten, if `None`) and what `remove` names.
pub fn plan(
    system: &System,
    state: &State,
    agents: Option<&BTreeSet<String>>,
    remove: Remove,
) -> Plan {
    let mut plan = Plan::default();
    let doomed = doomed(system, state, agents);
    let removed = containers(system, state, &doomed, &mut plan);
    let removed = [removed, half_made(system, state, agents, &mut plan)].concat();
    let doomed: BTreeSet<&String> = doomed.iter().map(|(name, ..)| *name).collect();
    if let Some(container) = left_without_isolation(state, &doomed) {
        let reload = Action::ReloadNetworks { container };
        let cause = "podman took the rule with the last container of another isolated network";
        plan.push("network isolation", reload, removed.clone(), cause);
    }
    if remove.networks {
        for (network, found) in &state.networks {
            if found.labels.get(label::SYSTEM) == Some(&system.name) {
                let network = network.clone();
                let subject = network.clone();
                plan.push(
                    &subject,
                    Action::RemoveNetwork { network },
                    removed.clone(),
                    "asked for",
                );
            }
        }
    }
    if remove.images {
        images(system, state, &mut plan, &removed);
    }
    if remove.volumes {
        volumes(system, state, &mut plan, &removed);
    }
    plan
}

/// Removes what is left of creations that were cut short. Such a container has no
/// labels: it is known by its name.
fn half_made(
    system: &System,
    state: &State,
    agents: Option<&BTreeSet<String>>,
    plan: &mut Plan,
) -> Vec<usize> {
    let asked = |name: &String| agents.is_none_or(|agents| agents.contains(name));
    let mut removed = Vec::new();
    for agent in system.agents.iter().filter(|agent| asked(&agent.name)) {
        let name = &agent.container;
        for name in [name.clone(), next_name(name), previous_name(name)] {
            if state.half_made.contains(&name) {
                let cause = "its creation was cut short";
                removed.push(plan.push(&agent.name, remove(&name), Vec::new(), cause));
            }
        }
    }
    removed
}

/// A container, its agent, and the agent's place in the order of starts.
type Doomed<'s> = (&'s String, String, Option<usize>);

/// What is to go, in the order in which it goes.
fn doomed<'s>(
    system: &System,
    state: &'s State,
    agents: Option<&BTreeSet<String>>,
) -> Vec<Doomed<'s>> {
    let position = |agent: &str| system.agents.iter().position(|known| known.name == agent);
    let mut doomed: Vec<Doomed<'_>> = state
        .containers
        .iter()
        .filter(|(_, container)| container.belongs_to(&system.name))
        .filter_map(|(name, container)| {
            let subject = Workload::of(container)?.name().to_owned();
            let asked = agents.is_none_or(|agents| agents.contains(&subject));
            let place = position(&subject);
            asked.then_some((name, subject, place))
        })
        .collect();
    doomed.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
    doomed
}

/// Stops and removes containers; returns the steps that remove.
fn containers(
    system: &System,
    state: &State,
    doomed: &[Doomed<'_>],
    plan: &mut Plan,
) -> Vec<usize> {
    let before: BTreeMap<&str, BTreeSet<&str>> = system
        .groups
        .iter()
        .map(|group| (group.name.as_str(), groups_before(system, &group.name)))
        .collect();
    let mut removed = Vec::new();
    // Stopped in reverse order, removed as soon as stopped.
    let mut stops: Vec<(usize, usize)> = Vec::new();
    for (name, subject, place) in doomed {
        let mut after = Vec::new();
        let found = &state.containers[*name];
        if found.alive() || found.status == Status::Lost {
            if found.status == Status::Paused {
                after.push(plan.push(subject, unpause(name), Vec::new(), "is paused"));
            }
            let waits: Vec<usize> = stops
                .iter()
                .filter(|(other, _)| {
                    place.is_some_and(|place| depends(system, &before, *other, place))
                })
                .map(|(_, step)| *step)
                .chain(std::mem::take(&mut after))
                .collect();
            let timeout_s = system
                .agent(subject)
                .map_or(10, |known| known.stop_timeout_s);
            let container = (*name).clone();
            let stop = Action::StopContainer {
                container,
                timeout_s,
            };
            let cause = match found.status {
                Status::Stopping => "is being stopped",
                Status::Lost => "its process is gone",
                _ => "is running",
            };
            let step = plan.push(subject, stop, waits, cause);
            stops.extend(place.map(|place| (place, step)));
            after.push(step);
        }
        removed.push(plan.push(subject, remove_found(name, found), after, "asked for"));
    }
    removed
}

/// A container that goes on running on an isolated network, if `doomed` are the
/// last of another one. With those, netavark takes away the firewall rule that
/// keeps all isolated networks apart (`podman::caps::BUGS`).
fn left_without_isolation(state: &State, doomed: &BTreeSet<&String>) -> Option<String> {
    let isolated = |name: &String| state.networks.get(name).is_some_and(|found| found.isolated);
    let (leaving, staying): (Vec<_>, Vec<_>) = state
        .containers
        .iter()
        .filter(|(_, container)| container.alive())
        .filter(|(_, container)| container.networks.iter().any(isolated))
        .partition(|(name, _)| doomed.contains(name));
    let emptied = leaving
        .iter()
        .flat_map(|(_, container)| &container.networks)
        .filter(|name| isolated(name))
        .any(|name| {
            !staying
                .iter()
                .any(|(_, container)| container.networks.contains(name))
        });
    // Containers that no system of ours has are not touched.
    let ours = staying
        .iter()
        .find(|(_, container)| container.label(label::SYSTEM).is_some());
    ours.filter(|_| emptied).map(|(name, _)| (*name).clone())
}

/// `true` when the agent at `other` depends on the one at `place`, directly or
/// because its group comes after.
fn depends(
    system: &System,
    before: &BTreeMap<&str, BTreeSet<&str>>,
    other: usize,
    place: usize,
) -> bool {
    let (other, agent) = (&system.agents[other], &system.agents[place]);
    other.depends_on.contains(&agent.name)
        || before[other.group.as_str()].contains(agent.group.as_str())
}

fn images(system: &System, state: &State, plan: &mut Plan, after: &[usize]) {
    // Children before parents: podman keeps an image that others stand on. What
    // the manifest has forgotten comes first. A base image that was made by hand
    // has no label, and keeps the name that it was made under.
    let all = system.images.keys().cloned().collect();
    let mut names = super::images::closure(system, &all);
    names.insert(0, system.base.name.clone());
    let namespace = namespace(system);
    let mut doomed: Vec<(std::cmp::Reverse<usize>, &String, String)> = Vec::new();
    for (tag, image) in &state.images {
        let own = tag
            .strip_prefix(&namespace)
            .and_then(|rest| rest.rsplit_once(':'));
        let name = own.map(|(name, _)| name.to_owned());
        // Those of versions that knew no other tags.
        let name = name.or_else(|| {
            let older = |name: &&String| *tag == local_tag(name);
            let fetched = format!("{}{FETCHED_SUFFIX}", system.name);
            let labelled = image.labels.get(label::SYSTEM) == Some(&system.name);
            let mut older_names = names.iter().chain([&fetched]).cloned();
            older_names.find(|name| older(&name)).filter(|_| labelled)
        });
        let Some(name) = name.filter(|_| removable(system, tag, image)) else {
            continue;
        };
        let place = names.iter().position(|known| *known == name);
        doomed.push((std::cmp::Reverse(place.unwrap_or(usize::MAX)), tag, name));
    }
    doomed.sort();
    let mut before: Vec<usize> = after.to_vec();
    for (_, tag, name) in doomed {
        let remove = Action::RemoveImage { tag: tag.clone() };
        before.push(plan.push(&name, remove, before.clone(), "asked for"));
    }
    if state.replaced.contains(&system.name) {
        let system = system.name.clone();
        let prune = Action::PruneImages { system };
        plan.push("replaced images", prune, before, "asked for");
    }
}

fn volumes(system: &System, state: &State, plan: &mut Plan, after: &[usize]) {
    let named: BTreeSet<String> = system
        .agents
        .iter()
        .flat_map(|agent| &agent.mounts)
        .filter_map(|mount| match &mount.source {
            MountSource::Volume(volume) => Some(volume_name(system, volume)),
            MountSource::Host(_) => None,
        })
        .collect();
    for volume in named.intersection(&state.volumes) {
        let remove = Action::RemoveVolume {
            volume: volume.clone(),
        };
        plan.push(volume, remove, after.to_vec(), "asked for");
    }
}
