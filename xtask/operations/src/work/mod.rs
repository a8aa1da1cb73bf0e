//! The work behind the commands: what several of them share, and what each of
//! them does. Results are plain data; who shows them is not known here.

pub mod app;
pub mod ask;
pub mod build;
pub mod build_report;
pub mod choose;
pub mod deploy;
pub mod diagnosis;
pub mod down;
pub mod dry_run;
pub mod ending;
pub mod exclusive;
pub mod explain;
pub mod failures;
pub mod gpu;
pub mod gpu_memory;
pub mod import_check;
pub mod integration_tests;
mod interruption;
pub mod isolated;
pub mod junit;
mod left_out;
pub mod live;
pub mod logs;
pub mod networks;
pub mod outcome;
pub mod project;
pub mod runs;
pub mod scan_tree;
mod secrets;
pub mod self_test;
pub mod split;
pub mod status;
pub mod suites;
pub mod take_over;
pub mod test_results;
pub mod toolchain;
pub mod unit_tests;
pub mod up;
pub mod verify;
mod way_back;

pub use app::{App, Settings};
pub use choose::select;
pub use exclusive::Scope;
