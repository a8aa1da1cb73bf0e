//! Values of a TOML file with their places, and the problems that are found
//! with them: all of a file at once, each with its line.
//!
//! text -> `reader` (tables, by their `shape`), `value` (what a single value must
//! be), `syntax` (what the parser found) -> `problem` (collected, and drawn)

pub mod at;
pub mod problem;
pub mod reader;
pub mod shape;
pub mod syntax;
pub mod value;
