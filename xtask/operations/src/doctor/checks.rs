//! What was looked at, in the order of the troubleshooting guide, each with what
//! was seen. Pure.
//!
//! A check is good, bad, or neither: what could not be looked at is said, and
//! never taken for either.

use diagnostics::words::{bytes, seconds};
use serde::Serialize;

use super::evidence::{AgentEvidence, Look, Standing};
use crate::{
    carry_out::{AgentStatus, exit_words},
    podman::inspect::{AtPath, ConnectOutcome, PathKind},
};

/// Log lines that are shown.
const LINES_SHOWN: usize = 8;
/// A share of a limit, in percent, from which on it is close.
pub const CLOSE_PERCENT: u64 = 90;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// What was looked at, in a word.
    pub id: &'static str,
    /// Null where there is nothing to judge, or where it could not be looked at.
    pub ok: Option<bool>,
    /// What was seen; the first line says it in short.
    pub evidence: Vec<String>,
}

impl Check {
    fn new(id: &'static str, ok: impl Into<Option<bool>>, evidence: impl Into<String>) -> Self {
        Check {
            id,
            ok: ok.into(),
            evidence: vec![evidence.into()],
        }
    }

    fn not_looked_at(id: &'static str, why: &str) -> Self {
        Check::new(id, None::<bool>, format!("not looked at: {why}"))
    }
}

/// Every check of one agent.
pub fn of(agent: &AgentEvidence, now_s: i64) -> Vec<Check> {
    let mut checks = vec![container(agent, now_s)];
    checks.extend(exit(agent));
    checks.extend(restarts(agent));
    checks.extend(log(agent));
    checks.extend(ports(agent));
    checks.push(health(agent));
    checks.extend(peers(agent));
    checks.extend(files(agent));
    checks.extend(gpu(agent));
    checks.extend(limits(agent));
    checks.push(image(agent));
    checks.extend(imports(agent));
    checks.extend(configuration(agent));
    checks
}

fn container(agent: &AgentEvidence, now_s: i64) -> Check {
    let name = &agent.wanted.container;
    let since = |then_s: i64| seconds((now_s - then_s).max(0) as u64 * 1000);
    match agent.standing {
        Standing::Missing => Check::new("container", false, format!("there is no `{name}`")),
        Standing::Foreign => Check::new(
            "container",
            false,
            format!("`{name}` was not created by this tool"),
        ),
        Standing::Created => Check::new("container", false, format!("`{name}` was never started")),
        Standing::Running { started_at_s } => Check::new(
            "container",
            true,
            format!("`{name}` has been running for {}", since(started_at_s)),
        ),
        Standing::Exited { .. } => {
            let finished = agent.details.seen().and_then(|seen| seen.finished_at_s);
            let ago = finished.map_or(String::new(), |then_s| format!(" for {}", since(then_s)));
            Check::new(
                "container",
                false,
                format!("`{name}` has not been running{ago}"),
            )
        }
        Standing::Paused => Check::new("container", false, format!("`{name}` is paused")),
        Standing::Stopping => Check::new("container", false, format!("`{name}` is being stopped")),
        Standing::Other => Check::new(
            "container",
            false,
            format!("`{name}` is neither running nor exited"),
        ),
    }
}

fn exit(agent: &AgentEvidence) -> Option<Check> {
    let code = agent.exit_code()?;
    let mut text = exit_words(code);
    let details = agent.details.seen();
    if let Some((started_s, finished_s)) =
        details.and_then(|seen| seen.started_at_s.zip(seen.finished_at_s))
    {
        let lived_s = (finished_s - started_s).max(0) as u64;
        text.push_str(&format!(", after {}", seconds(lived_s * 1000)));
    }
    let mut check = Check::new("exit", None::<bool>, text);
    let memory = details.is_some_and(|seen| seen.oom_killed);
    match &agent.killed_for_memory {
        _ if memory => check.evidence.push("podman: out of memory".into()),
        Look::Seen(true) => check
            .evidence
            .push("the kernel killed it because memory ran out".into()),
        Look::Seen(false) | Look::NotNeeded => {}
        Look::Failed(why) => check.evidence.push(format!("not looked at: {why}")),
    }
    match &agent.told_to_stop {
        Look::Seen(true) => check.evidence.push("podman was told to stop it".into()),
        Look::Seen(false) => check.evidence.push("nobody told podman to stop it".into()),
        Look::NotNeeded => {}
        Look::Failed(why) => check.evidence.push(format!("not looked at: {why}")),
    }
    if let Some(error) = details
        .map(|seen| seen.error.trim())
        .filter(|error| !error.is_empty())
    {
        check.evidence.push(format!("podman: {error}"));
    }
    check.ok = Some(agent.told_to_stop == Look::Seen(true) && !memory);
    Some(check)
}

