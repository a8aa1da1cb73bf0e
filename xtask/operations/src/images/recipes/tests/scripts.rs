//! The scripts of the real repository: the manifest lists those that a build
//! uses and no others, and what is no part of an image changes none.

use super::*;

/// Of the repository that holds this source.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::canonicalize(here).expect("the repository")
}

fn load(root: &Path) -> System {
    let manifest = root.join("containers/system.toml");
    let source = system::Source {
        manifest,
        monorepo: None,
    };
    system::load(&source).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn read_text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of the files in `scripts/`; there are no folders but Python's own.
fn scripts(root: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(root.join("scripts")).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name != "__pycache__").collect()
}

/// Whether the text speaks of the file: by its name, or as a Python module.
/// What stands in a comment is no use of it.
fn mentions(text: &str, script: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let named = |line: &str| line.split(|c| !part(c)).any(|word| word == script);
    let module = script.strip_suffix(".py");
    let imported = |line: &str| {
        let mut words = line.split_whitespace();
        let imports = matches!(words.next(), Some("import" | "from"));
        imports && words.next() == module
    };
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    code.into_iter().any(|line| named(line) || imported(line))
}

/// The scripts that a build uses, those that they call or import included.
fn used(root: &Path, containerfile: &str) -> BTreeSet<String> {
    let all = scripts(root);
    let mut found = BTreeSet::new();
    let mut texts = vec![containerfile.to_owned()];
    while let Some(text) = texts.pop() {
        for script in &all {
            if mentions(&text, script) && found.insert(script.clone()) {
                texts.push(read_text(&root.join("scripts").join(script)));
            }
        }
    }
    found
}

/// Of the inputs of an image, the names of those in `scripts/`.
fn listed(root: &Path, image: &Image) -> BTreeSet<String> {
    let below = |input: &PathBuf| {
        let below = input.strip_prefix(root.join("scripts")).ok()?;
        assert!(input.is_file(), "{} is no file", input.display());
        Some(below.display().to_string())
    };
    image.inputs.iter().filter_map(below).collect()
}

#[test]
fn each_image_lists_the_scripts_that_its_build_uses_and_no_others() {
    let root = root();
    let system = load(&root);
    let mut any = BTreeSet::new();
    for image in system.images.values() {
        let containerfile = read_text(&image.containerfile);
        let listed = listed(&root, image);
        // A build that does not see the folder may name what its parent has of it.
        let sees_the_folder = containerfile.contains("source=scripts");
        let used = match sees_the_folder {
            true => used(&root, &containerfile),
            false => BTreeSet::new(),
        };
        assert_eq!(listed, used, "inputs of {} in the manifest", image.name);
        if sees_the_folder {
            let why = "sees files that are none of its inputs: put them elsewhere";
            assert_eq!(listed, scripts(&root), "the build of {} {why}", image.name);
        }
        assert!(!containerfile.contains("COPY scripts"), "{}", image.name);
        any.extend(listed);
    }
    assert_eq!(any, scripts(&root), "a script is of no use to any image");
}

#[test]
fn scripts_are_found_by_name_and_by_import() {
    assert!(mentions("sh \"$build/scripts/apt.sh\" x", "apt.sh"));
    assert!(mentions("cmp -s a/compile_code.py b", "compile_code.py"));
    assert!(mentions(
        "import sys\n\nimport compile_code\n",
        "compile_code.py"
    ));
    assert!(mentions("    from pins import together", "pins.py"));
    for text in [
        "see fetch.sh.bak",
        "prefetch.sh",
        "# as fetch.sh does",
        "import fetch",
    ] {
        assert!(!mentions(text, "fetch.sh"), "{text}");
    }
    assert!(!mentions("import pinsetter", "pins.py"));
}

/// A copy of what images are made from, and of what is asked in them.
fn copy() -> tempfile::TempDir {
    fn copy_all(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            let target = to.join(entry.file_name());
            match entry.file_type().expect("a type").is_dir() {
                true => copy_all(&entry.path(), &target),
                false => drop(fs::copy(entry.path(), target).expect("a copy")),
            }
        }
    }
    let copy = tempfile::tempdir().expect("a temporary folder");
    for folder in ["containers", "requirements", "scripts", QUESTIONS] {
        copy_all(&root().join(folder), &copy.path().join(folder));
    }
    copy
}

/// What containers of images are asked, the smoke test among it.
const QUESTIONS: &str = "xtask/operations/src/podman/inside";

fn hashes(root: &Path) -> BTreeMap<String, String> {
    let system = load(root);
    let code = CodeFiles::read(&system, &|_| None).expect("readable");
    let names: Vec<&str> = system.images.keys().map(String::as_str).collect();
    inputs_of(&system, &code, &LeftOut::new(), &names).expect("readable")
}

#[test]
fn a_changed_smoke_test_rebuilds_nothing_and_a_changed_script_what_uses_it() {
    let copy = copy();
    let root = fs::canonicalize(copy.path()).expect("a folder");
    let system = load(&root);
    let before = hashes(&root);
    let changed_by = |file: &str| -> BTreeSet<String> {
        let path = root.join(file);
        let text = read_text(&path);
        fs::write(&path, format!("{text}# more\n")).expect("a file");
        let after = hashes(&root);
        fs::write(&path, text).expect("a file");
        let changed = after
            .into_iter()
            .filter(|(name, hash)| before[name] != *hash);
        changed.map(|(name, _)| name).collect()
    };
    for entry in fs::read_dir(root.join(QUESTIONS)).expect("a folder") {
        let name = entry.expect("an entry").file_name();
        let file = format!("{QUESTIONS}/{}", name.to_string_lossy());
        assert_eq!(changed_by(&file), BTreeSet::new(), "{file}");
    }
    for script in scripts(&root) {
        let uses = |image: &Image| listed(&root, image).contains(&script);
        let names = system.images.keys().cloned();
        let users: BTreeSet<String> = names.filter(|name| system.chain(name).any(uses)).collect();
        assert!(users.contains("ai-system-torch"));
        assert_eq!(changed_by(&format!("scripts/{script}")), users, "{script}");
    }
    let cached = root.join("scripts/__pycache__");
    fs::create_dir(&cached).expect("a folder");
    fs::write(cached.join("pins.pyc"), "").expect("a file");
    assert_eq!(hashes(&root), before, "what Python keeps there counts");
}
