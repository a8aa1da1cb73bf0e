//! The settle window: waits, then looks at every agent once more.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use health::{self, Probe, ProbeOutcome, Target};
use model::plan::{Gate, state::Container};

use super::{
    gate::{BUDGET, Sick},
    judge::{AgentStatus, judge},
    log::log_tail,
    target::target,
    watcher::Watcher,
};
use crate::podman::{Podman, PodmanError, observe};

/// How long an agent that runs is asked again that has not answered well: work
/// holds it up now and then.
const BUSY_WINDOW: Duration = Duration::from_secs(15);
/// Between two rounds of questions.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Asks all, and those that run and do not answer well once more and again.
fn ask_all(podman: &Podman, targets: &[Target], runs: &dyn Fn(usize) -> bool) -> Vec<Probe> {
    let cancelled = || podman.cancel.requested();
    // Without file descriptors for a runtime nobody counts as healthy.
    let mut probes = health::probe_all(targets, BUDGET, cancelled).unwrap_or_default();
    let end = Instant::now() + BUSY_WINDOW;
    while Instant::now() < end && !cancelled() {
        let busy: Vec<usize> = (0..probes.len())
            .filter(|index| probes[*index].outcome != ProbeOutcome::Healthy && runs(*index))
            .collect();
        if busy.is_empty() {
            break;
        }
        std::thread::sleep(ASK_EVERY);
        let again: Vec<Target> = busy.iter().map(|index| targets[*index].clone()).collect();
        let answers = health::probe_all(&again, BUDGET, cancelled).unwrap_or_default();
        for (index, answer) in busy.into_iter().zip(answers) {
            probes[index] = answer;
        }
    }
    probes
}

/// Waits for the settle window, then looks at every agent once more. An agent
/// that podman restarted since its gate counts as sick.
pub fn settle(
    podman: &Podman,
    watcher: &Watcher,
    window_ms: u64,
    gates: &[Gate],
    on_wait: &dyn Fn(&str),
) -> Result<(), Result<Vec<Sick>, PodmanError>> {
    let before = observe::containers(podman).map_err(Err)?;
    let end = Instant::now() + Duration::from_millis(window_ms);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if podman.cancel.requested() {
            return Err(Err(PodmanError::Interrupted));
        }
        on_wait(&format!("settling, {} s left", left.as_secs() + 1));
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
    let after = observe::containers(podman).map_err(Err)?;
    let targets: Vec<Target> = gates.iter().map(target).collect();
    let runs = |index: usize| {
        let found = after.get(&gates[index].container);
        found.is_some_and(Container::running)
    };
    let probes = ask_all(podman, &targets, &runs);
    let sick: Vec<Sick> = gates
        .iter()
        .enumerate()
        .filter_map(|(index, gate)| {
            let container = after.get(&gate.container);
            let probe = probes.get(index);
            let (mut status, mut reason) = judge(gate.health_port, container, probe);
            let started = |all: &BTreeMap<String, Container>| {
                all.get(&gate.container).map(|found| found.started_at_s)
            };
            if status == AgentStatus::Healthy {
                // The clock of another host may differ.
                let passed = watcher.passed_at_s(&gate.container);
                let passed = passed.filter(|_| !podman.remote);
                let since = passed.is_some_and(|at_s| started(&after) > Some(at_s));
                if started(&before) == started(&after) && !since {
                    return None;
                }
                status = AgentStatus::Exited;
                reason = "exited after its first good reply and was restarted".to_owned();
            }
            Some(Sick {
                agent: gate.agent.clone(),
                container: gate.container.clone(),
                status,
                reason,
                waited_ms: window_ms,
                attempts: 1,
                reply: probe.and_then(|probe| probe.reply.clone()),
                log: log_tail(podman, &gate.container),
                run: None,
            })
        })
        .collect();
    if sick.is_empty() {
        Ok(())
    } else {
        Err(Ok(sick))
    }
}
