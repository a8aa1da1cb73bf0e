//! Whole manifests, good and bad: what is wrong in shape is refused by the
//! schema at the very place where the reader points.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Document, decoded, read, repository, validator};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests")
}

/// Faults of shape that a schema of JSON has no words for.
fn is_beyond(message: &str) -> bool {
    message.contains("has host bits set") || message.contains("holds a null byte")
}

/// Bad manifests whose shape is good, but in which the schema sees what
/// otherwise `check` finds: names, paths, and fields that do not go together.
const SEEN_BEYOND_SHAPE: &[&str] = &[
    "impossible_names",
    "packages",
    "paths_that_leave",
    "unicode",
];

/// Where fields do not go together.
const RULES_BROKEN: &[&str] = &[
    "base_image/base",
    "gpu/groups/one/agents/Beta",
    "gpu/groups/one/agents/Gamma",
    "mounts/groups/one/agents/Alpha/mounts/2",
    "mounts/groups/one/agents/Alpha/mounts/3",
    "packages/images/demo-code",
    "secrets/groups/one/agents/Alpha/secrets/5",
    "secrets/secrets/TWO",
    "secrets/secrets/VOID",
];

#[test]
fn good_manifests_are_accepted() {
    let validator = validator();
    for path in [
        "xtask/model/tests/manifests/good.toml",
        "containers/system.toml",
        "xtask/tests/whole_binary/system.toml",
    ] {
        let document = Document::read(&read(&repository(path))).expect("TOML");
        assert_eq!(validator.refusals(&document.value), [], "{path}");
    }
}

#[test]
fn the_manifest_names_its_schema() {
    let text = read(&repository("containers/system.toml"));
    assert_eq!(text.lines().next(), Some("#:schema ./system.schema.json"));
}

#[test]
fn every_fault_of_shape_is_refused_at_its_place() {
    let validator = validator();
    let (mut faults, mut shape, mut beyond, mut rules) = (0, Vec::new(), Vec::new(), Vec::new());
    let mut paths: Vec<PathBuf> = fs::read_dir(fixtures())
        .expect("the fixtures exist")
        .map(|entry| entry.expect("readable fixtures").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    paths.sort();
    for path in paths {
        let text = read(&path);
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        // Where the syntax is wrong there is nothing for a schema.
        let Some(document) = Document::read(&text) else {
            continue;
        };
        let refusals = validator.refusals(&document.value);
        let problems = decoded(&text);
        for problem in problems
            .iter()
            .filter(|problem| !is_beyond(&problem.message))
        {
            let at = problem.at.as_ref().expect("shape has a place");
            let pointers = document.pointers(at);
            let refused = refusals
                .iter()
                .any(|refusal| pointers.contains(&refusal.at.as_str()));
            assert!(
                refused,
                "{name}: {} at {pointers:?}\n{refusals:#?}",
                problem.message
            );
            faults += 1;
        }
        let broken = refusals.iter().filter(|refusal| refusal.is_rule());
        rules.extend(broken.map(|refusal| format!("{name}{}", refusal.at)));
        match (problems.is_empty(), refusals.is_empty()) {
            (false, _) => shape.push(name),
            (true, false) => beyond.push(name),
            (true, true) => {}
        }
    }
    assert!(shape.len() >= 15 && faults >= 50, "{faults} in {shape:?}");
    assert_eq!(beyond, SEEN_BEYOND_SHAPE);
    assert_eq!(rules, RULES_BROKEN);
}
