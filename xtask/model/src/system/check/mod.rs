//! Judges a decoded manifest: everything that makes it describe a system that
//! cannot work, all of it at once, each with its place and remedy.
//!
//! Invariant: a manifest that passes without a problem can be built into a
//! `System`; `build` has no problems of its own to report.

mod agents;
mod files;
mod images;
mod names;
mod networks;
mod ports;
mod references;
mod secrets;
mod tests_table;

use diagnostics::located::problem::Problems;

use super::effective::View;

/// Reports every problem of the manifest behind `view`.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    names::check(view, problems);
    references::check(view, problems);
    networks::check(view, problems);
    ports::check(view, problems);
    files::check(view, problems);
    images::check(view, problems);
    agents::check(view, problems);
    secrets::check(view, problems);
    tests_table::check(view, problems);
}
