//! From facts to findings. Pure: no file is read and no program asked here.

mod access;
mod hardware;
mod manifest;
pub mod proof;
mod specs;
mod wanted;

use model::plan::gpus::Gpus;
use wanted::any_gpu;
pub use wanted::{PodmanFacts, Wanted};

use super::{facts::GpuFacts, vram::Budget};
use crate::host::findings::{HostFinding, HostSeverity};

/// Everything that can be said without running a container.
pub fn diagnose(
    facts: &GpuFacts,
    podman: &PodmanFacts,
    wanted: &Wanted<'_>,
    gpus: &Gpus,
    budgets: &[Budget],
) -> Vec<HostFinding> {
    if !any_gpu(facts) && gpus.is_empty() && facts.specs.iter().all(|file| file.gpus().is_none()) {
        return vec![none(facts, wanted)];
    }
    let mut found = hardware::findings(facts, wanted, gpus);
    found.extend(specs::findings(facts, podman, gpus));
    found.extend(access::findings(facts, podman));
    found.extend(manifest::findings(facts, wanted, gpus, budgets));
    found
}

fn none(facts: &GpuFacts, wanted: &Wanted<'_>) -> HostFinding {
    let severity = if wanted.require {
        HostSeverity::Error
    } else {
        HostSeverity::Info
    };
    let smi = match &facts.smi {
        super::smi::Asked::NotInstalled => "no nvidia-smi".to_owned(),
        super::smi::Asked::TimedOut { deadline_ms } => {
            format!("nvidia-smi did not answer within {} s", deadline_ms / 1_000)
        }
        super::smi::Asked::Failed(why) => format!("nvidia-smi failed: {why}"),
        _ => "nvidia-smi shows none".to_owned(),
    };
    HostFinding::new(
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
