//! What `split-requirements` tells at its end: where each requirement went and
//! why, what was found, what was locked and written.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use super::{App, scan::show_findings};
use crate::ui::{Paint, table};
use diagnostics::{finding::Finding, words::seconds};
use requirements::{
    list::List,
    lock::Locked,
    split::{Placed, Split},
};

/// The end of `split-requirements`.
#[derive(Serialize)]
struct Summary<'s> {
    requirements: &'s [Placed],
    findings: &'s [Finding],
    /// Pinned packages by lock file; empty if nothing was locked.
    locks: BTreeMap<String, usize>,
    /// Packages that are published as source only, and the lists with them.
    source_only: BTreeMap<String, Vec<List>>,
    /// Packages whose locked version is another now.
    moved: Vec<Moved<'s>>,
    /// Files that were written, or that would be with `--dry-run`.
    written: &'s [String],
    elapsed_ms: u64,
}

#[derive(Serialize)]
struct Moved<'s> {
    name: &'s str,
    from: &'s str,
    to: &'s str,
}

/// How a run of the command ended.
pub struct Ending<'e> {
    /// `--check`
    pub check: bool,
    /// `--all`
    pub all: bool,
    pub written: &'e [String],
    pub elapsed_ms: u64,
}

/// Writes the result, for people or as JSON.
pub fn report(app: &App, split: &Split, locked: Option<&Locked>, ending: &Ending<'_>) {
    let Ending {
        written,
        elapsed_ms,
        ..
    } = *ending;
    let pins = locked.map(|locked| locked.pins.clone()).unwrap_or_default();
    let moved = locked
        .map(|locked| locked.moved.as_slice())
        .unwrap_or_default();
    if app.ui.json_wanted() {
        let moved = moved
            .iter()
            .map(|(name, from, to)| Moved { name, from, to });
        app.ui.json(
            "split-requirements",
            &Summary {
                requirements: &split.requirements,
                findings: &split.findings,
                locks: pins,
                source_only: locked
                    .map(|locked| locked.source_only.clone())
                    .unwrap_or_default(),
                moved: moved.collect(),
                written,
                elapsed_ms,
            },
        );
        return;
    }
    show_placements(app, &split.requirements);
    show_findings(app, &split.findings, ending.all);
    for (name, from, to) in moved {
        app.ui.out(format!("{name} {from} -> {to}"));
    }
    for remark in locked.iter().flat_map(|locked| &locked.remarks) {
        app.ui.note(remark);
    }
    let verb = if app.global.dry_run {
        "would write"
    } else {
        "wrote"
    };
    let files = match written {
        [] if ending.check => "checked".to_owned(),
        [] => "nothing to write".to_owned(),
        names => format!("{verb} {}", names.join(", ")),
    };
    app.ui.out(format!("{files}; {}", seconds(elapsed_ms)));
}

fn show_placements(app: &App, requirements: &[Placed]) {
    let head = ["REQUIREMENT", "IMAGES", "WHERE", "REASON"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for placed in requirements {
        let images: Vec<&str> = placed.images.iter().map(|list| list.name()).collect();
        let images = match images.is_empty() {
            true => app.ui.paint(Paint::Dim, "none"),
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
        app.ui.out(line);
    }
}
