//! `build-images`: every image built once, in parallel where the graph allows,
//! skipped when nothing that goes into it has changed.

use std::{collections::BTreeSet, time::Instant};

use serde::Serialize;

use super::{App, outcome, podman_failure, scratch, unreadable};
use crate::{
    execute,
    failure::{Exit, Failure, nearest},
    host::recipes,
    plan::{Plan, State, image_tag, images},
    podman::{Engine, observe, observe::Ask},
    system::System,
    ui::{Paint, bytes, progress::Progress, seconds, table},
};

/// Two builds keep the disk and the network busy; more only compete.
const PARALLEL_BUILDS: usize = 2;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Images to build with their parents [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Build even what has not changed
    #[arg(long)]
    force: bool,
}

/// The end of `build-images`.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub images: Vec<ImageRow>,
    pub elapsed_ms: u64,
}

#[derive(Debug, Serialize)]
pub struct ImageRow {
    pub name: String,
    /// `built`, `unchanged`, `failed`, `blocked` or `cancelled`.
    pub result: &'static str,
    pub size_bytes: Option<u64>,
    /// Size without what the parent already holds.
    pub added_bytes: Option<u64>,
    pub elapsed_ms: Option<u64>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let wanted = choose(&system, &args.images)?;
    let mut engine = app.engine(&system)?;
    let _lock = app.lock(&system, "build-images")?;
    let summary = converge(app, &system, &mut engine, &wanted, args.force)?;
    let Some(summary) = summary else {
        return Ok(());
    };
    if app.ui.json_wanted() {
        app.ui.json("build-images", &summary);
    } else {
        print(app, &summary);
    }
    Ok(())
}

const ASK: Ask = Ask {
    containers: false,
    images: true,
    layers: true,
    networks: false,
    volumes: false,
};

/// What there is, and the steps that would bring `wanted` up to date.
pub fn planned(
    system: &System,
    engine: &Engine,
    wanted: &BTreeSet<String>,
    force: bool,
) -> Result<(State, Plan), Failure> {
    let state = observe::observe(&engine.podman, ASK).map_err(podman_failure)?;
    let recipes = recipes::read(system, &scratch()).map_err(|error| unreadable(&error))?;
    let plan = images::plan(system, &state, wanted, &recipes, force);
    Ok((state, plan))
}

/// Builds what is out of date among `wanted`; `None` after a dry run.
pub fn converge(
    app: &App,
    system: &System,
    engine: &mut Engine,
    wanted: &BTreeSet<String>,
    force: bool,
) -> Result<Option<Summary>, Failure> {
    let started = Instant::now();
    let (state, plan) = planned(system, engine, wanted, force)?;
    if app.global.dry_run {
        app.print_plan("build-images", engine, &plan);
        return Ok(None);
    }
    if !plan.is_empty() {
        engine.ready()?;
    }
    let slots = app.global.jobs.map_or(PARALLEL_BUILDS, usize::from);
    let progress = Progress::new(app.ui, &plan);
    let report = execute::execute(engine, &plan, slots, &progress);
    drop(progress);
    let failure = outcome::failure(&plan, &report, Exit::Build);
    if let Some(failure) = failure.filter(|failure| failure.exit == Exit::Interrupted) {
        return Err(failure);
    }
    let state = if plan.is_empty() {
        state
    } else {
        observe::observe(&engine.podman, ASK).map_err(podman_failure)?
    };
    let images = outcome::outcomes(&plan, &report)
        .into_iter()
        .map(|outcome| {
            let size = |name: &str| {
                state
                    .images
                    .get(&image_tag(name))
                    .map(|image| image.size_bytes)
            };
            let own = size(&outcome.name);
            let parent = system
                .images
                .get(&outcome.name)
                .and_then(|image| size(&image.parent));
            ImageRow {
                result: if outcome.result == "done" {
                    "built"
                } else {
                    outcome.result
                },
                size_bytes: own,
                added_bytes: own.map(|own| own.saturating_sub(parent.unwrap_or(0))),
                elapsed_ms: outcome.elapsed_ms,
                name: outcome.name,
            }
        })
        .collect();
    let summary = Summary {
        images,
        elapsed_ms: started.elapsed().as_millis() as u64,
    };
    match outcome::failure(&plan, &report, Exit::Build) {
        None => Ok(Some(summary)),
        Some(failure) => {
            if app.ui.json_wanted() {
                app.ui.json("build-images", &summary);
            }
            Err(failure)
        }
    }
}

fn choose(system: &System, names: &[String]) -> Result<BTreeSet<String>, Failure> {
    if names.is_empty() {
        return Ok(system.images.keys().cloned().collect());
    }
    if let Some(unknown) = names.iter().find(|name| !system.images.contains_key(*name)) {
        let known = system.images.keys().map(String::as_str);
        return Err(
            Failure::new(Exit::Usage, format!("unknown image `{unknown}`"))
                .hint(nearest(unknown, known)),
        );
    }
    Ok(names.iter().cloned().collect())
}

/// The images that these agents run in, parents included.
pub fn needed(system: &System, agents: &BTreeSet<String>) -> BTreeSet<String> {
    let own = system
        .agents
        .iter()
        .filter(|agent| agents.contains(&agent.name));
    own.map(|agent| agent.image.clone()).collect()
}

pub fn print(app: &App, summary: &Summary) {
    let built = summary
        .images
        .iter()
        .filter(|image| image.result == "built")
        .count();
    if built > 0 {
        let mut rows = vec![
            ["IMAGE", "RESULT", "SIZE", "ADDED", "TIME"]
                .map(str::to_owned)
                .to_vec(),
        ];
        let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), bytes);
        for image in &summary.images {
            let result = match image.result {
                "built" => app.ui.paint(Paint::Good, "built"),
                other => app.ui.paint(Paint::Dim, other),
            };
            rows.push(vec![
                image.name.clone(),
                result,
                shown(image.size_bytes),
                shown(image.added_bytes),
                image.elapsed_ms.map_or_else(|| "-".to_owned(), seconds),
            ]);
        }
        for line in table::render(&rows) {
            app.ui.out(line);
        }
    }
    let unchanged = summary.images.len() - built;
    let took = seconds(summary.elapsed_ms);
    app.ui.out(format!(
        "images: {built} built, {unchanged} unchanged, {took}"
    ));
}