fn restarts(agent: &AgentEvidence) -> Option<Check> {
    let restarts = agent.details.seen()?.restarts;
    (restarts > 0).then(|| {
        let times = if restarts == 1 { "once" } else { "times" };
        let text = match restarts {
            1 => format!("restarted {times} by its policy"),
            more => format!("restarted {more} {times} by its policy"),
        };
        Check::new("restarts", false, text)
    })
}

fn log(agent: &AgentEvidence) -> Option<Check> {
    let log = match &agent.log {
        Look::NotNeeded => return None,
        Look::Failed(why) => return Some(Check::not_looked_at("log", why)),
        Look::Seen(log) => log,
    };
    if log.lines.is_empty() {
        return Some(Check::new("log", None::<bool>, "empty"));
    }
    let mut check = match (&log.raised, &log.error) {
        (Some(raised), _) => {
            let at = raised
                .at
                .as_ref()
                .map_or(String::new(), |at| format!(" ({at})"));
            Check::new("log", false, format!("{}{at}", raised.line()))
        }
        (None, Some(error)) => Check::new("log", false, error.clone()),
        (None, None) => Check::new("log", None::<bool>, "the last lines"),
    };
    let first = log.lines.len().saturating_sub(LINES_SHOWN);
    let shown = log.lines[first..].iter().map(|line| format!("| {line}"));
    check.evidence.extend(shown);
    Some(check)
}

fn ports(agent: &AgentEvidence) -> Option<Check> {
    if !agent.running() || !agent.wanted.own_network {
        return None;
    }
    let found = match &agent.listeners {
        Look::NotNeeded => return None,
        Look::Failed(why) => return Some(Check::not_looked_at("ports", why)),
        Look::Seen(found) => found,
    };
    let words: Vec<String> = found
        .iter()
        .map(|listener| match listener.loopback {
            true => format!("{} (127.0.0.1 only)", listener.port),
            false => listener.port.to_string(),
        })
        .collect();
    let health_port = agent.wanted.health_port;
    let open = |port: u16| {
        found
            .iter()
            .any(|listener| listener.port == port && !listener.loopback)
    };
    let listens = match words.len() {
        0 => "listens on no port".to_owned(),
        _ => format!("listens on {}", words.join(", ")),
    };
    let expected = format!("{} and {health_port} for health", agent.wanted.port);
    let good = open(health_port) && open(agent.wanted.port);
    let text = match good {
        true => listens,
        false => format!("{listens}; expected {expected}"),
    };
    Some(Check::new("ports", good, text))
}

fn health(agent: &AgentEvidence) -> Check {
    let exchange = &agent.exchange;
    if matches!(exchange.status, AgentStatus::Missing | AgentStatus::Exited) {
        return Check::new("health", false, "nobody to ask");
    }
    let took = exchange
        .latency_ms
        .map_or(String::new(), |ms| format!(" after {ms:.1} ms"));
    let asked = format!(
        "asked {} on 127.0.0.1:{}",
        agent.wanted.request(),
        agent.wanted.host_health_port
    );
    let mut check = match agent.healthy() {
        true => Check::new("health", true, format!("healthy{took}")),
        false => Check::new("health", false, exchange.reason.clone()),
    };
    check.evidence.push(asked);
    if agent.healthy() {
        let said = exchange.reply.iter().map(|reply| format!("reply: {reply}"));
        check.evidence.extend(said);
    }
    check
}

