//! What a container, network or image is made from, as data, and its hash.
//!
//! The hash is kept as a label; equal hashes mean that nothing needs to be
//! done. It covers what the manifest asks for, not what this engine needs on
//! top, so that a probe that answers differently does not replace containers.

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{given::given, gpus, secret::GivenSecret};
use crate::{
    plan::{
        names::{pointer_tag, volume_name},
        released::released,
        state::State,
        workload::Workload,
    },
    system::{Agent, MountSource, Net, Relaxations, System},
};

/// A container that an agent runs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContainerSpec {
    /// Owner, for its label.
    pub system: String,
    /// The manifest that asks for it, for its label. Where the checkout lies changes
    /// nothing in the container.
    #[serde(skip)]
    pub manifest: PathBuf,
    /// Number of the deployment that makes it, for its label; left out where nobody
    /// counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<u32>,
    /// Whom it serves.
    #[serde(flatten)]
    pub workload: Workload,
    /// Of the container.
    pub name: String,
    /// Its own name within its networks.
    pub hostname: String,
    /// Tag of the image.
    pub image: String,
    /// What it is attached to.
    pub network: ContainerNet,
    /// Pairs of a port on the host's 127.0.0.1 and the container's port.
    pub publish: Vec<(u16, u16)>,
    /// Its environment, beside that of the image.
    pub env: BTreeMap<String, String>,
    /// Secrets that it is given; none in those of before there were any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<GivenSecret>,
    /// What of the host, and which volumes, it sees.
    pub mounts: Vec<MountSpec>,
    /// Paths of host devices, and CDI names of GPUs.
    pub devices: Vec<String>,
    /// Groups of the host whose devices it uses.
    pub groups: Vec<u32>,
    /// Limit, in MB of 2^20 bytes.
    pub memory_mb: u64,
    /// Limit, in processors.
    pub cpus: f64,
    /// Limit on processes and threads.
    pub pids: u32,
    /// As podman's `--restart` takes it.
    pub restart: String,
    /// Time between SIGTERM and SIGKILL, in seconds.
    pub stop_timeout_s: u32,
    /// What it gives up of the secure defaults.
    pub relax: RelaxSpec,
    /// Files of the host that it is replaced for: path as in the manifest to a hash of
    /// the content. Left out if there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// The full command line.
    pub command: Vec<String>,
}

/// What a container is attached to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ContainerNet {
    /// Pairs of a network and the fixed address in it, which may be null, in the
    /// order of attachment.
    Bridge(Vec<(String, Option<Ipv4Addr>)>),
    /// The host's own.
    Host,
    /// The pod whose namespace it shares.
    Pod(String),
}

/// What is seen at a path in a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MountSpec {
    /// Volume name or absolute path on the host.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// It cannot be written to.
    pub read_only: bool,
}

/// What a container gives up of the secure defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RelaxSpec {
    /// The root file system can be written to.
    pub writable_root: bool,
    /// It runs as root.
    pub root_user: bool,
    /// Capabilities that it keeps.
    pub capabilities: Vec<String>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NetworkSpec {
    /// Owner, for its label.
    pub system: String,
    /// Of the network.
    pub name: String,
    /// In CIDR form.
    pub subnet: String,
    /// What addresses without a fixed place come from, in CIDR form; null for all of
    /// the subnet.
    pub ip_range: Option<String>,
    /// No route to the outside.
    pub internal: bool,
    /// Traffic from other isolated networks is dropped.
    pub isolate: bool,
}

/// A container that tests run in, and that is gone afterwards.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestSpec {
    pub system: String,
    pub name: String,
    pub image: String,
    /// Image whose root is mounted at `tools_at`: what tests are run with.
    pub tools: String,
    pub tools_at: String,
    /// Networks it is attached to; none but its own loopback without.
    pub networks: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub mounts: Vec<MountSpec>,
    pub memory_mb: u64,
    /// `None`: as many as there are.
    pub cpus: Option<f64>,
    pub pids: u32,
    /// What the program that runs pytest is told, as JSON.
    pub config: String,
}

/// A container that fills a volume for a copy of the system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FillSpec {
    pub system: String,
    pub image: String,
    pub volume: String,
    pub env: BTreeMap<String, String>,
    pub mounts: Vec<MountSpec>,
    /// Below the working directory.
    pub script: String,
}

/// One `podman build`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BuildSpec {
    /// Owner to label it with; null where the parent is labelled, since every label is
    /// a step of a build, and images inherit them.
    pub system: Option<String>,
    /// A service image: only copies code, so that its build gets no network.
    pub code: bool,
    /// Of the image.
    pub tag: String,
    /// Path of the Containerfile.
    pub containerfile: PathBuf,
    /// Folder whose files can be copied.
    pub context: PathBuf,
    /// Decides what of the context is visible; null: the context's own.
    pub ignorefile: Option<PathBuf>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Environment of whatever runs in the image.
    pub env: BTreeMap<String, String>,
    /// Stage to stop at; null: the last one. An image that stops early holds nothing
    /// of interest and is made the same each time.
    pub target: Option<String>,
    /// Files and variables that commands see while they run; never stored in an image.
    pub secrets: Vec<Secret>,
    /// Hash of all that goes into the image, for its label.
    pub inputs_hash: String,
}

/// A container of an image that imports packages, and is gone afterwards.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SmokeSpec {
    /// Of the image.
    pub tag: String,
    /// What the image adds to its parent, in alphabetical order.
    pub packages: Vec<String>,
    /// The image has just been built, and this is the end of that.
    pub built: bool,
}

