//! A table of every cause: the evidence is made, the cause comes first, and its
//! remedy says the right thing. A healthy agent has none.

use std::collections::BTreeSet;

use health::ProbeFinding;

use super::{
    Verdict, agent, all, causes, diagnose,
    evidence::{NOW_S, folder, ports},
};
use crate::{
    carry_out::AgentStatus,
    doctor::evidence::{AgentEvidence, ImportedPackage, Look, SourcePath, Standing},
    host::ports::Listener,
    podman::inspect::{ConnectOutcome, OwnPort, SeenGpu},
};

pub type Spoil = fn(&mut AgentEvidence);

/// Cause, what spoils the agent, a word of the title, a word of the remedy.
const TABLE: &[(&str, Spoil, &str, &str)] = &[
    (
        "foreign-container",
        foreign,
        "did not create",
        "podman rename alpha",
    ),
    (
        "image-missing",
        image_missing,
        "`services`",
        "build-images services",
    ),
    (
        "not-deployed",
        not_deployed,
        "not been deployed",
        "cargo xtask deploy Alpha",
    ),
    (
        "start-failed",
        start_failed,
        "could not start",
        "cargo xtask deploy",
    ),
    (
        "never-started",
        never_started,
        "never started",
        "cargo xtask deploy Alpha",
    ),
    ("stopped", stopped, "was stopped", "--keep"),
    (
        "import-failed",
        import_failed,
        "No module named 'yaml'",
        "add `pyyaml`",
    ),
    (
        "imports-missing",
        imports_missing,
        "its image does not have",
        "xtask scan Alpha",
    ),
    (
        "permission-denied",
        permission_denied,
        "/app/models/x",
        "chmod -R a+rX /srv/models",
    ),
    (
        "read-only-path",
        read_only_path,
        "/app/cache/x",
        "target = \"/app/cache\"",
    ),
    ("disk-full", disk_full, "no space left", "podman system df"),
    (
        "address-in-use",
        address_in_use,
        "is taken",
        "binds one port twice",
    ),
    (
        "out-of-processes",
        out_of_processes,
        "limit is 256",
        "raise `pids`",
    ),
    ("out-of-gpu-memory", out_of_gpu_memory, "GPU", "nvidia-smi"),
    (
        "model-missing",
        model_missing,
        "no model",
        "put the model into /srv/models",
    ),
    (
        "file-missing",
        file_missing,
        "/app/data/x.json",
        "`mounts` of Alpha",
    ),
    ("out-of-memory", out_of_memory, "limit is 512 MB", "to 1024"),
    ("command-fails", command_fails, "cannot be run", "`command`"),
    ("crashed", crashed, "KeyError: 'port'", "fix the code"),
    ("killed", killed, "signal 11", "logs Alpha"),
    ("ended", ended, "by itself", "logs Alpha"),
    (
        "restart-loop",
        restart_loop,
        "again and again",
        "logs Alpha",
    ),
    ("starting", starting, "10 s of 60 s", "--wait=60s"),
    (
        "wrong-port",
        wrong_port,
        "health port 7001",
        "HEALTH_CHECK_PORT",
    ),
    ("loopback-only", loopback_only, "127.0.0.1 only", "0.0.0.0"),
    ("no-listener", no_listener, "no port", "start_timeout_s"),
    (
        "publish-lost",
        publish_lost,
        "from this host",
        "podman network reload alpha",
    ),
    ("silent", silent, "never answers", "REP socket"),
    (
        "wrong-socket",
        wrong_socket,
        "is not a REP socket",
        "`health_port`",
    ),
    (
        "unhealthy-reply",
        unhealthy_reply,
        "database is down",
        "logs Alpha",
    ),
    (
        "thread-crashed",
        thread_crashed,
        "KeyError: 'x'",
        "fix the code",
    ),
    (
        "main-port-closed",
        main_port_closed,
        "main port 7000",
        "`port` of Alpha",
    ),
    (
        "peer-unreachable",
        peer_unreachable,
        "cannot reach Beta",
        "doctor Beta",
    ),
    ("gpu-missing", gpu_missing, "no GPU", "check-gpu"),
    (
        "memory-tight",
        memory_tight,
        "480 of 512 MB",
        "raise `memory_mb`",
    ),
    ("file-unreadable", file_unreadable, "may not read", "chmod"),
    (
        "configuration-changed",
        configuration_changed,
        "manifest has changed",
        "deploy Alpha",
    ),
    (
        "image-changed",
        image_changed,
        "older image",
        "deploy Alpha",
    ),
    (
        "image-outdated",
        image_outdated,
        "since its image was built",
        "build-images services",
    ),
    ("unclear", unclear, "nothing", "logs Alpha"),
];

