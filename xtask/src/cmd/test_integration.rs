//! `test-integration`: scripts of tests in containers among the live agents,
//! on the backbone or in the place of a group's agent. `--isolated` deploys a
//! second copy of the system for them, and removes it whatever happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use serde_json::{Value, json};

use super::{
    App, deploy, down, health_check, podman_failure, running, select,
    test_report::{self, Subject},
    test_unit::{How, prepare, tests},
};
use crate::podman::{
    Engine, argv,
    observe::{self, Ask},
    pytest,
};
use diagnostics::{Exit, Failure, names::nearest_or_all};
use model::{
    plan::testing::{self, Job},
    system::{self, Agent, Group, NetworkMode, Suite, System},
};
use process::Cancel;

/// What a container of tests on the backbone may use.
const MEMORY_MB: u64 = 1024;
const PIDS: u32 = 512;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Suites of the manifest [default: all]
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// Deploy a second copy of the system, with networks, ports and volumes of
    /// its own, test that, and remove it
    #[arg(long)]
    isolated: bool,
    #[command(flatten)]
    how: How,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let started = Instant::now();
    let system = app.system()?;
    let suites = chosen(&system, &args.suites)?;
    let subjects = match args.isolated {
        true => isolated(app, &system, &suites, args)?,
        false => {
            let mut engine = app.engine(&system)?;
            let tools = BTreeSet::from([tests(&system)?.image.clone()]);
            prepare(app, &system, &mut engine, &tools)?;
            let _lock = app.lock(&system, "test-integration")?;
            all(app, &system, &mut engine, &suites, args)?
        }
    };
    if app.global.dry_run {
        return Ok(());
    }
    let folder = args.how.reports(&system, "integration");
    let elapsed_ms = started.elapsed().as_millis() as u64;
    test_report::finish(
        app,
        "test-integration",
        &folder,
        subjects,
        Vec::new(),
        elapsed_ms,
    )
}

fn chosen(system: &System, names: &[String]) -> Result<Vec<Suite>, Failure> {
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
fn all(
    app: &App,
    system: &System,
    engine: &mut Engine,
    suites: &[Suite],
    args: &Args,
) -> Result<Vec<Subject>, Failure> {
    let tools = &tests(system)?.image;
    let live = Live::look(app, system, engine)?;
    if app.global.dry_run {
        for (suite, place) in places(system, suites) {
            let spec = testing::container(system, tools, &job(system, &live, suite, place, args));
            let line = argv::run_test(&spec, &engine.quirks);
            app.ui.out(engine.podman.line(&line));
        }
        return Ok(Vec::new());
    }
    let _alone = app.lock_tests(system, "test-integration")?;
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
        let bound = place.filter(|group| group.network_mode != NetworkMode::Bridge);
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
                    testing::container(system, tools, &job(system, &live, suite, place, args));
                let show = |event| test_report::show_event(app, &title, &event);
                let ended = pytest::run(engine, &spec, suite.timeout_s, &show);
                let elapsed_ms = started.elapsed().as_millis() as u64;
                Subject::new(&suite.name, from, ended, elapsed_ms)
            }
        };
        test_report::show_end(app, &subject);
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
    let round = health_check::ask(app, engine, system, &agents)?;
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

fn job(system: &System, live: &Live, suite: &Suite, place: Option<&Group>, args: &Args) -> Job {
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
        image: suite.image.clone(),
        env,
        memory_mb: like.map_or(MEMORY_MB, |agent| agent.memory_mb),
        cpus: like.map(|agent| agent.cpus),
        pids: like.map_or(PIDS, |agent| agent.pids),
        files: vec![suite.script.clone()],
        options: args.how.options(),
        timeout_s: suite.timeout_s,
        system: Some(live.description(system, place, like, &networks)),
        networks,
    }
}

/// The networks of a container of tests: those of the group in whose place it
/// is, else the backbone, else, in a system that has none, all there are.
fn networks(system: &System, place: Option<&Group>) -> Vec<String> {
    if let Some(group) = place {
        return group
            .network
            .iter()
            .chain(&group.backbone)
            .cloned()
            .collect();
    }
    let backbone = system
        .groups
        .iter()
        .find_map(|group| group.backbone.clone());
    match backbone {
        Some(backbone) => vec![backbone],
        None => {
            let own = system
                .groups
                .iter()
                .filter_map(|group| group.network.clone());
            own.collect::<BTreeSet<String>>().into_iter().collect()
        }
    }
}

/// Where the agents that run can be reached.
struct Live {
    /// Address by network, by agent.
    addresses: BTreeMap<String, BTreeMap<String, String>>,
}

impl Live {
    fn look(app: &App, system: &System, engine: &Engine) -> Result<Self, Failure> {
        let ask = Ask {
            containers: true,
            ..Ask::default()
        };
        let state = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
        let running = running(system, &state);
        if running.is_empty() && !app.global.dry_run {
            return Err(
                Failure::new(Exit::Unhealthy, "no agent of this system is running")
                    .hint("`cargo xtask up` starts them; `--isolated` tests a copy of its own"),
            );
        }
        let names: Vec<&str> = running
            .iter()
            .map(|agent| agent.container.as_str())
            .collect();
        let found = observe::addresses(&engine.podman, &names).map_err(podman_failure)?;
        let addresses = running.iter().map(|agent| {
            let own = found.get(&agent.container).cloned().unwrap_or_default();
            (agent.name.clone(), own)
        });
        Ok(Live {
            addresses: addresses.collect(),
        })
    }

