//! Many agents, and the same plan for the same input.

#![expect(
    clippy::disallowed_methods,
    reason = "it is the tests that take the time"
)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::*;
use crate::plan::down;

/// Two hundred agents in four groups, each depending on the one before it and
/// on the group's first.
fn sketch() -> String {
    let group = |group: usize| {
        let agents: Vec<String> = (0..50)
            .map(|place| match place {
                0 => format!("G{group}A0"),
                1 => format!("G{group}A1(G{group}A0)"),
                _ => format!("G{group}A{place}(G{group}A{},G{group}A0)", place - 1),
            })
            .collect();
        let after = if group == 0 {
            String::new()
        } else {
            format!("<g{}", group - 1)
        };
        format!("g{group}{after}: {}", agents.join(" "))
    };
    (0..4).map(group).collect::<Vec<_>>().join("; ")
}

/// The best of a few, since other work may hold the cores.
fn best(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    (0..5).map(once).min().expect("five rounds")
}

#[test]
fn two_hundred_agents_are_planned_at_once() {
    const LIMIT: Duration = Duration::from_millis(100);
    let mut case = Case::new(&sketch());
    assert_eq!(case.plan().steps.len(), 799);
    let first = best(|| drop(case.plan()));
    assert!(first < LIMIT, "a first start takes {first:?}");
    case = case.deploy();
    assert_eq!(case.plan().unchanged.len(), 200);
    let nothing = best(|| drop(case.plan()));
    assert!(nothing < LIMIT, "nothing to do takes {nothing:?}");
    case.rebuild_image();
    let replace = best(|| drop(case.plan()));
    assert!(replace < LIMIT, "a replacement takes {replace:?}");
    let down = best(|| {
        drop(down::plan(
            &case.system,
            &case.world.state,
            None,
            down::Remove::default(),
        ))
    });
    assert!(down < LIMIT, "down takes {down:?}");
    let plan = case.plan();
    case.world.apply_all(&plan);
    assert!(case.plan().is_empty());
}

#[test]
fn the_same_input_gives_the_same_plan() {
    let case = Case::new(&sketch());
    assert_eq!(text(&case.plan()), text(&case.clone().plan()));
}

/// The engine lists things in an order of its own; maps take that away, and
/// this keeps anybody from changing them to lists.
#[test]
fn the_order_in_which_things_were_observed_does_not_matter() {
    let mut case = Case::deployed("one: A B(A) C; two<one: D(C)");
    case.reconfigure("B", 99);
    let expected = text(&case.plan());
    let pairs: Vec<_> = case.world.state.containers.clone().into_iter().collect();
    for turn in 0..pairs.len() {
        let mut turned = pairs.clone();
        turned.rotate_left(turn);
        case.world.state.containers = turned.into_iter().collect::<BTreeMap<_, _>>();
        assert_eq!(text(&case.plan()), expected);
    }
}

#[test]
fn the_order_of_the_manifest_only_breaks_ties() {
    let position = |sketch: &str, wanted: &str| {
        let plan = Case::new(sketch).plan();
        let found = plan
            .steps
            .iter()
            .position(|step| words(&step.action) == wanted);
        found.expect("it is there")
    };
    for sketch in ["one: A B(A) C(B)", "one: C(B) B(A) A", "one: B(A) C(B) A"] {
        let starts = ["start a", "start b", "start c"].map(|start| position(sketch, start));
        assert!(starts.is_sorted(), "{sketch}");
    }
    for sketch in ["one: A; two<one: B", "two<one: B; one: A"] {
        assert!(
            position(sketch, "start a") < position(sketch, "start b"),
            "{sketch}"
        );
    }
}
