//! What podman 4.3.1 tells of a container that was made with our options, running,
//! and what is made of it.

use model::plan::{
    Workload, drift,
    observed::{Observed, ResourceLimits},
    spec::{ContainerNet, ContainerSpec, MountSpec, RelaxSpec},
    state::Container,
};

use super::*;

const TOLD: &str = include_str!("podman-4.3.1.json");

fn settings(rootless: bool) -> Settings {
    let told: Vec<Inspected> = serde_json::from_str(TOLD).unwrap();
    told.into_iter().next().unwrap().into_settings(rootless)
}

/// What the options of the recorded container come from.
fn wanted() -> ContainerSpec {
    let mount = |source: &str, target: &str, read_only| MountSpec {
        source: source.into(),
        target: target.into(),
        read_only,
    };
    ContainerSpec {
        deployment: None,
        manifest: "/repo/containers/system.toml".into(),
        system: "demo".into(),
        workload: Workload::Agent {
            agent: "Alpha".into(),
            group: "one".into(),
        },
        name: "alpha".into(),
        hostname: "alpha".into(),
        image: "localhost/demo:latest".into(),
        network: ContainerNet::Bridge(vec![
            ("left".into(), Some([10, 233, 9, 10].into())),
            ("spine".into(), Some([10, 233, 10, 10].into())),
        ]),
        publish: vec![(17_000, 7000), (17_001, 7001)],
        env: [("AGENT_NAME", "Alpha"), ("PORT", "7000")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        mounts: vec![
            mount("demo-logs", "/app/logs", false),
            mount("/srv/conf", "/app/config", true),
        ],
        devices: vec!["/dev/fuse".into()],
        groups: vec![44],
        memory_mb: 512,
        cpus: 0.5,
        pids: 64,
        restart: "on-failure:3".into(),
        stop_timeout_s: 5,
        relax: RelaxSpec {
            writable_root: false,
            root_user: false,
            capabilities: vec!["NET_RAW".into()],
        },
        secrets: Vec::new(),
        files: BTreeMap::new(),
        command: vec!["sleep".into(), "600".into()],
    }
}

fn texts(observed: Observed) -> Vec<String> {
    let networks = ["left", "spine"].map(str::to_owned).into();
    let container = Container {
        networks,
        observed: Some(Box::new(observed)),
        ..Container::default()
    };
    let found = drift::differences(&wanted(), &container);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_container_is_as_it_was_made() {
    let found = settings(false);
    assert_eq!((found.id.len(), found.pid > 0), (64, true));
    // None of podman's own settings is taken for a change, and none is missed.
    assert_eq!(texts(found.observed), Vec::<String>::new());
    assert_eq!(texts(settings(true).observed), Vec::<String>::new());
}

#[test]
fn each_part_of_the_answer_is_read() {
    let changes = [
        (r#""HostPort": "17001""#, r#""HostPort": "9""#),
        (
            r#""IPAddress": "10.233.9.10""#,
            r#""IPAddress": "10.233.9.11""#,
        ),
        (r#""Memory": 536870912"#, r#""Memory": 1073741824"#),
        (r#""MemorySwap": 536870912"#, r#""MemorySwap": 1073741824"#),
        (r#""CpuQuota": 50000"#, r#""CpuQuota": 70000"#),
        (r#""PidsLimit": 64"#, r#""PidsLimit": 65"#),
        (r#""ReadonlyRootfs": true"#, r#""ReadonlyRootfs": false"#),
        (r#""MaximumRetryCount": 3"#, r#""MaximumRetryCount": 4"#),
        (r#""StopTimeout": 5"#, r#""StopTimeout": 6"#),
        (r#""PORT=7000""#, r#""PORT=7""#),
        (
            r#""PathOnHost": "/dev/fuse""#,
            r#""PathOnHost": "/dev/snd""#,
        ),
        (r#""Source": "/srv/conf""#, r#""Source": "/etc""#),
        (r#""Name": "demo-logs""#, r#""Name": "other-logs""#),
        (
            r#""Destination": "/app/logs""#,
            r#""Destination": "/app/log""#,
        ),
        (r#""RW": true"#, r#""RW": false"#),
        (r#""Hostname": "alpha""#, r#""Hostname": "beta""#),
        (r#""NetworkMode": "bridge""#, r#""NetworkMode": "host""#),
        (
            "\"BoundingCaps\": [\n               \"CAP_NET_RAW\"\n          ]",
            "\"BoundingCaps\": null",
        ),
        (
            "\"Cmd\": [\n                    \"sleep\"",
            "\"Cmd\": [\n                    \"sleeps\"",
        ),
        (
            "\"SecurityOpt\": [\n                    \"no-new-privileges\"\n               ]",
            "\"SecurityOpt\": []",
        ),
        (
            "\"GroupAdd\": [\n                    \"44\"",
            "\"GroupAdd\": [\n                    \"45\"",
        ),
        (r#""02:42:0a:e9:0a:0a""#, r#""02:42:00:00:00:00""#),
        (
            "\"Aliases\": [\n                              \"alpha\"",
            "\"Aliases\": [\n                              \"a\"",
        ),
    ];
    for (is, becomes) in changes {
        assert!(TOLD.contains(is), "{is}");
        let told: Vec<Inspected> = serde_json::from_str(&TOLD.replace(is, becomes)).unwrap();
        let found = told.into_iter().next().unwrap().into_settings(false);
        assert!(!texts(found.observed).is_empty(), "{becomes}");
    }
}

#[test]
fn what_podman_could_not_limit_is_not_known() {
    let told = TOLD
        .replace(r#""Memory": 536870912"#, r#""Memory": 0"#)
        .replace(r#""MemorySwap": 536870912"#, r#""MemorySwap": -1"#)
        .replace(r#""CpuQuota": 50000"#, r#""CpuQuota": 0"#)
        .replace(r#""PidsLimit": 64"#, r#""PidsLimit": 0"#);
    let told: Vec<Inspected> = serde_json::from_str(&told).unwrap();
    let observed = told
        .into_iter()
        .next()
        .unwrap()
        .into_settings(true)
        .observed;
    assert_eq!(observed.limits, ResourceLimits::default());
    assert_eq!(texts(observed), Vec::<String>::new());
}
