//! `test-integration`: scripts of tests in containers among the live agents,
//! on the backbone or in the place of a group's agent. `--isolated` deploys a
//! second copy of the system for them, and removes it whatever happens.

use diagnostics::Failure;
use operations::work::{App, integration_tests, project::Project, test_results};

use super::test_unit::How;
use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Suites of the manifest [default: all]
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// Deploy a second copy of the system, with networks, ports and volumes of
    /// its own, test that, and remove it
    #[arg(long)]
    isolated: bool,
    #[command(flatten)]
    pub how: How,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let project = Project::open_for_tests(app)?;
    let options = args.how.plain(&project.system, "integration");
    let tell = |news: test_results::News<'_>| show::tests::news(&app.ui, news);
    let (suites, in_copy) = (&args.suites, args.isolated);
    let report = integration_tests::run(app, &project, suites, in_copy, &options, &tell)?;
    let Some(report) = report else { return Ok(()) };
    show::tests::show(&app.ui, "test-integration", &report);
    test_results::verdict(&report)
}
