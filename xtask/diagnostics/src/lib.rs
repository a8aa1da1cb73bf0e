//! What is told to people: failures with their remedy, findings, problems of a
//! file at their places, near names, values in words, excerpts that are safe to
//! print.
//!
//! Invariant: nothing here decides what is wrong, reads a file or knows what
//! the others are about.

pub mod excerpt;
mod failure;
pub mod finding;
pub mod located;
pub mod names;
pub mod words;

pub use failure::{Exit, Failure};
