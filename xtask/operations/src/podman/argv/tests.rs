//! Step in, text out. The texts are what users paste, so a changed one is a
//! changed promise. Only `sh` and `printf` are run, to prove the quoting.

use std::{collections::BTreeMap, fs};

use model::plan::{
    Gate, Workload,
    spec::{MountSpec, RelaxSpec},
};
use process::{Cancel, Command};

use super::*;

mod containers;

fn line(action: &Action, quirks: &Quirks) -> String {
    let lines = script(action, quirks, |args| {
        let global = quirks.global.iter().chain(args).cloned();
        shell_line(
            &["podman".to_owned()]
                .into_iter()
                .chain(global)
                .collect::<Args>(),
        )
    });
    lines.join("\n")
}

#[track_caller]
fn check(action: &Action, expected: &str) {
    check_with(action, &Quirks::default(), expected);
}

/// `expected` may be broken into lines where the command has a space.
#[track_caller]
fn check_with(action: &Action, quirks: &Quirks, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(line(action, quirks), expected.join(" ").trim());
}

fn agent() -> ContainerSpec {
    ContainerSpec {
        manifest: "/repo/containers/system.toml".into(),
        system: "demo".into(),
        deployment: None,
        workload: Workload::Agent {
            agent: "Alpha".into(),
            group: "one".into(),
        },
        name: "alpha".into(),
        hostname: "alpha".into(),
        image: "localhost/demo-code:latest".into(),
        network: ContainerNet::Bridge(vec![
            ("left".into(), Some([10, 1, 0, 10].into())),
            ("spine".into(), None),
        ]),
        publish: vec![(17000, 7000), (7001, 7001)],
        env: BTreeMap::from([
            ("AGENT_NAME".into(), "Alpha".into()),
            ("PORT".into(), "7000".into()),
        ]),
        secrets: Vec::new(),
        mounts: vec![
            MountSpec {
                source: "demo-logs".into(),
                target: "/app/logs".into(),
                read_only: false,
            },
            MountSpec {
                source: "/srv/config".into(),
                target: "/app/config".into(),
                read_only: true,
            },
        ],
        devices: Vec::new(),
        groups: Vec::new(),
        memory_mb: 512,
        cpus: 1.5,
        pids: 256,
        restart: "on-failure:3".into(),
        stop_timeout_s: 5,
        relax: RelaxSpec {
            writable_root: false,
            root_user: false,
            capabilities: Vec::new(),
        },
        files: BTreeMap::new(),
        command: ["python3", "-u", "main_pc_code/agents/alpha.py"]
            .map(str::to_owned)
            .to_vec(),
    }
}

fn create(spec: ContainerSpec) -> Action {
    Action::CreateContainer(Box::new(spec))
}

#[test]
fn a_container_is_created_with_everything_spelled_out() {
    check(
        &create(agent()),
        "podman create --name alpha --hostname alpha
         --label 'ai-system.system=demo' --label 'ai-system.agent=Alpha'
         --label 'ai-system.group=one' --label 'ai-system.spec=SPEC'
         --label 'ai-system.manifest=/repo/containers/system.toml'
         --label 'ai-system.addresses=left=10.1.0.10' --label 'ai-system.health=7001:7001'
         --network 'left:alias=alpha,ip=10.1.0.10,mac=02:42:0a:01:00:0a' --network 'spine:alias=alpha'
         --publish 127.0.0.1:17000:7000 --publish 127.0.0.1:7001:7001
         --cap-drop all --security-opt no-new-privileges --read-only
         --memory 512m --memory-swap 512m --cpus 1.5 --pids-limit 256 --init '--http-proxy=false'
         --restart on-failure:3 --stop-timeout 5 --log-driver k8s-file --log-opt 'max-size=10mb'
         --env 'AGENT_NAME=Alpha' --env 'PORT=7000' --volume demo-logs:/app/logs:rw --volume /srv/config:/app/config:ro
         --pull never localhost/demo-code:latest
         python3 -u main_pc_code/agents/alpha.py"
            .replace("SPEC", &spec::hash_of_container(&agent()))
            .as_str(),
    );
}