fn foreign(agent: &mut AgentEvidence) {
    agent.standing = Standing::Foreign;
    agent.answers(AgentStatus::Missing, None);
}

fn image_missing(agent: &mut AgentEvidence) {
    not_deployed(agent);
    agent.image.missing = true;
}

fn not_deployed(agent: &mut AgentEvidence) {
    agent.exited(0);
    agent.standing = Standing::Missing;
    agent.answers(AgentStatus::Missing, None);
}

fn start_failed(agent: &mut AgentEvidence) {
    never_started(agent);
    agent.detail(|seen| seen.error = "requested ip address is already allocated".into());
}

fn never_started(agent: &mut AgentEvidence) {
    agent.exited(0);
    agent.standing = Standing::Created;
}

fn stopped(agent: &mut AgentEvidence) {
    agent.exited(137);
    agent.told_to_stop = Look::Seen(true);
}

fn import_failed(agent: &mut AgentEvidence) {
    agent.exited(1);
    agent.raises("ModuleNotFoundError: No module named 'yaml'");
    agent.import(|seen| {
        let behind = ImportedPackage {
            name: "pyyaml".into(),
            in_image: false,
        };
        seen.known.insert("yaml".into(), behind);
    });
}

fn imports_missing(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Timeout, ProbeFinding::NoReply);
    agent.listeners = Look::Failed("another host".into());
    agent.inside = Look::Failed("no python3 in it".into());
    agent.import(|seen| seen.problems.push("a.py:3: no image provides `x`".into()));
}

fn models(agent: &mut AgentEvidence) {
    agent.sources.push(SourcePath {
        target: "/app/models".into(),
        path: "/srv/models".into(),
        exists: true,
        readable: true,
    });
}

fn permission_denied(agent: &mut AgentEvidence) {
    agent.exited(1);
    agent.raises("PermissionError: [Errno 13] Permission denied: '/app/models/x'");
    models(agent);
}

fn read_only_path(agent: &mut AgentEvidence) {
    agent.exited(1);
    agent.raises("OSError: [Errno 30] Read-only file system: '/app/cache/x'");
}

fn disk_full(agent: &mut AgentEvidence) {
    agent.exited(1);
    agent.raises("OSError: [Errno 28] No space left on device");
}

fn address_in_use(agent: &mut AgentEvidence) {
    agent.exited(1);
    agent.raises("zmq.error.ZMQError: Address already in use (addr='tcp://*:7000')");
}

fn out_of_processes(agent: &mut AgentEvidence) {
    agent.exited(1);
    agent.raises("RuntimeError: can't start new thread");
}

fn out_of_gpu_memory(agent: &mut AgentEvidence) {
    agent.exited(1);
    agent.raises("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB");
}

pub fn model_missing(agent: &mut AgentEvidence) {
    agent.says(
        AgentStatus::Healthy,
        "model_problem",
        "no causal language model below models/",
    );
    agent.within(|inside| {
        inside.paths.insert("/app/models".into(), folder(0));
    });
    models(agent);
}

fn file_missing(agent: &mut AgentEvidence) {
    agent.exited(1);
    agent.raises("FileNotFoundError: [Errno 2] No such file or directory: '/app/data/x.json'");
}

fn out_of_memory(agent: &mut AgentEvidence) {
    agent.exited(137);
    agent.killed_for_memory = Look::Seen(true);
}

fn command_fails(agent: &mut AgentEvidence) {
    agent.exited(127);
}

pub fn crashed(agent: &mut AgentEvidence) {
    agent.exited(1);
    agent.raises("KeyError: 'port'");
}

fn killed(agent: &mut AgentEvidence) {
    agent.exited(139);
}

fn ended(agent: &mut AgentEvidence) {
    agent.exited(0);
}

fn restart_loop(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Refused, ProbeFinding::Refused);
    agent.listeners = Look::Failed("another host".into());
    agent.inside = Look::Failed("it has ended".into());
    agent.detail(|seen| seen.restarts = 3);
}

fn starting(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Refused, ProbeFinding::Refused);
    agent.listeners = ports(&[]);
    agent.standing = Standing::Running {
        started_at_s: NOW_S - 10,
    };
}

fn wrong_port(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::WrongPort, ProbeFinding::ClosedAtOnce);
    agent.listeners = ports(&[5646, 5647]);
}

