//! Python source files, read but never run: what they import, which addresses
//! they bind and connect to, and whether they parse at all.
//!
//! The way of a file is `tree` (which files there are) → `source` (bytes to
//! text, as CPython does it) → `parse` (text to a syntax tree, within bounds)
//! → `imports` and `endpoints` (what stands in it) → `facts`. Every step takes
//! arbitrary bytes: a file that is broken in any way becomes a file with an
//! error, and the rest is read all the same.
//!
//! This room knows nothing about agents, images or packages. What belongs to
//! whom, and what a name means, is decided by those who use it.

pub mod closure;
mod conditions;
mod endpoints;
pub mod facts;
mod imports;
mod indentation;
pub mod memory;
pub mod modules;
pub mod parse;
mod position;
mod source;
pub mod stdlib;
mod tokens;
pub mod tree;
mod version;

pub use version::PythonVersion;

#[cfg(test)]
mod tests;
