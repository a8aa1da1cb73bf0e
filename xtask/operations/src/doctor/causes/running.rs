//! Causes of a container that runs: where it listens, what it answers, what it
//! reaches, and what it takes.

use health::ProbeFinding;

use super::{
    cause::{Cause, Rule, deploy},
    contract::{self, Met, met},
    words,
};
use crate::{
    carry_out::AgentStatus,
    doctor::{
        checks::{CLOSE_PERCENT, outcome_words, path_words},
        evidence::{AgentEvidence, Evidence, Standing},
    },
    host::ports::Listener,
    podman::inspect::{ConnectOutcome, PathKind},
};

pub const RULES: &[Rule] = &[
    starting,
    wrong_port,
    loopback_only,
    no_listener,
    publish_lost,
    silent,
    wrong_socket,
    unhealthy_reply,
    thread_crashed,
    main_port_closed,
    peer_unreachable,
    gpu_missing,
    memory_tight,
    file_unreadable,
];

/// Its listeners, if it runs and they are its own.
fn listeners(agent: &AgentEvidence) -> Option<&Vec<Listener>> {
    let own = agent.running() && agent.wanted.own_network;
    agent.listeners.seen().filter(|_| own)
}

fn listener(agent: &AgentEvidence, port: u16) -> Option<Listener> {
    let found = listeners(agent)?.iter().find(|found| found.port == port);
    found.copied()
}

/// It runs, and nobody answers at its health port.
fn unanswered(agent: &AgentEvidence) -> bool {
    let statuses = [
        AgentStatus::Refused,
        AgentStatus::Timeout,
        AgentStatus::WrongPort,
    ];
    agent.running() && statuses.contains(&agent.exchange.status)
}

fn starting(agent: &AgentEvidence, evidence: &Evidence) -> Option<Cause> {
    let Standing::Running { started_at_s } = agent.standing else {
        return None;
    };
    let age_s = (evidence.now_s - started_at_s).max(0) as u64;
    let limit_s = agent.wanted.start_timeout_s;
    let restarted = agent.details.seen().is_some_and(|seen| seen.restarts > 0);
    let young = age_s < limit_s && !restarted && !agent.healthy();
    young.then(|| {
        let name = &agent.wanted.name;
        Cause::new(
            "starting",
            92,
            format!("it is still starting: {age_s} s of {limit_s} s"),
            agent.exchange.reason.clone(),
            format!("cargo xtask health-check {name} --wait={limit_s}s"),
        )
    })
}

fn wrong_port(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let found = listeners(agent)?;
    let port = agent.wanted.health_port;
    let elsewhere = !found.is_empty() && listener(agent, port).is_none();
    (elsewhere && unanswered(agent)).then(|| {
        let words: Vec<String> = found.iter().map(|found| found.port.to_string()).collect();
        let name = &agent.wanted.name;
        Cause::new(
            "wrong-port",
            90,
            format!("it does not listen on its health port {port}"),
            format!("listens on {}", words.join(" and ")),
            format!(
                "set `health_port` of {name} to the port it binds, or have it bind \
                 HEALTH_CHECK_PORT; then {}",
                deploy(agent)
            ),
        )
    })
}

fn loopback_only(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let port = agent.wanted.health_port;
    let alone = listener(agent, port).is_some_and(|found| found.loopback);
    (alone && unanswered(agent)).then(|| {
        Cause::new(
            "loopback-only",
            91,
            "it listens on 127.0.0.1 only, inside its container",
            format!("port {port} takes no connection from outside"),
            format!(
                "have it bind all addresses (`*` or 0.0.0.0), then cargo xtask up {}",
                agent.wanted.name
            ),
        )
    })
}

fn no_listener(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let nowhere = listeners(agent).is_some_and(Vec::is_empty);
    let own_port = agent
        .inside
        .seen()
        .and_then(|inside| inside.own_port.as_ref());
    // Where the kernel's tables cannot be read, the look from inside tells.
    let refused = listeners(agent).is_none()
        && own_port.is_some_and(|port| port.outcome == ConnectOutcome::Refused);
    ((nowhere || refused) && unanswered(agent)).then(|| {
        let name = &agent.wanted.name;
        let evidence = match nowhere {
            true => "the kernel's tables of its container have no listener".to_owned(),
            false => format!("port {} is refused inside, too", agent.wanted.health_port),
        };
        Cause::new(
            "no-listener",
            82,
            "it runs, and listens on no port",
            evidence,
            format!(
                "`cargo xtask logs {name} --tail 200` shows how far it got; if it needs longer, \
                 raise `start_timeout_s`"
            ),
        )
    })
}

/// Inside all is well, and from the host nobody gets through.
fn publish_lost(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let open = listeners(agent).is_none()
        || listener(agent, agent.wanted.health_port).is_some_and(|found| !found.loopback);
    let met_nobody = met(agent) == Some(Met::Nobody);
    let lost = contract::answers_inside(agent) && open && met_nobody;
    (lost && unanswered(agent)).then(|| {
        Cause::new(
            "publish-lost",
            89,
            "its health port answers inside, and cannot be reached from this host",
            format!(
                "127.0.0.1:{}: {}",
                agent.wanted.host_health_port,
                agent.exchange.finding_words()
            ),
            format!(
                "the firewall may have been flushed: podman network reload {}",
                agent.wanted.container
            ),
        )
    })
}

