//! Images: the order of builds, and what makes one out of date.

use std::collections::{BTreeMap, BTreeSet};

use super::{world::inputs, *};
use crate::{
    plan::{
        images::{self, Recipe, Recipes, closure},
        spec::BuildSpec,
        step::BaseSpec,
    },
    system::Image,
};

/// base <- core <- torch <- gpu; core <- code, gpu <- gpu-code (with code).
fn layered() -> Case {
    let mut text = manifest("one: A", &[]).replace(
        "parent = \"demo-base\"\ncontainerfile = \"Containerfile\"\ncode = true",
        "parent = \"core\"\ncontainerfile = \"Containerfile\"\ncode = true",
    );
    let more = [
        ("core", "demo-base", false),
        ("torch", "core", false),
        ("gpu", "torch", false),
        ("gpu-code", "gpu", true),
    ];
    for (name, parent, code) in more {
        text += &format!(
            "[images.{name}]\nparent = \"{parent}\"\ncontainerfile = \"Containerfile\"\ncode = {code}\n"
        );
    }
    Case::of(text)
}

/// Recipes whose inputs are those that the images were built from.
fn recipes(case: &Case) -> Recipes {
    let base = BaseSpec {
        tag: tag("demo-base"),
        system: "demo".into(),
        inputs_hash: inputs("demo-base"),
        sources: Vec::new(),
    };
    let base = Recipe::new(Action::EnsureBase(base), &inputs("demo-base"));
    let recipe = |image: &Image| {
        let name = &image.name;
        let write = Action::WriteFile {
            path: format!("/{name}").into(),
            lines: Vec::new(),
        };
        let made = Recipe {
            ignorefile: image.holds_code().then_some(write),
            ..Recipe::new(Action::BuildImage(build(name)), &inputs(name))
        };
        (name.clone(), made)
    };
    let images = case.system.images.values().map(recipe);
    Recipes {
        images: images.chain([("demo-base".to_owned(), base)]).collect(),
    }
}

/// The tag of its content.
fn tag(name: &str) -> String {
    format!("localhost/demo/{name}:{}", inputs(name))
}

fn build(name: &str) -> BuildSpec {
    BuildSpec {
        system: Some("demo".into()),
        code: false,
        tag: tag(name),
        containerfile: "Containerfile".into(),
        context: "/".into(),
        ignorefile: None,
        args: BTreeMap::new(),
        env: BTreeMap::new(),
        target: None,
        secrets: Vec::new(),
        inputs_hash: inputs(name),
    }
}

/// Its inputs are others now.
fn change(recipes: &mut Recipes, name: &str) {
    let recipe = recipes.images.get_mut(name).expect("known");
    recipe.inputs_hash = format!("{name}-2");
    if let Action::BuildImage(build) = &mut recipe.make {
        build.tag = format!("localhost/demo/{name}:{name}-2");
    }
}

/// Every tag of an image.
fn tags<'c>(case: &'c Case, name: &'c str) -> impl Iterator<Item = String> + use<'c> {
    let of = move |tag: &&String| tag.contains(&format!("/{name}:"));
    case.world.state.images.keys().filter(of).cloned()
}

fn without(case: &mut Case, name: &str) {
    for tag in tags(case, name).collect::<Vec<_>>() {
        case.world.state.images.remove(&tag);
    }
}

fn each(case: &mut Case, name: &str, change: impl Fn(&mut state::ObservedImage)) {
    for tag in tags(case, name).collect::<Vec<_>>() {
        change(case.world.state.images.get_mut(&tag).expect("listed"));
    }
}

#[track_caller]
fn check(case: &Case, wanted: &[&str], recipes: &Recipes, force: bool, expected: &str) {
    let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let plan = images::plan(&case.system, &case.world.state, &wanted, recipes, force);
    let plan = plan.unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_text(&plan, expected);
}

#[test]
fn parents_come_first_and_only_once() {
    let case = layered();
    let wanted = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let order = |names: &[&str]| closure(&case.system, &wanted(names)).join(" ");
    assert_eq!(order(&["gpu-code"]), "core torch gpu gpu-code");
    assert_eq!(
        order(&["demo-code", "gpu-code"]),
        "core demo-code torch gpu gpu-code"
    );
    assert_eq!(order(&["core"]), "core");
    assert_eq!(order(&["demo-base", "nonsense"]), "");
}

