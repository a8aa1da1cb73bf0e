//! When no plan can be made, and that all reasons come at once.

use super::*;
use crate::plan::spec::ContainerNet;

#[test]
fn a_missing_image_is_named_for_every_agent_that_needs_it() {
    let mut case = Case::new("one: A B");
    case.world
        .state
        .images
        .remove("localhost/demo/demo-code:latest");
    let missing = |agent: &str| PlanError::ImageMissing {
        agent: agent.into(),
        image: "demo-code".into(),
    };
    assert_eq!(case.errors(), [missing("A"), missing("B")]);
}

#[test]
fn a_missing_script_matters_only_to_those_who_ask_for_it() {
    let mut case = Case::new("one: A B");
    case.system.agents[1].script_missing = true;
    assert_eq!(
        case.errors(),
        [PlanError::NotImplemented {
            agent: "B".into(),
            script: "main_pc_code/agents/alpha.py".into()
        }]
    );
    case.request.agents.remove("B");
    assert_eq!(case.plan().steps.len(), 3);
}

#[test]
fn a_required_gpu_must_be_there() {
    let settings = [("A", "gpu_count = 1"), ("one", "gpu = \"required\"")];
    let case = Case::with("one: A B", &settings);
    assert_eq!(case.errors(), [PlanError::GpuMissing { agent: "A".into() }]);
}

#[test]
fn a_device_that_is_not_optional_must_be_there() {
    let mut case = Case::with("one: A", &[("A", "devices = [{ path = \"/dev/snd\" }]")]);
    assert_eq!(
        case.errors(),
        [PlanError::DeviceMissing {
            agent: "A".into(),
            device: "/dev/snd".into()
        }]
    );
    case.world.state.devices.insert("/dev/snd".into(), 29);
    assert_eq!(case.plan().steps.len(), 3);
}

#[test]
fn pods_are_refused_once_per_group() {
    let case = Case::with("one: A B", &[("one", "network_mode = \"pod\"")]);
    assert_eq!(
        case.errors(),
        [PlanError::PodMode {
            group: "one".into()
        }]
    );
}

#[test]
fn what_is_in_a_pod_is_not_taken_for_what_is_on_the_host() {
    let spec = |mode: &str| {
        let case = Case::with("one: A", &[("one", &format!("network_mode = \"{mode}\""))]);
        let agent = case.system.agent("A").expect("the sketch has it");
        spec::container(&case.system, agent, &case.world.state)
    };
    let (pod, host) = (spec("pod"), spec("host"));
    assert_eq!(pod.network, ContainerNet::Pod("demo-one".into()));
    assert_eq!(host.network, ContainerNet::Host);
    assert!(pod.publish.is_empty());
}

#[test]
fn a_container_of_somebody_else_is_not_touched() {
    let mut case = Case::new("one: A B");
    let foreign = state::Container::default();
    case.world.state.containers.insert("a".into(), foreign);
    let taken = || PlanError::ContainerTaken {
        agent: "A".into(),
        container: "a".into(),
    };
    assert_eq!(case.errors(), [taken()]);
    let labels = &mut case.container("a").labels;
    labels.insert(label::SYSTEM.into(), "another".into());
    labels.insert(label::AGENT.into(), "A".into());
    assert_eq!(case.errors(), [taken()]);
    case.container("a")
        .labels
        .insert(label::SYSTEM.into(), "demo".into());
    case.container("a")
        .labels
        .insert(label::AGENT.into(), "B".into());
    assert_eq!(case.errors(), [taken()]);
}

#[test]
fn a_foreign_container_under_a_name_in_between_stops_only_a_replacement() {
    for name in ["a-next", "a-previous"] {
        let mut case = Case::deployed("one: A");
        let foreign = state::Container::default();
        case.world.state.containers.insert(name.into(), foreign);
        case.check("unchanged: A");
        case.reconfigure("A", 99);
        assert_eq!(
            case.errors(),
            [PlanError::ContainerTaken {
                agent: "A".into(),
                container: name.into()
            }]
        );
        case.world.state.containers.remove("a");
        assert_eq!(
            case.plan().steps.len(),
            3,
            "a first start needs no such name"
        );
    }
}

#[test]
fn another_agent_whose_name_looks_like_a_mark_is_left_alone() {
    let mut case = Case::deployed("one: Foo FooNext FooPrevious");
    case.check("unchanged: Foo FooNext FooPrevious");
    case.recreate_all();
    let taken = |agent: &str, container: &str| PlanError::ContainerTaken {
        agent: agent.into(),
        container: container.into(),
    };
    assert_eq!(case.errors(), [taken("Foo", "foo-next")]);
}

#[test]
fn all_reasons_come_at_once() {
    let mut case = Case::with(
        "one: A; two: B",
        &[
            ("two", "network_mode = \"pod\""),
            ("A", "devices = [{ path = \"/dev/snd\" }]"),
        ],
    );
    case.world.state.images.clear();
    case.system.agents[1].script_missing = true;
    assert_eq!(case.errors().len(), 5);
}
