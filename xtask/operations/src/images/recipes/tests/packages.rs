//! Locks, packages of the system and variables.

use super::*;

#[test]
fn locks_packages_and_variables_count_for_the_image_that_names_them() {
    let tree = Tree::new();
    let voice = |system: &System| tree.recipes_of(system).images["voice"].inputs_hash.clone();
    let mut system = tree.system();
    let mut hashes = vec![voice(&system)];
    for list in ["gpu", "audio", "build", "source"] {
        let lock = format!("requirements/requirements.{list}.lock");
        assert_eq!(
            tree.changed(|| tree.write(&lock, "changed")),
            (false, false)
        );
        hashes.push(voice(&system));
    }
    let adding = |system: &mut System, change: &dyn Fn(&mut Packages)| {
        change(packages(system));
        voice(system)
    };
    hashes.extend([
        adding(&mut system, &|adds| adds.requirements.reverse()),
        adding(&mut system, &|adds| adds.system_packages.truncate(1)),
        adding(&mut system, &|adds| adds.system_exclude.clear()),
    ]);
    system.images.get_mut("voice").expect("known").env.clear();
    hashes.push(voice(&system));
    let different: std::collections::BTreeSet<&String> = hashes.iter().collect();
    assert_eq!(different.len(), hashes.len());
    fs::remove_file(tree.path("requirements/requirements.gpu.lock")).expect("it was there");
    let error = read_all(&system, &LeftOut::new(), &tree.path("scratch")).expect_err("it is gone");
    assert_eq!(error.path, tree.path("requirements/requirements.gpu.lock"));
}

#[test]
fn packages_are_named_in_build_arguments_and_can_be_fetched_ahead() {
    let tree = Tree::new();
    let adds = "[images.core]\nrequirements = [\"gpu\"]";
    let system = tree.system_of(&MANIFEST.replace("[images.core]", adds));
    let recipes = tree.recipes_of(&system);
    let voice = build_of(&recipes, "voice");
    let args = [
        ("BASE", base_of(&recipes).tag.as_str()),
        ("LOCKS", "gpu audio"),
        ("PARENT", build_of(&recipes, "core").tag.as_str()),
        ("PARENT_LOCKS", "gpu"),
        ("SYSTEM_EXCLUDE", "/usr/share/doc/*"),
        ("SYSTEM_PACKAGES", "ffmpeg libportaudio2"),
    ];
    let args = args.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(voice.args, BTreeMap::from(args));
    assert_eq!(voice.env["NUMBA_CACHE_DIR"], "/tmp/numba");
    // The other list is in the parent already.
    assert_eq!(recipes.images["voice"].packages, ["audio"]);
    // `core` has a Containerfile without that stage.
    let fetch = |name: &str| recipes.images[name].fetch.as_ref();
    assert!(fetch("core").is_none() && fetch("demo-code").is_none());
    let fetch = fetch("voice").expect("its file has the stage");
    assert_eq!(fetch.tag, "localhost/demo/demo-fetched:latest");
    assert_eq!(fetch.target.as_deref(), Some("fetched"));
    assert!(fetch.args == voice.args && fetch.env.is_empty());
}
