//! `build-images`: order, what is skipped, the sources of the base image, and
//! builds that fail.

use std::fs;

use crate::{fixture::Fixture, golden};

#[test]
fn a_first_build() {
    let fixture = Fixture::new();
    let outcome = fixture.run(&["build-images", "--jobs", "1"]).expect(0);
    golden::check("build_first", &fixture, &outcome);
    let again = fixture.run(&["build-images"]).expect(0);
    assert_eq!(again.changes(), [""; 0]);
    assert!(
        again.stdout.starts_with("images: 0 built, 5 unchanged"),
        "{}",
        again.stdout
    );
}

#[test]
fn only_what_has_changed_is_built() {
    let fixture = Fixture::built();
    let built = |fixture: &Fixture| -> Vec<String> {
        let outcome = fixture.run(&["build-images", "--jobs", "1"]).expect(0);
        let changes = outcome.changes();
        let tags = changes.iter().filter_map(|call| call.split(' ').nth(2));
        tags.map(|tag| tag.replace("localhost/", "").replace(":latest", ""))
            .collect()
    };
    fixture.write("repo/containers/monorepo/main_pc_code/agents/new.py", "x");
    assert_eq!(
        built(&fixture),
        ["trial-core-services", "trial-system-services"]
    );
    fixture.write("repo/requirements/audio.lock", "x");
    assert_eq!(built(&fixture), ["trial-audio", "trial-system-services"]);
    fixture.write("repo/containers/monorepo/readme", "not copied");
    assert_eq!(built(&fixture), [""; 0]);
}

#[test]
fn a_parent_rebuilt_by_hand_takes_its_children_along() {
    let fixture = Fixture::built();
    fixture.change_state(|state| {
        let images = state["images"].as_object_mut().expect("images");
        let core = images.values_mut().find(|image| {
            image["names"]
                .to_string()
                .contains("localhost/trial-core:latest")
        });
        core.expect("an image")["layers"] = serde_json::json!(["sha256:other"]);
    });
    let outcome = fixture.run(&["build-images", "--dry-run"]).expect(0);
    assert!(
        outcome.stdout.contains("its parent changed"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn no_more_builds_at_once_than_two() {
    let fixture = Fixture::new();
    let tool = fixture.tool(&["build-images"]).fail(&["build=slow:400"]);
    let outcome = tool.run().expect(0);
    assert_eq!(outcome.most_at_once(|call| call.starts_with("build ")), 2);
}

#[test]
fn a_first_pull_records_the_digest_and_the_next_asks_for_it() {
    let fixture = Fixture::built();
    let lock = fs::read_to_string(fixture.path("repo/containers/base.lock")).expect("a lock");
    let line = lock.lines().last().expect("a line");
    let (reference, pinned) = line.split_once(' ').expect("two words");
    assert_eq!(reference, "registry.example/python:3.11-slim");
    assert!(
        pinned.starts_with("registry.example/python@sha256:"),
        "{pinned}"
    );

    fixture.run(&["down", "--images"]).expect(0);
    // The base image does not carry our label; somebody else removes it.
    fixture.change_state(|state| state["images"] = serde_json::json!({}));
    let outcome = fixture.run(&["build-images"]).expect(0);
    outcome.position(&format!("pull --quiet {pinned}"));
    let again = fs::read_to_string(fixture.path("repo/containers/base.lock")).expect("a lock");
    assert_eq!(again, lock);
}

const NO_REGISTRY: &str = "pull=125:initializing source docker://registry.example/python:3.11-slim: pinging container registry registry.example: dial tcp: lookup registry.example: no such host";

#[test]
fn without_a_registry_the_base_is_bootstrapped() {
    let fixture = Fixture::new();
    let tool = fixture.tool(&["build-images", "--jobs", "1"]);
    let outcome = tool.fail(&[NO_REGISTRY]).run().expect(0);
    golden::check("build_bootstrap", &fixture, &outcome);
    assert!(!fixture.path("repo/containers/base.lock").exists());
    assert!(
        !fixture
            .path("cache/ai-system-xtask/trial-base.tar")
            .exists()
    );
}

#[test]
fn without_any_source_the_build_says_so() {
    let fixture = Fixture::new();
    fixture.script(
        "mmdebstrap",
        "echo 'E: cannot reach deb.example' >&2; exit 25",
    );
    let tool = fixture.tool(&["build-images", "--jobs", "1"]);
    let outcome = tool.fail(&[NO_REGISTRY]).run().expect(5);
    golden::check("build_no_base", &fixture, &outcome);

    fs::remove_file(fixture.path("bin/mmdebstrap")).expect("a script");
    let tool = fixture.tool(&["build-images", "--jobs", "1"]);
    let outcome = tool.fail(&[NO_REGISTRY]).run().expect(5);
    outcome.says("`cargo xtask up --install` installs mmdebstrap");
}

#[test]
fn a_full_disk() {
    let fixture = Fixture::new();
    let rule = "build localhost/trial-audio:latest=125:writing blob: storing blob: write /var/tmp/x: no space left on device";
    let tool = fixture.tool(&["build-images", "--jobs", "1"]);
    let outcome = tool.fail(&[rule]).run().expect(5);
    golden::check("build_full_disk", &fixture, &outcome);
}

#[test]
fn chosen_images_come_with_their_parents() {
    let fixture = Fixture::new();
    let outcome = fixture.run(&["build-images", "trial-audio"]).expect(0);
    let builds = outcome
        .changes()
        .iter()
        .filter(|call| call.starts_with("build "))
        .count();
    assert_eq!(builds, 2);
}
