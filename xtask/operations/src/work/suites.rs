//! Integration tests: scripts in containers among the live agents, on the backbone
//! or in the place of a group's agent.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use diagnostics::{Exit, Failure, names::nearest_or_all};
use model::{
    plan::{
        pointer_of,
        testing::{self, Job},
    },
    system::{Agent, Group, Net, Pointer, Suite, System},
};

use super::{
    app::App,
    ask,
    exclusive::Scope,
    failures::podman_failure,
    live::{Live, MEMORY_MB, PIDS},
    test_results::{News, Subject, Tell, TestOptions},
    unit_tests::tests,
};
use crate::podman::{Engine, argv, pytest};

/// The suites that are named; all without names.
pub fn chosen(system: &System, names: &[String]) -> Result<Vec<Suite>, Failure> {
    let suites = &tests(system)?.suites;
    let known = || suites.iter().map(|suite| suite.name.as_str());
    if let Some(unknown) = names
        .iter()
        .find(|name| !known().any(|known| known == **name))
    {
        let message = format!("unknown suite `{unknown}`");
        return Err(Failure::new(Exit::Usage, message).hint(nearest_or_all(unknown, known())));
    }
    let wanted = |suite: &&Suite| names.is_empty() || names.contains(&suite.name);
    let suites: Vec<Suite> = suites.iter().filter(wanted).cloned().collect();
    if suites.is_empty() {
        return Err(
            Failure::new(Exit::Manifest, "the manifest names no integration tests")
                .hint("add `[tests.integration.NAME]`; docs/manifest.md has the fields"),
        );
    }
    let missing: Vec<String> = suites
        .iter()
        .filter(|suite| !system.monorepo.join(&suite.script).is_file())
        .map(|suite| format!("{}: {}", suite.name, suite.script))
        .collect();
    if !missing.is_empty() {
        return Err(
            Failure::new(Exit::Tests, "scripts of tests do not exist in the monorepo")
                .detail(missing)
                .hint("correct `script`, or name suites that are there"),
        );
    }
    Ok(suites)
}

/// One suite after the other: they share the agents.
pub fn all(
    app: &App,
    system: &System,
    engine: &mut Engine,
    suites: &[Suite],
    options: &TestOptions,
    tell: Tell<'_>,
) -> Result<Vec<Subject>, Failure> {
    let tools = &tests(system)?.image;
    let live = Live::look(app, system, engine)?;
    if app.settings.dry_run {
        for (suite, place) in places(system, suites) {
            let spec =
                testing::container(system, tools, &job(system, &live, suite, place, options));
            let line = argv::run_test(&spec, &engine.quirks);
            tell(News::WouldRunLine(engine.podman.line(&line)));
        }
        return Ok(Vec::new());
    }
    let _alone = app.lock(engine, system, Scope::Tests, "test-integration")?;
    engine.ready()?;
    pytest::remove_left(engine, &system.name).map_err(podman_failure)?;
    let mut subjects = Vec::new();
    for (suite, place) in places(system, suites) {
        if app.cancel.requested() {
            return Err(Failure::interrupted("containers of tests were removed"));
        }
        let from = place.map(|group| group.name.as_str());
        let title = from.map_or_else(
            || suite.name.clone(),
            |from| format!("{} from {from}", suite.name),
        );
        let started = Instant::now();
        let bound = place.filter(|group| !group.net.is_bridge());
        let unfit = match bound {
            Some(group) => Some(format!(
                "group `{}` has no network of its own to test from",
                group.name
            )),
            None => sick(app, system, engine, suite)?,
        };
        let subject = match unfit {
            Some(problem) => Subject::not_run(&suite.name, from, problem),
            None => {
                app.ui.note(format!("{title}  running"));
                let spec =
                    testing::container(system, tools, &job(system, &live, suite, place, options));
                let show = |event| tell(News::Event(&title, event));
                let ended = pytest::run(engine, &spec, suite.timeout_s, &show);
                let elapsed_ms = started.elapsed().as_millis() as u64;
                Subject::new(&suite.name, from, ended, elapsed_ms)
            }
        };
        tell(News::Ended(&subject));
        subjects.push(subject);
    }
    if app.cancel.requested() {
        return Err(Failure::interrupted("containers of tests were removed"));
    }
    Ok(subjects)
}