/// Something that a build may read and that no image keeps.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Secret {
    /// From a file.
    File {
        /// What commands know it by.
        id: String,
        /// Absolute path on the host.
        path: PathBuf,
    },
    /// From the environment of the build.
    Env {
        /// What commands know it by.
        id: String,
        /// Name of the variable.
        variable: String,
    },
}

/// SHA-256 over the canonical JSON form, in hexadecimal, shortened to 24
/// characters: long enough to never collide, short enough to read.
pub fn hash_of(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("specifications have string keys only");
    hash_bytes(&json)
}

pub fn hash_bytes(bytes: &[u8]) -> String {
    short(Sha256::new_with_prefix(bytes))
}

/// The short hexadecimal form of what has been hashed so far.
pub fn short(sha: Sha256) -> String {
    sha.finalize()[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Where published ports are on the host.
pub const LOOPBACK: &str = "127.0.0.1";

/// A hardware address that follows from the IP address, locally administered.
///
/// podman draws a new one at every start. Neighbours that know the old one go
/// on sending to it for half a minute, and a replaced agent seems dead.
pub fn hardware_address(ip: Ipv4Addr) -> String {
    let [a, b, c, d] = ip.octets();
    format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// The container that `agent` should run in, on the host that `state` shows.
pub fn container(system: &System, agent: &Agent, state: &State) -> ContainerSpec {
    let group = system.group(&agent.group);
    let network = match &group.net {
        Net::Bridge { own, backbone } => {
            let own = own.iter().map(|name| (name.clone(), agent.ip));
            let backbone = backbone
                .iter()
                .map(|name| (name.clone(), agent.backbone_ip));
            ContainerNet::Bridge(own.chain(backbone).collect())
        }
        Net::Host => ContainerNet::Host,
        Net::Pod => ContainerNet::Pod(format!("{}-{}", system.name, group.name)),
    };
    let publish = match &group.net {
        Net::Bridge { .. } => publications(agent),
        // A pod publishes the ports of all its containers.
        Net::Host | Net::Pod => Vec::new(),
    };
    let (secrets, empty) = given(system, agent, state);
    let empty = empty.into_iter().map(|name| (name, String::new()));
    ContainerSpec {
        system: system.name.clone(),
        manifest: system.manifest.clone(),
        deployment: None,
        workload: Workload::Agent {
            agent: agent.name.clone(),
            group: agent.group.clone(),
        },
        name: agent.container.clone(),
        hostname: agent.container.clone(),
        image: image(system, agent, state),
        network,
        publish,
        env: agent.env.clone().into_iter().chain(empty).collect(),
        secrets,
        mounts: mounts(system, agent),
        devices: devices(system, agent, state),
        groups: groups(agent, state),
        memory_mb: agent.memory_mb,
        cpus: agent.cpus,
        pids: agent.pids,
        restart: agent.restart.to_string(),
        stop_timeout_s: agent.stop_timeout_s,
        relax: relaxed(&agent.relax),
        files: agent
            .mounts
            .iter()
            .flat_map(|mount| mount.files.clone())
            .collect(),
        command: agent.command.clone(),
    }
}

/// The content that its image stands for; its pointer, while there is none.
fn image(system: &System, agent: &Agent, state: &State) -> String {
    let found = released(system, state, &agent.image).ok().flatten();
    found.map_or_else(|| pointer_tag(system, &agent.image), |found| found.tag)
}

/// The hash that a container's label keeps. It leaves out the name, since a
/// successor is made under another one, and the image, whose id is compared.
pub fn hash_of_container(container: &ContainerSpec) -> String {
    let mut plain = container.clone();
    plain.name.clone_from(&container.hostname);
    plain.image = String::new();
    plain.deployment = None;
    hash_of(&plain)
}

fn publications(agent: &Agent) -> Vec<(u16, u16)> {
    let main = agent.host_port.map(|host| (host, agent.port));
    main.into_iter()
        .chain([(agent.host_health_port, agent.health_port)])
        .collect()
}

fn mounts(system: &System, agent: &Agent) -> Vec<MountSpec> {
    let source = |source: &MountSource| match source {
        MountSource::Volume(volume) => volume_name(system, volume),
        MountSource::Host(path) => path.display().to_string(),
    };
    agent
        .mounts
        .iter()
        .map(|mount| MountSpec {
            source: source(&mount.source),
            target: mount.target.clone(),
            read_only: mount.read_only,
        })
        .collect()
}

/// Host devices that exist, then the CDI names of the GPUs it is given.
fn devices(system: &System, agent: &Agent, state: &State) -> Vec<String> {
    let mut devices: Vec<String> = agent
        .devices
        .iter()
        .filter(|device| state.devices.contains_key(&device.path))
        .map(|device| device.path.display().to_string())
        .collect();
    if gpus::request(system, agent).is_some() && !state.gpus.is_empty() {
        let mut assigned = gpus::assigned(system, &state.gpus);
        let names = assigned.remove(&agent.name).unwrap_or_default();
        let kind = gpus::CDI_KIND;
        devices.extend(names.iter().map(|name| format!("{kind}={name}")));
    }
    devices
}

/// An unprivileged agent may open a device only as a member of its group.
fn groups(agent: &Agent, state: &State) -> Vec<u32> {
    let used = agent.devices.iter();
    let groups = used.filter_map(|device| state.devices.get(&device.path));
    groups.copied().filter(|group| *group != 0).collect()
}

fn relaxed(relax: &Relaxations) -> RelaxSpec {
    RelaxSpec {
        writable_root: relax.writable_root.is_some(),
        root_user: relax.root_user.is_some(),
        capabilities: relax.capabilities.keys().cloned().collect(),
    }
}
