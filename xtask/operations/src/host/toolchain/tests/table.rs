//! Every finding of `check-toolchain`: on a healthy host none is worse than
//! info, and each comes with evidence and a fix once its situation is made.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::host::capacity::locks::tests::file as lock_file;

/// A host, a podman and a system that can be spoiled.
struct World {
    folder: tempfile::TempDir,
    facts: Facts,
    system: System,
    state: State,
    count: Option<u64>,
    nproc: Option<u64>,
    rules: String,
    tools: bool,
}

/// Files of a host on which nothing is wrong.
const HEALTHY: &[(&str, &str)] = &[
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    ("etc/resolv.conf", "nameserver 192.0.2.53\n"),
    (
        "proc/key-users",
        "    0:     9 8/8 8/1000000 200/25000000\n",
    ),
    ("proc/loadavg", "0.1 0.1 0.1 1/200 4242\n"),
    (
        "proc/meminfo",
        "MemTotal: 33554432 kB\nMemAvailable: 30000000 kB\n",
    ),
    ("proc/net/arp", ""),
    ("proc/net/route", "Iface Destination\n"),
    ("proc/net/stat/arp_cache", "entries\n00000005 0\n"),
    ("proc/net/tcp", "sl\n0: 0100007F:0035 00000000:0000 0A\n"),
    ("proc/net/udp", "sl\n0: 3500007F:0035 00000000:0000 07\n"),
    ("proc/sys/fs/file-nr", "1200 0 9223372036854775807\n"),
    ("proc/sys/fs/inotify/max_user_instances", "128\n"),
    ("proc/sys/kernel/keys/maxbytes", "20000\n"),
    ("proc/sys/kernel/keys/maxkeys", "200\n"),
    ("proc/sys/kernel/keys/root_maxbytes", "25000000\n"),
    ("proc/sys/kernel/keys/root_maxkeys", "1000000\n"),
    ("proc/sys/kernel/pid_max", "4194304\n"),
    ("proc/sys/kernel/threads-max", "255000\n"),
    ("proc/sys/net/ipv4/ip_forward", "1\n"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
    ("proc/sys/net/ipv4/ip_local_reserved_ports", "\n"),
    ("proc/sys/net/ipv4/neigh/default/gc_thresh3", "1024\n"),
    ("proc/sys/user/max_net_namespaces", "127000\n"),
    ("sys/fs/cgroup/machine.slice/pids.max", "max\n"),
    ("usr/libexec/podman/aardvark-dns", ""),
];

impl World {
    fn healthy() -> Self {
        let mut facts = facts();
        facts.storage_root = "/".into();
        let mut system = demo();
        // Always free, whatever runs on the host that tests run on.
        for agent in &mut system.agents {
            (agent.host_port, agent.host_health_port) = (None, 0);
        }
        let world = World {
            folder: tempfile::tempdir().expect("a folder"),
            facts,
            system,
            state: State::default(),
            count: None,
            nproc: None,
            rules: String::new(),
            tools: true,
        };
        for (path, text) in HEALTHY {
            world.write(path, text);
        }
        world.write("dev/shm/libpod_lock", lock_file(64, 12));
        world
    }

    fn rootless() -> Self {
        let mut world = World::healthy();
        let uid = rustix::process::getuid().as_raw();
        world.facts.rootless = true;
        world.facts.cgroup_controllers = ["cpu", "memory", "pids"].map(str::to_owned).to_vec();
        for file in ["etc/subuid", "etc/subgid"] {
            world.write(file, format!("{uid}:100000:65536\nroot:100000:65536\n"));
        }
        world
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path)).expect("a file of a healthy host");
    }

    fn sysctl(&self, name: &str, value: u64) {
        self.write(
            &format!("proc/sys/{}", name.replace('.', "/")),
            value.to_string(),
        );
    }

    /// Everything that is found, the ports of real listeners included.
    fn findings(&self) -> Vec<HostFinding> {
        let look = Look::below(self.folder.path());
        let mut found = of_facts(&self.facts, &look, &self.rules, &|_| self.tools);
        let asked = Asked {
            system: &self.system,
            state: &self.state,
            agents: everyone(&self.system),
            count: self.count,
            builds: true,
        };
        found.extend(of_agents(&self.facts, self.nproc, &look, &asked).0);
        found
    }
}

/// Spoils the world and says what is found then.
type Situation = fn(World) -> Vec<HostFinding>;

