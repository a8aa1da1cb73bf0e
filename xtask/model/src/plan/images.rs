//! Which images to build, in which order, and which are already right.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    label,
    released::owned,
    spec::{BuildSpec, SmokeSpec},
    state,
    step::{Action, BaseSpec},
};
use crate::{
    plan::{
        names::{content_tag, local_tag, namespace, pointer_of, pointer_tag, repository},
        refusal::PlanError,
        state::{ObservedImage, State},
        step::Plan,
    },
    system::{Image, Pointer, System},
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
/// An image is right when there is one with the hash of its inputs, and when it
/// still stands on its parent's layers: a parent rebuilt from the same inputs
/// leaves its children behind otherwise. One whose packages are not known to
/// import is tried, and nothing is built on it before. A pointer moves last, so
/// that what was built and does not import is never released.
///
/// # Errors
/// With images under the system's names that are not the system's.
pub fn plan(
    system: &System,
    state: &State,
    wanted: &BTreeSet<String>,
    recipes: &Recipes,
    force: bool,
) -> Result<Plan, Vec<PlanError>> {
    let order = closure(system, wanted);
    let base = system.base.name.as_str();
    let mut planner = Planner {
        system,
        state,
        recipes,
        force,
        plan: Plan::default(),
        found: BTreeMap::new(),
        built: BTreeMap::new(),
        ready: BTreeMap::new(),
        fetched: BTreeMap::new(),
    };
    let names = std::iter::once(base).chain(order.iter().map(String::as_str));
    let errors: Vec<PlanError> = names.filter_map(|name| planner.image(name).err()).collect();
    match errors.is_empty() {
        true => Ok(planner.plan),
        false => Err(errors),
    }
}

struct Planner<'a> {
    system: &'a System,
    state: &'a State,
    recipes: &'a Recipes,
    force: bool,
    plan: Plan,
    /// What there is of each image, whether it is right or not.
    found: BTreeMap<&'a str, Found<'a>>,
    /// The step that builds an image.
    built: BTreeMap<&'a str, usize>,
    /// The last step of an image that counts for what stands on it.
    ready: BTreeMap<&'a str, usize>,
    fetched: BTreeMap<&'a str, usize>,
}

/// An image made from the same inputs, and a tag that it has.
struct Found<'a> {
    tag: String,
    image: &'a state::ObservedImage,
}

impl<'a> Planner<'a> {
    fn image(&mut self, name: &'a str) -> Result<(), PlanError> {
        let (system, state) = (self.system, self.state);
        let recipe = &self.recipes.images[name];
        let tag = content_tag(system, name, &recipe.inputs_hash);
        let pointer = pointer_tag(system, name);
        for tag in [&tag, &pointer] {
            if let Some(image) = state.images.get(tag)
                && !(name == system.base.name && foreign(system, image))
            {
                owned(system, tag, image)?;
            }
        }
        let parent = system.images.get(name).and_then(Image::parent);
        let found = find(system, state, name, recipe);
        let cause = self.stale(name, found.as_ref(), parent);
        let after: Vec<usize> = parent
            .and_then(|name| self.ready.get(name))
            .copied()
            .into_iter()
            .collect();
        let before = self.plan.steps.len();
        let (mut last, built) = match (&found, cause) {
            (Some(found), None) => (self.retag(name, found, &tag), false),
            (_, cause) => {
                let cause = cause.unwrap_or("does not exist");
                (
                    Some(self.build(name, recipe, parent, after.clone(), cause)),
                    true,
                )
            }
        };
        let sound = |found: &Found<'_>| state.sound.contains(&found.image.id);
        if !recipe.packages.is_empty() && (built || !found.as_ref().is_some_and(sound)) {
            let test = Action::SmokeTest(SmokeSpec {
                tag: tag.clone(),
                packages: recipe.packages.clone(),
                built,
            });
            let cause = match built {
                true => "its packages must import",
                false => "its packages have not been imported yet",
            };
            let after = last.map_or(after.clone(), |step| vec![step]);
            last = Some(self.plan.push(name, test, after, cause));
        }
        // No better than what it stands on.
        self.ready
            .extend(last.or(after.first().copied()).map(|step| (name, step)));
        let pointed = state.images.get(&pointer).map(|image| &image.id);
        if built || pointed != found.as_ref().map(|found| &found.image.id) {
            let action = Action::TagImage {
                image: tag,
                tag: pointer,
                built: built && name != system.base.name,
            };
            let cause = match pointed {
                _ if built => "is the newest",
                Some(_) => "stands for another one",
                None => "has been built before",
            };
            self.plan
                .push(name, action, last.into_iter().collect(), cause);
        }
        if self.plan.steps.len() == before {
            self.plan.unchanged.push(name.to_owned());
        }
        self.found.extend(found.map(|found| (name, found)));
        Ok(())
    }

