//! Sets of imports, what is remembered, and containers of a pretended and of a
//! real podman.

use super::*;

fn imports(pairs: &[(&str, &[&str])]) -> Imports {
    let agents = |agents: &[&str]| agents.iter().map(|agent| (*agent).to_owned()).collect();
    let pairs = pairs.iter();
    pairs
        .map(|(module, names)| ((*module).to_owned(), agents(names)))
        .collect()
}

#[test]
fn agents_with_the_same_imports_share_a_process() {
    let imports = imports(&[
        ("torch", &["Got", "Nllb"]),
        ("yaml", &["Got", "Nllb", "Twin"]),
        ("zmq", &["Got", "Nllb", "Twin", "Voice"]),
    ]);
    let sets = sets(&imports);
    let expected = BTreeMap::from([
        ("torch,yaml,zmq".to_owned(), BTreeSet::from(["Got", "Nllb"])),
        ("yaml,zmq".to_owned(), BTreeSet::from(["Twin"])),
        ("zmq".to_owned(), BTreeSet::from(["Voice"])),
    ]);
    assert_eq!(sets, expected);
}

#[test]
fn a_failure_names_everyone_it_breaks() {
    let imports = imports(&[("torch", &["Got"]), ("zmq", &["Got", "Twin"])]);
    let failed = |set, module: &str| Failed {
        set,
        module: module.into(),
        error: format!("ImportError: {module} {set}"),
    };
    let failures = vec![
        failed(0, "zmq"),
        failed(1, "zmq"),
        failed(0, "torch"),
        failed(9, "x"),
    ];
    let found = broken(&sets(&imports), Answer { failures });
    let found: Vec<String> = found
        .iter()
        .map(|one| format!("{} {:?} {}", one.module, one.agents, one.error))
        .collect();
    assert_eq!(
        found,
        [
            "torch [\"Got\"] ImportError: torch 0",
            "x [] ImportError: x 9",
            "zmq [\"Got\", \"Twin\"] ImportError: zmq 0",
        ]
    );
}

#[test]
fn good_news_hold_for_one_image_and_one_question() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let image = |id| AskedImage { tag: "x", id };
    let asked = imports(&[("zmq", &["Twin"])]);
    keep(&good_news(image("1"), &asked, folder.path()), b"{}");
    assert!(is_known(image("1"), &asked, folder.path()));
    assert!(!is_known(image("2"), &asked, folder.path()));
    // Who imports it does not change whether it can be imported.
    assert!(is_known(
        image("1"),
        &imports(&[("zmq", &["Voice"])]),
        folder.path()
    ));
    assert!(!is_known(
        image("1"),
        &imports(&[("yaml", &["Twin"])]),
        folder.path()
    ));
    assert!(is_known(image("2"), &Imports::new(), folder.path()));
}

#[test]
fn packages_are_found_again_by_the_inputs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(known_packages("0123", folder.path()), None);
    let text = br#"{"yaml": ["PyYAML"], "google": ["protobuf", "googleapis-common-protos"]}"#;
    keep(&packages_file("0123", &folder.path().join("new")), text);
    let known = known_packages("0123", &folder.path().join("new")).expect("kept");
    assert_eq!(known["yaml"], ["PyYAML"]);
    fs::write(packages_file("4567", folder.path()), "half a").expect("a file");
    assert_eq!(known_packages("4567", folder.path()), None);
}

/// An engine whose podman is a shell script.
fn scripted(folder: &Path, script: &str) -> Engine {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("podman");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    Engine::pretended(program)
}

#[test]
fn a_container_answers_once_for_good_and_again_for_bad_news() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let asked = imports(&[("torch", &["Got"]), ("zmq", &["Got", "Twin"])]);
    let image = AskedImage {
        tag: "localhost/gpu:latest",
        id: "1",
    };
    let calls = folder.path().join("calls");
    let count = || {
        fs::read_to_string(&calls)
            .unwrap_or_default()
            .lines()
            .count()
    };
    let log = format!(
        "echo \"$*\" | tr '\\n' ' ' | sed 's/-c .* /-c /;s/$/\\n/' >> {}",
        calls.display()
    );
    let bad = scripted(
        folder.path(),
        &format!(
            "{log}; echo '{{\"failures\": [{{\"set\": 0, \"module\": \"torch\", \"error\": \"OSError: x\"}}]}}'"
        ),
    );
    for round in 1..=2 {
        let broken = cold_import(&bad, image, &asked, folder.path()).expect("it answers");
        let expected = Broken {
            module: "torch".into(),
            agents: vec!["Got".into()],
            error: "OSError: x".into(),
        };
        assert_eq!((broken, count()), (vec![expected], round));
    }
    let good = scripted(
        folder.path(),
        &format!("{log}; echo '{{\"failures\": []}}'"),
    );
    for _ in 0..2 {
        let broken = cold_import(&good, image, &asked, folder.path()).expect("it answers");
        assert_eq!((broken, count()), (Vec::new(), 3));
    }
    let nonsense = scripted(folder.path(), "echo nonsense");
    let error = image_packages(&nonsense, "x", "0123", folder.path()).expect_err("nonsense");
    assert!(matches!(error, PodmanError::Garbage { .. }), "{error:?}");
    let listing = scripted(folder.path(), "echo '{\"yaml\": [\"PyYAML\"]}'");
    for engine in [&listing, &nonsense] {
        let found = image_packages(engine, "x", "0123", folder.path()).expect("known by now");
        assert_eq!(found["yaml"], ["PyYAML"]);
    }
}

