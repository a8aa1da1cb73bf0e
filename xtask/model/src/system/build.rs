//! Turns a manifest that passed every check into the `System` the rest of the
//! tool works with.
//!
//! Decides nothing and reports nothing; `None` means that a field was missing
//! after all, which is a bug of `check`.

use std::{collections::BTreeMap, path::PathBuf};

use diagnostics::located::{problem::line_and_column, reader::At};

use super::{
    content,
    effective::{Member, View, join},
    graph::Graph,
    health,
    image::{Image, ImageKind, Packages},
    manifest::{
        BaseTable, FillTable, GroupTable, ImageTable, NetworkTable, SuiteTable, TestsTable,
    },
    model::{
        Agent, BaseImage, Fill, GpuPolicy, GpuRequest, Group, Mount, MountSource, Network,
        NetworkMode, Pointer, RestartPolicy, Suite, System, Tests,
    },
    naming::address_variable,
    net::Net,
    placeholder,
    release::PythonRelease,
    secrets::{SecretDefinition, SecretSource, SecretTable, SecretUse},
};

const DEFAULT_COMMAND: [&str; 3] = ["python3", "-u", "{script}"];
const DEFAULT_MEMORY_MB: u64 = 512;
const DEFAULT_CPUS: f64 = 1.0;
const DEFAULT_PIDS: u32 = 256;
const DEFAULT_RESTART: RestartPolicy = RestartPolicy::OnFailure(3);
const DEFAULT_START_TIMEOUT_S: u32 = 60;
const DEFAULT_START_ATTEMPTS: u32 = 2;
const DEFAULT_STOP_TIMEOUT_S: u32 = 5;
const DEFAULT_KEEP_IMAGES: u32 = 3;
const DEFAULT_TEST_TIMEOUT_S: u32 = 300;

/// The system that a checked manifest describes.
pub fn build(view: &View<'_>) -> Option<System> {
    let table = &view.manifest.system;
    let groups = groups(view)?;
    let agents = agents(view, &groups)?;
    let networks = view
        .manifest
        .networks
        .iter()
        .map(network)
        .collect::<Option<_>>()?;
    let images = view.manifest.images.iter().map(|table| image(view, table));
    Some(System {
        name: table.name.as_ref()?.value.clone(),
        image_owner: table.name.as_ref()?.value.clone(),
        image_pointer: Pointer::Latest,
        keep_images: table
            .keep_images
            .as_ref()
            .map_or(DEFAULT_KEEP_IMAGES, |at| at.value),
        root: view.places.root.clone(),
        manifest: view.places.manifest.clone(),
        monorepo: view.places.monorepo.clone()?,
        code: values(&table.code),
        code_exclude: values(&table.code_exclude),
        search_roots: view.search_roots(),
        base: base(&view.manifest.base)?,
        networks,
        images: images.collect::<Option<_>>()?,
        secrets: secrets(view)?,
        groups,
        tests: match &view.manifest.tests {
            None => None,
            Some(table) => Some(tests(table, &agents)?),
        },
        agents,
    })
}

fn tests(table: &TestsTable, agents: &[Agent]) -> Option<Tests> {
    let suite = |suite: &SuiteTable| {
        let regular = agents.iter().filter(|agent| !agent.optional);
        Some(Suite {
            name: suite.name.value.clone(),
            script: suite.script.as_ref()?.value.clone(),
            image: suite.image.as_ref()?.value.clone(),
            from: values(&suite.from),
            needs: match &suite.needs {
                Some(needs) => values(needs),
                None => regular.map(|agent| agent.name.clone()).collect(),
            },
            timeout_s: or_default(suite.timeout_s.as_ref(), DEFAULT_TEST_TIMEOUT_S),
        })
    };
    let fill = |fill: &FillTable| {
        Some(Fill {
            name: fill.name.value.clone(),
            target: fill.target.as_ref()?.value.clone(),
            script: fill.script.as_ref()?.value.clone(),
            image: fill.image.as_ref()?.value.clone(),
        })
    };
    Some(Tests {
        fill: table.fill.iter().map(fill).collect::<Option<_>>()?,
        image: table.image.as_ref()?.value.clone(),
        code: values(&table.code),
        unit_timeout_s: or_default(table.unit_timeout_s.as_ref(), DEFAULT_TEST_TIMEOUT_S),
        suites: table.integration.iter().map(suite).collect::<Option<_>>()?,
    })
}

