//! The end of `up`, and what it would do.

use diagnostics::words::seconds;
use operations::{
    results::{Phase, Preview, Up},
    ui::{Paint, Ui},
};

use super::{deploy, health, script};

/// Deployment, health and times; the images have been told when they were built.
pub fn show(ui: &Ui, up: &Up) {
    if ui.json_wanted() {
        ui.json("up", up);
        return;
    }
    deploy::print(ui, &up.deployment);
    health::show(ui, &up.health);
    phases(ui, &up.phases);
}

fn phases(ui: &Ui, phases: &[Phase]) {
    let times: Vec<String> = phases
        .iter()
        .map(|phase| format!("{} {}", phase.name, seconds(phase.elapsed_ms)))
        .collect();
    let total: u64 = phases.iter().map(|phase| phase.elapsed_ms).sum();
    let line = format!("{}; total {}", times.join(", "), seconds(total));
    ui.note(ui.paint(Paint::Dim, &line));
}

/// What would be run.
pub fn preview(ui: &Ui, preview: &Preview) {
    if ui.json_wanted() {
        ui.json("up", preview);
        return;
    }
    preview.install.iter().for_each(|line| ui.out(line));
    for script in [&preview.images, &preview.deployment].into_iter().flatten() {
        script::print(ui, script);
    }
}
