//! `test-unit` and `test-integration`: what is run where, and what becomes of
//! what containers say.

use std::fs;

use serde_json::Value;

use crate::{
    fixture::Fixture,
    tool::{Outcome, only_looks},
};

const TWIN: &str = "main_pc_code/agents/system-digital-twin.py\"";

/// Two agents with tests, one of them optional, and two suites.
pub fn fixture(deployed: bool) -> Fixture {
    let fixture = if deployed {
        Fixture::deployed()
    } else {
        Fixture::built()
    };
    for file in ["test_twin.py", "test_llama.py", "test_all.py"] {
        fixture.write(
            &format!("repo/containers/monorepo/main_pc_code/tests/{file}"),
            "",
        );
    }
    fixture.edit_manifest(
        "code = [\"main_pc_code\"]\n",
        "code = [\"main_pc_code\"]\ncode_exclude = [\"tests\"]\n",
    );
    let own = |file: &str| format!("\nunit_tests = [\"main_pc_code/tests/{file}\"]");
    fixture.edit_manifest(TWIN, &format!("{TWIN}{}", own("test_twin.py")));
    let llama = "main_pc_code/agents/tiny-llama-service.py\"";
    fixture.edit_manifest(llama, &format!("{llama}{}", own("test_llama.py")));
    let path = fixture.path("repo/containers/system.toml");
    let text = fs::read_to_string(&path).expect("a manifest");
    let tests = "\n[tests]\nimage = \"trial-core\"\ncode = [\"main_pc_code/tests\"]\n\
                 [tests.integration.everything]\nscript = \"main_pc_code/tests/test_all.py\"\n\
                 image = \"trial-core-services\"\n\
                 [tests.integration.groups]\nscript = \"main_pc_code/tests/test_all.py\"\n\
                 image = \"trial-core-services\"\nneeds = [\"SystemDigitalTwin\"]\n\
                 from = [\"core-services\", \"system-services\"]\n";
    fs::write(&path, format!("{text}{tests}")).expect("a manifest");
    fixture
}

/// The containers of tests that were run, as the words of their calls.
fn runs(outcome: &Outcome) -> Vec<Vec<String>> {
    let calls = outcome.calls().into_iter();
    let tests = calls.filter(|call| call.contains("ai-system.test=trial"));
    tests
        .map(|call| call.split(' ').map(str::to_owned).collect())
        .collect()
}

fn value(words: &[String], option: &str) -> Vec<String> {
    let pairs = words.windows(2).filter(|pair| pair[0] == option);
    pairs.map(|pair| pair[1].clone()).collect()
}

#[test]
fn unit_tests_run_in_the_images_of_their_agents_without_a_network() {
    let fixture = fixture(false);
    let outcome = fixture
        .run(&["test-unit", "--format", "json", "-k", "a or b"])
        .expect(0);
    let found = outcome.json();
    assert_eq!(
        (&found["passed"], &found["failed"], &found["skipped"]),
        (&2.into(), &0.into(), &0.into())
    );
    assert_eq!(found["subjects"][0]["name"], "SystemDigitalTwin");
    assert_eq!(found["without_tests"].as_array().map(Vec::len), Some(4));
    let runs = runs(&outcome);
    assert_eq!(runs.len(), 2);
    let twin = runs
        .iter()
        .find(|run| value(run, "--name") == ["trial-test-system-digital-twin"]);
    let twin = twin.expect("its container");
    assert_eq!(value(twin, "--network"), ["none"]);
    assert_eq!(
        value(twin, "--mount"),
        ["type=image,source=localhost/trial/trial-core:test,destination=/opt/tests"]
    );
    let tests = fixture.path("repo/containers/monorepo/main_pc_code/tests");
    assert_eq!(
        value(twin, "--volume"),
        [format!("{}:/app/main_pc_code/tests:ro", tests.display())]
    );
    assert!(twin.contains(&"localhost/trial/trial-core-services:test".to_owned()));
    let config: Value = serde_json::from_str(&twin[twin.len() - 4..].join(" "))
        .or_else(|_| {
            let at = twin
                .iter()
                .position(|word| word.starts_with("{\"files"))
                .expect("a configuration");
            serde_json::from_str(&twin[at..].join(" "))
        })
        .expect("JSON");
    assert_eq!(
        config["files"],
        serde_json::json!(["main_pc_code/tests/test_twin.py"])
    );
    assert_eq!(config["options"], serde_json::json!(["-k", "a or b"]));
    let junit = fs::read_to_string(fixture.path("repo/target/test-results/unit/all.xml"))
        .expect("a report");
    assert_eq!(
        junit
            .matches("<testsuite name=\"SystemDigitalTwin\">")
            .count(),
        1,
        "{junit}"
    );
}

