//! The budget of GPU memory: what agents declare against what there is.
//!
//! Pure. Advisory, too: without slices (MIG) nothing holds a process to what it
//! has declared (nvidia-docker issue 1297), so the budget only tells beforehand
//! what is likely not to fit.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    plan::gpus::{self, Gpus, Unit},
    system::System,
};
use serde::Serialize;

use super::smi::Gpu;

/// What each process with CUDA takes beside what it asks for: its context and
/// the libraries' code. An estimate; about 600 MB were seen with PyTorch
/// (NVIDIA/nvidia-container-toolkit issue 235).
pub const OVERHEAD_MB: u64 = 600;
/// Added to an observed peak before it is proposed, in per cent.
pub const HEADROOM_PERCENT: u64 = 10;
/// Proposals are rounded up to a multiple of this.
const STEP_MB: u64 = 100;

/// One GPU and the agents that are given it. Memory in MB of 2^20 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Budget {
    /// CDI name.
    pub gpu: String,
    /// Model; empty where `nvidia-smi` does not know the unit.
    pub name: String,
    /// Empty where `nvidia-smi` does not know the unit.
    pub uuid: String,
    /// Null for slices and where `nvidia-smi` does not tell.
    pub total_mb: Option<u64>,
    /// As `total_mb`.
    pub free_mb: Option<u64>,
    /// Held by what is no agent of this system.
    pub others_mb: u64,
    /// Those that are given it.
    pub agents: Vec<Share>,
}

/// An agent on a GPU. Memory in MB of 2^20 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Share {
    /// As in the manifest.
    pub agent: String,
    /// It is in the sum: not optional, or named, or on the GPU now.
    pub counted: bool,
    /// The manifest's `vram_mb`; null without one.
    pub declared_mb: Option<u64>,
    /// Null where no process of it computes on the GPU now.
    pub used_mb: Option<u64>,
    /// Highest use that `--learn` has seen; null where it has seen none.
    pub peak_mb: Option<u64>,
}

/// Memory in use by GPU (UUID) and agent.
pub type Used = BTreeMap<(String, String), u64>;

impl Budget {
    /// What the agents that count need together.
    pub fn needed_mb(&self) -> u64 {
        let counted = self.agents.iter().filter(|share| share.counted);
        counted
            .map(|share| share.declared_mb.unwrap_or(0) + OVERHEAD_MB)
            .sum()
    }

    /// What is left for agents.
    pub fn room_mb(&self) -> Option<u64> {
        Some(self.total_mb?.saturating_sub(self.others_mb))
    }

    /// More is needed than there is.
    pub fn overdrawn(&self) -> bool {
        let mut counted = self.agents.iter().filter(|share| share.counted);
        counted.any(|share| share.declared_mb.is_some())
            && self.room_mb().is_some_and(|room| self.needed_mb() > room)
    }
}

/// The budget of every unit. `used` is what agents hold now, `peaks` what they
/// were seen to hold at most; `chosen` are the agents it is about.
pub fn budgets(
    system: &System,
    offered: &Gpus,
    known: &[Gpu],
    used: &Used,
    peaks: Option<&Used>,
    chosen: &BTreeSet<String>,
) -> Vec<Budget> {
    let users = gpus::users(system, offered);
    let units = offered.units.iter().zip(users);
    units
        .map(|(unit, (_, users))| {
            let gpu = known.iter().find(|gpu| means(unit, gpu));
            let uuid = gpu.map_or_else(String::new, |gpu| gpu.uuid.clone());
            let ours = used.iter().filter(|((on, _), _)| *on == uuid);
            let ours: u64 = ours.map(|(_, used_mb)| used_mb).sum();
            let in_use = gpu.and_then(|gpu| gpu.used_mb).unwrap_or(0);
            let share = |agent: &&model::system::Agent| {
                let key = (uuid.clone(), agent.name.clone());
                let used_mb = used.get(&key).copied();
                let asked = !agent.optional || chosen.contains(&agent.name);
                Share {
                    agent: agent.name.clone(),
                    counted: asked || used_mb.is_some(),
                    declared_mb: agent.vram_mb,
                    used_mb,
                    peak_mb: peaks.and_then(|peaks| peaks.get(&key).copied()),
                }
            };
            Budget {
                gpu: unit.name.clone(),
                name: gpu.map_or_else(String::new, |gpu| gpu.name.clone()),
                total_mb: gpu.and_then(|gpu| gpu.total_mb),
                free_mb: gpu.and_then(|gpu| gpu.free_mb),
                others_mb: in_use.saturating_sub(ours),
                agents: users.iter().map(share).collect(),
                uuid,
            }
        })
        .collect()
}

/// The unit is this GPU as a whole.
pub fn means(unit: &Unit, gpu: &Gpu) -> bool {
    unit.names.contains(&gpu.uuid) || unit.names.contains(&gpu.index.to_string())
}

/// Keeps the higher value of each.
pub fn raise(peaks: &mut Used, sample: Used) {
    for (key, used_mb) in sample {
        let peak = peaks.entry(key).or_default();
        *peak = (*peak).max(used_mb);
    }
}

/// The `vram_mb` that covers an observed peak with headroom. The peak includes
/// the overhead, which the budget adds by itself.
pub fn proposal_mb(peak_mb: u64) -> u64 {
    let roomy = peak_mb + peak_mb * HEADROOM_PERCENT / 100;
    let asked = roomy.saturating_sub(OVERHEAD_MB).max(1);
    asked.div_ceil(STEP_MB) * STEP_MB
}

/// Proposals by agent, the highest over its GPUs.
pub fn proposals(peaks: &Used) -> BTreeMap<String, (u64, u64)> {
    let mut found: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for ((_, agent), peak_mb) in peaks {
        let entry = found.entry(agent.clone()).or_default();
        *entry = (*entry).max((*peak_mb, proposal_mb(*peak_mb)));
    }
    found
}

#[cfg(test)]
mod tests;
