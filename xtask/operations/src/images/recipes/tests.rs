//! What changes the identity of an image, and what does not.

use std::{
    os::unix::{ffi::OsStringExt, fs::symlink},
    time::{Duration, Instant, SystemTime},
};

use model::system;

use super::*;

mod packages;
mod scripts;

const MANIFEST: &str = r#"
schema = 1
[system]
name = "demo"
monorepo = "../tree"
code = ["code"]
code_exclude = [".git", "__pycache__", "*.pyc"]
[base]
name = "demo-base"
sources = ["present", "pull", "bootstrap"]
pull = "registry.example/python:3.11"
suite = "bookworm"
packages = ["python3"]
[networks.net]
subnet = "10.1.0.0/16"
[images.core]
parent = "demo-base"
containerfile = "core.Containerfile"
inputs = ["requirements.txt", "scripts"]
[images.demo-code]
parent = "core"
containerfile = "code.Containerfile"
code = true
[images.voice]
parent = "core"
containerfile = "voice.Containerfile"
requirements = ["gpu", "audio"]
system_packages = ["ffmpeg", "libportaudio2"]
system_exclude = ["/usr/share/doc/*"]
env = { NUMBA_CACHE_DIR = "/tmp/numba" }
[groups.one]
image = "demo-code"
network = "net"
[groups.one.agents.A]
script = "code/a.py"
port = 7000
"#;

/// A repository with the files that the manifest names.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Tree(tempfile::tempdir().expect("a temporary folder"));
        for file in [
            "core.Containerfile",
            "code.Containerfile",
            "requirements.txt",
            "scripts/run.sh",
        ] {
            tree.write(&format!("containers/{file}"), file);
        }
        let stages = "from ${BASE} as fetch\nFROM scratch AS  fetched\nFROM ${PARENT} AS image\n";
        tree.write("containers/voice.Containerfile", stages);
        for list in ["gpu", "audio", "build", "source"] {
            tree.write(&format!("requirements/requirements.{list}.lock"), list);
        }
        for file in [
            "a.py",
            "b/c.py",
            ".git/HEAD",
            "b/__pycache__/c.pyc",
            "b/d.pyc",
        ] {
            tree.write(&format!("tree/code/{file}"), file);
        }
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn system(&self) -> System {
        self.system_of(MANIFEST)
    }

    fn system_of(&self, manifest: &str) -> System {
        system::from_text(manifest, &self.path("containers/system.toml"))
            .unwrap_or_else(|error| panic!("{}", error.render(false)))
    }

    fn recipes_of(&self, system: &System) -> Recipes {
        read_all(system, &LeftOut::new(), &self.path("scratch"))
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Hashes of `core` and `demo-code`.
    fn hashes(&self) -> [String; 2] {
        self.hashes_of(&self.system())
    }

    fn hashes_of(&self, system: &System) -> [String; 2] {
        let recipes = self.recipes_of(system);
        ["core", "demo-code"].map(|name| recipes.images[name].inputs_hash.clone())
    }

    /// Which of the two hashes `change` changes.
    fn changed(&self, change: impl FnOnce()) -> (bool, bool) {
        let before = self.hashes();
        change();
        let after = self.hashes();
        (before[0] != after[0], before[1] != after[1])
    }
}

/// The build that makes the image.
fn build_of<'r>(recipes: &'r Recipes, name: &str) -> &'r BuildSpec {
    match &recipes.images[name].make {
        Action::BuildImage(build) => build,
        other => panic!("{name} is made by {other:?}"),
    }
}

fn base_of(recipes: &Recipes) -> &BaseSpec {
    match &recipes.images["demo-base"].make {
        Action::EnsureBase(base) => base,
        other => panic!("the base is made by {other:?}"),
    }
}

/// What the image `voice` adds.
fn packages(system: &mut System) -> &mut Packages {
    match &mut system.images.get_mut("voice").expect("known").kind {
        ImageKind::Packages(packages) => packages,
        ImageKind::Code => panic!("it holds code"),
    }
}

/// The recipes, with the code read for them.
fn read_all(system: &System, left_out: &LeftOut, scratch: &Path) -> Result<Recipes, Unreadable> {
    read(
        system,
        &CodeFiles::read(system, &|_| None)?,
        left_out,
        scratch,
    )
}

#[test]
fn hashes_are_the_same_every_time_and_in_another_place() {
    assert_eq!(Tree::new().hashes(), Tree::new().hashes());
    let tree = Tree::new();
    let system = tree.system();
    let code = CodeFiles::read(&system, &|_| None).expect("readable");
    let alone = inputs_of(&system, &code, &LeftOut::new(), &["demo-code"]).expect("readable");
    assert_eq!(alone["demo-code"], tree.hashes()[1]);
}

