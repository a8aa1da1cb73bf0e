//! Which containers to create, replace, start or leave alone, and in which
//! order.
//!
//! Containers are created ahead, all at once; only starts wait for the gates
//! of what they depend on. A replaced container is renamed, not removed, until
//! its successor is healthy; names ending in `-next` and `-previous` are the
//! marks that an earlier run was cut short, and are repaired here.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    PlanError, State, label,
    spec::{self, ContainerSpec},
    state::Container,
    step::{Action, Gate, Plan},
};
use crate::system::{Agent, GpuPolicy, NetworkMode, RestartPolicy, System};

/// Which agents to deploy and how.
#[derive(Debug, Clone)]
pub struct Request {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Order {
    /// A group starts when the groups it comes after are healthy.
    Groups,
    /// Only `depends_on` counts; groups start side by side.
    Dependencies,
}

/// Steps that bring the asked-for agents to the manifest's state.
pub fn plan(system: &System, state: &State, request: &Request) -> Result<Plan, Vec<PlanError>> {
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
    planner.finish()
}

/// Containers that this run's names stand for.
pub fn next_name(container: &str) -> String {
    format!("{container}-next")
}

pub fn previous_name(container: &str) -> String {
    format!("{container}-previous")
}

pub fn gate(agent: &Agent) -> Gate {
    Gate {
        agent: agent.name.clone(),
        container: agent.container.clone(),
        host_health_port: agent.host_health_port,
        health_port: agent.health_port,
        requests: agent.health_requests.clone(),
        timeout_ms: agent.start_timeout_ms,
        attempts: agent.start_attempts,
        restarts: agent.restart != RestartPolicy::No,
        stop_timeout_s: agent.stop_timeout_s,
    }
}

struct Planner<'a> {
    system: &'a System,
    state: &'a State,
    request: &'a Request,
    plan: Plan,
    /// Agent to the position of its gate.
    gates: BTreeMap<String, usize>,
    gated: Vec<Gate>,
    /// Containers to remove once everything is healthy.
    leftovers: Vec<(String, String)>,
    errors: Vec<PlanError>,
}

/// What an agent needs beside a start, with the steps that already do part.
enum Prepared {
    Healthy,
    /// Running, as specified, but not (yet) answering.
    Waiting {
        restart: bool,
    },
    /// A container of its name exists; `after` is the step that made it.
    Startable {
        after: Vec<usize>,
        cause: String,
    },
    /// A successor stands ready under the next name.
    Replaceable {
        created: usize,
        running: bool,
        cause: String,
    },
}

impl<'a> Planner<'a> {
    fn prepare(&mut self, agent: &Agent) -> Option<Prepared> {
        let image = self.possible(agent)?;
        let wanted = spec::container(self.system, agent, self.state);
        let hash = spec::hash_of(&wanted);
        let mut after = self.clear_next(agent);
        let mut current = self.owned(&agent.container, agent)?;
        let previous = previous_name(&agent.container);
        if let Some(old) = self.state.containers.get(&previous) {
            if current.is_none() {
                // Cut short between two renames: take the old one back first.
                after.push(self.plan.push(
                    &agent.name,
                    rename(&previous, &agent.container),
                    after.clone(),
                    "an earlier run was cut short",
                ));
                current = Some(old);
            } else {
                self.leftovers.push((agent.name.clone(), previous));
            }
        }
        let Some(current) = current else {
            let created = self.create(agent, wanted, after, "does not exist");
            return Some(Prepared::Startable {
                after: vec![created],
                cause: "created".into(),
            });
        };
        let difference = if self.request.recreate {
            Some("asked for")
        } else if current.label(label::SPEC) != Some(&hash) {
            Some("its configuration changed")
        } else if current.image_id != image {
            Some("its image changed")
        } else {
            None
        };
        if let Some(cause) = difference {
            let mut next = wanted;
            next.name = next_name(&agent.container);
            let created = self.create(agent, next, after, cause);
            return Some(Prepared::Replaceable {
                created,
                running: current.running(),
                cause: cause.into(),
            });
        }
        Some(self.as_specified(agent, current, after))
    }

    fn as_specified(&self, agent: &Agent, current: &Container, after: Vec<usize>) -> Prepared {
        if !current.running() {
            let cause = match current.status {
                super::state::Status::Created => "was created but not started".to_owned(),
                _ => format!("has exited with code {}", current.exit_code),
            };
            return Prepared::Startable { after, cause };
        }
        let unconfirmed = self.leftovers.iter().any(|(name, _)| *name == agent.name);
        if self.state.healthy.contains(&agent.name) && !unconfirmed && after.is_empty() {
            return Prepared::Healthy;
        }
        let age_ms = (self.state.now_s - current.started_at_s).max(0) as u64 * 1000;
        Prepared::Waiting {
            restart: age_ms > agent.start_timeout_ms && !unconfirmed,
        }
    }

