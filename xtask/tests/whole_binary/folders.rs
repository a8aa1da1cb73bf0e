//! Where the tool keeps what it knows, and what it does not believe.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
};

use crate::fixture::Fixture;

/// A service has no `HOME`; `/tmp` belongs to everybody.
#[test]
fn without_a_home_the_user_database_is_asked() {
    let fixture = Fixture::built();
    let home = fixture.path("known");
    fs::create_dir(&home).expect("a folder");
    let line = format!("somebody:x:$2:0::{}:/bin/sh", home.display());
    fixture.script("getent", &format!("echo {line}"));
    fixture
        .tool(&["status"])
        .without(&["HOME", "XDG_CACHE_HOME"])
        .expect(0);
    let folder = home.join(".cache/ai-system-xtask");
    let mode = fs::metadata(&folder).expect("a folder").permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    assert!(!fixture.path("tmp/ai-system-xtask").exists());
}

#[test]
fn a_cache_that_somebody_else_can_write_to_is_not_used() {
    let fixture = Fixture::built();
    let folder = fixture.path("cache/ai-system-xtask");
    let open = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode));
    open(0o757).expect("ours");
    let refused = fixture.run(&["status"]).expect(1);
    refused.says("and other users can write to it");
    assert_eq!(refused.calls(), [""; 0]);
    open(0o755).expect("ours");
    fixture.run(&["status"]).expect(0);
    // Only root can give a folder away.
    if rustix::process::getuid().is_root() {
        chown(&folder, Some(65534), None).expect("root may");
        let refused = fixture.run(&["status"]).expect(1);
        refused.says("belongs to user 65534");
        assert_eq!(refused.calls(), [""; 0]);
    }
}

/// Builds run what they find among what earlier builds have downloaded.
#[test]
fn builds_do_not_use_a_folder_of_somebody_else() {
    let fixture = Fixture::new();
    let uid = rustix::process::getuid();
    let own = fixture.path(&format!("tmp/ai-system-xtask-{uid}"));
    let dry = fixture.run(&["build-images", "--dry-run"]).expect(0);
    let line = format!("env 'TMPDIR={}' podman build ", own.display());
    assert!(dry.stdout.contains(&line), "{}", dry.stdout);
    fs::create_dir(&own).expect("a folder");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).expect("ours");
    let refused = fixture.run(&["build-images"]).expect(1);
    refused.says("holds what image builds have downloaded, and other users can write to it");
    assert_eq!(refused.changes(), [""; 0]);
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).expect("ours");
    fixture.run(&["build-images"]).expect(0);
}

/// With `--runtime` podman runs a program of the writer's choice.
#[test]
fn options_that_nobody_has_found_by_trying_are_not_given_to_podman() {
    let fixture = Fixture::built();
    let folder = fixture.path("cache/ai-system-xtask");
    let files = fs::read_dir(&folder).expect("a folder");
    let paths = files.map(|file| file.expect("a file").path());
    let facts = paths
        .filter(|path| path.display().to_string().contains("/engine-"))
        .collect::<Vec<_>>();
    let [facts] = facts.as_slice() else {
        panic!("one podman, one file: {facts:?}")
    };
    let text = fs::read_to_string(facts).expect("a file");
    let mut planted: serde_json::Value = serde_json::from_str(&text).expect("facts");
    let global = &mut planted["proof"]["quirks"]["global"];
    assert!(global.is_array(), "{text}");
    *global = serde_json::json!(["--runtime", "/tmp/evil"]);
    fs::write(facts, planted.to_string()).expect("a file");
    let status = fixture.run(&["status"]).expect(0);
    assert!(!status.calls().join("\n").contains("evil"));
    assert_eq!(status.position("info"), 0, "podman is asked anew");
    let text = fs::read_to_string(facts).expect("a file");
    assert!(!text.contains("evil"));
}
