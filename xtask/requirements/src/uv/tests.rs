//! uv is found or installed; Python and uv are shell scripts here.

use super::*;

const LOCK: &str = "uv==0.13.9 \\\n    --hash=sha256:aa\n";

/// Written by another process: one that this one starts for another test at the
/// same time would hold the file open, and it could not be run.
pub fn script(path: &Path, text: &str) -> PathBuf {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    let made = std::process::Command::new("install")
        .arg("--mode=755")
        .args([&draft, path])
        .status();
    assert!(made.unwrap().success());
    path.to_owned()
}

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Machine {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        script(
            &self.folder.path().join(name),
            &format!("#!/bin/sh\n{text}\n"),
        )
    }

    fn cache(&self) -> PathBuf {
        let cache = self.folder.path().join("cache");
        fs::create_dir_all(&cache).unwrap();
        cache
    }

    /// A Python whose pip "installs" a uv that says it is `version`.
    fn python(&self, version: &str) -> PathBuf {
        let text = format!(
            "while [ $# -gt 0 ]; do [ \"$1\" = --target ] && target=$2; shift; done\n\
             mkdir -p \"$target/bin\"\n\
             printf '#!/bin/sh\\necho uv {version}\\n' > \"$target/bin/uv\"\n\
             chmod +x \"$target/bin/uv\""
        );
        self.script("python3", &text)
    }

    fn find(&self, uv: Option<PathBuf>, python: Option<PathBuf>) -> Result<Uv, Failure> {
        let host = Host {
            uv,
            python,
            os_release: "ID=debian\n".into(),
            env: Vec::new(),
        };
        find_on(&host, LOCK, &self.cache(), &Cancel::default(), &|_| {})
    }

    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.cache()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn the_one_on_path_is_taken_if_it_is_the_version() {
    let machine = Machine::new();
    let uv = machine.script("uv", "echo 'uv 0.13.9 (x86_64)'");
    assert_eq!(machine.find(Some(uv.clone()), None).unwrap().program, uv);
    let other = machine.script("uv", "echo 'uv 0.13.10'");
    let found = machine.find(Some(other), Some(machine.python("0.13.9")));
    assert_eq!(
        found.unwrap().program,
        machine.cache().join("uv-0.13.9/bin/uv")
    );
}

#[test]
fn it_is_installed_once_and_nothing_is_left_over() {
    let machine = Machine::new();
    // The process of this number has ended, or will not mind.
    fs::create_dir_all(machine.cache().join("uv-0.13.9.part-4194999/x")).unwrap();
    machine.find(None, Some(machine.python("0.13.9"))).unwrap();
    assert_eq!(machine.left(), ["uv-0.13.9"]);
    let broken = machine.script("python3", "exit 1");
    machine.find(None, Some(broken)).unwrap();
}

#[test]
fn a_broken_copy_is_replaced() {
    let machine = Machine::new();
    fs::create_dir_all(machine.cache().join("uv-0.13.9/bin/uv")).unwrap();
    machine.find(None, Some(machine.python("0.13.9"))).unwrap();
    assert_eq!(machine.left(), ["uv-0.13.9"]);
}

#[test]
fn side_by_side_both_get_it() {
    let machine = Machine::new();
    let python = machine.python("0.13.9");
    let one = || {
        machine
            .find(None, Some(python.clone()))
            .map(|uv| uv.program)
    };
    // Threads share a process and so a folder; what counts is the end.
    let first = one().unwrap();
    let all: Vec<_> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap().unwrap())
            .collect()
    });
    assert!(all.iter().all(|program| *program == first));
}

#[test]
fn without_pip_a_virtual_environment_helps() {
    let machine = Machine::new();
    let inner = machine.python("0.13.9");
    let python = machine.script(
        "bare",
        &format!(
            "[ \"$2\" = pip ] && {{ echo 'python3: No module named pip' >&2; exit 1; }}\n\
             mkdir -p \"$3/bin\" && cp {} \"$3/bin/python3\"",
            inner.display()
        ),
    );
    machine.find(None, Some(python)).unwrap();
    assert_eq!(machine.left(), ["uv-0.13.9"]);
}

#[test]
fn what_is_missing_is_told_with_its_remedy() {
    let machine = Machine::new();
    let told = |python: Option<PathBuf>| {
        let failure = machine.find(None, python).unwrap_err();
        (failure.message, failure.hint.unwrap_or_default())
    };
    let apt = "as root: `apt-get install --yes python3 python3-pip`".to_owned();
    assert_eq!(
        told(None),
        (
            "python3 is not on PATH; it is needed to install uv".into(),
            apt.clone()
        )
    );
    let bare = machine.script("bare", "echo 'No module named pip' >&2; exit 1");
    assert_eq!(
        told(Some(bare)),
        ("python3 has no pip; it is needed to install uv".into(), apt)
    );
    let offline = machine.script("offline", "echo 'no network' >&2; exit 1");
    let failure = machine.find(None, Some(offline)).unwrap_err();
    assert_eq!(failure.message, "uv could not be installed");
    assert!(
        failure.detail[0].contains("--require-hashes"),
        "{failure:?}"
    );
    assert_eq!(failure.detail[1], "no network");
    let (message, _) = told(Some(machine.python("0.1.0")));
    assert_eq!(
        message,
        "the uv 0.13.9 that pip installed does not run on this host"
    );
    assert_eq!(machine.left(), [""; 0]);
}

#[test]
fn a_lock_without_uv_is_told() {
    for (lock, message) in [
        (
            "",
            "requirements.build.lock does not pin uv with its hashes",
        ),
        (
            "uv==0.13.9\n",
            "requirements.build.lock does not pin uv with its hashes",
        ),
        (
            "uv>=1\n",
            "requirements.build.lock:1: `uv>=1` is not a package with an exact version",
        ),
        (
            "uv @ https://example.test/uv.whl --hash=sha256:aa\n",
            "requirements.build.lock:1: uv has an address instead of a version",
        ),
    ] {
        assert_eq!(pinned(lock).unwrap_err().message, message);
    }
}

#[test]
fn the_command_fits_the_distribution() {
    let words = |text: &str| {
        install_hint(text)
            .split_whitespace()
            .nth(2)
            .unwrap()
            .to_owned()
    };
    assert_eq!(words("ID=ubuntu\nID_LIKE=debian\n"), "`apt-get");
    assert_eq!(
        words("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
        "`dnf"
    );
    assert_eq!(words("ID=arch\n"), "`pacman");
    assert_eq!(
        words("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n"),
        "`zypper"
    );
    assert!(install_hint("ID=plan9\n").starts_with("install Python 3"));
}
