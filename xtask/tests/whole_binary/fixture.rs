//! A monorepo with its manifest, a PATH with the fake podman in front, and the
//! agents, in a folder that goes away with the test.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::{
    agents::{Agents, Health},
    tool::{Outcome, Tool},
};

/// Agent and container, in the order in which they start.
pub const AGENTS: [(&str, &str); 5] = [
    ("SystemDigitalTwin", "system-digital-twin"),
    ("CoordinatorAgent", "coordinator-agent"),
    ("ChainOfThoughtAgent", "chain-of-thought-agent"),
    ("ModelManagerAgent", "model-manager-agent"),
    ("EmotionEngine", "emotion-engine"),
];
/// Optional, and without a script.
const OPTIONAL: &str = "TinyLlamaService";

/// Programs that the tool and the printed commands need beside podman.
const PROGRAMS: [&str; 5] = ["sh", "tar", "ldd", "mkdir", "env"];

pub struct Fixture {
    folder: TempDir,
    pub agents: Agents,
    /// Agent, main port and health port.
    ports: Vec<(String, u16, u16)>,
    /// Bound but not listening, so that nobody else is given the ports.
    _reserved: Vec<TcpSocket>,
}

impl Fixture {
    /// Nothing built, nothing deployed.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut reserved = Vec::new();
        let mut port = || {
            let socket = TcpSocket::new_v4().expect("a socket");
            // With this the agent's own listener may take the port, too.
            socket.set_reuseaddr(true).expect("a socket");
            let any = "127.0.0.1:0".parse().expect("an address");
            socket.bind(any).expect("a free port");
            let port = socket.local_addr().expect("an address").port();
            reserved.push(socket);
            port
        };
        let names = AGENTS.iter().map(|(name, _)| *name).chain([OPTIONAL]);
        let ports: Vec<(String, u16, u16)> = names
            .map(|name| (name.to_owned(), port(), port()))
            .collect();
        let health = ports.iter().map(|(name, _, port)| (name.clone(), *port));
        let state = folder.path().join("podman/state.json");
        let fixture = Fixture {
            agents: Agents::new(state, health.collect()),
            ports,
            _reserved: reserved,
            folder,
        };
        fixture.write_programs();
        fixture.write_host();
        fixture.write_tree();
        fixture.write("podman/agents", "");
        fixture
    }

    /// All images built, podman proven.
    pub fn built() -> Self {
        let fixture = Fixture::new();
        fixture.run(&["build-images"]).expect(0);
        fixture
    }

    /// All agents healthy.
    pub fn deployed() -> Self {
        let fixture = Fixture::built();
        fixture.deploy().expect(0);
        fixture
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    pub fn tool(&self, args: &[&str]) -> Tool {
        self.program(env!("CARGO_BIN_EXE_xtask")).args(args)
    }

    /// Any program, in the environment that the tool gets.
    pub fn program(&self, program: &str) -> Tool {
        let mut command = Command::new(program);
        command
            .current_dir(self.path("repo"))
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("TMPDIR", self.path("tmp"))
            // Named, lest the host's own be found.
            .env("SSL_CERT_FILE", self.path("home/ca.crt"))
            .env("PIP_CONFIG_FILE", self.path("home/pip.conf"))
            .env("AI_SYSTEM_XTASK_HOST", self.path("host"))
            .env("FAKE_PODMAN_STATE", self.path("podman"));
        Tool::new(command, self.path("podman"), self.path("tmp"))
    }

    pub fn run(&self, args: &[&str]) -> Outcome {
        self.tool(args).run()
    }

    /// One call after the other and without a settle window: the order of the
    /// calls is the plan's then.
    pub fn deploy(&self) -> Outcome {
        self.run(&["deploy", "--settle", "0s", "--jobs", "1"])
    }

    pub fn set_health(&self, agent: &str, health: Health) {
        self.agents.book.set(agent, health);
    }

    pub fn health_port(&self, agent: &str) -> u16 {
        let found = self.ports.iter().find(|(name, _, _)| name == agent);
        found.expect("an agent").2
    }

    /// Names that stand for ports in golden files.
    pub fn port_names(&self) -> impl Iterator<Item = (String, u16)> {
        self.ports.iter().flat_map(|(name, main, health)| {
            [
                (format!("PORT:{name}"), *main),
                (format!("HEALTH:{name}"), *health),
            ]
        })
    }

    pub fn state(&self) -> Value {
        state_of(&self.path("podman"))
    }

    /// Changes the fake's state behind the tool's back.
    pub fn change_state(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        change(&mut state);
        let file = self.path("podman/state.json");
        let new = self.path("podman/state.json.by-test");
        fs::write(&new, state.to_string()).expect("a file");
        fs::rename(new, file).expect("a file");
    }

    /// Container to state, of all there are.
    pub fn containers(&self) -> Vec<(String, String)> {
        let state = self.state();
        let all = state["containers"].as_object();
        let all = all.into_iter().flatten();
        all.map(|(name, found)| {
            let state = found["state"].as_str().unwrap_or_default();
            (name.clone(), state.to_owned())
        })
        .collect()
    }

    /// All agents' containers run, and there are no others.
    #[track_caller]
    pub fn assert_whole(&self) {
        let mut expected: Vec<(String, String)> = AGENTS
            .map(|(_, container)| (container.to_owned(), "running".to_owned()))
            .to_vec();
        expected.sort();
        assert_eq!(self.containers(), expected);
    }

    pub fn edit_manifest(&self, from: &str, to: &str) {
        let file = self.path("repo/containers/system.toml");
        let text = fs::read_to_string(&file).expect("a manifest");
        assert!(text.contains(from), "`{from}` is not in the manifest");
        fs::write(file, text.replace(from, to)).expect("a manifest");
    }

    /// For an agent that will not become healthy.
    pub fn shorten_patience(&self, agent: &str) {
        let script = format!("agents.{agent}]");
        let line = format!("{script}\nstart_timeout_s = 1");
        self.edit_manifest(&script, &line);
    }

    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// A kernel setting of the host that the tool sees.
    pub fn sysctl(&self, name: &str, value: u64) {
        let path = format!("host/proc/sys/{}", name.replace('.', "/"));
        self.write(&path, &value.to_string());
    }

    /// A host on which nothing is wrong, whatever the one that tests run on.
    fn write_host(&self) {
        for (name, value) in [
            ("fs.inotify.max_user_instances", 1024),
            ("kernel.keys.root_maxbytes", 25_000_000),
            ("kernel.keys.root_maxkeys", 1_000_000),
            ("kernel.pid_max", 4_194_304),
            ("kernel.threads-max", 255_000),
            ("net.ipv4.ip_forward", 1),
            ("net.ipv4.neigh.default.gc_thresh3", 1024),
            ("user.max_net_namespaces", 127_000),
        ] {
            self.sysctl(name, value);
        }
        // Agents of these tests have ports that the kernel has just given away.
        self.write("host/proc/sys/net/ipv4/ip_local_port_range", "1\t1\n");
        self.write("host/proc/sys/fs/file-nr", "1200 0 9223372036854775807\n");
        self.write(
            "host/proc/key-users",
            "    0:     9 8/8 8/1000000 200/25000000\n",
        );
        self.write("host/proc/loadavg", "0.1 0.1 0.1 1/200 4242\n");
        let memory = "MemTotal: 33554432 kB\nMemAvailable: 33000000 kB\n";
        self.write("host/proc/meminfo", memory);
        self.write("host/etc/resolv.conf", "nameserver 192.0.2.53\n");
        self.write("host/usr/libexec/podman/aardvark-dns", "");
    }

    fn write_programs(&self) {
        for folder in ["bin", "home", "cache", "tmp", "podman"] {
            fs::create_dir(self.path(folder)).expect("a folder");
        }
        let fake = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("examples/fake-podman");
        assert!(
            fake.exists(),
            "{} is missing; plain `cargo test`, or `cargo build --examples`, builds it",
            fake.display()
        );
        symlink(fake, self.path("bin/podman")).expect("a link");
        for program in PROGRAMS {
            let found = which::which(program).expect("a POSIX system");
            symlink(found, self.path("bin").join(program)).expect("a link");
        }
        // The last argument is the archive to write.
        self.script("mmdebstrap", "for last; do :; done\necho tree > \"$last\"");
        // `up` wants a firewall tool; the fake has no firewall.
        self.script("iptables", "exit 1");
    }

    pub fn script(&self, name: &str, text: &str) {
        let below = format!("bin/{name}");
        self.write(&below, &format!("#!/bin/sh\n{text}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(&below), mode).expect("a script");
    }

    fn write_tree(&self) {
        self.write("home/ca.crt", "");
        self.write("home/pip.conf", "");
        let images = "repo/containers/images";
        let containerfile = "ARG PARENT\nFROM ${PARENT}\n";
        self.write(&format!("{images}/services/Containerfile"), containerfile);
        let staged = format!("FROM scratch AS fetched\n{containerfile}");
        self.write(&format!("{images}/packages/Containerfile"), &staged);
        self.write("repo/scripts/install.sh", "");
        for list in ["core", "audio", "build", "source"] {
            let lock = format!("{list}-package==1.0 \\\n    --hash=sha256:{:064x}\n", 7);
            self.write(
                &format!("repo/requirements/requirements.{list}.lock"),
                &lock,
            );
        }
        for (_, container) in AGENTS {
            let script = format!("repo/containers/monorepo/main_pc_code/agents/{container}.py");
            self.write(&script, "");
        }
        self.write("repo/containers/monorepo/config/agents.json", "{}");
        self.write("repo/containers/system.toml", &self.manifest());
    }

    fn manifest(&self) -> String {
        let agent = |name: &str, group: &str, ip: &str, more: &str| {
            let container = AGENTS.iter().find(|(known, _)| *known == name);
            let script = container.map_or("tiny-llama-service", |(_, container)| container);
            let (_, port, health) = self
                .ports
                .iter()
                .find(|(known, _, _)| known == name)
                .expect("a known agent");
            format!(
                "\n[groups.{group}.agents.{name}]\n\
                 script = \"main_pc_code/agents/{script}.py\"\n\
                 port = {port}\nhealth_port = {health}\nip = \"{ip}\"\n{more}\n"
            )
        };
        let mut text = include_str!("system.toml").to_owned();
        let core = "core-services";
        text += &agent("SystemDigitalTwin", core, "10.201.0.10", "");
        let more = "depends_on = [\"SystemDigitalTwin\"]\nenv = { MODE = \"plain\" }";
        text += &agent("CoordinatorAgent", core, "10.201.0.11", more);
        let more = "depends_on = [\"CoordinatorAgent\"]";
        text += &agent("ChainOfThoughtAgent", core, "10.201.0.12", more);
        let system = "system-services";
        text += &agent("ModelManagerAgent", system, "10.202.0.10", "");
        let more = "depends_on = [\"ModelManagerAgent\"]";
        text += &agent("EmotionEngine", system, "10.202.0.11", more);
        text + &agent(OPTIONAL, system, "10.202.0.12", "optional = true")
    }
}

/// The fake's state without what differs between two equal runs.
pub fn comparable(state: &Path) -> Value {
    let mut state = state_of(state);
    state["count"] = Value::Null;
    state["stops"] = Value::Null;
    if let Some(containers) = state["containers"].as_object_mut() {
        for container in containers.values_mut() {
            for volatile in ["id", "started_at", "pid"] {
                container[volatile] = Value::Null;
            }
        }
    }
    if let Some(images) = state["images"].as_object_mut() {
        images.retain(|_, image| !image["names"].to_string().contains("probe"));
    }
    state
}

fn state_of(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("state.json"));
    text.map_or_else(
        |_| json!({}),
        |text| serde_json::from_str(&text).expect("the fake's own state"),
    )
}
