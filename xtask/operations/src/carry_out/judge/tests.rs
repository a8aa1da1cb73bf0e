//! What a container and the answer of its health port amount to, in words.

use super::*;

/// A process without a network namespace that can be read: what it listens on
/// is unknown.
const NOBODY: u32 = 0;

fn container(status: Status, exit_code: i32, pid: u32) -> Container {
    Container {
        status,
        exit_code,
        pid,
        ..Container::default()
    }
}

fn probe(outcome: Outcome, reason: &'static str, reply: Option<&str>) -> Probe {
    Probe {
        outcome,
        reason,
        latency_ms: 1.0,
        reply: reply.map(str::to_owned),
        complaints: Vec::new(),
    }
}

#[track_caller]
fn check(container: Option<Container>, probe: Option<Probe>, status: AgentStatus, reason: &str) {
    let judged = judge(7001, container.as_ref(), probe.as_ref());
    assert_eq!(judged, (status, reason.to_owned()));
}

#[test]
fn a_container_that_does_not_run_is_not_asked() {
    let healthy = || Some(probe(Outcome::Healthy, "", Some("{}")));
    check(None, healthy(), AgentStatus::Missing, "has no container");
    let created = container(Status::Created, 0, 0);
    check(
        Some(created),
        healthy(),
        AgentStatus::Exited,
        "was never started",
    );
    let paused = container(Status::Other, 0, 0);
    check(
        Some(paused),
        healthy(),
        AgentStatus::Exited,
        "is neither running nor exited",
    );
    let exited = container(Status::Exited, 1, 0);
    check(
        Some(exited),
        healthy(),
        AgentStatus::Exited,
        "exited with code 1",
    );
}

#[test]
fn exit_codes_are_explained() {
    for (code, words) in [
        (0, "code 0"),
        (126, "code 126 (the command cannot be run)"),
        (127, "code 127 (the command was not found)"),
        (137, "code 137 (killed: SIGKILL, often out of memory)"),
        (139, "code 139 (crashed: SIGSEGV)"),
        (143, "code 143 (ended: SIGTERM)"),
    ] {
        assert_eq!(exit_words(code), words);
    }
}

#[test]
fn a_running_one_is_what_its_health_port_says() {
    let running = || Some(container(Status::Running, 0, NOBODY));
    check(running(), None, AgentStatus::Timeout, "could not be asked");
    for (outcome, status, word) in [
        (Outcome::Healthy, AgentStatus::Healthy, "healthy"),
        (Outcome::Answering, AgentStatus::Answering, "answering"),
        (Outcome::Unhealthy, AgentStatus::Unhealthy, "unhealthy"),
        (Outcome::Refused, AgentStatus::Refused, "refused"),
        (Outcome::Timeout, AgentStatus::Timeout, "timeout"),
    ] {
        check(running(), Some(probe(outcome, "", None)), status, word);
        let with = |reason, reply| Some(probe(outcome, reason, reply));
        check(
            running(),
            with("", Some("pong")),
            status,
            &format!("{word}: pong"),
        );
        check(
            running(),
            with("not ready", None),
            status,
            &format!("{word}, not ready"),
        );
        let both = format!("{word}, not ready: pong");
        check(running(), with("not ready", Some("pong")), status, &both);
    }
}

/// This test's own process stands for the agent: it listens on a port that
/// nobody expects.
#[test]
fn silence_on_the_right_port_and_ears_on_another_is_the_wrong_port() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let own = container(Status::Running, 0, std::process::id());
    for outcome in [Outcome::Refused, Outcome::Timeout] {
        let (status, reason) = judge(1, Some(&own), Some(&probe(outcome, "", None)));
        assert_eq!(status, AgentStatus::WrongPort);
        assert!(reason.starts_with("listens on "), "{reason}");
        assert!(reason.contains(&port.to_string()), "{reason}");
        assert!(reason.ends_with(", not on 1"), "{reason}");
        // Silence on a port that it does listen on is what it is.
        let (status, _) = judge(port, Some(&own), Some(&probe(outcome, "", None)));
        assert_ne!(status, AgentStatus::WrongPort);
    }
    let (status, _) = judge(1, Some(&own), Some(&probe(Outcome::Unhealthy, "", None)));
    assert_eq!(status, AgentStatus::Unhealthy);
}

#[test]
fn statuses_have_the_words_of_the_json_output() {
    let words = [
        (AgentStatus::Healthy, "healthy"),
        (AgentStatus::Answering, "answering"),
        (AgentStatus::Unhealthy, "unhealthy"),
        (AgentStatus::Refused, "refused"),
        (AgentStatus::Timeout, "timeout"),
        (AgentStatus::WrongPort, "wrong_port"),
        (AgentStatus::Exited, "exited"),
        (AgentStatus::Missing, "missing"),
    ];
    for (status, word) in words {
        assert_eq!(serde_json::to_value(status).expect("a word"), word);
    }
}