/// Id, severity, and what makes the finding appear.
const TABLE: &[(&str, HostSeverity, Situation)] = &[
    ("podman-version", HostSeverity::Ok, |world| {
        vec![version(Path::new("podman"), &world.facts)]
    }),
    ("podman-feature", HostSeverity::Info, |world| {
        world.findings()
    }),
    ("podman-bug", HostSeverity::Info, |mut world| {
        world.facts.version = Version::new(4, 9, 3);
        world.findings()
    }),
    ("network-backend", HostSeverity::Error, |mut world| {
        world.facts.network_backend = "cni".into();
        world.findings()
    }),
    ("storage-vfs", HostSeverity::Warning, |mut world| {
        world.facts.storage_driver = "vfs".into();
        world.findings()
    }),
    ("engine-runs", HostSeverity::Ok, |_| proven(&refused())),
    ("engine-quirks", HostSeverity::Info, |_| proven(&refused())),
    ("rootless-limits", HostSeverity::Warning, |_| {
        let mut world = World::rootless();
        world.facts.cgroup_version = "v1".into();
        world.findings()
    }),
    ("rootless-controllers", HostSeverity::Error, |_| {
        let mut world = World::rootless();
        world.facts.cgroup_controllers = ["memory", "pids"].map(str::to_owned).to_vec();
        world.findings()
    }),
    ("rootless-subids", HostSeverity::Error, |_| {
        let world = World::rootless();
        world.write("etc/subuid", "somebody:100000:65536\n");
        world.findings()
    }),
    ("rootless-linger", HostSeverity::Warning, |_| {
        let world = World::rootless();
        world.write("run/systemd/system/x", "");
        world.findings()
    }),
    ("firewall-tool", HostSeverity::Error, |mut world| {
        world.tools = false;
        world.findings()
    }),
    ("name-server", HostSeverity::Warning, |world| {
        world.remove("usr/libexec/podman/aardvark-dns");
        world.findings()
    }),
    ("nameservers", HostSeverity::Warning, |world| {
        world.write(
            "etc/resolv.conf",
            "search lan\nnameserver 127.0.0.1\nnameserver ::1\n",
        );
        world.findings()
    }),
    ("dns-port", HostSeverity::Error, |mut world| {
        world.facts.version = Version::new(5, 4, 2);
        world.write("proc/net/udp", "sl\n0: 00000000:0035 00000000:0000 07\n");
        world.findings()
    }),
    ("ip-forward", HostSeverity::Error, |_| {
        names::forwarding(Some(0), true).into_iter().collect()
    }),
    ("firewalld", HostSeverity::Warning, |world| {
        world.write("proc/77/comm", "firewalld\n");
        world.findings()
    }),
    ("forward-drop", HostSeverity::Warning, |mut world| {
        world.rules = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n".into();
        world.findings()
    }),
    ("clock", HostSeverity::Warning, |_| {
        clock(0, 1_700_000_000).into_iter().collect()
    }),
    ("storage-space", HostSeverity::Error, |world| {
        vec![space(
            &world.facts,
            1,
            &world.system,
            &world.state,
            &everyone(&world.system),
        )]
    }),
    ("memory-budget", HostSeverity::Warning, |world| {
        world.write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 900 kB\n");
        world.findings()
    }),
    ("cpu-budget", HostSeverity::Warning, |mut world| {
        world.system.agents[0].cpus = 1e6;
        world.findings()
    }),
    ("port-taken", HostSeverity::Error, |mut world| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        world.system.agents[0].host_health_port = listener.local_addr().expect("bound").port();
        world.findings()
    }),
    ("port-range", HostSeverity::Warning, |mut world| {
        world.system.agents[0].host_health_port = 7001;
        world.write("proc/sys/net/ipv4/ip_local_port_range", "1024 60999");
        world.write("proc/sys/net/ipv4/ip_local_reserved_ports", "5000-5010");
        world.findings()
    }),
    ("subnet-overlap", HostSeverity::Error, |world| {
        let route = "Iface\ntun0 000015AC 00000000 0001 0 0 0 0000FFFF 0 0 0\n";
        world.write("proc/net/route", route);
        world.findings()
    }),
    ("base-image", HostSeverity::Error, |mut world| {
        world.system.base.sources = vec![BaseSource::Present];
        world.findings()
    }),
    ("relaxed-security", HostSeverity::Info, |mut world| {
        world.system.agents[0].relax.root_user = Some("opens a raw device".into());
        world.findings()
    }),
    ("plain-secret", HostSeverity::Warning, |mut world| {
        let env = &mut world.system.agents[0].env;
        env.insert("OPENAI_API_KEY".into(), "sk-value".into());
        env.insert("MAX_TOKENS".into(), "40000".into());
        let found = world.findings();
        assert!(!format!("{found:?}").contains("sk-value"));
        found
    }),
    ("selinux-label", HostSeverity::Warning, |_| {
        let label = "unconfined_u:object_r:user_home_t:s0".to_owned();
        labels(&[(PathBuf::from("/home/alice/models"), Some(label))])
    }),
    ("capacity", HostSeverity::Ok, |world| world.findings()),
    ("capacity-keys", HostSeverity::Error, |mut world| {
        world.write("proc/key-users", "    0: 9 8/8 199/200 900/20000\n");
        world.sysctl("kernel.keys.root_maxkeys", 200);
        world.count = Some(2);
        world.findings()
    }),
    ("capacity-processes", HostSeverity::Error, |world| {
        world.write("sys/fs/cgroup/machine.slice/pids.max", "100");
        world.write("sys/fs/cgroup/machine.slice/pids.current", "99");
        world.findings()
    }),
    ("capacity-locks", HostSeverity::Error, |world| {
        world.write("dev/shm/libpod_lock", lock_file(2, 64));
        world.findings()
    }),
    ("capacity-namespaces", HostSeverity::Error, |world| {
        world.sysctl("user.max_net_namespaces", 0);
        world.findings()
    }),
    ("capacity-inotify", HostSeverity::Warning, |mut world| {
        world.count = Some(129);
        world.findings()
    }),
    ("capacity-files", HostSeverity::Error, |world| {
        world.write("proc/sys/fs/file-nr", "1000 0 1001");
        world.findings()
    }),
    ("capacity-memory", HostSeverity::Warning, |world| {
        world.write(
            "proc/meminfo",
            "MemTotal: 4194304 kB\nMemAvailable: 1024 kB\n",
        );
        world.findings()
    }),
    ("capacity-disk", HostSeverity::Warning, |mut world| {
        world.count = Some(100_000_000);
        world.findings()
    }),
    ("capacity-neighbours", HostSeverity::Warning, |world| {
        world.sysctl("net.ipv4.neigh.default.gc_thresh3", 6);
        world.findings()
    }),
    ("capacity-addresses", HostSeverity::Error, |mut world| {
        // Half of it is the range that podman gives addresses from.
        let left = world.system.networks.get_mut("left").expect("a network");
        left.subnet = "172.21.0.0/28".parse().expect("a subnet");
        world.count = Some(14);
        world.findings()
    }),
    ("capacity-bridge", HostSeverity::Error, |mut world| {
        world.count = Some(1024);
        world.findings()
    }),
];

