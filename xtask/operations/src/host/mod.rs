//! What this machine has: devices, ports, files behind the images, and
//! findings about all of it.

pub mod capacity;
pub mod findings;
pub mod gpu;
pub mod install;
pub mod kernel_log;
pub mod look;
pub mod ports;
pub mod toolchain;
pub mod usage;
pub mod yaml;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use model::{
    plan::State,
    system::{Subnet, System},
};

/// Subnets of podman's networks and of this host's routes.
pub fn taken_subnets(state: &State) -> Vec<Subnet> {
    let networks = state.networks.values().flat_map(|network| &network.subnets);
    let podmans = networks.filter_map(|subnet| subnet.parse().ok());
    let table = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let routes = table.lines().skip(1).filter_map(toolchain::route);
    podmans.chain(routes.map(|(_, subnet)| subnet)).collect()
}

/// Devices that the manifest names and this host has, each with the id of its
/// group.
///
/// A folder such as `/dev/snd` belongs to root; what is in it says the group.
pub fn devices(system: &System) -> BTreeMap<PathBuf, u32> {
    system
        .agents
        .iter()
        .flat_map(|agent| &agent.devices)
        .filter_map(|device| Some((device.path.clone(), device_group(&device.path)?)))
        .collect()
}

fn device_group(path: &Path) -> Option<u32> {
    let own = fs::metadata(path).ok()?;
    let inside = fs::read_dir(path).into_iter().flatten();
    let inside = inside.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.gid()));
    Some(inside.max().unwrap_or(own.gid()))
}