    fn bring_up(&mut self, agent: &Agent, prepared: Prepared) {
        let mut waits = self.waits_for(agent);
        match prepared {
            Prepared::Healthy => self.plan.unchanged.push(agent.name.clone()),
            Prepared::Waiting { restart: false } => {
                self.gate(agent, waits, "is running but has not answered", Vec::new());
            }
            Prepared::Waiting { restart: true } => {
                let stop = stop(agent);
                let cause = "runs but does not answer";
                let stopped = self.plan.push(&agent.name, stop, waits, cause);
                let started = self.start(agent, vec![stopped], cause, Vec::new());
                self.gate(agent, vec![started], cause, Vec::new());
            }
            Prepared::Startable { after, cause } => {
                waits.extend(after);
                let started = self.start(agent, waits, &cause, Vec::new());
                let undo = vec![self::stop(agent)];
                self.gate(agent, vec![started], &cause, undo);
            }
            Prepared::Replaceable {
                created,
                running,
                cause,
            } => {
                waits.push(created);
                self.replace(agent, waits, running, &cause);
            }
        }
    }

    fn replace(&mut self, agent: &Agent, waits: Vec<usize>, running: bool, cause: &str) {
        let name = &agent.container;
        let (next, previous) = (next_name(name), previous_name(name));
        let remove = |container: &str| Action::RemoveContainer {
            container: container.into(),
        };
        let start_old = running.then(|| start_action(agent));
        let back: Vec<Action> = [rename(&previous, name)]
            .into_iter()
            .chain(start_old.clone())
            .collect();
        let mut waits = waits;
        if running {
            let step = self.plan.push(&agent.name, stop(agent), waits, cause);
            waits = vec![step];
        }
        let moved = self
            .plan
            .push(&agent.name, rename(name, &previous), waits, cause);
        self.plan.steps[moved].on_failure = start_old.into_iter().collect();
        let named = self
            .plan
            .push(&agent.name, rename(&next, name), vec![moved], cause);
        self.plan.steps[named].on_failure = back.clone();
        let restore: Vec<Action> = [stop(agent), remove(name)]
            .into_iter()
            .chain(back)
            .collect();
        let started = self.start(agent, vec![named], cause, restore.clone());
        self.gate(agent, vec![started], cause, restore);
        self.leftovers.push((agent.name.clone(), previous));
    }

    fn finish(mut self) -> Result<Plan, Vec<PlanError>> {
        let mut after: Vec<usize> = self.gates.values().copied().collect();
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
            let remove = Action::RemoveContainer { container };
            self.plan
                .push(&agent, remove, after.clone(), "its successor is healthy");
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
        if group.network_mode == NetworkMode::Pod {
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
        if agent.gpu.is_some() && !self.state.gpu {
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
            if device.optional || self.state.devices.contains(&device.path) {
                continue;
            }
            self.note(PlanError::DeviceMissing {
                agent: agent.name.clone(),
                device: device.path.display().to_string(),
            });
        }
        let tag = super::image_tag(&agent.image);
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
        let state = self.state;
        let Some(found) = state.containers.get(name) else {
            return Some(None);
        };
        if found.belongs_to(&self.system.name) && found.label(label::AGENT) == Some(&agent.name) {
            return Some(Some(found));
        }
        self.note(PlanError::ContainerTaken {
            agent: agent.name.clone(),
            container: name.to_owned(),
        });
        None
    }

    /// Removes a successor that an earlier run left behind unstarted.
    fn clear_next(&mut self, agent: &Agent) -> Vec<usize> {
        let container = next_name(&agent.container);
        let ours = self
            .state
            .containers
            .get(&container)
            .is_some_and(|found| found.belongs_to(&self.system.name));
        if !ours {
            return Vec::new();
        }
        let remove = Action::RemoveContainer { container };
        vec![self.plan.push(
            &agent.name,
            remove,
            Vec::new(),
            "an earlier run was cut short",
        )]
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
        self.gates.insert(agent.name.clone(), step);
        self.gated.push(gate);
    }

    /// Gates planned so far that the agent's start has to wait for.
    fn waits_for(&self, agent: &Agent) -> Vec<usize> {
        let group = self.system.group(&agent.group);
        let barrier = |other: &str| {
            let other = self.system.agent(other).expect("gates belong to agents");
            agent.depends_on.contains(&other.name)
                || (self.request.order == Order::Groups && group.after.contains(&other.group))
        };
        self.gates
            .iter()
            .filter(|(other, _)| barrier(other))
            .map(|(_, step)| *step)
            .collect()
    }
}

fn stop(agent: &Agent) -> Action {
    Action::StopContainer {
        container: agent.container.clone(),
        timeout_s: agent.stop_timeout_s,
    }
}

fn start_action(agent: &Agent) -> Action {
    Action::StartContainer {
        container: agent.container.clone(),
        host_ports: agent
            .host_port
            .into_iter()
            .chain([agent.host_health_port])
            .collect(),
    }
}

fn rename(from: &str, to: &str) -> Action {
    Action::RenameContainer {
        from: from.into(),
        to: to.into(),
    }
}
