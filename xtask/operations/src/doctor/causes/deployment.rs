//! Causes in what was, or was not, deployed.

use crate::doctor::{
    causes::cause::{Cause, Rule, deploy},
    evidence::{AgentEvidence, Evidence, Look, Standing},
};

pub const RULES: &[Rule] = &[
    foreign_container,
    image_missing,
    not_deployed,
    start_failed,
    never_started,
    image_changed,
    image_outdated,
    configuration_changed,
    imports_missing,
];

fn foreign_container(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let container = &agent.wanted.container;
    (agent.standing == Standing::Foreign).then(|| {
        Cause::new(
            "foreign-container",
            100,
            format!("a container that this tool did not create is called `{container}`"),
            "it lacks this system's label, and is never touched",
            format!(
                "rename it (`podman rename {container} {container}-old`), then {}",
                deploy(agent)
            ),
        )
    })
}

fn image_missing(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let absent = matches!(agent.standing, Standing::Missing | Standing::Created);
    let image = &agent.wanted.image;
    (agent.image.missing && absent).then(|| {
        Cause::new(
            "image-missing",
            99,
            format!("its image `{image}` has not been built"),
            "podman has no image of that name",
            format!("cargo xtask build-images {image}, then {}", deploy(agent)),
        )
    })
}

fn not_deployed(agent: &AgentEvidence, evidence: &Evidence) -> Option<Cause> {
    (agent.standing == Standing::Missing).then(|| {
        Cause::new(
            "not-deployed",
            60,
            "it has not been deployed",
            format!("there is no container `{}`", agent.wanted.container),
            deploy(agent),
        )
        .behind(started_before(agent, evidence))
    })
}

fn start_failed(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let error = agent.details.seen()?.error.trim();
    let stands = matches!(
        agent.standing,
        Standing::Created | Standing::Exited { .. } | Standing::Other
    );
    (stands && !error.is_empty()).then(|| {
        Cause::new(
            "start-failed",
            98,
            "podman could not start its container",
            error,
            format!("fix what podman says, then {}", deploy(agent)),
        )
    })
}

fn never_started(agent: &AgentEvidence, evidence: &Evidence) -> Option<Cause> {
    (agent.standing == Standing::Created).then(|| {
        Cause::new(
            "never-started",
            60,
            "its container was made, and never started",
            "a deployment ended before its turn came",
            deploy(agent),
        )
        .behind(started_before(agent, evidence))
    })
}

/// Agents that it waits for and that have been deployed themselves: a failure of
/// theirs ended the deployment.
fn started_before(agent: &AgentEvidence, evidence: &Evidence) -> Vec<String> {
    let waits_for = agent.wanted.waits_for.iter();
    waits_for
        .filter(|name| {
            evidence
                .agent(name)
                .is_some_and(|other| !other.healthy() && other.standing != Standing::Missing)
        })
        .cloned()
        .collect()
}

fn image_changed(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let image = &agent.wanted.image;
    agent.image.differs.then(|| {
        Cause::new(
            "image-changed",
            42,
            "it runs in an older image than there is now",
            format!("`{image}` has been rebuilt since its container was made"),
            deploy(agent),
        )
    })
}

fn image_outdated(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let image = &agent.wanted.image;
    (agent.image.outdated == Look::Seen(true)).then(|| {
        Cause::new(
            "image-outdated",
            40,
            "code or requirements have changed since its image was built",
            format!("the label of `{image}` has another hash than its sources"),
            format!("cargo xtask build-images {image}, then {}", deploy(agent)),
        )
    })
}

fn configuration_changed(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let stands = !matches!(agent.standing, Standing::Missing | Standing::Foreign);
    (stands && agent.configuration_changed).then(|| {
        Cause::new(
            "configuration-changed",
            44,
            "the manifest has changed since it was deployed",
            "the container's label has another hash than the manifest's settings",
            deploy(agent),
        )
    })
}

/// The scan's word alone: the log says more where there is one.
fn imports_missing(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let imports = agent.imports.seen()?;
    let (first, more) = imports.problems.split_first()?;
    (!agent.healthy()).then(|| {
        Cause::new(
            "imports-missing",
            65,
            "its code imports what its image does not have",
            first.clone(),
            format!(
                "`cargo xtask scan {}` shows the remedy for each",
                agent.wanted.name
            ),
        )
        .and(more.iter().cloned())
    })
}
