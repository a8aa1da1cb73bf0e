//! Looks at agents: podman's records, the kernel's tables, the agents' replies,
//! and a program inside each container. Decides nothing.
//!
//! Every look is bounded in time, and all of them run side by side, so that one
//! that hangs costs its own bound and no more.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use health::{self, Probe, Target};
use model::{
    plan::{
        State, agents, label,
        released::released,
        spec::{self, ContainerSpec},
        state::{Container, Status},
    },
    system::{Agent, System},
};

use super::{
    evidence::{AgentEvidence, Evidence, Exchange, ImageState, Look, Standing},
    log,
    wanted::{question, sources, wanted},
};
use crate::{
    carry_out,
    host::{
        kernel_log::{self, Kills},
        ports,
        usage::{self, Usage},
    },
    podman::{
        Engine, PodmanError,
        caps::Version,
        inspect::{self, Details, Inside},
    },
};

/// For the program inside a container, its start included.
const INSIDE_MS: u64 = 4_000;
/// Enough for a long traceback.
const LOG_LINES: usize = 80;
/// podman calls at the same time; more than these only wait for each other.
const AT_ONCE: usize = 6;
/// A look inside takes this much of the container's own memory and processes:
/// an interpreter, and a thread per question.
const LOOK_TAKES_MB: u64 = 24;
const LOOK_TAKES_PIDS: u64 = 24;
/// From about here on podman cleans up after a container once, stopped or not
/// (podman pull request 18462).
const CLEANS_UP_ONCE: Version = Version::new(4, 5, 0);
/// Seconds that two clocks of one event may differ.
const SLACK_S: i64 = 2;

/// What to look at.
#[derive(Debug, Clone, Copy)]
pub struct GatherRequest<'a> {
    pub engine: &'a Engine,
    pub system: &'a System,
    /// The engine's listing, devices of the host included.
    pub state: &'a State,
    /// Agents and whether they were asked for; see `around`.
    pub agents: &'a [(&'a Agent, bool)],
}

/// Looks at all of them. Imports and the age of images are left for the caller,
/// who knows the code.
pub fn gather(request: &GatherRequest<'_>) -> Evidence {
    let podman = &request.engine.podman;
    let found: Vec<Option<&Container>> = request
        .agents
        .iter()
        .map(|(agent, _)| {
            let container = request.state.containers.get(&agent.container);
            container.filter(|container| container.belongs_to(&request.system.name))
        })
        .collect();
    let bulk = std::thread::scope(|scope| {
        let details = scope.spawn(|| details(request, &found));
        let told = scope.spawn(|| told_to_stop(request, &found));
        let kills = scope.spawn(|| match found.iter().flatten().any(|one| has_ended(one)) {
            true => Some(kernel_log::memory_kills()),
            false => None,
        });
        let inside = scope.spawn(|| inside(request, &found));
        let probes = probes(request, &found);
        let (inside, usages) = inside.join().expect("looks do not panic");
        Bulk {
            details: details.join().expect("looks do not panic"),
            told: told.join().expect("looks do not panic"),
            kills: kills.join().expect("looks do not panic"),
            inside,
            usages,
            probes,
        }
    });
    let mut agents: Vec<AgentEvidence> = Vec::new();
    let Bulk { inside, usages, .. } = &bulk;
    for (index, (agent, asked)) in request.agents.iter().enumerate() {
        let mut one = one(request, agent, *asked, found[index], &bulk, index);
        one.inside = inside[index].clone();
        one.usage = usages[index].clone();
        agents.push(one);
    }
    let sick: Vec<usize> = (0..agents.len())
        .filter(|index| !agents[*index].healthy() && found[*index].is_some())
        .collect();
    let logs = side_by_side(&sick, |index| {
        carry_out::log_lines(podman, &request.agents[*index].0.container, LOG_LINES)
    });
    for (index, lines) in sick.into_iter().zip(logs) {
        agents[index].log = match lines {
            Ok(lines) => Look::Seen(log::read(lines)),
            Err(error) => Look::Failed(words(&error)),
        };
    }
    Evidence {
        agents,
        now_s: request.state.now_s,
    }
}

/// What was looked at for all agents at once.
struct Bulk {
    details: Result<BTreeMap<String, Details>, String>,
    told: Option<Result<BTreeMap<String, i64>, String>>,
    kills: Option<Result<Kills, String>>,
    inside: Vec<Look<Inside>>,
    usages: Vec<Look<Usage>>,
    probes: Vec<Option<Probe>>,
}

