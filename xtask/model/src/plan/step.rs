//! Steps: one variant is one engine command or one gate.
//!
//! Steps carry what the renderer needs and nothing that depends on the engine
//! found on this host; engine quirks are added by `podman::argv`.

use std::path::PathBuf;

use serde::Serialize;

use super::spec::{BuildSpec, ContainerSpec, NetworkSpec, SmokeSpec};
use crate::system::HealthContract;

/// Ordered steps; every step stands behind the ones it waits for.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// What is to be done, in an order in which it can be.
    pub steps: Vec<Step>,
    /// Subjects that already are as they should be.
    pub unchanged: Vec<String>,
    /// Things worth telling that stop nothing.
    pub warnings: Vec<String>,
}

/// One thing to do, and what it waits for.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// The agent, image or network that this is about.
    pub subject: String,
    /// What is done.
    pub action: Action,
    /// Positions of the steps that must have succeeded before.
    pub after: Vec<usize>,
    /// Why, in a few words.
    pub cause: String,
    /// What restores the former state if this step fails.
    pub on_failure: Vec<Action>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Provide the Python base image from the first source that works.
    EnsureBase(BaseSpec),
    /// Write a file that a build needs.
    WriteFile {
        /// Absolute path.
        path: PathBuf,
        /// Its text, without the ends of lines.
        lines: Vec<String>,
    },
    /// Download what a build needs, while its parent does not exist yet.
    FetchPackages(BuildSpec),
    /// Build an image.
    BuildImage(BuildSpec),
    /// Import the packages that an image adds to its parent.
    SmokeTest(SmokeSpec),
    /// Create a network.
    CreateNetwork(NetworkSpec),
    /// Create a container, which is not started yet.
    CreateContainer(Box<ContainerSpec>),
    /// Start a container.
    StartContainer {
        /// Its name.
        container: String,
        /// Loopback ports that it publishes, for a clear word on a clash.
        host_ports: Vec<u16>,
    },
    /// Stop a container.
    StopContainer {
        /// Its name.
        container: String,
        /// Time between SIGTERM and SIGKILL, in seconds.
        timeout_s: u32,
    },
    /// Give a container another name.
    RenameContainer {
        /// Its name so far.
        from: String,
        /// Its name from then on.
        to: String,
    },
    /// Remove a container.
    RemoveContainer {
        /// Its name.
        container: String,
    },
    /// Remove a network.
    RemoveNetwork {
        /// Its name.
        network: String,
    },
    /// Set up anew what a running container's networks have in the firewall.
    ReloadNetworks {
        /// Its name.
        container: String,
    },
    /// Remove an image.
    RemoveImage {
        /// Its tag.
        tag: String,
    },
    /// Remove the system's images without a tag, unless a container or another
    /// image stands on them.
    PruneImages {
        /// Their owner, by their label.
        system: String,
    },
    /// Remove a volume, and what is in it.
    RemoveVolume {
        /// Its name.
        volume: String,
    },
    /// Wait until an agent is healthy.
    Gate(Gate),
    /// Wait, then look at all agents once more.
    Settle {
        /// How long to wait, in ms.
        window_ms: u64,
        /// All agents that were started.
        gates: Vec<Gate>,
    },
}

/// The condition an agent must meet before its dependants start.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gate {
    /// As in the manifest.
    pub agent: String,
    /// Name of its container.
    pub container: String,
    /// Loopback port on the host.
    pub host_health_port: u16,
    /// Port that the agent should listen on inside the container.
    pub health_port: u16,
    /// What it is asked, in this order, until something is understood.
    #[serde(rename = "requests")]
    pub health: HealthContract,
    /// Time for the first good reply in ms, in each attempt.
    pub timeout_ms: u64,
    /// How often a start is tried.
    pub attempts: u32,
    /// podman restarts the container when it exits.
    pub restarts: bool,
    /// Time between SIGTERM and SIGKILL, in seconds.
    pub stop_timeout_s: u32,
}

/// The base image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BaseSpec {
    /// Of the image.
    pub tag: String,
    /// Owner, for its label.
    pub system: String,
    /// Hash of the manifest's `[base]`.
    pub inputs_hash: String,
    /// Tried in order until one works.
    pub sources: Vec<BaseFrom>,
}

/// A source of the base image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BaseFrom {
    /// Pull it from a registry.
    Pull {
        /// With its digest once that is locked.
        reference: String,
        /// Where the digest is recorded at the first pull.
        lock: PathBuf,
    },
    /// Make it from Debian's packages.
    Bootstrap(Bootstrap),
}

/// A Debian root file system made by `mmdebstrap`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bootstrap {
    /// Of Debian.
    pub suite: String,
    /// Names of Debian packages.
    pub packages: Vec<String>,
    /// The file that it is written to.
    pub archive: PathBuf,
}

impl Plan {
    /// Adds a step and returns its position.
    pub fn push(
        &mut self,
        subject: &str,
        action: Action,
        after: Vec<usize>,
        cause: impl Into<String>,
    ) -> usize {
        debug_assert!(after.iter().all(|step| *step < self.steps.len()));
        self.steps.push(Step {
            subject: subject.to_owned(),
            action,
            after,
            cause: cause.into(),
            on_failure: Vec::new(),
        });
        self.steps.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Appends `other`, whose steps then wait for `barrier`.
    pub fn append(&mut self, other: Plan, barrier: &[usize]) {
        let offset = self.steps.len();
        self.unchanged.extend(other.unchanged);
        self.warnings.extend(other.warnings);
        for mut step in other.steps {
            for position in &mut step.after {
                *position += offset;
            }
            step.after.extend_from_slice(barrier);
            self.steps.push(step);
        }
    }
}
