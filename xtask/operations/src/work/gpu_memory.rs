//! Who uses how much of the GPUs' memory: now, as declared, and at most while it
//! is watched.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use diagnostics::{Exit, Failure};
use model::{
    plan::{State, gpus::Gpus},
    system::System,
};

use super::{app::App, choose::running, failures::podman_failure};
use crate::{
    host::{
        gpu::{
            facts::{self, GpuFacts},
            smi::{self, Asked},
            vram::{self, Budget, Used},
        },
        look::root as host_root,
    },
    podman::{
        Engine,
        observe::{self, Ask},
    },
};

const EVERY: Duration = Duration::from_secs(1);
/// How often Ctrl-C is looked for in between.
const SLICE: Duration = Duration::from_millis(50);

pub fn look_around(engine: &Engine) -> Result<State, Failure> {
    let ask = Ask {
        containers: true,
        images: true,
        ..Ask::default()
    };
    observe::observe(&engine.podman, ask).map_err(podman_failure)
}

/// GPU memory that agents hold now, by GPU and agent.
pub fn used_now(system: &System, state: &State, facts: &GpuFacts) -> Used {
    let processes = facts.processes.answer().map_or(&[][..], Vec::as_slice);
    owned(system, state, processes)
}

pub fn owned(system: &System, state: &State, processes: &[smi::Process]) -> Used {
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

pub fn budgets(
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

/// The highest use of each agent on each GPU within so many seconds.
///
/// # Errors
/// podman or `nvidia-smi` fails, or Ctrl-C.
pub fn peaks(app: &App, engine: &Engine, system: &System, seconds: u64) -> Result<Used, Failure> {
    app.ui.note(format!("watching GPU memory for {seconds} s"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut peaks = Used::new();
    loop {
        let started = Instant::now();
        let processes = match smi::processes(&app.cancel) {
            _ if app.cancel.requested() => return Err(Failure::interrupted("nothing was changed")),
            Asked::Answered(processes) => processes,
            asked => return Err(silent(&asked)),
        };
        // Asked anew each time: an agent may have been restarted.
        let state = look_around(engine)?;
        vram::raise(&mut peaks, owned(system, &state, &processes));
        let next = (started + EVERY).min(end);
        while Instant::now() < next {
            if app.cancel.requested() {
                return Err(Failure::interrupted("nothing was changed"));
            }
            std::thread::sleep(SLICE.min(next.saturating_duration_since(Instant::now())));
        }
        if Instant::now() >= end {
            return Ok(peaks);
        }
    }
}

fn silent<T>(asked: &Asked<T>) -> Failure {
    let why = match asked {
        Asked::NotInstalled => "it is not installed".to_owned(),
        Asked::TimedOut { deadline_ms } => format!("no answer within {} s", deadline_ms / 1_000),
        Asked::Failed(why) | Asked::Garbage(why) => why.clone(),
        Asked::Answered(_) => String::new(),
    };
    Failure::new(
        Exit::Findings,
        "nvidia-smi does not tell who uses GPU memory",
    )
    .detail([why])
    .hint("`cargo xtask check-gpu` without --learn says what is wrong")
}
