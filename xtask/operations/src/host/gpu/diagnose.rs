//! From facts to findings. Pure: no file is read and no program asked here.

mod access;
mod hardware;
mod manifest;
pub mod proof;
mod specs;

use std::collections::BTreeSet;

use super::{facts::GpuFacts, vram::Budget};
use crate::{
    host::findings::{Finding, Severity},
    podman::caps::Version,
};
use model::{plan::gpus::Gpus, system::System};

/// How to make a specification anew.
pub const GENERATE: &str = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml";

/// What podman is, as far as GPUs are concerned.
#[derive(Debug, Clone)]
pub struct Podman {
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

/// Everything that can be said without running a container.
pub fn diagnose(
    facts: &GpuFacts,
    podman: &Podman,
    wanted: &Wanted<'_>,
    gpus: &Gpus,
    budgets: &[Budget],
) -> Vec<Finding> {
    if !any_gpu(facts) && gpus.is_empty() && facts.specs.iter().all(|file| file.gpus().is_none()) {
        return vec![none(facts, wanted)];
    }
    let mut found = hardware::findings(facts, wanted, gpus);
    found.extend(specs::findings(facts, podman, gpus));
    found.extend(access::findings(facts, podman));
    found.extend(manifest::findings(facts, wanted, gpus, budgets));
    found
}

/// Something says that there is a GPU.
pub fn any_gpu(facts: &GpuFacts) -> bool {
    let listed = facts.smi.answer().is_some_and(|gpus| !gpus.is_empty());
    !facts.pci.is_empty() || facts.driver.is_some() || listed
}

fn none(facts: &GpuFacts, wanted: &Wanted<'_>) -> Finding {
    let severity = if wanted.require {
        Severity::Error
    } else {
        Severity::Info
    };
    let smi = match &facts.smi {
        super::smi::Asked::NotInstalled => "no nvidia-smi".to_owned(),
        super::smi::Asked::TimedOut { deadline_ms } => {
            format!("nvidia-smi did not answer within {} s", deadline_ms / 1_000)
        }
        super::smi::Asked::Failed(why) => format!("nvidia-smi failed: {why}"),
        _ => "nvidia-smi shows none".to_owned(),
    };
    Finding::new(
        "gpu-none",
        severity,
        "this host has no NVIDIA GPU",
        format!("none on the PCI bus, no NVIDIA driver is loaded, {smi}"),
        match wanted.require {
            true => {
                "if there is one, look for it with `lspci -d 10de:`; without --require a host may do without"
            }
            false => "nothing to do: agents run on the CPU where `gpu` of their group is \"auto\"",
        },
    )
}

/// `550.90.07` as numbers, for comparing.
fn release(text: &str) -> Vec<u32> {
    text.split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

/// The driver's version, of the kernel or as `nvidia-smi` tells it.
fn driver(facts: &GpuFacts) -> Option<&str> {
    let told = || {
        let mut gpus = facts.smi.answer()?.iter();
        gpus.find_map(|gpu| gpu.driver.as_deref())
    };
    facts.driver.as_deref().or_else(told)
}
