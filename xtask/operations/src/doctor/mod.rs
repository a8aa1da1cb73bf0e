//! What is wrong with agents, and what to do next.
//!
//! `gather` looks: podman, the kernel, the agents themselves, a program inside
//! each container; every look is bounded in time, and one that fails is evidence
//! of its own. `wanted` is the manifest's side. All else is pure: `log` reads the
//! end of a log, `checks` says what was found, `causes` which causes that speaks
//! for, and `diagnose` which agent's trouble is another agent's doing. Nothing
//! here changes or prints anything.

mod causes;
mod checks;
mod diagnose;
pub mod evidence;
mod gather;
mod log;
#[cfg(test)]
mod tests;
mod wanted;

pub use causes::Cause;
pub use checks::Check;
pub use diagnose::{Diagnosed, Diagnosis, Root, Verdict, diagnose};
pub use gather::{GatherRequest, gather};
pub use wanted::around;