#[test]
fn built_images_with_the_same_inputs_are_left_alone() {
    let case = layered();
    let recipes = recipes(&case);
    check(
        &case,
        &["demo-code"],
        &recipes,
        false,
        "unchanged: demo-base core demo-code",
    );
}

#[test]
fn on_an_empty_engine_the_base_comes_first() {
    let mut case = layered();
    case.world.state.images.clear();
    check(
        &case,
        &["demo-code", "gpu-code"],
        &recipes(&case),
        false,
        "0 demo-base: provide localhost/demo/demo-base:demo-base-1 (does not exist)
         1 demo-base: tag demo-base:demo-base-1 demo-base:latest after [0] (is the newest)
         2 core: build localhost/demo/core:core-1 after [0] (does not exist)
         3 core: tag core:core-1 core:latest after [2] (is the newest)
         4 demo-code: write /demo-code (decides what is copied)
         5 demo-code: build localhost/demo/demo-code:demo-code-1 after [2, 4] (does not exist)
         6 demo-code: tag demo-code:demo-code-1 demo-code:latest after [5] (is the newest)
         7 torch: build localhost/demo/torch:torch-1 after [2] (does not exist)
         8 torch: tag torch:torch-1 torch:latest after [7] (is the newest)
         9 gpu: build localhost/demo/gpu:gpu-1 after [7] (does not exist)
         10 gpu: tag gpu:gpu-1 gpu:latest after [9] (is the newest)
         11 gpu-code: write /gpu-code (decides what is copied)
         12 gpu-code: build localhost/demo/gpu-code:gpu-code-1 after [9, 11] (does not exist)
         13 gpu-code: tag gpu-code:gpu-code-1 gpu-code:latest after [12] (is the newest)",
    );
}

#[test]
fn a_base_that_has_to_be_made_again_takes_its_children_along() {
    let mut case = layered();
    without(&mut case, "demo-base");
    check(
        &case,
        &["torch"],
        &recipes(&case),
        false,
        "0 demo-base: provide localhost/demo/demo-base:demo-base-1 (does not exist)
         1 demo-base: tag demo-base:demo-base-1 demo-base:latest after [0] (is the newest)
         2 core: build localhost/demo/core:core-1 after [0] (its parent is rebuilt)
         3 core: tag core:core-1 core:latest after [2] (is the newest)
         4 torch: build localhost/demo/torch:torch-1 after [2] (its parent is rebuilt)
         5 torch: tag torch:torch-1 torch:latest after [4] (is the newest)",
    );
}

#[test]
fn changed_inputs_rebuild_an_image_and_what_stands_on_it() {
    let case = layered();
    let mut recipes = recipes(&case);
    change(&mut recipes, "torch");
    check(
        &case,
        &["gpu-code", "demo-code"],
        &recipes,
        false,
        "0 torch: build localhost/demo/torch:torch-2 (its inputs changed)
         1 torch: tag torch:torch-2 torch:latest after [0] (is the newest)
         2 gpu: build localhost/demo/gpu:gpu-1 after [0] (its parent is rebuilt)
         3 gpu: tag gpu:gpu-1 gpu:latest after [2] (is the newest)
         4 gpu-code: write /gpu-code (decides what is copied)
         5 gpu-code: build localhost/demo/gpu-code:gpu-code-1 after [2, 4] (its parent is rebuilt)
         6 gpu-code: tag gpu-code:gpu-code-1 gpu-code:latest after [5] (is the newest)
         unchanged: demo-base core demo-code",
    );
}

#[test]
fn a_parent_rebuilt_by_somebody_leaves_its_children_behind() {
    let mut case = layered();
    each(&mut case, "torch", |torch| {
        torch.layers[2] = "other torch".into()
    });
    check(
        &case,
        &["gpu"],
        &recipes(&case),
        false,
        "0 gpu: build localhost/demo/gpu:gpu-1 (its parent changed)
         1 gpu: tag gpu:gpu-1 gpu:latest after [0] (is the newest)
         unchanged: demo-base core torch",
    );
}

#[test]
fn an_image_that_is_not_the_systems_is_not_built_over() {
    let mut case = layered();
    let errors = |case: &Case| {
        let wanted = BTreeSet::from(["core".to_owned()]);
        let (system, state) = (&case.system, &case.world.state);
        images::plan(system, state, &wanted, &recipes(case), false).expect_err("no plan")
    };
    let taken = |owner: Option<&str>| PlanError::ImageTaken {
        image: tag("core"),
        owner: owner.map(str::to_owned),
        system: "demo".into(),
    };
    each(&mut case, "core", |core| core.labels.clear());
    assert_eq!(errors(&case), [taken(None)]);
    each(&mut case, "core", |core| {
        core.labels.insert(label::SYSTEM.into(), "other".into());
        core.labels.insert(label::INPUTS.into(), inputs("core"));
    });
    assert_eq!(errors(&case), [taken(Some("other"))]);
}

