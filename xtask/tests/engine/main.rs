//! The tool on real podman. Ignored by plain `cargo test`, since these tests
//! take minutes and containers; `cargo xtask test` runs them, one at a time.
//!
//! Every test deploys a system of its own: own names, networks and loopback
//! ports, removed at its end. What a user has deployed is never touched.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod agents;
mod capacity;
mod doctor;
mod drift;
mod gpu;
mod images;
mod interrupted;
mod logs;
mod rollout;
mod rootless;
mod secrets;
mod stopping;
mod support;
mod testing;
mod whole_system;
