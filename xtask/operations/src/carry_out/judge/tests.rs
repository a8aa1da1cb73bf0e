//! What a container and the answer of its health port amount to, in words.

use std::time::Duration;

use health::ProbeFinding;

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

fn probe(finding: ProbeFinding, reply: Option<&str>) -> Probe {
    Probe {
        reply: reply.map(str::to_owned),
        ..Probe::without_reply(finding, Duration::from_millis(1))
    }
}

#[track_caller]
fn check(container: Option<Container>, probe: Option<Probe>, status: AgentStatus, reason: &str) {
    let judged = judge(7001, container.as_ref(), probe.as_ref());
    assert_eq!(judged, (status, reason.to_owned()));
}

#[test]
fn a_container_that_does_not_run_is_not_asked() {
    let healthy = || Some(probe(ProbeFinding::Healthy, Some("{}")));
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
    for (finding, status, word) in [
        (ProbeFinding::Healthy, AgentStatus::Healthy, "healthy"),
        (ProbeFinding::NotJson, AgentStatus::Answering, "answering"),
        (ProbeFinding::NotReady, AgentStatus::Unhealthy, "unhealthy"),
        (ProbeFinding::Refused, AgentStatus::Refused, "refused"),
        (ProbeFinding::NoReply, AgentStatus::Timeout, "timeout"),
    ] {
        let with = |reply| Some(probe(finding, reply));
        let why = format!("{word}, {finding}");
        check(running(), with(None), status, &why);
        check(
            running(),
            with(Some("pong")),
            status,
            &format!("{why}: pong"),
        );
    }
}

/// This test's own process stands for the agent: it listens on a port that
/// nobody expects.
#[test]
fn silence_on_the_right_port_and_ears_on_another_is_the_wrong_port() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let own = container(Status::Running, 0, std::process::id());
    for finding in [ProbeFinding::Refused, ProbeFinding::NoReply] {
        let (status, reason) = judge(1, Some(&own), Some(&probe(finding, None)));
        assert_eq!(status, AgentStatus::WrongPort);
        assert!(reason.starts_with("listens on "), "{reason}");
        assert!(reason.contains(&port.to_string()), "{reason}");
        assert!(reason.ends_with(", not on 1"), "{reason}");
        // Silence on a port that it does listen on is what it is.
        let (status, _) = judge(port, Some(&own), Some(&probe(finding, None)));
        assert_ne!(status, AgentStatus::WrongPort);
    }
    let (status, _) = judge(1, Some(&own), Some(&probe(ProbeFinding::NotHealthy, None)));
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
        assert_eq!(status.as_str(), word);
        assert_eq!(serde_json::to_value(status).expect("a word"), word);
    }
}

#[test]
fn tables_and_json_have_the_same_words() {
    for status in [
        AgentStatus::Healthy,
        AgentStatus::Answering,
        AgentStatus::Unhealthy,
        AgentStatus::Refused,
        AgentStatus::Timeout,
        AgentStatus::WrongPort,
        AgentStatus::Exited,
        AgentStatus::Missing,
    ] {
        let word = serde_json::to_value(status).expect("a word");
        assert_eq!(word, status.as_str());
    }
}
