//! Decisions as data: from the manifest and an observation of the engine to an
//! ordered list of steps with their causes.
//!
//! Invariant: nothing here does IO, reads a clock or asks a question. The same
//! input gives the same plan, whatever order the engine listed things in.

pub mod agents;
pub mod deployed;
pub mod down;
pub mod drift;
pub mod elsewhere;
mod given;
pub mod gpus;
pub mod handover;
pub mod images;
pub mod label;
mod names;
pub mod networks;
pub mod observed;
mod orphans;
mod refusal;
pub mod refused;
pub mod released;
mod replace;
mod request;
mod rollout;
pub mod secret;
pub mod secrets;
pub mod spec;
pub mod state;
pub mod step;
pub mod testing;
#[cfg(test)]
mod tests;
mod volumes;
mod words;
mod workload;

pub use names::{
    content_tag, fetched_tag, groups_before, local_tag, namespace, pointer_of, pointer_tag,
    repository, volume_name,
};
pub use orphans::orphans;
pub use refusal::PlanError;
pub use state::State;
pub use step::{Action, Gate, Plan, Rollback, Step};
pub use workload::Workload;
