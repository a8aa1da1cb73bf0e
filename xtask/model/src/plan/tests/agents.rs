//! Which steps an agent gets for what is observed of it.

use super::*;
use crate::{
    plan::{agents::gate, gpus::Gpus, state::Status},
    system::HealthContract,
};

#[test]
fn on_an_empty_engine_everything_is_created_at_once_and_started_in_order() {
    Case::new("one: A B(A); two<one: C").check(
        "0 A: create a (does not exist)
         1 B: create b (does not exist)
         2 C: create c (does not exist)
         3 A: start a after [0] (created)
         4 A: wait for 7001 after [3] (created) else stop a
         5 B: init b after [3, 1] (its turn comes next)
         6 B: start b after [4, 1] (created)
         7 B: wait for 7011 after [6] (created) else stop b
         8 C: init c after [3, 6, 2] (its turn comes next)
         9 C: start c after [4, 7, 2] (created)
         10 C: wait for 7021 after [9] (created) else stop c",
    );
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    let case = Case::deployed("one: A B(A); two<one: C");
    case.check("unchanged: A B C");
}

#[test]
fn a_changed_configuration_replaces_one_container_and_keeps_the_old_one() {
    let mut case = Case::deployed("one: A B(A)");
    case.reconfigure("A", 99);
    case.check(
        "0 A: create a-next (its configuration changed)
         1 A: stop a after [0] (its configuration changed)
         2 A: rename a to a-previous after [1] (its configuration changed) else start a
         3 A: rename a-next to a after [2] (its configuration changed) else rename a-previous to a, start a
         4 A: start a after [3] (its configuration changed) else remove a, rename a-previous to a, start a
         5 A: wait for 7001 after [4] (its configuration changed) else stop a, remove a, rename a-previous to a, start a
         6 A: remove a-previous after [5] (its successor is healthy)
         unchanged: B",
    );
}

#[test]
fn a_rebuilt_image_replaces_those_that_run_it() {
    let mut case = Case::deployed("one: A");
    case.rebuild_image();
    assert_eq!(case.plan().steps[0].cause, "its image changed");
    assert_eq!(case.plan().steps.len(), 7);
}

#[test]
fn what_another_checkout_has_deployed_is_replaced_when_that_is_asked_for() {
    let mut case = Case::deployed("one: A B");
    let manifest = std::path::PathBuf::from("/b/containers/system.toml");
    let labels = &mut case.container("a").labels;
    labels.insert(label::MANIFEST.into(), manifest.display().to_string());
    let found = elsewhere::by_path(&case.system, &case.world.state);
    assert_eq!(found, [("a".to_owned(), manifest)].into());
    case.world.state.elsewhere = found.clone();
    case.check("unchanged: A B");
    let touched = |case: &Case| elsewhere::touched(&case.world.state, &case.plan());
    assert_eq!(touched(&case), [].into());
    // To wait for an agent changes nothing.
    case.healthy("A", false);
    case.world.state.now_s = 0;
    assert_eq!(case.plan().steps.len(), 1);
    assert_eq!(touched(&case), [].into());
    elsewhere::take_over(&mut case.world.state);
    let plan = case.plan();
    assert_eq!(plan.steps[0].cause, "its configuration changed");
    assert!(plan.steps.iter().all(|step| step.subject == "A"));
    assert_eq!(touched(&case), found);
}

#[test]
fn both_changes_count_as_one() {
    let mut case = Case::deployed("one: A");
    case.rebuild_image();
    case.reconfigure("A", 99);
    assert_eq!(case.plan().steps[0].cause, "its configuration changed");
}

#[test]
fn replaced_agents_stop_only_when_what_they_need_is_healthy() {
    let mut case = Case::deployed("one: A B(A)");
    case.rebuild_image();
    let plan = case.plan();
    let stop_b = plan
        .steps
        .iter()
        .position(|step| words(&step.action) == "stop b");
    let gate_a = plan
        .steps
        .iter()
        .position(|step| words(&step.action) == "wait for 7001");
    let stop_b = &plan.steps[stop_b.expect("B is replaced")];
    assert!(stop_b.after.contains(&gate_a.expect("A is gated")));
}

#[test]
fn an_exited_container_is_started_again() {
    let mut case = Case::deployed("one: A B(A)");
    case.container("b").status = Status::Exited;
    case.container("b").exit_code = 3;
    case.healthy("B", false);
    case.check(
        "0 B: start b (has exited with code 3)
         1 B: wait for 7011 after [0] (has exited with code 3) else stop b
         unchanged: A",
    );
}

