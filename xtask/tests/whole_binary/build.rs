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
    golden::check("build_second", &fixture, &again);
    // Neither is a container started to ask again what is in the images.
    assert!(again.calls().iter().all(|call| !call.starts_with("run ")));
}

#[test]
fn what_images_provide_is_asked_once_and_kept() {
    let fixture = Fixture::built();
    let kept = || {
        let folder = fs::read_dir(fixture.path("cache/ai-system-xtask")).expect("a cache");
        let names = folder.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        let mut kept: Vec<String> = names.filter(|name| name.starts_with("packages-")).collect();
        kept.sort();
        kept
    };
    assert_eq!(kept().len(), 2);
    for name in kept() {
        let below = format!("cache/ai-system-xtask/{name}");
        let text = fs::read_to_string(fixture.path(&below)).expect("a file");
        assert_eq!(text, "{\"yaml\":[\"PyYAML\"]}");
    }
    fixture.write(
        "repo/requirements/requirements.audio.lock",
        "numpy==2.0.0\n",
    );
    fixture.write("podman/inside", "nonsense");
    let outcome = fixture.run(&["build-images"]).expect(0);
    outcome.says("warning: failed to list the packages of localhost/trial/trial-audio:latest");
    assert_eq!(kept().len(), 2);
    fs::remove_file(fixture.path("podman/inside")).expect("it was there");
    let outcome = fixture.run(&["build-images"]).expect(0);
    assert_eq!(outcome.changes(), [""; 0]);
    assert_eq!(kept().len(), 3);
}

#[test]
fn bills_of_materials_are_the_same_each_time() {
    let fixture = Fixture::new();
    let bills = fixture.path("bills");
    let folder = bills.to_str().expect("a path");
    let read = |name: &str| fs::read_to_string(bills.join(name)).expect("a bill");
    fixture.run(&["build-images", "--sbom", folder]).expect(0);
    let first = read("trial-system-services.cdx.json");
    fixture.run(&["build-images", "--sbom", folder]).expect(0);
    assert_eq!(read("trial-system-services.cdx.json"), first);
    let bill: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let names = bill["components"].as_array().expect("a list");
    let names: Vec<&str> = names
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["audio-package", "core-package"]);
    assert!(
        !first.contains(&*fixture.path("").to_string_lossy()),
        "{first}"
    );
    assert_eq!(fs::read_dir(&bills).expect("a folder").count(), 4);
}

#[test]
fn only_what_has_changed_is_built() {
    let fixture = Fixture::built();
    let built = |fixture: &Fixture| -> Vec<String> {
        let outcome = fixture.run(&["build-images", "--jobs", "1"]).expect(0);
        let changes = outcome.changes();
        let builds = changes.iter().filter(|call| call.starts_with("build "));
        builds.map(|call| crate::tool::built(call)).collect()
    };
    fixture.write("repo/containers/monorepo/main_pc_code/agents/new.py", "x");
    assert_eq!(
        built(&fixture),
        ["trial-core-services", "trial-system-services"]
    );
    fixture.write(
        "repo/requirements/requirements.audio.lock",
        "librosa==0.11.0 --hash=sha256:00\n",
    );
    assert_eq!(built(&fixture), ["trial-audio", "trial-system-services"]);
    fixture.write("repo/containers/monorepo/readme", "not copied");
    assert_eq!(built(&fixture), [""; 0]);
}

#[test]
fn what_new_images_replace_goes_when_nothing_uses_it() {
    let fixture = Fixture::built();
    fixture.edit_manifest("[system]", "[system]\nkeep_images = 1");
    fixture.deploy().expect(0);
    let count = |names: &str| {
        let state = fixture.state();
        let images = state["images"].as_object().expect("images");
        let all = images.values().map(|image| image["names"].to_string());
        all.filter(|found| found.contains(names)).count()
    };
    let (nameless, services) = ("[]", "/trial-system-services:");
    let removals = |calls: Vec<String>| -> Vec<String> {
        let removes = |call: &String| call.starts_with("rmi ") || call.starts_with("image prune");
        calls.into_iter().filter(removes).collect()
    };
    let lock = "repo/requirements/requirements.audio.lock";
    // What agents run in stays, with the image below it.
    fixture.write(lock, "librosa==0.11.0 --hash=sha256:00\n");
    let would = fixture.run(&["build-images", "--dry-run"]).expect(0);
    let done = removals(fixture.run(&["build-images"]).expect(0).changes());
    assert!(
        done[0].starts_with("rmi localhost/trial/trial-audio:"),
        "{done:?}"
    );
    let prune = "image prune --force --filter label=ai-system.system=trial";
    assert_eq!(done[1..], [prune]);
    for call in &done {
        let call = call.replace(
            "label=ai-system.system=trial",
            "'label=ai-system.system=trial'",
        );
        assert!(would.stdout.contains(&call), "{}", would.stdout);
    }
    assert_eq!((count(nameless), count(services)), (1, 2));
    // Once other ones have been deployed, it goes.
    fixture.deploy().expect(0);
    fixture.write("repo/containers/monorepo/main_pc_code/agents/new.py", "x");
    fixture.run(&["build-images"]).expect(0);
    assert_eq!((count(nameless), count(services)), (0, 2));
    // That old images stay is no reason to fail.
    fixture.write(lock, "librosa==0.11.0 --hash=sha256:02\n");
    let tool = fixture.tool(&["build-images"]);
    let outcome = tool
        .fail(&["rmi=125:device or resource busy"])
        .run()
        .expect(0);
    outcome.says("warning: failed to remove the image `localhost/trial/trial-audio:");
    fixture.run(&["down", "--images"]).expect(0);
    assert_eq!((count(nameless), count("/trial/")), (0, 0));
}