    /// Steps up to the one that builds, whose position is returned.
    fn build(
        &mut self,
        name: &'a str,
        recipe: &'a Recipe,
        parent: Option<&str>,
        mut after: Vec<usize>,
        cause: &str,
    ) -> usize {
        let base = self.system.base.name.as_str();
        if let (Some(fetch), Some(parent)) = (&recipe.fetch, parent.filter(|name| *name != base))
            && self.built.contains_key(parent)
        {
            let action = Action::FetchPackages(fetch.clone());
            let cause = "while its parent is built";
            // What its parent waits for comes first.
            let first = self.fetched.get(parent).or_else(|| self.built.get(base));
            let first = first.copied().into_iter().collect();
            let step = self.plan.push(name, action, first, cause);
            self.fetched.insert(name, step);
            after.push(step);
        }
        if let Some(write) = &recipe.ignorefile {
            let cause = "decides what is copied";
            after.push(self.plan.push(name, write.clone(), Vec::new(), cause));
        }
        let step = self.plan.push(name, recipe.make.clone(), after, cause);
        self.built.insert(name, step);
        step
    }

    /// Gives an image that is right the tag of its content, if it has it not.
    fn retag(&mut self, name: &str, found: &Found<'_>, tag: &str) -> Option<usize> {
        let same = |image: &ObservedImage| image.id == found.image.id;
        if self.state.images.get(tag).is_some_and(same) {
            return None;
        }
        let action = Action::TagImage {
            image: found.tag.clone(),
            tag: tag.to_owned(),
            built: false,
        };
        Some(
            self.plan
                .push(name, action, Vec::new(), "is there under another name"),
        )
    }

    /// Why an image has to be made; `None` if what was found is right.
    fn stale(
        &self,
        name: &str,
        found: Option<&Found<'_>>,
        parent: Option<&str>,
    ) -> Option<&'static str> {
        let is_base = name == self.system.base.name;
        let Some(found) = found else {
            let names = [pointer_tag(self.system, name), local_tag(name)];
            let known = |tag: &String| {
                let image = self.state.images.get(tag);
                image.is_some_and(|image| owned(self.system, tag, image).is_ok())
            };
            return Some(match (names.iter().any(known), is_base) {
                (true, true) => "its recipe changed",
                (true, false) => "its inputs changed",
                (false, _) => "does not exist",
            });
        };
        if is_base {
            return None;
        }
        if parent.is_some_and(|parent| self.built.contains_key(parent)) {
            return Some("its parent is rebuilt");
        }
        let on_parent = parent
            .and_then(|parent| self.found.get(parent))
            .is_none_or(|parent| found.image.layers.starts_with(&parent.image.layers));
        if !on_parent {
            return Some("its parent changed");
        }
        self.force.then_some("asked for")
    }
}

/// The system has not made it.
fn foreign(system: &System, image: &ObservedImage) -> bool {
    image.labels.get(label::SYSTEM) != Some(&system.image_owner)
}

/// What there is of an image with the inputs of its recipe: under the tag of its
/// content, a pointer, or the name that it had before there were such tags.
fn find<'a>(system: &System, state: &'a State, name: &str, recipe: &Recipe) -> Option<Found<'a>> {
    let content = content_tag(system, name, &recipe.inputs_hash);
    let found = |tag: String| {
        let image = state.images.get(&tag)?;
        Some(Found { tag, image })
    };
    let same = |found: &Found<'_>| {
        let inputs = found.image.labels.get(label::INPUTS);
        owned(system, &found.tag, found.image).is_ok() && inputs == Some(&recipe.inputs_hash)
    };
    let foreign = |found: &Found<'_>| foreign(system, found.image);
    if name == system.base.name {
        // A base image that we did not make is taken as it is.
        let present = found(local_tag(name)).filter(foreign);
        let taken = present.or_else(|| found(content.clone()).filter(foreign));
        if taken.is_some() {
            return taken;
        }
    }
    let pointers = [Pointer::Latest, Pointer::Test].map(|to| pointer_of(system, name, to));
    let mut tags = [content]
        .into_iter()
        .chain(pointers)
        .chain([local_tag(name)]);
    tags.find_map(|tag| found(tag).filter(same))
}

