//! A uv that only pretends: a shell script that answers from files.

use std::{fs, path::PathBuf};

use process::Cancel;

use super::*;
use crate::uv::{Uv, tests::script};

/// For each output file it copies the answer of the same name; `rules` may fail
/// first. It writes down which output was asked for, and whether offline.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname "$0")
offline=
while [ $# -gt 0 ]; do
    case $1 in
        --directory) dir=$2; shift ;;
        --output-file) out=$2; shift ;;
        --offline) offline=' offline' ;;
    esac
    shift
done
echo "$out$offline" >> "$here/calls"
cd "$dir" || exit 9
fail() { echo "error: $1" >&2; exit 1; }
unsolvable() { fail "No solution found
  cause: Because $1, we can conclude that your requirements are unsatisfiable."; }
asks() { grep --quiet --line-regexp --fixed-strings -e "$1" requirements.*.txt; }
limits() { grep --quiet --line-regexp --fixed-strings -e "$1" limits.txt; }
. "$here/rules"
cp "$here/$out" "$out"
"#;

const FILES: &[(&str, &str)] = &[
    ("requirements.all.lock", "a==1\nb==2\nc==3\nd==4\n"),
    (
        "core.out",
        "a==1 \\\n    --hash=sha256:aa\n    # via\n    #   -c limits.txt\n    #   -c requirements.all.lock\n    #   -r requirements.core.txt\n",
    ),
    (
        "gpu.out",
        "a==1 \\\n    --hash=sha256:aa\n    # via -r requirements.core.txt\nb==2 \\\n    --hash=sha256:bb\n    # via -r requirements.gpu.txt\nc==3 \\\n    --hash=sha256:cc\n    # via -r requirements.gpu.txt\n",
    ),
    (
        "audio.out",
        "a==1 \\\n    --hash=sha256:aa\n    # via -r requirements.core.txt\nb==2 \\\n    --hash=sha256:bb\n    # via d\nd==4 \\\n    --hash=sha256:dd\n    # via -r requirements.audio.txt\n",
    ),
    (
        "pylock.toml",
        "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nwheels = [{}]\n[[packages]]\nname = \"b\"\nwheels = [{}]\n[[packages]]\nname = \"c\"\nwheels = [{}]\n[[packages]]\nname = \"d\"\n",
    ),
    (
        "requirements.build.lock",
        "setuptools==80 \\\n    --hash=sha256:ee\nuv==0.13.9 \\\n    --hash=sha256:ff\nwheel==1 \\\n    --hash=sha256:99\n",
    ),
    ("rules", ""),
];

pub struct Fake {
    pub folder: tempfile::TempDir,
    pub cancel: Cancel,
}

impl Fake {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in FILES {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let program = folder.path().join("uv");
        script(&program, SCRIPT);
        fs::create_dir(folder.path().join("scratch")).unwrap();
        Fake {
            folder,
            cancel: Cancel::default(),
        }
    }

    /// Lines of shell: `asks`, `limits`, `unsolvable`, `fail` and `$offline`.
    pub fn rules(self, rules: &str) -> Self {
        self.answer("rules", rules);
        self
    }

    pub fn answer(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    pub fn lock(&self, request: &LockRequest, upgrade: &Upgrade) -> Result<Locked, LockError> {
        let uv = Uv::fake(self.folder.path().join("uv"));
        lock(request, upgrade, &uv, &self.scratch(), &self.cancel)
    }

    /// Which outputs were asked for since the last look, sorted.
    pub fn calls(&self) -> Vec<String> {
        let path = self.folder.path().join("calls");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        let mut calls: Vec<String> = text.lines().map(str::to_owned).collect();
        calls.sort();
        calls
    }

    /// Nothing is left in the scratch folder.
    pub fn is_clean(&self) -> bool {
        fs::read_dir(self.scratch()).unwrap().next().is_none()
    }
}

/// The lists that the answers are for.
pub fn lists() -> LockRequest {
    let mut request = request(
        "# Core.\na>=1\n",
        "-r requirements.core.txt\nb\nc==3\n",
        "-r requirements.core.txt\nd ; sys_platform == 'linux'\nw ; sys_platform == 'win32'\n",
    );
    request.limits = vec![limit("a", "<2", "newer ones are slow", 7)];
    request
}
