//! Which agent gets which GPU.
//!
//! The choice depends on the manifest and on what the host offers, never on
//! what happens to run or on which agents a command is about: deploying one
//! agent alone must not move another to a different GPU.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    plan::refusal::PlanError,
    system::{Agent, GpuPolicy, GpuRequest, System},
};

/// What stands before a device's name in a CDI request.
pub const CDI_KIND: &str = "nvidia.com/gpu";
/// The name that stands for every GPU at once.
pub const ALL: &str = "all";

/// What the CDI specifications of the host offer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gpus {
    /// GPUs, or slices of GPUs, in a stable order.
    pub units: Vec<Unit>,
    /// Every name that can be asked for, `all` included.
    pub names: BTreeSet<String>,
}

/// One GPU, or one slice of a GPU that is divided (MIG).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The name it is asked for by: an index where there is one.
    pub name: String,
    /// All of its names, that one included.
    pub names: BTreeSet<String>,
}

impl Gpus {
    /// A host with so many whole GPUs that are known by their index.
    pub fn indexed(count: usize) -> Self {
        let names = (0..count).map(|index| index.to_string());
        Gpus::from_names(names.map(|name| (name, BTreeSet::new())))
    }

    /// From device names, each with the device nodes that it brings. Names that
    /// bring the same nodes are names of the same GPU.
    pub fn from_names(devices: impl IntoIterator<Item = (String, BTreeSet<String>)>) -> Self {
        let mut gpus = Gpus::default();
        let mut by_nodes: BTreeMap<BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
        let mut alone: BTreeSet<String> = BTreeSet::new();
        for (name, nodes) in devices {
            gpus.names.insert(name.clone());
            if name == ALL {
                continue;
            }
            if nodes.is_empty() {
                alone.insert(name);
            } else {
                by_nodes.entry(nodes).or_default().insert(name);
            }
        }
        // Without nodes nothing tells that a UUID and an index mean the same.
        let indices = alone.iter().any(|name| rank(name).0 < 2);
        alone.retain(|name| !indices || rank(name).0 < 2);
        let groups = by_nodes
            .into_values()
            .chain(alone.into_iter().map(|name| BTreeSet::from([name])));
        for names in groups {
            let Some(name) = names.iter().min_by_key(|name| rank(name)).cloned() else {
                continue;
            };
            gpus.units.push(Unit { name, names });
        }
        gpus.units.sort_by(|a, b| rank(&a.name).cmp(&rank(&b.name)));
        gpus
    }

    /// No GPU can be asked for.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The positions of the units that a device name stands for.
    fn places(&self, name: &str) -> Vec<usize> {
        let meant = |unit: &Unit| name == ALL || unit.names.contains(name);
        let units = self.units.iter().enumerate();
        units
            .filter(|(_, unit)| meant(unit))
            .map(|(place, _)| place)
            .collect()
    }
}

/// Indices first, in the order of numbers, then slices (`0:1`), then the rest.
fn rank(name: &str) -> (u8, u64, u64, &str) {
    let number = |text: &str| text.parse::<u64>().ok();
    if let Some(index) = number(name) {
        return (0, index, 0, name);
    }
    match name.split_once(':').map(|(a, b)| (number(a), number(b))) {
        Some((Some(gpu), Some(slice))) => (1, gpu, slice, name),
        _ => (2, 0, 0, name),
    }
}

