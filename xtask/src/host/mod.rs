//! What this machine has: devices, ports, files behind the images, and
//! findings about all of it.

pub mod findings;
pub mod install;
pub mod lock;
pub mod ports;
pub mod project_lock;
pub mod recipes;
pub mod toolchain;

use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::system::System;

/// Folders that podman reads CDI specifications from (podman 4.1 to 5.4).
const CDI_FOLDERS: &[&str] = &["/etc/cdi", "/var/run/cdi"];

/// A CDI specification on this host offers NVIDIA GPUs.
pub fn gpu_offered() -> bool {
    CDI_FOLDERS
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
        .any(|spec| spec.contains("nvidia.com/gpu"))
}

/// Devices that the manifest names and this host has.
pub fn devices(system: &System) -> BTreeSet<PathBuf> {
    system
        .agents
        .iter()
        .flat_map(|agent| &agent.devices)
        .filter(|device| device.path.exists())
        .map(|device| device.path.clone())
        .collect()
}
