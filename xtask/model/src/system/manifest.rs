//! The manifest as it is written: every table with the places of its values.
//!
//! Only the shape is decoded here, key by key. Whether values make sense
//! together is for `check`; defaults that come from elsewhere in the file are
//! for `effective`.

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

use diagnostics::located::{
    problem::Problems,
    reader::{At, Broken, Fields, record},
    value::{boolean, choice, integer, list, number, parsed, ranged, string, text},
};
use toml::de::DeTable;

use super::{
    fields::{
        AGENT, AGENT_FIELDS, BASE, CAPABILITIES, DEVICE, FILL, GROUP, GROUP_FIELDS, IMAGE,
        MANIFEST, MOUNT, NETWORK, RELAX, SUITE, SYSTEM, TESTS,
    },
    health::{self, HealthKeys},
    model::{BaseSource, Device, GpuPolicy, GpuRequest, NetworkMode, Relaxations, RestartPolicy},
    notation::{address, gpu_device, python, restart, subnet},
    release::PythonRelease,
    secrets::{self, SecretKeys, SecretTable},
    subnet::Subnet,
};

const NETWORK_MODES: &[(&str, NetworkMode)] = &[
    ("bridge", NetworkMode::Bridge),
    ("host", NetworkMode::Host),
    ("pod", NetworkMode::Pod),
];

/// The whole document.
#[derive(Debug)]
pub struct Manifest {
    pub schema: Option<At<u64>>,
    pub system: SystemTable,
    pub base: BaseTable,
    pub networks: Vec<NetworkTable>,
    pub images: Vec<ImageTable>,
    pub secrets: Vec<SecretTable>,
    pub groups: Vec<GroupTable>,
    pub tests: Option<TestsTable>,
    pub broken: Broken,
}

/// `[tests]`
#[derive(Debug)]
pub struct TestsTable {
    pub image: Option<At<String>>,
    pub code: Vec<At<String>>,
    pub unit_timeout_s: Option<At<u32>>,
    pub fill: Vec<FillTable>,
    pub integration: Vec<SuiteTable>,
}

/// `[tests.fill.NAME]`
#[derive(Debug)]
pub struct FillTable {
    pub name: At<String>,
    pub target: Option<At<String>>,
    pub script: Option<At<String>>,
    pub image: Option<At<String>>,
}

/// `[tests.integration.NAME]`
#[derive(Debug)]
pub struct SuiteTable {
    pub name: At<String>,
    pub script: Option<At<String>>,
    pub image: Option<At<String>>,
    pub from: Vec<At<String>>,
    pub needs: Option<At<Vec<At<String>>>>,
    pub timeout_s: Option<At<u32>>,
}

/// `[system]`
#[derive(Debug, Default)]
pub struct SystemTable {
    pub name: Option<At<String>>,
    pub monorepo: Option<At<String>>,
    pub code: Vec<At<String>>,
    pub code_exclude: Vec<At<String>>,
    pub search_roots: Option<At<Vec<At<String>>>>,
    pub network_mode: Option<At<NetworkMode>>,
    pub keep_images: Option<At<u32>>,
    pub broken: Broken,
}

/// `[base]`
#[derive(Debug, Default)]
pub struct BaseTable {
    pub name: Option<At<String>>,
    pub sources: Option<At<Vec<At<BaseSource>>>>,
    pub pull: Option<At<String>>,
    pub suite: Option<At<String>>,
    pub packages: Vec<At<String>>,
    pub python: Option<At<PythonRelease>>,
    pub broken: Broken,
}

/// `[networks.NAME]`
#[derive(Debug)]
pub struct NetworkTable {
    pub name: At<String>,
    pub subnet: Option<At<Subnet>>,
    pub ip_range: Option<At<Subnet>>,
    pub internal: Option<At<bool>>,
    pub isolate: Option<At<bool>>,
}

/// `[images.NAME]`
#[derive(Debug)]
pub struct ImageTable {
    pub name: At<String>,
    pub parent: Option<At<String>>,
    pub containerfile: Option<At<String>>,
    pub inputs: Vec<At<String>>,
    pub code: Option<At<bool>>,
    pub requirements: Vec<At<String>>,
    pub system_packages: Vec<At<String>>,
    pub system_exclude: Vec<At<String>>,
    pub env: Vec<(At<String>, At<String>)>,
}

