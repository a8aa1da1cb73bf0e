//! Decisions as data: from the manifest and an observation of the engine to an
//! ordered list of steps with their causes.
//!
//! Invariant: nothing here does IO, reads a clock or asks a question. The same
//! input gives the same plan, whatever order the engine listed things in.

pub mod agents;
pub mod down;
pub mod gpus;
pub mod images;
pub mod networks;
mod replace;
pub mod spec;
pub mod state;
pub mod step;
pub mod testing;
#[cfg(test)]
mod tests;

pub use state::State;
pub use step::{Action, Gate, Plan, Step};

use std::collections::BTreeSet;

use crate::system::System;

/// Labels on everything that we create. Things without ours are never touched.
pub mod label {
    /// The system's name: the mark of ownership.
    pub const SYSTEM: &str = "ai-system.system";
    /// The agent that a container runs.
    pub const AGENT: &str = "ai-system.agent";
    pub const GROUP: &str = "ai-system.group";
    /// Hash of the specification that a container or network was made from.
    pub const SPEC: &str = "ai-system.spec";
    /// Hash of what went into an image.
    pub const INPUTS: &str = "ai-system.inputs";
    /// The system that a container tests.
    pub const TEST: &str = "ai-system.test";
}

/// Why no plan can be made.
#[derive(Debug, PartialEq)]
pub enum PlanError {
    /// The agent's service image has not been built.
    ImageMissing { agent: String, image: String },
    /// A container of that name exists and does not carry our label.
    ContainerTaken { agent: String, container: String },
    /// A network of that name exists with another subnet or without our label.
    NetworkDiffers {
        network: String,
        expected: String,
        found: String,
        ours: bool,
    },
    /// A network of another name covers some of the same addresses.
    NetworkOverlaps {
        network: String,
        subnet: String,
        other: String,
        other_subnet: String,
    },
    /// The agent has no script yet.
    NotImplemented { agent: String, script: String },
    /// The manifest can describe pods, but nothing deploys them yet.
    PodMode { group: String },
    /// The agent needs a GPU and the host has none.
    GpuMissing { agent: String },
    /// The agent asks for more GPUs than the host offers.
    GpusTooFew {
        agent: String,
        asked: u32,
        /// One name for each GPU.
        offered: Vec<String>,
    },
    /// No CDI specification lists the device that the agent names.
    GpuUnknown {
        agent: String,
        device: String,
        offered: Vec<String>,
    },
    /// A device that is not optional does not exist on the host.
    DeviceMissing { agent: String, device: String },
}

/// Tag of one of our images as podman stores it.
pub fn image_tag(name: &str) -> String {
    format!("localhost/{name}:latest")
}

/// Name of a volume on the host.
pub fn volume_name(system: &System, volume: &str) -> String {
    format!("{}-{volume}", system.name)
}

/// The groups that `group` comes after, directly or through others.
pub fn groups_before<'a>(system: &'a System, group: &str) -> BTreeSet<&'a str> {
    let mut before = BTreeSet::new();
    // Groups stand behind those they come after, so one pass backwards is
    // enough.
    for candidate in system.groups.iter().rev() {
        if candidate.name == group || before.contains(candidate.name.as_str()) {
            before.extend(candidate.after.iter().map(String::as_str));
        }
    }
    before
}
