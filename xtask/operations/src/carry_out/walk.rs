//! Walks a plan: starts every step as soon as the steps it waits for have
//! succeeded, or what they make can be used, within a bound on parallel podman
//! calls.
//!
//! Invariant: no decision is made here. What to do, in which order, and how to
//! undo it all stands in the plan; this file only knows when a step may start.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, Sender},
    thread::Builder,
};

use model::plan::{Action, Plan, Step};

use super::action::{carry_out, undo};
use crate::{
    carry_out::{
        report::{Event, Report, StepResult, Watch},
        watcher::Watcher,
    },
    podman::{Engine, observe},
};

/// Runs the plan with at most `slots` podman calls that change something at a
/// time. Gates hold no slot. Neither a panic of a step nor a thread that cannot
/// be started keeps the rest from its end.
pub fn execute(engine: &Engine, plan: &Plan, slots: usize, watch: &dyn Watch) -> Report {
    let watcher = Watcher::default();
    let stages = std::thread::scope(|scope| {
        let _ends = EndsWatcher(&watcher);
        // Without a watcher an exit is seen when the gate's time is over.
        let _ = Builder::new().spawn_scoped(scope, || silenced(|| watcher.run(&engine.podman)));
        let walk = Walk {
            engine,
            plan,
            watcher: &watcher,
            watch,
        };
        let (notes_in, notes) = mpsc::channel::<(usize, Stage)>();
        let mut stages: Vec<Stage> = plan.steps.iter().map(|_| Stage::Waits).collect();
        loop {
            for (position, work) in walk.startable(&mut stages, slots) {
                let to = notes_in.clone();
                let job = move || walk.run(position, work, &to);
                if Builder::new().spawn_scoped(scope, job).is_err() {
                    // No more threads: one after the other, then.
                    walk.run(position, work, &notes_in);
                }
            }
            let alive = |stage: &Stage| matches!(stage, Stage::Runs | Stage::Usable);
            if !stages.iter().any(alive) {
                break stages;
            }
            // Whatever happens to a step, it says so in the end.
            let (position, stage) = notes.recv().expect("this thread holds a sender");
            stages[position] = stage;
        }
    });
    let results = stages.into_iter().map(|stage| match stage {
        Stage::Ended(result) => result,
        _ => StepResult::Cancelled,
    });
    let interrupted = engine.podman.cancel.requested();
    let look = || observe::containers(&engine.podman.undisturbed()).ok();
    Report {
        results: results.collect(),
        left: interrupted.then(look).flatten(),
    }
}

/// The watcher's thread has to end before the scope can, also after a panic.
struct EndsWatcher<'a>(&'a Watcher);

impl Drop for EndsWatcher<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What is started of a step.
#[derive(Debug, Clone, Copy)]
enum Work {
    Step,
    /// What undoes the steps before it, since it will not come.
    OnCancel,
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    engine: &'a Engine,
    plan: &'a Plan,
    watcher: &'a Watcher,
    watch: &'a dyn Watch,
}

impl Walk<'_> {
    /// Marks what is to be started now as running, and what will not be as ended.
    /// Starts and what else agents wait for come before creations ahead of time,
    /// and these before what is only of use ahead of another step.
    fn startable(&self, stages: &mut [Stage], slots: usize) -> Vec<(usize, Work)> {
        let steps = &self.plan.steps;
        let runs =
            |(step, stage): (&Step, &Stage)| matches!(stage, Stage::Runs) && holds_slot(step);
        let mut used = steps
            .iter()
            .zip(&*stages)
            .filter(|both| runs(*both))
            .count();
        let mut startable = Vec::new();
        let urgency = |step: &Step| match (&step.action, step.ahead_of) {
            (_, Some(_)) => 2,
            (Action::CreateContainer(_), None) => 1,
            _ => 0,
        };
        let mut waiting: Vec<usize> = (0..steps.len()).collect();
        waiting.retain(|position| matches!(stages[*position], Stage::Waits));
        waiting.sort_by_key(|position| urgency(&steps[*position]));
        for position in waiting {
            let step = &steps[position];
            let late = |other| !matches!(stages[other], Stage::Waits);
            if step.ahead_of.is_some_and(late) {
                stages[position] = Stage::Ended(StepResult::Spared);
                continue;
            }
            match readiness(step, stages) {
                Readiness::Waits => continue,
                Readiness::Blocked(_) if step.ahead_of.is_some() => {
                    stages[position] = Stage::Ended(StepResult::Spared);
                    continue;
                }
                Readiness::Blocked(by) => {
                    let result = StepResult::Blocked { by };
                    silenced(|| self.watch.event(position, step, Event::Ended(&result)));
                    stages[position] = Stage::Ended(result);
                    continue;
                }
                Readiness::Ready => {}
            }
            let cancelled = self.engine.podman.cancel.requested();
            if cancelled && step.on_cancel.is_empty() {
                stages[position] = Stage::Ended(StepResult::Cancelled);
                continue;
            }
            let runs = |(other, stage): (&Step, &Stage)| {
                matches!(stage, Stage::Runs) && other.alone == step.alone
            };
            let beside = step.alone.is_some() && steps.iter().zip(&*stages).any(runs);
            if beside || holds_slot(step) && used >= slots.max(1) {
                continue;
            }
            used += usize::from(holds_slot(step));
            stages[position] = Stage::Runs;
            startable.push((
                position,
                if cancelled {
                    Work::OnCancel
                } else {
                    Work::Step
                },
            ));
        }
        startable
    }

    /// Does it and tells how it ended, whatever happens.
    fn run(&self, position: usize, work: Work, notes: &Sender<(usize, Stage)>) {
        let (watch, step) = (self.watch, &self.plan.steps[position]);
        // The receiver lives until every step has reported its end.
        let note = |stage| notes.send((position, stage)).unwrap_or_default();
        let say = |line: &str| {
            silenced(|| watch.event(position, step, Event::Progress(line)));
            if says_tagged(&step.action, line) {
                note(Stage::Usable);
            }
        };
        let result = match work {
            Work::Step => {
                silenced(|| watch.event(position, step, Event::Started));
                match carry_out(self.engine, self.watcher, step, &say, watch) {
                    // The step that it was to make faster says what is wrong.
                    StepResult::Failed(_) if step.ahead_of.is_some() => StepResult::Spared,
                    result => result,
                }
            }
            Work::OnCancel => {
                let undone = undo(self.engine, self.watcher, &step.on_cancel, &say);
                StepResult::PutBack(undone.err())
            }
        };
        silenced(|| watch.event(position, step, Event::Ended(&result)));
        note(Stage::Ended(result));
    }
}

/// A display that panics, or whatever else nobody waits for, must not take the
/// step along. The panic's own words are on stderr.
fn silenced(work: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(work));
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
            Stage::Usable | Stage::Ended(StepResult::Done { .. } | StepResult::Spared) => {}
            Stage::Ended(StepResult::Blocked { by }) => return Readiness::Blocked(*by),
            Stage::Ended(
                StepResult::Failed(_) | StepResult::Cancelled | StepResult::PutBack(_),
            ) => {
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

#[cfg(test)]
mod tests;
