//! Which content an agent runs, and which content goes.

use std::collections::BTreeSet;

use super::*;

const POINTER: &str = "localhost/demo/demo-code:latest";

fn created(plan: &Plan) -> Vec<&str> {
    let created = plan.steps.iter().filter_map(|step| match &step.action {
        Action::CreateContainer(spec) => Some(spec.image.as_str()),
        _ => None,
    });
    created.collect()
}

#[test]
fn a_container_names_the_content_that_its_pointer_stands_for() {
    let mut case = Case::new("one: A");
    assert_eq!(
        created(&case.plan()),
        ["localhost/demo/demo-code:demo-code-1"]
    );
    case.build("demo-code-2");
    assert_eq!(
        created(&case.plan()),
        ["localhost/demo/demo-code:demo-code-2"]
    );
    // An image that has only the pointer may be anything that was built on ours.
    case.world
        .state
        .images
        .remove("localhost/demo/demo-code:demo-code-2");
    let missing = || PlanError::ImageMissing {
        agent: "A".into(),
        image: "demo-code".into(),
    };
    assert_eq!(case.errors(), [missing()]);
    // So may one that somebody has given the tag of another content.
    let other = case.world.state.images["localhost/demo/demo-code:demo-code-1"].clone();
    let moved = "localhost/demo/demo-code:demo-code-2".to_owned();
    case.world.state.images.insert(moved, other);
    assert_eq!(case.errors(), [missing()]);
}

#[test]
fn an_image_of_another_system_is_not_deployed() {
    let mut case = Case::new("one: A");
    let labels = &mut case
        .world
        .state
        .images
        .get_mut(POINTER)
        .expect("built")
        .labels;
    labels.insert(label::SYSTEM.into(), "other".into());
    let taken = |owner: Option<&str>| PlanError::ImageTaken {
        image: POINTER.into(),
        owner: owner.map(str::to_owned),
        system: "demo".into(),
    };
    assert_eq!(case.errors(), [taken(Some("other"))]);
    case.world
        .state
        .images
        .get_mut(POINTER)
        .expect("built")
        .labels
        .clear();
    assert_eq!(case.errors(), [taken(None)]);
}

#[test]
fn a_repair_without_new_images_keeps_those_that_containers_have() {
    let mut case = Case::deployed("one: A B");
    case.rebuild_image();
    case.request.keep_images = true;
    case.check("unchanged: A B");
    case.reconfigure("A", 99);
    case.world.state.containers.remove("b");
    let plan = case.plan();
    let (old, new) = ("demo-code-1", "demo-code-2");
    let tags = [old, new].map(|inputs| format!("localhost/demo/demo-code:{inputs}"));
    assert_eq!(created(&plan), tags);
    // One whose tags are gone is known by its id.
    case.world.state.images.retain(|tag, _| !tag.ends_with(old));
    assert_eq!(created(&case.plan()), ["id of demo-code", &tags[1]]);
}

#[test]
fn content_that_nobody_needs_goes_the_oldest_first() {
    let mut case = Case::deployed("one: A");
    for (inputs, created_s) in [
        ("demo-code-2", 30),
        ("demo-code-3", 20),
        ("demo-code-4", 40),
    ] {
        case.build(inputs);
        let tag = content_tag(&case.system, "demo-code", inputs);
        let image = case.world.state.images.get_mut(&tag).expect("built");
        image.created_s = created_s;
    }
    let strangers = ["localhost/other/demo-code:1", "localhost/demo-code:latest"];
    for tag in strangers {
        let image = case.world.state.images[POINTER].clone();
        case.world.state.images.insert(tag.into(), image);
    }
    let prune = |kept: &[&str]| {
        let kept: BTreeSet<String> = kept.iter().map(|tag| (*tag).to_owned()).collect();
        text(&crate::plan::images::prune(
            &case.system,
            &case.world.state,
            &kept,
        ))
    };
    // The first is what runs, the fourth what the pointer stands for.
    let cause = "(is in none of the last sets that were deployed)";
    let remove = |inputs: &str| format!("remove image localhost/demo/demo-code:demo-code-{inputs}");
    assert_eq!(
        prune(&[]),
        format!(
            "0 demo-code: {} {cause}\n1 demo-code: {} after [0] {cause}",
            remove("3"),
            remove("2")
        )
    );
    let kept = "localhost/demo/demo-code:demo-code-3";
    assert_eq!(
        prune(&[kept]),
        format!("0 demo-code: {} {cause}", remove("2"))
    );
}
