//! Secrets on real podman: agents find them, also after a restart, and a search for
//! a random value finds it nowhere else.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::support::{DEPLOY_FAILED, Ended, Running, Small, podman, run};

/// A value that is nowhere else on this machine.
fn random(what: &str) -> String {
    let mut bytes = [0; 16];
    let mut source = fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut source, &mut bytes).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{what}-{hex}")
}

/// A file, a variable and a line of an `env_file`, each with a value.
struct Values {
    file: String,
    variable: String,
    line: String,
}

impl Values {
    fn all(&self) -> [&str; 3] {
        [&self.file, &self.variable, &self.line]
    }
}

fn xtask(small: &Small, values: &Values, args: &[&str]) -> std::process::Command {
    let mut command = small.xtask(args);
    command
        .env("XTASK_ENGINE_VARIABLE", &values.variable)
        .env("XDG_STATE_HOME", small.path().join("state"))
        .env("XDG_CACHE_HOME", small.path().join("cache"));
    command
}

#[track_caller]
fn assert_hidden(texts: &[(&str, &str)], values: &[&str]) {
    for (what, text) in texts {
        for value in values {
            assert!(!text.contains(value), "a value is seen in {what}");
        }
    }
}

#[track_caller]
fn assert_said_nothing(ended: &Ended, values: &Values) {
    let texts = [("stdout", &*ended.stdout), ("stderr", &*ended.stderr)];
    assert_hidden(&texts, &values.all());
}

/// Runs the tool while all command lines of the host are watched.
#[track_caller]
fn watched(command: std::process::Command, values: &Values) -> Ended {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut looks = 0;
            let mut podmans = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    let Ok(bytes) = fs::read(entry.path().join("cmdline")) else {
                        continue;
                    };
                    let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
                    for value in values.all() {
                        assert!(!line.contains(value), "a value is in a command line");
                    }
                    if line.contains(" secret create ") {
                        podmans.insert(line);
                    }
                }
                looks += 1;
            }
            (looks, podmans.len())
        });
        let ended = Running::start(command).finish();
        over.store(true, Ordering::Relaxed);
        let (looks, podmans) = watch.join().unwrap();
        assert!(
            looks > 20 && podmans > 0,
            "{looks} looks saw {podmans} creations"
        );
        ended
    })
}