/// Device names by agent, for every agent of the manifest that asks for a GPU
/// and can have it. Who asks for more than there is gets nothing.
///
/// Named devices are fixed. Agents that ask for a number get GPUs of their own
/// in the manifest's order of start, optional agents last. Those that are left
/// when each GPU has a user share: the one that declares most memory first, on
/// the GPU with the least declared memory.
pub fn assigned(system: &System, gpus: &Gpus) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let mut load = vec![Load::default(); gpus.units.len()];
    let mut counted = Vec::new();
    for agent in &system.agents {
        match request(system, agent) {
            Some(GpuRequest::Device(name)) if gpus.names.contains(name) => {
                for place in gpus.places(name) {
                    load[place].add(agent);
                }
                found.insert(agent.name.clone(), vec![name.clone()]);
            }
            Some(GpuRequest::Count(count)) if *count as usize <= gpus.units.len() => {
                counted.push((agent, *count as usize));
            }
            _ => {}
        }
    }
    counted.sort_by_key(|(agent, _)| agent.optional);
    let mut sharers = Vec::new();
    for (agent, count) in counted {
        let free: Vec<usize> = (0..load.len()).filter(|at| load[*at].agents == 0).collect();
        match free.get(..count) {
            Some(places) => take(gpus, agent, places, &mut load, &mut found),
            None => sharers.push((agent, count)),
        }
    }
    sharers.sort_by(|(a, _), (b, _)| {
        let key = |agent: &Agent| (agent.optional, std::cmp::Reverse(agent.vram_mb));
        (key(a), &a.name).cmp(&(key(b), &b.name))
    });
    for (agent, count) in sharers {
        let mut places: Vec<usize> = (0..load.len()).collect();
        places.sort_by_key(|place| (load[*place].vram_mb, load[*place].agents, *place));
        places.truncate(count);
        places.sort_unstable();
        take(gpus, agent, &places, &mut load, &mut found);
    }
    found
}

/// A warning for each GPU that `asked` agents share with each other, or with
/// agents that are not optional: those are on it, or will be.
pub fn sharing(system: &System, gpus: &Gpus, asked: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (unit, mut users) in users(system, gpus) {
        users.retain(|agent| !agent.optional || asked.contains(&agent.name));
        if users.len() > 1 && users.iter().any(|agent| asked.contains(&agent.name)) {
            let names: Vec<&str> = users.iter().map(|agent| agent.name.as_str()).collect();
            found.push(format!(
                "{CDI_KIND}={unit} is shared by {}",
                names.join(", ")
            ));
        }
    }
    found
}

/// Every unit with the agents that are given it, in the manifest's order.
pub fn users<'s>(system: &'s System, gpus: &Gpus) -> Vec<(String, Vec<&'s Agent>)> {
    let assigned = assigned(system, gpus);
    let users = |place: usize| {
        let uses = |agent: &&Agent| {
            let devices = assigned.get(&agent.name);
            let mut names = devices.into_iter().flatten();
            names.any(|name| gpus.places(name).contains(&place))
        };
        system.agents.iter().filter(uses).collect()
    };
    let units = gpus.units.iter().enumerate();
    units
        .map(|(place, unit)| (unit.name.clone(), users(place)))
        .collect()
}

/// Why this agent cannot have what it asks for on a host with GPUs.
pub fn refusal(system: &System, agent: &Agent, gpus: &Gpus) -> Option<PlanError> {
    if gpus.is_empty() {
        return None;
    }
    match request(system, agent)? {
        GpuRequest::Count(count) if *count as usize > gpus.units.len() => {
            Some(PlanError::GpusTooFew {
                agent: agent.name.clone(),
                asked: *count,
                offered: gpus.units.iter().map(|unit| unit.name.clone()).collect(),
            })
        }
        GpuRequest::Device(name) if !gpus.names.contains(name) => Some(PlanError::GpuUnknown {
            agent: agent.name.clone(),
            device: name.clone(),
            offered: gpus.names.iter().cloned().collect(),
        }),
        _ => None,
    }
}

/// What the agent asks for, unless its group does without GPUs.
pub fn request<'s>(system: &System, agent: &'s Agent) -> Option<&'s GpuRequest> {
    let off = system.group(&agent.group).gpu == GpuPolicy::Off;
    agent.gpu.as_ref().filter(|_| !off)
}

#[derive(Debug, Clone, Default)]
struct Load {
    agents: usize,
    vram_mb: u64,
}

impl Load {
    fn add(&mut self, agent: &Agent) {
        self.agents += 1;
        self.vram_mb += agent.vram_mb.unwrap_or(0);
    }
}

fn take(
    gpus: &Gpus,
    agent: &Agent,
    places: &[usize],
    load: &mut [Load],
    found: &mut BTreeMap<String, Vec<String>>,
) {
    for place in places {
        load[*place].add(agent);
    }
    let names = places.iter().map(|place| gpus.units[*place].name.clone());
    found.insert(agent.name.clone(), names.collect());
}

#[cfg(test)]
mod tests;
