//! Carries out a plan: `walk` starts steps, `action` runs one, `gate`, `judge`,
//! `settle` and `watcher` wait for agents, `recoveries` and `base` know what
//! podman needs besides; `report` says what happened.

mod action;
mod base;
mod gate;
mod judge;
mod log;
mod recoveries;
mod report;
mod settle;
mod target;
mod walk;
mod watcher;

#[cfg(test)]
pub use gate::Passed;
pub use gate::{BUDGET, Sick};
pub use judge::{AgentStatus, exit_words, judge};
pub use log::{in_one_piece, log_lines};
#[cfg(test)]
pub use report::StepFailure;
pub use report::{Event, Reason, Report, StepResult, Watch};
pub use target::target;
pub use walk::execute;
