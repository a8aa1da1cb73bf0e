//! `test`: all that CI runs, in the order in which failures are cheapest.

use std::time::Instant;

use xshell::{Shell, cmd};

use super::App;
use crate::{host::install, ui::Paint};
use diagnostics::{Exit, Failure, words::seconds};

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
    let system = app.system()?;
    let shell = Shell::new().map_err(|error| failed("shell", &error))?;
    shell.change_dir(&system.root);
    let steps = steps(args.quick);
    if app.global.dry_run {
        for (_, words) in &steps {
            app.ui.out(words.join(" "));
        }
        return Ok(());
    }
    if args.install && !args.quick {
        install::run(&app.cancel, &|line: &str| app.ui.note(line))?;
    }
    let mut times = Vec::new();
    for (name, words) in steps {
        let started = Instant::now();
        app.ui.note(
            app.ui
                .paint(Paint::Bold, &format!("== {name}: {}", words.join(" "))),
        );
        let (program, rest) = words.split_first().expect("steps name a program");
        // Tests of the command line must not see the settings of this run.
        cmd!(shell, "{program} {rest...}")
            .env_remove("AI_SYSTEM_MONOREPO")
            .quiet()
            .run()
            .map_err(|error| match app.cancel.requested() {
                // The step has seen the same Ctrl-C.
                true => Failure::interrupted(format!("stopped in {name}")),
                false => failed(name, &error),
            })?;
        times.push(format!(
            "{name} {}",
            seconds(started.elapsed().as_millis() as u64)
        ));
    }
    app.ui.out(times.join(", "));
    if args.quick {
        app.ui
            .warn("the tests on real podman were left out (--quick)");
    }
    Ok(())
}

/// Name and command line of every step.
fn steps(quick: bool) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut steps = vec![
        ("format", vec!["cargo", "fmt", "--all", "--check"]),
        (
            "lints",
            vec![
                "cargo",
                "clippy",
                "--quiet",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        ),
        // The repository's own lists, locks and agents: offline, in no time.
        (
            "requirements are current",
            vec!["cargo", "xtask", "split-requirements", "--check"],
        ),
        (
            "agents have what they import",
            vec!["cargo", "xtask", "scan", "--check"],
        ),
        // Unit tests, the tidy test and whole-binary tests on a fake podman.
        ("tests", vec!["cargo", "test", "--quiet", "--workspace"]),
    ];
    if !quick {
        // Ignored by plain `cargo test`: one asks the package index, the other
        // needs Python's test suite.
        for (name, package, filter) in [
            ("locks against the index", "xtask", "requirements::"),
            ("scanner against Python", "xtask-python", "oracle"),
        ] {
            let words = [
                "cargo",
                "test",
                "--quiet",
                "--package",
                package,
                filter,
                "--",
                "--ignored",
            ];
            steps.push((name, words.to_vec()));
        }
        // Ignored by plain `cargo test`, since they need podman and minutes.
        let engine = [
            "cargo",
            "test",
            "--workspace",
            "--test",
            "engine",
            "--",
            "--ignored",
            "--test-threads",
            "1",
            "--nocapture",
        ];
        steps.push(("engine tests", engine.to_vec()));
        // The agents' own, with what the manifest says of them.
        steps.push(("unit tests of agents", vec!["cargo", "xtask", "test-unit"]));
        let isolated = ["cargo", "xtask", "test-integration", "--isolated"];
        steps.push(("integration tests in a copy", isolated.to_vec()));
    }
    steps
}

fn failed(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Tests, format!("{name} failed: {error}"))
        .hint("the output above says where; `cargo xtask test --quick` leaves the slow ones out")
}