fn peers(agent: &AgentEvidence) -> Option<Check> {
    if !agent.running() {
        return None;
    }
    let inside = match &agent.inside {
        Look::NotNeeded => return None,
        Look::Failed(why) => return Some(Check::not_looked_at("peers", why)),
        Look::Seen(inside) => inside,
    };
    if inside.targets.is_empty() {
        return Some(Check::new(
            "peers",
            None::<bool>,
            "it is given no addresses",
        ));
    }
    let line = |(variable, target): (&String, &String)| {
        let who = agent.wanted.peers.get(variable).unwrap_or(variable);
        let how = match inside.addresses.get(variable) {
            None => "not looked at: no answer in time",
            Some(reached) => outcome_words(reached.outcome),
        };
        format!("{who} at {target}: {how}")
    };
    let lines: Vec<String> = inside.targets.iter().map(line).collect();
    let bad = inside
        .addresses
        .values()
        .filter(|reached| reached.outcome != ConnectOutcome::Open)
        .count();
    let total = inside.targets.len();
    let mut check = match bad {
        0 => Check::new("peers", true, format!("{total} of {total} can be reached")),
        bad => Check::new(
            "peers",
            false,
            format!("{} of {total} can be reached", total - bad),
        ),
    };
    check.evidence.extend(lines);
    Some(check)
}

/// How a connection fared, in words.
pub fn outcome_words(outcome: ConnectOutcome) -> &'static str {
    match outcome {
        ConnectOutcome::Open => "open",
        ConnectOutcome::Refused => "refused: nobody listens there",
        ConnectOutcome::Timeout => "no answer within 1 s",
        ConnectOutcome::UnknownName => "the name is not known",
        ConnectOutcome::Unreachable => "no route to it",
    }
}

fn files(agent: &AgentEvidence) -> Option<Check> {
    if !agent.running() {
        let bad = agent
            .sources
            .iter()
            .any(|found| !found.exists || !found.readable);
        let lines = agent.sources.iter().map(|found| {
            let how = match (found.exists, found.readable) {
                (false, _) => "does not exist on this host",
                (true, false) => "only its owner may read it",
                (true, true) => "there",
            };
            format!("{} from {}: {how}", found.target, found.path)
        });
        let mut check = Check::new("files", !bad, "on this host, since it does not run");
        check.evidence.extend(lines);
        return (check.evidence.len() > 1).then_some(check);
    }
    let inside = match &agent.inside {
        Look::NotNeeded => return None,
        // Told once, by the peers.
        Look::Failed(why) => return Some(Check::not_looked_at("files", why)),
        Look::Seen(inside) => inside,
    };
    if inside.paths.is_empty() {
        return None;
    }
    let bad = |found: &AtPath| {
        found.kind == PathKind::Missing || !found.readable || found.unreadable.is_some()
    };
    let count = inside.paths.values().filter(|found| bad(found)).count();
    let mut check = match count {
        0 => Check::new("files", true, format!("readable by user {}", inside.user)),
        _ => Check::new("files", false, format!("as user {} sees them", inside.user)),
    };
    let lines = inside
        .paths
        .iter()
        .map(|(name, found)| format!("{name}: {}", path_words(found)));
    check.evidence.extend(lines);
    Some(check)
}

/// What is at a path, in words.
pub fn path_words(found: &AtPath) -> String {
    let readable = match (&found.unreadable, found.readable) {
        (Some(path), _) => format!(", may not read {path}"),
        (None, false) => ", may not be read".to_owned(),
        (None, true) => String::new(),
    };
    match found.kind {
        PathKind::Missing => "does not exist".to_owned(),
        PathKind::Unknown => format!("cannot be looked at{readable}"),
        PathKind::File => format!("a file of {}{readable}", bytes(found.bytes)),
        PathKind::Folder if found.files == 0 => format!("an empty folder{readable}"),
        PathKind::Folder if found.files == 1 => format!("1 file, {}{readable}", bytes(found.bytes)),
        PathKind::Folder => format!("{} files, {}{readable}", found.files, bytes(found.bytes)),
    }
}

