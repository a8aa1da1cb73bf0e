//! Builds images: every one once, in parallel where the graph allows, skipped when
//! nothing that goes into it has changed.

use std::{collections::BTreeSet, fs, path::Path, thread, time::Instant};

use diagnostics::{Exit, Failure, names::nearest_or_all};
use model::{
    plan::{
        Action, Plan, State, Step,
        images::{self, Recipes},
        label, local_tag, namespace, pointer_tag,
        state::ObservedImage,
    },
    system::System,
};

use super::{
    app::{App, scratch},
    build_report::{self, ImageReport},
    dry_run::Script,
    ending::Ending,
    failures::{plan_failure, podman_failure, unreadable},
    import_check::Questions,
    journal::Journal,
    outcome,
    project::Project,
    toolchain,
};
use crate::{
    carry_out::{Report, StepResult},
    images::{bill, recipes},
    podman::{Engine, PodmanError, argv, inside, observe, run::Call},
};

/// Two builds keep the disk and the network busy; more only compete.
const PARALLEL_BUILDS: usize = 2;

/// The system's images as they are.
fn look(system: &System, engine: &Engine) -> Result<State, Failure> {
    let namespace = namespace(system);
    let names = system.images.keys().chain([&system.base.name]);
    let older: BTreeSet<String> = names.map(|name| local_tag(name)).collect();
    let ours = |tag: &str| tag.starts_with(&namespace) || older.contains(tag);
    let images = observe::images_with_layers(&engine.podman, &ours).map_err(podman_failure)?;
    Ok(State {
        images,
        ..State::default()
    })
}

/// What there is, and the steps that would bring `wanted` up to date.
pub fn planned(
    project: &Project,
    engine: &Engine,
    wanted: &BTreeSet<String>,
    force: bool,
) -> Result<(State, Plan), Failure> {
    let system = &project.system;
    // Podman takes as long to answer as the code to be read.
    let ((left_out, code), mut state) = thread::scope(|scope| {
        let state = scope.spawn(|| look(system, engine));
        let read = (project.left_out()?, project.code_files()?);
        let state = state.join().expect("looks do not panic")?;
        Ok::<_, Failure>((read, state))
    })?;
    let recipes =
        recipes::read(system, code, left_out, &scratch()?).map_err(|error| unreadable(&error))?;
    state.sound = sound(&recipes, &state)?;
    let plan = images::plan(system, &state, wanted, &recipes, force)
        .map_err(|errors| plan_failure(&errors))?;
    Ok((state, plan))
}

/// Ids of the images whose packages have been imported before.
fn sound(recipes: &Recipes, state: &State) -> Result<BTreeSet<String>, Failure> {
    let cache = scratch()?;
    let adding = recipes
        .images
        .iter()
        .filter(|(_, recipe)| !recipe.packages.is_empty());
    let all = adding.flat_map(|(_, recipe)| {
        let made_from_it =
            |image: &&ObservedImage| image.labels.get(label::INPUTS) == Some(&recipe.inputs_hash);
        let images = state.images.values().filter(made_from_it);
        images.map(|image| (&image.id, &recipe.packages))
    });
    let sound = all
        .filter(|(id, packages)| {
            let image = inside::AskedImage { tag: "", id };
            inside::is_sound(image, packages, &cache)
        })
        .map(|(id, _)| id.clone())
        .collect();
    Ok(sound)
}

fn image_of<'a>(state: &'a State, tag: &'a str) -> Option<inside::AskedImage<'a>> {
    let found = state.images.get(tag)?;
    Some(inside::AskedImage { tag, id: &found.id })
}

/// Builds what is out of date among `wanted`.
pub fn converge(
    app: &App,
    project: &Project,
    engine: &mut Engine,
    wanted: &BTreeSet<String>,
    force: bool,
) -> Result<Ending<ImageReport>, Failure> {
    let started = Instant::now();
    let system = &project.system;
    let (state, mut plan) = planned(project, engine, wanted, force)?;
    let cleanup = cleanup(system, engine, &state, &plan)?;
    if app.settings.dry_run {
        let questions = Questions::of(project, wanted)?;
        let all: Vec<usize> = (0..plan.steps.len()).collect();
        plan.append(cleanup, &all);
        let mut script = Script::new(engine, plan);
        script
            .lines
            .extend(questions.lines(system, engine, &state)?);
        return Ok(Ending::Planned(script));
    }
    let builds = |step: &Step| matches!(step.action, Action::BuildImage(_));
    if plan.steps.iter().any(builds) {
        toolchain::room(app, engine, system, &state)?;
    }
    if !plan.is_empty() {
        engine.ready_to_build()?;
    }
    let slots = app.settings.jobs.map_or(PARALLEL_BUILDS, usize::from);
    let report = app.carry_out(engine, &plan, slots);
    let failure = match outcome::failure(&plan, &report, Exit::Build) {
        Some(failure) if failure.exit == Exit::Interrupted => return Err(failure),
        failure => failure,
    };
    let state = match plan.is_empty() {
        true => state,
        false => look(system, engine)?,
    };
    remember_sound(&plan, &report, &state)?;
    if failure.is_none() {
        remove_old(app, engine, &cleanup)?;
    }
    remember_packages(app, project, engine, &state, wanted)?;
    let outcomes = outcome::outcomes(&plan, &report);
    let took = started.elapsed().as_millis() as u64;
    let mut images = build_report::report(system, &state, wanted, &plan, &outcomes, took);
    images.run = app.run.number();
    let failure = match failure {
        None => Questions::of(project, wanted)?
            .ask(app, system, engine, &state)
            .err(),
        failure => failure,
    };
    Ok(Ending::new(images, failure))
}

