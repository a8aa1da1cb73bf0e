//! What `check-gpu` shows: findings, who uses what of the memory, proposals.

use operations::{
    results::{Budget, GpuReport, HEADROOM_PERCENT, Learned, OVERHEAD_MB},
    ui::{Ui, table},
};

use super::toolchain;

/// All of a report.
pub fn show(ui: &Ui, report: &GpuReport) {
    if ui.json_wanted() {
        ui.json("check-gpu", report);
        return;
    }
    if let Some(line) = report.fix.as_ref().filter(|_| report.fix_told) {
        ui.out(format!("# would be run\n{line}"));
    }
    toolchain::print(ui, &report.findings);
    let rows = rows(&report.gpus, report.learned.is_some());
    if rows.len() > 1 {
        ui.out("");
        for line in table::render(&rows) {
            ui.out(line);
        }
    }
    if let Some(learned) = &report.learned {
        ui.out("");
        for line in proposals(learned, report.learned_s) {
            ui.out(line);
        }
    }
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
fn proposals(learned: &[Learned], seconds: u64) -> Vec<String> {
    if learned.is_empty() {
        return vec![format!(
            "# no agent was seen to use GPU memory within {seconds} s; give them work meanwhile"
        )];
    }
    let mut lines = vec![format!(
        "# seen within {seconds} s; peak + {HEADROOM_PERCENT} % headroom - {OVERHEAD_MB} MB that the budget adds for each process"
    )];
    for Learned {
        agent,
        peak_mb,
        vram_mb,
    } in learned
    {
        lines.push(format!("vram_mb = {vram_mb}  # {agent}: peak {peak_mb} MB"));
    }
    lines
}