    /// Host part of an agent's address as seen from these networks.
    fn host(&self, system: &System, agent: &Agent, networks: &[String]) -> Option<String> {
        let own = self.addresses.get(&agent.name)?;
        if system.group(&agent.group).network_mode == NetworkMode::Host {
            // A name that podman puts into every container's /etc/hosts.
            return Some("host.containers.internal".to_owned());
        }
        networks
            .iter()
            .find_map(|network| own.get(network))
            .cloned()
    }

    /// `<AGENT>_ADDRESS` and `<AGENT>_HEALTH_ADDRESS` of all that can be reached.
    fn addresses(&self, system: &System, networks: &[String]) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        for agent in &system.agents {
            if let Some(host) = self.host(system, agent, networks) {
                let name = system::naming::address_variable(&agent.name);
                let stem = name.trim_end_matches("_ADDRESS").to_owned();
                env.insert(name, format!("tcp://{host}:{}", agent.port));
                let health = format!("tcp://{host}:{}", agent.health_port);
                env.insert(format!("{stem}_HEALTH_ADDRESS"), health);
            }
        }
        env
    }

    /// What tests find in the file that `TEST_SYSTEM` names; see docs/agents.md.
    fn description(
        &self,
        system: &System,
        place: Option<&Group>,
        like: Option<&Agent>,
        networks: &[String],
    ) -> Value {
        let agents = system.agents.iter().map(|agent| {
            let host = self.host(system, agent, networks);
            let address = |port: u16| host.as_ref().map(|host| format!("tcp://{host}:{port}"));
            json!({
                "name": agent.name,
                "container": agent.container,
                "group": agent.group,
                "deployed": self.addresses.contains_key(&agent.name),
                "networks": self.addresses.get(&agent.name).cloned().unwrap_or_default(),
                "port": agent.port,
                "health_port": agent.health_port,
                "address": address(agent.port),
                "health_address": address(agent.health_port),
            })
        });
        json!({
            "name": system.name,
            "from": place.map(|group| &group.name),
            "limits": {
                "memory_mb": like.map_or(MEMORY_MB, |agent| agent.memory_mb),
                "cpus": like.map(|agent| agent.cpus),
                "pids": like.map_or(PIDS, |agent| agent.pids),
            },
            "networks_here": networks,
            "agents": agents.collect::<Vec<Value>>(),
        })
    }
}

/// Deploys a copy, tests it, and removes it.
fn isolated(
    app: &App,
    original: &System,
    suites: &[Suite],
    args: &Args,
) -> Result<Vec<Subject>, Failure> {
    let mut engine = app.engine(original)?;
    let images: BTreeSet<String> = original
        .agents
        .iter()
        .filter(|agent| !agent.optional)
        .map(|agent| agent.image.clone())
        .chain(suites.iter().map(|suite| suite.image.clone()))
        .chain(tests(original)?.fill.iter().map(|fill| fill.image.clone()))
        .chain([tests(original)?.image.clone()])
        .collect();
    prepare(app, original, &mut engine, &images)?;
    let ask = Ask {
        networks: true,
        ..Ask::default()
    };
    let taken = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
    let copy = app.copy(original, &taken)?;
    let mut engine = app.engine(&copy)?;
    let _lock = app.lock(&copy, "test-integration --isolated")?;
    if !app.global.dry_run {
        // A run that was killed has left its copy.
        remove(app, &copy)?;
    }
    let chosen = select(&copy, &[], true)?;
    let result = fill(app, &copy, &mut engine)
        .and_then(|()| {
            let how = deploy::How::quick();
            deploy::converge(app, &copy, &mut engine, chosen, &how, deploy::Host::Unknown)
        })
        .and_then(|_| all(app, &copy, &mut engine, suites, args));
    if app.global.dry_run {
        return result;
    }
    app.ui.note(format!("removing the copy `{}`", copy.name));
    match (result, remove(app, &copy)) {
        (Ok(subjects), Ok(())) => Ok(subjects),
        (Ok(_), Err(failure)) => Err(failure),
        (Err(failure), removed) => Err(match removed {
            Ok(()) => failure,
            Err(left) => failure.detail([format!("and the copy was not removed: {left}")]),
        }),
    }
}

/// Puts into the copy's folders what the manifest wants to be there.
fn fill(app: &App, copy: &System, engine: &mut Engine) -> Result<(), Failure> {
    for fill in &tests(copy)?.fill {
        let spec = testing::fill(copy, fill, python_path(copy));
        if app.global.dry_run {
            let line = argv::fill_volume(&spec, &engine.quirks);
            app.ui.out(engine.podman.line(&line));
            continue;
        }
        engine.ready()?;
        app.ui
            .note(format!("filling {} by {}", fill.target, fill.script));
        pytest::fill(engine, &spec).map_err(podman_failure)?;
    }
    Ok(())
}

/// Where code is imported from, as for the agents.
fn python_path(system: &System) -> BTreeMap<String, String> {
    let first = system
        .agents
        .first()
        .and_then(|agent| agent.env.get("PYTHONPATH"));
    let path = first.map(|path| ("PYTHONPATH".to_owned(), path.clone()));
    path.into_iter().collect()
}

/// Removes a copy with everything that belongs to it. Ctrl-C does not stop
/// this: it takes seconds, and nothing of the copy must stay.
fn remove(app: &App, copy: &System) -> Result<(), Failure> {
    let app = App {
        global: app.global.clone(),
        ui: app.ui,
        cancel: Cancel::default(),
    };
    let engine = app.engine(copy)?;
    pytest::remove_left(&engine, &copy.name).map_err(podman_failure)?;
    down::remove_all(&app, copy, &engine)
}