#[test]
fn failures_are_told_and_counted() {
    let fixture = fixture(false);
    let failing = r#"@test {"event": "test", "id": "t.py::b", "outcome": "failed", "elapsed_s": 0.1, "message": "assert 1 == 2", "detail": "E  assert 1 == 2"}
@test {"event": "end", "code": 1, "junit": ""}"#;
    let passing = r#"@test {"event": "test", "id": "t.py::a", "outcome": "passed", "elapsed_s": 0.1, "message": "", "detail": ""}"#;
    let twin = "podman/tests/trial-test-system-digital-twin";
    for (says, expected) in [
        (
            format!("1\n{passing}\n{failing}\n"),
            "SystemDigitalTwin: 1 failed",
        ),
        (
            format!("137\n{passing}\n"),
            "was killed, perhaps for taking more memory than it may have (exit code 137, after t.py::a)",
        ),
        (
            "1\n".to_owned(),
            "the container ended before its tests did (exit code 1)",
        ),
        (
            "3\n@test {\"event\": \"end\", \"code\": 3, \"junit\": \"\"}\n".to_owned(),
            "pytest ended with exit code 3",
        ),
    ] {
        fixture.write(twin, &says);
        let outcome = fixture.run(&["test-unit", "SystemDigitalTwin"]).expect(8);
        outcome.says(expected);
        let json = fixture
            .run(&["test-unit", "--format", "json", "SystemDigitalTwin"])
            .expect(8)
            .json();
        assert!(json["failed"] == 1 || json["problems"] == 1, "{json}");
    }
    fixture.write(twin, &format!("1\n{failing}\n"));
    let outcome = fixture.run(&["test-unit", "SystemDigitalTwin"]).expect(8);
    outcome
        .says("FAILED SystemDigitalTwin: t.py::b")
        .says("| E  assert 1 == 2");
}

#[test]
fn what_cannot_be_tested_is_told_before_anything_runs() {
    let without = Fixture::built();
    without
        .run(&["test-unit"])
        .expect(3)
        .says("no table `[tests]`");
    let fixture = fixture(false);
    fixture
        .run(&["test-unit", "CoordinatorAgent"])
        .expect(2)
        .says("no tests of CoordinatorAgent");
    fixture
        .run(&["test-integration", "everythin"])
        .expect(2)
        .says("unknown suite `everythin`");
    fixture
        .run(&["test-integration"])
        .expect(7)
        .says("no agent of this system is running");
    fs::remove_file(fixture.path("repo/containers/monorepo/main_pc_code/tests/test_twin.py"))
        .expect("it was there");
    let outcome = fixture.run(&["test-unit"]).expect(8);
    outcome.says("SystemDigitalTwin: main_pc_code/tests/test_twin.py");
    assert!(outcome.calls().iter().all(|call| only_looks(call)));
}

#[test]
fn suites_stand_on_the_backbone_or_in_a_groups_place() {
    let fixture = fixture(true);
    let outcome = fixture
        .run(&["test-integration", "--format", "json"])
        .expect(0);
    assert_eq!(outcome.json()["passed"], 3);
    let networks: Vec<Vec<String>> = runs(&outcome)
        .iter()
        .map(|run| value(run, "--network"))
        .collect();
    assert_eq!(
        networks,
        [
            vec!["trial-backbone"],
            vec!["trial-core-network", "trial-backbone"],
            vec!["trial-system-network", "trial-backbone"],
        ]
    );
    let env = value(&runs(&outcome)[0], "--env");
    let address = |name: &str| env.iter().find(|pair| pair.starts_with(name)).cloned();
    let twin = address("SYSTEM_DIGITAL_TWIN_ADDRESS=").expect("an address");
    assert!(
        twin.starts_with("SYSTEM_DIGITAL_TWIN_ADDRESS=tcp://10.200.1.10:"),
        "{twin}"
    );
    assert!(
        address("EMOTION_ENGINE_HEALTH_ADDRESS=tcp://10.200.2.11:").is_some(),
        "{env:?}"
    );
}

#[test]
fn a_suite_whose_agents_are_down_fails_and_names_them() {
    let fixture = fixture(true);
    fixture.run(&["down", "EmotionEngine"]);
    let outcome = fixture.run(&["test-integration"]).expect(8);
    outcome.says("everything: it needs agents that are not healthy: EmotionEngine");
    // The other suite does not need it.
    assert_eq!(runs(&outcome).len(), 2);
}