#[test]
fn a_missing_image_whose_child_exists_is_built_with_its_child() {
    let mut case = layered();
    without(&mut case, "torch");
    check(
        &case,
        &["gpu"],
        &recipes(&case),
        false,
        "0 torch: build localhost/demo/torch:torch-1 (does not exist)
         1 torch: tag torch:torch-1 torch:latest after [0] (is the newest)
         2 gpu: build localhost/demo/gpu:gpu-1 after [0] (its parent is rebuilt)
         3 gpu: tag gpu:gpu-1 gpu:latest after [2] (is the newest)
         unchanged: demo-base core",
    );
}

#[test]
fn force_builds_what_has_not_changed_but_not_the_base() {
    let case = layered();
    check(
        &case,
        &["core"],
        &recipes(&case),
        true,
        "0 core: build localhost/demo/core:core-1 (asked for)
         1 core: tag core:core-1 core:latest after [0] (is the newest)
         unchanged: demo-base",
    );
}

/// Recipes of images that add a package each; the code adds none.
fn with_packages(case: &Case) -> Recipes {
    let mut recipes = recipes(case);
    for name in ["core", "torch", "gpu"] {
        let recipe = recipes.images.get_mut(name).expect("known");
        recipe.packages = vec![format!("{name}-package")];
    }
    recipes
}

#[test]
fn packages_are_imported_at_the_end_of_a_build_and_before_what_stands_on_it() {
    let mut case = layered();
    without(&mut case, "torch");
    let sound = ["core", "torch", "gpu"].map(|name| format!("id of {name}"));
    case.world.state.sound = BTreeSet::from(sound);
    // What was known of another torch does not count for the new one.
    check(
        &case,
        &["gpu-code"],
        &with_packages(&case),
        false,
        "0 torch: build localhost/demo/torch:torch-1 (does not exist)
         1 torch: import torch-package after [0] (its packages must import)
         2 torch: tag torch:torch-1 torch:latest after [1] (is the newest)
         3 gpu: build localhost/demo/gpu:gpu-1 after [1] (its parent is rebuilt)
         4 gpu: import gpu-package after [3] (its packages must import)
         5 gpu: tag gpu:gpu-1 gpu:latest after [4] (is the newest)
         6 gpu-code: write /gpu-code (decides what is copied)
         7 gpu-code: build localhost/demo/gpu-code:gpu-code-1 after [4, 6] (its parent is rebuilt)
         8 gpu-code: tag gpu-code:gpu-code-1 gpu-code:latest after [7] (is the newest)
         unchanged: demo-base core",
    );
}

#[test]
fn an_image_that_was_not_tried_is_tried_and_not_built() {
    let mut case = layered();
    let mut recipes = with_packages(&case);
    let sound = ["core", "gpu"].map(|name| format!("id of {name}"));
    case.world.state.sound = BTreeSet::from(sound);
    check(
        &case,
        &["gpu-code"],
        &recipes,
        false,
        "0 torch: import torch-package (its packages have not been imported yet)
         unchanged: demo-base core gpu gpu-code",
    );
    // What is to be built on it waits, even where there is one between that is
    // known to be in order.
    change(&mut recipes, "gpu-code");
    check(
        &case,
        &["gpu-code"],
        &recipes,
        false,
        "0 torch: import torch-package (its packages have not been imported yet)
         1 gpu-code: write /gpu-code (decides what is copied)
         2 gpu-code: build localhost/demo/gpu-code:gpu-code-2 after [0, 1] (its inputs changed)
         3 gpu-code: tag gpu-code:gpu-code-2 gpu-code:latest after [2] (is the newest)
         unchanged: demo-base core gpu",
    );
    change(&mut recipes, "gpu");
    check(
        &case,
        &["gpu"],
        &recipes,
        false,
        "0 torch: import torch-package (its packages have not been imported yet)
         1 gpu: build localhost/demo/gpu:gpu-2 after [0] (its inputs changed)
         2 gpu: import gpu-package after [1] (its packages must import)
         3 gpu: tag gpu:gpu-2 gpu:latest after [2] (is the newest)
         unchanged: demo-base core",
    );
}

