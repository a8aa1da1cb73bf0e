//! `check-gpu`: driver, GPUs, CDI and GPU memory, and a container as proof.

use diagnostics::Failure;
use operations::work::{
    App,
    gpu::{self, GpuQuestion},
    toolchain,
};

use crate::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fail on a host without a GPU
    #[arg(long)]
    require: bool,
    /// First make the CDI specification anew: nvidia-ctk cdi generate (as root)
    #[arg(long)]
    fix: bool,
    /// Watch the agents' use of GPU memory for so long and propose `vram_mb`
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    learn: Option<u64>,
}

pub fn run(app: &App, args: &Args) -> Result<(), Failure> {
    let system = app.system()?;
    let question = GpuQuestion {
        require: args.require,
        fix: args.fix,
        learn_s: args.learn,
    };
    let report = gpu::check(app, &system, question)?;
    show::gpu::show(&app.ui, &report);
    toolchain::verdict(&report.findings)
}