/// `[groups.NAME]`
#[derive(Debug)]
pub struct GroupTable {
    pub name: At<String>,
    pub network_mode: Option<At<NetworkMode>>,
    pub network: Option<At<String>>,
    pub backbone: Option<At<String>>,
    pub backbone_offset: Option<At<u32>>,
    pub after: Vec<At<String>>,
    pub gpu: Option<At<GpuPolicy>>,
    pub max_unavailable: Option<At<u32>>,
    pub shared: Shared,
    pub agents: Vec<AgentTable>,
    pub broken: Broken,
}

/// What a group may set for all its agents and an agent for itself.
#[derive(Debug)]
pub struct Shared {
    pub image: Option<At<String>>,
    pub env: Vec<(At<String>, At<String>)>,
    pub secrets: SecretKeys,
    pub mounts: Vec<At<MountTable>>,
    pub devices: Vec<At<Device>>,
    pub peers: Vec<At<String>>,
    pub memory_mb: Option<At<u64>>,
    pub cpus: Option<At<f64>>,
    pub pids: Option<At<u32>>,
    pub restart: Option<At<RestartPolicy>>,
    pub start_timeout_s: Option<At<u32>>,
    pub start_attempts: Option<At<u32>>,
    pub stop_timeout_s: Option<At<u32>>,
    pub health: HealthKeys,
    pub optional: Option<At<bool>>,
}

/// `[groups.GROUP.agents.NAME]`
#[derive(Debug)]
pub struct AgentTable {
    pub name: At<String>,
    pub container: Option<At<String>>,
    pub script: Option<At<String>>,
    pub args: Vec<At<String>>,
    pub command: Option<At<Vec<At<String>>>>,
    pub port: Option<At<u16>>,
    pub health_port: Option<At<u16>>,
    pub host_port: Option<At<u16>>,
    pub host_health_port: Option<At<u16>>,
    pub publish: Option<At<Publish>>,
    pub ip: Option<At<Ipv4Addr>>,
    pub depends_on: Vec<At<String>>,
    pub gpu_count: Option<At<u32>>,
    pub gpu_device: Option<At<GpuRequest>>,
    pub vram_mb: Option<At<u64>>,
    pub relax: Option<At<Relaxations>>,
    pub unit_tests: Vec<At<String>>,
    pub shared: Shared,
    pub broken: Broken,
}

/// One element of `mounts`.
#[derive(Debug)]
pub struct MountTable {
    pub volume: Option<At<String>>,
    pub host: Option<At<String>>,
    pub target: Option<At<String>>,
    pub read_only: bool,
    pub restart_on_change: bool,
}

/// Which ports of an agent the host sees, on its loopback address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    All,
    Health,
}

impl Manifest {
    /// Decodes the document; what cannot be used is reported and left out.
    pub fn decode(problems: &mut Problems, document: &DeTable<'_>) -> Self {
        let mut fields = Fields::new(problems, "the manifest", 0..0, document).of(&MANIFEST);
        let schema = fields.required("schema", integer(1..=u64::from(u32::MAX)));
        let system = fields.table("system", system);
        let base = fields.table("base", base);
        let networks = fields.tables("networks", "network", network);
        let images = fields.tables("images", "image", image);
        let secrets = fields.tables("secrets", "secret", secrets::definition);
        let groups = fields.tables("groups", "group", group);
        let tests = fields.optional("tests", record("tests", |fields| Some(tests(fields))));
        let broken = fields.finish();
        Manifest {
            schema,
            system: system.unwrap_or_default(),
            base: base.unwrap_or_default(),
            networks,
            images,
            secrets,
            groups,
            tests: tests.map(|tests| tests.value),
            broken,
        }
    }
}

