//! Taking down: in reverse order, only what is ours, and data only when asked.

use super::*;
use crate::plan::{
    down::{Remove, plan},
    state::{Container, ObservedNetwork, Status},
};

const ALL: Remove = Remove {
    networks: true,
    images: true,
    volumes: true,
};

#[track_caller]
fn check(case: &Case, agents: Option<&[&str]>, remove: Remove, expected: &str) {
    let agents = agents.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let plan = plan(&case.system, &case.world.state, agents.as_ref(), remove);
    assert_text(&plan, expected);
}

#[test]
fn agents_stop_before_what_they_depend_on() {
    let case = Case::deployed("one: A B(A); two<one: C");
    check(
        &case,
        None,
        Remove::default(),
        "0 C: stop c (is running)
         1 C: remove c after [0] (asked for)
         2 B: stop b after [0] (is running)
         3 B: remove b after [2] (asked for)
         4 A: stop a after [0, 2] (is running)
         5 A: remove a after [4] (asked for)",
    );
}

#[test]
fn a_group_in_between_that_does_not_run_keeps_the_order() {
    let mut case = Case::deployed("one: A; two<one: B; three<two: C");
    case.container("b").status = Status::Exited;
    check(
        &case,
        None,
        Remove::default(),
        "0 C: stop c (is running)
         1 C: remove c after [0] (asked for)
         2 B: remove b (asked for)
         3 A: stop a after [0] (is running)
         4 A: remove a after [3] (asked for)",
    );
}

#[test]
fn what_stands_between_running_and_stopped_is_stopped_before_it_is_removed() {
    let mut case = Case::deployed("one: A B(A) C(B)");
    case.container("a").status = Status::Lost;
    case.container("b").status = Status::Paused;
    case.container("c").status = Status::Stopping;
    check(
        &case,
        None,
        Remove::default(),
        "0 C: stop c (is being stopped)
         1 C: remove c after [0] (asked for)
         2 B: unpause b (is paused)
         3 B: stop b after [0, 2] (is running)
         4 B: remove b after [3] (asked for)
         5 A: stop a after [3] (its process is gone)
         6 A: remove a after [5] (asked for)",
    );
}

#[test]
fn what_is_left_of_a_creation_goes_too() {
    let mut case = Case::new("one: A B(A)");
    case.world.state.half_made = ["a-next", "b", "other"].map(str::to_owned).into();
    check(
        &case,
        None,
        Remove::default(),
        "0 A: remove a-next (its creation was cut short)
         1 B: remove b (its creation was cut short)",
    );
    check(
        &case,
        Some(&["B"]),
        Remove::default(),
        "0 B: remove b (its creation was cut short)",
    );
}

#[test]
fn only_the_named_agents_go() {
    let case = Case::deployed("one: A B(A)");
    check(
        &case,
        Some(&["A"]),
        Remove::default(),
        "0 A: stop a (is running)
         1 A: remove a after [0] (asked for)",
    );
    check(&case, Some(&[]), Remove::default(), "");
}

#[test]
fn marks_of_an_earlier_run_go_with_their_agent() {
    let mut case = Case::deployed("one: A");
    case.reconfigure("A", 99);
    let steps = case.plan().steps;
    case.world.apply(&steps[0].action);
    check(
        &case,
        Some(&["A"]),
        Remove::default(),
        "0 A: stop a (is running)
         1 A: remove a after [0] (asked for)
         2 A: remove a-next (asked for)",
    );
}

#[test]
fn agents_that_the_manifest_has_forgotten_go_too() {
    let mut case = Case::deployed("one: A B");
    case.system.agents.retain(|agent| agent.name == "A");
    check(
        &case,
        None,
        Remove::default(),
        "0 A: stop a (is running)
         1 A: remove a after [0] (asked for)
         2 B: stop b (is running)
         3 B: remove b after [2] (asked for)",
    );
}

#[test]
fn containers_of_others_stay() {
    let mut case = Case::new("one: A");
    let containers = &mut case.world.state.containers;
    containers.insert("a".into(), Container::default());
    let mut other = Container::default();
    other.labels.insert(label::SYSTEM.into(), "another".into());
    other.labels.insert(label::AGENT.into(), "A".into());
    containers.insert("theirs".into(), other);
    check(&case, None, Remove::default(), "");
}

