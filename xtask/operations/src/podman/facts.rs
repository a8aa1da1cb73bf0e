//! What podman says about itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::caps::Version;

/// What podman says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    pub version: Version,
    pub rootless: bool,
    /// Reached through a socket, local or not.
    pub remote: bool,
    pub network_backend: String,
    pub cgroup_version: String,
    pub cgroup_manager: String,
    pub runtime: String,
    pub storage_driver: String,
    pub storage_root: PathBuf,
    /// Controllers of cgroups v2 that podman may use; empty where it does not
    /// tell.
    #[serde(default)]
    pub cgroup_controllers: Vec<String>,
    /// Where aardvark-dns is, from versions that tell.
    #[serde(default)]
    pub name_server: Option<PathBuf>,
}
