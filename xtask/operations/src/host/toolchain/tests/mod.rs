//! Each finding in full, and the table of all.

mod table;

use std::net::TcpListener;

use model::{
    plan::{
        pointer_tag,
        state::{Container, ObservedImage, ObservedNetwork, Status},
    },
    system::{self, BaseSource},
};

use super::{engine::*, manifest::*, network::*, resources::*, rootless::*, *};
use crate::{
    host::findings::HostSeverity,
    podman::{
        caps::{FEATURES, Version},
        quirks::{Proof, Quirks},
    },
};

fn demo() -> System {
    let text = r#"
schema = 1
[system]
name = "demo"
monorepo = "monorepo"
code = ["main_pc_code"]
[base]
name = "demo-base"
sources = ["present", "pull", "bootstrap"]
pull = "registry.example/python:3.11"
suite = "bookworm"
[networks.left]
subnet = "172.21.0.0/16"
[images.demo-code]
parent = "demo-base"
containerfile = "Containerfile"
[groups.one]
image = "demo-code"
network = "left"
memory_mb = 1024
[groups.one.agents.Alpha]
script = "main_pc_code/agents/alpha.py"
port = 7000
[groups.one.agents.Beta]
script = "main_pc_code/agents/beta.py"
port = 7010
optional = true
"#;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/manifests");
    system::from_text(text, &folder.join("sketch.toml"))
        .unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn facts() -> Facts {
    Facts {
        version: Version::new(4, 3, 1),
        rootless: false,
        remote: false,
        network_backend: "netavark".into(),
        cgroup_version: "v2".into(),
        cgroup_manager: "systemd".into(),
        runtime: "crun".into(),
        storage_driver: "overlay".into(),
        storage_root: "/var/lib/containers".into(),
        cgroup_controllers: Vec::new(),
        name_server: None,
    }
}

/// All of its agents.
fn all(system: &System) -> Vec<&Agent> {
    system.agents.iter().collect()
}

/// `severity id: title | evidence | fix`
fn words(finding: &HostFinding) -> String {
    let HostFinding {
        id,
        severity,
        title,
        evidence,
        agent: _,
        fix,
    } = finding;
    let fix = fix.as_deref().unwrap_or("-");
    format!("{severity:?} {id}: {title} | {evidence} | {fix}")
}

#[track_caller]
fn check(found: impl IntoIterator<Item = HostFinding>, expected: &[&str]) {
    let found: Vec<String> = found.into_iter().map(|finding| words(&finding)).collect();
    assert_eq!(found, expected);
}

/// All agents that are not optional.
fn everyone(system: &System) -> Vec<&Agent> {
    system
        .agents
        .iter()
        .filter(|agent| !agent.optional)
        .collect()
}

#[test]
fn podman_is_described() {
    check(
        [version(Path::new("/usr/bin/podman"), &facts())],
        &[
            "Ok podman-version: podman 4.3.1, rootful | /usr/bin/podman; runtime crun, \
           cgroups v2 through systemd, storage overlay at /var/lib/containers | -",
        ],
    );
}

#[test]
fn features_that_are_missing_are_explained() {
    assert_eq!(features(Version::new(4, 3, 1)).count(), FEATURES.len());
    assert_eq!(features(Version::new(99, 0, 0)).count(), 0);
    check(
        features(Version::new(5, 4, 2)),
        &[
            "Info podman-feature: podman 5.4.2 lacks --cdi-spec-dir (since 5.5.0) | CDI \
           specifications are read from /etc/cdi and /var/run/cdi only | nothing to do; a newer \
           podman has it",
        ],
    );
}

#[test]
fn the_network_backend_must_be_netavark() {
    check(network_backend(&facts()), &[]);
    let mut facts = facts();
    facts.network_backend = "cni".into();
    let found = network_backend(&facts).expect("an error");
    assert_eq!(
        (found.id, found.severity),
        ("network-backend", HostSeverity::Error)
    );
    assert_eq!(
        found.title,
        "podman's network backend is `cni`, not netavark"
    );
}

#[test]
fn one_firewall_tool_is_enough() {
    let with = |tools: &'static [&str]| network_tools(&move |tool| tools.contains(&tool));
    assert!(with(&["nft"]).is_none() && with(&["iptables"]).is_none());
    let found = with(&[]).expect("an error");
    assert_eq!(
        (found.id, found.severity),
        ("firewall-tool", HostSeverity::Error)
    );
}