fn has_ended(container: &Container) -> bool {
    matches!(container.status, Status::Exited | Status::Lost)
}

fn details(
    request: &GatherRequest<'_>,
    found: &[Option<&Container>],
) -> Result<BTreeMap<String, Details>, String> {
    let names: Vec<&str> = request
        .agents
        .iter()
        .zip(found)
        .filter(|(_, found)| found.is_some())
        .map(|((agent, _), _)| agent.container.as_str())
        .collect();
    inspect::details(&request.engine.podman, &names).map_err(|error| words(&error))
}

/// Asked only if a container has ended: the others were not stopped.
fn told_to_stop(
    request: &GatherRequest<'_>,
    found: &[Option<&Container>],
) -> Option<Result<BTreeMap<String, i64>, String>> {
    let ended = found.iter().flatten().filter(|one| has_ended(one));
    let since_s = ended.map(|container| container.started_at_s).min()?;
    let ours = format!("{}={}", label::SYSTEM, request.system.name);
    let told = inspect::told_to_stop(&request.engine.podman, &ours, since_s - SLACK_S);
    Some(told.map_err(|error| words(&error)))
}

fn probes(request: &GatherRequest<'_>, found: &[Option<&Container>]) -> Vec<Option<Probe>> {
    let runs = |index: &usize| found[*index].is_some_and(Container::running);
    let running: Vec<usize> = (0..found.len()).filter(runs).collect();
    let target = |index: &usize| carry_out::target(&agents::gate(request.agents[*index].0));
    let targets: Vec<Target> = running.iter().map(target).collect();
    let cancel = &request.engine.podman.cancel;
    // Without file descriptors for a runtime nobody was asked, and that is said.
    let probes = health::probe_all(&targets, carry_out::BUDGET, || cancel.requested());
    let mut all: Vec<Option<Probe>> = vec![None; found.len()];
    for (index, probe) in running.into_iter().zip(probes.unwrap_or_default()) {
        all[index] = Some(probe);
    }
    all
}

/// A program in each container that runs and was asked for.
fn inside(
    request: &GatherRequest<'_>,
    found: &[Option<&Container>],
) -> (Vec<Look<Inside>>, Vec<Look<Usage>>) {
    let indexes: Vec<usize> = (0..found.len()).collect();
    let looks = side_by_side(&indexes, |index| {
        let (agent, asked) = request.agents[*index];
        match found[*index].filter(|container| asked && container.running()) {
            Some(container) => look_inside(request, agent, container.pid),
            None => (Look::NotNeeded, Look::NotNeeded),
        }
    });
    looks.into_iter().unzip()
}

fn look_inside(
    request: &GatherRequest<'_>,
    agent: &Agent,
    pid: u32,
) -> (Look<Inside>, Look<Usage>) {
    let usage = usage::of_process(pid);
    let look = match usage.as_ref().and_then(no_room) {
        Some(why) => Look::Failed(why),
        None => {
            let question = question(request.system, agent);
            let podman = &request.engine.podman;
            match inspect::look_inside(podman, &agent.container, &question, INSIDE_MS) {
                Ok(inside) => Look::Seen(inside),
                Err(error) => Look::Failed(words(&error)),
            }
        }
    };
    let usage = usage.map_or_else(
        || Look::Failed("its control group cannot be read from here".to_owned()),
        Look::Seen,
    );
    (look, usage)
}

/// Why nobody should start a program there: it could be the end of the agent.
fn no_room(usage: &Usage) -> Option<String> {
    let left = |used: u64, limit: Option<u64>| limit.map(|limit| limit.saturating_sub(used));
    let memory = left(usage.memory_mb, usage.memory_limit_mb);
    if let Some(left) = memory.filter(|left| *left < LOOK_TAKES_MB) {
        return Some(format!(
            "a look inside could end it, with {left} MB of memory left"
        ));
    }
    let pids = left(usage.pids, usage.pids_limit).filter(|left| *left < LOOK_TAKES_PIDS);
    pids.map(|left| format!("a look inside could end it, with {left} processes left"))
}

