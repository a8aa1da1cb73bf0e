//! Requirements: what files ask for, what the code imports, and what goes into
//! which image.
//!
//! files -> `lines` (text, places) -> `statement`, `requirement`, `marker`
//! (grammar) -> `file::Files`; `rules` (what the user decided), `known` and
//! `distributions` (which import comes from which package) -> `split` (which
//! requirement goes into which list).
//!
//! Invariant: nothing here runs a program. Files are read in
//! `file::from_disk` and `rules::read` alone; the rest is pure, and the same
//! input gives the same bytes.

pub mod distributions;
pub mod file;
pub mod finding;
pub mod known;
mod lines;
pub mod list;
pub mod marker;
pub mod name;
pub mod requirement;
pub mod rules;
pub mod split;
mod statement;
#[cfg(test)]
mod tests;
