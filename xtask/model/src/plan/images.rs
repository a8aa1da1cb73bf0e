//! Which images to build, in which order, and which are already right.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    label,
    spec::BuildSpec,
    state::Image,
    step::{Action, BaseSpec},
};
use crate::{
    plan::{names::image_tag, state::State, step::Plan},
    system::System,
};

/// What the planner needs to know about the files behind the images.
#[derive(Debug, Default)]
pub struct Recipes {
    pub base: Option<BaseSpec>,
    /// The build of every image, its inputs' hash included.
    pub builds: BTreeMap<String, BuildSpec>,
    /// What can be downloaded for an image before its parent exists.
    pub fetches: BTreeMap<String, BuildSpec>,
    /// The file that must be written before an image's code is copied.
    pub ignorefiles: BTreeMap<String, Action>,
}

/// The images that `wanted` needs, parents included, parents first.
pub fn closure(system: &System, wanted: &BTreeSet<String>) -> Vec<String> {
    fn visit(system: &System, name: &str, order: &mut Vec<String>) {
        let Some(image) = system.images.get(name) else {
            return;
        };
        if order.iter().any(|seen| seen == name) {
            return;
        }
        visit(system, &image.parent, order);
        order.push(name.to_owned());
    }
    let mut order = Vec::new();
    for name in wanted {
        visit(system, name, &mut order);
    }
    order
}

/// Steps that bring `wanted` and what they stand on up to date.
///
/// An image is right when the label with its inputs' hash is, and when it
/// still stands on its parent's layers: a parent rebuilt under the same tag
/// leaves its children behind otherwise.
pub fn plan(
    system: &System,
    state: &State,
    wanted: &BTreeSet<String>,
    recipes: &Recipes,
    force: bool,
) -> Plan {
    let mut plan = Plan::default();
    let mut built: BTreeMap<String, usize> = BTreeMap::new();
    let mut fetched: BTreeMap<String, usize> = BTreeMap::new();
    let base_tag = image_tag(&system.base.name);
    match &recipes.base {
        None => plan.unchanged.push(system.base.name.clone()),
        Some(base) => match stale_base(system, state.images.get(&base_tag), base) {
            None => plan.unchanged.push(system.base.name.clone()),
            Some(cause) => {
                let action = Action::EnsureBase(base.clone());
                let step = plan.push(&system.base.name, action, Vec::new(), cause);
                built.insert(system.base.name.clone(), step);
            }
        },
    }
    for name in closure(system, wanted) {
        let image = &system.images[&name];
        let build = &recipes.builds[&name];
        let parent_step = built.get(&image.parent).copied();
        let Some(cause) = stale(
            state,
            build,
            &image_tag(&image.parent),
            parent_step.is_some(),
            force,
        ) else {
            plan.unchanged.push(name);
            continue;
        };
        let mut after: Vec<usize> = parent_step.into_iter().collect();
        if let Some(fetch) = recipes.fetches.get(&name)
            && image.parent != system.base.name
            && parent_step.is_some()
        {
            let action = Action::FetchPackages(fetch.clone());
            let cause = "while its parent is built";
            // What its parent waits for comes first.
            let first = fetched.get(&image.parent);
            let first = first.or_else(|| built.get(&system.base.name));
            let step = plan.push(&name, action, first.copied().into_iter().collect(), cause);
            fetched.insert(name.clone(), step);
            after.push(step);
        }
        if let Some(write) = recipes.ignorefiles.get(&name) {
            let cause = "decides what is copied";
            after.push(plan.push(&name, write.clone(), Vec::new(), cause));
        }
        let step = plan.push(&name, Action::BuildImage(build.clone()), after, cause);
        built.insert(name, step);
    }
    plan
}

/// A base image that we did not make is taken as it is.
fn stale_base(system: &System, found: Option<&Image>, base: &BaseSpec) -> Option<&'static str> {
    let Some(found) = found else {
        return Some("does not exist");
    };
    let ours = found.labels.get(label::SYSTEM) == Some(&system.name);
    let changed = found.labels.get(label::INPUTS) != Some(&base.inputs_hash);
    (ours && changed).then_some("its recipe changed")
}

fn stale(
    state: &State,
    build: &BuildSpec,
    parent_tag: &str,
    parent_rebuilt: bool,
    force: bool,
) -> Option<&'static str> {
    let Some(found) = state.images.get(&build.tag) else {
        return Some("does not exist");
    };
    if found.labels.get(label::INPUTS) != Some(&build.inputs_hash) {
        return Some("its inputs changed");
    }
    if parent_rebuilt {
        return Some("its parent is rebuilt");
    }
    let on_parent = state
        .images
        .get(parent_tag)
        .is_none_or(|parent| found.layers.starts_with(&parent.layers));
    if !on_parent {
        return Some("its parent changed");
    }
    force.then_some("asked for")
}
