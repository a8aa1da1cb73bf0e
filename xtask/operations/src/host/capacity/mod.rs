//! For how many more agents this host has room, and which limit ends first.
//!
//! `read` gathers what the host allows and what is used; `limits` makes of it
//! what one agent more takes; here it is judged. Judging does no IO. A limit is
//! shown with the setting that raises it, and nothing is ever raised here.

pub mod limits;
pub mod locks;
mod quota;
pub mod read;

use std::collections::BTreeMap;

use model::{
    plan::State,
    system::{Agent, System},
};
use serde::Serialize;

use super::findings::{HostFinding, HostSeverity};

/// Agents that are to come, and what they attach to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Demand {
    /// Containers that are to be created.
    pub created: u64,
    /// Containers that will run and do not run now.
    pub started: u64,
    /// Networks, with the agents on each among `of` agents.
    #[serde(skip)]
    pub networks: BTreeMap<String, Attached>,
    #[serde(skip)]
    pub of: u64,
    /// Connections between agents and the agents they are told of, both ends.
    #[serde(skip)]
    pub peers: u64,
}

/// Agents on one network.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Attached {
    /// With an address of the manifest.
    pub fixed: u64,
    /// With one that podman gives them.
    pub dynamic: u64,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// Containers, whether they run or not.
    Created,
    Running,
}

/// How a limit is raised.
#[derive(Debug, Clone, PartialEq)]
pub enum Remedy {
    /// A kernel setting.
    Sysctl(&'static str),
    Words(String),
}

/// Something of which there is so much and no more.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostLimit {
    /// Id of the finding when it does not suffice.
    pub id: &'static str,
    /// The setting's own name, or words for it.
    pub name: String,
    /// So much there may be.
    pub allows: u64,
    /// So much is taken now.
    pub used: u64,
    /// What one agent takes at the least.
    pub each: f64,
    /// For how many more agents it suffices.
    pub room: u64,
    /// What happens beyond it.
    pub beyond: &'static str,
    #[serde(skip)]
    pub counts: Counts,
    /// Beyond it an agent cannot run at all.
    #[serde(skip)]
    pub hard: bool,
    #[serde(skip)]
    pub remedy: Remedy,
}

/// All limits, the first to run out first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Capacity {
    /// Agents that were asked about.
    pub agents: u64,
    /// For how many more agents all limits suffice; null if none is known.
    pub room: Option<u64>,
    /// Name of the limit that runs out first; null if none is known.
    pub first: Option<String>,
    /// The first to run out first.
    pub limits: Vec<HostLimit>,
}

/// Of the room that there is, more than this share taken is a warning.
const COMFORTABLE: f64 = 0.8;

impl Demand {
    /// What deploying `chosen` takes on top of what there is.
    pub fn of(system: &System, state: &State, chosen: &[&Agent]) -> Self {
        let found = |agent: &&&Agent| state.containers.get(&agent.container);
        let running = |agent: &&&Agent| found(agent).is_some_and(|found| found.running());
        let mut demand = Demand {
            created: chosen.iter().filter(|agent| found(agent).is_none()).count() as u64,
            started: chosen.iter().filter(|agent| !running(agent)).count() as u64,
            of: chosen.len() as u64,
            ..Demand::default()
        };
        for agent in chosen {
            demand.attach(system, agent);
        }
        demand
    }

    /// The same mixture of agents, so many of them, all of them new.
    pub fn new_agents(mut self, count: u64) -> Self {
        self.created = count;
        self.started = count;
        self
    }

    fn attach(&mut self, system: &System, agent: &Agent) {
        let group = system.group(&agent.group);
        self.peers += 2 * agent.peers.len() as u64;
        let own = group.net.own().map(|name| (name, agent.ip));
        let backbone = group.net.backbone().map(|name| (name, agent.backbone_ip));
        for (name, address) in own.into_iter().chain(backbone) {
            let attached = self.networks.entry(name.clone()).or_default();
            match address {
                Some(_) => attached.fixed += 1,
                None => attached.dynamic += 1,
            }
        }
    }