fn system(fields: Fields<'_, '_>) -> SystemTable {
    let mut fields = fields.of(&SYSTEM);
    SystemTable {
        name: fields.required("name", text),
        monorepo: fields.optional("monorepo", text),
        code: fields
            .required("code", list(text))
            .map(|code| code.value)
            .unwrap_or_default(),
        code_exclude: fields.list("code_exclude", text),
        search_roots: fields.optional("search_roots", list(text)),
        network_mode: fields.optional("network_mode", choice(NETWORK_MODES)),
        keep_images: fields.optional("keep_images", ranged),
        broken: fields.finish(),
    }
}

fn tests(fields: Fields<'_, '_>) -> TestsTable {
    let mut fields = fields.of(&TESTS);
    let table = TestsTable {
        image: fields.required("image", text),
        code: fields.list("code", text),
        unit_timeout_s: fields.optional("unit_timeout_s", ranged),
        fill: fields.tables("fill", "filled folder", fill),
        integration: fields.tables("integration", "suite", suite),
    };
    fields.finish();
    table
}

fn fill(name: At<String>, fields: Fields<'_, '_>) -> FillTable {
    let mut fields = fields.of(&FILL);
    let table = FillTable {
        name,
        target: fields.required("target", text),
        script: fields.required("script", text),
        image: fields.required("image", text),
    };
    fields.finish();
    table
}

fn suite(name: At<String>, fields: Fields<'_, '_>) -> SuiteTable {
    let mut fields = fields.of(&SUITE);
    let table = SuiteTable {
        name,
        script: fields.required("script", text),
        image: fields.required("image", text),
        from: fields.list("from", text),
        needs: fields.optional("needs", list(text)),
        timeout_s: fields.optional("timeout_s", ranged),
    };
    fields.finish();
    table
}

fn base(fields: Fields<'_, '_>) -> BaseTable {
    let mut fields = fields.of(&BASE);
    let source = choice(&[
        ("present", BaseSource::Present),
        ("pull", BaseSource::Pull),
        ("bootstrap", BaseSource::Bootstrap),
    ]);
    BaseTable {
        name: fields.required("name", text),
        sources: fields.required("sources", list(source)),
        pull: fields.optional("pull", text),
        suite: fields.optional("suite", text),
        packages: fields.list("packages", text),
        python: fields.optional("python", parsed(python)),
        broken: fields.finish(),
    }
}

fn network(name: At<String>, fields: Fields<'_, '_>) -> NetworkTable {
    let mut fields = fields.of(&NETWORK);
    let table = NetworkTable {
        name,
        subnet: fields.required("subnet", parsed(subnet)),
        ip_range: fields.optional("ip_range", parsed(subnet)),
        internal: fields.optional("internal", boolean),
        isolate: fields.optional("isolate", boolean),
    };
    fields.finish();
    table
}

fn image(name: At<String>, fields: Fields<'_, '_>) -> ImageTable {
    let mut fields = fields.of(&IMAGE);
    let table = ImageTable {
        name,
        parent: fields.required("parent", text),
        containerfile: fields.required("containerfile", text),
        inputs: fields.list("inputs", text),
        code: fields.optional("code", boolean),
        requirements: fields.list("requirements", text),
        system_packages: fields.list("system_packages", text),
        system_exclude: fields.list("system_exclude", text),
        env: fields.strings("env"),
    };
    fields.finish();
    table
}

fn group(name: At<String>, fields: Fields<'_, '_>) -> GroupTable {
    let mut fields = fields.of(&GROUP);
    let group_name = name.value.clone();
    let help = format!("it belongs to single agents: `[groups.{group_name}.agents.NAME]`");
    fields.misplaced(&AGENT_FIELDS, help);
    GroupTable {
        name,
        network_mode: fields.optional("network_mode", choice(NETWORK_MODES)),
        network: fields.optional("network", text),
        backbone: fields.optional("backbone", text),
        backbone_offset: fields.optional("backbone_offset", ranged),
        after: fields.list("after", text),
        gpu: fields.optional(
            "gpu",
            choice(&[
                ("auto", GpuPolicy::Auto),
                ("required", GpuPolicy::Required),
                ("off", GpuPolicy::Off),
            ]),
        ),
        max_unavailable: fields.optional("max_unavailable", ranged),
        shared: shared(&mut fields),
        agents: fields.tables("agents", "agent", |name, fields| {
            agent(name, &group_name, fields)
        }),
        broken: fields.finish(),
    }
}

