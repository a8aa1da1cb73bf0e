//! What a roll-out has done so far, for those that come after it: the next batch
//! of a group, and the way back.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    handover::former_gate,
    replace::{bring_back, previous_name, remove, rename, start_action, stop},
    request::{Order, waits_for},
    state::Container,
    step::{Action, Gate, Plan, Rollback, Step},
};
use crate::system::{Agent, System};

/// An agent whose container makes room for another one, and the steps of that.
#[derive(Debug)]
pub struct Replaced<'a> {
    pub agent: &'a Agent,
    /// After this the old one does not run.
    pub stopped: usize,
    /// After this it has its other name.
    pub moved: usize,
    /// After this its successor has its name.
    pub named: usize,
    pub started: usize,
    pub gated: usize,
    /// It ran, or ran before an earlier run was cut short.
    pub start_old: bool,
    /// What the old one has to meet once it is back; `None` if that is not known.
    pub former: Option<Gate>,
}

/// The agents that got another container, in the order in which they get it.
#[derive(Debug, Default)]
pub struct Rollout<'a> {
    replaced: Vec<Replaced<'a>>,
    created: Vec<Created<'a>>,
    orphans: Vec<OrphanStopped>,
    /// Ports or addresses pass from one container to another, so that all have to
    /// be free before any is taken back.
    pub together: bool,
}

/// An agent that had no container.
#[derive(Debug)]
struct Created<'a> {
    agent: &'a Agent,
    started: usize,
    gated: usize,
}

/// A container that the manifest no longer has, stopped because of what it holds.
#[derive(Debug)]
struct OrphanStopped {
    container: String,
    agent: String,
    stopped: usize,
}

impl<'a> Rollout<'a> {
    pub fn replaced(&mut self, replaced: Replaced<'a>) {
        self.replaced.push(replaced);
    }

    /// Its successor is there already, from an earlier run, and has to pass the gate.
    pub fn unconfirmed(&mut self, agent: &'a Agent, gated: usize, old: &Container) {
        self.replaced.push(Replaced {
            agent,
            stopped: gated,
            moved: gated,
            named: gated,
            started: gated,
            gated,
            start_old: old.started_at_s > 0,
            former: former_gate(agent, old),
        });
    }

    pub fn created(&mut self, agent: &'a Agent, started: usize, gated: usize) {
        self.created.push(Created {
            agent,
            started,
            gated,
        });
    }

    pub fn orphan_stopped(&mut self, container: &str, agent: &str, stopped: usize) {
        self.orphans.push(OrphanStopped {
            container: container.to_owned(),
            agent: agent.to_owned(),
            stopped,
        });
    }

    /// Gates that have to be passed before the next running agent of the group is
    /// replaced: those of the batch before its own.
    pub fn batch(&self, system: &System, agent: &Agent) -> Vec<usize> {
        let Some(size) = system.group(&agent.group).max_unavailable else {
            return Vec::new();
        };
        let members = self.replaced.iter();
        let gates: Vec<usize> = members
            .filter(|other| other.agent.group == agent.group)
            .map(|other| other.gated)
            .collect();
        let full = gates.len() / size as usize * size as usize;
        gates[full.saturating_sub(size as usize)..full].to_vec()
    }

    /// What brings the former set back after any step of `plan` has failed that
    /// is about those who had a container before, or the look at all of them. An
    /// agent that is new takes nobody's place.
    pub fn way_back(&self, system: &System, order: Order, plan: &Plan) -> Option<Rollback> {
        if self.replaced.is_empty() && self.orphans.is_empty() {
            return None;
        }
        let former: BTreeSet<&str> = self
            .replaced
            .iter()
            .map(|replaced| replaced.agent.name.as_str())
            .collect();
        let matters = |step: &Step| {
            self.together
                || former.contains(step.subject.as_str())
                || matches!(step.action, Action::Settle { .. })
        };
        let steps = plan.steps.iter().enumerate();
        let mut back = Rollback {
            when: steps
                .filter(|(_, step)| matters(step))
                .map(|(position, _)| position)
                .collect(),
            if_interrupted: self.together,
            steps: Vec::new(),
        };
        let free = self.stop_all(&mut back);
        let mut gates = BTreeMap::new();
        for replaced in &self.replaced {
            let mut after = waits_for(system, order, replaced.agent, &gates);
            after.extend(&free);
            if let Some(gate) = self.restore(replaced, &mut back, after) {
                let agent = replaced.agent;
                gates.insert(agent.name.clone(), (gate, agent.group.clone()));
            }
        }
        for orphan in &self.orphans {
            let start = Action::StartContainer {
                container: orphan.container.clone(),
                host_ports: Vec::new(),
            };
            back.push(orphan.stopped, step(&orphan.agent, start, free.clone()));
        }
        Some(back)
    }

    /// Stops what is new, and where nothing may be taken before all is free, what
    /// replaced something, too.
    fn stop_all(&self, back: &mut Rollback) -> Vec<usize> {
        let created = self.created.iter().rev().map(|it| {
            let known_to_run = if self.together { it.started } else { it.gated };
            (it.agent, known_to_run)
        });
        let replaced = self.replaced.iter().rev().filter(|_| self.together);
        let replaced = replaced.map(|it| (it.agent, it.started));
        replaced
            .chain(created)
            .map(|(agent, if_done)| back.push(if_done, step(&agent.name, stop(agent), Vec::new())))
            .collect()
    }

    /// Puts the old container into its place; the position of its gate, if it is to
    /// run. What failed has restored its own already, unless all go back together.
    fn restore(
        &self,
        replaced: &Replaced<'_>,
        back: &mut Rollback,
        mut after: Vec<usize>,
    ) -> Option<usize> {
        let (agent, name) = (replaced.agent, &replaced.agent.container);
        let actions = if self.together {
            let previous = previous_name(name);
            vec![
                (replaced.named, remove(name)),
                (replaced.moved, rename(&previous, name)),
                (replaced.stopped, start_action(agent)),
            ]
        } else {
            [stop(agent), remove(name)]
                .into_iter()
                .chain(bring_back(agent, true))
                .map(|action| (replaced.gated, action))
                .collect()
        };
        let (last_done, _) = actions[actions.len() - 1];
        for (if_done, action) in actions {
            if matches!(action, Action::StartContainer { .. }) && !replaced.start_old {
                return None;
            }
            let undo = step(&agent.name, action, after);
            after = vec![back.push(if_done, undo)];
        }
        let asked = step(&agent.name, Action::Gate(replaced.former.clone()?), after);
        Some(back.push(last_done, asked))
    }
}

fn step(subject: &str, action: Action, after: Vec<usize>) -> Step {
    Step {
        subject: subject.to_owned(),
        action,
        after,
        cause: "the roll-out failed".to_owned(),
        alone: None,
        ahead_of: None,
        on_failure: Vec::new(),
        on_cancel: Vec::new(),
    }
}
