//! Findings about podman and the host.

use operations::{
    results::{Capacity, HostFinding, HostReport, HostSeverity, amount},
    ui::{Paint, Ui, table},
};

/// Limits that are shown without `--verbose`.
const LIMITS_SHOWN: usize = 5;

/// Findings, and for how many agents there is room; all limits of that if
/// `verbose`.
pub fn show(ui: &Ui, report: &HostReport, verbose: bool) {
    if ui.json_wanted() {
        ui.json("check-toolchain", report);
        return;
    }
    // Its line stands over the table.
    let findings = report.findings.iter();
    print(ui, findings.filter(|finding| finding.id != "capacity"));
    if let Some(capacity) = &report.capacity {
        show_capacity(ui, capacity, verbose);
    }
}

/// Findings for people: what, why, and what to do.
pub fn print<'f>(ui: &Ui, findings: impl IntoIterator<Item = &'f HostFinding>) {
    for finding in findings {
        let mark = match finding.severity {
            HostSeverity::Ok => ui.paint(Paint::Good, "ok     "),
            HostSeverity::Info => ui.paint(Paint::Dim, "info   "),
            HostSeverity::Warning => ui.paint(Paint::Warn, "warning"),
            HostSeverity::Error => ui.paint(Paint::Bad, "error  "),
        };
        ui.out(format!("{mark}  {}  [{}]", finding.title, finding.id));
        if !finding.evidence.is_empty() {
            ui.out(format!(
                "         {}",
                ui.paint(Paint::Dim, &finding.evidence)
            ));
        }
        if let Some(fix) = &finding.fix {
            ui.out(format!("         fix: {fix}"));
        }
    }
}

fn show_capacity(ui: &Ui, capacity: &Capacity, verbose: bool) {
    let Some(line) = capacity.line() else { return };
    let count = match verbose {
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
    ui.out("");
    ui.out(line);
    for row in table::render(&rows) {
        ui.out(format!("  {row}"));
    }
    let hidden = capacity.limits.len() - count;
    if hidden > 0 {
        ui.out(ui.paint(Paint::Dim, &format!("  and {hidden} more, with -v")));
    }
}