fn one(
    request: &GatherRequest<'_>,
    agent: &Agent,
    asked: bool,
    found: Option<&Container>,
    bulk: &Bulk,
    index: usize,
) -> AgentEvidence {
    let spec = spec::container(request.system, agent, request.state);
    let probe = bulk.probes[index].as_ref();
    let details = match (&bulk.details, found) {
        (_, None) => Look::NotNeeded,
        (Err(why), _) => Look::Failed(why.clone()),
        (Ok(all), Some(_)) => match all.get(&agent.container) {
            Some(details) => Look::Seen(details.clone()),
            None => Look::Failed("it is gone".to_owned()),
        },
    };
    let ended = found.filter(|container| has_ended(container));
    let listeners = match found.filter(|container| container.running()) {
        None => Look::NotNeeded,
        Some(container) => ports::listeners(container.pid).map_or_else(
            || Look::Failed("the kernel's tables cannot be read from here".to_owned()),
            Look::Seen,
        ),
    };
    let (status, reason) = carry_out::judge(agent.health_port, found, probe);
    AgentEvidence {
        wanted: wanted(request.system, agent, asked),
        standing: standing(request, agent, found),
        told_to_stop: told(request, since(&bulk.told, ended, &agent.container, 0)),
        // The kernel counts from the boot, whose time is known to a second.
        killed_for_memory: match details.seen() {
            Some(seen) => since(&bulk.kills, ended, &seen.id, SLACK_S),
            None => Look::NotNeeded,
        },
        details,
        exchange: Exchange {
            status,
            reason,
            finding: probe.map(|probe| probe.finding),
            latency_ms: probe.map(|probe| probe.latency_ms),
            reply: probe.and_then(|probe| probe.reply.clone()),
            complaints: probe.map_or_else(Vec::new, |probe| probe.complaints.clone()),
        },
        listeners,
        log: Look::NotNeeded,
        usage: Look::NotNeeded,
        inside: Look::NotNeeded,
        sources: sources(agent),
        image: image(request.system, request.state, agent, found),
        configuration_changed: changed(&spec, found),
        imports: Look::NotNeeded,
    }
}

/// That podman's events have no stop is proof of none in old versions only.
fn told(request: &GatherRequest<'_>, told: Look<bool>) -> Look<bool> {
    let sure = request.engine.facts.version < CLEANS_UP_ONCE;
    match told {
        Look::Seen(false) if !sure => {
            Look::Failed("podman's events do not always have a stop".to_owned())
        }
        told => told,
    }
}

/// Whether something was noted for a container that has ended, in its last life.
fn since(
    noted: &Option<Result<BTreeMap<String, i64>, String>>,
    ended: Option<&Container>,
    key: &str,
    slack_s: i64,
) -> Look<bool> {
    match (noted, ended) {
        (Some(Err(why)), Some(_)) => Look::Failed(why.clone()),
        (Some(Ok(times)), Some(container)) => {
            let time_s = times.get(key).copied();
            Look::Seen(time_s.is_some_and(|time_s| time_s + slack_s >= container.started_at_s))
        }
        _ => Look::NotNeeded,
    }
}

fn standing(request: &GatherRequest<'_>, agent: &Agent, found: Option<&Container>) -> Standing {
    let Some(container) = found else {
        let taken = request.state.containers.contains_key(&agent.container);
        return if taken {
            Standing::Foreign
        } else {
            Standing::Missing
        };
    };
    match container.status {
        Status::Created | Status::Initialized => Standing::Created,
        Status::Running => Standing::Running {
            started_at_s: container.started_at_s,
        },
        Status::Exited | Status::Lost => Standing::Exited {
            code: container.exit_code,
        },
        Status::Paused => Standing::Paused,
        Status::Stopping => Standing::Stopping,
        Status::Other => Standing::Other,
    }
}

fn image(system: &System, state: &State, agent: &Agent, found: Option<&Container>) -> ImageState {
    let image = released(system, state, &agent.image).ok().flatten();
    let other = |container: &Container| {
        image
            .as_ref()
            .is_some_and(|image| image.id != container.image_id)
    };
    ImageState {
        missing: image.is_none(),
        outdated: Look::NotNeeded,
        differs: found.is_some_and(other),
    }
}

fn changed(spec: &ContainerSpec, found: Option<&Container>) -> bool {
    found.is_some_and(|found| found.label(label::SPEC) != Some(&spec::hash_of_container(spec)))
}

/// podman's complaint in one line.
fn words(error: &PodmanError) -> String {
    match error {
        PodmanError::Interrupted => "interrupted".to_owned(),
        other => format!("{other}: {}", other.reason()),
    }
}

/// One result per item, in their order; at most `AT_ONCE` at a time.
fn side_by_side<T: Sync, R: Send>(items: &[T], look: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, R>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(items.len()) {
            scope.spawn(|| {
                while let Some((index, item)) = {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    items.get(index).map(|item| (index, item))
                } {
                    let result = look(item);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.insert(index, result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_values().collect()
}
