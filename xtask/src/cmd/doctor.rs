//! `doctor`: why agents are not well, and what to do next.
//!
//! It changes nothing. In the containers of agents that run it starts a short
//! program, which only looks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Instant,
};

use super::{
    App,
    code::{self, Code},
    doctor_report,
    import_check::Questions,
    select,
};
use crate::{
    doctor::{
        self,
        evidence::{Evidence, Imports, Look, Package},
    },
    host::recipes,
    podman::observe::Ask,
    scan::{self, AgentScan},
};
use diagnostics::Failure;
use model::{
    plan::{State, image_tag, label},
    system::System,
};

/// podman gets this long to list and inspect; if it needs longer, that is the
/// trouble to look into first.
const PATIENCE_MS: u64 = 8_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups; with names every check is shown [default: all, optional ones only if
    /// they have a container]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let started = Instant::now();
    let system = app.system()?;
    select(&system, &args.names, true)?;
    let engine = app.engine_within(&system, PATIENCE_MS, false)?;
    let ask = Ask {
        containers: true,
        images: true,
        ..Ask::default()
    };
    let state = app.look(&engine, &system, ask)?;
    let asked = asked(&system, &state, &args.names)?;
    let agents = doctor::around(&system, &asked);
    let request = doctor::Request {
        engine: &engine,
        system: &system,
        state: &state,
        agents: &agents,
    };
    let (evidence, facts) = std::thread::scope(|scope| {
        let evidence = scope.spawn(|| doctor::gather(&request));
        // The scan shares what it has read within its own thread.
        let facts = facts(app, &system, &state, &asked);
        (evidence.join().expect("looks do not panic"), facts)
    });
    if app.cancel.requested() {
        return Err(Failure::interrupted("nothing was changed"));
    }
    let evidence = with_facts(evidence, facts?);
    let diagnosis = doctor::diagnose(&evidence);
    let report = doctor_report::Report {
        diagnosis: &diagnosis,
        elapsed_ms: started.elapsed().as_millis() as u64,
        in_full: !args.names.is_empty(),
    };
    doctor_report::show(app, &report);
    doctor_report::verdict(&diagnosis)
}

fn asked(system: &System, state: &State, names: &[String]) -> Result<BTreeSet<String>, Failure> {
    let mut asked = select(system, names, true)?;
    if names.is_empty() {
        let present = system.agents.iter().filter(|agent| {
            let found = state.containers.get(&agent.container);
            found.is_some_and(|found| found.belongs_to(&system.name))
        });
        asked.extend(present.map(|agent| agent.name.clone()));
    }
    Ok(asked)
}

/// What the code says: imports by agent, and whether images are out of date.
struct Facts {
    imports: BTreeMap<String, Imports>,
    outdated: Look<BTreeMap<String, bool>>,
}

fn facts(
    app: &App,
    system: &System,
    state: &State,
    asked: &BTreeSet<String>,
) -> Result<Facts, Failure> {
    let code = Code::load(app, system)?;
    let sources = code::sources(system);
    let agents = code.agents(system, &sources, &|_| true);
    let questions = Questions::about(&agents);
    let known = questions.known(state);
    let imports = agents
        .iter()
        .filter(|agent| asked.contains(&agent.name) && !agent.missing)
        .map(|agent| {
            let alone = std::slice::from_ref(agent);
            let findings = scan::check::check(system, alone, &sources, &code.provided);
            let problems = scan::check::stopping(&findings)
                .map(|one| format!("{}:{}: {} [{}]", one.file, one.line, one.message, one.id));
            let proven = known.contains(agent.manifest_image.as_str());
            (
                agent.name.clone(),
                imports(agent, problems.collect(), proven),
            )
        })
        .collect();
    Ok(Facts {
        imports,
        outdated: outdated(system, state, &agents),
    })
}

fn imports(agent: &AgentScan, problems: Vec<String>, proven: bool) -> Imports {
    let hard = agent.packages.iter().filter(|package| package.hard);
    let packages = hard.count();
    Imports {
        problems,
        packages,
        proven: proven || packages == 0,
        known: agent
            .packages
            .iter()
            .map(|package| {
                let behind = Package {
                    name: package.distribution.clone(),
                    in_image: package.in_image,
                };
                (package.import.clone(), behind)
            })
            .collect(),
        lost: agent
            .unresolved
            .iter()
            .map(|lost| (lost.name.clone(), lost.nearest.clone()))
            .collect(),
    }
}

/// By image, whether its sources are others than it was built from.
fn outdated(system: &System, state: &State, agents: &[AgentScan]) -> Look<BTreeMap<String, bool>> {
    let text = |path: &str| fs::read(system.monorepo.join(path)).ok();
    let left_out = scan::left_out(system, agents, &text);
    let used: BTreeSet<&str> = system
        .agents
        .iter()
        .map(|agent| agent.image.as_str())
        .filter(|name| state.images.contains_key(&image_tag(name)))
        .collect();
    let used: Vec<&str> = used.into_iter().collect();
    let hashes = match recipes::inputs_of(system, &left_out, &used) {
        Ok(hashes) => hashes,
        Err(error) => {
            let (path, error) = (error.path.display(), &error.error);
            return Look::Failed(format!("{path}: {error}"));
        }
    };
    let old = |name: &str| {
        let found = &state.images[&image_tag(name)];
        found.labels.get(label::INPUTS) != hashes.get(name)
    };
    Look::Seen(
        used.into_iter()
            .map(|name| (name.to_owned(), old(name)))
            .collect(),
    )
}

fn with_facts(mut evidence: Evidence, mut facts: Facts) -> Evidence {
    for agent in &mut evidence.agents {
        let name = &agent.wanted.name;
        agent.imports = match facts.imports.remove(name) {
            Some(imports) => Look::Seen(imports),
            None => Look::NotNeeded,
        };
        agent.image.outdated = match &facts.outdated {
            Look::Seen(all) => all
                .get(&agent.wanted.image)
                .map_or(Look::NotNeeded, |old| Look::Seen(*old)),
            Look::Failed(why) => Look::Failed(why.clone()),
            Look::NotNeeded => Look::NotNeeded,
        };
    }
    evidence
}