#[test]
fn packages_are_fetched_while_the_parent_is_built() {
    let mut case = layered();
    let mut recipes = recipes(&case);
    for name in ["core", "torch", "gpu"] {
        let fetch = BuildSpec {
            tag: "localhost/demo/demo-fetched:latest".into(),
            target: Some("fetched".into()),
            ..build(name)
        };
        recipes.images.get_mut(name).expect("known").fetch = Some(fetch);
    }
    without(&mut case, "torch");
    // Nothing is left to do ahead of a build that can start at once.
    check(
        &case,
        &["gpu"],
        &recipes,
        false,
        "0 torch: build localhost/demo/torch:torch-1 (does not exist)
         1 torch: tag torch:torch-1 torch:latest after [0] (is the newest)
         2 gpu: fetch packages (while its parent is built)
         3 gpu: build localhost/demo/gpu:gpu-1 after [0, 2] (its parent is rebuilt)
         4 gpu: tag gpu:gpu-1 gpu:latest after [3] (is the newest)
         unchanged: demo-base core",
    );
    case.world.state.images.clear();
    check(
        &case,
        &["gpu"],
        &recipes,
        false,
        "0 demo-base: provide localhost/demo/demo-base:demo-base-1 (does not exist)
         1 demo-base: tag demo-base:demo-base-1 demo-base:latest after [0] (is the newest)
         2 core: build localhost/demo/core:core-1 after [0] (does not exist)
         3 core: tag core:core-1 core:latest after [2] (is the newest)
         4 torch: fetch packages after [0] (while its parent is built)
         5 torch: build localhost/demo/torch:torch-1 after [2, 4] (does not exist)
         6 torch: tag torch:torch-1 torch:latest after [5] (is the newest)
         7 gpu: fetch packages after [4] (while its parent is built)
         8 gpu: build localhost/demo/gpu:gpu-1 after [5, 7] (does not exist)
         9 gpu: tag gpu:gpu-1 gpu:latest after [8] (is the newest)",
    );
}

#[test]
fn content_that_is_there_is_tagged_and_not_built() {
    let mut case = layered();
    case.world.state.sound = BTreeSet::from(["id of core".to_owned()]);
    let wanted = ["core"];
    let mut recipes = recipes(&case);
    recipes.images.get_mut("core").expect("known").packages = vec!["numpy".into()];
    // Tests have built it.
    let core = case.world.state.images.remove("localhost/demo/core:latest");
    check(
        &case,
        &wanted,
        &recipes,
        false,
        "0 core: tag core:core-1 core:latest (has been built before)
         unchanged: demo-base",
    );
    // It has but the name of versions that knew no others.
    without(&mut case, "core");
    let core = core.expect("it was there");
    case.world
        .state
        .images
        .insert(local_tag("core"), core.clone());
    check(
        &case,
        &wanted,
        &recipes,
        false,
        "0 core: tag core:latest core:core-1 (is there under another name)
         1 core: tag core:core-1 core:latest after [0] (has been built before)
         unchanged: demo-base",
    );
    // That of another system is left alone, and no reason to stop.
    let labels = &mut case
        .world
        .state
        .images
        .get_mut(&local_tag("core"))
        .expect("there")
        .labels;
    labels.insert(label::SYSTEM.into(), "other".into());
    check(
        &case,
        &wanted,
        &recipes,
        false,
        "0 core: build localhost/demo/core:core-1 (does not exist)
         1 core: import numpy after [0] (its packages must import)
         2 core: tag core:core-1 core:latest after [1] (is the newest)
         unchanged: demo-base",
    );
}

#[test]
fn a_base_made_anew_by_hand_takes_the_place_of_the_former_one() {
    let mut case = layered();
    let base = case
        .world
        .state
        .images
        .get_mut("localhost/demo-base:latest")
        .expect("made");
    (base.id, base.layers) = ("new base".into(), vec!["new base".into()]);
    check(
        &case,
        &["core"],
        &recipes(&case),
        false,
        "0 demo-base: tag demo-base:latest demo-base:demo-base-1 (is there under another name)
         1 demo-base: tag demo-base:demo-base-1 demo-base:latest after [0] (stands for another one)
         2 core: build localhost/demo/core:core-1 after [0] (its parent changed)
         3 core: tag core:core-1 core:latest after [2] (is the newest)",
    );
}
