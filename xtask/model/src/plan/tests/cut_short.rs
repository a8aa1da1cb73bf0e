//! A run may end at any instruction. Whatever it leaves behind, the next run
//! brings the system to the manifest's state: one running container per agent
//! and nothing left over.

use super::*;
use crate::plan::{spec::hash_of_container, state::Status};

/// What of the running agents is healthy when the next run looks.
#[derive(Clone, Copy, PartialEq)]
enum Health {
    AsGated,
    All,
    None,
}

impl Case {
    /// Time passes, and the next run asks every agent for its health.
    fn look_again(&mut self, health: Health) {
        self.world.state.now_s += 3;
        let containers = &self.world.state.containers;
        let running = |agent: &&crate::system::Agent| {
            let found = containers.get(&agent.container);
            found.is_some_and(|found| found.running())
        };
        let agents = self.system.agents.iter().filter(running);
        match health {
            Health::AsGated => {}
            Health::All => self.world.state.healthy = agents.map(|a| a.name.clone()).collect(),
            Health::None => self.world.state.healthy.clear(),
        }
    }

    #[track_caller]
    fn converges(mut self, told: &str) {
        let plan = self.plan();
        self.world.apply_all(&plan);
        let state = &self.world.state;
        for agent in &self.system.agents {
            let found = state.containers.get(&agent.container);
            let found = found.unwrap_or_else(|| panic!("{told}: {} is gone", agent.name));
            let wanted = hash_of_container(&spec::container(&self.system, agent, state));
            assert!(found.running(), "{told}: {} does not run", agent.name);
            assert_eq!(found.label(label::SPEC), Some(wanted.as_str()), "{told}");
            assert!(state.healthy.contains(&agent.name), "{told}");
        }
        let count = (state.containers.len(), self.system.agents.len());
        assert_eq!(
            count.0, count.1,
            "{told}: left over in {:?}",
            state.containers
        );
        self.request.recreate.clear();
        let again = self.plan();
        assert!(again.is_empty(), "{told}: not at rest:\n{}", text(&again));
        assert_eq!(again.unchanged.len(), self.system.agents.len(), "{told}");
    }
}

/// Situations whose plans hold every kind of step.
fn situations(sketch: &str) -> Vec<(&'static str, Case)> {
    let replaced = || {
        let mut case = Case::deployed(sketch);
        for agent in case.request.agents.clone() {
            case.reconfigure(&agent, 99);
        }
        case
    };
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = replaced();
        change(&mut case);
        case
    };
    vec![
        ("first start", Case::new(sketch)),
        ("replacement", replaced()),
        ("new image", {
            let mut case = Case::deployed(sketch);
            case.rebuild_image();
            case
        }),
        ("recreation", {
            let mut case = Case::deployed(sketch);
            case.recreate_all();
            case
        }),
        (
            "replacement that settles",
            with(&|case| case.request.settle_ms = 1),
        ),
        (
            "replacement of an exited one",
            with(&|case| {
                case.container("a").status = Status::Exited;
                case.healthy("A", false);
            }),
        ),
        (
            "replacement of a sick one",
            with(&|case| case.healthy("A", false)),
        ),
        (
            "replacement of a paused one",
            with(&|case| {
                case.container("a").status = Status::Paused;
                case.healthy("A", false);
            }),
        ),
        (
            "replacement of one that is being stopped",
            with(&|case| {
                case.container("a").status = Status::Stopping;
                case.healthy("A", false);
            }),
        ),
        (
            "replacement of a lost one",
            with(&|case| {
                case.container("a").status = Status::Lost;
                case.healthy("A", false);
            }),
        ),
        (
            "replacement of one in a strange state",
            with(&|case| {
                case.container("a").status = Status::Other;
                case.healthy("A", false);
            }),
        ),
        ("one that is ready to start", {
            let mut case = Case::deployed(sketch);
            case.container("a").status = Status::Initialized;
            case.container("a").started_at_s = 0;
            case.healthy("A", false);
            case
        }),
        (
            "replacement of one that is ready to start",
            with(&|case| {
                case.container("a").status = Status::Initialized;
                case.container("a").started_at_s = 0;
                case.healthy("A", false);
            }),
        ),
        ("a paused one", {
            let mut case = Case::deployed(sketch);
            case.container("a").status = Status::Paused;
            case.healthy("A", false);
            case
        }),
        ("one that was being stopped", {
            let mut case = Case::deployed(sketch);
            case.container("a").status = Status::Stopping;
            case.healthy("A", false);
            case
        }),
        ("creations that were cut short", {
            let mut case = replaced();
            let names = ["a", "a-next", "b-previous", "b-next"];
            case.world.state.containers.remove("a");
            case.world.state.half_made = names.map(str::to_owned).into();
            case.healthy("A", false);
            case
        }),
        ("restart", {
            let mut case = Case::deployed(sketch);
            case.healthy("A", false);
            case.world.state.now_s += 1_000;
            case
        }),
    ]
}

