//! Secrets of podman that follow the values of the manifest's: made before they are
//! needed, and removed when nothing can need them any more.

use super::*;
use crate::{
    plan::{
        down as take_down,
        secret::{NamedValue, ObservedSecret, SecretOrigin, secret_name},
        secrets::{create, refusals, remove_unused},
    },
    system::{SecretForm, SecretUse},
};

const DEFINITIONS: &str = "[secrets]\nKEY = { env = \"KEY\" }\nTHEIRS = { podman = \"theirs\" }\n";

/// `A` and `B` have the key, `B` podman's own one, too.
fn case() -> Case {
    let text = manifest(
        "one: A B C",
        &[
            ("A", "secrets = [\"KEY\"]"),
            (
                "B",
                "secrets = [\"KEY\", { secret = \"THEIRS\", env = \"X\" }]",
            ),
        ],
    );
    let mut case = Case::of(format!("{text}{DEFINITIONS}"));
    case.world
        .state
        .secrets
        .insert("theirs".into(), stranger("1"));
    case.value("KEY", "one");
    case
}

fn stranger(id: &str) -> ObservedSecret {
    ObservedSecret {
        id: id.into(),
        system: None,
    }
}

impl Case {
    /// The value of the secret has this version.
    fn value(&mut self, secret: &str, version: &str) {
        let wanted = SecretUse {
            secret: secret.into(),
            form: SecretForm::File(format!("/run/secrets/{secret}")),
        };
        let named = NamedValue {
            name: secret_name("demo", secret, version),
            origin: SecretOrigin::Env(secret.into()),
        };
        self.world.state.known.uses.insert(wanted, named);
    }

    /// What `deploy` makes of the planners.
    fn whole(&self) -> Plan {
        let (system, state) = (&self.system, &self.world.state);
        assert_eq!(refusals(system, state, &self.request.agents), []);
        let agents = self.plan();
        let mut plan = create(system, state, &agents);
        let created: Vec<usize> = (0..plan.steps.len()).collect();
        plan.append(agents, &created);
        remove_unused(system, state, &mut plan);
        plan
    }

    fn secrets(&self) -> Vec<&str> {
        self.world
            .state
            .secrets
            .keys()
            .map(String::as_str)
            .collect()
    }
}

#[test]
fn a_value_is_made_once_before_the_containers_that_have_it() {
    let mut case = case();
    let plan = case.whole();
    let made: Vec<String> = plan
        .steps
        .iter()
        .take(2)
        .map(|step| words(&step.action))
        .collect();
    assert_eq!(made, ["create secret demo-KEY-one", "create a"]);
    case.world.apply_all(&plan);
    assert_eq!(case.secrets(), ["demo-KEY-one", "theirs"]);
    assert!(case.whole().is_empty());
}

#[test]
fn a_changed_value_replaces_who_has_it_and_the_old_one_goes_last() {
    let mut case = case();
    case.world.apply_all(&case.whole());
    case.value("KEY", "two");
    let plan = case.whole();
    let created = plan.steps.iter().filter_map(|step| match &step.action {
        Action::CreateContainer(spec) => Some(spec.name.as_str()),
        _ => None,
    });
    assert_eq!(created.collect::<Vec<_>>(), ["a-next", "b-next"]);
    let last = plan.steps.last().expect("steps");
    assert_eq!(words(&last.action), "remove secret demo-KEY-one");
    assert_eq!(last.after.len(), plan.steps.len() - 1);
    // Whatever step fails, what then stands can be started.
    for broken in 0..plan.steps.len() {
        let mut world = case.world.clone();
        world.apply_but(&plan, broken);
        for (name, container) in &world.state.containers {
            let needed = container.label(label::SECRETS).unwrap_or_default();
            for secret in needed.split(',').filter(|secret| !secret.is_empty()) {
                assert!(
                    world.state.secrets.contains_key(secret),
                    "{broken}: {name} {secret}"
                );
            }
        }
    }
    case.world.apply_all(&plan);
    assert_eq!(case.secrets(), ["demo-KEY-two", "theirs"]);
    assert!(case.whole().is_empty());
}

#[test]
fn a_secret_that_another_agent_still_has_stays() {
    let mut case = case();
    case.world.apply_all(&case.whole());
    case.value("KEY", "two");
    case.request.agents = ["A".to_owned()].into();
    case.world.apply_all(&case.whole());
    assert_eq!(case.secrets(), ["demo-KEY-one", "demo-KEY-two", "theirs"]);
}

#[test]
fn podmans_own_secret_counts_by_its_id_and_is_left_alone() {
    let mut case = case();
    case.world.apply_all(&case.whole());
    case.world
        .state
        .secrets
        .insert("theirs".into(), stranger("2"));
    let plan = case.whole();
    let subjects: std::collections::BTreeSet<&str> = plan
        .steps
        .iter()
        .map(|step| step.subject.as_str())
        .collect();
    assert_eq!(subjects, ["B"].into());
    case.world.state.secrets.remove("theirs");
    let missing = PlanError::SecretMissing {
        agent: "B".into(),
        secret: "theirs".into(),
    };
    let asked = |case: &Case| refusals(&case.system, &case.world.state, &case.request.agents);
    assert_eq!(asked(&case), [missing]);
    case.request.agents = ["A".to_owned()].into();
    assert_eq!(asked(&case), []);
}

#[test]
fn a_secret_of_our_name_that_is_not_ours_is_not_used() {
    let mut case = case();
    case.world
        .state
        .secrets
        .insert("demo-KEY-one".into(), stranger("3"));
    let taken = |agent: &str| PlanError::SecretTaken {
        agent: agent.into(),
        secret: "demo-KEY-one".into(),
    };
    let errors = refusals(&case.system, &case.world.state, &case.request.agents);
    assert_eq!(errors, [taken("A"), taken("B")]);
}

#[test]
fn the_end_of_the_system_is_the_end_of_its_secrets() {
    let mut case = case();
    case.world.apply_all(&case.whole());
    let mut plan = take_down::plan(
        &case.system,
        &case.world.state,
        None,
        take_down::Remove::default(),
    );
    remove_unused(&case.system, &case.world.state, &mut plan);
    case.world.apply_all(&plan);
    assert_eq!(case.secrets(), ["theirs"]);
}
