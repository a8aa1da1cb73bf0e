//! What a scan has found: agents, findings at their places, files.

use diagnostics::{
    finding::{Finding, Severity},
    words::seconds,
};
use operations::{
    results::{AgentScan, Category, Counts, ScanReport},
    ui::{Paint, Ui, table},
};

/// The whole report; remarks and files that do not parse, too, if `all`.
pub fn show(ui: &Ui, report: &ScanReport<'_>, all: bool) {
    if ui.json_wanted() {
        ui.json("scan", report);
        return;
    }
    show_agents(ui, &report.agents);
    show_findings(ui, report.findings, all);
    if all {
        show_files(ui, report);
    }
    show_counts(ui, report);
}

fn show_agents(ui: &Ui, agents: &[&AgentScan]) {
    let head = ["AGENT", "CATEGORY", "FITS", "MANIFEST", "HARD", "SOFT"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(agents.iter().map(|agent| row(ui, agent)));
    for line in table::render(&rows) {
        ui.out(line);
    }
}

fn row(ui: &Ui, agent: &AgentScan) -> Vec<String> {
    let category = match agent.category {
        Category::None => "none",
        Category::Light => "light",
        Category::Heavy => "heavy",
    };
    let list = |names: &[String]| match names {
        [] => "-".to_owned(),
        names => names.join(" "),
    };
    let fits = match &agent.image {
        _ if agent.missing => ui.paint(Paint::Dim, "no script"),
        None => ui.paint(Paint::Bad, "none"),
        Some(image) => image.clone(),
    };
    let same = agent.missing || agent.image.as_ref() == Some(&agent.manifest_image);
    let paint = if same { Paint::Dim } else { Paint::Warn };
    vec![
        agent.name.clone(),
        category.to_owned(),
        fits,
        ui.paint(paint, &agent.manifest_image),
        list(&agent.hard),
        list(&agent.soft),
    ]
}

/// Findings as compilers print them, so that editors find the place.
pub fn show_findings(ui: &Ui, findings: &[Finding], all: bool) {
    let mut remarks = 0;
    for finding in findings {
        if finding.severity == Severity::Remark && !all {
            remarks += 1;
            continue;
        }
        let mark = match finding.severity {
            Severity::Error => ui.paint(Paint::Bad, "error"),
            Severity::Warning => ui.paint(Paint::Warn, "warning"),
            Severity::Remark => ui.paint(Paint::Dim, "remark"),
        };
        let place = format!("{}:{}:{}", finding.file, finding.line, finding.column);
        ui.out(format!(
            "{place}: {mark}: {} [{}]",
            finding.message, finding.id
        ));
        if let Some(hint) = &finding.hint {
            ui.out(format!("    {hint}"));
        }
    }
    match remarks {
        0 => {}
        1 => ui.out("1 remark; --all shows it"),
        more => ui.out(format!("{more} remarks; --all shows them")),
    }
}

fn show_files(ui: &Ui, report: &ScanReport<'_>) {
    for file in &report.files {
        let Some(error) = &file.facts.error else {
            continue;
        };
        let state = match file.archived {
            Some(folder) => format!("archived by `{folder}`"),
            None => "live".to_owned(),
        };
        ui.out(format!("{}:{error} ({state})", file.facts.path));
    }
    for skipped in report.skipped {
        ui.out(format!("{}: {}", skipped.path, skipped.reason));
    }
}

fn show_counts(ui: &Ui, report: &ScanReport<'_>) {
    let Counts {
        files,
        live,
        archived,
        ..
    } = report.counts;
    let broken = (
        report.counts.unparsable_live,
        report.counts.unparsable_archived,
    );
    let parsing = match broken {
        (0, 0) => "all parse".to_owned(),
        (live, 0) => format!("{live} do not parse"),
        (live, archived) => format!("{live} live and {archived} archived ones do not parse"),
    };
    let skipped = match report.skipped.len() {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    ui.out(format!(
        "{files} files: {live} live, {archived} archived{skipped}; {parsing}; {}",
        seconds(report.elapsed_ms)
    ));
}
