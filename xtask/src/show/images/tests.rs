//! The report's rows and lines, from made-up images.

use std::collections::BTreeSet;

use model::{
    plan::{
        Action, Plan, State, pointer_tag,
        spec::{BuildSpec, SmokeSpec},
        state::ObservedImage,
        step::BaseSpec,
    },
    system::{self, System},
};
use operations::{results::Outcome, work::build_report::report};

use super::*;

const MANIFEST: &str = r#"
schema = 1
[system]
name = "demo"
monorepo = "tests/manifests/monorepo"
code = ["main_pc_code"]
[base]
name = "base"
sources = ["present"]
[networks.net]
subnet = "10.1.0.0/16"
[images.core]
parent = "base"
containerfile = "tests/manifests/Containerfile"
[images.gpu]
parent = "core"
containerfile = "tests/manifests/Containerfile"
[images.code]
parent = "gpu"
containerfile = "tests/manifests/Containerfile"
code = true
[groups.one]
image = "code"
network = "net"
[groups.one.agents.A]
script = "main_pc_code/agents/alpha.py"
port = 7000
"#;

fn system() -> System {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("model");
    system::from_text(MANIFEST, &folder.join("system.toml"))
        .unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn image(layers: &[&str], size_mb: u64) -> ObservedImage {
    ObservedImage {
        size_bytes: size_mb * 1_000_000,
        layers: layers.iter().map(|layer| (*layer).to_owned()).collect(),
        ..ObservedImage::default()
    }
}

fn state(images: &[(&str, ObservedImage)]) -> State {
    let tagged =
        |(name, image): &(&str, ObservedImage)| (pointer_tag(&system(), name), image.clone());
    State {
        images: images.iter().map(tagged).collect(),
        ..State::default()
    }
}

fn build(name: &str) -> BuildSpec {
    BuildSpec {
        system: Some("demo".into()),
        code: false,
        tag: pointer_tag(&system(), name),
        containerfile: "Containerfile".into(),
        context: "/".into(),
        ignorefile: None,
        args: Default::default(),
        env: Default::default(),
        target: None,
        secrets: Vec::new(),
        inputs_hash: String::new(),
    }
}

fn outcome(name: &str, result: Ended, elapsed_ms: Option<u64>) -> Outcome {
    let mut outcome = Outcome::new(name, result);
    outcome.elapsed_ms = elapsed_ms;
    outcome
}

#[track_caller]
fn check(state: &State, plan: &Plan, outcomes: &[Outcome], expected: &str) {
    let wanted = BTreeSet::from(["code".to_owned()]);
    let report = report(&system(), state, &wanted, plan, outcomes, 12_340);
    let mut shown = lines(&report, |ended| ended.as_str().to_owned());
    shown.push(format!("{} unique", bytes(report.unique_bytes)));
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(shown, expected);
}

#[test]
fn what_is_shared_is_counted_once() {
    let state = state(&[
        ("base", image(&["a", "b"], 200)),
        ("core", image(&["a", "b", "c"], 300)),
        ("gpu", image(&["a", "b", "c", "d"], 5_300)),
        ("code", image(&["a", "b", "c", "d", "e"], 5_301)),
        ("stranger", image(&["a", "b", "c", "d"], 5_300)),
    ]);
    let mut plan = Plan::default();
    // What is fetched ahead is not why an image is built.
    plan.push("gpu", Action::FetchPackages(build("x")), vec![], "ahead");
    plan.push(
        "gpu",
        Action::BuildImage(build("gpu")),
        vec![],
        "its inputs changed",
    );
    plan.push(
        "code",
        Action::BuildImage(build("code")),
        vec![],
        "its parent is rebuilt",
    );
    let outcomes = [
        outcome("gpu", Ended::Done, Some(90_000)),
        outcome("code", Ended::Done, Some(1_500)),
        outcome("base", Ended::Unchanged, None),
        outcome("core", Ended::Unchanged, None),
    ];
    check(
        &state,
        &plan,
        &outcomes,
        "IMAGE  RESULT     SIZE     UNIQUE   SHARED                            TIME    WHY
         base   unchanged  200 MB   200 MB   -                                 -       unchanged
         core   unchanged  300 MB   100 MB   200 MB, 2 of 3 layers, with base  -       unchanged
         gpu    built      5.30 GB  5.00 GB  300 MB, 3 of 4 layers, with core  90.0 s  its inputs changed
         code   built      5.30 GB  1 MB     5.30 GB, 4 of 5 layers, with gpu  1.50 s  its parent is rebuilt
         5.30 GB unique",
    );
}

#[test]
fn an_image_whose_packages_were_imported_again_is_unchanged() {
    let state = state(&[
        ("base", image(&["a"], 200)),
        ("core", image(&["a", "b"], 300)),
    ]);
    let test = SmokeSpec {
        tag: pointer_tag(&system(), "core"),
        packages: vec!["pyzmq".into()],
        built: false,
    };
    let mut plan = Plan::default();
    plan.push("core", Action::SmokeTest(test), vec![], "not tried yet");
    let outcomes = [outcome("core", Ended::Done, Some(1_500))];
    let wanted = BTreeSet::from(["core".to_owned()]);
    let report = report(&system(), &state, &wanted, &plan, &outcomes, 2_000);
    let core = &report.images[1];
    assert_eq!(
        (core.result, core.why.as_str()),
        (Ended::Unchanged, "unchanged")
    );
    assert_eq!(core.elapsed_ms, Some(1_500));
}

#[test]
fn images_that_failed_or_do_not_stand_on_their_parent_are_told_as_they_are() {
    let state = state(&[
        ("base", image(&["a"], 200)),
        // Left over from another core.
        ("gpu", image(&["a", "x", "y"], 900)),
    ]);
    let mut plan = Plan::default();
    let base = BaseSpec {
        tag: pointer_tag(&system(), "base"),
        system: "demo".into(),
        inputs_hash: String::new(),
        sources: Vec::new(),
    };
    plan.push(
        "base",
        Action::EnsureBase(base),
        vec![],
        "its recipe changed",
    );
    plan.push(
        "core",
        Action::BuildImage(build("core")),
        vec![0],
        "does not exist",
    );
    plan.push(
        "gpu",
        Action::BuildImage(build("gpu")),
        vec![1],
        "its parent is rebuilt",
    );
    plan.push(
        "code",
        Action::BuildImage(build("code")),
        vec![2],
        "does not exist",
    );
    let outcomes = [
        outcome("base", Ended::Done, Some(2_000)),
        outcome("core", Ended::Failed, None),
        outcome("gpu", Ended::Blocked, None),
        outcome("code", Ended::Blocked, None),
    ];
    check(
        &state,
        &plan,
        &outcomes,
        "IMAGE  RESULT   SIZE    UNIQUE  SHARED                            TIME    WHY
         base   built    200 MB  200 MB  -                                 2.00 s  its recipe changed
         core   failed   -       -       -                                 -       does not exist
         gpu    blocked  900 MB  700 MB  200 MB, 1 of 3 layers, with base  -       its parent is rebuilt
         code   blocked  -       -       -                                 -       does not exist
         900 MB unique",
    );
}