fn silent(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let port = agent.wanted.health_port;
    let own_port = agent
        .inside
        .seen()
        .and_then(|inside| inside.own_port.as_ref());
    let bound = match listeners(agent) {
        Some(_) => listener(agent, port).is_some_and(|found| !found.loopback),
        None => own_port.is_some_and(|port| port.outcome == ConnectOutcome::Open),
    };
    let held = agent.exchange.status == AgentStatus::Timeout;
    (bound && held && agent.running()).then(|| {
        let name = &agent.wanted.name;
        Cause::new(
            "silent",
            84,
            format!("it listens on its health port {port}, and never answers"),
            format!(
                "{} ({})",
                agent.exchange.finding_words(),
                agent.wanted.request()
            ),
            format!(
                "a {} with a thread of its own has to answer there; \
                 `cargo xtask logs {name}` shows what it does instead",
                contract::expected_listener(agent)
            ),
        )
    })
}

fn wrong_socket(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    (agent.running() && met(agent) == Some(Met::Stranger)).then(|| {
        Cause::new(
            "wrong-socket",
            85,
            format!(
                "what listens on its health port is not a {}",
                contract::expected_listener(agent)
            ),
            agent.exchange.finding_words(),
            format!(
                "set `health_port` of {} to its health port, then {}",
                agent.wanted.name,
                deploy(agent)
            ),
        )
    })
}

fn unhealthy_reply(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let exchange = &agent.exchange;
    let reply = exchange
        .reply
        .as_ref()
        .filter(|_| agent.running() && !agent.healthy())?;
    let name = &agent.wanted.name;
    let said = exchange.complaints.first();
    let (title, next) = match exchange.finding {
        Some(ProbeFinding::NotUnderstood) => (
            "it does not understand the health request".to_owned(),
            format!(
                "set `{}` of {name} to what it knows, then {}",
                contract::key(agent),
                deploy(agent)
            ),
        ),
        Some(ProbeFinding::NotJson) => (
            "its health reply is not JSON".to_owned(),
            "healthy is a JSON object whose `status` is `ok` or `healthy`".to_owned(),
        ),
        _ => {
            let words = said.map_or_else(|| exchange.finding_words(), |(_, text)| text.clone());
            (
                format!("it says itself that it is not healthy: {words}"),
                format!("`cargo xtask logs {name}` shows why"),
            )
        }
    };
    let evidence = format!("health reply: {reply}");
    Some(Cause::new("unhealthy-reply", 75, title, evidence, next))
}

fn thread_crashed(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let raised = agent.log.seen()?.raised.as_ref()?;
    let restarted = agent.details.seen().is_some_and(|seen| seen.restarts > 0);
    let counts = agent.running() && !agent.healthy() && !raised.importing() && !restarted;
    counts.then(|| {
        let name = &agent.wanted.name;
        let at = raised.at.clone().unwrap_or_else(|| "in its log".into());
        Cause::new(
            "thread-crashed",
            // A thread that has died explains silence better than any port.
            if unanswered(agent) { 86 } else { 74 },
            format!("it went on after an error: {}", raised.line()),
            at,
            format!("fix the code, then cargo xtask up {name}; `cargo xtask logs {name}` has more"),
        )
    })
}

/// Peers find nobody there, however healthy it is.
fn main_port_closed(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let open = |port: u16| listener(agent, port).is_some_and(|found| !found.loopback);
    let port = agent.wanted.port;
    let found = listeners(agent)?;
    (open(agent.wanted.health_port) && !open(port)).then(|| {
        let words: Vec<String> = found.iter().map(|found| found.port.to_string()).collect();
        let name = &agent.wanted.name;
        Cause::new(
            "main-port-closed",
            58,
            format!("nobody can connect to its main port {port}"),
            format!("listens on {}", words.join(" and ")),
            format!("set `port` of {name} to the port it binds, or have it bind PORT on all addresses; then {}", deploy(agent)),
        )
    })
}

