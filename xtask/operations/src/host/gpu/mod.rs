//! GPUs of this host: what is there, what CDI offers of it, what is wrong with
//! it, and how much of its memory is spoken for.
//!
//! Gathering facts and judging them are apart: `facts` and `smi` look, the rest
//! is pure. Everything stands below a root folder, so that tests can show
//! another host.

pub mod cdi;
pub mod diagnose;
pub mod facts;
pub mod fix;
pub mod smi;
#[cfg(test)]
mod tests;
pub mod vram;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use facts::{Content, SpecFile};
use model::{
    plan::gpus::Gpus,
    system::{System, lock_file},
};

/// What the specifications on this host offer, without asking any program.
pub fn offered(root: &Path) -> Gpus {
    offered_by(&facts::specs(root))
}

/// What these specifications offer. Of two that define the same device the one
/// in the later folder wins, as in podman.
pub fn offered_by(specs: &[SpecFile]) -> Gpus {
    let mut devices: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in specs {
        let Some(spec) = file.gpus() else { continue };
        for device in &spec.devices {
            let nodes = device.edits.nodes.iter();
            let nodes = nodes.map(|node| node.path.clone()).collect();
            devices.insert(device.name.clone(), nodes);
        }
    }
    Gpus::from_names(devices)
}

/// The device nodes of GPUs that a device brings into a container, such as
/// `/dev/nvidia0`; none where the specification lists none.
pub fn nodes_of(specs: &[SpecFile], name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in specs {
        let Content::Read(_) = &file.content else {
            continue;
        };
        let devices = file.gpus().into_iter().flat_map(|spec| &spec.devices);
        for device in devices.filter(|device| device.name == name) {
            let nodes = device.edits.nodes.iter().map(|node| node.path.clone());
            found = nodes.filter(|path| is_gpu_node(path)).collect();
        }
    }
    found
}

/// `/dev/nvidia0`, not `/dev/nvidiactl`.
pub fn is_gpu_node(path: &str) -> bool {
    path.strip_prefix("/dev/nvidia")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// The newest release of CUDA among the locked packages of the images that
/// agents with a GPU run in; `None` where no lock pins one.
pub fn locked_cuda(system: &System) -> Option<(u32, u32)> {
    let agents = system.agents.iter().filter(|agent| agent.gpu.is_some());
    let lists: BTreeSet<&str> = agents
        .flat_map(|agent| system.lists_below(&agent.image))
        .collect();
    let locks = lists.into_iter().filter_map(|list| {
        let text = fs::read_to_string(lock_file(&system.root, list)).ok()?;
        cuda_in_lock(&text)
    });
    locks.max()
}

/// From the pin of the CUDA runtime's package (`nvidia-cuda-runtime-cu12`, from
/// CUDA 13 on without the ending).
fn cuda_in_lock(lock: &str) -> Option<(u32, u32)> {
    lock.lines().find_map(|line| {
        let rest = line.strip_prefix("nvidia-cuda-runtime")?;
        let (_, version) = rest.split_once("==")?;
        let mut numbers = version.split(['.', ' ']);
        let mut next = || numbers.next()?.parse::<u32>().ok();
        Some((next()?, next()?))
    })
}