#[test]
fn a_container_that_was_only_created_is_started() {
    let mut case = Case::deployed("one: A");
    case.container("a").status = Status::Created;
    case.healthy("A", false);
    case.check(
        "0 A: start a (was created but not started)
         1 A: wait for 7001 after [0] (was created but not started) else stop a",
    );
}

#[test]
fn an_exited_container_of_another_configuration_is_replaced_without_a_stop() {
    let mut case = Case::deployed("one: A");
    case.container("a").status = Status::Exited;
    case.healthy("A", false);
    case.reconfigure("A", 99);
    case.check(
        "0 A: create a-next (its configuration changed)
         1 A: rename a to a-previous after [0] (its configuration changed) else start a
         2 A: rename a-next to a after [1] (its configuration changed) else rename a-previous to a, start a
         3 A: start a after [2] (its configuration changed) else remove a, rename a-previous to a, start a
         4 A: wait for 7001 after [3] (its configuration changed) else stop a, remove a, rename a-previous to a, start a
         5 A: remove a-previous after [4] (its successor is healthy)",
    );
}

#[test]
fn a_container_in_a_strange_state_is_made_anew() {
    let mut case = Case::deployed("one: A");
    case.container("a").status = Status::Other;
    case.healthy("A", false);
    case.check(
        "0 A: remove a (is neither running nor exited)
         1 A: create a after [0] (does not exist)
         2 A: start a after [1] (created)
         3 A: wait for 7001 after [2] (created) else stop a",
    );
}

#[test]
fn a_paused_container_goes_on() {
    let mut case = Case::deployed("one: A");
    case.container("a").status = Status::Paused;
    case.healthy("A", false);
    case.world.state.now_s += 10_000;
    case.check(
        "0 A: unpause a (is paused)
         1 A: wait for 7001 after [0] (was paused)",
    );
    case.reconfigure("A", 99);
    let replaced = text(&case.plan());
    assert!(
        replaced.starts_with(
            "0 A: unpause a (is paused)\n\
             1 A: create a-next after [0] (its configuration changed)\n\
             2 A: stop a after [1] (its configuration changed)\n"
        ),
        "{replaced}"
    );
}

/// podman before 4.4 forgets a container that is removed in the middle of a
/// stop, and leaves its processes running.
#[test]
fn a_stop_that_was_cut_short_is_done_to_the_end() {
    let mut case = Case::deployed("one: A");
    case.healthy("A", false);
    for (status, cause, so) in [
        (Status::Stopping, "is being stopped", "was being stopped"),
        (Status::Lost, "its process is gone", "its process is gone"),
    ] {
        case.container("a").status = status;
        case.check(&format!(
            "0 A: stop a ({cause})
             1 A: start a after [0] ({so})
             2 A: wait for 7001 after [1] ({so}) else stop a"
        ));
    }
    case.reconfigure("A", 99);
    case.container("a").status = Status::Stopping;
    case.check(
        "0 A: stop a (is being stopped)
         1 A: create a-next after [0] (its configuration changed)
         2 A: rename a to a-previous after [1] (its configuration changed) else start a
         3 A: rename a-next to a after [2] (its configuration changed) else rename a-previous to a, start a
         4 A: start a after [3] (its configuration changed) else remove a, rename a-previous to a, start a
         5 A: wait for 7001 after [4] (its configuration changed) else stop a, remove a, rename a-previous to a, start a
         6 A: remove a-previous after [5] (its successor is healthy)",
    );
}

