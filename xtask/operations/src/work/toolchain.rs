//! Whether podman and this host fit the manifest: the whole check, and the
//! preflight of commands that change something.

use std::collections::BTreeSet;

use diagnostics::{Exit, Failure, names::nearest_or_all};
use model::{
    plan::{PlanError, State},
    system::System,
};
use serde::Serialize;

use super::{
    app::{App, PATIENCE_MS},
    choose::select,
    failures::podman_failure,
};
use crate::{
    host::{
        capacity::Capacity,
        findings::{HostFinding, HostSeverity, worst},
        look::Look,
        toolchain::{self, Asked},
    },
    podman::{
        Engine, PodmanError,
        engine::silent,
        observe::{self, Ask},
        run::How,
    },
};

/// The end of `check-toolchain`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostReport {
    /// Worst severity of all findings.
    pub severity: HostSeverity,
    /// All of them, good ones too.
    pub findings: Vec<HostFinding>,
    /// For how many more agents there is room; null where the limits of podman's host
    /// are not to be seen.
    pub capacity: Option<Capacity>,
}

/// Everything that is known of podman and this host, and a container as proof.
/// About the agents and groups of these names and what they depend on, or about all;
/// `more` is a number of agents to have room for.
pub fn check(
    app: &App,
    system: &System,
    names: &[String],
    more: Option<u32>,
) -> Result<HostReport, Failure> {
    // Whatever is named by mistake is told at once.
    let chosen = select(system, names, names.is_empty())?;
    let mut findings = Vec::new();
    let mut capacity = None;
    match app.engine_within(system, PATIENCE_MS, true) {
        Ok(mut engine) => {
            let look = Look::here();
            findings.extend(toolchain::of_engine(&engine, &look));
            match listings(&engine) {
                Ok(state) => {
                    // First, since what podman needs here limits agents, too.
                    let proof = match app.settings.dry_run {
                        true => Vec::new(),
                        false => prove(&mut engine)?,
                    };
                    let (found, room) = of_system(&engine, &look, system, (&state, &chosen), more);
                    findings.extend(found);
                    findings.extend(proof);
                    capacity = room;
                }
                Err(failure) => findings.push(unless_of_podman(failure)?),
            }
        }
        Err(failure) => findings.push(unless_of_podman(failure)?),
    }
    Ok(HostReport {
        severity: worst(&findings),
        findings,
        capacity,
    })
}

/// What podman fails at is a finding; any other failure ends the command.
fn unless_of_podman(failure: Failure) -> Result<HostFinding, Failure> {
    match failure.exit {
        Exit::Engine => Ok(from_failure("podman", &failure)),
        _ => Err(failure),
    }
}

/// Fails if one of these is an error, and names them.
pub fn verdict(findings: &[HostFinding]) -> Result<(), Failure> {
    if worst(findings) == HostSeverity::Error {
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == HostSeverity::Error);
        let mut ids: Vec<&str> = errors.map(|finding| finding.id).collect();
        ids.dedup();
        return Err(Failure::new(
            Exit::Findings,
            format!("this host is not ready: {}", ids.join(", ")),
        )
        .hint("docs/troubleshooting.md explains every finding"));
    }
    Ok(())
}

fn of_system(
    engine: &Engine,
    look: &Look,
    system: &System,
    (state, chosen): (&State, &BTreeSet<String>),
    more: Option<u32>,
) -> (Vec<HostFinding>, Option<Capacity>) {
    let agents = system.agents.iter();
    let asked = Asked {
        system,
        state,
        agents: agents
            .filter(|agent| chosen.contains(&agent.name))
            .collect(),
        count: more.map(u64::from),
        builds: true,
    };
    toolchain::of_system(engine, look, &asked)
}

/// The preflight of `up` and `deploy`. What concerns all agents stops, what concerns
/// one is returned, warnings are shown. Space is `room`'s matter.
pub fn preflight(
    app: &App,
    engine: &Engine,
    system: &System,
    state: &State,
    chosen: &BTreeSet<String>,
    builds: bool,
) -> Result<Vec<PlanError>, Failure> {
    let look = Look::here();
    let mut findings = toolchain::of_engine(engine, &look);
    let asked = Asked::named(system, state, chosen, builds);
    findings.extend(toolchain::of_system(engine, &look, &asked).0);
    findings.retain(|finding| !tight(finding));
    stop_or_warn(app, findings)
}

/// Whether there is room for new images and containers: to start one that is
/// there takes none.
pub fn room(app: &App, engine: &Engine, system: &System, state: &State) -> Result<(), Failure> {
    let findings = toolchain::free_space(engine, system, state).into_iter();
    stop_or_warn(app, findings.filter(tight).collect()).map(drop)
}

