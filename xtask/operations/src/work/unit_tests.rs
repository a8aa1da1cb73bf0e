//! Each agent's own tests, in a container of the agent's image with pytest beside
//! it, several agents at a time.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use diagnostics::{Exit, Failure};
use model::{
    plan::{
        pointer_tag,
        testing::{self, Job},
    },
    system::{Agent, System, Tests},
};

use super::{
    app::App,
    build,
    choose::select,
    ending::Ending,
    exclusive::Scope,
    failures::podman_failure,
    junit,
    project::Project,
    test_results::{News, Subject, Tell, TestOptions, TestReport},
};
use crate::podman::{Engine, argv, pytest};

/// Runs the tests of the named agents, or of all that have any; `None` after a
/// dry run.
pub fn run(
    app: &App,
    project: &Project,
    names: &[String],
    options: &TestOptions,
    tell: Tell<'_>,
) -> Result<Option<TestReport>, Failure> {
    let started = Instant::now();
    let system = &project.system;
    let tests = tests(system)?;
    let (mut agents, without_tests) = chosen(system, names)?;
    files_exist(system, &agents)?;
    // The heaviest take longest, so they start first.
    agents.sort_by_key(|agent| std::cmp::Reverse(agent.memory_mb));
    let jobs: Vec<(&Agent, Job)> = agents
        .iter()
        .map(|agent| (*agent, job(system, tests, agent, options)))
        .collect();
    let mut engine = app.engine(system)?;
    let images: BTreeSet<String> = agents
        .iter()
        .map(|agent| agent.image.clone())
        .chain([tests.image.clone()])
        .collect();
    prepare(app, project, &mut engine, &images, tell)?;
    if app.settings.dry_run {
        for (_, job) in &jobs {
            let spec = testing::container(system, &tests.image, job);
            let line = argv::run_test(&spec, &engine.quirks);
            tell(News::WouldRunLine(engine.podman.line(&line)));
        }
        return Ok(None);
    }
    let _alone = app.lock(&engine, system, Scope::Tests, "test-unit")?;
    engine.ready()?;
    pytest::remove_left(&engine, &system.name).map_err(podman_failure)?;
    let subjects = side_by_side(app, system, &engine, &jobs, tell)?;
    let elapsed_ms = started.elapsed().as_millis() as u64;
    junit::report(&options.reports, subjects, without_tests, elapsed_ms).map(Some)
}

/// The manifest's table of tests.
pub fn tests(system: &System) -> Result<&Tests, Failure> {
    system.tests.as_ref().ok_or_else(|| {
        Failure::new(Exit::Manifest, "the manifest has no table `[tests]`")
            .hint("docs/agents.md says how to write tests, docs/manifest.md what the table holds")
    })
}

/// Builds what tests run in, if it is out of date.
pub fn prepare(
    app: &App,
    project: &Project,
    engine: &mut Engine,
    images: &BTreeSet<String>,
    tell: Tell<'_>,
) -> Result<(), Failure> {
    let _alone = app.lock(
        engine,
        &project.system,
        Scope::Images,
        "building images for tests",
    )?;
    match build::converge(app, project, engine, images, false)? {
        Ending::Planned(script) => tell(News::WouldRun("build-images", &script)),
        Ending::Done(_) => {}
        Ending::Failed(report, failure) => {
            tell(News::ImagesFailed(&report));
            return Err(failure);
        }
    }
    Ok(())
}

fn chosen<'s>(
    system: &'s System,
    names: &[String],
) -> Result<(Vec<&'s Agent>, Vec<String>), Failure> {
    let named = select(system, names, true)?;
    let all = system
        .agents
        .iter()
        .filter(|agent| names.is_empty() || named.contains(&agent.name));
    let (with, without): (Vec<&Agent>, Vec<&Agent>) =
        all.partition(|agent| !agent.unit_tests.is_empty());
    let without = without.into_iter().filter(|agent| !agent.optional);
    let without: Vec<String> = without.map(|agent| agent.name.clone()).collect();
    if with.is_empty() {
        let message = format!("no tests of {}", without.join(", "));
        return Err(Failure::new(Exit::Usage, message)
            .hint("name test files in the manifest: `unit_tests = [\"main_pc_code/tests/…\"]`"));
    }
    Ok((with, without))
}

/// Without this pytest would say so file by file, in containers.
fn files_exist(system: &System, agents: &[&Agent]) -> Result<(), Failure> {
    let files = agents
        .iter()
        .flat_map(|agent| agent.unit_tests.iter().map(move |file| (agent, file)));
    let missing: Vec<String> = files
        .filter(|(_, file)| !system.monorepo.join(file).is_file())
        .map(|(agent, file)| format!("{}: {file}", agent.name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Tests,
        "test files that the manifest names do not exist",
    )
    .detail(missing)
    .hint("correct `unit_tests`, or name agents that have tests"))
}

fn job(system: &System, tests: &Tests, agent: &Agent, options: &TestOptions) -> Job {
    let python_path = agent.env.get("PYTHONPATH");
    let env = python_path.map(|path| ("PYTHONPATH".to_owned(), path.clone()));
    Job {
        container: format!("{}-test-{}", system.name, agent.container),
        image: pointer_tag(system, &agent.image),
        networks: Vec::new(),
        env: env.into_iter().collect(),
        memory_mb: agent.memory_mb,
        cpus: None,
        pids: agent.pids,
        files: agent.unit_tests.clone(),
        options: options.pytest.clone(),
        timeout_s: tests.unit_timeout_s,
        system: None,
    }
}

/// As many at a time as there are cores; tests rarely wait.
fn side_by_side(
    app: &App,
    system: &System,
    engine: &Engine,
    jobs: &[(&Agent, Job)],
    tell: Tell<'_>,
) -> Result<Vec<Subject>, Failure> {
    let tools = &tests(system)?.image;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let slots = app.settings.jobs.map_or(cores, usize::from).min(jobs.len());
    app.ui
        .note(format!("testing {} agents, {slots} at a time", jobs.len()));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..slots {
            scope.spawn(|| {
                while let Some((agent, job)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if app.cancel.requested() {
                        return;
                    }
                    let subject = one(system, engine, tools, (agent, job), tell);
                    tell(News::Ended(&subject));
                    done.lock()
                        .expect("no panic")
                        .push((agent.name.clone(), subject));
                }
            });
        }
    });
    if app.cancel.requested() {
        return Err(Failure::interrupted("containers of tests were removed"));
    }
    let mut done = done.into_inner().expect("no panic");
    let place = |name: &String| system.agents.iter().position(|agent| agent.name == *name);
    done.sort_by_key(|(name, _)| place(name));
    Ok(done.into_iter().map(|(_, subject)| subject).collect())
}

fn one(
    system: &System,
    engine: &Engine,
    tools: &str,
    (agent, job): (&Agent, &Job),
    tell: Tell<'_>,
) -> Subject {
    let started = Instant::now();
    let spec = testing::container(system, tools, job);
    let show = |event| tell(News::Event(&agent.name, event));
    let ended = pytest::run(engine, &spec, job.timeout_s, &show);
    let elapsed_ms = started.elapsed().as_millis() as u64;
    Subject::new(&agent.name, None, ended, elapsed_ms)
}
