//! The words of every finding, and how they stand in JSON: the one place
//! besides the findings themselves that knows them.

use super::*;

/// Finding, what it amounts to, its words.
const CATALOGUE: &[(ProbeFinding, &str, &str)] = &[
    (ProbeFinding::Healthy, "healthy", "says it is healthy"),
    (
        ProbeFinding::NotJson,
        "answering",
        "replies, but not in JSON",
    ),
    (
        ProbeFinding::NotUnderstood,
        "unhealthy",
        "request not understood",
    ),
    (ProbeFinding::NotReady, "unhealthy", "not ready yet"),
    (
        ProbeFinding::NotHealthy,
        "unhealthy",
        "does not say it is healthy",
    ),
    (ProbeFinding::Refused, "refused", "connection refused"),
    (
        ProbeFinding::ClosedAtOnce,
        "refused",
        "connection closed at once",
    ),
    (
        ProbeFinding::ClosedWithoutReply,
        "refused",
        "connection closed without a reply",
    ),
    (
        ProbeFinding::Unreachable,
        "refused",
        "cannot be connected to",
    ),
    (
        ProbeFinding::NoConnection,
        "timeout",
        "no connection in time",
    ),
    (
        ProbeFinding::NoHandshake,
        "timeout",
        "no ZeroMQ handshake in time",
    ),
    (ProbeFinding::NoReply, "timeout", "no reply in time"),
    (ProbeFinding::OutOfTime, "timeout", "out of time"),
    (ProbeFinding::Interrupted, "timeout", "interrupted"),
    (
        ProbeFinding::NotZeroMq,
        "unhealthy",
        "does not speak ZeroMQ",
    ),
    (
        ProbeFinding::NotReplySocket,
        "unhealthy",
        "not a ZeroMQ reply socket",
    ),
    (
        ProbeFinding::HandshakeEnded,
        "unhealthy",
        "ended the ZeroMQ handshake",
    ),
];

#[test]
fn every_finding_has_its_words() {
    for (finding, outcome, words) in CATALOGUE {
        assert_eq!(finding.to_string(), *words);
        assert_eq!(finding.outcome().as_str(), *outcome, "{words}");
    }
}

/// By the variants that the source has, so that none is without a row.
#[test]
fn the_catalogue_has_every_finding() {
    let source = include_str!("../finding.rs");
    let (_, variants) = source.split_once("pub enum ProbeFinding {\n").unwrap();
    let (variants, _) = variants.split_once("\n}").unwrap();
    let named = |line: &&str| line.trim().starts_with(char::is_uppercase);
    assert_eq!(variants.lines().filter(named).count(), CATALOGUE.len());
    for (at, (finding, ..)) in CATALOGUE.iter().enumerate() {
        let twice = CATALOGUE[..at].iter().any(|(other, ..)| other == finding);
        assert!(!twice, "{finding:?}");
    }
}

#[test]
fn probes_serialise_to_stable_names() {
    for (finding, outcome, words) in CATALOGUE {
        let found = Probe::without_reply(*finding, Duration::from_micros(500));
        let expect = format!(
            r#"{{"outcome":"{outcome}","reason":"{words}","latency_ms":0.5,"reply":null}}"#
        );
        assert_eq!(serde_json::to_string(&found).unwrap(), expect);
    }
}
