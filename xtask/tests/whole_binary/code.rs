//! `scan`, `split-requirements` and the import check of `deploy`, on a monorepo
//! whose code is good in most places.

use std::{fs, os::unix::fs::symlink};

use crate::{
    fixture::Fixture,
    golden,
    tool::{built, only_looks},
};

const TWIN: &str = "repo/containers/monorepo/main_pc_code/agents/system-digital-twin.py";
const ENGINE: &str = "repo/containers/monorepo/main_pc_code/agents/emotion-engine.py";

/// Locks: pyzmq and pyyaml for all, librosa for audio.
pub fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let lock = |name: &str, pins: &[&str]| {
        let pin = |pin: &&str| format!("{pin} \\\n    --hash=sha256:{}\n", "0".repeat(64));
        let text: String = pins.iter().map(pin).collect();
        fixture.write(
            &format!("repo/requirements/requirements.{name}.lock"),
            &text,
        );
    };
    lock("core", &["pyyaml==6.0.1", "pyzmq==27.0.0"]);
    lock(
        "audio",
        &["librosa==0.11.0", "pyyaml==6.0.1", "pyzmq==27.0.0"],
    );
    let shared = "repo/containers/monorepo/main_pc_code/common/link.py";
    fixture.write(shared, "import zmq\n");
    fixture.write(TWIN, "import json\nfrom common import link\n");
    fixture.write(ENGINE, "import librosa\nfrom common import link\n");
    fixture
}

#[test]
fn every_agent_is_judged() {
    let fixture = fixture();
    let outcome = fixture.run(&["scan", "--check"]).expect(0);
    assert_eq!(outcome.calls(), [""; 0], "podman is not even asked");
    golden::check("scan", &fixture, &outcome);

    let found = fixture.run(&["scan", "--format", "json"]).expect(0).json();
    let agent = |name: &str| {
        let agents = found["agents"].as_array().expect("agents").iter();
        let mut agents = agents.filter(|agent| agent["name"] == name);
        agents.next().expect("an agent").clone()
    };
    let twin = agent("SystemDigitalTwin");
    assert_eq!(twin["script"], "main_pc_code/agents/system-digital-twin.py");
    assert_eq!(twin["category"], "none");
    assert_eq!(twin["image"], "trial-core");
    assert_eq!(twin["hard"], serde_json::json!(["zmq"]));
    assert_eq!(twin["packages"][0]["distribution"], "pyzmq");
    for empty in ["soft", "unresolved", "unparsable"] {
        assert_eq!(twin[empty], serde_json::json!([]), "{empty}");
    }
    let engine = agent("EmotionEngine");
    assert_eq!(
        (&engine["category"], &engine["image"]),
        (&"light".into(), &"trial-audio".into())
    );
    let files = found["files"].as_array().expect("files");
    let link = files
        .iter()
        .find(|file| file["path"] == "main_pc_code/common/link.py");
    let link = link.expect("the file");
    assert_eq!(
        (&link["parses"], &link["error"]),
        (&true.into(), &().into())
    );
    assert_eq!(link["imports"][0]["name"], "zmq");
    assert_eq!(link["imports"][0]["kind"], "hard");
}

/// Each way in which an agent could not start, alone: `scan --check` says so,
/// and `deploy` does not try.
#[test]
fn what_would_end_at_an_import_is_told_and_not_deployed() {
    for (name, code, id) in [
        ("scan_wrong_category", "import librosa\n", "wrong-image"),
        ("scan_no_image", "import netifaces\n", "no-image-provides"),
        ("scan_syntax", "def serve(:\n", "does-not-parse"),
        ("scan_typo", "import threa\n", "unresolved-import"),
        (
            "scan_lost",
            "from common.lnk import x\n",
            "unresolved-import",
        ),
    ] {
        let fixture = fixture();
        fixture.run(&["build-images"]).expect(0);
        fixture.write(TWIN, code);
        let outcome = fixture.run(&["scan", "--check"]).expect(9);
        assert!(
            outcome.stdout.contains(&format!("[{id}]")),
            "{}",
            outcome.stdout
        );
        golden::check(name, &fixture, &outcome);
        fixture.run(&["scan"]).expect(0);

        let outcome = fixture.deploy().expect(9);
        assert_eq!(outcome.changes(), [""; 0]);
        assert!(outcome.stderr.contains(id), "{}", outcome.stderr);
    }
}

