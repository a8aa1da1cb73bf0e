//! What a diagnosis of GPUs is held against, and the words that its parts share.

use std::collections::BTreeSet;

use model::system::System;

use crate::{host::gpu::facts::GpuFacts, podman::caps::Version};

/// How to make a specification anew.
pub const GENERATE: &str = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml";

/// What podman is, as far as GPUs are concerned.
#[derive(Debug, Clone)]
pub struct PodmanFacts {
    pub version: Version,
    pub rootless: bool,
    pub runtime: String,
    pub cgroup_manager: String,
}

/// What the host should be good for.
#[derive(Debug, Clone)]
pub struct Wanted<'s> {
    pub system: &'s System,
    /// Agents that the command is about.
    pub chosen: BTreeSet<String>,
    /// Newest release of CUDA in the locks.
    pub cuda: Option<(u32, u32)>,
    /// A host without a GPU is an error.
    pub require: bool,
}

/// Something says that there is a GPU.
pub fn any_gpu(facts: &GpuFacts) -> bool {
    let listed = facts.smi.answer().is_some_and(|gpus| !gpus.is_empty());
    !facts.pci.is_empty() || facts.driver.is_some() || listed
}

/// `550.90.07` as numbers, for comparing.
pub fn release(text: &str) -> Vec<u32> {
    text.split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

/// The driver's version, of the kernel or as `nvidia-smi` tells it.
pub fn driver(facts: &GpuFacts) -> Option<&str> {
    let told = || {
        let mut gpus = facts.smi.answer()?.iter();
        gpus.find_map(|gpu| gpu.driver.as_deref())
    };
    facts.driver.as_deref().or_else(told)
}
