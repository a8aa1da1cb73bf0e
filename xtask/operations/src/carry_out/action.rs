//! Carries out one step: the call that its action stands for, and what undoes it
//! if that fails.

use std::{fs, time::Instant};

use model::plan::{Action, Step};

use super::{base::ensure_base, recoveries::start};
use crate::{
    carry_out::{
        gate::{self, GateError, Passed},
        report::{Reason, StepFailure, StepResult, Watch},
        settle,
        watcher::Watcher,
    },
    podman::{Engine, argv, inside, run::Call},
};

pub fn carry_out(
    engine: &Engine,
    watcher: &Watcher,
    step: &Step,
    say: &(dyn Fn(&str) + Sync),
    watch: &dyn Watch,
) -> StepResult {
    let started = Instant::now();
    let elapsed = || started.elapsed().as_millis() as u64;
    match run_action(engine, watcher, &step.action, say) {
        Ok(passed) => StepResult::Done {
            elapsed_ms: elapsed(),
            passed,
        },
        Err(mut reason) => {
            keep_evidence(engine, step, &mut reason, watch);
            let undone = step
                .on_failure
                .iter()
                .map(|action| run_action(engine, watcher, action, say).is_ok())
                .filter(|done| *done)
                .count();
            StepResult::Failed(StepFailure {
                reason,
                restored: !step.on_failure.is_empty() && undone == step.on_failure.len(),
            })
        }
    }
}

/// What is about to be undone can be looked at for the last time.
fn keep_evidence(engine: &Engine, step: &Step, reason: &mut Reason, watch: &dyn Watch) {
    match (reason, &step.action) {
        (Reason::Sick(sick), _) => {
            for sick in sick {
                sick.run = watch.keep_evidence(engine, &sick.agent, &sick.container);
            }
        }
        (Reason::Interrupted, _) => {}
        (_, Action::StartContainer { container, .. }) => {
            watch.keep_evidence(engine, &step.subject, container);
        }
        _ => {}
    }
}

pub fn run_action(
    engine: &Engine,
    watcher: &Watcher,
    action: &Action,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Option<Passed>, Reason> {
    let podman = &engine.podman;
    match action {
        Action::Gate(gate) => {
            return gate::pass(podman, watcher, gate, say)
                .map(Some)
                .map_err(|error| match error {
                    GateError::Sick(sick) => Reason::Sick(vec![*sick]),
                    GateError::Podman(error) => Reason::from(error),
                    GateError::Interrupted => Reason::Interrupted,
                });
        }
        Action::Settle { window_ms, gates } => {
            settle::settle(podman, *window_ms, gates, say).map_err(|error| match error {
                Ok(sick) => Reason::Sick(sick),
                Err(error) => Reason::from(error),
            })?;
        }
        Action::EnsureBase(base) => ensure_base(engine, base, say)?,
        Action::WriteFile { path, lines } => write_file(path, lines)?,
        Action::StartContainer {
            container,
            host_ports,
        } => {
            start(engine, action, container, host_ports)?;
        }
        Action::CreateSecret(secret) => {
            let args = argv::render(action, &engine.quirks).expect("it is one call");
            let value = podman
                .vault
                .input(&secret.name)
                .ok_or_else(|| Reason::File {
                    path: argv::secrets::origin(&secret.origin),
                    error: "its value has not been read".to_owned(),
                })?;
            podman.run(&Call::change(action.words().purpose, args).input(value))?;
        }
        Action::SmokeTest(test) => {
            let failures = inside::smoke_test(engine, test, say)?;
            if !failures.is_empty() {
                return Err(Reason::Imports(failures));
            }
        }
        Action::BuildImage(_) | Action::FetchPackages(_) => {
            let args = argv::render(action, &engine.quirks).expect("a build is one call");
            let call = Call::long(action.words().purpose, args);
            podman.run_with(&call, Some(say))?;
        }
        _ => {
            let args = argv::render(action, &engine.quirks).expect("the others are one call");
            podman.run(&Call::change(action.words().purpose, args))?;
        }
    }
    Ok(None)
}

pub fn write_file(path: &std::path::Path, lines: &[String]) -> Result<(), Reason> {
    let mut text = lines.join("\n");
    text.push('\n');
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Reason::File {
            path: path.display().to_string(),
            error: error.to_string(),
        })
}