/// A change in one agent rebuilds the image of its own group only, unless code
/// of another group has a way to it.
#[test]
fn an_image_holds_no_scripts_of_other_groups() {
    let fixture = fixture();
    let build = || {
        let outcome = fixture.run(&["build-images", "--jobs", "1"]).expect(0);
        let changes = outcome.changes().into_iter();
        let builds = changes.filter(|call| call.starts_with("build "));
        builds.map(|call| built(&call)).collect::<Vec<String>>()
    };
    let (core, system) = ("trial-core-services", "trial-system-services");
    build();
    fixture.write(TWIN, "import json\nfrom common import link  # changed\n");
    assert_eq!(build(), [core]);
    fixture.write(
        ENGINE,
        "import librosa\nfrom common import link  # changed\n",
    );
    assert_eq!(build(), [system]);
    let ignored = fs::read_to_string(
        fixture.path("cache/ai-system-xtask/trial.trial-core-services.containerignore"),
    );
    let ignored = ignored.expect("an ignore file");
    assert!(
        ignored.contains("\nmain_pc_code/agents/emotion-engine.py\n"),
        "{ignored}"
    );
    assert!(!ignored.contains("system-digital-twin"), "{ignored}");

    // What both use, a mention, and a computed name.
    let shared = "repo/containers/monorepo/main_pc_code/common/link.py";
    fixture.write(shared, "import zmq  # changed\n");
    assert_eq!(build(), [core, system]);
    for code in [
        "import json\nSTARTS = 'agents/emotion-engine.py'\n",
        "import importlib\nimportlib.import_module(input())\n",
    ] {
        fixture.write(TWIN, code);
        build();
        fixture.write(ENGINE, &format!("import librosa\n# {}\n", code.len()));
        assert_eq!(build(), [core, system], "{code}");
    }
}

#[test]
fn the_import_check_can_be_left_out() {
    let fixture = fixture();
    fixture.run(&["build-images"]).expect(0);
    fixture.write(TWIN, "import netifaces\n");
    let args = ["deploy", "--settle", "0s", "--no-import-check"];
    fixture.run(&args).expect(0);
    fixture.assert_whole();
    // Nothing is made, so nothing is checked.
    let outcome = fixture.deploy().expect(0);
    assert!(outcome.calls().iter().all(|call| only_looks(call)));
}

#[test]
fn one_cause_is_told_once_with_all_agents() {
    let fixture = fixture();
    fixture.write(
        "repo/containers/monorepo/main_pc_code/common/link.py",
        "import (\n",
    );
    let outcome = fixture.run(&["scan", "--check"]).expect(9);
    let told = outcome.stdout.matches("[does-not-parse]").count();
    assert_eq!(told, 1, "{}", outcome.stdout);
    let both = "SystemDigitalTwin, EmotionEngine cannot start";
    assert!(outcome.stdout.contains(both), "{}", outcome.stdout);
}

#[test]
fn no_file_ends_the_scan() {
    let fixture = fixture();
    let root = fixture.path("repo/containers/monorepo");
    let bad = |name: &str, bytes: &[u8]| fs::write(root.join(name), bytes).expect("a file");
    bad("empty.py", b"");
    bad("null.py", b"import zmq\0\n");
    bad("latin.py", b"x = '\xe9'\n");
    bad(
        "cookie.py",
        b"# -*- coding: latin-1 -*-\nimport zmq\nx = '\xe9'\n",
    );
    bad("mark.py", b"\xef\xbb\xbfimport zmq\n");
    bad("noise.py", &(0..=255).collect::<Vec<u8>>());
    bad(
        "large.py",
        "import zmq\nx = [1, 2, 3]\n".repeat(400_000).as_bytes(),
    );
    bad("deep.py", "(".repeat(100_000).as_bytes());
    fs::create_dir(root.join("folder.py")).expect("a folder");
    symlink(&root, root.join("circle")).expect("a link");
    symlink("nowhere.py", root.join("dangling.py")).expect("a link");
    let pipe = std::process::Command::new("mkfifo")
        .arg(root.join("pipe.py"))
        .status();
    assert!(pipe.expect("mkfifo").success());

    let found = fixture
        .run(&["scan", "--check", "--format", "json"])
        .expect(0)
        .json();
    let parses = |name: &str| {
        let files = found["files"].as_array().expect("files");
        let file = files.iter().find(|file| file["path"] == name);
        file.map(|file| file["parses"].as_bool().expect("a truth value"))
    };
    for name in ["empty.py", "cookie.py", "mark.py", "large.py"] {
        assert_eq!(parses(name), Some(true), "{name}");
    }
    for name in ["null.py", "latin.py", "noise.py", "deep.py"] {
        assert_eq!(parses(name), Some(false), "{name}");
    }
    let skipped: Vec<&str> = found["skipped"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|skipped| skipped["path"].as_str().expect("a path"))
        .collect();
    assert_eq!(skipped, ["circle", "dangling.py", "pipe.py"]);
}

