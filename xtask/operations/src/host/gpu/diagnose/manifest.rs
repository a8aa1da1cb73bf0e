//! What the manifest asks for, against what there is.

use model::{
    plan::{
        PlanError,
        gpus::{self, Gpus},
    },
    system::Agent,
};

use crate::host::{
    findings::{HostFinding, HostSeverity},
    gpu::{
        diagnose::wanted::Wanted,
        facts::GpuFacts,
        vram::{Budget, OVERHEAD_MB},
    },
};

pub(super) fn findings(
    facts: &GpuFacts,
    wanted: &Wanted<'_>,
    offered: &Gpus,
    budgets: &[Budget],
) -> Vec<HostFinding> {
    let system = wanted.system;
    let chosen = |agent: &&Agent| wanted.chosen.contains(&agent.name);
    let agents = system.agents.iter().filter(chosen);
    let refusals = agents.filter_map(|agent| gpus::refusal(system, agent, offered));
    let mut found: Vec<HostFinding> = refusals.filter_map(|error| refused(&error)).collect();
    for line in gpus::sharing(system, offered, &wanted.chosen) {
        found.push(HostFinding::new(
            "gpu-shared",
            HostSeverity::Info,
            "agents share a GPU",
            line,
            "nothing to do as long as its memory suffices; another GPU, or `gpu_device`, sets them apart",
        ));
    }
    found.extend(budgets.iter().filter_map(|budget| memory(budget, facts)));
    found
}

fn refused(error: &PlanError) -> Option<HostFinding> {
    match error {
        PlanError::GpusTooFew {
            agent,
            asked,
            offered,
        } => Some(HostFinding::new(
            "gpu-too-few",
            HostSeverity::Error,
            format!(
                "{agent} asks for {asked} GPUs, and there are {}",
                offered.len()
            ),
            format!("CDI offers {}", offered.join(", ")),
            format!("lower `gpu_count` of {agent} in the manifest"),
        )),
        PlanError::GpuUnknown {
            agent,
            device,
            offered,
        } => Some(HostFinding::new(
            "gpu-device-unknown",
            HostSeverity::Error,
            format!("{agent} asks for the GPU `{device}`, which no CDI specification lists"),
            format!("CDI offers {}", offered.join(", ")),
            format!(
                "set `gpu_device` of {agent} to one of these, or make the specification again: {}",
                super::wanted::GENERATE
            ),
        )),
        _ => None,
    }
}

/// Advisory: nothing holds an agent to what it declares.
fn memory(budget: &Budget, facts: &GpuFacts) -> Option<HostFinding> {
    facts.smi.answer()?;
    let counted = budget.agents.iter().filter(|share| share.counted);
    let agents: Vec<String> = counted
        .map(|share| match share.declared_mb {
            Some(mb) => format!("{} {mb}", share.agent),
            None => format!("{} undeclared", share.agent),
        })
        .collect();
    let (room, total) = (budget.room_mb()?, budget.total_mb?);
    if agents.is_empty() {
        return None;
    }
    let needed = budget.needed_mb();
    let evidence = format!(
        "{needed} MB needed ({}, and an estimated {OVERHEAD_MB} MB for each process) of {room} MB: {total} in all, {} in use by others",
        agents.join(", "),
        budget.others_mb
    );
    Some(if budget.overdrawn() {
        HostFinding::new(
            "gpu-memory",
            HostSeverity::Warning,
            format!("GPU {} has too little memory for its agents", budget.gpu),
            evidence,
            "an estimate that holds nobody to it: deploy fewer agents, spread them with `gpu_device`, or correct `vram_mb` (`cargo xtask check-gpu --learn 60` measures)",
        )
    } else {
        HostFinding::ok(
            "gpu-memory",
            format!("GPU {} has room for what its agents declare", budget.gpu),
            evidence,
        )
    })
}
