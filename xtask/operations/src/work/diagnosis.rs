//! Why agents are not well: what `doctor` sees of them, with what their code and
//! images say.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use diagnostics::{Exit, Failure, names::some};
use model::{
    plan::{State, label, pointer_tag},
    system::System,
};
use serde::Serialize;

use super::{app::App, choose::select, import_check::Questions, project::Project, secrets};
use crate::{
    doctor::{
        self, Diagnosis, Verdict,
        evidence::{Evidence, ImportedPackage, Imports, Look},
    },
    podman::observe::Ask,
    scan::{self, AgentScan},
};

/// podman gets this long to list and inspect; if it needs longer, that is the
/// trouble to look into first.
const PATIENCE_MS: u64 = 8_000;

/// The end of `doctor`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DoctorReport {
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// Time that all of it took, in ms.
    pub elapsed_ms: u64,
}

/// Looks at agents, and at those around them; without names at all, optional
/// ones only if they have a container.
pub fn diagnose(app: &App, project: &Project, names: &[String]) -> Result<DoctorReport, Failure> {
    let started = Instant::now();
    let system = &project.system;
    select(system, names, true)?;
    let engine = app.engine_within(system, PATIENCE_MS, false)?;
    let ask = Ask {
        containers: true,
        images: true,
        secrets: secrets::used(system),
        ..Ask::default()
    };
    let mut state = app.look(&engine, system, ask)?;
    state.known = secrets::look(system, &state);
    let asked = asked(system, &state, names)?;
    let agents = doctor::around(system, &asked);
    let request = doctor::GatherRequest {
        engine: &engine,
        system,
        state: &state,
        agents: &agents,
    };
    let (evidence, facts) = std::thread::scope(|scope| {
        let evidence = scope.spawn(|| doctor::gather(&request));
        // The scan shares what it has read within its own thread.
        let facts = facts(project, &state, &asked);
        (evidence.join().expect("looks do not panic"), facts)
    });
    if app.cancel.requested() {
        return Err(Failure::interrupted("nothing was changed"));
    }
    Ok(DoctorReport {
        diagnosis: doctor::diagnose(&with_facts(evidence, facts?)),
        elapsed_ms: started.elapsed().as_millis() as u64,
    })
}

/// Sick agents fail the command; limited ones say that they are healthy.
pub fn verdict(diagnosis: &Diagnosis) -> Result<(), Failure> {
    let sick: Vec<&str> = diagnosis
        .agents
        .iter()
        .filter(|agent| agent.verdict == Verdict::Sick)
        .map(|agent| agent.name.as_str())
        .collect();
    if sick.is_empty() {
        return Ok(());
    }
    let names = some(sick.iter().copied());
    Err(
        Failure::new(Exit::Unhealthy, format!("not healthy: {names}"))
            .hint("docs/troubleshooting.md explains every cause"),
    )
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

fn facts(project: &Project, state: &State, asked: &BTreeSet<String>) -> Result<Facts, Failure> {
    let scans = project.scans()?;
    let questions = Questions::about(scans.iter());
    let known = questions.known(&project.system, state)?;
    let provided = &project.requirements().provided;
    let imports = scans
        .iter()
        .filter(|agent| asked.contains(&agent.name) && !agent.missing)
        .map(|agent| {
            let sources = project.sources();
            let findings = scan::check::check(&project.system, &[agent], sources, provided);
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
        outdated: outdated(project, state),
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
                let behind = ImportedPackage {
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
fn outdated(project: &Project, state: &State) -> Look<BTreeMap<String, bool>> {
    let agents = project.system.agents.iter();
    let used: BTreeSet<&str> = agents
        .map(|agent| agent.image.as_str())
        .filter(|name| {
            state
                .images
                .contains_key(&pointer_tag(&project.system, name))
        })
        .collect();
    let used: Vec<&str> = used.into_iter().collect();
    let hashes = match project.inputs_of(&used) {
        Ok(hashes) => hashes,
        Err(failure) => return Look::Failed(failure.message),
    };
    let old = |name: &str| {
        let found = &state.images[&pointer_tag(&project.system, name)];
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
