//! The checked description of the whole system: what the manifest means after
//! every default is applied and every reference is known to exist.
//!
//! A value of these types cannot refer to a missing network, image or agent,
//! hold a port twice or describe a cycle: `check` refuses such manifests. The
//! types carry no file positions; those are needed only while checking.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    health::HealthContract,
    image::Image,
    net::Net,
    release::PythonRelease,
    secrets::{SecretDefinition, SecretUse},
    subnet::Subnet,
};

/// Everything that the manifest says, checked.
#[derive(Debug, Clone, Serialize)]
pub struct System {
    /// Prefix of volumes and value of the ownership label; unique per host.
    pub name: String,
    /// The system whose images it runs: its own, or the original's of a copy.
    pub image_owner: String,
    /// Which of the images' pointers it follows.
    pub image_pointer: Pointer,
    /// So many sets of images that were deployed are kept.
    pub keep_images: u32,
    /// Repository root: the folder above the one that holds the manifest.
    pub root: PathBuf,
    /// The manifest itself, for messages.
    pub manifest: PathBuf,
    /// The tree that holds the agents' code.
    pub monorepo: PathBuf,
    /// Paths below `monorepo` that go into service images.
    pub code: Vec<String>,
    /// Names (`__pycache__`) and endings (`*.pyc`) kept out of service images.
    pub code_exclude: Vec<String>,
    /// Folders below `monorepo` that agents import from, in this order: their
    /// `PYTHONPATH`. `.` is the monorepo itself.
    pub search_roots: Vec<String>,
    pub base: BaseImage,
    pub networks: BTreeMap<String, Network>,
    pub images: BTreeMap<String, Image>,
    /// Where secrets come from, by name.
    pub secrets: BTreeMap<String, SecretDefinition>,
    /// In deployment order: a group stands behind those it comes `after`.
    pub groups: Vec<Group>,
    /// In start order: groups in order, dependencies inside, ties in the
    /// manifest's order. Optional agents included.
    pub agents: Vec<Agent>,
    pub tests: Option<Tests>,
}

/// A tag that moves from one content of an image to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pointer {
    /// What the system was last built to.
    Latest,
    /// What its tests were last built to.
    Test,
}

impl Pointer {
    /// As in a tag.
    pub fn as_str(self) -> &'static str {
        match self {
            Pointer::Latest => "latest",
            Pointer::Test => "test",
        }
    }
}

/// How the agents and the whole are tested.
#[derive(Debug, Clone, Serialize)]
pub struct Tests {
    /// Image that pytest is installed in; mounted beside the image under test.
    pub image: String,
    /// Paths below `monorepo` that are mounted over the code of the image.
    pub code: Vec<String>,
    /// For all of one agent's unit tests.
    pub unit_timeout_s: u32,
    /// What a copy of the system finds in some of its folders.
    pub fill: Vec<Fill>,
    /// In the order of the manifest.
    pub suites: Vec<Suite>,
}

/// A folder that a copy of the system does not share with the original: a
/// volume that a script has filled.
#[derive(Debug, Clone, Serialize)]
pub struct Fill {
    /// Of the volume, without the system's name.
    pub name: String,
    /// Where agents have it.
    pub target: String,
    /// Path below the monorepo; it is called with the folder to fill.
    pub script: String,
    /// Image it runs in.
    pub image: String,
}

/// Integration tests: one script, run against the live system.
#[derive(Debug, Clone, Serialize)]
pub struct Suite {
    pub name: String,
    /// Path below the monorepo.
    pub script: String,
    /// Image it runs in.
    pub image: String,
    /// Groups: it runs once as if it were an agent of each. None: it runs once,
    /// with a place on the backbone alone.
    pub from: Vec<String>,
    /// Agents that must be healthy before it starts.
    pub needs: Vec<String>,
    pub timeout_s: u32,
}

