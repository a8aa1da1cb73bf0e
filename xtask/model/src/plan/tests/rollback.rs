//! After a failed roll-out the former set is back as a whole, whichever step
//! failed; and an agent that is slow to answer is not touched.

use super::*;
use crate::plan::{spec::hash_of_container, state::Status, step::Unanswered};

impl Case {
    /// The plan is carried out, but for step `broken` and what waits for it, and
    /// then the way back.
    fn fail_at(&mut self, broken: usize) -> Option<Plan> {
        let plan = self.plan();
        let done = self.world.apply_but(&plan, broken);
        let back = plan.rollback?;
        let back = back.plan(&|step| done[step], &|step| step == broken)?;
        self.world.apply_all(&back);
        Some(back)
    }

    /// Specification of each running container under the name of an agent.
    fn running(&self) -> Vec<(String, Option<String>)> {
        let containers = self.world.state.containers.iter();
        containers
            .filter(|(_, found)| found.running())
            .map(|(name, found)| (name.clone(), found.label(label::SPEC).map(str::to_owned)))
            .collect()
    }
}

#[test]
fn whichever_step_fails_the_containers_of_before_run_and_no_others() {
    let changes: [&dyn Fn(&mut Case); 3] = [
        &|case| {
            for agent in ["A", "B", "C"] {
                case.reconfigure(agent, 99);
            }
        },
        &|case| case.rebuild_image(),
        &|case| {
            // B takes a port of A's; C stays as it is.
            let ports: Vec<u16> = case
                .system
                .agents
                .iter()
                .map(|a| a.host_health_port)
                .collect();
            case.system.agents[0].host_health_port = ports[1];
            case.system.agents[1].host_health_port = ports[0];
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut deployed = Case::deployed("one: A B(A); two<one: C");
        let before = deployed.running();
        change(&mut deployed);
        deployed.request.settle_ms = 1;
        let plan = deployed.plan();
        let gates = |step: &Step| matches!(step.action, Action::Gate(_) | Action::Settle { .. });
        for broken in (0..plan.steps.len()).filter(|step| gates(&plan.steps[*step])) {
            let mut case = deployed.clone();
            case.fail_at(broken);
            let told = format!("change {number}, step {broken} of\n{}", text(&plan));
            assert_eq!(case.running(), before, "{told}");
            // And the next run goes forward again.
            let plan = case.plan();
            case.world.apply_all(&plan);
            for agent in &case.system.agents {
                let found = &case.world.state.containers[&agent.container];
                let wanted =
                    hash_of_container(&spec::container(&case.system, agent, &case.world.state));
                assert!(found.running(), "{told}");
                assert_eq!(found.label(label::SPEC), Some(wanted.as_str()), "{told}");
            }
            assert!(case.plan().is_empty(), "{told}");
        }
    }
}

#[test]
fn a_new_agent_that_fails_takes_nobody_back_but_one_that_ends_while_settling_does() {
    let deployed = || {
        let mut case = Case::deployed("one: A; two: B");
        case.world.state.containers.remove("b");
        case.healthy("B", false);
        case.reconfigure("A", 99);
        case.request.settle_ms = 1;
        case
    };
    let plan = deployed().plan();
    let position = |wanted: &dyn Fn(&Step) -> bool| plan.steps.iter().position(wanted);
    let gate_b = position(&|step| matches!(step.action, Action::Gate(_)) && step.subject == "B");
    assert!(deployed().fail_at(gate_b.expect("gated")).is_none());
    let settle = position(&|step| matches!(step.action, Action::Settle { .. }));
    let mut case = deployed();
    let back = case.fail_at(settle.expect("settles")).expect("goes back");
    let back = text(&back);
    for line in [
        "stop b",
        "stop a",
        "rename a-previous to a",
        "wait for 7001",
    ] {
        assert!(back.contains(line), "{line} in\n{back}");
    }
    assert!(!case.world.state.containers["b"].running());
}

#[test]
fn nothing_is_taken_back_unless_something_was_replaced_or_if_that_is_not_wanted() {
    let mut case = Case::new("one: A");
    case.request.settle_ms = 1;
    assert!(case.plan().rollback.is_none());
    let mut case = Case::deployed("one: A");
    case.reconfigure("A", 99);
    assert!(case.plan().rollback.is_some());
    case.request.go_back = false;
    assert!(case.plan().rollback.is_none());
    case.request.go_back = true;
    case.request.keep = true;
    assert!(case.plan().rollback.is_none());
}

#[test]
fn the_settle_window_covers_those_that_stay_as_they_are() {
    let mut case = Case::deployed("one: A B(A)");
    case.request.settle_ms = 5;
    assert!(case.plan().is_empty());
    case.reconfigure("A", 99);
    assert!(text(&case.plan()).contains("settle 5 ms [A B]"));
}

#[test]
fn an_agent_that_runs_and_is_silent_is_asked_for_longer_and_restarted_only_if_asked_for() {
    let mut case = Case::deployed("one: A");
    case.healthy("A", false);
    case.world.state.now_s += 100_000;
    for (restart_hung, unanswered) in [(false, Unanswered::Fail), (true, Unanswered::Restart)] {
        case.request.restart_hung = restart_hung;
        let plan = case.plan();
        let [
            Step {
                action: Action::Gate(gate),
                on_failure,
                ..
            },
        ] = plan.steps.as_slice()
        else {
            panic!("{}", text(&plan));
        };
        assert_eq!(gate.unanswered, unanswered);
        assert!(gate.timeout_ms >= 15_000, "{gate:?}");
        assert!(on_failure.is_empty(), "it is not stopped");
    }
    case.world.state.unhealthy.insert("A".to_owned());
    assert_eq!(case.plan().steps[0].cause, "says that it is not well");
    case.container("a").status = Status::Exited;
    assert_eq!(case.plan().steps[0].cause, "has exited with code 0");
}

/// Where ports pass from one agent to another, only all together can go back.
#[test]
fn an_interruption_in_a_hand_over_leaves_no_agent_down() {
    let mut deployed = Case::deployed("one: A B(A); two<one: C");
    let agents = &mut deployed.system.agents;
    let (first, second) = (agents[0].host_health_port, agents[1].host_health_port);
    (agents[0].host_health_port, agents[1].host_health_port) = (second, first);
    let plan = deployed.plan();
    for done in 0..=plan.steps.len() {
        let mut case = deployed.clone();
        let plan = case.plan();
        case.world.apply_and_cancel(&plan, done);
        let back = plan.rollback.expect("it goes back");
        if let Some(back) = back.plan_interrupted(&|step| step < done) {
            case.world.apply_all(&back);
        }
        let running = case.running();
        let names: Vec<&str> = running.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"], "interrupted after {done} steps");
    }
}
