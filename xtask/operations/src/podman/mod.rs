//! The engine: what podman can do, what it reports, and the only door to it.

pub mod argv;
pub mod caps;
pub mod clock;
pub mod engine;
pub mod facts;
pub mod gpu;
pub mod inside;
pub mod inspect;
pub mod log_file;
pub mod observe;
pub mod pytest;
pub mod quirks;
pub mod run;
mod sandbox;
pub mod seen;
pub mod settings;
pub mod vault;

pub use engine::Engine;
pub use run::{Podman, PodmanError};
