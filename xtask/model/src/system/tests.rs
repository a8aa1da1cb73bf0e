//! Whole-manifest tests: here the catalogue of messages in `tests/manifests`;
//! below the real manifest, and damaged copies of it.
//!
//! Every `*.toml` there but `good.toml` is refused with exactly the text of the
//! `*.stderr` beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

mod damage;
mod real;

fn crate_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn fixtures() -> PathBuf {
    crate_folder().join("tests/manifests")
}

fn load_from(manifest: PathBuf) -> Result<System, ManifestError> {
    load(&Source {
        manifest,
        monorepo: None,
    })
}

/// The folder in which the manifest lies would differ on every machine.
fn rendered(error: &ManifestError, folder: &Path) -> String {
    let text = format!("{}\n{error}\n", error.render(false));
    text.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn bad_manifests_are_refused_with_these_words() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut manifests: Vec<PathBuf> = fs::read_dir(fixtures())
        .expect("the fixtures exist")
        .map(|entry| entry.expect("readable fixtures").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    manifests.sort();
    assert!(manifests.len() > 25, "fixtures are missing");
    let mut different = Vec::new();
    for manifest in manifests {
        let result = load_from(manifest.clone());
        if manifest.ends_with("good.toml") {
            assert!(result.is_ok(), "{}", result.unwrap_err().render(false));
            continue;
        }
        let error = result.expect_err(&format!("{} must be refused", manifest.display()));
        let actual = rendered(&error, &fixtures());
        let golden = manifest.with_extension("stderr");
        if update {
            fs::write(&golden, &actual).expect("golden files can be written");
        } else if fs::read_to_string(&golden).unwrap_or_default() != actual {
            different.push(format!("--- {}\n{actual}", golden.display()));
        }
    }
    assert!(
        different.is_empty(),
        "messages changed; if that is meant, run\n\
         UPDATE_GOLDEN=1 cargo test -p xtask-model bad_manifests\n{}",
        different.join("\n")
    );
}

#[test]
fn problems_are_values_with_places() {
    let error = load_from(fixtures().join("port_ranges.toml")).expect_err("bad ports");
    let problems = error.problems();
    assert_eq!(problems[0].line, Some(27));
    assert_eq!(problems[0].column, Some(8));
    assert_eq!(problems[0].message, "`port` is 0, which is out of range");
    assert_eq!(problems[0].help, "write a number from 1 to 65535");
    let file = &problems[0].file;
    assert!(file.ends_with("port_ranges.toml"), "{file}");
}

#[test]
fn an_unreadable_manifest_says_how_to_name_one() {
    let error = load_from(fixtures().join("nowhere.toml")).expect_err("no such file");
    assert_eq!(
        rendered(&error, &fixtures()),
        "error: cannot read the manifest `nowhere.toml`\n \
         |\n \
         = note: No such file or directory (os error 2)\n \
         = help: name the file with `--manifest PATH` or run inside the repository\n\n\
         cannot read the manifest `nowhere.toml`\n"
    );
    assert_eq!(error.problems()[0].line, None);
    let folder = load_from(fixtures()).expect_err("a folder");
    assert!(matches!(folder, ManifestError::Read { .. }));
}

#[test]
fn an_overridden_monorepo_is_judged_in_place_of_the_manifests() {
    let load_with = |monorepo: &str| {
        let monorepo = Some(fixtures().join(monorepo));
        load(&Source {
            manifest: fixtures().join("good.toml"),
            monorepo,
        })
    };
    let error = load_with("elsewhere").expect_err("no such folder");
    assert_eq!(
        rendered(&error, &fixtures()),
        "error: monorepo `elsewhere` is not a folder\n \
         |\n \
         = help: name the tree that holds the agents' code, here or with `--monorepo PATH`\n\n\
         manifest `good.toml` has 1 problem\n"
    );
    let system = load_with("monorepo").expect("a good one");
    assert_eq!(system.monorepo, fixtures().join("monorepo"));
    let manifest = fixtures().join("monorepo_missing.toml");
    let monorepo = Some(fixtures().join("monorepo"));
    assert!(
        load(&Source { manifest, monorepo }).is_ok(),
        "the override is what counts"
    );
}

/// A copy of the real manifest in which every file that it names exists.
struct RealCopy {
    folder: tempfile::TempDir,
    text: String,
}

impl RealCopy {
    fn new() -> Self {
        let real = crate_folder().join("../../containers/system.toml");
        let text = fs::read_to_string(real).expect("the repository has a manifest");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copy = RealCopy { folder, text };
        let document = DeTable::parse(&copy.text).expect("TOML");
        let mut problems = Problems::default();
        let manifest = Manifest::decode(&mut problems, document.get_ref());
        let containers = copy.folder.path().join("containers");
        let monorepo = join(
            &containers,
            manifest.system.monorepo.as_ref().expect("monorepo"),
        );
        for image in &manifest.images {
            copy.touch(&join(
                &containers,
                image.containerfile.as_ref().expect("a path"),
            ));
            for input in &image.inputs {
                copy.touch(&join(&containers, input));
            }
            let lists = image.requirements.iter().map(|list| list.value.as_str());
            for list in lists.chain(SERVING.iter().copied()) {
                copy.touch(&lock_file(copy.folder.path(), list));
            }
        }
        let members = manifest.groups.iter().flat_map(|group| &group.agents);
        for agent in members.clone() {
            copy.touch(&join(&monorepo, agent.script.as_ref().expect("a script")));
        }
        let shared = manifest.groups.iter().map(|group| &group.shared);
        for mount in shared
            .chain(members.map(|agent| &agent.shared))
            .flat_map(|s| &s.mounts)
        {
            if let Some(host) = &mount.host {
                copy.touch(&join(&monorepo, host).join("file"));
            }
        }
        copy.write(&copy.text);
        copy
    }

    fn touch(&self, path: &Path) {
        assert!(
            path.starts_with(self.folder.path()),
            "{} is outside",
            path.display()
        );
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, "").expect("a file");
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(MANIFEST)
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.folder.path().join("containers")).expect("a folder");
        fs::write(self.path(), text).expect("a manifest");
    }

    fn load(&self) -> System {
        load_from(self.path()).unwrap_or_else(|error| panic!("{}", error.render(false)))
    }
}

#[test]
fn the_manifest_is_found_from_below() {
    let copy = RealCopy::new();
    let below = copy.folder.path().join("containers/images/core");
    assert_eq!(find_manifest(&below), Some(copy.path()));
    assert_eq!(find_manifest(Path::new("/")), None);
}
