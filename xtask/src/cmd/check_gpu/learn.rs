//! Watches what agents use of the GPUs' memory, and keeps the peaks.

use std::time::{Duration, Instant};

use super::{look_around, owned};
use crate::{
    cmd::App,
    host::gpu::{
        smi::{self, Asked},
        vram::{self, Used},
    },
    podman::Engine,
};
use diagnostics::{Exit, Failure};
use model::system::System;

const EVERY: Duration = Duration::from_secs(1);
/// How often Ctrl-C is looked for in between.
const SLICE: Duration = Duration::from_millis(50);

/// The highest use of each agent on each GPU within so many seconds.
///
/// # Errors
/// podman or `nvidia-smi` fails, or Ctrl-C.
pub fn peaks(app: &App, engine: &Engine, system: &System, seconds: u64) -> Result<Used, Failure> {
    app.ui.note(format!("watching GPU memory for {seconds} s"));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut peaks = Used::new();
    loop {
        let started = Instant::now();
        let processes = match smi::processes(&app.cancel) {
            _ if app.cancel.requested() => return Err(Failure::interrupted("nothing was changed")),
            Asked::Answered(processes) => processes,
            asked => return Err(silent(&asked)),
        };
        // Asked anew each time: an agent may have been restarted.
        let state = look_around(engine)?;
        vram::raise(&mut peaks, owned(system, &state, &processes));
        let next = (started + EVERY).min(end);
        while Instant::now() < next {
            if app.cancel.requested() {
                return Err(Failure::interrupted("nothing was changed"));
            }
            std::thread::sleep(SLICE.min(next.saturating_duration_since(Instant::now())));
        }
        if Instant::now() >= end {
            return Ok(peaks);
        }
    }
}

fn silent<T>(asked: &Asked<T>) -> Failure {
    let why = match asked {
        Asked::NotInstalled => "it is not installed".to_owned(),
        Asked::TimedOut { deadline_ms } => format!("no answer within {} s", deadline_ms / 1_000),
        Asked::Failed(why) | Asked::Garbage(why) => why.clone(),
        Asked::Answered(_) => String::new(),
    };
    Failure::new(
        Exit::Findings,
        "nvidia-smi does not tell who uses GPU memory",
    )
    .detail([why])
    .hint("`cargo xtask check-gpu` without --learn says what is wrong")
}
