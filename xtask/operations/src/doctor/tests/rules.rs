//! What a table cannot say: verdicts, every finding of a probe, stops that are no
//! crashes, and where a module that does not import should come from.

use health::ProbeFinding;

use super::{
    Verdict, agent, all, causes, diagnose,
    table::{
        Spoil, configuration_changed, crashed, image_outdated, main_port_closed, model_missing,
    },
};
use crate::{
    carry_out::AgentStatus,
    doctor::evidence::{ImportedPackage, Look},
};

#[test]
fn verdicts_follow_the_reply_and_the_weight() {
    let verdict = |spoil: Spoil| {
        let mut one = agent("Alpha");
        spoil(&mut one);
        diagnose(&all(&[one])).agents[0].verdict
    };
    assert_eq!(verdict(crashed), Verdict::Sick);
    assert_eq!(verdict(model_missing), Verdict::Limited);
    assert_eq!(verdict(main_port_closed), Verdict::Limited);
    assert_eq!(verdict(image_outdated), Verdict::Healthy);
    assert_eq!(verdict(configuration_changed), Verdict::Healthy);
}

/// The port is open, and inside it is answered.
#[test]
fn what_the_probe_found_leads_to_a_cause() {
    let (refused, timeout) = (AgentStatus::Refused, AgentStatus::Timeout);
    let (unhealthy, answering) = (AgentStatus::Unhealthy, AgentStatus::Answering);
    for (finding, status, cause) in [
        (ProbeFinding::Refused, refused, "publish-lost"),
        (ProbeFinding::ClosedAtOnce, refused, "publish-lost"),
        (ProbeFinding::Unreachable, refused, "publish-lost"),
        (ProbeFinding::NoConnection, timeout, "publish-lost"),
        (ProbeFinding::NoHandshake, timeout, "publish-lost"),
        (ProbeFinding::NotZeroMq, unhealthy, "wrong-socket"),
        (ProbeFinding::NotReplySocket, unhealthy, "wrong-socket"),
        (ProbeFinding::HandshakeEnded, unhealthy, "wrong-socket"),
        (ProbeFinding::NoReply, timeout, "silent"),
        (ProbeFinding::OutOfTime, timeout, "silent"),
        (ProbeFinding::Interrupted, timeout, "silent"),
        (ProbeFinding::ClosedWithoutReply, refused, "unclear"),
        (ProbeFinding::NotJson, answering, "unhealthy-reply"),
        (ProbeFinding::NotUnderstood, unhealthy, "unhealthy-reply"),
        (ProbeFinding::NotReady, unhealthy, "unhealthy-reply"),
        (ProbeFinding::NotHealthy, unhealthy, "unhealthy-reply"),
    ] {
        let mut one = agent("Alpha");
        one.answers(status, finding);
        one.exchange.reply = (cause == "unhealthy-reply").then(|| "pong".to_owned());
        let evidence = all(&[one]);
        let found = causes::of(&evidence.agents[0], &evidence);
        assert_eq!(found[0].id, cause, "{finding:?}: {found:#?}");
    }
}

#[test]
fn an_unhealthy_reply_is_told_by_its_kind() {
    let told = |finding: ProbeFinding| {
        let mut one = agent("Alpha");
        one.answers(AgentStatus::Unhealthy, finding);
        one.exchange.reply = Some("{}".into());
        let evidence = all(&[one]);
        let cause = causes::of(&evidence.agents[0], &evidence).swap_remove(0);
        assert_eq!(cause.id, "unhealthy-reply");
        format!("{} | {}", cause.title, cause.next)
    };
    let lost = told(ProbeFinding::NotUnderstood);
    assert!(lost.contains("does not understand"), "{lost}");
    assert!(lost.contains("`health_requests` of Alpha"), "{lost}");
    let text = told(ProbeFinding::NotJson);
    assert!(text.contains("is not JSON"), "{text}");
    assert!(text.contains("healthy is a JSON object"), "{text}");
    // Without a complaint the finding's own words are all there is.
    let early = told(ProbeFinding::NotReady);
    assert!(
        early.contains(&ProbeFinding::NotReady.to_string()),
        "{early}"
    );
    assert!(early.contains("logs Alpha"), "{early}");
}

#[test]
fn a_stop_is_not_taken_for_a_crash() {
    let first = |change: Spoil| {
        let mut one = agent("Alpha");
        change(&mut one);
        let evidence = all(&[one]);
        causes::of(&evidence.agents[0], &evidence)[0].id
    };
    for code in [0, 137, 143] {
        let mut one = agent("Alpha");
        one.exited(code);
        one.told_to_stop = Look::Seen(true);
        let evidence = all(&[one]);
        assert_eq!(
            causes::of(&evidence.agents[0], &evidence)[0].id,
            "stopped",
            "{code}"
        );
    }
    // Without podman's events SIGTERM tells.
    assert_eq!(
        first(|one| {
            one.exited(143);
            one.told_to_stop = Look::Failed("no events".into());
        }),
        "stopped"
    );
    // SIGKILL that nobody sent is the kernel's, most likely.
    assert_eq!(first(|one| one.exited(137)), "out-of-memory");
    assert_eq!(
        first(|one| {
            one.exited(137);
            one.told_to_stop = Look::Failed("no events".into());
        }),
        "killed"
    );
    // A crash is told although the container was stopped afterwards.
    assert_eq!(
        first(|one| {
            crashed(one);
            one.told_to_stop = Look::Seen(true);
        }),
        "crashed"
    );
}

#[test]
fn a_failed_import_says_where_the_module_should_come_from() {
    let told = |line: &str, change: Spoil| {
        let mut one = agent("Alpha");
        one.exited(1);
        one.raises(line);
        change(&mut one);
        let evidence = all(&[one]);
        let cause = causes::of(&evidence.agents[0], &evidence).swap_remove(0);
        assert_eq!(cause.id, "import-failed");
        format!("{} | {}", cause.evidence.join("; "), cause.next)
    };
    let lost = told(
        "ModuleNotFoundError: No module named 'common.sttings'",
        |one| {
            one.import(|seen| {
                let near = vec!["common.settings".to_owned()];
                seen.lost.insert("common.sttings".into(), near);
            });
        },
    );
    assert!(lost.contains("did you mean `common.settings`?"), "{lost}");
    let there = told("ModuleNotFoundError: No module named 'zmq.green'", |one| {
        one.import(|seen| {
            let behind = ImportedPackage {
                name: "pyzmq".into(),
                in_image: true,
            };
            seen.known.insert("zmq".into(), behind);
        });
    });
    assert!(there.contains("`pyzmq` provides it"), "{there}");
    assert!(there.contains("build-images services"), "{there}");
    let library = told(
        "ImportError: libportaudio.so.2: cannot open shared object file: No such file or directory",
        |_| {},
    );
    assert!(
        library.contains("has libportaudio.so.2 to `system_packages`"),
        "{library}"
    );
    let syntax = told("SyntaxError: invalid syntax", |_| {});
    assert!(syntax.contains("correct the file"), "{syntax}");
    let unseen = told("ModuleNotFoundError: No module named 'x'", |_| {});
    assert!(
        unseen.contains("the scan does not see an import of `x`"),
        "{unseen}"
    );
}
