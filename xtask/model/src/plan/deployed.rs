//! What a deployment left behind, as data: the set of all agents with what each
//! runs, and how two sets differ.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    label,
    released::{self, of_agent},
    replace::previous_name,
    request::DeployRequest,
    spec::{self, ContainerSpec},
    state::{Container, State},
    workload::Workload,
};
use crate::{
    plan::refusal::PlanError,
    system::{Agent, System},
};

/// All agents that have a container, by name.
pub type DeployedSet = BTreeMap<String, DeployedAgent>;

/// What one agent runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeployedAgent {
    /// Of the specification, as in the container's label.
    pub spec_hash: String,
    pub image_id: String,
    /// Where it answers.
    pub host_health_port: u16,
    pub health_port: u16,
    /// Its image is the tag of the content.
    pub spec: ContainerSpec,
}

/// A container that an agent is to have.
#[derive(Debug)]
pub struct Wanted {
    pub spec: ContainerSpec,
    pub image_id: String,
}

/// How an agent of a set differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// Another image, the same configuration.
    Image,
    /// Another configuration, the same image.
    Configuration,
    /// Another image and another configuration.
    Both,
}

/// What `agent` is to run: what the request says, else what the manifest does.
///
/// # Errors
/// If its image is not there, or is not the system's.
pub fn wanted(
    system: &System,
    state: &State,
    request: &DeployRequest,
    agent: &Agent,
) -> Result<Wanted, PlanError> {
    if let Some(spec) = request.specs.get(&agent.name) {
        let image = state.images.get(&spec.image);
        let image = image.ok_or_else(|| PlanError::ImageGone {
            agent: agent.name.clone(),
            image: spec.image.clone(),
        })?;
        released::owned(system, &spec.image, image)?;
        return Ok(Wanted {
            spec: spec.clone(),
            image_id: image.id.clone(),
        });
    }
    let kept = container_of(system, state, agent).filter(|_| request.keep_images);
    let image = of_agent(system, state, agent, kept)?;
    let mut spec = spec::container(system, agent, state);
    spec.image = image.tag;
    Ok(Wanted {
        spec,
        image_id: image.id,
    })
}

fn container_of<'s>(system: &System, state: &'s State, agent: &Agent) -> Option<&'s Container> {
    let names = [agent.container.clone(), previous_name(&agent.container)];
    names.iter().find_map(|name| {
        let found = state.containers.get(name)?;
        let own = Workload::of(found).is_some_and(|of| of.name() == agent.name);
        (own && found.belongs_to(&system.name)).then_some(found)
    })
}

/// The set once the request has been carried out: its agents as they are wanted,
/// and the others as they are, if it is known how these were made.
///
/// # Errors
/// As those of `wanted`.
pub fn set_after(
    system: &System,
    state: &State,
    request: &DeployRequest,
    before: Option<&DeployedSet>,
) -> Result<DeployedSet, PlanError> {
    let mut set = DeployedSet::new();
    for agent in &system.agents {
        let current = container_of(system, state, agent);
        let known = before.and_then(|set| set.get(&agent.name));
        let wanted = if request.agents.contains(&agent.name) {
            wanted(system, state, request, agent)?
        } else if let (Some(current), Some(known)) = (current, known)
            && current.image_id == known.image_id
            && current.label(label::SPEC) == Some(&known.spec_hash)
        {
            set.insert(agent.name.clone(), known.clone());
            continue;
        } else if let Some(current) = current
            && let mut spec = spec::container(system, agent, state)
            && current.label(label::SPEC) == Some(&spec::hash_of_container(&spec))
        {
            let image = released::made_from(system, state, current);
            spec.image = image.tag;
            Wanted {
                spec,
                image_id: image.id,
            }
        } else {
            continue;
        };
        let deployed = DeployedAgent {
            spec_hash: spec::hash_of_container(&wanted.spec),
            image_id: wanted.image_id,
            host_health_port: agent.host_health_port,
            health_port: agent.health_port,
            spec: wanted.spec,
        };
        set.insert(agent.name.clone(), deployed);
    }
    Ok(set)
}

/// What changed from one set to the next, by agent.
pub fn differences(before: &DeployedSet, after: &DeployedSet) -> BTreeMap<String, Difference> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let difference = |name: &String| match (before.get(name), after.get(name)) {
        (None, Some(_)) => Some(Difference::Added),
        (Some(_), None) => Some(Difference::Removed),
        (Some(old), Some(new)) => {
            match (old.image_id != new.image_id, old.spec_hash != new.spec_hash) {
                (true, true) => Some(Difference::Both),
                (true, false) => Some(Difference::Image),
                (false, true) => Some(Difference::Configuration),
                (false, false) => None,
            }
        }
        (None, None) => None,
    };
    let all = names.into_iter();
    all.filter_map(|name| Some((name.clone(), difference(name)?)))
        .collect()
}

/// The system as it was when these agents were deployed: where they answer, and
/// what their containers are called.
pub fn system_of(system: &System, set: &DeployedSet) -> System {
    let mut system = system.clone();
    for agent in &mut system.agents {
        let Some(deployed) = set.get(&agent.name) else {
            continue;
        };
        let spec = &deployed.spec;
        agent.container.clone_from(&spec.hostname);
        agent.host_health_port = deployed.host_health_port;
        agent.health_port = deployed.health_port;
        agent.stop_timeout_s = spec.stop_timeout_s;
        let main = spec
            .publish
            .iter()
            .find(|(host, _)| *host != deployed.host_health_port);
        agent.host_port = main.map(|(host, _)| *host);
        // What it ran from is in its image, whatever the code is now.
        agent.script_missing = false;
    }
    system
}
