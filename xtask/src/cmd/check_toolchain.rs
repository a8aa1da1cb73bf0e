//! `check-toolchain`: what podman is, what it needs here, and whether this
//! host fits the manifest.

use serde::Serialize;

use super::{App, podman_failure, select};
use crate::{
    host::{
        capacity::{Capacity, amount},
        findings::{Finding, Severity, worst},
        look::Look,
        toolchain::{self, Asked},
    },
    podman::{
        Engine, PodmanError,
        engine::silent,
        observe::{self, Ask},
        run::How,
    },
    ui::{Paint, table},
};
use diagnostics::{Exit, Failure};
use model::{plan::State, system::System};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whether the host has room for so many more agents like those of the
    /// manifest [default: those that are not deployed yet]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    agents: Option<u32>,
}

/// How long podman may take for an answer here. A healthy one needs a tenth of
/// a second.
pub const PATIENCE_MS: u64 = 15_000;
/// Limits that are shown without `--verbose`.
const LIMITS_SHOWN: usize = 5;

#[derive(Serialize)]
struct Summary<'a> {
    /// Worst severity of all findings.
    severity: Severity,
    findings: &'a [Finding],
    /// Null where the limits of podman's host are not to be seen.
    capacity: Option<&'a Capacity>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let mut findings = Vec::new();
    let mut capacity = None;
    match app.engine_within(&system, PATIENCE_MS, true) {
        Ok(mut engine) => {
            let look = Look::here();
            findings.extend(toolchain::of_engine(&engine, &look));
            match listings(&engine) {
                Ok(state) => {
                    // First, since what podman needs here limits agents, too.
                    let proof = match app.global.dry_run {
                        true => Vec::new(),
                        false => prove(&mut engine)?,
                    };
                    let (found, room) = of_system(&engine, &look, &system, &state, args)?;
                    findings.extend(found);
                    findings.extend(proof);
                    capacity = room;
                }
                Err(failure) if failure.exit == Exit::Engine => {
                    findings.push(from_failure("podman", &failure))
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(failure) if failure.exit == Exit::Engine => {
            findings.push(from_failure("podman", &failure))
        }
        Err(failure) => return Err(failure),
    }
    show(app, &findings, capacity.as_ref());
    verdict(&findings)
}

/// Fails if one of these is an error, and names them.
pub fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    if worst(findings) == Severity::Error {
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
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
    state: &State,
    args: &Args,
) -> Result<(Vec<Finding>, Option<Capacity>), Failure> {
    let chosen = select(system, &[], true)?;
    let agents = system.agents.iter();
    let asked = Asked {
        system,
        state,
        agents: agents
            .filter(|agent| chosen.contains(&agent.name))
            .collect(),
        count: args.agents.map(u64::from),
        builds: true,
    };
    Ok(toolchain::of_system(engine, look, &asked))
}

/// The preflight of `up` and `deploy`: errors stop, warnings are shown once.
pub fn preflight(app: &App, engine: &Engine, asked: &Asked<'_>) -> Result<(), Failure> {
    let look = Look::here();
    let mut findings = toolchain::of_engine(engine, &look);
    findings.extend(toolchain::of_system(engine, &look, asked).0);
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
            how: How::TimedOut { deadline_ms },
            ..
        } => silent(command, *deadline_ms),
        _ => podman_failure(error),
    })
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

fn show(app: &App, findings: &[Finding], capacity: Option<&Capacity>) {
    if app.ui.json_wanted() {
        app.ui.json(
            "check-toolchain",
            &Summary {
                severity: worst(findings),
                findings,
                capacity,
            },
        );
        return;
    }
    // Its line stands over the table.
    let told = findings.iter().filter(|finding| finding.id != "capacity");
    print(app, told);
    if let Some(capacity) = capacity {
        show_capacity(app, capacity);
    }
}

/// Findings for people: what, why, and what to do.
pub fn print<'f>(app: &App, findings: impl IntoIterator<Item = &'f Finding>) {
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

fn show_capacity(app: &App, capacity: &Capacity) {
    let Some(line) = capacity.line() else { return };
    let count = match app.global.verbose {
        true => capacity.limits.len(),
        false => LIMITS_SHOWN.min(capacity.limits.len()),
    };
    let head = ["LIMIT", "ALLOWS", "USED", "EACH AGENT", "ROOM FOR"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(capacity.limits[..count].iter().map(|limit| {
        vec![
            limit.name.clone(),
            limit.allows.to_string(),
            limit.used.to_string(),
            amount(limit.each),
            limit.room.to_string(),
        ]
    }));
    app.ui.out("");
    app.ui.out(line);
    for row in table::render(&rows) {
        app.ui.out(format!("  {row}"));
    }
    let hidden = capacity.limits.len() - count;
    if hidden > 0 {
        app.ui.out(
            app.ui
                .paint(Paint::Dim, &format!("  and {hidden} more, with -v")),
        );
    }
}