#[test]
fn a_kill_after_any_step_is_repaired() {
    for (name, case) in situations("one: A B(A)") {
        let plan = case.plan();
        for done in 0..=plan.steps.len() {
            for health in [Health::AsGated, Health::All, Health::None] {
                let mut case = case.clone();
                plan.steps[..done]
                    .iter()
                    .for_each(|step| case.world.apply(&step.action));
                case.look_again(health);
                case.converges(&format!("{name}, killed after {done} steps"));
            }
        }
    }
}

#[test]
fn a_second_kill_is_repaired_too_even_after_another_change() {
    for (name, case) in situations("one: A") {
        let plan = case.plan();
        for done in 0..=plan.steps.len() {
            for (memory_mb, health) in [
                (99, Health::All),
                (77, Health::All),
                (77, Health::None),
                (512, Health::None),
            ] {
                let mut case = case.clone();
                plan.steps[..done]
                    .iter()
                    .for_each(|step| case.world.apply(&step.action));
                case.look_again(health);
                case.reconfigure("A", memory_mb);
                let second = case.plan();
                for more in 0..=second.steps.len() {
                    let mut case = case.clone();
                    second.steps[..more]
                        .iter()
                        .for_each(|step| case.world.apply(&step.action));
                    case.look_again(health);
                    case.converges(&format!(
                        "{name}, killed after {done}, {memory_mb} MB, then {more}"
                    ));
                }
            }
        }
    }
}

/// Steps run side by side, so what is done need not be a prefix of the plan.
#[test]
fn a_kill_in_any_order_of_steps_is_repaired() {
    let mut dice = Dice(7);
    for (name, case) in situations("one: A B(A)") {
        let plan = case.plan();
        for round in 0..60 {
            let mut case = case.clone();
            let mut done = vec![false; plan.steps.len()];
            for _ in 0..dice.roll(plan.steps.len() + 1) {
                let ready: Vec<usize> = (0..plan.steps.len())
                    .filter(|step| !done[*step])
                    .filter(|step| plan.steps[*step].ahead_of.is_none_or(|other| !done[other]))
                    .filter(|step| plan.steps[*step].after.iter().all(|other| done[*other]))
                    .collect();
                if ready.is_empty() {
                    break;
                }
                let step = ready[dice.roll(ready.len())];
                case.world.apply(&plan.steps[step].action);
                done[step] = true;
            }
            case.look_again(Health::AsGated);
            case.converges(&format!("{name}, round {round}: {done:?}"));
        }
    }
}

#[test]
fn a_failure_of_any_step_is_undone_and_then_repaired() {
    for (name, case) in situations("one: A B(A)") {
        let plan = case.plan();
        for broken in 0..plan.steps.len() {
            let mut case = case.clone();
            case.world.apply_but(&plan, broken);
            case.look_again(Health::AsGated);
            case.converges(&format!("{name}, step {broken} failed"));
        }
    }
}