#[test]
fn isolated_networks_stay_apart_when_another_one_is_left_empty() {
    let mut case = Case::deployed("one: A B");
    let state = &mut case.world.state;
    for name in ["net", "live", "other"] {
        let network = ObservedNetwork {
            isolated: name != "other",
            ..ObservedNetwork::default()
        };
        state.networks.insert(name.to_owned(), network);
    }
    let mut live = Container {
        status: Status::Running,
        networks: ["live".to_owned()].into(),
        ..Container::default()
    };
    state.containers.insert("foreign".into(), live.clone());
    let label = label::SYSTEM.to_owned();
    live.labels.insert(label, "another".into());
    for name in ["a", "b"] {
        case.container(name).networks = ["net".to_owned()].into();
    }
    let reloaded = |case: &Case, agents: &[&str]| {
        let agents = agents.iter().map(|name| (*name).to_owned()).collect();
        let plan = plan(
            &case.system,
            &case.world.state,
            Some(&agents),
            Remove::default(),
        );
        let last = words(&plan.steps.last().expect("a step").action);
        last.starts_with("reload").then_some(last)
    };
    let reload = Some("reload networks of live".to_owned());
    assert_eq!(reloaded(&case, &["A", "B"]), None, "none of ours is left");
    case.world.state.containers.insert("live".into(), live);
    assert_eq!(reloaded(&case, &["A", "B"]), reload);
    assert_eq!(reloaded(&case, &["A"]), None, "B is still there");
    case.container("b").status = Status::Exited;
    assert_eq!(reloaded(&case, &["A"]), reload);
    case.container("live").networks = ["other".to_owned()].into();
    assert_eq!(reloaded(&case, &["A"]), None, "nothing is left to isolate");
}

#[test]
fn the_rest_goes_when_asked_for_children_before_parents() {
    let mut case = Case::with(
        "one: A",
        &[("A", "mounts = [{ volume = \"logs\", target = \"/l\" }]")],
    );
    let networks =
        crate::plan::networks::plan(&case.system, &case.world.state, &["net".into()], false);
    case.world
        .apply_all(&networks.expect("nothing is in the way"));
    case.world
        .state
        .networks
        .insert("podman".into(), ObservedNetwork::default());
    case.world.state.volumes = ["demo-logs", "demo-other", "logs"]
        .map(str::to_owned)
        .into();
    let mut case = case.deploy();
    check(
        &case,
        None,
        ALL,
        "0 A: stop a (is running)
         1 A: remove a after [0] (asked for)
         2 net: remove network net after [1] (asked for)
         3 demo-code: remove image localhost/demo/demo-code:demo-code-1 after [1] (asked for)
         4 demo-code: remove image localhost/demo/demo-code:latest after [1, 3] (asked for)
         5 demo-base: remove image localhost/demo/demo-base:demo-base-1 after [1, 3, 4] (asked for)
         6 demo-base: remove image localhost/demo/demo-base:latest after [1, 3, 4, 5] (asked for)
         7 demo-logs: remove volume demo-logs after [1] (asked for)",
    );
    // One that an older version of this tool has bootstrapped.
    let base = case
        .world
        .state
        .images
        .get_mut("localhost/demo-base:latest");
    let labels = &mut base.expect("present").labels;
    labels.insert(label::SYSTEM.into(), "demo".into());
    let replaced = ["demo", "other"].map(str::to_owned);
    case.world.state.replaced.extend(replaced);
    let plan = plan(&case.system, &case.world.state, None, ALL);
    assert!(text(&plan).contains(
        "\n7 demo-base: remove image localhost/demo/demo-base:latest after [1, 3, 4, 5, 6] (asked for)\
         \n8 replaced images: prune images after [1, 3, 4, 5, 6, 7] (asked for)\n"
    ));
    case.world.apply_all(&plan);
    check(&case, None, ALL, "");
}

#[test]
fn an_image_of_that_name_that_is_not_ours_stays() {
    let mut case = Case::new("one: A");
    case.world
        .state
        .images
        .retain(|tag, _| tag.contains("demo-code"));
    for image in case.world.state.images.values_mut() {
        image.labels.clear();
    }
    check(&case, None, ALL, "");
}

#[test]
fn after_down_a_deployment_starts_afresh() {
    let mut case = Case::deployed("one: A B(A)");
    let plan = plan(&case.system, &case.world.state, None, Remove::default());
    case.world.apply_all(&plan);
    assert!(case.world.state.containers.is_empty());
    assert_eq!(case.plan().steps.len(), 7);
}
