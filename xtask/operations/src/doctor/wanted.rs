//! What the manifest says about an agent, as far as it is of interest for those
//! who look at it. Of the host only the folders that are mounted are asked for.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use model::{
    plan::groups_before,
    system::{Agent, GpuPolicy, MountSource, System, naming::address_variable},
};

use super::evidence::{SourcePath, Wanted};
use crate::podman::inspect::{NamedPath, Question};

/// The agents that were asked for and, since the cause may be there, those that
/// they need or wait for. In start order.
pub fn around<'s>(system: &'s System, asked: &BTreeSet<String>) -> Vec<(&'s Agent, bool)> {
    let mut needed = asked.clone();
    loop {
        let more: BTreeSet<String> = system
            .agents
            .iter()
            .filter(|agent| needed.contains(&agent.name))
            .flat_map(|agent| {
                waits_for(system, agent)
                    .into_iter()
                    .chain(agent.peers.clone())
            })
            .filter(|name| !needed.contains(name))
            .collect();
        if more.is_empty() {
            break;
        }
        needed.extend(more);
    }
    let agents = system.agents.iter();
    agents
        .filter(|agent| needed.contains(&agent.name))
        .map(|agent| (agent, asked.contains(&agent.name)))
        .collect()
}

/// What `deploy` starts before it, optional agents left out.
fn waits_for(system: &System, agent: &Agent) -> BTreeSet<String> {
    let before = groups_before(system, &agent.group);
    let of_groups = system
        .agents
        .iter()
        .filter(|other| !other.optional && before.contains(other.group.as_str()))
        .map(|other| other.name.clone());
    of_groups.chain(agent.depends_on.iter().cloned()).collect()
}

/// What a program inside the agent's container is to look at.
pub fn question(system: &System, agent: &Agent) -> Question {
    let mut paths: Vec<NamedPath> = Vec::new();
    for (name, value) in &agent.env {
        let ending = ["_PATH", "_FOLDER", "_DIR", "_FILE"];
        let named = ending.iter().any(|ending| name.ends_with(ending));
        let absolute = value.starts_with('/') && !value.contains(':');
        let path = match (absolute, named && !value.is_empty() && !value.contains(':')) {
            (true, _) => value.clone(),
            (false, true) => format!("/app/{value}"),
            (false, false) => continue,
        };
        if name != "PYTHONPATH" {
            paths.push(NamedPath {
                name: name.clone(),
                path,
            });
        }
    }
    let read_only = agent.mounts.iter().filter(|mount| mount.read_only);
    paths.extend(read_only.map(|mount| NamedPath {
        name: mount.target.clone(),
        path: mount.target.clone(),
    }));
    Question {
        port: agent.health_port,
        paths,
        gpu: wants_gpu(system, agent),
    }
}

fn wants_gpu(system: &System, agent: &Agent) -> bool {
    agent.gpu.is_some() && system.group(&agent.group).gpu != GpuPolicy::Off
}

/// What the manifest wants of it; `asked` by the user.
pub fn wanted(system: &System, agent: &Agent, asked: bool) -> Wanted {
    let variable = |peer: &String| (address_variable(peer), peer.clone());
    let targets = |read_only: bool| {
        let mounts = agent.mounts.iter();
        let mounts = mounts.filter(|mount| mount.read_only || !read_only);
        mounts.map(|mount| mount.target.clone()).collect()
    };
    Wanted {
        name: agent.name.clone(),
        container: agent.container.clone(),
        image: agent.image.clone(),
        asked,
        own_network: system.group(&agent.group).net.is_bridge(),
        port: agent.port,
        health_port: agent.health_port,
        host_health_port: agent.host_health_port,
        start_timeout_s: agent.start_timeout_ms / 1000,
        memory_mb: agent.memory_mb,
        pids: agent.pids,
        gpu: wants_gpu(system, agent),
        peers: agent.peers.iter().map(variable).collect(),
        waits_for: waits_for(system, agent),
        read_only: targets(true),
        health: agent.health.clone(),
    }
}

/// Folders of the host that it mounts. What is inside its user's reach can only
/// be told inside; that nobody but the owner may read is told here.
pub fn sources(agent: &Agent) -> Vec<SourcePath> {
    let look = |target: &String, path: &Path| {
        let mode = fs::metadata(path).map(|meta| (meta.permissions().mode(), meta.is_dir()));
        let needed = |folder: bool| if folder { 0o005 } else { 0o004 };
        SourcePath {
            target: target.clone(),
            path: path.display().to_string(),
            exists: mode.is_ok(),
            readable: mode.is_ok_and(|(mode, folder)| mode & needed(folder) == needed(folder)),
        }
    };
    let mounts = agent.mounts.iter();
    mounts
        .filter_map(|mount| match &mount.source {
            MountSource::Host(path) => Some(look(&mount.target, path)),
            MountSource::Volume(_) => None,
        })
        .collect()
}
