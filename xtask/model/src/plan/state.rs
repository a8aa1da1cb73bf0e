//! What podman and the host report, reduced to what the planners need.
//!
//! Plain data: `podman::observe` fills it in, tests write it by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::PathBuf,
};

use super::{
    gpus::Gpus,
    observed::Observed,
    secret::{Known, ObservedSecret},
};

/// A snapshot of the engine and the host.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Every container on the engine by name, ours or not.
    pub containers: BTreeMap<String, Container>,
    /// Our containers that another checkout with the system's name has deployed,
    /// and its manifest.
    pub elsewhere: BTreeMap<String, PathBuf>,
    /// Names of containers that are in podman's storage and that it does not know:
    /// their creation was cut short. A new one cannot have such a name.
    pub half_made: BTreeSet<String>,
    /// podman locks the volumes of a new container in no fixed order, so that two
    /// creations may wait for each other for ever.
    pub volumes_deadlock: bool,
    /// Images with a tag, by tag (`localhost/ai-system/ai-system-core:latest`).
    pub images: BTreeMap<String, ObservedImage>,
    /// Ids of images whose own packages have been found to import.
    pub sound: BTreeSet<String>,
    /// Systems that have images without a tag, which new ones have taken.
    pub replaced: BTreeSet<String>,
    pub networks: BTreeMap<String, ObservedNetwork>,
    /// Names of volumes.
    pub volumes: BTreeSet<String>,
    /// Agents that answered a health request just now, and well.
    pub healthy: BTreeSet<String>,
    /// Agents that answered, but not well.
    pub unhealthy: BTreeSet<String>,
    /// NVIDIA GPUs that the host offers through CDI.
    pub gpus: Gpus,
    /// Devices named in the manifest that exist on the host, with the id of the
    /// group that may use them.
    pub devices: BTreeMap<PathBuf, u32>,
    /// Secrets by name, if they were asked for.
    pub secrets: BTreeMap<String, ObservedSecret>,
    /// What the values of the manifest's secrets are called.
    pub known: Known,
    /// Seconds since 1970, for ages.
    pub now_s: i64,
}

#[derive(Debug, Clone, Default)]
pub struct Container {
    /// What it was created from, as it was named then.
    pub image: String,
    pub image_id: String,
    pub status: Status,
    pub exit_code: i32,
    /// Seconds since 1970; 0 if never started.
    pub started_at_s: i64,
    /// Process id on the host; 0 if not running.
    pub pid: u32,
    /// Networks that it is attached to.
    pub networks: BTreeSet<String>,
    /// Ports of the host that it publishes, whether it runs or not.
    pub host_ports: BTreeSet<u16>,
    /// Fixed addresses, each in its network, if it was made with that label.
    pub addresses: BTreeSet<(String, Ipv4Addr)>,
    /// All its settings; `None` unless somebody has asked for them.
    pub observed: Option<Box<Observed>>,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Created,
    /// Made ready for a start that has not come: it has its ports and addresses,
    /// and no process of its own.
    Initialized,
    Running,
    Paused,
    /// A stop is under way, or was cut short: its processes may run. podman
    /// before 4.4 removes such a container and leaves them running (podman pull
    /// request 17040), so it is stopped to the end first.
    Stopping,
    /// podman takes it for running, but its process is gone together with the
    /// one that watched it. Only a stop makes podman notice.
    Lost,
    Exited,
    /// Being removed, and what later versions may add.
    Other,
}

#[derive(Debug, Clone, Default)]
pub struct ObservedImage {
    pub id: String,
    pub labels: BTreeMap<String, String>,
    pub size_bytes: u64,
    /// Seconds since 1970; 0 if not asked for.
    pub created_s: i64,
    /// Digests of its layers from the bottom up; empty if not asked for.
    pub layers: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct ObservedNetwork {
    pub subnets: Vec<String>,
    /// Traffic from and to other isolated networks is dropped.
    pub isolated: bool,
    /// It has no route to the outside.
    pub internal: bool,
    pub labels: BTreeMap<String, String>,
}

impl Container {
    /// Created by this tool for the system of that name.
    pub fn belongs_to(&self, system: &str) -> bool {
        self.label(super::label::SYSTEM) == Some(system)
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    pub fn running(&self) -> bool {
        self.status == Status::Running
    }

    /// It has processes, ports and addresses, though it may not answer.
    pub fn alive(&self) -> bool {
        matches!(
            self.status,
            Status::Running | Status::Paused | Status::Stopping
        )
    }

    /// podman has to stop it before it can be started, renamed or removed.
    pub fn half_stopped(&self) -> bool {
        matches!(self.status, Status::Stopping | Status::Lost)
    }
}
