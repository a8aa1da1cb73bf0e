//! How a diagnosis is shown: a block for each agent in trouble, one line for the
//! others, and a trouble that blocks many once.

use diagnostics::{names::some, words::seconds};
use operations::{
    results::{Cause, Check, Diagnosed, Diagnosis, DoctorReport, Root, Verdict},
    ui::{Paint, Ui},
};

/// Causes that so many agents have in common are told once.
const IN_COMMON: usize = 2;

/// Shows a report; every check of every agent, healthy ones too, if `in_full`.
pub fn show(ui: &Ui, report: &DoctorReport, in_full: bool) {
    if ui.json_wanted() {
        ui.json("doctor", report);
        return;
    }
    let diagnosis = &report.diagnosis;
    let together = undeployed(diagnosis);
    let names = diagnosis.agents.iter().map(|agent| agent.name.len());
    let width = names.max().unwrap_or(0);
    for agent in &diagnosis.agents {
        if together.contains(&agent.name.as_str()) {
            continue;
        }
        let blocked = agent.blocked_by.is_some();
        let brief = agent.verdict == Verdict::Healthy || blocked;
        headline(ui, agent, width);
        if in_full || !brief {
            checks(ui, &agent.checks, in_full);
            if !blocked {
                causes(ui, &agent.causes);
            }
        }
        let root = diagnosis
            .blocks
            .iter()
            .find(|root| root.agent == agent.name);
        if let Some(root) = root {
            ui.out(format!("  {}", blocks(root)));
        }
        if in_full || !brief {
            ui.out("");
        }
    }
    for root in diagnosis.blocks.iter().filter(|root| !root.asked) {
        ui.out(format!(
            "{}  {}",
            ui.paint(Paint::Bold, &root.agent),
            sick_word(ui)
        ));
        causes(ui, std::slice::from_ref(&root.cause));
        ui.out(format!("  {}", blocks(root)));
        ui.out("");
    }
    if let Some(first) = diagnosis
        .agents
        .iter()
        .find(|agent| together.contains(&agent.name.as_str()))
    {
        let names = some(together.iter().copied());
        ui.out(format!(
            "{}  {}",
            ui.paint(Paint::Bold, &names),
            sick_word(ui)
        ));
        let cause = &first.causes[0];
        let all = together.len() == diagnosis.agents.len();
        let next = match all {
            true => "cargo xtask up".to_owned(),
            false => format!("cargo xtask deploy {}", together.join(" ")),
        };
        most_likely(ui, cause, &next);
        ui.out("");
    }
    ui.out(summary(report));
}

/// Agents that have only not been deployed, if there are several: they are told
/// together.
fn undeployed(diagnosis: &Diagnosis) -> Vec<&str> {
    let only = |agent: &&Diagnosed| {
        agent.blocked_by.is_none()
            && agent
                .causes
                .first()
                .is_some_and(|cause| cause.id == "not-deployed")
    };
    let names: Vec<&str> = diagnosis
        .agents
        .iter()
        .filter(only)
        .map(|agent| agent.name.as_str())
        .collect();
    if names.len() >= IN_COMMON {
        names
    } else {
        Vec::new()
    }
}

fn headline(ui: &Ui, agent: &Diagnosed, width: usize) {
    let word = match agent.verdict {
        Verdict::Healthy => ui.paint(Paint::Good, "healthy"),
        Verdict::Limited => ui.paint(Paint::Warn, "limited"),
        Verdict::Sick => sick_word(ui),
    };
    let remark = match (&agent.blocked_by, agent.causes.first(), agent.verdict) {
        (Some(root), Some(cause), _) => format!("  blocked by {root}: {}", cause.title),
        (None, Some(cause), Verdict::Healthy) => format!("  but: {} [{}]", cause.title, cause.id),
        _ => String::new(),
    };
    let name = ui.paint(Paint::Bold, &format!("{:<width$}", agent.name));
    ui.out(format!("{name}  {word}{remark}"));
}

fn sick_word(ui: &Ui) -> String {
    ui.paint(Paint::Bad, "sick")
}

/// Good checks of an agent in trouble are of interest only when asked for.
fn checks(ui: &Ui, checks: &[Check], in_full: bool) {
    for check in checks {
        let mark = match check.ok {
            Some(true) => ui.paint(Paint::Good, "ok "),
            Some(false) => ui.paint(Paint::Bad, "bad"),
            None => ui.paint(Paint::Dim, "-  "),
        };
        let (first, more) = match check.evidence.split_first() {
            Some((first, more)) => (first.as_str(), more),
            None => ("", &[][..]),
        };
        ui.out(format!("  {mark} {:<13} {first}", check.id));
        if in_full || check.ok != Some(true) {
            for line in more {
                ui.out(format!(
                    "                    {}",
                    ui.paint(Paint::Dim, line)
                ));
            }
        }
    }
}

fn causes(ui: &Ui, causes: &[Cause]) {
    let Some((first, more)) = causes.split_first() else {
        return;
    };
    most_likely(ui, first, &first.next);
    for cause in more {
        ui.out(format!("  also: {} [{}]", cause.title, cause.id));
    }
}

fn most_likely(ui: &Ui, cause: &Cause, next: &str) {
    let title = ui.paint(Paint::Bold, &cause.title);
    ui.out(format!("  most likely: {title} [{}]", cause.id));
    for line in &cause.evidence {
        ui.out(format!("               {line}"));
    }
    ui.out(format!("  next: {next}"));
}

fn blocks(root: &Root) -> String {
    let names = some(root.blocks.iter().map(String::as_str));
    format!("blocks {}: {names}", root.blocks.len())
}

fn summary(report: &DoctorReport) -> String {
    let count = |verdict: Verdict| {
        let agents = report.diagnosis.agents.iter();
        agents.filter(|agent| agent.verdict == verdict).count()
    };
    let total = report.diagnosis.agents.len();
    let mut parts = vec![format!(
        "{} of {total} agents healthy",
        count(Verdict::Healthy)
    )];
    for (verdict, word) in [(Verdict::Limited, "limited"), (Verdict::Sick, "sick")] {
        let number = count(verdict);
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    format!(
        "{}; looked at in {}",
        parts.join(", "),
        seconds(report.elapsed_ms)
    )
}
