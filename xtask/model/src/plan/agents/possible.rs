//! What keeps an agent from being deployed at all, and whose containers are its
//! own.

use super::Planner;
use crate::{
    plan::{
        gpus,
        refusal::PlanError,
        released::{self, Released},
        replace::previous_name,
        state::Container,
        workload::Workload,
    },
    system::{Agent, GpuPolicy, Net},
};

impl<'a> Planner<'a> {
    /// The agent's image, or `None` after noting why it cannot run.
    pub(super) fn possible(&mut self, agent: &Agent) -> Option<Released> {
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
        let (name, previous) = (&agent.container, previous_name(&agent.container));
        let current = self
            .mark(name, agent)
            .or_else(|| self.mark(&previous, agent));
        let kept = current.filter(|_| self.request.keep_images);
        let image = released::of_agent(self.system, self.state, agent, kept);
        let image = image.map_err(|error| self.note(error)).ok();
        image.filter(|_| self.errors.len() == before)
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