fn gpu(agent: &AgentEvidence) -> Option<Check> {
    if !agent.wanted.gpu || !agent.running() {
        return None;
    }
    let given = agent.details.seen().map(|seen| seen.gpus.join(", "));
    match (given.as_deref(), &agent.inside) {
        (None, _) => Some(Check::not_looked_at("gpu", "podman did not tell")),
        (Some(""), _) => Some(Check::new(
            "gpu",
            None::<bool>,
            "asked for, and its container was made without one: it runs on the CPU",
        )),
        (Some(_), Look::Failed(why)) => Some(Check::not_looked_at("gpu", why)),
        (Some(_), Look::NotNeeded) => None,
        (Some(given), Look::Seen(inside)) => Some(match &inside.gpu {
            None => Check::not_looked_at("gpu", "no answer in time"),
            Some(gpu) => {
                let why = gpu
                    .error
                    .as_ref()
                    .map_or(String::new(), |why| format!(": {why}"));
                let text = format!("given {given}; {} seen inside{why}", gpu.count);
                Check::new("gpu", gpu.count > 0, text)
            }
        }),
    }
}

fn limits(agent: &AgentEvidence) -> Option<Check> {
    let usage = match &agent.usage {
        Look::NotNeeded => return None,
        Look::Failed(why) => return Some(Check::not_looked_at("limits", why)),
        Look::Seen(usage) => usage,
    };
    let share = |used: u64, limit: Option<u64>| match limit {
        Some(limit) => format!("{used} of {limit}"),
        None => format!("{used} (no limit)"),
    };
    let close = |used: u64, limit: Option<u64>| {
        limit.is_some_and(|limit| used * 100 >= limit * CLOSE_PERCENT)
    };
    let peak = usage
        .memory_peak_mb
        .map_or(String::new(), |peak| format!(", {peak} at most"));
    let mut check = Check::new(
        "limits",
        true,
        format!(
            "memory {} MB{peak}; {} processes",
            share(usage.memory_mb, usage.memory_limit_mb),
            share(usage.pids, usage.pids_limit)
        ),
    );
    if usage.oom_kills > 0 {
        check.evidence.push(format!(
            "killed because memory ran out: {}",
            usage.oom_kills
        ));
    }
    let bad = usage.oom_kills > 0
        || close(usage.memory_mb, usage.memory_limit_mb)
        || close(usage.pids, usage.pids_limit);
    check.ok = Some(!bad);
    Some(check)
}

fn image(agent: &AgentEvidence) -> Check {
    let name = &agent.wanted.image;
    let state = &agent.image;
    if state.missing {
        return Check::new("image", false, format!("`{name}` has not been built"));
    }
    if state.differs {
        let text = format!("the container was made from an older `{name}`");
        return Check::new("image", false, text);
    }
    match &state.outdated {
        Look::Seen(true) => Check::new(
            "image",
            false,
            format!("`{name}` was built from other sources than there are now"),
        ),
        Look::Seen(false) => Check::new("image", true, format!("`{name}`, up to date")),
        Look::NotNeeded => Check::new("image", None::<bool>, format!("`{name}`")),
        Look::Failed(why) => Check::new(
            "image",
            None::<bool>,
            format!("`{name}`; not looked at: {why}"),
        ),
    }
}

fn imports(agent: &AgentEvidence) -> Option<Check> {
    let imports = match &agent.imports {
        Look::NotNeeded => return None,
        Look::Failed(why) => return Some(Check::not_looked_at("imports", why)),
        Look::Seen(imports) => imports,
    };
    if !imports.problems.is_empty() {
        let count = imports.problems.len();
        let text = format!("{count} of its imports would end it");
        let mut check = Check::new("imports", false, text);
        check.evidence.extend(imports.problems.iter().cloned());
        return Some(check);
    }
    let proven = match imports.proven {
        true => "imported in this image before, without a failure",
        false => "by the locks; not imported in this image yet",
    };
    let text = match imports.packages {
        0 => "no packages at start".to_owned(),
        1 => format!("1 package at start; {proven}"),
        more => format!("{more} packages at start; {proven}"),
    };
    Some(Check::new("imports", true, text))
}

fn configuration(agent: &AgentEvidence) -> Option<Check> {
    if matches!(agent.standing, Standing::Missing | Standing::Foreign) {
        return None;
    }
    Some(match agent.configuration_changed {
        true => Check::new(
            "configuration",
            false,
            "the container was made from other settings than the manifest's",
        ),
        false => Check::new("configuration", true, "as the manifest has it"),
    })
}