fn test_of(packages: &[&str]) -> SmokeSpec {
    SmokeSpec {
        tag: "localhost/gpu:latest".into(),
        packages: packages.iter().map(|name| (*name).to_owned()).collect(),
        built: true,
    }
}

#[test]
fn a_smoke_test_tells_every_failure_or_where_it_died() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let test = test_of(&["torch", "triton"]);
    let answer = |script: &str| {
        let said = Mutex::new(Vec::new());
        let say = |line: &str| said.lock().expect("unbroken").push(line.to_owned());
        let failures = smoke_test(&scripted(folder.path(), script), &test, &say);
        (failures, said.into_inner().expect("unbroken"))
    };
    let (failures, said) = answer("echo import torch 1.20 s; echo 2 packages, 0 failures");
    assert_eq!(failures.expect("it runs"), [""; 0]);
    assert_eq!(said, ["import torch 1.20 s", "2 packages, 0 failures"]);
    let (failures, _) = answer(
        "echo import torch failed; echo 'smoke test: torch: import torch: OSError: x' >&2
         echo 'smoke test: triton: not installed' >&2; echo 2 packages, 2 failures; exit 1",
    );
    let failures = failures.expect("it runs");
    assert_eq!(
        failures,
        [
            "smoke test: torch: import torch: OSError: x",
            "smoke test: triton: not installed"
        ]
    );
    let (failures, _) = answer("echo import torch 1.20 s; printf 'import triton'; exit 139");
    let died = "smoke test: it ended with exit code 139 at `import triton`";
    assert_eq!(failures.expect("it runs"), [died]);
    let (failures, _) = answer("echo Error: no such image >&2; exit 125");
    let error = failures.expect_err("podman failed");
    assert_eq!(error.reason(), "no such image");
}

#[test]
fn no_more_failures_are_told_than_can_be_read() {
    let said: Vec<String> = (0..40).map(|n| format!("smoke test: p{n}: x")).collect();
    let failures = smoke_failures(1, &said);
    assert_eq!(failures.len(), 31);
    assert_eq!(failures[30], "smoke test: 10 more");
}

#[test]
fn soundness_holds_for_one_image_and_its_packages() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let image = |id| AskedImage { tag: "x", id };
    let names = |names: &[&str]| test_of(names).packages;
    keep_sound(image("1"), &names(&["torch"]), folder.path());
    let known = |id, packages: &[&str]| is_sound(image(id), &names(packages), folder.path());
    assert!(known("1", &["torch"]));
    assert!(!known("2", &["torch"]));
    assert!(!known("1", &["torch", "triton"]));
}

/// Needs podman and `ai-system-core`; the engine tests run it.
#[test]
#[ignore = "starts containers"]
fn real_containers_tell_what_does_not_import() {
    let options = crate::podman::engine::Options {
        system: "xtask-inside".into(),
        ..Default::default()
    };
    let mut engine = Engine::open(&options, Default::default()).expect("podman");
    engine.ready().expect("a container runs");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tag = "localhost/ai-system-core:latest";
    let asked = imports(&[
        ("zmq", &["Twin", "Got"]),
        ("yaml", &["Twin"]),
        ("no_such.module", &["Got"]),
    ]);
    let image = AskedImage { tag, id: "1" };
    let broken = cold_import(&engine, image, &asked, folder.path()).expect("it runs");
    let found: Vec<String> = broken
        .iter()
        .map(|one| format!("{} {:?} {}", one.module, one.agents, one.error))
        .collect();
    assert_eq!(
        found,
        ["no_such.module [\"Got\"] ModuleNotFoundError: No module named 'no_such'",]
    );
    let asked = imports(&[("zmq", &["Twin"]), ("yaml", &["Twin", "Got"])]);
    assert_eq!(
        cold_import(&engine, image, &asked, folder.path()).expect("it runs"),
        []
    );
    assert!(is_known(image, &asked, folder.path()));
    let test = SmokeSpec {
        tag: tag.into(),
        ..test_of(&["no-such-package", "pyyaml", "pyzmq"])
    };
    let failures = smoke_test(&engine, &test, &|_| ()).expect("it runs");
    assert_eq!(failures, ["smoke test: no-such-package: not installed"]);
    let packages = image_packages(&engine, tag, "0123", folder.path()).expect("it runs");
    assert_eq!(packages["yaml"], ["PyYAML"]);
    assert_eq!(known_packages("0123", folder.path()), Some(packages));
}