fn peer_unreachable(agent: &AgentEvidence, evidence: &Evidence) -> Option<Cause> {
    let said = words::lost_connection(agent);
    let mut lost: Vec<(String, String)> = Vec::new();
    match agent.inside.seen().filter(|_| agent.running()) {
        Some(inside) => {
            let bad = inside.addresses.iter();
            let bad = bad.filter(|(_, reached)| reached.outcome != ConnectOutcome::Open);
            lost.extend(bad.map(|(variable, reached)| {
                let peer = agent.wanted.peers.get(variable).unwrap_or(variable);
                let target = &inside.targets[variable];
                let why = why_lost(peer, reached.outcome, evidence);
                (peer.clone(), format!("{peer} at {target}: {why}"))
            }));
        }
        // One that has ended can only be taken at its word.
        None => {
            said.as_ref()?;
            let peers = agent.wanted.peers.values();
            let sick =
                peers.filter(|peer| evidence.agent(peer).is_some_and(|other| !other.healthy()));
            lost.extend(sick.map(|peer| {
                (
                    peer.clone(),
                    format!("{peer}: {}", standing_words(peer, evidence)),
                )
            }));
        }
    }
    let (first, _) = lost.first()?;
    let title = match lost.len() {
        1 => format!("it cannot reach {first}"),
        count => format!("it cannot reach {count} of its peers"),
    };
    let peers: Vec<String> = lost.iter().map(|(peer, _)| peer.clone()).collect();
    let next = format!("cargo xtask doctor {}", peers.join(" "));
    let sick = lost
        .iter()
        .any(|(peer, _)| evidence.agent(peer).is_some_and(|other| !other.healthy()));
    // A peer that is sick itself explains an agent that hangs or complains.
    let weight = match (said.is_some(), sick) {
        (true, _) => 93,
        (false, true) => 87,
        (false, false) => 78,
    };
    let mut texts = lost.into_iter().map(|(_, text)| text);
    let text = texts.next()?;
    let cause = Cause::new("peer-unreachable", weight, title, text, next);
    Some(cause.and(texts).and(said).behind(peers))
}

/// Why a peer cannot be reached, as far as what is known of it tells.
fn why_lost(peer: &str, outcome: ConnectOutcome, evidence: &Evidence) -> String {
    let words = outcome_words(outcome);
    let Some(other) = evidence.agent(peer) else {
        return words.to_owned();
    };
    if !other.running() {
        return standing_words(peer, evidence);
    }
    let port = other.wanted.port;
    match (listeners(other), listener(other, port)) {
        (Some(found), None) => {
            let ports: Vec<String> = found.iter().map(|found| found.port.to_string()).collect();
            match ports.len() {
                0 => "it runs and listens on no port".to_owned(),
                _ => format!("it listens on {}, not on {port}", ports.join(" and ")),
            }
        }
        (_, Some(found)) if found.loopback => "it listens on 127.0.0.1 only".to_owned(),
        (_, Some(_)) if outcome != ConnectOutcome::Refused => {
            format!("{words}, although it listens: they may share no network")
        }
        _ => words.to_owned(),
    }
}

fn standing_words(peer: &str, evidence: &Evidence) -> String {
    let standing = evidence.agent(peer).map(|other| other.standing);
    match standing {
        Some(Standing::Missing) => "it is not deployed",
        Some(Standing::Created) => "it was never started",
        Some(Standing::Paused) => "it is paused",
        Some(Standing::Exited { .. } | Standing::Stopping | Standing::Other) => "it does not run",
        Some(Standing::Foreign) => "another container has its name",
        Some(Standing::Running { .. }) => "it is not healthy",
        None => "nothing is known of it",
    }
    .to_owned()
}

fn gpu_missing(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let said = words::no_gpu(agent);
    let given = agent
        .details
        .seen()
        .is_some_and(|seen| !seen.gpus.is_empty());
    let gpu = agent.inside.seen().and_then(|inside| inside.gpu.as_ref());
    let unseen = gpu.filter(|gpu| given && gpu.count == 0);
    let evidence = match (unseen, &said) {
        (Some(gpu), _) => match &gpu.error {
            Some(why) => format!("none is seen inside: {why}"),
            None => "none is seen inside".to_owned(),
        },
        (None, Some(said)) => said.clone(),
        (None, None) => return None,
    };
    (agent.wanted.gpu || said.is_some()).then(|| {
        Cause::new(
            "gpu-missing",
            if said.is_some() { 95 } else { 80 },
            "it finds no GPU in its container",
            evidence,
            format!("cargo xtask check-gpu, then {} --recreate", deploy(agent)),
        )
    })
}

fn memory_tight(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let usage = agent.usage.seen()?;
    let limit_mb = usage.memory_limit_mb?;
    let used_mb = usage.memory_mb;
    (used_mb * 100 >= limit_mb * CLOSE_PERCENT).then(|| {
        let name = &agent.wanted.name;
        Cause::new(
            "memory-tight",
            56,
            format!("it has used up its memory: {used_mb} of {limit_mb} MB"),
            "the kernel kills what asks for more",
            format!(
                "raise `memory_mb` of {name} in the manifest, then {}",
                deploy(agent)
            ),
        )
    })
}

fn file_unreadable(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let inside = agent.inside.seen()?;
    let bad = inside.paths.iter().filter(|(_, found)| {
        found.kind != PathKind::Missing && (!found.readable || found.unreadable.is_some())
    });
    let mut lines = bad.map(|(name, found)| format!("{name}: {}", path_words(found)));
    let first = lines.next()?;
    let more: Vec<String> = lines.collect();
    let cause = Cause::new(
        "file-unreadable",
        57,
        "it may not read files that it is given",
        first,
        format!(
            "make them readable for everybody on the host (chmod -R a+rX FOLDER), then {} --recreate",
            deploy(agent)
        ),
    );
    Some(cause.and(more))
}
