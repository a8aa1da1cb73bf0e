//! The room against real sockets: what each kind of peer is reported as, that
//! nothing is left behind, and how long it takes. Only 127.0.0.1 is talked to.

mod catalogue;
mod fakes;
mod many;
mod waiting;

use std::{
    io::Write,
    net::SocketAddr,
    sync::atomic::Ordering::SeqCst,
    thread,
    time::{Duration, Instant},
};

use fakes::{GOOD, JSON_REQUEST, REQUESTS, raw, replier, repliers};
use tokio::task::JoinSet;

use super::{probe::probe, wait::Waited, *};

/// Roomy, since tests share slow machines; silent peers get less.
const BUDGET: ProbeBudget = ProbeBudget {
    connect_ms: 5_000,
    reply_ms: 5_000,
};
const SHORT: ProbeBudget = ProbeBudget {
    connect_ms: 150,
    reply_ms: 150,
};

fn target(address: SocketAddr) -> Target {
    Target {
        address,
        contract: Contract::ZeroMq {
            requests: REQUESTS.map(str::to_owned).to_vec(),
        },
    }
}

fn ask(address: SocketAddr, budget: ProbeBudget) -> Probe {
    let started = Instant::now();
    let found = block_on(probe(&target(address), budget)).unwrap();
    let limit_ms = budget.connect_ms + budget.reply_ms + 200;
    assert!(
        started.elapsed() < Duration::from_millis(limit_ms),
        "{found:?}"
    );
    found
}

/// What the probe says, its outcome being what its finding amounts to.
fn told(found: &Probe) -> (ProbeFinding, Option<String>) {
    assert_eq!(found.outcome, found.finding.outcome());
    (found.finding, found.reply.clone())
}

/// What this thread has used so far, in milliseconds.
fn processor_time_ms() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    schedstat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
}

#[track_caller]
fn check(peers: fakes::Peers, budget: ProbeBudget, (finding, reply): (ProbeFinding, Option<&str>)) {
    let expect = (finding, reply.map(str::to_owned));
    assert_eq!(told(&ask(peers.address(), budget)), expect);
}