fn refused() -> Proof {
    Proof {
        quirks: Quirks {
            global: vec!["--runtime".into(), "runc".into()],
            ..Quirks::default()
        },
        run_ms: 200,
        rejected: vec![("podman's own defaults".into(), "no cgroups".into())],
    }
}

#[test]
fn every_situation_is_found_with_evidence_and_fix() {
    for (id, severity, situation) in TABLE {
        let found = situation(World::healthy());
        let ids: Vec<&str> = found.iter().map(|finding| finding.id).collect();
        let Some(finding) = found.iter().find(|finding| finding.id == *id) else {
            panic!("no `{id}` among {ids:?}");
        };
        assert_eq!(finding.severity, *severity, "{id}: {}", finding.title);
        assert!(
            !finding.title.is_empty() && !finding.evidence.is_empty(),
            "{id}"
        );
        let needs_fix = *severity > HostSeverity::Ok;
        assert_eq!(
            finding.fix.as_ref().is_some_and(|fix| !fix.is_empty()),
            needs_fix,
            "{id}"
        );
    }
}

#[test]
fn a_healthy_host_shows_nothing_worse_than_info() {
    for world in [World::healthy(), World::rootless()] {
        let worse: Vec<String> = world
            .findings()
            .iter()
            .filter(|finding| finding.severity > HostSeverity::Info)
            .map(words)
            .collect();
        // Where mmdebstrap is not installed, a registry is needed.
        let worse: Vec<&String> = worse
            .iter()
            .filter(|words| !words.contains("base-image"))
            .collect();
        assert_eq!(worse, Vec::<&String>::new());
    }
}

/// A host of which nothing can be read has no findings made up about it.
#[test]
fn an_unreadable_host_is_no_sick_host() {
    let world = World::healthy();
    let empty = World {
        folder: tempfile::tempdir().expect("a folder"),
        ..world
    };
    let worse = empty
        .findings()
        .into_iter()
        .filter(|found| found.severity > HostSeverity::Info);
    let ids: BTreeSet<&str> = worse.map(|finding| finding.id).collect();
    let told = ["base-image", "name-server", "nameservers"];
    assert!(ids.iter().all(|id| told.contains(id)), "{ids:?}");
}

/// No finding is without its row.
#[test]
fn the_table_is_complete() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/host");
    let mut ids = BTreeSet::new();
    for folder in ["toolchain", "capacity"] {
        for entry in fs::read_dir(host.join(folder)).expect("sources") {
            let path = entry.expect("an entry").path();
            if path.is_file() && !path.ends_with("tests.rs") {
                ids.extend(ids_of(&fs::read_to_string(&path).expect("a source")));
            }
        }
    }
    let rows: BTreeSet<String> = TABLE.iter().map(|(id, _, _)| (*id).to_owned()).collect();
    assert!(ids.len() > 30, "only {} ids found", ids.len());
    assert_eq!(ids, rows);
}

/// The literals that are the first argument of what makes a finding.
fn ids_of(source: &str) -> Vec<String> {
    ["Finding::new(", "Finding::ok(", "Limit::new("]
        .iter()
        .flat_map(|way| source.split(way).skip(1))
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .map(str::to_owned)
        .collect()
}
