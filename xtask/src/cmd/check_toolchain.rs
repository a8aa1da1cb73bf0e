//! `check-toolchain`: what podman is, what it needs here, and whether this
//! host fits the manifest.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{App, podman_failure, select};
use crate::{
    failure::{Exit, Failure},
    host::{
        findings::{Finding, Severity, worst},
        toolchain,
    },
    plan::State,
    podman::{
        Engine,
        observe::{self, Ask},
    },
    system::System,
    ui::Paint,
};

#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Summary<'a> {
    /// Worst severity of all findings.
    severity: Severity,
    findings: &'a [Finding],
}

pub fn run(app: &App, _args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let mut findings = Vec::new();
    match app.engine_with(&system, true) {
        Ok(mut engine) => {
            let state = look(&engine)?;
            let chosen = select(&system, &[], true)?;
            findings.extend(toolchain::findings(&engine, &system, &state, &chosen));
            if !app.global.dry_run {
                findings.extend(prove(&mut engine)?);
            }
        }
        Err(failure) if failure.exit == Exit::Engine => {
            findings.push(from_failure("podman", &failure))
        }
        Err(failure) => return Err(failure),
    }
    show(app, &findings);
    verdict(&findings)
}

/// Fails if one of these is an error, and names them.
pub fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    if worst(findings) == Severity::Error {
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        let ids: Vec<&str> = errors.map(|finding| finding.id).collect();
        return Err(Failure::new(
            Exit::Findings,
            format!("this host is not ready: {}", ids.join(", ")),
        )
        .hint("docs/troubleshooting.md explains every finding"));
    }
    Ok(())
}

/// The preflight of `up`: errors stop, warnings are shown once.
pub fn preflight(
    app: &App,
    engine: &Engine,
    system: &System,
    chosen: &BTreeSet<String>,
) -> Result<(), Failure> {
    let state = look(engine)?;
    let findings = toolchain::findings(engine, system, &state, chosen);
    stop_or_warn(app, &findings)
}

/// Errors stop, warnings are shown.
pub fn stop_or_warn(app: &App, findings: &[Finding]) -> Result<(), Failure> {
    let errors: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    if let Some(first) = errors.first() {
        let lines = errors
            .iter()
            .map(|finding| format!("{}: {}; {}", finding.id, finding.title, finding.evidence));
        return Err(Failure::new(
            Exit::Findings,
            format!("this host is not ready: {}", first.title),
        )
        .detail(lines)
        .hint(first.fix.clone().unwrap_or_default()));
    }
    for finding in findings
        .iter()
        .filter(|finding| finding.severity == Severity::Warning)
    {
        app.ui
            .warn(format!("{}: {}", finding.title, finding.evidence));
    }
    Ok(())
}

fn look(engine: &Engine) -> Result<State, Failure> {
    let ask = Ask {
        containers: true,
        images: true,
        networks: true,
        ..Ask::default()
    };
    observe::observe(&engine.podman, ask).map_err(podman_failure)
}

fn prove(engine: &mut Engine) -> Result<Vec<Finding>, Failure> {
    match engine.ready() {
        Ok(()) => Ok(toolchain::proof(engine)),
        Err(failure) if failure.exit == Exit::Engine => {
            Ok(vec![from_failure("engine-runs", &failure)])
        }
        Err(failure) => Err(failure),
    }
}

/// A failure as a finding, with its evidence and remedy.
pub fn from_failure(id: &'static str, failure: &Failure) -> Finding {
    Finding {
        id,
        severity: Severity::Error,
        title: failure.message.clone(),
        evidence: failure.detail.join("; "),
        fix: failure.hint.clone(),
    }
}

fn show(app: &App, findings: &[Finding]) {
    if app.ui.json_wanted() {
        app.ui.json(
            "check-toolchain",
            &Summary {
                severity: worst(findings),
                findings,
            },
        );
        return;
    }
    print(app, findings);
}

/// Findings for people.
pub fn print(app: &App, findings: &[Finding]) {
    for finding in findings {
        let mark = match finding.severity {
            Severity::Ok => app.ui.paint(Paint::Good, "ok     "),
            Severity::Info => app.ui.paint(Paint::Dim, "info   "),
            Severity::Warning => app.ui.paint(Paint::Warn, "warning"),
            Severity::Error => app.ui.paint(Paint::Bad, "error  "),
        };
        app.ui
            .out(format!("{mark}  {}  [{}]", finding.title, finding.id));
        if !finding.evidence.is_empty() {
            app.ui.out(format!(
                "         {}",
                app.ui.paint(Paint::Dim, &finding.evidence)
            ));
        }
        if let Some(fix) = &finding.fix {
            app.ui.out(format!("         fix: {fix}"));
        }
    }
}
