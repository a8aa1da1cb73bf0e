//! What was found out about each agent, as plain data: `gather` fills it in,
//! tests write it by hand.

use std::collections::{BTreeMap, BTreeSet};

use health::ProbeFinding;
use model::system::HealthContract;

use super::log::Log;
use crate::{
    carry_out::AgentStatus,
    host::{ports::Listener, usage::Usage},
    podman::inspect::{Details, Inside},
};

/// Everything that a diagnosis stands on.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// In start order: those that were asked for, and those that they need.
    pub agents: Vec<AgentEvidence>,
    /// Seconds since 1970.
    pub now_s: i64,
}

/// One thing that was, or was not, looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Look<T> {
    /// There was no reason to look.
    #[default]
    NotNeeded,
    /// It could not be had, and why.
    Failed(String),
    Seen(T),
}

impl<T> Look<T> {
    pub fn seen(&self) -> Option<&T> {
        match self {
            Look::Seen(found) => Some(found),
            Look::NotNeeded | Look::Failed(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub struct AgentEvidence {
    pub wanted: Wanted,
    pub standing: Standing,
    pub details: Look<Details>,
    /// podman was told to stop or kill it, and it has not been started since.
    pub told_to_stop: Look<bool>,
    /// The kernel killed a process of its last life for want of memory.
    pub killed_for_memory: Look<bool>,
    pub exchange: Exchange,
    pub listeners: Look<Vec<Listener>>,
    pub log: Look<Log>,
    pub usage: Look<Usage>,
    pub inside: Look<Inside>,
    /// Files and folders on this host, of an agent that does not run.
    pub sources: Vec<SourcePath>,
    pub image: ImageState,
    /// Its container was made from other settings than the manifest's.
    pub configuration_changed: bool,
    pub imports: Look<Imports>,
}

/// What the manifest says about it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub name: String,
    pub container: String,
    pub image: String,
    pub asked: bool,
    /// It has a network namespace of its own.
    pub own_network: bool,
    pub port: u16,
    pub health_port: u16,
    pub host_health_port: u16,
    pub start_timeout_s: u64,
    pub memory_mb: u64,
    pub pids: u32,
    pub gpu: bool,
    /// Variable to the agent whose address it holds.
    pub peers: BTreeMap<String, String>,
    /// Agents that `deploy` starts before it.
    pub waits_for: BTreeSet<String>,
    /// Folders of its mounts that it may not write to.
    pub read_only: BTreeSet<String>,
    /// How it is asked at its health port.
    pub health: HealthContract,
}

/// Its container, by podman's listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Missing,
    /// Another one has its name.
    Foreign,
    Created,
    Running {
        started_at_s: i64,
    },
    Exited {
        code: i32,
    },
    Paused,
    /// A stop goes on, or was cut short.
    Stopping,
    /// Being removed, and what later versions may add.
    Other,
}

/// One question to the health port.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub status: AgentStatus,
    /// Why it is not healthy, with the reply.
    pub reason: String,
    /// What the probe found; none if nobody was asked.
    pub finding: Option<ProbeFinding>,
    pub latency_ms: Option<f64>,
    pub reply: Option<String>,
    pub complaints: Vec<(String, String)>,
}

/// A mount's folder on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePath {
    pub target: String,
    pub path: String,
    pub exists: bool,
    /// Everybody may read it; agents run as a user of their own.
    pub readable: bool,
}

/// The image that it should run in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageState {
    pub missing: bool,
    /// Its sources have changed since it was built.
    pub outdated: Look<bool>,
    /// The container was made from another one.
    pub differs: bool,
}

/// What its code imports at start, against its image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imports {
    /// What keeps it from starting, each in one line with its place.
    pub problems: Vec<String>,
    /// Packages imported at start.
    pub packages: usize,
    /// They were imported in this very image before, without a failure.
    pub proven: bool,
    /// Imported name to the package behind it.
    pub known: BTreeMap<String, ImportedPackage>,
    /// Names that lead nowhere, with those that may have been meant.
    pub lost: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportedPackage {
    pub name: String,
    pub in_image: bool,
}

impl Wanted {
    /// What is asked first at its health port.
    pub fn request(&self) -> String {
        let requests = self.health.requests();
        requests.into_iter().next().unwrap_or_default()
    }
}

impl Exchange {
    /// The bare finding in words: `no reply in time`; empty if there is none.
    pub fn finding_words(&self) -> String {
        self.finding
            .map_or_else(String::new, |finding| finding.to_string())
    }
}

impl AgentEvidence {
    pub fn healthy(&self) -> bool {
        self.exchange.status == AgentStatus::Healthy
    }

    pub fn running(&self) -> bool {
        matches!(self.standing, Standing::Running { .. })
    }

    /// The exit code of a container that has ended.
    pub fn exit_code(&self) -> Option<i32> {
        match self.standing {
            Standing::Exited { code } => Some(code),
            _ => None,
        }
    }
}

impl Evidence {
    pub fn agent(&self, name: &str) -> Option<&AgentEvidence> {
        self.agents.iter().find(|agent| agent.wanted.name == name)
    }
}