fn read_all(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            read_all(&entry.path(), texts);
        } else {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

fn secrets_of(small: &Small) -> Vec<String> {
    let names = podman(&["secret", "ls", "--format", "{{.Name}}"]);
    let names = names.lines().filter(|name| name.starts_with(&small.name));
    names.map(str::to_owned).collect()
}

fn inside(small: &Small, script: &str) -> String {
    podman(&["exec", &small.container(0), "sh", "-c", script])
}

/// The first agent has all of them.
fn give(small: &Small, values: &Values) {
    small.manifest(["ok"; 4], "");
    let given = "secrets = [\"FILE\", { secret = \"FILE\", file = \"/run/elsewhere/file\" }, \
                 { secret = \"VARIABLE\", env = \"VARIABLE\" }]\nenv_file = [\"agent.env\"]";
    small.agent_line("First", given);
    let text = fs::read_to_string(small.manifest_path()).unwrap();
    let tables = "[secrets]\nFILE = { file = \"value\" }\n\
                  VARIABLE = { env = \"XTASK_ENGINE_VARIABLE\" }\n[groups.one]\n";
    fs::write(
        small.manifest_path(),
        text.replace("[groups.one]\n", tables),
    )
    .unwrap();
    let folder = small.path().join("containers");
    fs::write(folder.join("value"), &values.file).unwrap();
    fs::write(folder.join("agent.env"), format!("LINE={}\n", values.line)).unwrap();
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_value_is_found_by_its_agent_and_by_nobody_else() {
    let small = Small::new(70);
    let values = Values {
        file: random("file"),
        variable: random("variable"),
        line: random("line"),
    };
    give(&small, &values);
    for more in [&["--dry-run"][..], &["--dry-run", "--format", "json"]] {
        let ended = run(xtask(&small, &values, &[&["deploy"], more].concat())).expect(0);
        assert!(ended.stdout.contains("secret"), "{}", ended.stdout);
        assert_said_nothing(&ended, &values);
    }
    assert_eq!(secrets_of(&small), [""; 0]);
    let ended = watched(
        xtask(&small, &values, &["-v", "deploy", "--settle", "0s"]),
        &values,
    );
    assert_said_nothing(&ended.expect(0), &values);
    assert_eq!(secrets_of(&small).len(), 3);

    let seen = "cat /run/secrets/FILE /run/elsewhere/file; echo $VARIABLE $LINE";
    let Values {
        file,
        variable,
        line,
    } = &values;
    let expected = format!("{file}{file}{variable} {line}\n");
    assert_eq!(inside(&small, seen), expected);
    // podman starts it again with the same.
    podman(&["restart", "--time", "1", &small.container(0)]);
    assert_eq!(inside(&small, seen), expected);

    for args in [
        &["status", "--format", "json"][..],
        &["doctor", "--format", "json"],
        &["logs"],
        &["-v", "deploy"],
        &["health-check"],
    ] {
        assert_said_nothing(&run(xtask(&small, &values, args)), &values);
    }
    let mut texts = Vec::new();
    for folder in ["state", "cache"] {
        read_all(&small.path().join(folder), &mut texts);
    }
    assert!(texts.len() > 1, "key and cache of podman's facts");
    let texts: Vec<(&str, &str)> = texts
        .iter()
        .map(|text| ("a file of the tool", &**text))
        .collect();
    assert_hidden(&texts, &values.all());
    // What docs/manifest.md says of podman: files are hidden, variables before 5.3 are not.
    let inspected = podman(&["inspect", &small.container(0)]);
    assert_hidden(&[("podman inspect", &inspected)], &[file]);
    let names = secrets_of(&small).join(" ");
    assert_hidden(&[("names", &names)], &values.all());

    run(xtask(&small, &values, &["down"])).expect(0);
    assert_eq!(secrets_of(&small), [""; 0]);
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_changed_value_replaces_its_agent_and_a_failed_one_brings_the_old_back() {
    let small = Small::new(71);
    let mut values = Values {
        file: random("file"),
        variable: random("variable"),
        line: random("line"),
    };
    give(&small, &values);
    let deploy = ["deploy", "--settle", "0s"];
    run(xtask(&small, &values, &deploy)).expect(0);
    let id = |index: usize| podman(&["inspect", "--format", "{{.Id}}", &small.container(index)]);
    let before = [id(0), id(1)];
    run(xtask(&small, &values, &deploy))
        .expect(0)
        .says(&["nothing to do"]);

    // The successor fails: the old one is started again, and needs its old value.
    values.variable = random("variable");
    small.manifest(["exits", "ok", "ok", "ok"], "");
    let text = fs::read_to_string(small.manifest_path()).unwrap();
    give(&small, &values);
    let given = fs::read_to_string(small.manifest_path()).unwrap();
    assert_ne!(text, given);
    fs::write(
        small.manifest_path(),
        given.replacen("args = [\"ok\"]", "args = [\"exits\"]", 1),
    )
    .unwrap();
    let ended = run(xtask(&small, &values, &deploy)).expect(DEPLOY_FAILED);
    assert_said_nothing(&ended, &values);
    assert_eq!(id(0), before[0]);
    assert!(!inside(&small, "echo $VARIABLE").contains(&values.variable));

    give(&small, &values);
    run(xtask(&small, &values, &deploy)).expect(0);
    assert_eq!(
        inside(&small, "echo $VARIABLE"),
        format!("{}\n", values.variable)
    );
    assert_ne!(id(0), before[0]);
    assert_eq!(id(1), before[1], "who has no secrets is left alone");
    assert_eq!(secrets_of(&small).len(), 3, "the old value is gone");

    // podman refuses to make the container: the complaint shows no value.
    values.line = random("line");
    give(&small, &values);
    let mounts = "mounts = [{ volume = \"x\", target = \"/proc/self/no\" }]";
    small.agent_line("First", mounts);
    let ended =
        run(xtask(&small, &values, &["-v", "deploy", "--settle", "0s"])).expect(DEPLOY_FAILED);
    assert_said_nothing(&ended, &values);
    give(&small, &values);
    run(xtask(&small, &values, &deploy)).expect(0);
    std::thread::sleep(Duration::from_millis(10));
    run(xtask(&small, &values, &["down"])).expect(0);
    assert_eq!(secrets_of(&small), [""; 0]);
}
