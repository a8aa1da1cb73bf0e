//! What became of each image: how large it is, what of that it shares, how long
//! it took and why it was built or left alone.
//!
//! The rows are made from the plan, its outcome and one look at the engine;
//! nothing is asked here.

use std::collections::BTreeSet;

use model::{
    plan::{Action, Plan, State, images::closure, pointer_tag, state::ObservedImage},
    system::System,
};
use serde::Serialize;

use super::outcome::{Ended, Outcome};

/// The end of `build-images`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImageReport {
    /// Parents first.
    pub images: Vec<ImageRow>,
    /// Bytes of all of them together, what they share counted once.
    pub unique_bytes: u64,
    /// Time that all of it took, in ms.
    pub elapsed_ms: u64,
    /// Number of the run, for `logs --run`; left out if nothing was to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
}

/// One image.
#[derive(Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImageRow {
    /// As in the manifest.
    pub name: String,
    /// `built`, `unchanged`, `failed`, `blocked` or `cancelled`.
    pub result: Ended,
    /// Why it was to be built; `unchanged` if it was not.
    pub why: String,
    /// All its layers; null, as the next five, if there is no such image.
    pub size_bytes: Option<u64>,
    /// Bytes of the layers that it adds to the image below.
    pub unique_bytes: Option<u64>,
    /// Bytes of the layers that it shares with the image below.
    pub shared_bytes: Option<u64>,
    /// Number of its layers.
    pub layers: Option<usize>,
    /// Number of those that it shares with the image below.
    pub layers_shared: Option<usize>,
    /// The image below: the largest one whose layers it all stands on; null for the
    /// base.
    pub shared_with: Option<String>,
    /// Time of its own steps in ms, downloads ahead included; null if there were none.
    pub elapsed_ms: Option<u64>,
}

/// The report on `wanted` and what they stand on.
pub fn report(
    system: &System,
    state: &State,
    wanted: &BTreeSet<String>,
    plan: &Plan,
    outcomes: &[Outcome],
    elapsed_ms: u64,
) -> ImageReport {
    let mut names = vec![system.base.name.clone()];
    names.extend(closure(system, wanted));
    let images: Vec<ImageRow> = names
        .iter()
        .map(|name| row(system, name, &names, state, plan, outcomes))
        .collect();
    ImageReport {
        unique_bytes: images.iter().filter_map(|row| row.unique_bytes).sum(),
        images,
        elapsed_ms,
        run: None,
    }
}

fn row(
    system: &System,
    name: &str,
    names: &[String],
    state: &State,
    plan: &Plan,
    outcomes: &[Outcome],
) -> ImageRow {
    let outcome = outcomes.iter().find(|outcome| outcome.name == name);
    let makes = |action: &Action| matches!(action, Action::BuildImage(_) | Action::EnsureBase(_));
    let mut steps = plan.steps.iter();
    let step = steps.find(|step| step.subject == name && makes(&step.action));
    let found = state.images.get(&pointer_tag(system, name));
    let below = found.and_then(|found| below(system, name, found, names, state));
    let shared = |value: fn(&ObservedImage) -> u64| {
        found.map(|_| below.map_or(0, |(_, image)| value(image)))
    };
    let shared_bytes = shared(|image| image.size_bytes);
    ImageRow {
        name: name.to_owned(),
        result: match outcome.map(|outcome| outcome.result) {
            // Its packages were imported, no more.
            Some(Ended::Done) if step.is_none() => Ended::Unchanged,
            Some(Ended::Done) => Ended::Built,
            Some(other) => other,
            None => Ended::Unchanged,
        },
        why: step.map_or_else(|| "unchanged".to_owned(), |step| step.cause.clone()),
        size_bytes: found.map(|found| found.size_bytes),
        unique_bytes: found.map(|found| found.size_bytes.saturating_sub(shared_bytes.unwrap_or(0))),
        shared_bytes,
        layers: found.map(|found| found.layers.len()),
        layers_shared: shared(|image| image.layers.len() as u64).map(|layers| layers as usize),
        shared_with: below.map(|(name, _)| name.to_owned()),
        elapsed_ms: outcome.and_then(|outcome| outcome.elapsed_ms),
    }
}

/// The largest image of `names` that `found` stands on. Sizes of single layers
/// need no asking: an image is as large as its layers together.
fn below<'a>(
    system: &System,
    name: &str,
    found: &ObservedImage,
    names: &'a [String],
    state: &'a State,
) -> Option<(&'a str, &'a ObservedImage)> {
    let others = names.iter().filter(|other| *other != name);
    others
        .filter_map(|other| {
            Some((
                other.as_str(),
                state.images.get(&pointer_tag(system, other))?,
            ))
        })
        .filter(|(_, image)| {
            let (layers, own) = (&image.layers, &found.layers);
            !layers.is_empty() && layers.len() < own.len() && own.starts_with(layers)
        })
        .max_by_key(|(_, image)| image.layers.len())
}