/// Each suite with each group in whose place it runs; `None`: the backbone.
fn places<'s>(
    system: &'s System,
    suites: &'s [Suite],
) -> impl Iterator<Item = (&'s Suite, Option<&'s Group>)> {
    suites.iter().flat_map(move |suite| {
        let groups = suite.from.iter().map(|name| Some(system.group(name)));
        let backbone = suite.from.is_empty().then_some(None);
        groups.chain(backbone).map(move |place| (suite, place))
    })
}

/// Which of the agents that a suite needs cannot be worked with, and why.
fn sick(
    app: &App,
    system: &System,
    engine: &Engine,
    suite: &Suite,
) -> Result<Option<String>, Failure> {
    let agents: Vec<&Agent> = suite
        .needs
        .iter()
        .filter_map(|name| system.agent(name))
        .collect();
    let round = ask::ask(app, engine, system, &agents)?;
    let sick: Vec<String> = round
        .agents
        .iter()
        .filter_map(|row| Some(format!("{} ({})", row.name, row.reason.as_ref()?)))
        .collect();
    if sick.is_empty() {
        return Ok(None);
    }
    let sick = sick.join(", ");
    Ok(Some(format!(
        "it needs agents that are not healthy: {sick}"
    )))
}

fn job(
    system: &System,
    live: &Live,
    suite: &Suite,
    place: Option<&Group>,
    options: &TestOptions,
) -> Job {
    let networks = networks(system, place);
    // A group's agents may differ; the first that runs stands for them.
    let like = place.and_then(|group| {
        let members = || system.members(&group.name);
        members().find(|agent| !agent.optional).or(members().next())
    });
    let mut env = live.addresses(system, &networks);
    env.extend(python_path(system));
    let mut container = format!("{}-test-{}", system.name, suite.name);
    if let Some(group) = place {
        container.push_str(&format!("-{}", group.name));
    }
    Job {
        container,
        image: image(system, suite),
        env,
        memory_mb: like.map_or(MEMORY_MB, |agent| agent.memory_mb),
        cpus: like.map(|agent| agent.cpus),
        pids: like.map_or(PIDS, |agent| agent.pids),
        files: vec![suite.script.clone()],
        options: options.pytest.clone(),
        timeout_s: suite.timeout_s,
        system: Some(live.description(system, place, like, &networks)),
        networks,
    }
}

/// Among the live agents a suite runs in what these are released in; only a
/// copy runs in what is tested.
fn image(system: &System, suite: &Suite) -> String {
    let pointer = match system.is_copy() {
        true => Pointer::Test,
        false => Pointer::Latest,
    };
    pointer_of(system, &suite.image, pointer)
}

/// The networks of a container of tests: those of the group in whose place it
/// is, else the backbone, else, in a system that has none, all there are.
fn networks(system: &System, place: Option<&Group>) -> Vec<String> {
    if let Some(group) = place {
        return group.net.joined().cloned().collect();
    }
    let mut nets = system.groups.iter().map(|group| &group.net);
    match nets.find_map(Net::backbone) {
        Some(backbone) => vec![backbone.clone()],
        None => {
            let nets = system.groups.iter().map(|group| &group.net);
            let own = nets.filter_map(Net::own).cloned();
            own.collect::<BTreeSet<String>>().into_iter().collect()
        }
    }
}

/// Where code is imported from, as for the agents.
pub fn python_path(system: &System) -> BTreeMap<String, String> {
    let first = system
        .agents
        .first()
        .and_then(|agent| agent.env.get("PYTHONPATH"));
    let path = first.map(|path| ("PYTHONPATH".to_owned(), path.clone()));
    path.into_iter().collect()
}