fn values<T: Clone>(list: &[At<T>]) -> Vec<T> {
    list.iter().map(|item| item.value.clone()).collect()
}

fn base(table: &BaseTable) -> Option<BaseImage> {
    let text = |field: &Option<At<String>>| field.as_ref().map(|f| f.value.clone());
    Some(BaseImage {
        name: text(&table.name)?,
        sources: values(table.sources.as_ref()?),
        // Checked to be there if a source needs them.
        pull: text(&table.pull).unwrap_or_default(),
        suite: text(&table.suite).unwrap_or_default(),
        packages: values(&table.packages),
        python: table
            .python
            .as_ref()
            .map_or(PythonRelease::DEFAULT, |python| python.value),
    })
}

fn network(table: &NetworkTable) -> Option<(String, Network)> {
    let network = Network {
        subnet: table.subnet.as_ref()?.value,
        ip_range: table.ip_range.as_ref().map(|range| range.value),
        internal: table.internal.as_ref().is_some_and(|flag| flag.value),
        isolate: table.isolate.as_ref().is_none_or(|flag| flag.value),
    };
    Some((table.name.value.clone(), network))
}

fn image(view: &View<'_>, table: &ImageTable) -> Option<(String, Image)> {
    let folder = &view.places.folder;
    let image = Image {
        name: table.name.value.clone(),
        parent: table.parent.as_ref()?.value.clone(),
        containerfile: join(folder, table.containerfile.as_ref()?),
        inputs: table
            .inputs
            .iter()
            .map(|input| join(folder, input))
            .collect(),
        kind: match table.code.as_ref().is_some_and(|flag| flag.value) {
            true => ImageKind::Code,
            false => ImageKind::Packages(Packages {
                requirements: values(&table.requirements),
                system_packages: values(&table.system_packages),
                system_exclude: values(&table.system_exclude),
            }),
        },
        env: table
            .env
            .iter()
            .map(|(name, value)| (name.value.clone(), value.value.clone()))
            .collect(),
    };
    Some((image.name.clone(), image))
}

/// In deployment order.
fn groups(view: &View<'_>) -> Option<Vec<Group>> {
    let tables = &view.manifest.groups;
    let mut graph = Graph::new(tables.iter().map(|table| table.name.as_str()));
    for table in tables {
        for after in &table.after {
            graph.add(&table.name, after);
        }
    }
    let ordered = graph.order().ok()?;
    let find = |name| tables.iter().find(|table| table.name.as_str() == name);
    ordered
        .into_iter()
        .map(|name| group(view, find(name)?))
        .collect()
}

fn group(view: &View<'_>, table: &GroupTable) -> Option<Group> {
    let name_of = |field: &Option<At<String>>| field.as_ref().map(|name| name.value.clone());
    Some(Group {
        name: table.name.value.clone(),
        net: match view.mode(table)? {
            NetworkMode::Bridge => Net::Bridge {
                own: name_of(&table.network),
                backbone: name_of(&table.backbone),
            },
            NetworkMode::Host => Net::Host,
            NetworkMode::Pod => Net::Pod,
        },
        after: values(&table.after),
        gpu: table.gpu.as_ref().map_or(GpuPolicy::Auto, |gpu| gpu.value),
        max_unavailable: table.max_unavailable.as_ref().map(|count| count.value),
    })
}

/// In start order: a topological order of each group's own dependencies, group
/// by group. Dependencies on other groups point backwards, as checked.
fn agents(view: &View<'_>, groups: &[Group]) -> Option<Vec<Agent>> {
    let watched = watched(view)?;
    let mut agents = Vec::with_capacity(view.members.len());
    for group in groups {
        let members = || {
            view.members
                .iter()
                .filter(|m| m.group.name.value == group.name)
        };
        let mut graph = Graph::new(members().map(Member::name));
        for member in members() {
            for dependency in &member.agent.depends_on {
                graph.add(member.name(), dependency);
            }
        }
        for name in graph.order().ok()? {
            agents.push(agent(view, &view.member(name)?, &watched)?);
        }
    }
    Some(agents)
}

