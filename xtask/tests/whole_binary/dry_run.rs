//! `--dry-run` changes nothing, and what it prints does the same as a real run.

use crate::fixture::{Fixture, comparable};

#[test]
fn every_dry_run_only_looks() {
    for fixture in [Fixture::new(), Fixture::built(), Fixture::deployed()] {
        let before = fixture.state();
        for args in [
            &["build-images", "--dry-run"][..],
            &["build-images", "--dry-run", "--force"],
            &["create-networks", "--dry-run"],
            &["deploy", "--dry-run"],
            &["deploy", "--dry-run", "--recreate"],
            &["down", "--dry-run", "--networks", "--images", "--volumes"],
            &["up", "--dry-run"],
            &["check-toolchain", "--dry-run"],
        ] {
            let outcome = fixture.run(args);
            // Without images there is no deployment to be planned, and agents
            // that answer hold the ports that a preflight wants to see free.
            assert!(
                [0, 5, 9].contains(&outcome.code),
                "{args:?}\n{}",
                outcome.stderr
            );
            assert_eq!(outcome.changes(), [""; 0], "{args:?}");
        }
        assert_eq!(fixture.state(), before);
    }
}

#[test]
fn printed_builds_build_the_same_images() {
    let fixture = Fixture::new();
    let printed = fixture.run(&["build-images", "--dry-run"]).expect(0).stdout;
    let by_hand = fixture.path("by-hand");
    let shell = fixture.program("sh").args(&["-e", "-c", &printed]);
    shell.state(&by_hand).run().expect(0);
    fixture.run(&["build-images"]).expect(0);
    assert_eq!(comparable(&by_hand), comparable(&fixture.path("podman")));
}

#[test]
fn printed_deployments_deploy_the_same_containers() {
    let fixture = Fixture::built();
    assert_same_by_hand(&fixture, &["deploy", "--settle", "0s"]);
}

#[test]
fn printed_replacements_replace_the_same_containers() {
    let fixture = Fixture::deployed();
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"it's $HOME\"");
    assert_same_by_hand(&fixture, &["deploy", "--settle", "0s"]);
}

/// A build comes before the deployment, which is printed as it will be then.
#[test]
fn what_up_prints_builds_and_deploys_the_same() {
    assert_same_by_hand(&Fixture::new(), &["up", "--settle", "0s"]);
    let fixture = Fixture::deployed();
    fixture.write("repo/containers/monorepo/main_pc_code/agents/new.py", "x");
    let printed = fixture.run(&["up", "--dry-run"]).expect(0).stdout;
    assert!(
        printed.contains("create --name emotion-engine-next"),
        "{printed}"
    );
    assert_same_by_hand(&fixture, &["up", "--settle", "0s"]);
}

#[test]
fn printed_removals_remove_the_same() {
    let fixture = Fixture::deployed();
    assert_same_by_hand(&fixture, &["down", "--networks", "--images", "--volumes"]);
}

/// The printed commands, run on a copy of the fake's state, and a real run
/// leave the same behind.
#[track_caller]
fn assert_same_by_hand(fixture: &Fixture, args: &[&str]) {
    let before = fixture.state();
    let by_hand = fixture.path("by-hand");
    // A fresh podman has none.
    if before["containers"].is_object() {
        fixture.write("by-hand/state.json", &before.to_string());
    }
    let printed = fixture
        .tool(args)
        .args(&["--dry-run"])
        .run()
        .expect(0)
        .stdout;
    let shell = fixture.program("sh").args(&["-e", "-c", &printed]);
    shell.state(&by_hand).run().expect(0);
    fixture.run(args).expect(0);
    assert_ne!(fixture.state(), before, "the run did something");
    assert_eq!(comparable(&by_hand), comparable(&fixture.path("podman")));
}
