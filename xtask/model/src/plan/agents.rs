//! Which containers to create, replace, start or leave alone, and in which
//! order.
//!
//! Containers are created ahead, all at once; only starts wait for the gates
//! of what they depend on. A replaced container is renamed, not removed, until
//! its successor is healthy; names ending in `-next` and `-previous` are the
//! marks that an earlier run was cut short, and are repaired here.

use std::collections::{BTreeMap, BTreeSet};

pub use super::replace::{next_name, previous_name};
use super::{
    gpus, label,
    replace::{bring_back, remove, rename, restore, start_action, stop},
    spec::{self, ContainerSpec},
    state::{Container, Status},
    step::{Action, Gate, Plan},
};
use crate::{
    plan::{
        names::{groups_before, image_tag},
        refusal::PlanError,
        state::State,
        workload::Workload,
    },
    system::{Agent, GpuPolicy, Net, RestartPolicy, System},
};

/// Which agents to deploy and how.
#[derive(Debug, Clone)]
pub struct DeployRequest {
    /// Names of agents, all of them known.
    pub agents: BTreeSet<String>,
    pub order: Order,
    /// Keep a container that failed its gate as it is, for a post-mortem.
    pub keep: bool,
    /// Replace even what is as it should be.
    pub recreate: bool,
    /// 0: no settle window.
    pub settle_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A group starts when the groups it comes after are healthy.
    Groups,
    /// Only `depends_on` counts; groups start side by side.
    Dependencies,
}

/// Steps that bring the asked-for agents to the manifest's state.
pub fn plan(
    system: &System,
    state: &State,
    request: &DeployRequest,
) -> Result<Plan, Vec<PlanError>> {
    let mut planner = Planner {
        system,
        state,
        request,
        plan: Plan::default(),
        gates: BTreeMap::new(),
        gated: Vec::new(),
        leftovers: Vec::new(),
        errors: Vec::new(),
    };
    // Created ahead of every start, so that a start waits for nothing else.
    let prepared: Vec<(&Agent, Prepared)> = system
        .agents
        .iter()
        .filter(|agent| request.agents.contains(&agent.name))
        .filter_map(|agent| Some((agent, planner.prepare(agent)?)))
        .collect();
    for (agent, prepared) in prepared {
        planner.bring_up(agent, prepared);
    }
    let shared = gpus::sharing(system, &state.gpus, &request.agents);
    planner.plan.warnings.extend(shared);
    planner.finish()
}

pub fn gate(agent: &Agent) -> Gate {
    Gate {
        agent: agent.name.clone(),
        container: agent.container.clone(),
        host_health_port: agent.host_health_port,
        health_port: agent.health_port,
        health: agent.health.clone(),
        timeout_ms: agent.start_timeout_ms,
        attempts: agent.start_attempts,
        restarts: agent.restart != RestartPolicy::No,
        stop_timeout_s: agent.stop_timeout_s,
    }
}

struct Planner<'a> {
    system: &'a System,
    state: &'a State,
    request: &'a DeployRequest,
    plan: Plan,
    /// Agent to the position of its gate and its group.
    gates: BTreeMap<String, (usize, String)>,
    gated: Vec<Gate>,
    /// Containers to remove once everything is healthy.
    leftovers: Vec<(String, String)>,
    errors: Vec<PlanError>,
}

/// What stands under an agent's name once the marks of a run that was cut
/// short are dealt with.
struct Standing<'a> {
    current: Option<&'a Container>,
    /// Steps that bring this about.
    after: Vec<usize>,
    /// Marks were found: what is stopped may have been stopped by that run.
    cut_short: bool,
    /// The container that `current` replaced, while nobody has seen `current`
    /// healthy.
    unconfirmed: Option<&'a Container>,
}

