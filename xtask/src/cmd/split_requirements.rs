//! `split-requirements`: from the monorepo's requirements files to one list and
//! one lock per image, or to the word that these are current.

use std::path::PathBuf;

use diagnostics::Failure;
use operations::work::{
    App,
    project::Project,
    split::{self, SplitRequest},
};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Requirements files [default: requirements.txt of the monorepo or of its main_pc_code]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder for lists and locks [default: requirements/ of this checkout]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the lists only
    #[arg(long, conflicts_with_all = ["upgrade", "upgrade_package"])]
    no_lock: bool,
    /// Change nothing; fail if lists or locks are not current: for CI, needs no network
    #[arg(long, conflicts_with_all = ["upgrade", "upgrade_package"])]
    check: bool,
    /// Show remarks, too
    #[arg(long)]
    all: bool,
    /// Lock the newest versions that the lists allow
    #[arg(long)]
    upgrade: bool,
    /// Lock the newest version of this package; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "upgrade")]
    upgrade_package: Vec<String>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let project = Project::open_without_locks(app)?;
    let request = SplitRequest {
        files: args.files.clone(),
        out: args.out.clone(),
        no_lock: args.no_lock,
        check: args.check,
        upgrade: args.upgrade,
        upgrade_package: args.upgrade_package.clone(),
    };
    let _alone = match args.check {
        true => None,
        false => app.lock_sources(&project.system, "split-requirements")?,
    };
    match split::split(app, &project, &request) {
        Ok((report, failure)) => {
            show::split::show(&app.ui, &report, args.all);
            failure.map_or(Ok(()), Err)
        }
        Err(unlocked) => {
            show::scan::show_findings(&app.ui, &unlocked.findings, false);
            Err(unlocked.failure)
        }
    }
}
