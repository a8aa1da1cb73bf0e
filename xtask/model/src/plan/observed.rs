//! A container's settings, all that podman tells of one.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// The settings of a container as `podman container inspect` tells them, and the
/// limits that the kernel holds it to. `None`: not known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    pub hostname: Option<String>,
    /// By network.
    pub attachments: BTreeMap<String, Attachment>,
    /// It shares the host's network.
    pub host_network: bool,
    pub publish: BTreeSet<Publication>,
    pub env: BTreeMap<String, String>,
    pub mounts: Vec<ObservedMount>,
    /// Paths on the host.
    pub devices: Option<BTreeSet<String>>,
    /// CDI names of GPUs.
    pub gpus: Option<BTreeSet<String>>,
    pub groups: BTreeSet<String>,
    /// What podman was told.
    pub limits: ResourceLimits,
    /// What the kernel holds it to; all unknown unless it runs on this host, in
    /// a control group of its own.
    pub in_force: ResourceLimits,
    /// Memory and swap together, in bytes.
    pub memory_swap: Option<u64>,
    /// As podman's `--restart` takes it.
    pub restart: String,
    pub stop_timeout_s: Option<u32>,
    /// Capabilities that it can have, without `CAP_`.
    pub capabilities: BTreeSet<String>,
    pub no_new_privileges: bool,
    pub read_only_root: bool,
    /// Empty: root.
    pub user: String,
    pub command: Vec<String>,
}

/// A place in a network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attachment {
    /// `None` while it does not run.
    pub address: Option<Ipv4Addr>,
    /// Lower case; `None` while it does not run.
    pub hardware_address: Option<String>,
    /// Names that lead to it.
    pub aliases: BTreeSet<String>,
}

/// A port of the host that leads to one of the container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Publication {
    /// Address on the host.
    pub address: String,
    pub host_port: u16,
    pub port: u16,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedMount {
    /// Name of a volume or path on the host.
    pub source: String,
    pub target: String,
    pub read_only: bool,
}

/// Each `None` if it is not known, which it is not either where there is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceLimits {
    /// In bytes.
    pub memory: Option<u64>,
    /// In processors.
    pub cpus: Option<f64>,
    pub pids: Option<u64>,
}

/// `CAP_NET_RAW`, `net_raw` and `NET_RAW` are one.
pub fn capability(name: &str) -> String {
    let name = name.to_uppercase();
    name.strip_prefix("CAP_").unwrap_or(&name).to_owned()
}

impl std::fmt::Display for Publication {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}:{}", self.address, self.host_port, self.port)
    }
}
