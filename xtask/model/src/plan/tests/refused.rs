//! One agent cannot be deployed; the others are.

use super::*;
use crate::plan::refused::{self, Refused};

fn plan_of(case: &Case, unfit: Vec<PlanError>) -> Result<(Plan, Refused), Vec<PlanError>> {
    refused::plan(&case.system, &case.world.state, &case.request, unfit)
}

fn unfit(agent: &str) -> PlanError {
    PlanError::Unfit {
        agent: agent.into(),
        finding: "port-taken".into(),
        title: "its port is taken".into(),
        fix: "end the other one".into(),
    }
}

fn subjects(plan: &Plan) -> Vec<&str> {
    let mut subjects: Vec<&str> = plan.steps.iter().map(|step| &*step.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    subjects
}

fn foreign(case: &mut Case, name: &str) {
    let container = state::Container::default();
    case.world.state.containers.insert(name.into(), container);
}

#[test]
fn without_anything_wrong_the_plan_is_the_usual_one() {
    let case = Case::new("one: A B(A)");
    let (plan, refused) = plan_of(&case, Vec::new()).expect("a plan");
    assert_eq!(text(&plan), text(&case.plan()));
    assert!(refused.is_empty());
}

#[test]
fn a_foreign_container_stops_its_agent_and_what_depends_on_it() {
    let mut case = Case::new("one: A B(A) C(B) D; two<one: E");
    foreign(&mut case, "a");
    let (plan, refused) = plan_of(&case, Vec::new()).expect("a plan");
    assert_eq!(subjects(&plan), ["D", "E"]);
    let taken = PlanError::ContainerTaken {
        agent: "A".into(),
        container: "a".into(),
    };
    assert_eq!(refused.errors, [taken]);
    assert_eq!(refused.blocked_by("A"), ["B", "C"]);
    assert_eq!(refused.blocked_by("B"), ["C"]);
}

#[test]
fn what_runs_as_it_should_is_not_blocked() {
    let mut case = Case::deployed("one: A B(A) C");
    case.reconfigure("A", 99);
    case.reconfigure("C", 99);
    let (plan, refused) = plan_of(&case, vec![unfit("A")]).expect("a plan");
    assert_eq!(subjects(&plan), ["C"]);
    assert_eq!(plan.unchanged, ["B"]);
    assert_eq!(refused.errors, [unfit("A")]);
    assert!(refused.blocked.is_empty());
}

#[test]
fn with_nobody_left_there_is_no_plan() {
    let mut case = Case::new("one: A B(A)");
    foreign(&mut case, "a");
    let errors = plan_of(&case, vec![unfit("B")]).expect_err("nobody is left");
    assert_eq!(errors.len(), 2);
    assert_eq!(errors[0], unfit("B"));
}
