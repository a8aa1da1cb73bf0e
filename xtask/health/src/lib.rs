//! Asks agents for their health, from the host.
//!
//! `contract` knows the ways to ask, `reply` says what a reply means, `finding`
//! what a probe can find out, `probe` asks once, `wait` asks until the answer is
//! good. This room knows addresses and replies only: it must not know
//! containers, so "exited", "missing" and "wrong port" are decided by callers,
//! and it must not print.

mod contract;
mod finding;
mod probe;
mod reply;
mod wait;

#[cfg(test)]
mod tests;

pub use contract::Contract;
pub use finding::{ProbeFinding, ProbeOutcome};
pub use probe::{Probe, ProbeBudget, Target, block_on, probe_all};
pub use wait::{Schedule, WaitEnd, Waited, wait_healthy};
