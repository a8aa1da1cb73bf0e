//! A trouble that blocks many is told once.

use health::ProbeFinding;

use super::{Diagnosis, Verdict, agent, all, diagnose};
use crate::{
    carry_out::AgentStatus,
    doctor::evidence::{AgentEvidence, Standing},
    podman::inspect::ConnectOutcome,
};

fn needs(name: &str, peer: &str, outcome: ConnectOutcome) -> AgentEvidence {
    let mut one = agent(name);
    one.reaches(peer, outcome);
    one
}

fn crashed(name: &str) -> AgentEvidence {
    let mut one = agent(name);
    one.exited(1);
    one.raises("KeyError: 'x'");
    one
}

/// `ROOT (CAUSE) blocks NAME NAME` for each root.
fn roots(diagnosis: &Diagnosis) -> Vec<String> {
    let line = |root: &crate::doctor::Root| {
        format!(
            "{} ({}) blocks {}",
            root.agent,
            root.cause.id,
            root.blocks.join(" ")
        )
    };
    diagnosis.blocks.iter().map(line).collect()
}

#[test]
fn a_chain_leads_to_its_end() {
    let mut third = needs("Third", "Second", ConnectOutcome::Refused);
    third.answers(AgentStatus::Timeout, ProbeFinding::NoReply);
    let mut second = needs("Second", "First", ConnectOutcome::Refused);
    second.answers(AgentStatus::Timeout, ProbeFinding::NoReply);
    let found = diagnose(&all(&[crashed("First"), second, third, agent("Fourth")]));
    assert_eq!(roots(&found), ["First (crashed) blocks Second Third"]);
    let blocked: Vec<Option<&str>> = found
        .agents
        .iter()
        .map(|agent| agent.blocked_by.as_deref())
        .collect();
    assert_eq!(blocked, [None, Some("First"), Some("First"), None]);
}

#[test]
fn healthy_agents_without_their_peer_are_limited() {
    let found = diagnose(&all(&[
        crashed("First"),
        needs("Second", "First", ConnectOutcome::Refused),
    ]));
    assert_eq!(found.agents[1].verdict, Verdict::Limited);
    assert_eq!(roots(&found), ["First (crashed) blocks Second"]);
    assert!(found.agents[1].causes[0].evidence[0].contains("it does not run"));
}

#[test]
fn a_healthy_peer_on_another_port_is_the_root() {
    let mut first = agent("First");
    first.listeners = super::evidence::ports(&[7001, 7005]);
    let found = diagnose(&all(&[
        first,
        needs("Second", "First", ConnectOutcome::Refused),
    ]));
    assert_eq!(roots(&found), ["First (main-port-closed) blocks Second"]);
    let why = &found.agents[1].causes[0].evidence[0];
    assert!(
        why.contains("listens on 7001 and 7005, not on 7000"),
        "{why}"
    );
}

#[test]
fn what_was_never_started_waits_for_the_one_that_failed() {
    let created = |name: &str| {
        let mut one = agent(name);
        one.exited(0);
        one.standing = Standing::Created;
        one.wanted.waits_for.insert("First".into());
        one
    };
    let mut missing = created("Third");
    missing.standing = Standing::Missing;
    missing.answers(AgentStatus::Missing, None);
    let found = diagnose(&all(&[crashed("First"), created("Second"), missing]));
    assert_eq!(roots(&found), ["First (crashed) blocks Second Third"]);
}

#[test]
fn agents_with_a_trouble_of_their_own_are_not_blocked() {
    let mut second = needs("Second", "First", ConnectOutcome::Refused);
    second.exited(1);
    second.raises("ModuleNotFoundError: No module named 'x'");
    let found = diagnose(&all(&[crashed("First"), second]));
    assert_eq!(roots(&found), Vec::<String>::new());
}

#[test]
fn an_agent_with_another_trouble_counts_as_blocked_all_the_same() {
    let mut second = needs("Second", "First", ConnectOutcome::Refused);
    second.says(AgentStatus::Healthy, "model_problem", "no model");
    let found = diagnose(&all(&[crashed("First"), second]));
    assert_eq!(found.agents[1].blocked_by, None);
    assert_eq!(found.agents[1].causes[0].id, "model-missing");
    assert_eq!(roots(&found), ["First (crashed) blocks Second"]);
}

#[test]
fn a_circle_has_an_end() {
    let mut first = needs("First", "Second", ConnectOutcome::Timeout);
    first.answers(AgentStatus::Timeout, ProbeFinding::NoReply);
    let mut second = needs("Second", "First", ConnectOutcome::Timeout);
    second.answers(AgentStatus::Timeout, ProbeFinding::NoReply);
    let found = diagnose(&all(&[first, second]));
    assert_eq!(found.blocks.len(), 2);
}

#[test]
fn a_root_that_nobody_asked_for_is_told_all_the_same() {
    let mut first = crashed("First");
    first.wanted.asked = false;
    let found = diagnose(&all(&[
        first,
        needs("Second", "First", ConnectOutcome::Refused),
    ]));
    assert_eq!(found.agents.len(), 1);
    assert!(!found.blocks[0].asked);
    assert_eq!(found.blocks[0].cause.id, "crashed");
}

#[test]
fn all_well_and_all_missing() {
    let found = diagnose(&all(&[agent("First"), agent("Second")]));
    assert!(found.blocks.is_empty());
    let missing = |name: &str| {
        let mut one = agent(name);
        one.standing = Standing::Missing;
        one.answers(AgentStatus::Missing, None);
        one.wanted.waits_for.insert("First".into());
        one
    };
    let found = diagnose(&all(&[missing("First"), missing("Second")]));
    assert!(found.blocks.is_empty(), "{:?}", roots(&found));
    assert!(
        found
            .agents
            .iter()
            .all(|agent| agent.causes[0].id == "not-deployed")
    );
}
