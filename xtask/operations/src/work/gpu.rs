//! Driver, GPUs, CDI and GPU memory: the whole check, with a container as proof,
//! and the preflight of commands that give GPUs to agents.

use std::collections::BTreeSet;

use diagnostics::{Exit, Failure};
use model::{
    plan::{
        PlanError, State,
        gpus::{self, CDI_KIND, Gpus},
        pointer_tag,
    },
    system::System,
};
use serde::Serialize;

use super::{
    app::{App, PATIENCE_MS},
    choose::select,
    gpu_memory::{budgets, look_around, peaks, used_now},
    toolchain,
};
use crate::{
    host::{
        findings::{HostFinding, HostSeverity, worst},
        gpu::{
            self,
            diagnose::{self, Wanted, proof},
            facts::{self, GpuFacts},
            fix,
            vram::{self, Budget, Used},
        },
        look::root as host_root,
    },
    podman::{Engine, PodmanError, caps::Version, gpu::look, quirks::PROBE_IMAGE},
};

/// Devices that are proven, of as many as the agents are given.
const PROOFS: usize = 8;

/// How `check-gpu` is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct GpuQuestion {
    /// No GPU is an error.
    pub require: bool,
    /// First make the CDI specification anew.
    pub fix: bool,
    /// Watch the agents' use of GPU memory for so many seconds.
    pub learn_s: Option<u64>,
}

/// The end of `check-gpu`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GpuReport {
    /// Worst severity of all findings.
    pub severity: HostSeverity,
    /// All of them, good ones too.
    pub findings: Vec<HostFinding>,
    /// Each GPU that containers can be given, and who is given it.
    pub gpus: Vec<Budget>,
    /// What `--learn` has seen; left out where nothing was watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned: Option<Vec<Learned>>,
    /// The command of `--fix`; left out without that option.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// That command was only told.
    #[serde(skip)]
    pub fix_told: bool,
    /// How long use of memory was watched.
    #[serde(skip)]
    pub learned_s: u64,
}

/// What an agent was seen to use.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Learned {
    /// As in the manifest.
    pub agent: String,
    /// The most that it was seen to use, in MB of 2^20 bytes.
    pub peak_mb: u64,
    /// What to put into the manifest as its `vram_mb`.
    pub vram_mb: u64,
}

/// Everything that is known of the GPUs, and what containers see of them.
pub fn check(app: &App, system: &System, question: GpuQuestion) -> Result<GpuReport, Failure> {
    let mut facts = facts::gather(&host_root(), &app.cancel);
    let fixed = question.fix.then(|| fix::line(facts.driver.as_deref()));
    if let Some(line) = fixed.as_ref().filter(|_| !app.settings.dry_run) {
        app.ui.note(format!("$ {line}"));
        fix::generate(facts.driver.as_deref(), &app.cancel)?;
        facts = facts::gather(&host_root(), &app.cancel);
    }
    let (mut engine, mut findings) = match app.engine_within(system, PATIENCE_MS, false) {
        Ok(engine) => (Some(engine), Vec::new()),
        Err(failure) if failure.exit == Exit::Engine => {
            (None, vec![toolchain::from_failure("podman", &failure)])
        }
        Err(failure) => return Err(failure),
    };
    let offered = gpu::offered_by(&facts.specs);
    let state = match &engine {
        Some(engine) if !offered.is_empty() => look_around(engine)?,
        _ => State::default(),
    };
    let seen = match (question.learn_s, &engine) {
        (Some(seconds), Some(engine)) if !app.settings.dry_run => {
            Some(peaks(app, engine, system, seconds)?)
        }
        _ => None,
    };
    let used = used_now(system, &state, &facts);
    let chosen = select(system, &[], true)?;
    let budgets = budgets(system, &offered, &facts, &used, seen.as_ref(), &chosen);
    let wanted = Wanted {
        cuda: gpu::locked_cuda(system),
        system,
        chosen,
        require: question.require,
    };
    let podman = podman(engine.as_ref());
    findings.extend(diagnose::diagnose(
        &facts, &podman, &wanted, &offered, &budgets,
    ));
    if let Some(engine) = engine.as_mut().filter(|_| !app.settings.dry_run) {
        findings.extend(prove(engine, &wanted, &state, &facts, &offered)?);
    }
    Ok(GpuReport {
        severity: worst(&findings),
        findings,
        gpus: budgets,
        learned: seen.as_ref().map(learned),
        fix: fixed,
        fix_told: app.settings.dry_run,
        learned_s: question.learn_s.unwrap_or(0),
    })
}

fn learned(peaks: &Used) -> Vec<Learned> {
    let proposals = vram::proposals(peaks).into_iter();
    let proposals = proposals.map(|(agent, (peak_mb, vram_mb))| Learned {
        agent,
        peak_mb,
        vram_mb,
    });
    proposals.collect()
}

/// What `up` and `deploy` ask before they give GPUs to these agents: errors
/// stop those agents, warnings are shown. A system whose agents are given none is not asked.
pub fn preflight(
    app: &App,
    engine: &Engine,
    system: &System,
    state: &State,
    chosen: &BTreeSet<String>,
) -> Result<Vec<PlanError>, Failure> {
    let offered = gpu::offered(&host_root());
    let assigned = gpus::assigned(system, &offered);
    if !chosen.iter().any(|name| assigned.contains_key(name)) {
        return Ok(Vec::new());
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
    // Who is given no GPU need not wait for one.
    let given = || chosen.iter().filter(|name| assigned.contains_key(*name));
    let findings = findings.into_iter().flat_map(|finding| {
        let all: Vec<HostFinding> = match finding.severity {
            HostSeverity::Error => given().map(|agent| finding.clone().of(agent)).collect(),
            _ => vec![finding],
        };
        all
    });
    toolchain::stop_or_warn(app, findings.collect())
}

/// Without podman, one that nothing can be held against.
fn podman(engine: Option<&Engine>) -> diagnose::PodmanFacts {
    engine.map_or_else(
        || diagnose::PodmanFacts {
            version: Version::new(u32::MAX, 0, 0),
            rootless: !rustix::process::geteuid().is_root(),
            runtime: String::new(),
            cgroup_manager: String::new(),
        },
        |engine| diagnose::PodmanFacts {
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
) -> Result<Vec<HostFinding>, Failure> {
    if offered.units.is_empty() {
        return Ok(Vec::new());
    }
    match engine.ready() {
        Ok(()) => {}
        Err(failure) if failure.exit == Exit::Engine => {
            return Ok(vec![toolchain::from_failure("engine-runs", &failure)]);
        }
        Err(failure) => return Err(failure),
    }
    let image = proof_image(wanted, state);
    let mut found = Vec::new();
    for expected in expectations(wanted, facts, offered) {
        let device = format!("{CDI_KIND}={}", expected.device);
        match look(engine, &image, &device) {
            Ok(seen) => found.push(proof::judge(&expected, &image, &seen)),
            Err(PodmanError::Interrupted) => {
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
        .map(|name| pointer_tag(wanted.system, name))
        .find(|tag| state.images.contains_key(tag))
        .unwrap_or_else(|| PROBE_IMAGE.to_owned())
}
