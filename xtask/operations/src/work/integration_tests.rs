//! The integration tests of the manifest: among the live agents, or in a copy.

use std::{collections::BTreeSet, time::Instant};

use diagnostics::Failure;

use super::{
    app::App,
    isolated, junit,
    project::Project,
    suites,
    test_results::{Tell, TestOptions, TestReport},
    unit_tests::{prepare, tests},
};

/// Runs the suites that are named, or all; `None` after a dry run.
pub fn run(
    app: &App,
    project: &Project,
    names: &[String],
    in_copy: bool,
    options: &TestOptions,
    tell: Tell<'_>,
) -> Result<Option<TestReport>, Failure> {
    let started = Instant::now();
    let system = &project.system;
    let suites = suites::chosen(system, names)?;
    let subjects = match in_copy {
        true => isolated::test(app, project, &suites, options, tell)?,
        false => {
            let mut engine = app.engine(system)?;
            let tools = BTreeSet::from([tests(system)?.image.clone()]);
            prepare(app, project, &mut engine, &tools, tell)?;
            suites::all(app, system, &mut engine, &suites, options, tell)?
        }
    };
    if app.settings.dry_run {
        return Ok(None);
    }
    let elapsed_ms = started.elapsed().as_millis() as u64;
    junit::report(&options.reports, subjects, Vec::new(), elapsed_ms).map(Some)
}
