//! How results are told: as text for people, or as JSON.
//!
//! A view takes the terminal and a result, and nothing else: podman, the host
//! and the code are out of its reach.

pub mod changes;
pub mod deploy;
pub mod doctor;
pub mod explain;
pub mod gpu;
pub mod health;
pub mod history;
pub mod images;
pub mod logs;
pub mod scan;
pub mod script;
pub mod split;
pub mod status;
pub mod tests;
pub mod toolchain;
pub mod up;
