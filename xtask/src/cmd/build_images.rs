//! `build-images`: every image built once, in parallel where the graph allows,
//! skipped when nothing that goes into it has changed.

use std::path::PathBuf;

use diagnostics::Failure;
use operations::work::{App, Scope, build, project::Project};

use super::finish::finish;
use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Images to build with their parents [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Build even what has not changed
    #[arg(long)]
    force: bool,
    /// Write a bill of materials (CycloneDX) for each image into this folder
    #[arg(long, value_name = "DIR")]
    sbom: Option<PathBuf>,
    /// Go on in spite of this finding of check-toolchain or check-gpu; may be repeated
    #[arg(long, value_name = "ID")]
    pub ignore: Vec<String>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let project = Project::open(app)?;
    let wanted = build::choose(&project.system, &args.images)?;
    let mut engine = app.engine(&project.system)?;
    let _alone = app.lock(&engine, &project.system, Scope::Images, "build-images")?;
    let ending = build::converge(app, &project, &mut engine, &wanted, args.force)?;
    if let Some(images) = finish(app, "build-images", ending)? {
        if let Some(folder) = &args.sbom {
            build::write_bills(&project, &wanted, folder)?;
        }
        show::images::show(&app.ui, &images);
    }
    Ok(())
}