#[test]
fn content_of_any_input_counts_and_parents_pass_it_on() {
    let tree = Tree::new();
    for file in ["core.Containerfile", "requirements.txt", "scripts/run.sh"] {
        let write = || tree.write(&format!("containers/{file}"), "changed");
        assert_eq!(tree.changed(write), (true, true), "{file}");
    }
    for file in [
        "containers/code.Containerfile",
        "tree/code/a.py",
        "tree/code/b/c.py",
    ] {
        assert_eq!(
            tree.changed(|| tree.write(file, "changed")),
            (false, true),
            "{file}"
        );
    }
}

#[test]
fn names_count() {
    let tree = Tree::new();
    let rename =
        |from: &str, to: &str| fs::rename(tree.path(from), tree.path(to)).expect("renamed");
    assert_eq!(
        tree.changed(|| rename("tree/code/b/c.py", "tree/code/b/e.py")),
        (false, true)
    );
    assert_eq!(
        tree.changed(|| rename("tree/code/b", "tree/code/f")),
        (false, true)
    );
    assert_eq!(
        tree.changed(|| rename("containers/scripts/run.sh", "containers/scripts/go.sh")),
        (true, true)
    );
    assert_eq!(
        tree.changed(|| tree.write("tree/code/new.py", "")),
        (false, true)
    );
    let folder = || fs::create_dir(tree.path("tree/code/empty")).expect("a folder");
    assert_eq!(tree.changed(folder), (false, true));
}

#[test]
fn text_that_moves_from_one_file_to_the_next_counts() {
    let tree = Tree::new();
    tree.write("tree/code/x", "12");
    tree.write("tree/code/y", "3");
    let moved = || {
        tree.write("tree/code/x", "1");
        tree.write("tree/code/y", "23");
    };
    assert_eq!(tree.changed(moved), (false, true));
}

#[test]
fn excluded_files_and_times_do_not_count() {
    let tree = Tree::new();
    for file in [".git/index", "b/__pycache__/x.pyc", "a.pyc", "b/.git/x"] {
        let write = || tree.write(&format!("tree/code/{file}"), "new");
        assert_eq!(tree.changed(write), (false, false), "{file}");
    }
    let touch = || {
        let file = fs::File::open(tree.path("tree/code/a.py")).expect("readable");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("a time");
    };
    assert_eq!(tree.changed(touch), (false, false));
    assert_eq!(
        tree.changed(|| tree.write("tree/other/x.py", "new")),
        (false, false)
    );
}

#[test]
fn exclude_patterns_and_code_paths_count_for_code_alone() {
    let tree = Tree::new();
    let mut system = tree.system();
    let before = tree.hashes_of(&system);
    system.code_exclude.push("*.md".into());
    let after = tree.hashes_of(&system);
    assert_eq!(
        (before[0] == after[0], before[1] == after[1]),
        (true, false)
    );
    system.code.push("other".into());
    tree.write("tree/other/x.py", "");
    assert_ne!(tree.hashes_of(&system)[1], after[1]);
}

#[test]
fn the_base_and_the_parent_count() {
    let tree = Tree::new();
    let before = tree.hashes();
    let mut system = tree.system();
    system.base.packages.push("curl".into());
    let after = tree.hashes_of(&system);
    assert!(before[0] != after[0] && before[1] != after[1]);
    let other = "[images.demo-code]\nparent = \"demo-base\"";
    let text = MANIFEST.replace("[images.demo-code]\nparent = \"core\"", other);
    let after = tree.hashes_of(&tree.system_of(&text));
    assert!(before[0] == after[0] && before[1] != after[1]);
}

#[test]
fn symbolic_links_count_by_where_they_lead_and_are_not_followed() {
    let tree = Tree::new();
    let link = tree.path("tree/code/link");
    let lead = |target: &str| {
        let _ = fs::remove_file(&link);
        symlink(target, &link).expect("a link");
    };
    assert_eq!(tree.changed(|| lead("a.py")), (false, true));
    assert_eq!(tree.changed(|| lead("nowhere")), (false, true));
    assert_eq!(tree.changed(|| lead("..")), (false, true));
    tree.write("tree/elsewhere", "1");
    lead("../elsewhere");
    assert_eq!(
        tree.changed(|| tree.write("tree/elsewhere", "2")),
        (false, false)
    );
}