#[test]
fn quirks_stand_before_the_verb_and_on_create_alone() {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let quirks = Quirks {
        global: text(&["--runtime", "runc", "--cgroup-manager", "cgroupfs"]),
        container: text(&["--ulimit", "nofile=1024:1024"]),
        build: ["--ulimit", "nofile=20000:20000"]
            .map(str::to_owned)
            .to_vec(),
        fetch: text(&["--cpu-shares", "128"]),
        network: text(&["--network", "host"]),
    };
    let created = line(&create(agent()), &quirks);
    assert!(
        created.starts_with("podman --runtime runc --cgroup-manager cgroupfs create --name alpha ")
    );
    assert!(created.contains(" --pids-limit 256 --ulimit 'nofile=1024:1024' --init "));
    let start = Action::StartContainer {
        container: "alpha".into(),
        host_ports: vec![7000],
    };
    check_with(
        &start,
        &quirks,
        "podman --runtime runc --cgroup-manager cgroupfs start alpha",
    );
    let plain = render(&create(agent()), &Quirks::default()).expect("one call");
    assert_eq!(created.split(' ').count(), 1 + plain.len() + 4 + 2);
}

#[test]
fn in_host_mode_nothing_is_published() {
    let mut spec = agent();
    spec.network = ContainerNet::Host;
    spec.publish.clear();
    let text = line(&create(spec), &Quirks::default());
    assert!(text.contains(" --network host --cap-drop all "), "{text}");
}

#[test]
fn a_container_in_a_pod_has_its_network() {
    let mut spec = agent();
    spec.network = ContainerNet::Pod("demo-one".into());
    spec.publish.clear();
    let text = line(&create(spec), &Quirks::default());
    assert!(text.contains(" --pod demo-one --cap-drop all "), "{text}");
}

#[test]
fn relaxations_are_the_only_way_to_fewer_restrictions() {
    let mut spec = agent();
    spec.relax = RelaxSpec {
        writable_root: true,
        root_user: true,
        capabilities: vec!["NET_RAW".into(), "SYS_NICE".into()],
    };
    let text = line(&create(spec), &Quirks::default());
    let part = " --cap-drop all --cap-add NET_RAW --cap-add SYS_NICE \
                --security-opt no-new-privileges --user 0:0 --memory ";
    assert!(text.contains(part), "{text}");
}

