//! `check-gpu`: driver, GPUs, CDI and GPU memory, and a container as proof.

mod learn;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use super::{App, check_toolchain, podman_failure, running, select};
use crate::{
    host::{
        findings::Finding,
        gpu::{
            self,
            diagnose::{self, Wanted, proof},
            facts::{self, GpuFacts},
            fix, smi,
            vram::{self, Budget, Used},
        },
        look::root as host_root,
    },
    podman::{
        Engine,
        caps::Version,
        gpu::look,
        observe::{self, Ask},
        quirks::PROBE_IMAGE,
    },
};
use diagnostics::{Exit, Failure};
use model::{
    plan::{
        State,
        gpus::{self, CDI_KIND, Gpus},
        image_tag,
    },
    system::System,
};

/// Devices that are proven, of as many as the agents are given.
const PROOFS: usize = 8;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fail on a host without a GPU
    #[arg(long)]
    require: bool,
    /// First make the CDI specification anew: nvidia-ctk cdi generate (as root)
    #[arg(long)]
    fix: bool,
    /// Watch the agents' use of GPU memory for so long and propose `vram_mb`
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    learn: Option<u64>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let mut facts = facts::gather(&host_root(), &app.cancel);
    let fixed = args.fix.then(|| fix::line(facts.driver.as_deref()));
    if let Some(line) = &fixed {
        match app.global.dry_run {
            true if app.ui.json_wanted() => {}
            true => app.ui.out(format!("# would be run\n{line}")),
            false => {
                app.ui.note(format!("$ {line}"));
                fix::generate(facts.driver.as_deref(), &app.cancel)?;
                facts = facts::gather(&host_root(), &app.cancel);
            }
        }
    }
    let (mut engine, mut findings) =
        match app.engine_within(&system, check_toolchain::PATIENCE_MS, false) {
            Ok(engine) => (Some(engine), Vec::new()),
            Err(failure) if failure.exit == Exit::Engine => (
                None,
                vec![check_toolchain::from_failure("podman", &failure)],
            ),
            Err(failure) => return Err(failure),
        };
    let offered = gpu::offered_by(&facts.specs);
    let state = match &engine {
        Some(engine) if !offered.is_empty() => look_around(engine)?,
        _ => State::default(),
    };
    let peaks = match (args.learn, &engine) {
        (Some(seconds), Some(engine)) if !app.global.dry_run => {
            Some(learn::peaks(app, engine, &system, seconds)?)
        }
        _ => None,
    };
    let used = used_now(&system, &state, &facts);
    let chosen = select(&system, &[], true)?;
    let budgets = budgets(&system, &offered, &facts, &used, peaks.as_ref(), &chosen);
    let wanted = Wanted {
        cuda: gpu::locked_cuda(&system),
        system: &system,
        chosen,
        require: args.require,
    };
    let podman = podman(engine.as_ref());
    findings.extend(diagnose::diagnose(
        &facts, &podman, &wanted, &offered, &budgets,
    ));
    if let Some(engine) = engine.as_mut().filter(|_| !app.global.dry_run) {
        findings.extend(prove(engine, &wanted, &state, &facts, &offered)?);
    }
    let result = show::Result {
        findings: &findings,
        budgets: &budgets,
        learned: peaks.as_ref().map(vram::proposals),
        fix: fixed,
    };
    show::show(app, &result, args.learn);
    check_toolchain::verdict(&findings)
}

/// What `up` and `deploy` ask before they give GPUs to these agents: errors
/// stop, warnings are shown. A system whose agents are given none is not asked.
pub fn preflight(
    app: &App,
    engine: &Engine,
    system: &System,
    state: &State,
    chosen: &BTreeSet<String>,
) -> Result<(), Failure> {
    let offered = gpu::offered(&host_root());
    let assigned = gpus::assigned(system, &offered);
    if !chosen.iter().any(|name| assigned.contains_key(name)) {
        return Ok(());
    }
    let facts = facts::gather(&host_root(), &app.cancel);
    let used = used_now(system, state, &facts);
    let budgets = budgets(system, &offered, &facts, &used, None, chosen);
    let wanted = Wanted {
        cuda: gpu::locked_cuda(system),
        system,
        chosen: chosen.clone(),
        require: false,
    };
    let podman = podman(Some(engine));
    let findings = diagnose::diagnose(&facts, &podman, &wanted, &offered, &budgets);
    check_toolchain::stop_or_warn(app, &findings)
}

fn look_around(engine: &Engine) -> Result<State, Failure> {
    let ask = Ask {
        containers: true,
        images: true,
        ..Ask::default()
    };
    observe::observe(&engine.podman, ask).map_err(podman_failure)
}

