//! What keeps an agent from being deployed at all, and whose containers are its
//! own.

use super::Planner;
use crate::{
    plan::{
        deployed::{self, Wanted},
        gpus,
        refusal::PlanError,
        state::Container,
        workload::Workload,
    },
    system::{Agent, GpuPolicy, Net},
};

impl<'a> Planner<'a> {
    /// What the agent is to run, or `None` after noting why it cannot run.
    pub(super) fn possible(&mut self, agent: &Agent) -> Option<Wanted> {
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
        let wanted = deployed::wanted(self.system, self.state, self.request, agent);
        let wanted = wanted.map_err(|error| self.note(error)).ok();
        wanted.filter(|_| self.errors.len() == before)
    }

    pub(super) fn note(&mut self, error: PlanError) {
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// The container of that name if it is ours; an error if it is not.
    pub(super) fn owned(&mut self, name: &str, agent: &Agent) -> Option<Option<&'a Container>> {
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
    pub(super) fn mark(&self, name: &str, agent: &Agent) -> Option<&'a Container> {
        let state = self.state;
        state.containers.get(name).filter(|found| {
            found.belongs_to(&self.system.name)
                && Workload::of(found).is_some_and(|of| of.name() == agent.name)
        })
    }

    /// `None` after noting that somebody else's container has this name.
    pub(super) fn free(&mut self, name: &str, agent: &Agent) -> Option<()> {
        self.owned(name, agent).map(drop)
    }
}
