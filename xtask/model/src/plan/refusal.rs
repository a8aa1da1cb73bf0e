//! Why no plan can be made.

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanError {
    /// The agent's service image has not been built.
    ImageMissing { agent: String, image: String },
    /// The image that the agent ran in at a former deployment has been removed.
    ImageGone { agent: String, image: String },
    /// An image under a name of the system's that the system has not built.
    ImageTaken {
        image: String,
        /// The system that it belongs to; `None`: it does not say.
        owner: Option<String>,
        system: String,
    },
    /// A container of that name exists and does not carry our label.
    ContainerTaken { agent: String, container: String },
    /// A network of that name exists and is not what the manifest asks for.
    NetworkDiffers {
        network: String,
        /// In words that fit after its name; none if only what it was made from
        /// is known to differ.
        differences: Vec<String>,
        /// It was created by this tool.
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
    /// A podman secret that the manifest names does not exist.
    SecretMissing { agent: String, secret: String },
    /// A podman secret has the name of one of ours, and is not.
    SecretTaken { agent: String, secret: String },
    /// A finding of the host that concerns this agent alone.
    Unfit {
        agent: String,
        /// The finding's stable id.
        finding: String,
        /// What is so, in short.
        title: String,
        /// What to do about it.
        fix: String,
    },
    /// A device that is not optional does not exist on the host.
    DeviceMissing { agent: String, device: String },
    /// Another container of the system holds a port or an address that the agent
    /// needs, and this run would not stop it.
    Held {
        agent: String,
        /// The port or address, in words.
        what: String,
        container: String,
        /// Whose container that is.
        by: String,
        /// The manifest has no such agent any more.
        orphan: bool,
    },
}

impl PlanError {
    /// The one agent that it is about.
    pub fn agent(&self) -> Option<&str> {
        match self {
            PlanError::ImageMissing { agent, .. }
            | PlanError::ImageGone { agent, .. }
            | PlanError::ContainerTaken { agent, .. }
            | PlanError::NotImplemented { agent, .. }
            | PlanError::GpuMissing { agent }
            | PlanError::GpusTooFew { agent, .. }
            | PlanError::GpuUnknown { agent, .. }
            | PlanError::SecretMissing { agent, .. }
            | PlanError::SecretTaken { agent, .. }
            | PlanError::Unfit { agent, .. }
            | PlanError::DeviceMissing { agent, .. }
            | PlanError::Held { agent, .. } => Some(agent),
            PlanError::ImageTaken { .. }
            | PlanError::NetworkDiffers { .. }
            | PlanError::NetworkOverlaps { .. }
            | PlanError::PodMode { .. } => None,
        }
    }
}
