//! Carries out one step: the call that its action stands for, and what undoes it
//! if that fails.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use model::plan::{Action, Step};

use super::{
    base::ensure_base,
    recoveries::{create, remove, start, stop},
};
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
    match guarded(|| run_action(engine, watcher, &step.action, say)) {
        Ok(passed) => StepResult::Done {
            elapsed_ms: elapsed(),
            passed,
        },
        Err(mut reason) => {
            // A display that panics must not keep anything from being undone.
            let keep = || keep_evidence(engine, step, &mut reason, watch);
            let _ = catch_unwind(AssertUnwindSafe(keep));
            let undone = undo(engine, watcher, &step.on_failure, say);
            StepResult::Failed(StepFailure {
                reason,
                restored: !step.on_failure.is_empty() && undone.is_ok(),
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

/// Does one after the other, up to the first that fails: the next would start
/// from another state than it was meant for.
pub fn undo(
    engine: &Engine,
    watcher: &Watcher,
    actions: &[Action],
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Reason> {
    actions
        .iter()
        .try_for_each(|action| guarded(|| run_action(engine, watcher, action, say)).map(drop))
}

/// A panic is a failure like others, so that what had been changed is undone.
fn guarded<T>(work: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Reason::Defect(
            words.unwrap_or_else(|| "a panic".to_owned()),
        ))
    })
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
            settle::settle(podman, watcher, *window_ms, gates, say).map_err(
                |error| match error {
                    Ok(sick) => Reason::Sick(sick),
                    Err(error) => Reason::from(error),
                },
            )?;
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
        Action::CreateContainer(spec) => create(engine, action, &spec.name, say)?,
        Action::StopContainer {
            container,
            timeout_s,
        } => stop(engine, action, container, *timeout_s)?,
        Action::RemoveContainer { container, pid } => {
            remove(engine, watcher, action, container, *pid)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_with_its_words() {
        let failed = |work: fn() -> Result<(), Reason>| match guarded(work) {
            Err(Reason::Defect(words)) => words,
            other => panic!("{other:?}"),
        };
        assert_eq!(failed(|| panic!("lost")), "lost");
        assert_eq!(failed(|| panic!("lost {}", 1)), "lost 1");
        assert!(matches!(
            guarded(|| Err::<(), _>(Reason::Interrupted)),
            Err(Reason::Interrupted)
        ));
    }
}