fn agent(view: &View<'_>, member: &Member<'_>, watched: &Watched) -> Option<Agent> {
    let table = member.agent;
    let script = table.script.as_ref()?.value.clone();
    let bridge = member.mode? == NetworkMode::Bridge;
    let seconds = |value: u32| u64::from(value) * 1000;
    let mut devices = values(&member.group.shared.devices);
    devices.extend(values(&table.shared.devices));
    let health_port = member.health_port()?.value;
    Some(Agent {
        name: member.name().to_owned(),
        container: member.container(),
        group: member.group.name.value.clone(),
        image: member.image()?.value.clone(),
        script_missing: !view.places.monorepo.as_ref()?.join(&script).is_file(),
        command: command(member)?,
        env: env(view, member)?,
        env_files: env_files(view, member),
        secrets: given(member),
        port: table.port.as_ref()?.value,
        health_port,
        host_port: member.host_port().map(|port| port.value),
        host_health_port: member.host_health_port()?.value,
        health: health::contract(&member.agent.shared.health, &member.group.shared.health),
        ip: table.ip.as_ref().map(|ip| ip.value),
        backbone_ip: if bridge {
            view.backbone_ip(member)
        } else {
            None
        },
        depends_on: unique(values(&table.depends_on)),
        peers: member.peers().into_iter().map(str::to_owned).collect(),
        mounts: mounts(view, member, watched)?,
        devices,
        gpu: gpu(member),
        vram_mb: table.vram_mb.as_ref().map(|vram| vram.value),
        memory_mb: or_default(member.setting(|s| s.memory_mb.as_ref()), DEFAULT_MEMORY_MB),
        cpus: or_default(member.setting(|s| s.cpus.as_ref()), DEFAULT_CPUS),
        pids: or_default(member.setting(|s| s.pids.as_ref()), DEFAULT_PIDS),
        restart: or_default(member.setting(|s| s.restart.as_ref()), DEFAULT_RESTART),
        start_timeout_ms: seconds(or_default(
            member.setting(|s| s.start_timeout_s.as_ref()),
            DEFAULT_START_TIMEOUT_S,
        )),
        start_attempts: or_default(
            member.setting(|s| s.start_attempts.as_ref()),
            DEFAULT_START_ATTEMPTS,
        ),
        stop_timeout_s: or_default(
            member.setting(|s| s.stop_timeout_s.as_ref()),
            DEFAULT_STOP_TIMEOUT_S,
        ),
        optional: member.optional(),
        relax: table
            .relax
            .as_ref()
            .map(|relax| relax.value.clone())
            .unwrap_or_default(),
        unit_tests: values(&table.unit_tests),
        script,
    })
}

fn or_default<T: Copy>(setting: Option<&At<T>>, default: T) -> T {
    setting.map_or(default, |setting| setting.value)
}