#[test]
fn rootless_needs_cgroups_v2_and_ranges_of_ids() {
    check(limits(&facts()), &[]);
    let mut old = facts();
    old.cgroup_version = "v1".into();
    assert_eq!(
        limits(&old).expect("a warning").severity,
        HostSeverity::Warning
    );
    let ranges = "alice:100000:65536\n1001:165536:65536\n";
    check(subids("/etc/subuid", ranges, "alice", "1000"), &[]);
    check(subids("/etc/subuid", ranges, "bob", "1001"), &[]);
    check(
        subids("/etc/subgid", ranges, "ali", "1002"),
        &[
            "Error rootless-subids: user `ali` has no range in /etc/subgid | rootless containers \
           cannot have an unprivileged user without one | as root: usermod --add-subuids \
           100000-165535 --add-subgids 100000-165535 ali; then `podman system migrate`",
        ],
    );
    let small = "bob:100000:10000\nbob:200000:1\n";
    check(subids("/etc/subuid", small, "bob", "1001"), &[]);
    let found = subids("/etc/subuid", "bob:100000:10000\n", "bob", "1001").expect("an error");
    assert_eq!(
        found.evidence,
        "it has 10000 ids, and agents run as user 10001"
    );
    let passwd = "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/sh\n";
    assert_eq!(user_name(passwd, "1000").as_deref(), Some("alice"));
    assert_eq!(user_name(passwd, "7"), None);
    assert_eq!(user_name("garbage\n::\n", "7"), None);
}

#[test]
fn disk_space_is_judged_by_what_is_missing() {
    let (system, mut facts, mut state) = (demo(), facts(), State::default());
    let agents = everyone(&system);
    check(vfs(&facts), &[]);
    let judged = |facts: &Facts, state: &State, free| space(facts, free, &system, state, &agents);
    check(
        [1_999_999_999, 24_000_000_000].map(|free| judged(&facts, &state, free)),
        &[
            "Error storage-space: the disk is nearly full | 2.00 GB free at /var/lib/containers; \
             building 2 images takes about 790 MB: demo-base, demo-code | free some space: \
             `podman system df` shows what podman holds, `podman image prune` removes what nothing \
             uses",
            "Ok storage-space: enough disk space | 24.00 GB free at /var/lib/containers; building 2 \
             images takes about 790 MB: demo-base, demo-code | -",
        ],
    );
    let images = ["demo-base", "demo-code"]
        .map(|name| (pointer_tag(&system, name), ObservedImage::default()));
    state.images.extend(images);
    let found = judged(&facts, &state, 3_000_000_000);
    assert_eq!(found.severity, HostSeverity::Ok);
    assert!(
        found.evidence.ends_with("all images are there"),
        "{}",
        found.evidence
    );
    facts.storage_driver = "vfs".into();
    assert_eq!(vfs(&facts).expect("a warning").id, "storage-vfs");
    assert!(free_bytes(Path::new("/not/there/yet")).expect("of the root") > 0);
}

/// The real manifest's images need what the README says, and more with vfs.
#[test]
fn the_plans_images_need_about_25_gb() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let source = system::Source {
        manifest: root.join("containers/system.toml"),
        monorepo: None,
    };
    let system = system::load(&source).expect("the real manifest");
    let agents = everyone(&system);
    let judged = |driver: &str, free| {
        let facts = Facts {
            storage_driver: driver.into(),
            ..facts()
        };
        space(&facts, free, &system, &State::default(), &agents).severity
    };
    assert_eq!(judged("overlay", 15_000_000_000), HostSeverity::Warning);
    assert_eq!(judged("overlay", 25_000_000_000), HostSeverity::Ok);
    assert_eq!(judged("vfs", 60_000_000_000), HostSeverity::Warning);
    assert_eq!(judged("vfs", 120_000_000_000), HostSeverity::Ok);
}

#[test]
fn memory_limits_of_the_usual_agents_are_added_up() {
    let total = |kb: u64| format!("MemFree: 1 kB\nMemTotal:       {kb} kB\n");
    let system = demo();
    let agents = everyone(&system);
    check(
        memory(&agents, 1, &total(1024 * 1024)),
        &[
            "Ok memory-budget: the agents' memory limits fit | limits add up to 1024 MB, the host \
           has 1024 MB | -",
        ],
    );
    check(
        memory(&agents, 1, &total(1023 * 1024)),
        &[
            "Warning memory-budget: the agents may together use more memory than there is | limits \
           add up to 1024 MB, the host has 1023 MB | lower memory_mb in the manifest, or deploy \
           fewer agents",
        ],
    );
    let more = memory(&agents, 3, &total(2048 * 1024)).expect("a warning");
    assert!(
        more.evidence.starts_with("limits add up to 3072 MB"),
        "{}",
        more.evidence
    );
    check(memory(&agents, 1, "garbage"), &[]);
}

#[test]
fn processors_may_be_shared() {
    let system = demo();
    let agents = everyone(&system);
    let severity = |count| cpus(&agents, count, 2).severity;
    let each = agents[0].cpus as u64;
    assert_eq!(severity(2 / each), HostSeverity::Ok);
    assert_eq!(severity(16 / each), HostSeverity::Info);
    assert_eq!(severity(18 / each), HostSeverity::Warning);
}

