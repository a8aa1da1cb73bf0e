//! What a dry run would do.

use operations::{results::Script, ui::Ui};

/// The plan as values, or the command lines.
pub fn show(ui: &Ui, command: &str, script: &Script) {
    if ui.json_wanted() {
        warn(ui, script);
        ui.json(command, script);
    } else {
        print(ui, script);
    }
}

/// The command lines, below the plan's warnings.
pub fn print(ui: &Ui, script: &Script) {
    warn(ui, script);
    if script.unproven {
        ui.warn(
            "no container has been run on this host yet; \
            `cargo xtask check-toolchain` finds the options that podman needs here",
        );
    }
    script.lines.iter().for_each(|line| ui.out(line));
}

fn warn(ui: &Ui, script: &Script) {
    for warning in &script.plan.warnings {
        ui.warn(warning);
    }
}