fn loopback_only(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Refused, ProbeFinding::ClosedAtOnce);
    agent.listeners = Look::Seen(vec![Listener {
        port: 7001,
        loopback: true,
    }]);
}

fn no_listener(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Refused, ProbeFinding::ClosedAtOnce);
    agent.listeners = ports(&[]);
}

fn publish_lost(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Timeout, ProbeFinding::NoHandshake);
}

fn silent(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Timeout, ProbeFinding::NoHandshake);
    agent.within(|inside| {
        inside.own_port = Some(OwnPort {
            outcome: ConnectOutcome::Open,
            greets: false,
        });
    });
}

fn wrong_socket(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Unhealthy, ProbeFinding::NotReplySocket);
}

fn unhealthy_reply(agent: &mut AgentEvidence) {
    agent.says(AgentStatus::Unhealthy, "error", "database is down");
}

fn thread_crashed(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Timeout, ProbeFinding::NoReply);
    agent.raises("KeyError: 'x'");
}

pub fn main_port_closed(agent: &mut AgentEvidence) {
    agent.listeners = ports(&[7001, 7005]);
}

fn peer_unreachable(agent: &mut AgentEvidence) {
    agent.says(AgentStatus::Unhealthy, "error", "Beta does not answer");
    agent.reaches("Beta", ConnectOutcome::Refused);
}

fn gpu_missing(agent: &mut AgentEvidence) {
    agent.wanted.gpu = true;
    agent.detail(|seen| seen.gpus = vec!["nvidia.com/gpu=0".into()]);
    agent.within(|inside| {
        inside.gpu = Some(SeenGpu {
            nodes: Vec::new(),
            count: 0,
            error: Some("libnvidia-ml.so.1: no such file".into()),
        });
    });
}

fn memory_tight(agent: &mut AgentEvidence) {
    if let Look::Seen(usage) = &mut agent.usage {
        usage.memory_mb = 480;
    }
}

fn file_unreadable(agent: &mut AgentEvidence) {
    agent.within(|inside| {
        let mut found = folder(3);
        found.unreadable = Some("/app/models/a/weights.bin".into());
        inside.paths.insert("/app/models".into(), found);
    });
}

pub fn configuration_changed(agent: &mut AgentEvidence) {
    agent.configuration_changed = true;
}

fn image_changed(agent: &mut AgentEvidence) {
    agent.image.differs = true;
}

pub fn image_outdated(agent: &mut AgentEvidence) {
    agent.image.outdated = Look::Seen(true);
}

fn unclear(agent: &mut AgentEvidence) {
    agent.answers(AgentStatus::Timeout, ProbeFinding::NoReply);
    agent.listeners = Look::Failed("another host".into());
    agent.inside = Look::Failed("podman exec: did not finish within 4.0 s".into());
}

#[test]
fn every_cause_is_found_by_its_evidence() {
    for (id, spoil, title, next) in TABLE {
        let mut sick = agent("Alpha");
        spoil(&mut sick);
        let evidence = all(&[sick]);
        let found = causes::of(&evidence.agents[0], &evidence);
        let first = found.first().unwrap_or_else(|| panic!("{id}: no cause"));
        assert_eq!(first.id, *id, "{found:#?}");
        assert!(first.title.contains(title), "{id}: {}", first.title);
        assert!(first.next.contains(next), "{id}: {}", first.next);
        assert!(!first.evidence.is_empty(), "{id}");
        assert!(!first.evidence[0].is_empty(), "{id}");
    }
}

/// The ids that the sources name, so that none is without a row.
#[test]
fn the_table_has_every_cause() {
    let sources = [
        include_str!("../causes/mod.rs"),
        include_str!("../causes/deployment.rs"),
        include_str!("../causes/ended.rs"),
        include_str!("../causes/running.rs"),
        include_str!("../causes/words.rs"),
    ];
    let ids: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.split("Cause::new(").skip(1))
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .collect();
    let rows: BTreeSet<&str> = TABLE.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, rows);
    assert_eq!(rows.len(), TABLE.len());
}

#[test]
fn a_healthy_agent_has_no_cause() {
    let found = diagnose(&all(&[agent("Alpha")]));
    assert_eq!(found.agents[0].causes, []);
    assert_eq!(found.agents[0].verdict, Verdict::Healthy);
    let bad = found.agents[0]
        .checks
        .iter()
        .filter(|check| check.ok == Some(false));
    assert_eq!(bad.count(), 0);
}