#[test]
fn a_young_agent_that_does_not_answer_yet_is_waited_for() {
    let mut case = Case::deployed("one: A");
    case.healthy("A", false);
    case.world.state.now_s = case.container("a").started_at_s + 60;
    case.check("0 A: wait for 7001 (is running but has not answered)");
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_old() {
    let mut case = Case::deployed("one: A");
    case.healthy("A", false);
    case.world.state.now_s = 1;
    case.check("0 A: wait for 7001 (is running but has not answered)");
}

#[test]
fn what_waits_for_a_sick_agent_is_started_after_its_gate() {
    let mut case = Case::deployed("one: A B(A)");
    case.healthy("A", false);
    case.container("b").status = Status::Exited;
    case.healthy("B", false);
    case.check(
        "0 A: wait for 7001 (is running but has not answered)
         1 B: start b after [0] (has exited with code 0)
         2 B: wait for 7011 after [1] (has exited with code 0) else stop b",
    );
}

#[test]
fn in_the_order_of_dependencies_groups_do_not_wait_for_each_other() {
    let mut case = Case::new("one: A; two<one: B C(A)");
    case.request.order = Order::Dependencies;
    let waits = |case: &Case, start: &str| {
        let plan = case.plan();
        let step = plan.steps.iter().find(|step| words(&step.action) == start);
        step.expect("it is started").after.len()
    };
    assert_eq!((waits(&case, "start b"), waits(&case, "start c")), (1, 2));
    case.request.order = Order::Groups;
    assert_eq!((waits(&case, "start b"), waits(&case, "start c")), (2, 2));
}

#[test]
fn a_group_waits_for_those_before_the_ones_it_comes_after() {
    let mut case = Case::deployed("one: A; two<one: B; three<two: C");
    for name in ["a", "c"] {
        case.container(name).status = Status::Exited;
    }
    case.healthy("A", false);
    case.healthy("C", false);
    case.check(
        "0 A: start a (has exited with code 0)
         1 A: wait for 7001 after [0] (has exited with code 0) else stop a
         2 C: start c after [1] (has exited with code 0)
         3 C: wait for 7021 after [2] (has exited with code 0) else stop c
         unchanged: B",
    );
}

#[test]
fn the_settle_window_stands_behind_every_gate_and_before_the_clearing() {
    let mut case = Case::deployed("one: A B");
    case.reconfigure("A", 99);
    case.container("b").status = Status::Exited;
    case.healthy("B", false);
    case.request.settle_ms = 10_000;
    let text = text(&case.plan());
    let tail: Vec<&str> = text.lines().skip(6).collect();
    assert_eq!(
        tail,
        [
            "6 B: start b (has exited with code 0)",
            "7 B: wait for 7011 after [6] (has exited with code 0) else stop b",
            "8 system: settle 10000 ms [A B] after [5, 7] (all agents have answered)",
            "9 A: remove a-previous after [8] (its successor is healthy)",
        ]
    );
}

#[test]
fn with_nothing_to_do_there_is_nothing_to_settle() {
    let mut case = Case::deployed("one: A");
    case.request.settle_ms = 10_000;
    case.check("unchanged: A");
}

#[test]
fn keep_leaves_the_one_that_fails_its_gate_but_not_the_one_that_cannot_start() {
    let mut case = Case::deployed("one: A");
    case.reconfigure("A", 99);
    case.request.keep = true;
    let plan = case.plan();
    let [.., start, gate, _] = plan.steps.as_slice() else {
        panic!("{}", text(&plan));
    };
    assert_eq!((start.on_failure.len(), gate.on_failure.len()), (3, 0));
}

#[test]
fn recreate_replaces_what_is_as_it_should_be() {
    let mut case = Case::deployed("one: A B");
    case.recreate_all();
    case.request.agents = ["A".to_owned()].into();
    let plan = case.plan();
    assert_eq!(
        (plan.steps.len(), plan.steps[0].cause.as_str()),
        (7, "asked for")
    );
    case.world.apply_all(&plan);
    case.request.recreate.clear();
    case.check("unchanged: A");
}

#[test]
fn only_what_is_asked_for_is_touched() {
    let mut case = Case::new("one: A B(A); two<one: C(B) D");
    case.request.agents = ["A".to_owned(), "C".to_owned()].into();
    case.check(
        "0 A: create a (does not exist)
         1 C: create c (does not exist)
         2 A: start a after [0] (created)
         3 A: wait for 7001 after [2] (created) else stop a
         4 C: init c after [2, 1] (its turn comes next)
         5 C: start c after [3, 1] (created)
         6 C: wait for 7021 after [5] (created) else stop c",
    );
    case.request.agents.clear();
    case.check("");
}

#[test]
fn optional_agents_are_deployed_only_when_named() {
    let mut case = Case::with("one: A B(A)", &[("B", "optional = true")]);
    case.check(
        "0 A: create a (does not exist)
         1 A: start a after [0] (created)
         2 A: wait for 7001 after [1] (created) else stop a",
    );
    case.request.agents.insert("B".into());
    assert_eq!(case.plan().steps.len(), 7);
}

#[test]
fn a_gpu_is_used_where_there_is_one() {
    let devices = |policy: &str, gpu: bool| {
        let mut case = Case::with("one: A", &[("A", "gpu_count = 2"), ("one", policy)]);
        if gpu {
            case.world.state.gpus = Gpus::indexed(2);
        }
        let plan = case.plan();
        let Action::CreateContainer(spec) = &plan.steps[0].action else {
            panic!("{}", text(&plan));
        };
        (spec.devices.clone(), plan.warnings.len())
    };
    let both = || {
        ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]
            .map(str::to_owned)
            .to_vec()
    };
    assert_eq!(devices("gpu = \"auto\"", true), (both(), 0));
    assert_eq!(devices("gpu = \"auto\"", false), (Vec::new(), 1));
    assert_eq!(devices("gpu = \"required\"", true), (both(), 0));
    assert_eq!(devices("gpu = \"off\"", true), (Vec::new(), 0));
    assert_eq!(devices("gpu = \"off\"", false), (Vec::new(), 0));
}

