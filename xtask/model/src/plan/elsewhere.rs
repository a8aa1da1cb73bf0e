//! Containers of a system that another checkout with its name has deployed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    label,
    state::State,
    step::{Action, Plan},
    workload::Workload,
};
use crate::system::System;

/// Our containers, and the manifest from which each was deployed, where that is
/// not `system`'s by its path. Those of earlier versions do not tell.
pub fn by_path(system: &System, state: &State) -> BTreeMap<String, PathBuf> {
    let ours = state.containers.iter();
    let ours = ours.filter(|(_, container)| container.belongs_to(&system.name));
    let told = ours.filter_map(|(name, container)| {
        let manifest = container.label(label::MANIFEST)?;
        Some((name.clone(), PathBuf::from(manifest)))
    });
    told.filter(|(_, manifest)| *manifest != system.manifest)
        .collect()
}

/// From now on what another checkout has deployed counts as made from another
/// specification: it is replaced, and its successor's label tells the new path.
pub fn take_over(state: &mut State) {
    for name in state.elsewhere.keys() {
        if let Some(container) = state.containers.get_mut(name) {
            container.labels.remove(label::SPEC);
        }
    }
}

/// The containers among `state.elsewhere` that `plan` would do something to.
pub fn touched(state: &State, plan: &Plan) -> BTreeMap<String, PathBuf> {
    let changes = plan
        .steps
        .iter()
        .filter(|step| !matches!(step.action, Action::Gate(_) | Action::Settle { .. }));
    let subjects: BTreeSet<&str> = changes.map(|step| step.subject.as_str()).collect();
    let elsewhere = state.elsewhere.iter();
    let touched = elsewhere.filter(|(name, _)| {
        let workload = state.containers.get(*name).and_then(Workload::of);
        workload.is_some_and(|of| subjects.contains(of.name()))
    });
    touched
        .map(|(name, manifest)| (name.clone(), manifest.clone()))
        .collect()
}