#[test]
fn ports_of_agents_that_do_not_run_must_be_free() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let mut system = demo();
    system.agents[0].host_port = None;
    system.agents[0].host_health_port = port;
    let found = ports_taken(&State::default(), &everyone(&system));
    let own = std::process::id();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].title,
        format!("port {port}, which Alpha publishes, is taken")
    );
    assert!(
        found[0].evidence.ends_with(&format!("(process {own})")),
        "{}",
        found[0].evidence
    );
    let mut state = State::default();
    let running = Container {
        status: Status::Running,
        ..Container::default()
    };
    state.containers.insert("alpha".into(), running);
    check(ports_taken(&state, &everyone(&system)), &[]);
    // Its successor or predecessor may hold the port, too, and be replaced.
    let paused = Container {
        status: Status::Other,
        ..Container::default()
    };
    let state = State {
        containers: [("alpha-next".to_owned(), paused)].into(),
        ..State::default()
    };
    check(ports_taken(&state, &everyone(&system)), &[]);
    system.agents[0].optional = true;
    check(ports_taken(&State::default(), &everyone(&system)), &[]);
    drop(listener);
}

#[test]
fn routes_that_a_new_network_would_hide_are_named() {
    let table = |line: &str| format!("Iface Destination Gateway Flags …\n{line}\n");
    let clash = table("eth0 000015AC 00000000 0001 0 0 0 0000FFFF 0 0 0");
    check(
        routes(&demo(), &State::default(), &all(&demo()), &clash),
        &[
            "Error subnet-overlap: network `left` (172.21.0.0/16) overlaps a route of this host | \
           172.21.0.0/16 goes through eth0 | choose another subnet in the manifest",
        ],
    );
    let mut state = State::default();
    state
        .networks
        .insert("left".into(), ObservedNetwork::default());
    check(routes(&demo(), &state, &all(&demo()), &clash), &[]);
    let fine = [
        "eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0",
        "eth0 0000A8C0 00000000 0001 0 0 0 0000FFFF 0 0 0",
        "eth0",
        "",
        "eth0 ZZ 0 0 0 0 0 0000FFFF",
    ];
    for line in fine {
        check(
            routes(&demo(), &State::default(), &all(&demo()), &table(line)),
            &[],
        );
    }
}

#[test]
fn the_base_image_needs_a_source() {
    let found = |system: &System, state: &State, installed: bool| {
        base_sources(system, state, &|_| installed).map(|finding| words(&finding))
    };
    let (mut system, mut state) = (demo(), State::default());
    assert_eq!(found(&system, &state, true), None);
    let pulled = found(&system, &state, false).expect("a warning");
    assert!(
        pulled.starts_with("Warning base-image: the base image must be pulled"),
        "{pulled}"
    );
    system.base.sources = vec![BaseSource::Present];
    let none = found(&system, &state, true).expect("an error");
    assert!(
        none.starts_with("Error base-image: the base image does not exist"),
        "{none}"
    );
    state
        .images
        .insert(pointer_tag(&system, "demo-base"), ObservedImage::default());
    assert_eq!(found(&system, &state, false), None);
}

#[test]
fn relaxations_are_listed_with_their_reasons() {
    let mut system = demo();
    check(relaxations(&all(&system)), &[]);
    let relax = &mut system.agents[0].relax;
    relax.writable_root = Some("writes beside its code".into());
    relax.root_user = Some("opens a raw device".into());
    relax.capabilities.insert("NET_RAW".into(), "pings".into());
    let titles: Vec<String> = relaxations(&all(&system))
        .into_iter()
        .map(|found| found.title)
        .collect();
    assert_eq!(
        titles,
        [
            "Alpha has a writable root",
            "Alpha has the root user",
            "Alpha has the capability NET_RAW"
        ]
    );
}

#[test]
fn the_proof_tells_what_it_took() {
    let mut proof = Proof {
        quirks: Quirks::default(),
        run_ms: 250,
        rejected: Vec::new(),
    };
    check(
        proven(&proof),
        &[
            "Ok engine-runs: podman runs containers | a container ran in 0.25 s with podman's own \
           defaults | -",
        ],
    );
    proof.quirks.global = vec!["--runtime".into(), "runc".into()];
    proof.rejected = vec![("podman's own defaults".into(), "crun: no cgroups".into())];
    check(
        proven(&proof),
        &[
            "Ok engine-runs: podman runs containers | a container ran in 0.25 s with --runtime \
             runc | -",
            "Info engine-quirks: podman's defaults do not work here; every call carries explicit \
             options | podman's own defaults: crun: no cgroups | nothing to do; to use podman by \
             hand, add: --runtime runc",
        ],
    );
}

#[test]
fn this_host_can_be_looked_at() {
    let system = demo();
    let asked = Asked {
        system: &system,
        state: &State::default(),
        agents: everyone(&system),
        count: Some(1),
        builds: true,
    };
    let (_, capacity) = of_agents(&facts(), None, &Look::here(), &asked);
    let limits = capacity.expect("of this host").limits;
    for id in [
        "capacity-keys",
        "capacity-processes",
        "capacity-files",
        "capacity-locks",
    ] {
        assert!(limits.iter().any(|limit| limit.id == id), "{id}");
    }
    assert!(on_path("sh") && !on_path("no such program"));
}