/// What an agent needs beside a start, with the steps that already do part.
enum Prepared {
    Healthy,
    /// Running, as specified, but not (yet) answering.
    Waiting {
        after: Vec<usize>,
        restart: bool,
        cause: &'static str,
        undo: Vec<Action>,
    },
    /// A container of its name exists; `after` are the steps that made it.
    Startable {
        after: Vec<usize>,
        cause: String,
        undo: Vec<Action>,
    },
    /// A successor stands ready under the next name.
    Replaceable {
        created: usize,
        running: bool,
        /// If the successor fails, the old one is not only kept but started.
        start_old: bool,
        cause: String,
    },
}

impl<'a> Planner<'a> {
    fn prepare(&mut self, agent: &Agent) -> Option<Prepared> {
        let image = self.possible(agent)?;
        let wanted = spec::container(self.system, agent, self.state);
        let hash = spec::hash_of(&wanted);
        let recreate = self.request.recreate;
        let difference = |current: &Container| {
            if recreate {
                Some("asked for")
            } else if current.label(label::SPEC) != Some(&hash) {
                Some("its configuration changed")
            } else if current.image_id != image {
                Some("its image changed")
            } else {
                None
            }
        };
        let standing = self.repair(agent, &|current| difference(current).is_some())?;
        let Some(current) = standing.current else {
            let created = self.create(agent, wanted, standing.after, "does not exist");
            return Some(Prepared::Startable {
                after: vec![created],
                cause: "created".into(),
                undo: vec![stop(agent)],
            });
        };
        if let Some(cause) = difference(current) {
            self.free(&next_name(&agent.container), agent)?;
            self.free(&previous_name(&agent.container), agent)?;
            let mut next = wanted;
            next.name = next_name(&agent.container);
            let created = self.create(agent, next, standing.after, cause);
            let running = current.running();
            return Some(Prepared::Replaceable {
                created,
                running,
                start_old: running || (standing.cut_short && current.started_at_s > 0),
                cause: cause.into(),
            });
        }
        Some(self.as_specified(agent, current, standing))
    }