/// Steps that remove what `plan` leaves without a use, once it has been carried
/// out: see `prune`, and images without a tag.
pub fn cleanup(system: &System, state: &State, plan: &Plan, kept: &BTreeSet<String>) -> Plan {
    if plan.is_empty() {
        return Plan::default();
    }
    let cleanup = prune(system, &after(system, state.clone(), plan), kept);
    // An image of code alone leaves a fraction of a megabyte behind when it is
    // built over, one with packages gigabytes.
    let built_over = plan.steps.iter().any(|step| match &step.action {
        Action::BuildImage(build) => !build.code && state.images.contains_key(&build.tag),
        _ => false,
    });
    match built_over || !cleanup.is_empty() {
        true => with_nameless(system, cleanup),
        false => cleanup,
    }
}

/// As `prune`, and what has no tag any more by it.
pub fn removals(system: &System, state: &State, kept: &BTreeSet<String>) -> Plan {
    let cleanup = prune(system, state, kept);
    match cleanup.is_empty() {
        true => cleanup,
        false => with_nameless(system, cleanup),
    }
}

fn with_nameless(system: &System, mut cleanup: Plan) -> Plan {
    let action = Action::PruneImages {
        system: system.image_owner.clone(),
    };
    let after = cleanup.steps.len().checked_sub(1).into_iter().collect();
    let cause = "what has no tag any more, unless something uses it";
    cleanup.push("old images", action, after, cause);
    cleanup
}

/// The images that there are once `plan` has been carried out. What it makes has an
/// id that no image can have.
pub fn after(system: &System, mut state: State, plan: &Plan) -> State {
    let made = |tag: &str, inputs: &str| {
        let labels = [
            (label::SYSTEM, &*system.image_owner),
            (label::INPUTS, inputs),
        ];
        ObservedImage {
            id: format!("built as {tag}"),
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..ObservedImage::default()
        }
    };
    for step in &plan.steps {
        match &step.action {
            Action::BuildImage(BuildSpec {
                tag, inputs_hash, ..
            })
            | Action::EnsureBase(BaseSpec {
                tag, inputs_hash, ..
            }) => {
                state.images.insert(tag.clone(), made(tag, inputs_hash));
            }
            Action::TagImage { image, tag, .. } => {
                if let Some(found) = state.images.get(image).cloned() {
                    state.images.insert(tag.clone(), found);
                }
            }
            _ => {}
        }
    }
    state
}

/// Steps that remove what no pointer stands for, no container was made from and
/// none of the tags `kept` names, the oldest first.
pub fn prune(system: &System, state: &State, kept: &BTreeSet<String>) -> Plan {
    let namespace = namespace(system);
    let pointers = [Pointer::Latest, Pointer::Test].map(Pointer::as_str);
    let split = |tag: &'_ String| {
        let rest = tag.strip_prefix(&namespace)?;
        let (name, tag) = rest.split_once(':')?;
        Some((name.to_owned(), pointers.contains(&tag)))
    };
    let mut used: BTreeSet<&str> = BTreeSet::new();
    let mut old: Vec<(i64, &String, String, &str)> = Vec::new();
    for (tag, image) in &state.images {
        match split(tag) {
            Some((_, true)) => drop(used.insert(&image.id)),
            Some((name, false)) if removable(system, tag, image) => {
                old.push((image.created_s, tag, name, &image.id));
            }
            _ => {}
        }
    }
    used.extend(
        state
            .containers
            .values()
            .map(|container| container.image_id.as_str()),
    );
    used.extend(
        kept.iter()
            .filter_map(|tag| Some(state.images.get(tag)?.id.as_str())),
    );
    old.sort();
    let mut plan = Plan::default();
    for (_, tag, name, id) in old {
        if !used.contains(id) {
            let action = Action::RemoveImage { tag: tag.clone() };
            let after = plan.steps.len().checked_sub(1).into_iter().collect();
            let cause = "is in none of the last sets that were deployed";
            plan.push(&name, action, after, cause);
        }
    }
    plan
}

/// A tag of the system's own, or one that we gave to a base image of others.
pub(super) fn removable(system: &System, tag: &str, image: &ObservedImage) -> bool {
    let of_base = tag.starts_with(&format!("{}:", repository(system, &system.base.name)));
    of_base || !foreign(system, image)
}