/// A disk on which nothing new has room.
fn tight(finding: &HostFinding) -> bool {
    finding.id == "storage-space" && finding.severity == HostSeverity::Error
}

/// Errors stop, or are returned if they concern one agent; warnings are shown, and
/// so are errors that the user wants to be ignored.
pub fn stop_or_warn(app: &App, findings: Vec<HostFinding>) -> Result<Vec<PlanError>, Failure> {
    let judged = judge(findings, &app.settings.ignore);
    if let Some(failure) = not_ready(&judged.errors) {
        return Err(failure);
    }
    for finding in &judged.warnings {
        let ignored = match finding.severity {
            HostSeverity::Error => "ignored: ",
            _ => "",
        };
        app.ui
            .warn(format!("{ignored}{}: {}", finding.title, finding.evidence));
    }
    Ok(judged.unfit)
}

/// What becomes of findings in front of a change.
#[derive(Debug, Default)]
struct Judged {
    errors: Vec<HostFinding>,
    warnings: Vec<HostFinding>,
    unfit: Vec<PlanError>,
}

fn judge(findings: Vec<HostFinding>, ignore: &BTreeSet<String>) -> Judged {
    let mut judged = Judged::default();
    for finding in findings {
        match finding.severity {
            HostSeverity::Ok | HostSeverity::Info => {}
            HostSeverity::Warning => judged.warnings.push(finding),
            HostSeverity::Error if ignore.contains(finding.id) => judged.warnings.push(finding),
            HostSeverity::Error => match finding.agent.clone() {
                Some(agent) => judged.unfit.push(unfit(agent, &finding)),
                None => judged.errors.push(finding),
            },
        }
    }
    judged
}

/// This finding keeps this agent from being deployed.
fn unfit(agent: String, finding: &HostFinding) -> PlanError {
    PlanError::Unfit {
        agent,
        finding: finding.id.to_owned(),
        title: format!("{} ({})", finding.title, finding.evidence),
        fix: finding.fix.clone().unwrap_or_default(),
    }
}

fn not_ready(errors: &[HostFinding]) -> Option<Failure> {
    let first = errors.first()?;
    let lines = errors
        .iter()
        .map(|finding| format!("{}: {}; {}", finding.id, finding.title, finding.evidence));
    let fix = first.fix.clone().unwrap_or_default();
    let failure = Failure::new(
        Exit::Findings,
        format!("this host is not ready: {}", first.title),
    );
    let ignore = format!("`--ignore {}` goes on all the same", first.id);
    Some(failure.detail(lines).hint(format!("{fix}; {ignore}")))
}

/// Ids of findings that are to stop nothing, if there are such findings.
pub fn ignored(ids: &[String]) -> Result<BTreeSet<String>, Failure> {
    let known: Vec<String> = super::explain::finding_ids();
    if let Some(unknown) = ids.iter().find(|id| !known.contains(id)) {
        let near = nearest_or_all(unknown, known.iter().map(String::as_str));
        return Err(Failure::new(Exit::Usage, format!("unknown finding `{unknown}`")).hint(near));
    }
    Ok(ids.iter().cloned().collect())
}

/// What podman has, as a preflight needs it.
pub fn look(engine: &Engine) -> Result<State, PodmanError> {
    let ask = Ask {
        containers: true,
        images: true,
        networks: true,
        ..Ask::default()
    };
    observe::observe(&engine.podman, ask)
}

/// The same, by a podman that may hang.
fn listings(engine: &Engine) -> Result<State, Failure> {
    look(engine).map_err(|error| match &error {
        PodmanError::Failed {
            command,
            how: How::TimedOut { deadline_ms, .. },
            ..
        } => silent(command, *deadline_ms),
        _ => podman_failure(error),
    })
}

fn prove(engine: &mut Engine) -> Result<Vec<HostFinding>, Failure> {
    match engine.ready() {
        Ok(()) => Ok(toolchain::proof(engine)),
        Err(failure) if failure.exit == Exit::Engine => {
            Ok(vec![from_failure("engine-runs", &failure)])
        }
        Err(failure) => Err(failure),
    }
}

/// A failure as a finding, with its evidence and remedy.
pub fn from_failure(id: &'static str, failure: &Failure) -> HostFinding {
    HostFinding {
        id,
        severity: HostSeverity::Error,
        title: failure.message.clone(),
        evidence: failure.detail.join("; "),
        fix: failure.hint.clone(),
        agent: None,
    }
}

#[cfg(test)]
mod tests;
