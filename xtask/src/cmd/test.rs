//! `test`: all that CI runs, in the order in which failures are cheapest.

use diagnostics::{Failure, words::seconds};
use operations::work::{
    App,
    self_test::{self, SelfTest},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Install missing packages with the distribution's package manager
    #[arg(long)]
    install: bool,
    /// Leave out the tests on real podman
    #[arg(long)]
    quick: bool,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    match self_test::run(app, args.install, args.quick)? {
        SelfTest::Planned(lines) => lines.iter().for_each(|line| app.ui.out(line)),
        SelfTest::Passed(times) => {
            let times = times.iter();
            let times: Vec<String> = times
                .map(|(name, ms)| format!("{name} {}", seconds(*ms)))
                .collect();
            app.ui.out(times.join(", "));
            if args.quick {
                app.ui
                    .warn("the tests on real podman were left out (--quick)");
            }
        }
    }
    Ok(())
}