/// Without repetitions, in the order of the manifest.
fn unique(names: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

fn gpu(member: &Member<'_>) -> Option<GpuRequest> {
    let count = member
        .agent
        .gpu_count
        .as_ref()
        .map(|count| GpuRequest::Count(count.value));
    count.or_else(|| {
        member
            .agent
            .gpu_device
            .as_ref()
            .map(|device| device.value.clone())
    })
}

fn fill(member: &Member<'_>, text: &str) -> Option<String> {
    let port = member.agent.port.as_ref()?.value.to_string();
    let health_port = member.health_port()?.value.to_string();
    let script = &member.agent.script.as_ref()?.value;
    Some(placeholder::fill(text, |word| match word {
        "port" => Some(port.as_str()),
        "health_port" => Some(health_port.as_str()),
        "name" => Some(member.name()),
        "script" => Some(script.as_str()),
        _ => None,
    }))
}

fn command(member: &Member<'_>) -> Option<Vec<String>> {
    let given = member.agent.command.as_ref().map(|command| values(command));
    let command = given.unwrap_or_else(|| DEFAULT_COMMAND.map(str::to_owned).to_vec());
    command
        .iter()
        .chain(&values(&member.agent.args))
        .map(|word| fill(member, word))
        .collect()
}

/// The contract's variables and the peers' addresses, then what the manifest
/// sets, which wins.
fn env(view: &View<'_>, member: &Member<'_>) -> Option<BTreeMap<String, String>> {
    let mut env = BTreeMap::from([
        ("AGENT_NAME".to_owned(), member.name().to_owned()),
        (
            "PORT".to_owned(),
            member.agent.port.as_ref()?.value.to_string(),
        ),
        (
            "HEALTH_CHECK_PORT".to_owned(),
            member.health_port()?.value.to_string(),
        ),
        ("PYTHONPATH".to_owned(), python_path(&view.search_roots())),
    ]);
    for peer in member.peers() {
        // A dependency may be out of reach: it orders starts, no more.
        if let Some((host, port)) = view.route(member, &view.member(peer)?) {
            env.insert(address_variable(peer), format!("tcp://{host}:{port}"));
        }
    }
    for (name, value) in member.env() {
        env.insert(name.to_owned(), fill(member, value)?);
    }
    Some(env)
}

/// All secrets of a checked manifest; `None` if one has no source after all.
fn secrets(view: &View<'_>) -> Option<BTreeMap<String, SecretDefinition>> {
    let folder = &view.places.folder;
    let source = |table: &SecretTable| match (&table.file, &table.env, &table.command) {
        (Some(file), ..) => Some(SecretSource::File(join(folder, file))),
        (_, Some(variable), _) => Some(SecretSource::Env(variable.value.clone())),
        (.., Some(words)) => {
            let words = words.iter().map(|word| word.value.clone());
            Some(SecretSource::Command(words.collect()))
        }
        _ => Some(SecretSource::Podman(table.podman.as_ref()?.value.clone())),
    };
    let tables = view.manifest.secrets.iter();
    let definitions = tables.map(|table| {
        let (line, _) = line_and_column(view.text, table.name.at.start);
        let source = source(table)?;
        Some((table.name.value.clone(), SecretDefinition { source, line }))
    });
    definitions.collect()
}

/// What an agent is given, its group's first, nothing twice.
fn given(member: &Member<'_>) -> Vec<SecretUse> {
    let mut all: Vec<SecretUse> = Vec::new();
    for given in member.secret_uses() {
        let given = SecretUse {
            secret: given.secret.value.clone(),
            form: given.form(),
        };
        if !all.contains(&given) {
            all.push(given);
        }
    }
    all
}

/// The files with variables, the group's first; later ones win.
fn env_files(view: &View<'_>, member: &Member<'_>) -> Vec<PathBuf> {
    let group = &member.group.shared.secrets.env_files;
    let own = &member.agent.shared.secrets.env_files;
    let all = group.iter().chain(own);
    all.map(|file| join(&view.places.folder, file)).collect()
}

/// The search roots as they are inside a container.
fn python_path(roots: &[String]) -> String {
    let inside = |root: &String| match root.as_str() {
        "." => "/app".to_owned(),
        root => format!("/app/{}", root.trim_end_matches('/')),
    };
    let folders: Vec<String> = roots.iter().map(inside).collect();
    folders.join(":")
}

/// By path on the host, the hashes of the files there.
type Watched = BTreeMap<PathBuf, BTreeMap<String, String>>;

/// What is mounted with `restart_on_change`, each path read once.
fn watched(view: &View<'_>) -> Option<Watched> {
    let monorepo: &PathBuf = view.places.monorepo.as_ref()?;
    let mounts = view.mounts().filter(|mount| mount.restart_on_change);
    let read = mounts.filter_map(|mount| {
        let host = mount.host.as_ref()?;
        let path = join(monorepo, host);
        // Seen a moment ago; a file that has gone since counts as changed.
        let hashes = content::hashes(&path, host).unwrap_or_default();
        Some((path, hashes))
    });
    Some(read.collect())
}

fn mounts(view: &View<'_>, member: &Member<'_>, watched: &Watched) -> Option<Vec<Mount>> {
    let monorepo: &PathBuf = view.places.monorepo.as_ref()?;
    let mount = |table: &At<super::manifest::MountTable>| {
        let source = match (&table.volume, &table.host) {
            (Some(volume), _) => MountSource::Volume(volume.value.clone()),
            (None, Some(host)) => MountSource::Host(join(monorepo, host)),
            (None, None) => return None,
        };
        let target = table.target.as_ref()?.trim_end_matches('/').to_owned();
        let files = match (&source, &table.host) {
            (MountSource::Host(path), Some(_)) if table.restart_on_change => {
                watched.get(path).cloned().unwrap_or_default()
            }
            _ => BTreeMap::new(),
        };
        Some(Mount {
            source,
            target,
            read_only: table.read_only,
            files,
        })
    };
    member.mounts().map(mount).collect()
}