#[test]
fn a_parent_rebuilt_by_hand_takes_its_children_along() {
    let fixture = Fixture::built();
    fixture.change_state(|state| {
        let images = state["images"].as_object_mut().expect("images");
        let core = images.values_mut().find(|image| {
            image["names"]
                .to_string()
                .contains("localhost/trial/trial-core:latest")
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

/// Its image is there, and nothing is built on it until they do.
#[test]
fn packages_that_do_not_import_fail_the_build_each_time_until_they_do() {
    let fixture = Fixture::new();
    fixture.write("podman/broken", "audio-package");
    let outcome = fixture.run(&["build-images", "--jobs", "1"]).expect(5);
    golden::check("build_broken_package", &fixture, &outcome);
    let results = |code: i32| -> Vec<String> {
        let outcome = fixture
            .run(&["build-images", "--format", "json"])
            .expect(code);
        let report = outcome.json();
        let images = report["images"].as_array().expect("images").iter();
        let result = |image: &serde_json::Value| format!("{} {}", image["name"], image["result"]);
        let built = |call: &String| call.starts_with("build ");
        let told = images.map(|image| result(image).replace('"', ""));
        told.chain(
            outcome
                .changes()
                .into_iter()
                .filter(built)
                .map(|_| "build".into()),
        )
        .collect()
    };
    let (sound, broken) = ("trial-core unchanged", "trial-audio failed");
    let rest = [
        "trial-core-services unchanged",
        "trial-system-services blocked",
    ];
    assert_eq!(
        results(5),
        [&["trial-base unchanged", sound, broken][..], &rest].concat()
    );
    fixture.deploy().expect(5).says("trial-system-services");
    fs::remove_file(fixture.path("podman/broken")).expect("it was there");
    let broken = "trial-audio unchanged";
    let rest = [
        "trial-core-services unchanged",
        "trial-system-services built",
        "build",
    ];
    assert_eq!(
        results(0),
        [&["trial-base unchanged", sound, broken][..], &rest].concat()
    );
    let again = fixture.run(&["build-images"]).expect(0);
    assert!(again.calls().iter().all(|call| !call.starts_with("run ")));
}

/// An image of a version that had one tag for each image is taken over.
#[test]
fn images_of_older_versions_get_the_new_tags() {
    let fixture = Fixture::built();
    fixture.change_state(|state| {
        for image in state["images"]
            .as_object_mut()
            .expect("images")
            .values_mut()
        {
            let name = image["names"]
                .as_array()
                .expect("names")
                .iter()
                .find_map(|name| {
                    let name = name.as_str()?.strip_prefix("localhost/trial/")?;
                    Some(format!("localhost/{}:latest", name.split(':').next()?))
                });
            if let Some(name) = name {
                image["names"] = serde_json::json!([name]);
            }
        }
    });
    let outcome = fixture.run(&["build-images"]).expect(0);
    let changes = outcome.changes();
    assert!(
        changes.iter().all(|call| call.starts_with("tag ")),
        "{changes:?}"
    );
    assert_eq!(changes.len(), 10);
    assert_eq!(fixture.run(&["build-images"]).expect(0).changes(), [""; 0]);
}

/// Tests build what they run in; what is deployed next stays.
#[test]
fn tests_move_pointers_of_their_own() {
    let fixture = Fixture::built();
    fixture.edit_manifest("[system]", "[system]\nkeep_images = 1");
    fixture.deploy().expect(0);
    let tests = "repo/containers/monorepo/main_pc_code/tests/test_twin.py";
    fixture.write(tests, "");
    fixture.edit_manifest(
        "agents.SystemDigitalTwin]",
        "agents.SystemDigitalTwin]\nunit_tests = [\"main_pc_code/tests/test_twin.py\"]",
    );
    let file = fixture.path("repo/containers/system.toml");
    let text = fs::read_to_string(&file).expect("a manifest");
    let tables = "\n[tests]\nimage = \"trial-core\"\ncode = [\"main_pc_code/tests\"]\n";
    fs::write(&file, text + tables).expect("a manifest");
    fixture.write("repo/containers/monorepo/main_pc_code/agents/new.py", "x");
    let outcome = fixture.run(&["test-unit"]).expect(0);
    let made = |outcome: &crate::tool::Outcome, verb: &str| {
        let changes = outcome.changes().into_iter();
        changes
            .filter(|call| call.starts_with(verb))
            .collect::<Vec<_>>()
    };
    assert_eq!(made(&outcome, "build ").len(), 1);
    assert!(
        made(&outcome, "tag ")
            .iter()
            .all(|call| call.ends_with(":test"))
    );
    let would = fixture.run(&["deploy", "--dry-run"]).expect(0);
    assert!(would.stdout.contains("nothing to do"), "{}", would.stdout);
    // The same content is not built twice.
    let outcome = fixture
        .run(&["build-images", "trial-core-services"])
        .expect(0);
    assert_eq!(made(&outcome, "build "), [""; 0]);
    let would = fixture.run(&["deploy", "--dry-run"]).expect(0);
    assert!(
        would.stdout.contains("its image changed"),
        "{}",
        would.stdout
    );
    let would = fixture
        .run(&["deploy", "--dry-run", "--no-new-images"])
        .expect(0);
    assert!(would.stdout.contains("nothing to do"), "{}", would.stdout);
}

#[test]
fn an_image_of_another_system_is_neither_deployed_nor_built_over() {
    let fixture = Fixture::built();
    fixture.change_state(|state| {
        for image in state["images"]
            .as_object_mut()
            .expect("images")
            .values_mut()
        {
            if image["names"].to_string().contains("/trial-core-services:") {
                image["labels"]["ai-system.system"] = "other".into();
            }
        }
    });
    for command in ["deploy", "build-images"] {
        let outcome = fixture.run(&[command]).expect(11);
        assert_eq!(outcome.changes(), [""; 0]);
        outcome.says("has the name of one of `trial` and belongs to the system `other`");
    }
}

/// What was found to import is kept beside the images, not in them.
#[test]
fn images_that_were_not_tried_are_tried_and_not_built() {
    let fixture = Fixture::built();
    let cache = fs::read_dir(fixture.path("cache/ai-system-xtask")).expect("a cache");
    let kept = cache.map(|entry| entry.expect("an entry").path());
    let sound = |path: &std::path::PathBuf| path.to_string_lossy().contains("/sound-");
    let kept: Vec<_> = kept.filter(sound).collect();
    assert_eq!(kept.len(), 2);
    kept.iter()
        .for_each(|path| fs::remove_file(path).expect("a file"));
    let outcome = fixture.run(&["build-images", "--jobs", "1"]).expect(0);
    golden::check("build_untried", &fixture, &outcome);
    let tried = |call: &&String| call.starts_with("run ") && call.contains("-package");
    assert_eq!(outcome.calls().iter().filter(tried).count(), 2);
}

#[test]
fn no_more_builds_at_once_than_two() {
    let fixture = Fixture::new();
    let tool = fixture.tool(&["build-images"]).fail(&["build=slow:400"]);
    let outcome = tool.run().expect(0);
    assert_eq!(outcome.most_at_once(|call| call.starts_with("build ")), 2);
}

/// Once an image has its tag, podman only cleans up: that holds up nobody.
#[test]
fn what_stands_on_an_image_does_not_wait_for_podman_to_clean_up() {
    let most_at_once = |rule: &str| {
        let fixture = Fixture::new();
        let tool = fixture.tool(&["build-images", "--jobs", "1"]).fail(&[rule]);
        let outcome = tool.run().expect(0);
        outcome.most_at_once(|call| call.starts_with("build "))
    };
    let core = "build localhost/trial/trial-core:*";
    assert_eq!(most_at_once(&format!("{core}=slow-after:1000")), 2);
    assert_eq!(most_at_once(&format!("{core}=slow:1000")), 1);
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
    let rule = "build localhost/trial/trial-audio:*=125:writing blob: storing blob: write /var/tmp/x: no space left on device";
    let tool = fixture.tool(&["build-images", "--jobs", "1"]);
    let outcome = tool.fail(&[rule]).run().expect(5);
    golden::check("build_full_disk", &fixture, &outcome);
}

#[test]
fn chosen_images_come_with_their_parents() {
    let fixture = Fixture::new();
    let outcome = fixture.run(&["build-images", "trial-audio"]).expect(0);
    let changes = outcome.changes();
    let builds = changes.iter().filter(|call| call.starts_with("build "));
    let built: Vec<String> = builds.map(|call| crate::tool::built(call)).collect();
    assert!(built.contains(&"trial-core".to_owned()), "{built:?}");
    // While its parent is built, the packages of the other are fetched.
    assert!(built.contains(&"trial-fetched".to_owned()), "{built:?}");
    assert_eq!(built.last().map(String::as_str), Some("trial-audio"));
    assert_eq!(built.len(), 3);
}