    /// Deals with the marks of an earlier run and with a container that can be
    /// neither started nor stopped. `None` after noting why it cannot be done.
    fn repair(
        &mut self,
        agent: &Agent,
        differs: &dyn Fn(&Container) -> bool,
    ) -> Option<Standing<'a>> {
        const CUT_SHORT: &str = "an earlier run was cut short";
        let name = &agent.container;
        let (next, previous) = (next_name(name), previous_name(name));
        let mut current = self.owned(name, agent)?;
        let old = self.mark(&previous, agent);
        let cut_short = old.is_some() || self.mark(&next, agent).is_some();
        let mut after = Vec::new();
        let mut then = |planner: &mut Self, action, cause| {
            let waits = std::mem::take(&mut after);
            after.push(planner.plan.push(&agent.name, action, waits, cause));
        };
        if self.mark(&next, agent).is_some() {
            then(self, remove(&next), CUT_SHORT);
        }
        if current.is_some_and(|current| current.status == Status::Other) {
            then(self, remove(name), "is neither running nor exited");
            current = None;
        }
        let healthy = self.state.healthy.contains(&agent.name);
        let mut unconfirmed = None;
        match (current, old) {
            (Some(new), Some(_)) if differs(new) && healthy => {
                then(self, remove(&previous), "its successor is healthy");
            }
            // The last one that is known to have been healthy is kept, not the
            // one that an earlier run put in its place.
            (Some(new), Some(old)) if differs(new) => {
                then(self, remove(name), "never became healthy");
                then(self, rename(&previous, name), CUT_SHORT);
                current = Some(old);
            }
            (Some(_), Some(old)) => {
                unconfirmed = Some(old);
                self.leftovers.push((agent.name.clone(), previous));
            }
            (None, Some(old)) => {
                then(self, rename(&previous, name), CUT_SHORT);
                current = Some(old);
            }
            (_, None) => {}
        }
        Some(Standing {
            current,
            after,
            cut_short,
            unconfirmed,
        })
    }

    fn as_specified(&self, agent: &Agent, current: &Container, standing: Standing<'_>) -> Prepared {
        let after = standing.after;
        let undo = standing
            .unconfirmed
            .map(|old| restore(agent, old.started_at_s > 0));
        if !current.running() {
            let cause = match current.status {
                Status::Created => "was created but not started".to_owned(),
                _ => format!("has exited with code {}", current.exit_code),
            };
            let undo = undo.unwrap_or_else(|| vec![stop(agent)]);
            return Prepared::Startable { after, cause, undo };
        }
        let healthy = self.state.healthy.contains(&agent.name);
        if healthy && undo.is_none() && after.is_empty() {
            return Prepared::Healthy;
        }
        let age_ms = (self.state.now_s - current.started_at_s).max(0) as u64 * 1000;
        let restart = !healthy && age_ms > agent.start_timeout_ms;
        Prepared::Waiting {
            after,
            restart,
            cause: match (healthy, restart) {
                (true, _) => "is healthy, but an earlier run was cut short",
                (false, true) => "runs but does not answer",
                (false, false) => "is running but has not answered",
            },
            undo: undo.unwrap_or_default(),
        }
    }

    fn bring_up(&mut self, agent: &Agent, prepared: Prepared) {
        let mut waits = self.waits_for(agent);
        match prepared {
            Prepared::Healthy => self.plan.unchanged.push(agent.name.clone()),
            Prepared::Waiting {
                after,
                restart,
                cause,
                undo,
            } => {
                waits.extend(after);
                if restart {
                    let stopped = self.plan.push(&agent.name, stop(agent), waits, cause);
                    waits = vec![self.start(agent, vec![stopped], cause, Vec::new())];
                }
                self.gate(agent, waits, cause, undo);
            }
            Prepared::Startable { after, cause, undo } => {
                waits.extend(after);
                let started = self.start(agent, waits, &cause, Vec::new());
                self.gate(agent, vec![started], &cause, undo);
            }
            Prepared::Replaceable {
                created,
                running,
                start_old,
                cause,
            } => {
                waits.push(created);
                if running {
                    waits = vec![self.plan.push(&agent.name, stop(agent), waits, &cause)];
                }
                self.replace(agent, waits, start_old, &cause);
            }
        }
    }

    /// The old one, stopped, makes room for its successor.
    fn replace(&mut self, agent: &Agent, waits: Vec<usize>, start_old: bool, cause: &str) {
        let name = &agent.container;
        let (next, previous) = (next_name(name), previous_name(name));
        let moved = self
            .plan
            .push(&agent.name, rename(name, &previous), waits, cause);
        self.plan.steps[moved].on_failure =
            start_old.then(|| start_action(agent)).into_iter().collect();
        let named = self
            .plan
            .push(&agent.name, rename(&next, name), vec![moved], cause);
        self.plan.steps[named].on_failure = bring_back(agent, start_old);
        // What did not start need not be stopped: podman would refuse to.
        let mut unstarted = restore(agent, start_old);
        unstarted.remove(0);
        let started = self.start(agent, vec![named], cause, unstarted);
        self.gate(agent, vec![started], cause, restore(agent, start_old));
        self.leftovers.push((agent.name.clone(), previous));
    }

    fn finish(mut self) -> Result<Plan, Vec<PlanError>> {
        let mut after: Vec<usize> = self.gates.values().map(|(step, _)| *step).collect();
        after.sort_unstable();
        if !self.gated.is_empty() && self.request.settle_ms > 0 {
            let settle = Action::Settle {
                window_ms: self.request.settle_ms,
                gates: std::mem::take(&mut self.gated),
            };
            after = vec![
                self.plan
                    .push("system", settle, after, "all agents have answered"),
            ];
        }
        for (agent, container) in std::mem::take(&mut self.leftovers) {
            let cause = "its successor is healthy";
            self.plan
                .push(&agent, remove(&container), after.clone(), cause);
        }
        if self.errors.is_empty() {
            Ok(self.plan)
        } else {
            Err(self.errors)
        }
    }

    /// The id of the agent's image, or `None` after noting why it cannot run.
    fn possible(&mut self, agent: &Agent) -> Option<String> {
        let group = self.system.group(&agent.group);
        let before = self.errors.len();
        if group.net == Net::Pod {
            self.note(PlanError::PodMode {
                group: group.name.clone(),
            });
        }
        if agent.script_missing {
            self.note(PlanError::NotImplemented {
                agent: agent.name.clone(),
                script: agent.script.clone(),
            });
        }
        if let Some(refused) = gpus::refusal(self.system, agent, &self.state.gpus) {
            self.note(refused);
        }
        if agent.gpu.is_some() && self.state.gpus.is_empty() {
            match group.gpu {
                GpuPolicy::Required => self.note(PlanError::GpuMissing {
                    agent: agent.name.clone(),
                }),
                GpuPolicy::Auto => self.plan.warnings.push(format!(
                    "{} runs on the CPU: no NVIDIA CDI device on this host",
                    agent.name
                )),
                GpuPolicy::Off => {}
            }
        }
        for device in &agent.devices {
            if device.optional || self.state.devices.contains_key(&device.path) {
                continue;
            }
            self.note(PlanError::DeviceMissing {
                agent: agent.name.clone(),
                device: device.path.display().to_string(),
            });
        }
        let tag = image_tag(&agent.image);
        let image = self.state.images.get(&tag).map(|image| image.id.clone());
        if image.is_none() {
            self.note(PlanError::ImageMissing {
                agent: agent.name.clone(),
                image: agent.image.clone(),
            });
        }
        image.filter(|_| self.errors.len() == before)
    }

    fn note(&mut self, error: PlanError) {
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// The container of that name if it is ours; an error if it is not.
    fn owned(&mut self, name: &str, agent: &Agent) -> Option<Option<&'a Container>> {
        let ours = self.mark(name, agent);
        if ours.is_some() || !self.state.containers.contains_key(name) {
            return Some(ours);
        }
        self.note(PlanError::ContainerTaken {
            agent: agent.name.clone(),
            container: name.to_owned(),
        });
        None
    }

    /// A container under one of the names that only a replacement uses, if it
    /// is this agent's.
    fn mark(&self, name: &str, agent: &Agent) -> Option<&'a Container> {
        let state = self.state;
        state.containers.get(name).filter(|found| {
            found.belongs_to(&self.system.name)
                && Workload::of(found).is_some_and(|of| of.name() == agent.name)
        })
    }

    /// `None` after noting that somebody else's container has this name.
    fn free(&mut self, name: &str, agent: &Agent) -> Option<()> {
        self.owned(name, agent).map(drop)
    }

    fn create(
        &mut self,
        agent: &Agent,
        spec: ContainerSpec,
        after: Vec<usize>,
        cause: &str,
    ) -> usize {
        let action = Action::CreateContainer(Box::new(spec));
        self.plan.push(&agent.name, action, after, cause)
    }

    fn start(
        &mut self,
        agent: &Agent,
        after: Vec<usize>,
        cause: &str,
        on_failure: Vec<Action>,
    ) -> usize {
        let step = self
            .plan
            .push(&agent.name, start_action(agent), after, cause);
        self.plan.steps[step].on_failure = on_failure;
        step
    }

    fn gate(&mut self, agent: &Agent, after: Vec<usize>, cause: &str, on_failure: Vec<Action>) {
        let gate = gate(agent);
        let step = self
            .plan
            .push(&agent.name, Action::Gate(gate.clone()), after, cause);
        if !self.request.keep {
            self.plan.steps[step].on_failure = on_failure;
        }
        self.gates
            .insert(agent.name.clone(), (step, agent.group.clone()));
        self.gated.push(gate);
    }

    /// Gates planned so far that the agent's start has to wait for.
    fn waits_for(&self, agent: &Agent) -> Vec<usize> {
        let before = match self.request.order {
            Order::Groups => groups_before(self.system, &agent.group),
            Order::Dependencies => BTreeSet::new(),
        };
        let mut waits: Vec<usize> = self
            .gates
            .iter()
            .filter(|(other, (_, group))| {
                before.contains(group.as_str()) || agent.depends_on.contains(other)
            })
            .map(|(_, (step, _))| *step)
            .collect();
        waits.sort_unstable();
        waits
    }
}
