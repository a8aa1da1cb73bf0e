//! Which images to build, in which order, and which are already right.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    label,
    spec::{BuildSpec, SmokeSpec},
    state,
    step::{Action, BaseSpec},
};
use crate::{
    plan::{names::image_tag, state::State, step::Plan},
    system::{Image, System},
};

/// What the planner needs to know about the files behind the images.
#[derive(Debug, Default)]
pub struct Recipes {
    /// Of every image, the base included.
    pub images: BTreeMap<String, Recipe>,
}

/// How an image is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The step that makes it.
    pub make: Action,
    /// Of what it is made from.
    pub inputs_hash: String,
    /// What can be downloaded for it before its parent exists.
    pub fetch: Option<BuildSpec>,
    /// The file that must be written before its code is copied.
    pub ignorefile: Option<Action>,
    /// What it adds to its parent and must be possible to import.
    pub packages: Vec<String>,
}

impl Recipe {
    /// One step and nothing ahead of it.
    pub fn new(make: Action, inputs_hash: &str) -> Self {
        Recipe {
            make,
            inputs_hash: inputs_hash.to_owned(),
            fetch: None,
            ignorefile: None,
            packages: Vec::new(),
        }
    }
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
        if let Some(parent) = image.parent() {
            visit(system, parent, order);
        }
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
/// leaves its children behind otherwise. One whose packages are not known to
/// import is tried, and nothing is built on it before.
pub fn plan(
    system: &System,
    state: &State,
    wanted: &BTreeSet<String>,
    recipes: &Recipes,
    force: bool,
) -> Plan {
    let mut plan = Plan::default();
    let mut built: BTreeMap<&str, usize> = BTreeMap::new();
    // The last step of an image: what stands on it waits for that.
    let mut ready: BTreeMap<&str, usize> = BTreeMap::new();
    let mut fetched: BTreeMap<&str, usize> = BTreeMap::new();
    let base = system.base.name.as_str();
    let order = closure(system, wanted);
    for name in std::iter::once(base).chain(order.iter().map(String::as_str)) {
        let recipe = &recipes.images[name];
        let parent = system.images.get(name).and_then(Image::parent);
        let parent_built = parent.is_some_and(|parent| built.contains_key(parent));
        let mut after: Vec<usize> = parent
            .and_then(|name| ready.get(name))
            .copied()
            .into_iter()
            .collect();
        let tag = image_tag(name);
        let found = state.images.get(&tag);
        let cause = match &recipe.make {
            Action::EnsureBase(base) => stale_base(system, found, base),
            _ => stale(state, found, recipe, parent, parent_built, force),
        };
        let Some(cause) = cause else {
            if recipe.packages.is_empty() || state.sound.contains(&tag) {
                plan.unchanged.push(name.to_owned());
                // No better than what it stands on.
                ready.extend(after.first().map(|step| (name, *step)));
            } else {
                let cause = "its packages have not been imported yet";
                let step = plan.push(name, smoke_test(tag, recipe, false), after, cause);
                ready.insert(name, step);
            }
            continue;
        };
        if let (Some(fetch), Some(parent)) = (&recipe.fetch, parent.filter(|name| *name != base))
            && parent_built
        {
            let action = Action::FetchPackages(fetch.clone());
            let cause = "while its parent is built";
            // What its parent waits for comes first.
            let first = fetched.get(parent).or_else(|| built.get(base));
            let step = plan.push(name, action, first.copied().into_iter().collect(), cause);
            fetched.insert(name, step);
            after.push(step);
        }
        if let Some(write) = &recipe.ignorefile {
            let cause = "decides what is copied";
            after.push(plan.push(name, write.clone(), Vec::new(), cause));
        }
        let mut last = plan.push(name, recipe.make.clone(), after, cause);
        built.insert(name, last);
        if !recipe.packages.is_empty() {
            let cause = "its packages must import";
            last = plan.push(name, smoke_test(tag, recipe, true), vec![last], cause);
        }
        ready.insert(name, last);
    }
    plan
}

fn smoke_test(tag: String, recipe: &Recipe, built: bool) -> Action {
    Action::SmokeTest(SmokeSpec {
        tag,
        packages: recipe.packages.clone(),
        built,
    })
}

/// A base image that we did not make is taken as it is.
fn stale_base(
    system: &System,
    found: Option<&state::ObservedImage>,
    base: &BaseSpec,
) -> Option<&'static str> {
    let Some(found) = found else {
        return Some("does not exist");
    };
    let ours = found.labels.get(label::SYSTEM) == Some(&system.name);
    let changed = found.labels.get(label::INPUTS) != Some(&base.inputs_hash);
    (ours && changed).then_some("its recipe changed")
}

fn stale(
    state: &State,
    found: Option<&state::ObservedImage>,
    recipe: &Recipe,
    parent: Option<&str>,
    parent_rebuilt: bool,
    force: bool,
) -> Option<&'static str> {
    let Some(found) = found else {
        return Some("does not exist");
    };
    if found.labels.get(label::INPUTS) != Some(&recipe.inputs_hash) {
        return Some("its inputs changed");
    }
    if parent_rebuilt {
        return Some("its parent is rebuilt");
    }
    let on_parent = parent
        .and_then(|parent| state.images.get(&image_tag(parent)))
        .is_none_or(|parent| found.layers.starts_with(&parent.layers));
    if !on_parent {
        return Some("its parent changed");
    }
    force.then_some("asked for")
}
