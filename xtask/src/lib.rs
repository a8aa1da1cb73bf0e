//! `cargo xtask`: one tool that builds, deploys, checks and tests the system.
//!
//! The rooms, from the top floor down; a room may use what stands below it:
//! `cmd` (one file per command), `ui/progress` (shows a plan being carried
//! out), `execute` and `gate` (carry out a plan), `doctor` (what is wrong with
//! agents), `host` (findings and files of this machine), `podman` (the only door
//! to the engine), `scan` (what the code needs against what the images have),
//! `requirements` (what is installed in which image), `plan` (pure decisions),
//! `system` (the manifest), `health` (ZeroMQ), `python` (its sources), `process`,
//! `ui`, `failure`. The tidy test holds them to it.

mod cli;
mod cmd;
mod show;

use std::process::ExitCode;

use clap::Parser;
use operations::ui::Ui;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// Runs the tool with this process's arguments; returns the exit code.
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let ui = cli.global.ui();
    let cancel = process::Cancel::default();
    watch_signals(ui, &cancel);
    match cli.run(cancel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => ExitCode::from(exit as u8),
    }
}

/// The one policy for Ctrl-C: the first stops new work and lets short podman
/// calls finish, the second ends them, too.
fn watch_signals(ui: Ui, cancel: &process::Cancel) {
    let cancel = cancel.clone();
    // Without handlers the default action ends the tool at once; the next run
    // repairs what that leaves behind.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
        return;
    };
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if !cancel.requested() {
                ui.note("stopping; press Ctrl-C again to end running podman calls");
            }
            cancel.request();
        }
    });
}
