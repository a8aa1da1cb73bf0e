//! Images: the order of builds, and what makes one out of date.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
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
        tag: image_tag("demo-base"),
        system: "demo".into(),
        inputs_hash: "inputs of demo-base".into(),
        sources: Vec::new(),
    };
    let base = Recipe::new(Action::EnsureBase(base), "inputs of demo-base");
    let recipe = |image: &Image| {
        let name = &image.name;
        let write = Action::WriteFile {
            path: format!("/{name}").into(),
            lines: Vec::new(),
        };
        let made = Recipe {
            ignorefile: image.holds_code().then_some(write),
            ..Recipe::new(
                Action::BuildImage(build(name)),
                &format!("inputs of {name}"),
            )
        };
        (name.clone(), made)
    };
    let images = case.system.images.values().map(recipe);
    Recipes {
        images: images.chain([("demo-base".to_owned(), base)]).collect(),
    }
}

fn build(name: &str) -> BuildSpec {
    BuildSpec {
        system: Some("demo".into()),
        code: false,
        tag: image_tag(name),
        containerfile: "Containerfile".into(),
        context: "/".into(),
        ignorefile: None,
        args: BTreeMap::new(),
        env: BTreeMap::new(),
        target: None,
        secrets: Vec::new(),
        inputs_hash: format!("inputs of {name}"),
    }
}

/// Its inputs are others now.
fn change(recipes: &mut Recipes, name: &str) {
    let recipe = recipes.images.get_mut(name).expect("known");
    recipe.inputs_hash = "other".into();
}

#[track_caller]
fn check(case: &Case, wanted: &[&str], recipes: &Recipes, force: bool, expected: &str) {
    let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let plan = images::plan(&case.system, &case.world.state, &wanted, recipes, force);
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
        "0 demo-base: provide localhost/demo-base:latest (does not exist)
         1 core: build localhost/core:latest after [0] (does not exist)
         2 demo-code: write /demo-code (decides what is copied)
         3 demo-code: build localhost/demo-code:latest after [1, 2] (does not exist)
         4 torch: build localhost/torch:latest after [1] (does not exist)
         5 gpu: build localhost/gpu:latest after [4] (does not exist)
         6 gpu-code: write /gpu-code (decides what is copied)
         7 gpu-code: build localhost/gpu-code:latest after [5, 6] (does not exist)",
    );
}

#[test]
fn a_base_that_has_to_be_made_again_takes_its_children_along() {
    let mut case = layered();
    case.world.state.images.remove("localhost/demo-base:latest");
    check(
        &case,
        &["torch"],
        &recipes(&case),
        false,
        "0 demo-base: provide localhost/demo-base:latest (does not exist)
         1 core: build localhost/core:latest after [0] (its parent is rebuilt)
         2 torch: build localhost/torch:latest after [1] (its parent is rebuilt)",
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
        "0 torch: build localhost/torch:latest (its inputs changed)
         1 gpu: build localhost/gpu:latest after [0] (its parent is rebuilt)
         2 gpu-code: write /gpu-code (decides what is copied)
         3 gpu-code: build localhost/gpu-code:latest after [1, 2] (its parent is rebuilt)
         unchanged: demo-base core demo-code",
    );
}

#[test]
fn a_parent_rebuilt_by_somebody_leaves_its_children_behind() {
    let mut case = layered();
    let torch = case.world.state.images.get_mut("localhost/torch:latest");
    torch.expect("built").layers[2] = "other torch".into();
    check(
        &case,
        &["gpu"],
        &recipes(&case),
        false,
        "0 gpu: build localhost/gpu:latest (its parent changed)
         unchanged: demo-base core torch",
    );
}

#[test]
fn an_image_without_our_label_is_built_over() {
    let mut case = layered();
    let core = case.world.state.images.get_mut("localhost/core:latest");
    core.expect("built").labels.clear();
    check(
        &case,
        &["core"],
        &recipes(&case),
        false,
        "0 core: build localhost/core:latest (its inputs changed)
         unchanged: demo-base",
    );
}

#[test]
fn a_missing_image_whose_child_exists_is_built_with_its_child() {
    let mut case = layered();
    case.world.state.images.remove("localhost/torch:latest");
    check(
        &case,
        &["gpu"],
        &recipes(&case),
        false,
        "0 torch: build localhost/torch:latest (does not exist)
         1 gpu: build localhost/gpu:latest after [0] (its parent is rebuilt)
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
        "0 core: build localhost/core:latest (asked for)
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
    case.world.state.images.remove("localhost/torch:latest");
    let sound = ["core", "torch", "gpu"].map(image_tag);
    case.world.state.sound = BTreeSet::from(sound);
    // What was known of another torch does not count for the new one.
    check(
        &case,
        &["gpu-code"],
        &with_packages(&case),
        false,
        "0 torch: build localhost/torch:latest (does not exist)
         1 torch: import torch-package after [0] (its packages must import)
         2 gpu: build localhost/gpu:latest after [1] (its parent is rebuilt)
         3 gpu: import gpu-package after [2] (its packages must import)
         4 gpu-code: write /gpu-code (decides what is copied)
         5 gpu-code: build localhost/gpu-code:latest after [3, 4] (its parent is rebuilt)
         unchanged: demo-base core",
    );
}

#[test]
fn an_image_that_was_not_tried_is_tried_and_not_built() {
    let mut case = layered();
    let mut recipes = with_packages(&case);
    let sound = ["core", "gpu"].map(image_tag);
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
         2 gpu-code: build localhost/gpu-code:latest after [0, 1] (its inputs changed)
         unchanged: demo-base core gpu",
    );
    change(&mut recipes, "gpu");
    check(
        &case,
        &["gpu"],
        &recipes,
        false,
        "0 torch: import torch-package (its packages have not been imported yet)
         1 gpu: build localhost/gpu:latest after [0] (its inputs changed)
         2 gpu: import gpu-package after [1] (its packages must import)
         unchanged: demo-base core",
    );
}

#[test]
fn packages_are_fetched_while_the_parent_is_built() {
    let mut case = layered();
    let mut recipes = recipes(&case);
    for name in ["core", "torch", "gpu"] {
        let fetch = BuildSpec {
            tag: image_tag("demo-fetched"),
            target: Some("fetched".into()),
            ..build(name)
        };
        recipes.images.get_mut(name).expect("known").fetch = Some(fetch);
    }
    case.world.state.images.remove("localhost/torch:latest");
    // Nothing is left to do ahead of a build that can start at once.
    check(
        &case,
        &["gpu"],
        &recipes,
        false,
        "0 torch: build localhost/torch:latest (does not exist)
         1 gpu: fetch packages (while its parent is built)
         2 gpu: build localhost/gpu:latest after [0, 1] (its parent is rebuilt)
         unchanged: demo-base core",
    );
    case.world.state.images.clear();
    check(
        &case,
        &["gpu"],
        &recipes,
        false,
        "0 demo-base: provide localhost/demo-base:latest (does not exist)
         1 core: build localhost/core:latest after [0] (does not exist)
         2 torch: fetch packages after [0] (while its parent is built)
         3 torch: build localhost/torch:latest after [1, 2] (does not exist)
         4 gpu: fetch packages after [2] (while its parent is built)
         5 gpu: build localhost/gpu:latest after [3, 4] (does not exist)",
    );
}
