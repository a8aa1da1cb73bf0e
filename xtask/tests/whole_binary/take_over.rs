//! Two checkouts with one system's name, and one checkout that was moved.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::fixture::Fixture;

const EDIT: (&str, &str) = ("MODE = \"plain\"", "MODE = \"other\"");

#[test]
fn another_checkout_does_not_take_a_live_system_over() {
    let fixture = Fixture::deployed();
    let other = Other::new(&fixture, "elsewhere");
    // Looking is allowed.
    other.run(&fixture, &["status"]).expect(0);
    other.edit();
    for args in [&["deploy"][..], &["up"], &["down"]] {
        let refused = other.run(&fixture, args).expect(11);
        let (from, here) = (fixture.path("repo"), other.0.display());
        refused.says(&format!(
            "`trial` was deployed from {}/containers/system.toml, and you are in {here}/containers/system.toml",
            from.display()
        ));
        refused.says("coordinator-agent");
        assert_eq!(refused.changes(), [""; 0], "{args:?}");
    }
    let over = ["deploy", "--settle", "0s", "--take-over"];
    other
        .run(&fixture, &over)
        .expect(0)
        .says("taking `trial` over");
    fixture.assert_whole();
    // Now it is theirs, all of it, and not the first one's any more.
    let again = other.run(&fixture, &over).expect(0);
    assert!(
        again.stdout.starts_with("nothing to do"),
        "{}",
        again.stdout
    );
    fixture.run(&["deploy"]).expect(11);
    fixture.run(&["down", "--take-over"]).expect(0);
    assert_eq!(fixture.containers(), []);
}

#[test]
fn a_checkout_that_was_moved_goes_on() {
    let fixture = Fixture::deployed();
    let other = Other::new(&fixture, "moved");
    other.edit();
    let gone = fixture.path("repo/containers/system.toml");
    fs::remove_file(gone).expect("a file");
    let went_on = other.run(&fixture, &["deploy", "--settle", "0s"]);
    went_on.expect(0).says("which is gone");
    fixture.assert_whole();
    other.run(&fixture, &["down"]).expect(0);
}

#[test]
fn the_same_checkout_by_another_path_is_the_same() {
    let fixture = Fixture::deployed();
    symlink(fixture.path("repo"), fixture.path("link")).expect("a link");
    let other = Other(fixture.path("link"));
    other.edit();
    let deployed = other.run(&fixture, &["deploy", "--settle", "0s"]);
    let deployed = deployed.expect(0);
    assert!(!deployed.stderr.contains("over"), "{}", deployed.stderr);
}

/// A second checkout.
struct Other(PathBuf);

impl Other {
    fn new(fixture: &Fixture, name: &str) -> Self {
        let other = fixture.path(name);
        copy(&fixture.path("repo"), &other);
        Other(other)
    }

    fn edit(&self) {
        let file = self.0.join("containers/system.toml");
        let text = fs::read_to_string(&file).expect("a manifest");
        assert!(text.contains(EDIT.0));
        fs::write(file, text.replace(EDIT.0, EDIT.1)).expect("a manifest");
    }

    fn run(&self, fixture: &Fixture, args: &[&str]) -> crate::tool::Outcome {
        let manifest = self.0.join("containers/system.toml");
        let manifest = manifest.display().to_string();
        fixture.run(&[args, &["--manifest", &manifest]].concat())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::copy(entry.path(), to).map(drop).expect("a file"),
        }
    }
}
