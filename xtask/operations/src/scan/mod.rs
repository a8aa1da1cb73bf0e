//! What the agents' code needs, against what the images have: the join of
//! `python` (imports), `requirements` (packages and their lists) and `system`
//! (agents and images).
//!
//! Pure apart from reading source files through `python::modules::Sources`; it
//! asks podman nothing.

pub mod agents;
pub mod apart;
pub mod check;
mod images;

pub use agents::{AgentScan, Category, scan_agents};
pub use apart::left_out;
pub use images::Provided;
