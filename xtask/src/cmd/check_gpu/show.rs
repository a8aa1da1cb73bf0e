//! What `check-gpu` shows: findings, who uses what of the memory, proposals.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    cmd::{App, check_toolchain},
    host::{
        findings::{Finding, Severity, worst},
        gpu::vram::{Budget, HEADROOM_PERCENT, OVERHEAD_MB},
    },
    ui::table,
};

/// The outcome of one run.
pub struct Result<'a> {
    pub findings: &'a [Finding],
    pub budgets: &'a [Budget],
    /// By agent: observed peak and proposed `vram_mb`.
    pub learned: Option<BTreeMap<String, (u64, u64)>>,
    /// The command of `--fix`.
    pub fix: Option<String>,
}

#[derive(Serialize)]
struct Summary<'a> {
    /// Worst severity of all findings.
    severity: Severity,
    findings: &'a [Finding],
    gpus: &'a [Budget],
    #[serde(skip_serializing_if = "Option::is_none")]
    learned: Option<Vec<Learned<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
}

#[derive(Serialize)]
struct Learned<'a> {
    agent: &'a str,
    peak_mb: u64,
    /// To be put into the manifest.
    vram_mb: u64,
}

pub fn show(app: &App, result: &Result<'_>, learn_s: Option<u64>) {
    if app.ui.json_wanted() {
        json(app, result);
        return;
    }
    check_toolchain::print(app, result.findings);
    let rows = rows(result.budgets, result.learned.is_some());
    if rows.len() > 1 {
        app.ui.out("");
        for line in table::render(&rows) {
            app.ui.out(line);
        }
    }
    if let (Some(learned), Some(seconds)) = (&result.learned, learn_s) {
        app.ui.out("");
        for line in proposals(learned, seconds) {
            app.ui.out(line);
        }
    }
}

fn json(app: &App, result: &Result<'_>) {
    let learned = result.learned.as_ref().map(|learned| {
        let mut entries = Vec::new();
        for (agent, (peak_mb, vram_mb)) in learned {
            let (peak_mb, vram_mb) = (*peak_mb, *vram_mb);
            entries.push(Learned {
                agent,
                peak_mb,
                vram_mb,
            });
        }
        entries
    });
    let summary = Summary {
        severity: worst(result.findings),
        findings: result.findings,
        gpus: result.budgets,
        learned,
        fix: result.fix.as_deref(),
    };
    app.ui.json("check-gpu", &summary);
}

/// One row for each agent of each GPU; headings alone without any.
fn rows(budgets: &[Budget], peaks: bool) -> Vec<Vec<String>> {
    let mb = |value: Option<u64>| value.map_or_else(|| "-".into(), |mb| format!("{mb} MB"));
    let mut headings = vec!["GPU", "MEMORY", "AGENT", "DECLARED", "USED NOW"];
    headings.extend(peaks.then_some("PEAK"));
    let mut rows = vec![headings.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for budget in budgets {
        let mut gpu = [budget.gpu.clone(), mb(budget.total_mb)];
        let mut row = |agent: String, declared: String, used: String, peak: String| {
            let mut row = gpu.to_vec();
            row.extend([agent, declared, used]);
            row.extend(peaks.then_some(peak));
            rows.push(row);
            gpu = [String::new(), String::new()];
        };
        for share in &budget.agents {
            let name = match share.counted {
                true => share.agent.clone(),
                false => format!("{} (optional)", share.agent),
            };
            row(
                name,
                mb(share.declared_mb),
                mb(share.used_mb),
                mb(share.peak_mb),
            );
        }
        if budget.others_mb > 0 {
            let others = Some(budget.others_mb);
            row("others".into(), "-".into(), mb(others), "-".into());
        }
    }
    rows
}

/// Lines for the manifest, with the sum behind each.
fn proposals(learned: &BTreeMap<String, (u64, u64)>, seconds: u64) -> Vec<String> {
    if learned.is_empty() {
        return vec![format!(
            "# no agent was seen to use GPU memory within {seconds} s; give them work meanwhile"
        )];
    }
    let mut lines = vec![format!(
        "# seen within {seconds} s; peak + {HEADROOM_PERCENT} % headroom - {OVERHEAD_MB} MB that the budget adds for each process"
    )];
    for (agent, (peak_mb, vram_mb)) in learned {
        lines.push(format!("vram_mb = {vram_mb}  # {agent}: peak {peak_mb} MB"));
    }
    lines
}
