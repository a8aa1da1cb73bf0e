//! Creations that must not come beside each other, where podman locks the named
//! volumes of a new container in no fixed order (`podman::caps::BUGS`).

use std::collections::{BTreeMap, BTreeSet};

use super::step::{Action, Plan};

/// Marks creations that could wait for each other for ever: those on a cycle of
/// containers and the volumes that they share, be it two of two volumes or three
/// of three. What shares one volume at most with the rest cannot.
pub fn keep_apart(plan: &mut Plan) {
    let mut wanted: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (position, step) in plan.steps.iter().enumerate() {
        if let Action::CreateContainer(spec) = &step.action {
            let sources = spec.mounts.iter().map(|mount| &mount.source);
            let volumes = sources.filter(|source| !source.starts_with('/'));
            wanted.insert(position, volumes.cloned().collect());
        }
    }
    // What is left when nothing more can be taken away holds all the cycles.
    loop {
        let mut users: BTreeMap<String, usize> = BTreeMap::new();
        for volume in wanted.values().flatten() {
            *users.entry(volume.clone()).or_default() += 1;
        }
        let before = wanted.values().map(BTreeSet::len).sum::<usize>();
        for volumes in wanted.values_mut() {
            volumes.retain(|volume| users[volume] > 1);
        }
        wanted.retain(|_, volumes| volumes.len() > 1);
        if wanted.values().map(BTreeSet::len).sum::<usize>() == before {
            break;
        }
    }
    for position in wanted.into_keys() {
        plan.steps[position].alone = Some("volumes".to_owned());
    }
}