/// Where the Python base image comes from: `sources` are tried in order.
#[derive(Debug, Clone, Serialize)]
pub struct BaseImage {
    /// Local name without tag, `ai-system-base`.
    pub name: String,
    pub sources: Vec<BaseSource>,
    /// Reference to pull, `docker.io/library/python:3.11-slim`.
    pub pull: String,
    /// Debian suite for `mmdebstrap`, and its extra packages.
    pub suite: String,
    pub packages: Vec<String>,
    /// The interpreter that it holds: code is read and locks are made for it.
    pub python: PythonRelease,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseSource {
    /// Already present on this host under its local name.
    Present,
    /// Pulled from a registry; the digest is locked at the first pull.
    Pull,
    /// Built from the distribution's packages with `mmdebstrap`.
    Bootstrap,
}

#[derive(Debug, Clone, Serialize)]
pub struct Network {
    pub subnet: Subnet,
    /// Part of the subnet that addresses without a fixed place come from;
    /// fixed addresses stay outside it (podman issue 25422).
    pub ip_range: Option<Subnet>,
    /// No route to the outside.
    pub internal: bool,
    /// Traffic from other isolated networks is dropped by netavark.
    pub isolate: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct Group {
    pub name: String,
    pub net: Net,
    /// Groups that must be healthy before this one starts.
    pub after: Vec<String>,
    /// What to do without a GPU, for agents that ask for one.
    pub gpu: GpuPolicy,
    /// How many of its running agents are replaced at the same time; `None`: all.
    pub max_unavailable: Option<u32>,
}

/// The manifest's word for how agents are connected; `Net` is what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    Bridge,
    Host,
    Pod,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GpuPolicy {
    /// Use a GPU if the host has one, else the CPU with a warning.
    Auto,
    /// Refuse to deploy without one.
    Required,
    /// Always the CPU.
    Off,
}

/// One Python process with a ZeroMQ main port and a health port.
#[derive(Debug, Clone, Serialize)]
pub struct Agent {
    /// Name in the manifest, `SystemDigitalTwin`.
    pub name: String,
    /// Container and host name, `system-digital-twin`.
    pub container: String,
    pub group: String,
    /// Service image.
    pub image: String,
    /// Path of the script below the monorepo.
    pub script: String,
    /// The script is absent; allowed for optional agents only.
    pub script_missing: bool,
    /// Full command line, placeholders filled in.
    pub command: Vec<String>,
    /// Full environment: the contract's variables, the group's, the agent's
    /// and the addresses of its peers.
    pub env: BTreeMap<String, String>,
    /// Files with more variables, as long as `env` and `secrets` do not have them;
    /// later ones win.
    pub env_files: Vec<PathBuf>,
    pub secrets: Vec<SecretUse>,
    pub port: u16,
    pub health_port: u16,
    /// Loopback port on the host for the main port, if published.
    pub host_port: Option<u16>,
    /// Loopback port on the host where health is asked.
    pub host_health_port: u16,
    /// How it is asked at its health port.
    #[serde(rename = "health_requests")]
    pub health: HealthContract,
    pub ip: Option<Ipv4Addr>,
    pub backbone_ip: Option<Ipv4Addr>,
    pub depends_on: Vec<String>,
    /// Agents whose addresses it is given: `depends_on` and `peers`.
    pub peers: BTreeSet<String>,
    pub mounts: Vec<Mount>,
    pub devices: Vec<Device>,
    pub gpu: Option<GpuRequest>,
    /// GPU memory that it needs, for the budget of the host's GPUs.
    pub vram_mb: Option<u64>,
    pub memory_mb: u64,
    pub cpus: f64,
    pub pids: u32,
    pub restart: RestartPolicy,
    /// Time from container start to the first good health reply.
    pub start_timeout_ms: u64,
    /// How often a start is tried before it counts as failed, at least 1.
    pub start_attempts: u32,
    /// Time between SIGTERM and SIGKILL.
    pub stop_timeout_s: u32,
    /// Started only when named (the plan's "if needed").
    pub optional: bool,
    pub relax: Relaxations,
    /// pytest files below the monorepo.
    pub unit_tests: Vec<String>,
}

/// What an agent gives up of the secure defaults, each with its reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Relaxations {
    /// Why the root file system must be writable.
    pub writable_root: Option<String>,
    /// Why it must run as root.
    pub root_user: Option<String>,
    /// Capability name to the reason for it.
    pub capabilities: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    pub read_only: bool,
    /// The agent is replaced when one of these files changes: path as in the
    /// manifest to a hash of the content. None unless the manifest asks for it.
    pub files: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    /// A podman volume, prefixed with the system's name.
    Volume(String),
    /// An existing folder or file of the host.
    Host(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Path on the host and in the container.
    pub path: PathBuf,
    /// Left out on a host that has no such device.
    pub optional: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GpuRequest {
    /// Any so many GPUs.
    Count(u32),
    /// CDI device name behind `nvidia.com/gpu=`: an index, a UUID or `all`.
    Device(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    No,
    /// At most so many times, after a non-zero exit.
    OnFailure(u32),
    Always,
}

impl System {
    /// It stands beside the system of the manifest and runs the images of its tests.
    pub fn is_copy(&self) -> bool {
        self.image_owner != self.name
    }

    /// The agent of that name.
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name == name)
    }

    /// Panics on a name that `check` did not let through.
    pub fn group(&self, name: &str) -> &Group {
        self.groups
            .iter()
            .find(|group| group.name == name)
            .expect("agents refer to known groups")
    }

    /// The image `name` and those that it stands on, from the top down, without
    /// the base. Empty for an unknown image.
    pub fn chain(&self, name: &str) -> impl Iterator<Item = &Image> {
        let below = |image: &&Image| self.images.get(image.parent()?);
        std::iter::successors(self.images.get(name), below)
    }

    /// Lists of requirements of the images that `name` stands on, from the
    /// lowest up, none twice. Empty for an unknown image.
    pub fn lists_below(&self, name: &str) -> Vec<&str> {
        let chain: Vec<&Image> = self.chain(name).skip(1).collect();
        let mut lists: Vec<&str> = Vec::new();
        for list in chain.iter().rev().flat_map(|image| image.lists()) {
            if !lists.contains(&list.as_str()) {
                lists.push(list);
            }
        }
        lists
    }

    /// The same and its own behind them: all whose packages are in the image.
    pub fn lists_in(&self, name: &str) -> Vec<&str> {
        let own = self.images.get(name).map_or(&[][..], Image::lists);
        let mut lists = self.lists_below(name);
        lists.extend(own.iter().map(String::as_str));
        lists
    }

    /// The folder that the image's build sees.
    pub fn context_of(&self, image: &Image) -> &Path {
        image.context(&self.root, &self.monorepo)
    }

    /// The agents of one group, in start order.
    pub fn members<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Agent> {
        self.agents.iter().filter(move |agent| agent.group == group)
    }
}

impl std::fmt::Display for RestartPolicy {
    /// The value of podman's `--restart`.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RestartPolicy::No => out.write_str("no"),
            RestartPolicy::OnFailure(times) => write!(out, "on-failure:{times}"),
            RestartPolicy::Always => out.write_str("always"),
        }
    }
}