fn shared(fields: &mut Fields<'_, '_>) -> Shared {
    Shared {
        image: fields.optional("image", text),
        env: fields.strings("env"),
        secrets: secrets::keys(fields),
        mounts: fields.list("mounts", record("mount", mount)),
        devices: fields.list("devices", record("device", device)),
        peers: fields.list("peers", text),
        memory_mb: fields.optional("memory_mb", ranged),
        cpus: fields.optional("cpus", number),
        pids: fields.optional("pids", ranged),
        restart: fields.optional("restart", parsed(restart)),
        start_timeout_s: fields.optional("start_timeout_s", ranged),
        start_attempts: fields.optional("start_attempts", ranged),
        stop_timeout_s: fields.optional("stop_timeout_s", ranged),
        health: health::keys(fields),
        optional: fields.optional("optional", boolean),
    }
}

fn agent(name: At<String>, group: &str, fields: Fields<'_, '_>) -> AgentTable {
    let mut fields = fields.of(&AGENT);
    fields.misplaced(
        &GROUP_FIELDS,
        format!("it belongs to the group: `[groups.{group}]`"),
    );
    AgentTable {
        name,
        container: fields.optional("container", text),
        script: fields.required("script", text),
        args: fields.list("args", string),
        command: fields.optional("command", list(string)),
        port: fields.required("port", ranged),
        health_port: fields.optional("health_port", ranged),
        host_port: fields.optional("host_port", ranged),
        host_health_port: fields.optional("host_health_port", ranged),
        publish: fields.optional(
            "publish",
            choice(&[("all", Publish::All), ("health", Publish::Health)]),
        ),
        ip: fields.optional("ip", parsed(address)),
        depends_on: fields.list("depends_on", text),
        gpu_count: fields.optional("gpu_count", ranged),
        gpu_device: fields.optional("gpu_device", gpu_device),
        vram_mb: fields.optional("vram_mb", ranged),
        relax: fields.optional("relax", record("relax", relax)),
        unit_tests: fields.list("unit_tests", text),
        shared: shared(&mut fields),
        broken: fields.finish(),
    }
}

fn mount(fields: Fields<'_, '_>) -> Option<MountTable> {
    let mut fields = fields.of(&MOUNT);
    let table = MountTable {
        volume: fields.optional("volume", text),
        host: fields.optional("host", text),
        target: fields.required("target", text),
        read_only: fields
            .optional("read_only", boolean)
            .is_some_and(|flag| flag.value),
        restart_on_change: fields
            .optional("restart_on_change", boolean)
            .is_some_and(|flag| flag.value),
    };
    fields.finish().is_empty().then_some(table)
}

fn device(fields: Fields<'_, '_>) -> Option<Device> {
    let mut fields = fields.of(&DEVICE);
    let path = fields.required("path", text);
    let optional = fields
        .optional("optional", boolean)
        .is_some_and(|flag| flag.value);
    fields.finish();
    Some(Device {
        path: PathBuf::from(path?.value),
        optional,
    })
}

fn relax(fields: Fields<'_, '_>) -> Option<Relaxations> {
    let mut fields = fields.of(&RELAX);
    let writable_root = fields.optional("writable_root", text);
    let root_user = fields.optional("root_user", text);
    let capabilities = fields.optional("capabilities", |problems, node| {
        record("capabilities", |mut reasons: Fields<'_, '_>| {
            let mut allowed = BTreeMap::new();
            for name in CAPABILITIES {
                if let Some(reason) = reasons.optional(name, text) {
                    allowed.insert((*name).to_owned(), reason.value);
                }
            }
            reasons.finish();
            Some(allowed)
        })(problems, node)
    });
    fields.finish();
    Some(Relaxations {
        writable_root: writable_root.map(|reason| reason.value),
        root_user: root_user.map(|reason| reason.value),
        capabilities: capabilities.map(|table| table.value).unwrap_or_default(),
    })
}
