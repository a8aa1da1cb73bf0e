//! What `split-requirements` tells at its end: where each requirement went and
//! why, what was found, what was locked and written.

use std::path::Path;

use diagnostics::words::seconds;
use operations::{
    results::SplitReport,
    ui::{Paint, Ui, table},
};
use requirements::split::Placed;

use super::scan::show_findings;

/// The whole report; remarks, too, if `all`.
pub fn show(ui: &Ui, report: &SplitReport, all: bool) {
    if ui.json_wanted() {
        ui.json("split-requirements", report);
        return;
    }
    show_placements(ui, &report.requirements);
    show_findings(ui, &report.findings, all);
    for moved in &report.moved {
        ui.out(format!("{} {} -> {}", moved.name, moved.from, moved.to));
    }
    report.remarks.iter().for_each(|remark| ui.note(remark));
    let verb = match report.dry_run {
        true => "would write",
        false => "wrote",
    };
    let files = match report.written.as_slice() {
        [] if report.checked => "checked".to_owned(),
        [] => "nothing to write".to_owned(),
        names => format!("{verb} {}", names.join(", ")),
    };
    ui.out(format!("{files}; {}", seconds(report.elapsed_ms)));
}

fn show_placements(ui: &Ui, requirements: &[Placed]) {
    let head = ["REQUIREMENT", "IMAGES", "WHERE", "REASON"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for placed in requirements {
        let images: Vec<&str> = placed.images.iter().map(|list| list.name()).collect();
        let images = match images.is_empty() {
            true => ui.paint(Paint::Dim, "none"),
            false => images.join(", "),
        };
        let place = Path::new(&placed.file).file_name().unwrap_or_default();
        let place = format!("{}:{}", place.to_string_lossy(), placed.line);
        rows.push(vec![
            placed.spec.clone(),
            images,
            place,
            placed.reason.clone(),
        ]);
    }
    for line in table::render(&rows) {
        ui.out(line);
    }
}
