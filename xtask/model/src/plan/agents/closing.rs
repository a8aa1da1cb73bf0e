//! What stands around the agents' own steps: containers that make room ahead of
//! their turn, the settle window, the way back, and what is removed at the end.

use super::{Planner, Prepared};
use crate::{
    plan::{
        agents::{next_name, previous_name},
        orphans::Orphan,
        refusal::PlanError,
        replace::{even_out, goes_on, remove, remove_found, stop, stop_container},
        step::{Action, Plan, Step},
        volumes,
        workload::Workload,
    },
    system::Agent,
};

impl<'a> Planner<'a> {
    /// Stops ahead of their turn what hold ports or addresses that others need:
    /// their stops wait for nothing, so that two that change places do not wait for
    /// each other.
    pub(super) fn release(
        &mut self,
        prepared: &[(&'a Agent, Prepared<'a>)],
        orphans: &[Orphan<'_>],
    ) {
        for (agent, _) in prepared.iter().filter(|(_, it)| it.starts()) {
            let own = &agent.container;
            let own = [own.clone(), next_name(own), previous_name(own)];
            for holder in self.held.holders(&self.claims[&agent.name], &own) {
                let by = Workload::of(&self.state.containers[holder.name]).map_or_else(
                    || holder.name.to_owned(),
                    |workload| workload.name().to_owned(),
                );
                if let Some(step) = self.stops(holder.name) {
                    self.released.insert(holder.name.to_owned(), step);
                    self.rollout.together = true;
                    continue;
                }
                let replaced = prepared.iter().find(|(other, it)| {
                    other.container == holder.name && matches!(it, Prepared::Replaceable { .. })
                });
                let orphan = orphans.iter().any(|orphan| orphan.name == holder.name);
                if replaced.is_none() && !(orphan && self.request.prune) {
                    self.note(PlanError::Held {
                        agent: agent.name.clone(),
                        what: holder.what,
                        container: holder.name.to_owned(),
                        by,
                        orphan,
                    });
                    continue;
                }
                if self.released.contains_key(holder.name) {
                    continue;
                }
                let cause = format!("its {} passes to {}", holder.what, agent.name);
                let after = replaced.and_then(|(_, it)| it.created()).into_iter();
                let known = replaced.map(|(other, _)| *other);
                let stop = known.map_or_else(|| stop_container(holder.name, 10), stop);
                let step = self.plan.push(&by, stop, after.collect(), cause);
                self.released.insert(holder.name.to_owned(), step);
                if known.is_none() {
                    self.rollout.orphan_stopped(holder.name, &by, step);
                }
                self.rollout.together = true;
            }
        }
    }

    /// The step so far after which the container does not run.
    fn stops(&self, name: &str) -> Option<usize> {
        let stops = |step: &Step| match &step.action {
            Action::StopContainer { container, .. } | Action::RemoveContainer { container, .. } => {
                container == name
            }
            _ => false,
        };
        self.plan.steps.iter().rposition(stops)
    }

    /// Steps that free what the agent is about to take.
    pub(super) fn freed_for(&self, agent: &Agent) -> Vec<usize> {
        if self.released.is_empty() {
            return Vec::new();
        }
        let own = [agent.container.clone()];
        self.held
            .holders(&self.claims[&agent.name], &own)
            .iter()
            .filter_map(|holder| self.released.get(holder.name).copied())
            .collect()
    }

    pub(super) fn finish(mut self, orphans: &[Orphan<'_>]) -> Result<Plan, Vec<PlanError>> {
        let mut after: Vec<usize> = self.gates.values().map(|(step, _)| *step).collect();
        after.sort_unstable();
        if !self.gates.is_empty() && self.request.settle_ms > 0 {
            let settle = Action::Settle {
                window_ms: self.request.settle_ms,
                gates: std::mem::take(&mut self.chosen),
            };
            let cause = "all agents have answered";
            after = vec![self.plan.push("system", settle, after, cause)];
        }
        if self.goes_back() {
            let order = self.request.order;
            self.plan.rollback = self.rollout.way_back(self.system, order, &self.plan);
        }
        for (agent, container) in std::mem::take(&mut self.leftovers) {
            let cause = "its successor is healthy";
            self.plan
                .push(&agent, remove(&container), after.clone(), cause);
        }
        self.prune(orphans, &after);
        if self.state.volumes_deadlock {
            volumes::keep_apart(&mut self.plan);
        }
        if self.errors.is_empty() {
            Ok(self.plan)
        } else {
            Err(self.errors)
        }
    }

    /// Removes what the manifest no longer has, or says that it is there.
    pub(super) fn prune(&mut self, orphans: &[Orphan<'_>], after: &[usize]) {
        const CAUSE: &str = "the manifest no longer has it";
        for orphan in orphans {
            if !self.request.prune {
                self.plan.warnings.push(orphan.warning());
                continue;
            }
            let mut waits = after.to_vec();
            if let Some(stopped) = self.released.get(orphan.name) {
                waits.push(*stopped);
            } else {
                let stop = stop_container(orphan.name, 10);
                let evened = even_out(orphan.name, orphan.container, 10).map(|(action, _)| action);
                let stops = goes_on(orphan.container).then_some(stop);
                for action in evened.into_iter().chain(stops) {
                    waits = vec![self.plan.push(&orphan.agent, action, waits, CAUSE)];
                }
            }
            let remove = remove_found(orphan.name, orphan.container);
            self.plan.push(&orphan.agent, remove, waits, CAUSE);
        }
    }
}
