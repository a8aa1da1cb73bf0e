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
pub struct Plan {
    pub steps: Vec<Step>,
    /// Subjects that already are as they should be.
    pub unchanged: Vec<String>,
    /// Things worth telling that stop nothing.
    pub warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Step {
    /// The agent, image or network that this is about.
    pub subject: String,
    pub action: Action,
    /// Positions of the steps that must have succeeded before.
    pub after: Vec<usize>,
    /// Why, in a few words.
    pub cause: String,
    /// What restores the former state if this step fails.
    pub on_failure: Vec<Action>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Provide the Python base image from the first source that works.
    EnsureBase(BaseSpec),
    WriteFile {
        path: PathBuf,
        lines: Vec<String>,
    },
    /// Download what a build needs, while its parent does not exist yet.
    FetchPackages(BuildSpec),
    BuildImage(BuildSpec),
    /// Import the packages that an image adds to its parent.
    SmokeTest(SmokeSpec),
    CreateNetwork(NetworkSpec),
    CreateContainer(Box<ContainerSpec>),
    StartContainer {
        container: String,
        /// Loopback ports that it publishes, for a clear word on a clash.
        host_ports: Vec<u16>,
    },
    StopContainer {
        container: String,
        timeout_s: u32,
    },
    RenameContainer {
        from: String,
        to: String,
    },
    RemoveContainer {
        container: String,
    },
    RemoveNetwork {
        network: String,
    },
    /// Set up anew what a running container's networks have in the firewall.
    ReloadNetworks {
        container: String,
    },
    RemoveImage {
        tag: String,
    },
    /// Remove the system's images without a tag, unless a container or another
    /// image stands on them.
    PruneImages {
        system: String,
    },
    RemoveVolume {
        volume: String,
    },
    Gate(Gate),
    /// Wait, then look at all agents once more.
    Settle {
        window_ms: u64,
        gates: Vec<Gate>,
    },
}

/// The condition an agent must meet before its dependants start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gate {
    pub agent: String,
    pub container: String,
    /// Loopback port on the host.
    pub host_health_port: u16,
    /// Port that the agent should listen on inside the container.
    pub health_port: u16,
    /// How it is asked.
    #[serde(rename = "requests")]
    pub health: HealthContract,
    /// Per attempt.
    pub timeout_ms: u64,
    pub attempts: u32,
    /// podman restarts the container when it exits.
    pub restarts: bool,
    pub stop_timeout_s: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaseSpec {
    pub tag: String,
    pub system: String,
    /// Hash of the manifest's `[base]`.
    pub inputs_hash: String,
    /// Tried in order until one works.
    pub sources: Vec<BaseFrom>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseFrom {
    Pull {
        /// With its digest once that is locked.
        reference: String,
        /// Where the digest is recorded at the first pull.
        lock: PathBuf,
    },
    Bootstrap(Bootstrap),
}

/// A Debian root file system made by `mmdebstrap`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bootstrap {
    pub suite: String,
    pub packages: Vec<String>,
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
