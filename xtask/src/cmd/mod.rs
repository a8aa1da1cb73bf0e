//! The commands, one file each: its arguments, and its story in a few lines. What
//! it does stands in `operations`, what it tells in `show`.

pub mod build_images;
pub mod check_gpu;
pub mod check_toolchain;
pub mod completions;
pub mod create_networks;
pub mod deploy;
pub mod doctor;
pub mod down;
mod duration;
pub mod explain;
mod finish;
pub mod health_check;
pub mod history;
pub mod logs;
pub mod rollback;
pub mod scan;
pub mod split_requirements;
pub mod status;
pub mod test;
pub mod test_integration;
pub mod test_unit;
pub mod up;

pub use duration::duration_ms;