/// The images that are named; all without names.
pub fn choose(system: &System, names: &[String]) -> Result<BTreeSet<String>, Failure> {
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

/// What is of no use once the plan has been carried out.
fn cleanup(system: &System, engine: &Engine, state: &State, plan: &Plan) -> Result<Plan, Failure> {
    if plan.is_empty() {
        return Ok(Plan::default());
    }
    let containers = observe::containers(&engine.podman).map_err(podman_failure)?;
    let state = State {
        containers,
        ..state.clone()
    };
    // Which images `rollback` needs is not known without the journal.
    let Ok(journal) = Journal::open(system) else {
        return Ok(Plan::default());
    };
    let kept = journal.kept(system.keep_images, None);
    Ok(images::cleanup(system, &state, plan, &kept))
}

/// Removes images that nobody needs any more. They only take space, so that one
/// that cannot be removed is told and no more.
pub fn remove_old(app: &App, engine: &Engine, cleanup: &Plan) -> Result<(), Failure> {
    for step in &cleanup.steps {
        let args = argv::render(&step.action, &engine.quirks).expect("removals are one call");
        let done = engine
            .podman
            .run(&Call::change(step.action.words().purpose, args));
        done.map(drop).or_else(|error| go_on(app, &error))?;
    }
    Ok(())
}

/// After what could be done without failed, once the images are built.
fn go_on(app: &App, error: &PodmanError) -> Result<(), Failure> {
    if matches!(error, PodmanError::Interrupted) {
        return Err(Failure::interrupted("what was built is kept"));
    }
    app.ui.warn(format!("{error}: {}", error.reason()));
    Ok(())
}

/// What was imported without a failure need not be imported again.
fn remember_sound(plan: &Plan, report: &Report, state: &State) -> Result<(), Failure> {
    let cache = scratch()?;
    for (step, result) in plan.steps.iter().zip(&report.results) {
        if let (Action::SmokeTest(test), StepResult::Done { .. }) = (&step.action, result)
            && let Some(image) = image_of(state, &test.tag)
        {
            inside::keep_sound(image, &test.packages, &cache);
        }
    }
    Ok(())
}

/// Reads once, from each image with packages that has been built, which package
/// provides which name. What follows looks it up without podman.
fn remember_packages(
    app: &App,
    project: &Project,
    engine: &mut Engine,
    state: &State,
    wanted: &BTreeSet<String>,
) -> Result<(), Failure> {
    let system = &project.system;
    let cache = &scratch()?;
    let mut asked: Vec<(String, &String)> = Vec::new();
    for name in images::closure(system, wanted) {
        let tag = pointer_tag(system, &name);
        let found = state.images.get(&tag);
        let inputs = found.and_then(|image| image.labels.get(label::INPUTS));
        if let Some(inputs) = inputs.filter(|_| system.images[&name].packages().is_some())
            && inside::known_packages(inputs, cache).is_none()
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
            inside::image_packages(engine, tag, inputs, cache).err()
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
    project.images_changed();
    // A convenience for later commands.
    errors.iter().try_for_each(|error| go_on(app, error))
}

/// Writes a bill of materials for each image of `wanted` and what they stand on.
pub fn write_bills(
    project: &Project,
    wanted: &BTreeSet<String>,
    folder: &Path,
) -> Result<(), Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        let message = format!("cannot write `{}`: {error}", path.display());
        Failure::new(Exit::Build, message)
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    let system = &project.system;
    let names = images::closure(system, wanted);
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let hashes = project.inputs_of(&all)?;
    for name in &names {
        let bill = bill::bill(system, name, &hashes[name]).map_err(|error| unreadable(&error))?;
        let file = folder.join(format!("{name}.cdx.json"));
        let text = format!("{bill:#}\n");
        fs::write(&file, text).map_err(|error| failed(&file, &error))?;
    }
    Ok(())
}
