//! What the commands do, and all that it takes: the rooms that reach podman, the
//! host and the code.
//!
//! From the top floor down; a room uses only what stands below it: `work` (what
//! commands share and do), `doctor` (why agents are not well), `ui/progress`,
//! `carry_out` (walks plans, waits for agents), `scan` (what the code needs
//! against what the images have), `images` (the files behind them), `host`
//! (what this machine is like), `podman` (the only door to the engine), `ui`,
//! `folders` (of this tool on this machine).
//!
//! Who shows results is not known here. Those who do see `results` and `ui`: the
//! other rooms are private, so that no view can reach podman.

mod carry_out;
mod doctor;
mod folders;
mod host;
mod images;
mod podman;
pub mod results;
mod scan;
pub mod ui;
pub mod work;