#[test]
fn without_a_gpu_the_warning_names_the_agent() {
    Case::with("one: A", &[("A", "gpu_device = \"all\"")]).check(
        "0 A: create a (does not exist)
         1 A: start a after [0] (created)
         2 A: wait for 7001 after [1] (created) else stop a
         warning: A runs on the CPU: no NVIDIA CDI device on this host",
    );
}

#[test]
fn a_gpu_that_appears_replaces_the_container() {
    let mut case = Case::with("one: A", &[("A", "gpu_device = \"all\"")]).deploy();
    case.world.state.gpus = Gpus::from_names([("all".to_owned(), Default::default())]);
    assert_eq!(case.plan().steps[0].cause, "its configuration changed");
}

#[test]
fn an_agent_keeps_its_gpu_whoever_else_is_deployed() {
    let one = "gpu_count = 1";
    let mut case = Case::with("one: A B", &[("A", one), ("B", one)]);
    case.world.state.gpus = Gpus::indexed(2);
    case.request.agents = ["B".to_owned()].into();
    let plan = case.plan();
    let Action::CreateContainer(spec) = &plan.steps[0].action else {
        panic!("{}", text(&plan));
    };
    assert_eq!(spec.devices, ["nvidia.com/gpu=1"]);
    case = case.deploy();
    case.request.agents.insert("A".into());
    let plan = case.plan();
    let touched: Vec<&str> = plan
        .steps
        .iter()
        .map(|step| step.subject.as_str())
        .collect();
    assert_eq!(touched, ["A"; 3]);
}

#[test]
fn sharing_a_gpu_is_a_warning() {
    let one = "gpu_count = 1";
    let mut case = Case::with("one: A B", &[("A", one), ("B", one)]);
    case.world.state.gpus = Gpus::indexed(1);
    assert_eq!(case.plan().warnings, ["nvidia.com/gpu=0 is shared by A, B"]);
}

#[test]
fn optional_devices_are_passed_on_when_they_exist() {
    let device = "devices = [{ path = \"/dev/snd\", optional = true }]";
    let mut case = Case::with("one: A", &[("A", device)]);
    let devices = |case: &Case| match &case.plan().steps[0].action {
        Action::CreateContainer(spec) => spec.devices.clone(),
        other => panic!("{other:?}"),
    };
    assert!(devices(&case).is_empty());
    case.world.state.devices.insert("/dev/snd".into(), 29);
    assert_eq!(devices(&case), ["/dev/snd"]);
}

#[test]
fn the_gate_asks_what_the_manifest_says() {
    let lines =
        "host_health_port = 9001\nstart_timeout_s = 7\nstart_attempts = 5\nrestart = \"no\"";
    let case = Case::with(
        "one: A",
        &[("A", lines), ("A", "health_requests = [\"ping\"]")],
    );
    let plan = case.plan();
    let Action::Gate(gate) = &plan.steps[2].action else {
        panic!("{}", text(&plan));
    };
    assert_eq!((gate.host_health_port, gate.health_port), (9001, 7001));
    assert_eq!(
        (gate.timeout_ms, gate.attempts, gate.restarts),
        (7_000, 5, false)
    );
    let requests = vec!["ping".to_owned()];
    assert_eq!(gate.health, HealthContract::ZeroMq { requests });
}

/// Plans are printed as JSON, and agents are part of a system that can be.
#[test]
fn requests_have_their_place_in_json() {
    let case = Case::with("one: A", &[("A", "health_requests = [\"ping\", \"x\"]")]);
    let agent = case.system.agent("A").expect("of the sketch");
    let written = serde_json::to_string(&gate(agent)).expect("plain data");
    let expected = concat!(
        r#"{"agent":"A","container":"a","host_health_port":7001,"health_port":7001,"#,
        r#""requests":["ping","x"],"timeout_ms":60000,"attempts":2,"restarts":true,"#,
        r#""stop_timeout_s":5,"unanswered":"fail"}"#
    );
    assert_eq!(written, expected);
    let written = serde_json::to_string(agent).expect("plain data");
    let place = r#""host_health_port":7001,"health_requests":["ping","x"],"ip":"#;
    assert!(written.contains(place), "{written}");
}

#[test]
fn starts_name_the_ports_that_may_be_taken() {
    let case = Case::with("one: A B", &[("B", "publish = \"health\"")]);
    let ports: Vec<Vec<u16>> = case
        .plan()
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::StartContainer { host_ports, .. } => Some(host_ports.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(ports, [vec![7000, 7001], vec![7011]]);
}
