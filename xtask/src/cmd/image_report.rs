//! What `build-images` tells at its end: each image, how large it is, what of
//! that it shares, how long it took and why it was built or left alone.
//!
//! The rows are made from the plan, its outcome and one look at the engine;
//! nothing is asked here.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{App, outcome::Outcome};
use crate::ui::{Paint, table};
use diagnostics::words::{bytes, seconds};
use model::{
    plan::{Action, Plan, State, image_tag, images::closure, state::Image},
    system::System,
};

/// The end of `build-images`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Parents first.
    pub images: Vec<ImageRow>,
    /// Bytes of all of them together, what they share counted once.
    pub unique_bytes: u64,
    pub elapsed_ms: u64,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct ImageRow {
    pub name: String,
    /// `built`, `unchanged`, `failed`, `blocked` or `cancelled`.
    pub result: &'static str,
    /// Why it was to be built; `unchanged` if it was not.
    pub why: String,
    /// `None`, as all that follows but the time, if there is no such image.
    pub size_bytes: Option<u64>,
    /// Bytes of the layers that it adds to the image below.
    pub unique_bytes: Option<u64>,
    /// Bytes of the layers that it shares with the image below.
    pub shared_bytes: Option<u64>,
    pub layers: Option<usize>,
    pub layers_shared: Option<usize>,
    /// The image below: the largest one whose layers it all stands on.
    pub shared_with: Option<String>,
    /// Time of its own steps; `None` if there were none.
    pub elapsed_ms: Option<u64>,
}

/// The report on `wanted` and what they stand on.
pub fn summary(
    system: &System,
    state: &State,
    wanted: &BTreeSet<String>,
    plan: &Plan,
    outcomes: &[Outcome],
    elapsed_ms: u64,
) -> Summary {
    let mut names = vec![system.base.name.clone()];
    names.extend(closure(system, wanted));
    let images: Vec<ImageRow> = names
        .iter()
        .map(|name| row(name, &names, state, plan, outcomes))
        .collect();
    Summary {
        unique_bytes: images.iter().filter_map(|row| row.unique_bytes).sum(),
        images,
        elapsed_ms,
    }
}

fn row(name: &str, names: &[String], state: &State, plan: &Plan, outcomes: &[Outcome]) -> ImageRow {
    let outcome = outcomes.iter().find(|outcome| outcome.name == name);
    let makes = |action: &Action| matches!(action, Action::BuildImage(_) | Action::EnsureBase(_));
    let mut steps = plan.steps.iter();
    let step = steps.find(|step| step.subject == name && makes(&step.action));
    let found = state.images.get(&image_tag(name));
    let below = found.and_then(|found| below(name, found, names, state));
    let shared =
        |value: fn(&Image) -> u64| found.map(|_| below.map_or(0, |(_, image)| value(image)));
    let shared_bytes = shared(|image| image.size_bytes);
    ImageRow {
        name: name.to_owned(),
        result: match outcome.map(|outcome| outcome.result) {
            Some("done") => "built",
            Some(other) => other,
            None => "unchanged",
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
    name: &str,
    found: &Image,
    names: &'a [String],
    state: &'a State,
) -> Option<(&'a str, &'a Image)> {
    let others = names.iter().filter(|other| *other != name);
    others
        .filter_map(|other| Some((other.as_str(), state.images.get(&image_tag(other))?)))
        .filter(|(_, image)| {
            let (layers, own) = (&image.layers, &found.layers);
            !layers.is_empty() && layers.len() < own.len() && own.starts_with(layers)
        })
        .max_by_key(|(_, image)| image.layers.len())
}

/// Shows the report; without `always` the table only if something was built.
pub fn print(app: &App, summary: &Summary, always: bool) {
    let built = summary
        .images
        .iter()
        .filter(|image| image.result == "built");
    let built = built.count();
    if built > 0 || always {
        let lines = lines(summary, |result| {
            let paint = match result {
                "built" => Paint::Good,
                "failed" => Paint::Bad,
                "unchanged" => Paint::Dim,
                _ => Paint::Warn,
            };
            app.ui.paint(paint, result)
        });
        lines.into_iter().for_each(|line| app.ui.out(line));
    }
    let unchanged = summary.images.len() - built;
    let took = seconds(summary.elapsed_ms);
    app.ui.out(format!(
        "images: {built} built, {unchanged} unchanged, {} unique, {took}",
        bytes(summary.unique_bytes)
    ));
}

fn lines(summary: &Summary, painted: impl Fn(&str) -> String) -> Vec<String> {
    let head = ["IMAGE", "RESULT", "SIZE", "UNIQUE", "SHARED", "TIME", "WHY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), bytes);
    for image in &summary.images {
        let shared = match (&image.shared_with, image.layers_shared, image.layers) {
            (Some(with), Some(shared), Some(all)) => {
                let size = shown(image.shared_bytes);
                format!("{size}, {shared} of {all} layers, with {with}")
            }
            _ => "-".to_owned(),
        };
        rows.push(vec![
            image.name.clone(),
            painted(image.result),
            shown(image.size_bytes),
            shown(image.unique_bytes),
            shared,
            image.elapsed_ms.map_or_else(|| "-".to_owned(), seconds),
            image.why.clone(),
        ]);
    }
    table::render(&rows)
}

#[cfg(test)]
#[path = "image_report/tests.rs"]
mod tests;