/// GPU memory that agents hold now, by GPU and agent.
fn used_now(system: &System, state: &State, facts: &GpuFacts) -> Used {
    let processes = facts.processes.answer().map_or(&[][..], Vec::as_slice);
    owned(system, state, processes)
}

fn owned(system: &System, state: &State, processes: &[smi::Process]) -> Used {
    let containers: BTreeMap<u32, String> = running(system, state)
        .into_iter()
        .filter_map(|agent| {
            let container = state.containers.get(&agent.container)?;
            (container.pid > 0).then(|| (container.pid, agent.name.clone()))
        })
        .collect();
    let owners = facts::owners(&host_root(), processes, &containers);
    smi::used_by_owner(processes, &owners)
}

fn budgets(
    system: &System,
    offered: &Gpus,
    facts: &GpuFacts,
    used: &Used,
    peaks: Option<&Used>,
    chosen: &BTreeSet<String>,
) -> Vec<Budget> {
    let known = facts.smi.answer().map_or(&[][..], Vec::as_slice);
    vram::budgets(system, offered, known, used, peaks, chosen)
}

/// Without podman, one that nothing can be held against.
fn podman(engine: Option<&Engine>) -> diagnose::Podman {
    engine.map_or_else(
        || diagnose::Podman {
            version: Version::new(u32::MAX, 0, 0),
            rootless: !rustix::process::geteuid().is_root(),
            runtime: String::new(),
            cgroup_manager: String::new(),
        },
        |engine| diagnose::Podman {
            version: engine.facts.version,
            rootless: engine.facts.rootless,
            runtime: engine.facts.runtime.clone(),
            cgroup_manager: engine.facts.cgroup_manager.clone(),
        },
    )
}

/// Runs a container for each GPU that agents are given, or for the first one.
fn prove(
    engine: &mut Engine,
    wanted: &Wanted<'_>,
    state: &State,
    facts: &GpuFacts,
    offered: &Gpus,
) -> Result<Vec<Finding>, Failure> {
    if offered.units.is_empty() {
        return Ok(Vec::new());
    }
    match engine.ready() {
        Ok(()) => {}
        Err(failure) if failure.exit == Exit::Engine => {
            return Ok(vec![check_toolchain::from_failure("engine-runs", &failure)]);
        }
        Err(failure) => return Err(failure),
    }
    let image = proof_image(wanted, state);
    let mut found = Vec::new();
    for expected in expectations(wanted, facts, offered) {
        let device = format!("{CDI_KIND}={}", expected.device);
        match look(engine, &image, &device) {
            Ok(seen) => found.push(proof::judge(&expected, &image, &seen)),
            Err(crate::podman::PodmanError::Interrupted) => {
                return Err(Failure::interrupted("nothing was changed"));
            }
            // The next one would only wait for the same.
            Err(error) => {
                found.push(proof::not_run(&expected.device, &error.reason()));
                break;
            }
        }
    }
    Ok(found)
}

fn expectations(wanted: &Wanted<'_>, facts: &GpuFacts, offered: &Gpus) -> Vec<proof::Expected> {
    let mut assigned = gpus::assigned(wanted.system, offered);
    assigned.retain(|agent, _| wanted.chosen.contains(agent));
    let given: BTreeSet<&String> = assigned.values().flatten().collect();
    let units = offered.units.iter();
    let mut units: Vec<&gpus::Unit> = units
        .filter(|unit| unit.names.iter().any(|name| given.contains(name)))
        .take(PROOFS)
        .collect();
    if units.is_empty() {
        units.extend(offered.units.first());
    }
    let known = facts.smi.answer().map_or(&[][..], Vec::as_slice);
    let expected = units.into_iter().map(|unit| proof::Expected {
        device: unit.name.clone(),
        uuid: known
            .iter()
            .find(|gpu| vram::means(unit, gpu))
            .map(|gpu| gpu.uuid.clone()),
        nodes: gpu::nodes_of(&facts.specs, &unit.name),
    });
    expected.collect()
}

/// The image of an agent with a GPU, if there is one: it has the libraries that
/// `nvidia-smi` needs.
fn proof_image(wanted: &Wanted<'_>, state: &State) -> String {
    let agents = wanted.system.agents.iter();
    let agents = agents.filter(|agent| agent.gpu.is_some());
    let images = agents.map(|agent| agent.image.as_str());
    let candidates = images.chain([wanted.system.base.name.as_str()]);
    candidates
        .map(image_tag)
        .find(|tag| state.images.contains_key(tag))
        .unwrap_or_else(|| PROBE_IMAGE.to_owned())
}