    /// `part` of the agents, for each of them.
    fn share(&self, part: u64) -> f64 {
        part as f64 / self.of.max(1) as f64
    }
}

impl HostLimit {
    /// A hard limit on what runs; `room` is worked out.
    pub fn new(id: &'static str, name: impl Into<String>, quota: quota::Quota, each: f64) -> Self {
        let free = quota.allows.saturating_sub(quota.used);
        HostLimit {
            id,
            name: name.into(),
            allows: quota.allows,
            used: quota.used,
            each,
            room: (free as f64 / each) as u64,
            beyond: "",
            counts: Counts::Running,
            hard: true,
            remedy: Remedy::Words(String::new()),
        }
    }

    fn agents(&self, demand: &Demand) -> u64 {
        match self.counts {
            Counts::Created => demand.created,
            Counts::Running => demand.started,
        }
    }

    fn judge(&self, demand: &Demand) -> Option<HostFinding> {
        let agents = self.agents(demand);
        if agents == 0 {
            return None;
        }
        let name = &self.name;
        let fits = agents <= self.room;
        if fits && agents as f64 <= COMFORTABLE * self.room as f64 {
            return None;
        }
        let severity = if !fits && self.hard {
            HostSeverity::Error
        } else {
            HostSeverity::Warning
        };
        let room = more_agents(self.room);
        let title = if fits {
            format!("{name} has room for {room}, with {agents} wanted")
        } else {
            format!("{name} has room for {room}, not for {agents}")
        };
        let evidence = format!(
            "{} of {} used, an agent takes {}; beyond that {}",
            self.used,
            self.allows,
            amount(self.each),
            self.beyond
        );
        Some(HostFinding::new(
            self.id,
            severity,
            title,
            evidence,
            self.fix(agents),
        ))
    }

    /// The setting that would do for so many agents, and as many again.
    fn fix(&self, agents: u64) -> String {
        match &self.remedy {
            Remedy::Words(words) => words.clone(),
            Remedy::Sysctl(name) => {
                let needed = self.used as f64 + 2.0 * agents as f64 * self.each;
                let value = (needed as u64).max(self.allows + 1).next_power_of_two();
                format!(
                    "as root: echo '{name} = {value}' > /etc/sysctl.d/90-{}.conf && sysctl --system",
                    name.replace('.', "-")
                )
            }
        }
    }
}

impl Capacity {
    pub fn new(mut limits: Vec<HostLimit>, demand: &Demand) -> Self {
        limits.retain(|limit| limit.each > 0.0);
        // The order of equals is that of the list.
        limits.sort_by_key(|limit| limit.room);
        let first = limits.first();
        Capacity {
            agents: demand.created.max(demand.started),
            room: first.map(|limit| limit.room),
            first: first.map(|limit| limit.name.clone()),
            limits,
        }
    }

    /// `room for X more agents: LIMIT is the first to run out`.
    pub fn line(&self) -> Option<String> {
        let first = self.limits.first()?;
        let (room, name) = (more_agents(first.room), &first.name);
        Some(format!("room for {room}: {name} is the first to run out"))
    }

    /// Where the room does not suffice, or hardly.
    pub fn findings(&self, demand: &Demand) -> Vec<HostFinding> {
        let judged = self.limits.iter().filter_map(|limit| limit.judge(demand));
        let found: Vec<HostFinding> = judged.collect();
        match self.line() {
            Some(line) if found.is_empty() => {
                let evidence = match self.agents {
                    0 => "no agent is to be started".to_owned(),
                    agents => format!("{agents} wanted"),
                };
                vec![HostFinding::ok("capacity", line, evidence)]
            }
            _ => found,
        }
    }
}

fn more_agents(count: u64) -> String {
    let word = if count == 1 { "agent" } else { "agents" };
    format!("{count} more {word}")
}

/// A number with no more digits than it needs.
pub fn amount(number: f64) -> String {
    let rounded = (number * 100.0).round() / 100.0;
    format!("{rounded}")
}

#[cfg(test)]
mod tests;
