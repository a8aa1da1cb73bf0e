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
use diagnostics::Exit;
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

/// The one policy for Ctrl-C: the first stops new work, ends what is long, and
/// lets podman finish and undo what has begun. Nothing ends a podman that stops,
/// removes or starts a container half-way: the third leaves it to itself.
fn watch_signals(ui: Ui, cancel: &process::Cancel) {
    let cancel = cancel.clone();
    // Without handlers the default action ends the tool at once; the next run
    // repairs what that leaves behind.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
        return;
    };
    std::thread::spawn(move || {
        let mut asked = 0;
        for signal in signals.forever() {
            // A terminal that is closed says so more than once, and nobody is
            // there to mean it.
            if signal == SIGHUP && asked > 0 {
                continue;
            }
            asked += 1;
            cancel.request();
            match asked {
                1 => ui.note("stopping; what podman has begun is finished or undone first"),
                2 => ui
                    .note("still waiting for podman; press Ctrl-C once more to leave it to itself"),
                _ => {
                    ui.note("podman finishes by itself what it has begun; the next run repairs the rest");
                    std::process::exit(Exit::Interrupted as i32);
                }
            }
        }
    });
}
