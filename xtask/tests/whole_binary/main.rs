//! The whole tool against a podman that only pretends (`tests/fake_podman`):
//! what it prints, how it ends, which calls it makes and what is left of the
//! fake's state.
//!
//! The agents are ZeroMQ reply sockets of this process. Each listens only while
//! the fake says that its container runs, so that a gate means something. Tests
//! never change their own environment, only that of the tool.
//!
//! Texts are kept in `golden/`; `UPDATE_GOLDEN=1 cargo test -p xtask --test
//! whole_binary` writes them anew. `cargo test` builds the fake; `--test
//! whole_binary` alone does not build it anew.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod agents;
mod bad_input;
mod build;
mod code;
mod deploy;
mod doctor;
mod drift;
mod dry_run;
mod exhaustive;
mod fixture;
mod folders;
mod golden;
mod gpu;
mod health;
mod history;
mod interrupt;
mod json;
mod left_out;
mod locks;
mod logs;
mod reading;
mod repair;
mod rollout;
mod runs;
mod schema;
mod secrets;
mod take_down;
mod take_over;
mod testing;
mod tool;
mod toolchain;