/// Whatever ran before Ctrl-C runs after it: the old container or its successor.
#[test]
fn an_interruption_leaves_no_agent_down_that_ran() {
    for (name, case) in situations("one: A B(A)") {
        let plan = case.plan();
        let ran = |case: &Case| {
            let containers = case.world.state.containers.iter();
            let running = containers.filter(|(name, found)| found.running() && !name.contains('-'));
            running.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        for done in 0..=plan.steps.len() {
            let mut case = case.clone();
            let before = ran(&case);
            case.world.apply_and_cancel(&plan, done);
            let after = ran(&case);
            for container in before {
                assert!(
                    after.contains(&container),
                    "{name}: {container} after {done} steps"
                );
            }
            case.look_again(Health::AsGated);
            case.converges(&format!("{name}, interrupted after {done} steps"));
        }
    }
}

#[test]
fn a_failed_successor_leaves_the_old_container_running() {
    let mut case = Case::deployed("one: A B(A)");
    let old = case.container("a").labels.clone();
    case.reconfigure("A", 99);
    let plan = case.plan();
    for broken in 0..plan.steps.len() - 1 {
        let mut case = case.clone();
        case.world.apply_but(&plan, broken);
        let found = case.container("a");
        assert!(found.running(), "step {broken} failed");
        assert_eq!(found.labels, old, "step {broken} failed");
    }
}

#[test]
fn until_its_successor_is_healthy_the_old_container_exists() {
    let mut case = Case::deployed("one: A");
    let old = case.container("a").labels.clone();
    case.reconfigure("A", 99);
    let plan = case.plan();
    for step in &plan.steps {
        let kept = case
            .world
            .state
            .containers
            .values()
            .any(|found| found.labels == old);
        assert!(kept, "gone before {}", words(&step.action));
        case.world.apply(&step.action);
    }
    assert!(case.world.state.healthy.contains("A"));
}

/// The states that a replacement goes through, and what is done about each.
#[test]
fn every_state_in_between_has_its_repair() {
    let mut case = Case::deployed("one: A");
    case.reconfigure("A", 99);
    let plan = case.plan();
    let after = |done: usize| {
        let mut case = case.clone();
        plan.steps[..done]
            .iter()
            .for_each(|step| case.world.apply(&step.action));
        case
    };
    // a runs, a-next waits.
    assert!(text(&after(1).plan()).starts_with(
        "0 A: remove a-next (an earlier run was cut short)\n\
         1 A: create a-next after [0] (its configuration changed)\n\
         2 A: stop a after [1]"
    ));
    // a was stopped; if its successor fails it is started again.
    assert!(text(&after(2).plan()).starts_with(
        "0 A: remove a-next (an earlier run was cut short)\n\
         1 A: create a-next after [0] (its configuration changed)\n\
         2 A: rename a to a-previous after [1] (its configuration changed) else start a\n"
    ));
    // Only a-previous and a-next: the old one is taken back first.
    assert!(text(&after(3).plan()).starts_with(
        "0 A: remove a-next (an earlier run was cut short)\n\
         1 A: rename a-previous to a after [0] (an earlier run was cut short)\n\
         2 A: create a-next after [1] (its configuration changed)\n\
         3 A: rename a to a-previous after [2] (its configuration changed) else start a\n"
    ));
    // The successor has its name but was not started.
    after(4).check(
        "0 A: start a (was created but not started)
         1 A: wait for 7001 after [0] (was created but not started) else stop a, remove a, rename a-previous to a, start a
         2 A: remove a-previous after [1] (its successor is healthy)",
    );
    // The successor runs and has not answered.
    after(5).check(
        "0 A: wait for 7001 (is running but has not answered) else stop a, remove a, rename a-previous to a, start a
         1 A: remove a-previous after [0] (its successor is healthy)",
    );
    // The successor is healthy; only the clearing is left.
    after(6).check(
        "0 A: wait for 7001 (is healthy, but an earlier run was cut short) else stop a, remove a, rename a-previous to a, start a
         1 A: remove a-previous after [0] (its successor is healthy)",
    );
    after(7).check("unchanged: A");
}

#[test]
fn a_forgotten_successor_does_not_restart_a_healthy_agent() {
    let mut case = Case::deployed("one: A");
    case.reconfigure("A", 99);
    let first = case.plan().steps.remove(0);
    case.world.apply(&first.action);
    // The manifest's change is taken back, and much time goes by.
    case.reconfigure("A", 512);
    case.world.state.now_s += 10_000;
    case.check(
        "0 A: remove a-next (an earlier run was cut short)
         1 A: wait for 7001 after [0] (is healthy, but an earlier run was cut short)",
    );
}

#[test]
fn a_successor_that_hangs_gives_way_to_the_one_before() {
    let mut case = Case::deployed("one: A");
    case.reconfigure("A", 99);
    let plan = case.plan();
    plan.steps[..5]
        .iter()
        .for_each(|step| case.world.apply(&step.action));
    case.world.state.now_s += 10_000;
    case.check(
        "0 A: wait for 7001 (is running but has not answered) else stop a, remove a, rename a-previous to a, start a
         1 A: remove a-previous after [0] (its successor is healthy)",
    );
}

#[test]
fn of_two_unfinished_successors_the_last_healthy_one_is_kept() {
    let mut case = Case::deployed("one: A");
    case.reconfigure("A", 99);
    let plan = case.plan();
    plan.steps[..5]
        .iter()
        .for_each(|step| case.world.apply(&step.action));
    case.reconfigure("A", 77);
    let sick = text(&case.plan());
    assert!(
        sick.starts_with(
            "0 A: remove a (never became healthy)\n\
             1 A: rename a-previous to a after [0] (an earlier run was cut short)\n\
             2 A: create a-next after [1] (its configuration changed)\n"
        ),
        "{sick}"
    );
    case.healthy("A", true);
    let healthy = text(&case.plan());
    assert!(
        healthy.starts_with(
            "0 A: remove a-previous (its successor is healthy)\n\
             1 A: create a-next after [0] (its configuration changed)\n\
             2 A: stop a after [1]"
        ),
        "{healthy}"
    );
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % sides
    }
}