#[test]
fn lists_are_written_whole_or_not_at_all() {
    let fixture = fixture();
    fixture.write(
        "repo/containers/monorepo/requirements.txt",
        "pyzmq>=25\nlibrosa\nzmq==0.0.0\n-r more.txt\n",
    );
    fixture.write(
        "repo/containers/monorepo/more.txt",
        "pyyaml\n-r requirements.txt\nRUN pip install x\n",
    );
    let split = ["split-requirements", "--no-lock"];
    let outcome = fixture.run(&split).expect(9);
    golden::check("split", &fixture, &outcome);
    let list = |name: &str| {
        fs::read_to_string(fixture.path(&format!("repo/requirements/requirements.{name}.txt")))
    };
    assert!(list("core").expect("a list").contains("\npyzmq>=25\n"));
    assert!(list("audio").expect("a list").contains("\nlibrosa\n"));
    let before = list("core").expect("a list");

    // A list that cannot be read may hold anything, so nothing is written.
    fs::remove_file(fixture.path("repo/containers/monorepo/more.txt")).expect("a file");
    let outcome = fixture.run(&split).expect(9);
    assert!(
        outcome.stdout.contains("[missing-include]"),
        "{}",
        outcome.stdout
    );
    assert_eq!(list("core").expect("a list"), before);
    let left = fs::read_dir(fixture.path("repo/requirements")).expect("a folder");
    let parts = left
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(".part-"));
    assert_eq!(parts.count(), 0);
}

#[test]
fn missing_locks_stop_everything_but_what_makes_them() {
    let fixture = fixture();
    fixture.write(
        "repo/containers/monorepo/requirements.txt",
        "pyzmq>=25\nlibrosa\n",
    );
    let requirements = fixture.path("repo/requirements");
    for entry in fs::read_dir(&requirements).expect("a folder").flatten() {
        if entry.path().extension().is_some_and(|kind| kind == "lock") {
            fs::remove_file(entry.path()).expect("a lock");
        }
    }
    let outcome = fixture.run(&["build-images"]).expect(3);
    outcome.says("list of requirements `core` has no lock");
    outcome.says("make it with `cargo xtask split-requirements`");
    let split = ["split-requirements", "--no-lock"];
    fixture.run(&split).expect(0);
    assert!(requirements.join("requirements.core.txt").exists());
}

#[test]
fn nothing_is_written_by_a_dry_run_or_a_check() {
    let fixture = fixture();
    fixture.write(
        "repo/containers/monorepo/requirements.txt",
        "pyzmq>=25\npyyaml\nlibrosa\n",
    );
    let outcome = fixture
        .run(&["split-requirements", "--no-lock", "--dry-run"])
        .expect(0);
    let lists = "would write requirements.core.txt, requirements.gpu.txt, requirements.audio.txt";
    assert!(outcome.stdout.contains(lists), "{}", outcome.stdout);
    fixture.write("repo/requirements/requirements.build.txt", "uv==0.13.9\n");
    let outcome = fixture.run(&["split-requirements", "--check"]).expect(9);
    assert!(
        outcome.stderr.contains("requirements.core.txt differs"),
        "{}",
        outcome.stderr
    );
    assert!(
        !fixture
            .path("repo/requirements/requirements.core.txt")
            .exists()
    );
    let outcome = fixture
        .run(&["split-requirements", "nowhere.txt", "--no-lock"])
        .expect(9);
    assert!(
        outcome.stdout.contains("[unreadable]"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn rules_that_cannot_be_used() {
    let fixture = fixture();
    fixture.write(
        "repo/requirements/rules.toml",
        "schema = 1\n[place.librosa]\nlists = [\"adio\"]\n",
    );
    let outcome = fixture.run(&["scan"]).expect(3);
    golden::check("bad_rules", &fixture, &outcome);
}

#[test]
fn images_without_lists_are_believed() {
    let fixture = fixture();
    for list in ["core", "audio"] {
        fixture.edit_manifest(&format!("requirements = [\"{list}\"]"), "");
    }
    fixture.write(TWIN, "import netifaces\n");
    let outcome = fixture.run(&["scan", "--check"]).expect(0);
    assert!(!outcome.stdout.contains("no-image"), "{}", outcome.stdout);
    // Typing errors are none the less.
    fixture.write(TWIN, "import threa\n");
    fixture.run(&["scan", "--check"]).expect(9);
}