#[test]
fn the_right_to_execute_counts() {
    let tree = Tree::new();
    let mode = |mode| {
        let path = tree.path("tree/code/a.py");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    mode(0o644);
    assert_eq!(tree.changed(|| mode(0o755)), (false, true));
    assert_eq!(tree.changed(|| mode(0o700)), (false, false));
}

#[test]
fn pipes_and_strange_names_do_no_harm() {
    let tree = Tree::new();
    let socket = std::os::unix::net::UnixListener::bind(tree.path("tree/code/socket"));
    let name = OsString::from_vec(b"n\xffme.py".to_vec());
    fs::write(tree.path("tree/code").join(name), "1").expect("a file");
    assert_eq!(tree.hashes().len(), 2);
    drop(socket);
}

#[test]
fn a_missing_file_is_named() {
    let tree = Tree::new();
    let system = tree.system();
    fs::remove_file(tree.path("containers/requirements.txt")).expect("it was there");
    let error = read_all(&system, &LeftOut::new(), &tree.path("scratch")).expect_err("it is gone");
    assert_eq!(error.path, tree.path("containers/requirements.txt"));
    assert_eq!(error.error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn builds_say_what_is_seen_and_what_is_secret() {
    let tree = Tree::new();
    let recipes = tree.recipes_of(&tree.system());
    let (core, code) = (build_of(&recipes, "core"), build_of(&recipes, "demo-code"));
    assert_eq!(
        (&core.context, &code.context),
        (&tree.path(""), &tree.path("tree"))
    );
    assert_eq!(
        code.args,
        BTreeMap::from([("PARENT".into(), core.tag.clone())])
    );
    assert!(code.secrets.is_empty() && core.ignorefile.is_none());
    let ignorefile = tree.path("scratch/demo.demo-code.containerignore");
    assert_eq!(code.ignorefile.as_ref(), Some(&ignorefile));
    let lines = ["*", "!code", "**/.git", "**/__pycache__", "**/*.pyc"];
    let lines = lines.map(str::to_owned).to_vec();
    let write = Action::WriteFile {
        path: ignorefile,
        lines,
    };
    assert_eq!(recipes.images["demo-code"].ignorefile, Some(write));
}

#[test]
fn the_base_is_pulled_by_its_recorded_digest() {
    let tree = Tree::new();
    let pull = |tree: &Tree| {
        let recipes = tree.recipes_of(&tree.system());
        base_of(&recipes)
            .sources
            .iter()
            .find_map(|source| match source {
                BaseFrom::Pull { reference, .. } => Some(reference.clone()),
                BaseFrom::Bootstrap(_) => None,
            })
    };
    assert_eq!(pull(&tree).as_deref(), Some("registry.example/python:3.11"));
    let pinned = "registry.example/python@sha256:12";
    tree.write(
        "containers/base.lock",
        &format!("registry.example/python:3.11 {pinned}\n"),
    );
    assert_eq!(pull(&tree).as_deref(), Some(pinned));
    let mut system = tree.system();
    system.base.sources = vec![BaseSource::Present];
    assert!(base_of(&tree.recipes_of(&system)).sources.is_empty());
}

#[test]
fn secrets_are_files_and_names_of_variables_never_values() {
    let tree = Tree::new();
    tree.write("ca.pem", "");
    tree.write("home/.config/pip/pip.conf", "");
    let host = |name: &str| -> Option<OsString> {
        match name {
            "SSL_CERT_FILE" => Some(tree.path("ca.pem").into()),
            "HOME" => Some(tree.path("home").into()),
            "PIP_INDEX_URL" => Some("https://user:password@registry.example/".into()),
            "PIP_EXTRA_INDEX_URL" => Some(String::new().into()),
            _ => None,
        }
    };
    let file = |id: &str, path: &str| Secret::File {
        id: id.into(),
        path: tree.path(path),
    };
    let expected = [
        file("ca-bundle", "ca.pem"),
        file("pip-conf", "home/.config/pip/pip.conf"),
        Secret::Env {
            id: "pip-index-url".into(),
            variable: "PIP_INDEX_URL".into(),
        },
    ];
    assert_eq!(secrets(&host), expected);
}

#[test]
fn code_that_an_image_does_without_does_not_count() {
    let tree = Tree::new();
    let left_out = LeftOut::from([("demo-code".into(), BTreeSet::from(["code/b/c.py".into()]))]);
    let recipe = || read_all(&tree.system(), &left_out, &tree.path("scratch")).expect("readable");
    let before = recipe();
    let code = &before.images["demo-code"];
    assert_ne!(code.inputs_hash, tree.hashes()[1]);
    let Some(Action::WriteFile { lines, .. }) = &code.ignorefile else {
        panic!("no ignore file: {code:?}");
    };
    assert_eq!(lines.last().map(String::as_str), Some("code/b/c.py"));
    tree.write("tree/code/b/c.py", "changed");
    let hash = |recipes: &Recipes| recipes.images["demo-code"].inputs_hash.clone();
    assert_eq!(hash(&recipe()), hash(&before));
    tree.write("tree/code/a.py", "changed");
    assert_ne!(hash(&recipe()), hash(&before));
}

#[test]
fn seven_hundred_files_are_hashed_at_once() {
    let tree = Tree::new();
    let text = "x = 1\n".repeat(1_500);
    for index in 0..700 {
        tree.write(
            &format!("tree/code/package{}/module{index}.py", index % 40),
            &text,
        );
    }
    let system = tree.system();
    let once = |_| {
        let started = Instant::now();
        tree.hashes_of(&system);
        started.elapsed()
    };
    // The best of a few, since other work may hold the cores.
    let best = (0..5).map(once).min().expect("five rounds");
    assert!(best < Duration::from_millis(200), "hashing takes {best:?}");
}
