//! Ports and addresses that pass from one agent to another, agents that left the
//! manifest, and batches.

use super::*;
use crate::plan::state::Status;

impl Case {
    /// The two change their published ports.
    fn swap_ports(&mut self, one: &str, other: &str) {
        let ports = |case: &Case, name: &str| {
            let agent = case.system.agent(name).expect("known");
            (agent.host_port, agent.host_health_port)
        };
        let (first, second) = (ports(self, one), ports(self, other));
        for (name, ports) in [(one, second), (other, first)] {
            let agents = &mut self.system.agents;
            let agent = agents.iter_mut().find(|agent| agent.name == name);
            let agent = agent.expect("known");
            (agent.host_port, agent.host_health_port) = ports;
        }
    }

    /// The manifest of another sketch, on the engine as it is.
    fn becomes(mut self, sketch: &str, settings: &[(&str, &str)]) -> Self {
        let other = Case::with(sketch, settings);
        self.system = other.system;
        self.request = other.request;
        self
    }

    fn ends_at_rest(mut self) {
        let plan = self.plan();
        self.world.apply_all(&plan);
        self.request.prune = false;
        let again = self.plan();
        assert!(again.is_empty(), "{}", text(&again));
        assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    }
}

#[test]
fn a_port_is_released_before_it_is_taken_although_its_holder_comes_later() {
    let mut case = Case::deployed("one: A B(A)");
    case.swap_ports("A", "B");
    // B stops at once and not when A is healthy, which needs B's port. What is
    // stopped is started again by the way back, once all ports are free.
    case.check(
        "0 A: create a-next (its configuration changed)
         1 B: create b-next (its configuration changed)
         2 B: stop b after [1] (its port 7010 passes to A)
         3 A: stop a after [0] (its port 7000 passes to B)
         4 A: rename a to a-previous after [0, 3] (its configuration changed)
         5 A: rename a-next to a after [4] (its configuration changed)
         6 A: start a after [2, 5] (its configuration changed)
         7 A: wait for 7011 after [6] (its configuration changed)
         8 B: rename b to b-previous after [7, 1, 2] (its configuration changed)
         9 B: rename b-next to b after [8] (its configuration changed)
         10 B: start b after [3, 9] (its configuration changed)
         11 B: wait for 7001 after [10] (its configuration changed)
         12 A: remove a-previous after [7, 11] (its successor is healthy)
         13 B: remove b-previous after [7, 11] (its successor is healthy)",
    );
    case.ends_at_rest();
}

#[test]
fn an_agent_that_only_comes_along_cannot_be_robbed() {
    let mut case = Case::deployed("one: A B");
    case.swap_ports("A", "B");
    case.request.agents = BTreeSet::from(["A".to_owned()]);
    let held = PlanError::Held {
        agent: "A".into(),
        what: "port 7010".into(),
        container: "b".into(),
        by: "B".into(),
        orphan: false,
    };
    assert_eq!(case.errors(), [held]);
}

#[test]
fn what_left_the_manifest_is_told_and_removed_when_asked_for() {
    let mut case = Case::deployed("one: A B").becomes("one: A", &[]);
    let plan = case.plan();
    assert!(plan.is_empty(), "{}", text(&plan));
    assert!(
        plan.warnings[0].starts_with("B still runs (`b`)"),
        "{:?}",
        plan.warnings
    );
    case.request.prune = true;
    case.check(
        "0 B: stop b (the manifest no longer has it)
         1 B: remove b after [0] (the manifest no longer has it)
         unchanged: A",
    );
    case.ends_at_rest();
}

#[test]
fn a_renamed_agent_takes_its_own_port_over() {
    let mut case = Case::deployed("one: Old").becomes("one: New", &[]);
    let held = PlanError::Held {
        agent: "New".into(),
        what: "port 7000".into(),
        container: "old".into(),
        by: "Old".into(),
        orphan: true,
    };
    assert_eq!(case.errors(), [held]);
    case.request.prune = true;
    case.check(
        "0 New: create new (does not exist)
         1 Old: stop old (its port 7000 passes to New)
         2 New: start new after [0, 1] (created)
         3 New: wait for 7001 after [2] (created) else stop new
         4 Old: remove old after [3, 1] (the manifest no longer has it)",
    );
    case.ends_at_rest();
}

#[test]
fn a_group_is_replaced_in_batches_and_the_next_waits_for_the_whole_one_before() {
    let sketch = "one: A B C D E; two: F";
    let mut case = Case::with(sketch, &[("one", "max_unavailable = 2")]).deploy();
    case.rebuild_image();
    let plan = case.plan();
    let gate = |agent: &str| {
        let gates = |step: &Step| matches!(step.action, Action::Gate(_)) && step.subject == agent;
        plan.steps.iter().position(gates).expect("gated")
    };
    let stop_waits = |agent: &str| {
        let stops = |step: &&Step| {
            matches!(step.action, Action::StopContainer { .. }) && step.subject == agent
        };
        let stop = plan.steps.iter().find(stops).expect("stopped");
        let gates = stop.after.clone();
        let is_gate = |step: &usize| matches!(plan.steps[*step].action, Action::Gate(_));
        gates.into_iter().filter(is_gate).collect::<Vec<_>>()
    };
    assert!(stop_waits("A").is_empty() && stop_waits("B").is_empty() && stop_waits("F").is_empty());
    assert_eq!(stop_waits("C"), [gate("A"), gate("B")]);
    assert_eq!(stop_waits("D"), [gate("A"), gate("B")]);
    assert_eq!(stop_waits("E"), [gate("C"), gate("D")]);
}

#[test]
fn a_container_that_is_ready_is_started_and_makes_room_where_another_one_is_wanted() {
    let mut case = Case::deployed("one: A");
    case.container("a").status = Status::Initialized;
    case.healthy("A", false);
    case.check(
        "0 A: start a (was created but not started)
         1 A: wait for 7001 after [0] (was created but not started) else stop a",
    );
    case.reconfigure("A", 99);
    case.check(
        "0 A: remove a (was never started)
         1 A: create a after [0] (does not exist)
         2 A: start a after [1] (created)
         3 A: wait for 7001 after [2] (created) else stop a",
    );
}
