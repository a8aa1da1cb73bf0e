//! `build-images`: every image built once, in parallel where the graph allows,
//! skipped when nothing that goes into it has changed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use super::{
    App, code, image_report, image_report::Summary, import_check::Questions, outcome,
    podman_failure, scratch, unreadable,
};
use crate::{
    execute,
    host::{recipes, sbom},
    podman::{Engine, PodmanError, argv, inside, observe, run::Call},
    ui::progress::Progress,
};
use diagnostics::{Exit, Failure, names::nearest_or_all};
use model::{
    plan::{Action, Plan, State, image_tag, images, label},
    system::System,
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
    /// Write a bill of materials (CycloneDX) for each image into this folder
    #[arg(long, value_name = "DIR")]
    sbom: Option<PathBuf>,
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
    if let Some(folder) = &args.sbom {
        write_bills(app, &system, &wanted, folder)?;
    }
    if app.ui.json_wanted() {
        app.ui.json("build-images", &summary);
    } else {
        image_report::print(app, &summary, true);
    }
    Ok(())
}

/// The system's images as they are.
fn look(system: &System, engine: &Engine) -> Result<State, Failure> {
    let names = system.images.keys().chain([&system.base.name]);
    let tags: Vec<String> = names.map(|name| image_tag(name)).collect();
    let images = observe::images_with_layers(&engine.podman, &tags).map_err(podman_failure)?;
    Ok(State {
        images,
        ..State::default()
    })
}

/// What there is, and the steps that would bring `wanted` up to date.
pub fn planned(
    app: &App,
    system: &System,
    engine: &Engine,
    wanted: &BTreeSet<String>,
    force: bool,
) -> Result<(State, Plan), Failure> {
    // Podman takes as long to answer as the code to be read.
    let (left_out, state) = thread::scope(|scope| {
        let state = scope.spawn(|| look(system, engine));
        let left_out = code::left_out(app, system)?;
        let state = state.join().expect("looks do not panic")?;
        Ok::<_, Failure>((left_out, state))
    })?;
    let recipes =
        recipes::read(system, &left_out, &scratch()).map_err(|error| unreadable(&error))?;
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
    let (state, plan) = planned(app, system, engine, wanted, force)?;
    let replaces = replaces_packages(&state, &plan);
    if app.global.dry_run {
        app.print_plan("build-images", engine, &plan);
        if !app.ui.json_wanted() {
            let questions = Questions::of(app, system, wanted)?;
            let lines = questions.lines(engine, &state);
            lines.iter().for_each(|line| app.ui.out(line));
            if replaces {
                let line = engine.podman.line(&argv::prune_images(&system.name));
                app.ui
                    .out("# what the new images take the place of, unless a container uses it");
                app.ui.out(line);
            }
        }
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
        look(system, engine)?
    };
    if replaces {
        remove_replaced(app, system, engine)?;
    }
    remember_packages(app, system, engine, &state, wanted)?;
    let outcomes = outcome::outcomes(&plan, &report);
    let took = started.elapsed().as_millis() as u64;
    let summary = image_report::summary(system, &state, wanted, &plan, &outcomes, took);
    let failure = match outcome::failure(&plan, &report, Exit::Build) {
        None => Questions::of(app, system, wanted)?
            .ask(app, engine, &state)
            .err(),
        failure => failure,
    };
    match failure {
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
                .hint(nearest_or_all(unknown, known)),
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

/// An image of code alone leaves a fraction of a megabyte behind when it is
/// replaced, one with packages gigabytes.
fn replaces_packages(state: &State, plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.action {
        Action::BuildImage(build) => !build.code && state.images.contains_key(&build.tag),
        _ => false,
    })
}

/// A build leaves the image that had its name behind without one. What a
/// container still stands on stays until the next time.
fn remove_replaced(app: &App, system: &System, engine: &Engine) -> Result<(), Failure> {
    let purpose = "remove the images that were replaced";
    let call = Call::change(purpose, argv::prune_images(&system.name));
    // They only take space.
    let done = engine.podman.run(&call).map(drop);
    done.or_else(|error| go_on(app, &error))
}

/// After what could be done without failed, once the images are built.
fn go_on(app: &App, error: &PodmanError) -> Result<(), Failure> {
    if matches!(error, PodmanError::Interrupted) {
        return Err(Failure::interrupted("what was built is kept"));
    }
    app.ui.warn(format!("{error}: {}", error.reason()));
    Ok(())
}

/// Reads once, from each image with packages that has been built, which package
/// provides which name. What follows looks it up without podman.
fn remember_packages(
    app: &App,
    system: &System,
    engine: &mut Engine,
    state: &State,
    wanted: &BTreeSet<String>,
) -> Result<(), Failure> {
    let cache = scratch();
    let mut asked: Vec<(String, &String)> = Vec::new();
    for name in images::closure(system, wanted) {
        let tag = image_tag(&name);
        let found = state.images.get(&tag);
        let inputs = found.and_then(|image| image.labels.get(label::INPUTS));
        if let Some(inputs) = inputs.filter(|_| system.images[&name].adds_packages())
            && inside::known_packages(inputs, &cache).is_none()
        {
            asked.push((tag, inputs));
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    engine.ready()?;
    let engine = &*engine;
    let errors: Vec<PodmanError> = std::thread::scope(|scope| {
        let ask = |(tag, inputs): &(String, &String)| {
            inside::image_packages(engine, tag, inputs, &scratch()).err()
        };
        let asking: Vec<_> = asked
            .iter()
            .map(|one| scope.spawn(move || ask(one)))
            .collect();
        let ended = asking.into_iter().map(|thread| thread.join());
        ended
            .filter_map(|error| error.expect("asking does not panic"))
            .collect()
    });
    // A convenience for later commands.
    errors.iter().try_for_each(|error| go_on(app, error))
}

/// One file for each image of `wanted` and what they stand on.
fn write_bills(
    app: &App,
    system: &System,
    wanted: &BTreeSet<String>,
    folder: &Path,
) -> Result<(), Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        let message = format!("cannot write `{}`: {error}", path.display());
        Failure::new(Exit::Build, message)
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let names = images::closure(system, wanted);
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let left_out = code::left_out(app, system)?;
    let hashes = recipes::inputs_of(system, &left_out, &all).map_err(|error| unreadable(&error))?;
    for name in &names {
        let bill = sbom::bill(system, name, &hashes[name]).map_err(|error| unreadable(&error))?;
        let file = folder.join(format!("{name}.cdx.json"));
        let text = format!("{bill:#}\n");
        fs::write(&file, text).map_err(|error| failed(&file, &error))?;
    }
    Ok(())
}