#[test]
fn devices_and_gpus_are_passed_on_alike() {
    let mut spec = agent();
    spec.devices = ["/dev/snd", "nvidia.com/gpu=0"].map(str::to_owned).to_vec();
    spec.groups = vec![29];
    let text = line(&create(spec), &Quirks::default());
    let part = ":ro --device /dev/snd --device 'nvidia.com/gpu=0' --group-add 29 --pull never ";
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_successor_differs_in_its_name_alone() {
    let mut next = agent();
    next.name = "alpha-next".into();
    let arguments = |spec| render(&create(spec), &Quirks::default()).expect("one call");
    let (old, new) = (arguments(agent()), arguments(next));
    let different: Vec<(&String, &String)> = old.iter().zip(&new).filter(|(a, b)| a != b).collect();
    assert_eq!(different, [(&"alpha".to_owned(), &"alpha-next".to_owned())]);
}

#[test]
fn containers_are_started_stopped_renamed_and_removed() {
    let container = || "alpha".to_owned();
    check(
        &Action::StartContainer {
            container: container(),
            host_ports: Vec::new(),
        },
        "podman start alpha",
    );
    let stop = Action::StopContainer {
        container: container(),
        timeout_s: 7,
    };
    check(&stop, "podman stop --time 7 alpha");
    let rename = Action::RenameContainer {
        from: container(),
        to: "alpha-previous".into(),
    };
    check(&rename, "podman rename alpha alpha-previous");
    check(&containers::removal(), "podman rm --force --time 5 alpha");
}

#[test]
fn networks_are_created_with_their_addresses_and_walls() {
    let network = NetworkSpec {
        system: "demo".into(),
        name: "left".into(),
        subnet: "10.1.0.0/16".into(),
        ip_range: Some("10.1.128.0/17".into()),
        internal: true,
        isolate: true,
    };
    let hash = spec::hash_of(&network);
    check(
        &Action::CreateNetwork(network.clone()),
        &format!(
            "podman network create --driver bridge --subnet 10.1.0.0/16 --ip-range 10.1.128.0/17
             --internal --opt 'isolate=true'
             --label 'ai-system.system=demo' --label 'ai-system.spec={hash}' left"
        ),
    );
    let open = NetworkSpec {
        ip_range: None,
        internal: false,
        isolate: false,
        ..network
    };
    let hash = spec::hash_of(&open);
    check(
        &Action::CreateNetwork(open),
        &format!(
            "podman network create --driver bridge --subnet 10.1.0.0/16
             --label 'ai-system.system=demo' --label 'ai-system.spec={hash}' left"
        ),
    );
}

#[test]
fn networks_images_and_volumes_are_removed_without_force() {
    let remove = Action::RemoveNetwork {
        network: "left".into(),
    };
    check(&remove, "podman network rm left");
    let reload = Action::ReloadNetworks {
        container: "first".into(),
    };
    check(&reload, "podman network reload first");
    let remove = Action::RemoveImage {
        tag: "localhost/demo-code:latest".into(),
    };
    check(&remove, "podman rmi localhost/demo-code:latest");
    let remove = Action::RemoveVolume {
        volume: "demo-logs".into(),
    };
    check(&remove, "podman volume rm demo-logs");
}

#[test]
fn builds_never_pull_and_keep_no_secret() {
    let build = BuildSpec {
        system: Some("demo".into()),
        code: false,
        tag: "localhost/core:latest".into(),
        containerfile: "/repo/images/core/Containerfile".into(),
        context: "/repo".into(),
        ignorefile: Some("/cache/demo.containerignore".into()),
        args: BTreeMap::from([("PARENT".into(), "localhost/base:latest".into())]),
        env: BTreeMap::from([("NUMBA_CACHE_DIR".into(), "/tmp/numba".into())]),
        target: None,
        secrets: vec![
            Secret::File {
                id: "ca-bundle".into(),
                path: "/etc/ssl/cert.pem".into(),
            },
            Secret::Env {
                id: "pip-index-url".into(),
                variable: "PIP_INDEX_URL".into(),
            },
        ],
        inputs_hash: "0123".into(),
    };
    let fetch = BuildSpec {
        tag: "localhost/demo-fetched:latest".into(),
        env: BTreeMap::new(),
        target: Some("fetched".into()),
        ignorefile: None,
        secrets: Vec::new(),
        ..build.clone()
    };
    check(
        &Action::FetchPackages(fetch),
        "podman build --tag localhost/demo-fetched:latest --file /repo/images/core/Containerfile
         --build-arg 'PARENT=localhost/base:latest' --label 'ai-system.system=demo'
         --target fetched --timestamp 0 '--layers=false' '--pull=never' /repo",
    );
    let service = BuildSpec {
        system: None,
        code: true,
        secrets: Vec::new(),
        env: BTreeMap::new(),
        ..build.clone()
    };
    check(
        &Action::BuildImage(service),
        "podman build --tag localhost/core:latest --file /repo/images/core/Containerfile
         --ignorefile /cache/demo.containerignore --build-arg 'PARENT=localhost/base:latest' --network none
         --label 'ai-system.inputs=0123' '--layers=false' '--pull=never' /repo",
    );
    check(
        &Action::BuildImage(build),
        "podman build --tag localhost/core:latest --file /repo/images/core/Containerfile
         --ignorefile /cache/demo.containerignore --build-arg 'PARENT=localhost/base:latest'
         --env 'NUMBA_CACHE_DIR=/tmp/numba'
         --secret 'id=ca-bundle,src=/etc/ssl/cert.pem' --secret 'id=pip-index-url,env=PIP_INDEX_URL'
         --label 'ai-system.system=demo' --label 'ai-system.inputs=0123' '--layers=false' '--pull=never' /repo",
    );
}

#[test]
fn packages_are_imported_without_network_or_anything_to_write_to() {
    let test = SmokeSpec {
        tag: "localhost/core:latest".into(),
        packages: vec!["pyyaml".into(), "pyzmq".into()],
        built: true,
    };
    let expected = "podman run --rm --network none --cap-drop all
         --security-opt no-new-privileges --read-only --memory 8192m --memory-swap 8192m --pids-limit 4096 --init
         '--http-proxy=false' --env 'HOME=/tmp' --pull never localhost/core:latest
         python3 -c SCRIPT pyyaml pyzmq";
    let told = line(&Action::SmokeTest(test), &Quirks::default());
    let told = told.replace(&shell_line(&[SMOKE_TEST.to_owned()]), "SCRIPT");
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(told, expected.join(" "));
}

fn base(pull: bool, bootstrap: bool) -> Action {
    Action::EnsureBase(BaseSpec {
        tag: "localhost/base:latest".into(),
        system: "demo".into(),
        inputs_hash: "0123".into(),
        sources: [
            pull.then(|| BaseFrom::Pull {
                reference: "registry.example/python:3.11".into(),
                lock: "/repo/base.lock".into(),
            }),
            bootstrap.then(|| {
                BaseFrom::Bootstrap(Bootstrap {
                    suite: "bookworm".into(),
                    packages: vec!["python3".into(), "ca-certificates".into()],
                    archive: "/cache/base.tar".into(),
                })
            }),
        ]
        .into_iter()
        .flatten()
        .collect(),
    })
}

#[test]
fn the_base_image_comes_from_the_first_source_that_works() {
    const PULL: &str = "podman pull --quiet registry.example/python:3.11 && \
                        podman tag registry.example/python:3.11 localhost/base:latest";
    const BOOTSTRAP: &str = "mkdir -p /cache && \
                             mmdebstrap '--variant=minbase' '--include=python3,ca-certificates' bookworm /cache/base.tar && \
                             podman import --quiet --change 'LABEL ai-system.system=demo' --change 'LABEL ai-system.inputs=0123' /cache/base.tar localhost/base:latest";
    check(&base(true, false), &format!("{{ {PULL}; }}"));
    check(&base(false, true), &format!("{{ {BOOTSTRAP}; }}"));
    check(
        &base(true, true),
        &format!("{{ {PULL}; }} || {{ {BOOTSTRAP}; }}"),
    );
    check(
        &base(false, false),
        "false  # no source for the base image is allowed",
    );
}

#[test]
fn waits_are_comments() {
    let gate = Gate {
        agent: "Alpha".into(),
        container: "alpha".into(),
        host_health_port: 7001,
        health_port: 7001,
        health: Default::default(),
        timeout_ms: 60_000,
        attempts: 2,
        restarts: true,
        stop_timeout_s: 5,
        unanswered: model::plan::step::Unanswered::Fail,
    };
    let settle = Action::Settle {
        window_ms: 2_500,
        gates: vec![gate.clone()],
    };
    check(
        &Action::Gate(gate),
        "# wait until Alpha is healthy on tcp://127.0.0.1:7001",
    );
    check(&settle, "# look at all agents again after 2.5 s");
}

/// Words that a careless shell line would tear apart or run.
const HOSTILE: &[&str] = &[
    "two words",
    "it's",
    "\"quoted\"",
    "$HOME ${HOME} $(id) `id`",
    "line\nbreak",
    "-leading",
    "--",
    "",
    "a;b|c&d>e<f#g",
    "back\\slash\\n",
    "*?[!a]{b,c}~",
    "!history",
    "tab\tand\r",
    "ünïcödé ☃",
    "%s%n\\0",
];

/// What `sh` makes of a line, word by word.
fn words_of(line: &str) -> Vec<String> {
    let script = format!("printf '%s\\0' {line}");
    let output = Command::new("sh", &["-c", &script]).run(&Cancel::default(), None);
    let output = output.expect("sh runs");
    assert_eq!(output.code, 0, "{}", output.stderr);
    let words = output.stdout.strip_suffix('\0').expect("a last word");
    words.split('\0').map(str::to_owned).collect()
}

#[test]
fn hostile_values_survive_a_shell() {
    let mut spec = agent();
    for (index, value) in HOSTILE.iter().enumerate() {
        spec.env
            .insert(format!("HOSTILE_{index:02}"), (*value).to_owned());
    }
    spec.command
        .extend(HOSTILE.iter().map(|word| (*word).to_owned()));
    spec.mounts[1].source = "/srv/it's a $place".into();
    let expected = render(&create(spec.clone()), &Quirks::default()).expect("one call");
    let words = words_of(&line(&create(spec), &Quirks::default()));
    assert_eq!(words[0], "podman");
    assert_eq!(words[1..], expected);
}

#[test]
fn printed_files_are_the_files_that_would_be_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("it's new/$HOME/ignore file");
    let action = Action::WriteFile {
        path: path.clone(),
        lines: HOSTILE.iter().map(|line| (*line).to_owned()).collect(),
    };
    let script = line(&action, &Quirks::default());
    let output = Command::new("sh", &["-c", &script]).run(&Cancel::default(), None);
    assert_eq!(output.expect("sh runs").code, 0);
    let written = fs::read_to_string(path).expect("the file was written");
    assert_eq!(written, format!("{}\n", HOSTILE.join("\n")));
}

#[test]
fn the_rendering_runs_nothing_that_is_not_one_call() {
    for action in [
        base(true, true),
        Action::WriteFile {
            path: "/x".into(),
            lines: Vec::new(),
        },
    ] {
        assert!(render(&action, &Quirks::default()).is_none());
    }
}
