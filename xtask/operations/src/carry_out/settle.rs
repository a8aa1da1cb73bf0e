//! The settle window: waits, then looks at every agent once more.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use health::{self, Target};
use model::plan::{Gate, state::Container};

use super::{
    gate::{BUDGET, Sick},
    judge::{AgentStatus, judge},
    log::log_tail,
    target::target,
};
use crate::podman::{Podman, PodmanError, observe};

/// Waits for the settle window, then looks at every agent once more. An agent
/// that podman restarted in between counts as sick.
pub fn settle(
    podman: &Podman,
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
    let probes = health::probe_all(&targets, BUDGET, || podman.cancel.requested());
    let probes = probes.unwrap_or_default();
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
                if started(&before) == started(&after) {
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
            })
        })
        .collect();
    if sick.is_empty() {
        Ok(())
    } else {
        Err(Ok(sick))
    }
}
