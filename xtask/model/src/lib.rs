//! What is wanted, and what follows from it: the manifest becomes a `System`,
//! and a `System` with what podman reports becomes a plan.
//!
//! Invariant: nothing here starts a program, opens a socket or reads a clock;
//! none of the crates that could is a dependency.

pub mod plan;
pub mod system;
