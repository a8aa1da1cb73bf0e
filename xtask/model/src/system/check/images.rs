//! What an image adds to its parent: lists of packages, packages of the
//! system, variables.
//!
//! Whether a list has been locked is looked up on the disk; no file is read.

use std::{collections::BTreeSet, fs, path::Path};

use diagnostics::{
    located::problem::{Problems, Span},
    names::suggestion,
};

use crate::system::{
    effective::View,
    image::{FETCHED_SUFFIX, LISTS, SERVING, lock_file},
    manifest::ImageTable,
    naming::is_variable_name,
};

/// Reports what the header of this file lists.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    let root = &view.places.root;
    let known = known_lists(root);
    for image in &view.manifest.images {
        for list in &image.requirements {
            if known.contains(list.as_str()) {
                locked(problems, &list.at, list, view);
            } else {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let message = format!("unknown list of requirements `{}`", list.value);
                problems.report(&list.at, message, suggestion(list, "lists", &known));
            }
        }
        not_beside_code(problems, image);
        system_packages(problems, image);
        for (name, _) in &image.env {
            if !is_variable_name(name) {
                problems.report(
                    &name.at,
                    format!("`{}` cannot be the name of a variable", name.value),
                    "use letters, digits and `_`, not starting with a digit",
                );
            }
        }
    }
    serving_locks(view, problems);
    reserved_name(view, problems);
}

/// Every image with packages is made with the tools of the one lock, and asks
/// the other what has to be compiled.
fn serving_locks(view: &View<'_>, problems: &mut Problems) {
    let images = view.manifest.images.iter();
    let mut wanted =
        images.flat_map(|image| image.requirements.iter().chain(&image.system_packages));
    if let Some(first) = wanted.next() {
        for list in SERVING {
            locked(problems, &first.at, list, view);
        }
    }
}

/// The standard lists, and whatever else is locked or could be.
fn known_lists(root: &Path) -> BTreeSet<String> {
    let mut known: BTreeSet<String> = LISTS.iter().map(|list| (*list).to_owned()).collect();
    let example = lock_file(root, "x");
    let folder = example.parent().unwrap_or(root);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let list = name
            .strip_prefix("requirements.")
            .and_then(|name| name.strip_suffix(".lock").or(name.strip_suffix(".txt")));
        let serves = |list: &&str| *list == "all" || SERVING.contains(list);
        known.extend(list.filter(|list| !serves(list)).map(str::to_owned));
    }
    known
}

fn locked(problems: &mut Problems, at: &Span, list: &str, view: &View<'_>) {
    let root = &view.places.root;
    let lock = lock_file(root, list);
    if view.places.locked && !lock.is_file() {
        let shown = lock.strip_prefix(root).unwrap_or(&lock);
        problems.report(
            at,
            format!(
                "list of requirements `{list}` has no lock: `{}` does not exist",
                shown.display()
            ),
            "make it with `cargo xtask split-requirements`",
        );
    }
}

/// A service image is built where the monorepo is; the locks are elsewhere.
fn not_beside_code(problems: &mut Problems, image: &ImageTable) {
    let code = image.code.as_ref().filter(|code| code.value);
    let fields = [
        ("requirements", &image.requirements),
        ("system_packages", &image.system_packages),
    ];
    for (key, list) in fields {
        let (Some(code), Some(first)) = (code, list.first()) else {
            continue;
        };
        problems.report_pair(
            &first.at,
            format!("image `{}` holds code and `{key}`", image.name.value),
            "put the packages into an image of their own, and make it the parent",
            (&code.at, "the monorepo's code"),
        );
    }
}

fn system_packages(problems: &mut Problems, image: &ImageTable) {
    for package in &image.system_packages {
        if !is_debian_name(package) {
            problems.report(
                &package.at,
                format!("`{}` cannot be the name of a Debian package", package.value),
                "write a name like `libportaudio2`: small letters, digits, `+`, `-` and `.`",
            );
        }
    }
    for pattern in &image.system_exclude {
        // What the script and dpkg take apart at blanks and quotes.
        let plain = |c: char| c.is_ascii_graphic() && !"'\"\\$`;&|<>(){}".contains(c);
        if !pattern.starts_with('/') || !pattern.chars().all(plain) {
            problems.report(
                &pattern.at,
                format!("`{}` is not a pattern of paths to leave out", pattern.value),
                "write an absolute path without blanks, with `*` for any text: `/usr/share/doc/*`",
            );
        }
    }
    if let (Some(pattern), true) = (
        image.system_exclude.first(),
        image.system_packages.is_empty(),
    ) {
        problems.report(
            &pattern.at,
            "`system_exclude` leaves out parts of `system_packages`, of which there are none",
            "remove it or add `system_packages = [...]`",
        );
    }
}

fn is_debian_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let starts = name.chars().next().is_some_and(good);
    starts && name.len() > 1 && name.chars().all(|c| good(c) || "+-.".contains(c))
}

/// What is downloaded ahead is built under a name of its own.
fn reserved_name(view: &View<'_>, problems: &mut Problems) {
    let Some(system) = &view.manifest.system.name else {
        return;
    };
    let reserved = format!("{}{FETCHED_SUFFIX}", system.value);
    let images = view.manifest.images.iter().map(|image| &image.name);
    for name in images.chain(view.manifest.base.name.as_ref()) {
        if name.value == reserved {
            problems.report(
                &name.at,
                format!("image name `{reserved}` is taken by what builds download ahead"),
                "give it another name",
            );
        }
    }
}
