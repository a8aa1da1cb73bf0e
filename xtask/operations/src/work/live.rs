//! Where the agents that run can be reached, as tests are told.

use std::collections::BTreeMap;

use diagnostics::{Exit, Failure};
use model::system::{self, Agent, Group, Net, System};
use serde_json::{Value, json};

use super::{app::App, choose::running, failures::podman_failure};
use crate::podman::{
    Engine,
    observe::{self, Ask},
};

/// What a container of tests on the backbone may use.
pub const MEMORY_MB: u64 = 1024;

pub const PIDS: u32 = 512;

/// Where the agents that run can be reached.
#[derive(Debug)]
pub struct Live {
    /// Address by network, by agent.
    addresses: BTreeMap<String, BTreeMap<String, String>>,
}

impl Live {
    pub fn look(app: &App, system: &System, engine: &Engine) -> Result<Self, Failure> {
        let ask = Ask {
            containers: true,
            ..Ask::default()
        };
        let state = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
        let running = running(system, &state);
        if running.is_empty() && !app.settings.dry_run {
            return Err(
                Failure::new(Exit::Unhealthy, "no agent of this system is running")
                    .hint("`cargo xtask up` starts them; `--isolated` tests a copy of its own"),
            );
        }
        let names: Vec<&str> = running
            .iter()
            .map(|agent| agent.container.as_str())
            .collect();
        let found = observe::addresses(&engine.podman, &names).map_err(podman_failure)?;
        let addresses = running.iter().map(|agent| {
            let own = found.get(&agent.container).cloned().unwrap_or_default();
            (agent.name.clone(), own)
        });
        Ok(Live {
            addresses: addresses.collect(),
        })
    }

    /// Host part of an agent's address as seen from these networks.
    pub fn host(&self, system: &System, agent: &Agent, networks: &[String]) -> Option<String> {
        let own = self.addresses.get(&agent.name)?;
        if system.group(&agent.group).net == Net::Host {
            // A name that podman puts into every container's /etc/hosts.
            return Some("host.containers.internal".to_owned());
        }
        networks
            .iter()
            .find_map(|network| own.get(network))
            .cloned()
    }

    /// `<AGENT>_ADDRESS` and `<AGENT>_HEALTH_ADDRESS` of all that can be reached.
    pub fn addresses(&self, system: &System, networks: &[String]) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        for agent in &system.agents {
            if let Some(host) = self.host(system, agent, networks) {
                let name = system::naming::address_variable(&agent.name);
                let stem = name.trim_end_matches("_ADDRESS").to_owned();
                env.insert(name, format!("tcp://{host}:{}", agent.port));
                let health = format!("tcp://{host}:{}", agent.health_port);
                env.insert(format!("{stem}_HEALTH_ADDRESS"), health);
            }
        }
        env
    }

    /// What tests find in the file that `TEST_SYSTEM` names; see docs/agents.md.
    pub fn description(
        &self,
        system: &System,
        place: Option<&Group>,
        like: Option<&Agent>,
        networks: &[String],
    ) -> Value {
        let agents = system.agents.iter().map(|agent| {
            let host = self.host(system, agent, networks);
            let address = |port: u16| host.as_ref().map(|host| format!("tcp://{host}:{port}"));
            json!({
                "name": agent.name,
                "container": agent.container,
                "group": agent.group,
                "deployed": self.addresses.contains_key(&agent.name),
                "networks": self.addresses.get(&agent.name).cloned().unwrap_or_default(),
                "port": agent.port,
                "health_port": agent.health_port,
                "address": address(agent.port),
                "health_address": address(agent.health_port),
            })
        });
        json!({
            "name": system.name,
            "from": place.map(|group| &group.name),
            "limits": {
                "memory_mb": like.map_or(MEMORY_MB, |agent| agent.memory_mb),
                "cpus": like.map(|agent| agent.cpus),
                "pids": like.map_or(PIDS, |agent| agent.pids),
            },
            "networks_here": networks,
            "agents": agents.collect::<Vec<Value>>(),
        })
    }
}
