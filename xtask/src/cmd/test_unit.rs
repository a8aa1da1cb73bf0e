//! `test-unit`: each agent's own tests, in a container of the agent's image
//! with pytest beside it, several agents at a time.

use std::path::PathBuf;

use diagnostics::Failure;
use model::system::System;
use operations::work::{
    App,
    project::Project,
    test_results::{self, TestOptions},
    unit_tests,
};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Agents and groups [default: every agent that has tests]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    pub how: How,
}

/// How tests are run; shared with `test-integration`.
#[derive(Debug, clap::Args)]
pub struct How {
    /// Only tests whose names match, as pytest takes it: `route and not slow`
    #[arg(short = 'k', value_name = "EXPRESSION")]
    matching: Option<String>,
    /// Folder for JUnit reports [default: one below target/test-results]
    #[arg(long, value_name = "DIR")]
    junit: Option<PathBuf>,
    /// Go on in spite of this finding of check-toolchain or check-gpu; may be repeated
    #[arg(long, value_name = "ID")]
    pub ignore: Vec<String>,
    /// Further options for pytest
    #[arg(last = true, value_name = "OPTION")]
    pytest: Vec<String>,
}

impl How {
    /// The same for those who do not know the command line; `kind` of tests.
    pub fn plain(&self, system: &System, kind: &str) -> TestOptions {
        let mut pytest = self.pytest.clone();
        if let Some(expression) = &self.matching {
            pytest.extend(["-k".to_owned(), expression.clone()]);
        }
        let usual = || system.root.join("target/test-results").join(kind);
        TestOptions {
            pytest,
            reports: self.junit.clone().unwrap_or_else(usual),
        }
    }
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let project = Project::open_for_tests(app)?;
    let options = args.how.plain(&project.system, "unit");
    let tell = |news: test_results::News<'_>| show::tests::news(&app.ui, news);
    let report = unit_tests::run(app, &project, &args.names, &options, &tell)?;
    let Some(report) = report else { return Ok(()) };
    show::tests::show(&app.ui, "test-unit", &report);
    test_results::verdict(&report)
}