#[test]
fn a_good_reply() {
    let peers = replier(|request| {
        assert_eq!(request, JSON_REQUEST.as_bytes());
        vec![GOOD.to_vec()]
    });
    check(
        peers,
        BUDGET,
        (
            ProbeFinding::Healthy,
            Some(r#"{"status": "ok", "ready": true}"#),
        ),
    );
}

#[test]
fn the_second_request_is_tried_when_the_first_is_not_understood() {
    let peers = replier(|request| match request {
        b"health" => vec![GOOD.to_vec()],
        _ => vec![br#"{"status": "error", "error": "Unknown action"}"#.to_vec()],
    });
    check(
        peers,
        BUDGET,
        (
            ProbeFinding::Healthy,
            Some(r#"{"status": "ok", "ready": true}"#),
        ),
    );
}

#[test]
fn the_first_answer_counts_when_no_request_is_understood() {
    let peers = replier(|request| match request {
        b"health" => vec![br#"{"status": "error", "error": "Invalid JSON"}"#.to_vec()],
        _ => vec![br#"{"status": "error", "error": "Unknown action"}"#.to_vec()],
    });
    let expect = (
        ProbeFinding::NotUnderstood,
        Some(r#"{"status": "error", "error": "Unknown action"}"#),
    );
    check(peers, BUDGET, expect);
}

#[test]
fn an_agent_that_dies_of_the_second_request() {
    // Its loop ends, as that of an agent which decodes JSON outside a `try`.
    let peers = replier(|request| match request {
        b"health" => panic!("this peer's loop ends here"),
        _ => vec![br#"{"error": "unknown action"}"#.to_vec()],
    });
    check(
        peers,
        SHORT,
        (
            ProbeFinding::NotUnderstood,
            Some(r#"{"error": "unknown action"}"#),
        ),
    );
}

#[test]
fn bad_replies() {
    let peers = replier(|_| vec![br#"{"status": "ok", "ready": false}"#.to_vec()]);
    check(
        peers,
        BUDGET,
        (
            ProbeFinding::NotReady,
            Some(r#"{"status": "ok", "ready": false}"#),
        ),
    );
    let peers = replier(|_| vec![br#"{"status": "error", "error": "disk full"}"#.to_vec()]);
    let expect = (
        ProbeFinding::NotHealthy,
        Some(r#"{"status": "error", "error": "disk full"}"#),
    );
    check(peers, BUDGET, expect);
    let peers = replier(|_| vec![b"pong".to_vec()]);
    check(peers, BUDGET, (ProbeFinding::NotJson, Some("pong")));
    let peers = replier(|_| vec![b"\xff\x1b[2J".to_vec()]);
    check(peers, BUDGET, (ProbeFinding::NotJson, Some("\u{fffd} [2J")));
    let peers = replier(|_| vec![Vec::new()]);
    check(peers, BUDGET, (ProbeFinding::NotJson, Some("")));
}

#[test]
fn a_reply_of_many_parts() {
    let peers = replier(|_| vec![b"Agent".to_vec(), GOOD.to_vec(), b"end".to_vec()]);
    check(
        peers,
        BUDGET,
        (
            ProbeFinding::Healthy,
            Some(r#"{"status": "ok", "ready": true}"#),
        ),
    );
}

#[test]
fn a_huge_reply() {
    let peers = replier(|_| vec![vec![b'x'; 20 << 20]]);
    let found = ask(peers.address(), BUDGET);
    assert_eq!(found.outcome, ProbeOutcome::Answering);
    assert_eq!(found.reply.unwrap().chars().count(), reply::EXCERPT_CHARS);
}

#[test]
fn nobody_there() {
    let found = ask(fakes::dead_address(), BUDGET);
    assert_eq!(told(&found), (ProbeFinding::Refused, None));
    assert!(
        found.latency_ms < 1_000.0,
        "told at once, not when the time is up"
    );
}

#[test]
fn a_connection_that_is_closed_at_once() {
    let expect = (ProbeFinding::ClosedAtOnce, None);
    check(raw(|_| {}), BUDGET, expect);
    // The usual end: unread bytes make the close a reset.
    check(raw(|stream| _ = fakes::take(stream, 1)), BUDGET, expect);
}

#[test]
fn silence() {
    check(
        raw(fakes::stay_silent),
        SHORT,
        (ProbeFinding::NoHandshake, None),
    );
    let after_handshake = raw(|stream| {
        if fakes::shake_hands(stream) {
            fakes::stay_silent(stream);
        }
    });
    check(after_handshake, SHORT, (ProbeFinding::NoReply, None));
    let budget = ProbeBudget {
        connect_ms: 5_000,
        ..SHORT
    };
    let late = repliers(vec![fakes::listener()], Duration::from_millis(600), |_| {
        vec![GOOD.to_vec()]
    });
    check(late, budget, (ProbeFinding::NoReply, None));
}

#[test]
fn other_protocols() {
    let web_server = raw(|stream| {
        let _ = stream.write_all(&b"HTTP/1.1 400 Bad Request\r\n".repeat(10));
        fakes::stay_silent(stream);
    });
    check(web_server, BUDGET, (ProbeFinding::NotZeroMq, None));
    let short_word = raw(|stream| {
        let _ = stream.write_all(b"-ERR\r\n");
        fakes::take(stream, fakes::GREETING);
    });
    check(short_word, BUDGET, (ProbeFinding::NotZeroMq, None));
    check(
        fakes::publisher(),
        BUDGET,
        (ProbeFinding::NotReplySocket, None),
    );
    let wants_a_password = raw(|stream| {
        fakes::greet(stream);
        fakes::take(stream, fakes::GREETING + fakes::READY);
    });
    check(
        wants_a_password,
        BUDGET,
        (ProbeFinding::HandshakeEnded, None),
    );
}

#[test]
fn ends_in_the_middle_of_a_request() {
    let expect = (ProbeFinding::ClosedWithoutReply, None);
    let peers = raw(|stream| {
        if fakes::shake_hands(stream) {
            fakes::take(stream, 4);
        }
    });
    check(peers, BUDGET, expect);
    let truncated = raw(|stream| {
        if fakes::shake_hands(stream) && fakes::take(stream, 4 + JSON_REQUEST.len()) {
            let _ = stream.write_all(b"\x01\0\0\x20{\"status\"");
        }
    });
    check(truncated, BUDGET, expect);
    let nonsense = raw(|stream| {
        if fakes::shake_hands(stream) && fakes::take(stream, 4 + JSON_REQUEST.len()) {
            let _ = stream.write_all(b"\x00\x04text");
            fakes::stay_silent(stream);
        }
    });
    check(nonsense, BUDGET, (ProbeFinding::NotZeroMq, None));
}
