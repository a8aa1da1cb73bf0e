//! Requirements: what files ask for, what the code imports, what goes into
//! which image, and the locks that say exactly what is installed.
//!
//! files -> `lines` (text, places) -> `statement`, `requirement`,
//! `marker_reader` (grammar) -> `file::Files`; `rules` (what the user decided), `known` and
//! `distributions` (which import comes from which package) -> `split` (which
//! requirement goes into which list) -> `lock` (lists to locks with `uv`, and
//! whether locks are current), `lock_file` (text of locks).
//!
//! Invariant: programs are run by `uv` and `lock` alone, files are read there,
//! in `file::from_disk` and in `rules::read`; the rest is pure, and the same
//! input gives the same bytes.

pub mod distributions;
pub mod file;
pub mod known;
pub mod lines;
pub mod list;
pub mod lock;
pub mod lock_file;
pub mod marker;
mod marker_reader;
pub mod name;
mod pip_settings;
pub mod requirement;
pub mod rules;
pub mod split;
pub mod statement;
#[cfg(test)]
mod tests;
pub mod uv;
pub mod wrong;
