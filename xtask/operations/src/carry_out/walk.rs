//! Walks a plan: starts every step as soon as the steps it waits for have
//! succeeded, or what they make can be used, within a bound on parallel podman
//! calls.
//!
//! Invariant: no decision is made here. What to do, in which order, and how to
//! undo it all stands in the plan; this file only knows when a step may start.

use std::sync::mpsc;

use model::plan::{Action, Plan, Step};

use super::action::carry_out;
use crate::{
    carry_out::{
        report::{Event, Report, StepResult, Watch},
        watcher::Watcher,
    },
    podman::Engine,
};

/// Runs the plan with at most `slots` podman calls that change something at a
/// time. Gates hold no slot.
pub fn execute(engine: &Engine, plan: &Plan, slots: usize, watch: &dyn Watch) -> Report {
    let watcher = Watcher::default();
    std::thread::scope(|scope| {
        scope.spawn(|| watcher.run(&engine.podman));
        let (notes_in, notes) = mpsc::channel::<(usize, Stage)>();
        let mut stages: Vec<Stage> = plan.steps.iter().map(|_| Stage::Waits).collect();
        loop {
            let steps = plan.steps.iter().zip(&stages);
            let mut used = steps
                .filter(|(step, stage)| matches!(stage, Stage::Runs) && holds_slot(step))
                .count();
            for position in 0..plan.steps.len() {
                let step = &plan.steps[position];
                if !matches!(stages[position], Stage::Waits) {
                    continue;
                }
                match readiness(step, &stages) {
                    Readiness::Waits => continue,
                    Readiness::Blocked(by) => {
                        let result = StepResult::Blocked { by };
                        watch.event(position, step, Event::Ended(&result));
                        stages[position] = Stage::Ended(result);
                        continue;
                    }
                    Readiness::Ready => {}
                }
                if engine.podman.cancel.requested() {
                    stages[position] = Stage::Ended(StepResult::Cancelled);
                    continue;
                }
                if holds_slot(step) && used >= slots.max(1) {
                    continue;
                }
                used += usize::from(holds_slot(step));
                stages[position] = Stage::Runs;
                let (notes_in, watcher) = (notes_in.clone(), &watcher);
                scope.spawn(move || {
                    // The receiver lives until every step has reported its end.
                    let note = |stage| notes_in.send((position, stage)).unwrap_or_default();
                    watch.event(position, step, Event::Started);
                    let say = |line: &str| {
                        watch.event(position, step, Event::Progress(line));
                        if says_tagged(&step.action, line) {
                            note(Stage::Usable);
                        }
                    };
                    let result = carry_out(engine, watcher, step, &say, watch);
                    watch.event(position, step, Event::Ended(&result));
                    note(Stage::Ended(result));
                });
            }
            let alive = |stage: &Stage| matches!(stage, Stage::Runs | Stage::Usable);
            if !stages.iter().any(alive) {
                break;
            }
            let (position, stage) = notes.recv().expect("running steps hold the sender");
            stages[position] = stage;
        }
        watcher.end();
        Report {
            results: stages
                .into_iter()
                .map(|stage| match stage {
                    Stage::Ended(result) => result,
                    _ => StepResult::Cancelled,
                })
                .collect(),
        }
    })
}

/// How far a step has come.
pub enum Stage {
    Waits,
    Runs,
    /// What it makes can be used; what is left is cleaning up, which needs no
    /// slot.
    Usable,
    Ended(StepResult),
}

/// Whether a build's line of output says that its image has its tag.
///
/// buildah prints it before it removes its working container, which takes 8 s
/// for an image of 5 GB (buildah 1.28; imagebuildah/executor.go). A build that
/// does not say so is usable when it ends.
pub fn says_tagged(action: &Action, line: &str) -> bool {
    let Action::BuildImage(build) = action else {
        return false;
    };
    line.strip_prefix("Successfully tagged ") == Some(&build.tag)
}

pub enum Readiness {
    Ready,
    Waits,
    Blocked(usize),
}

pub fn readiness(step: &Step, stages: &[Stage]) -> Readiness {
    let mut ready = true;
    for earlier in &step.after {
        match &stages[*earlier] {
            Stage::Usable | Stage::Ended(StepResult::Done { .. }) => {}
            Stage::Ended(StepResult::Blocked { by }) => return Readiness::Blocked(*by),
            Stage::Ended(StepResult::Failed(_) | StepResult::Cancelled) => {
                return Readiness::Blocked(*earlier);
            }
            Stage::Waits | Stage::Runs => ready = false,
        }
    }
    if ready {
        Readiness::Ready
    } else {
        Readiness::Waits
    }
}

pub fn holds_slot(step: &Step) -> bool {
    !matches!(step.action, Action::Gate(_) | Action::Settle { .. })
}
