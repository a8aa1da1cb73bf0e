//! Values from every source, and what is said where there is none.

use std::path::Path;

use model::system;

use super::*;

/// A system with one agent that is given `secrets`, and files for it.
fn system(folder: &Path, definitions: &str, agent: &str) -> System {
    for (path, text) in [
        ("monorepo/code/agent.py", "import os\n"),
        ("containers/Containerfile", "FROM x\n"),
        ("containers/key", "hunter22\n"),
        ("containers/void", "\n"),
        (
            "containers/one.env",
            "SHARED=one\nPORT=1\nEMPTY=\nTOKEN=from the file\n",
        ),
        ("containers/two.env", "SHARED=two\n"),
        ("containers/bad.env", "GOOD=1\nhunter22\n"),
        (
            "containers/print",
            "#!/bin/sh\necho called >> \"$0.calls\"\nprintf '%s\\n' \"$@\"\n",
        ),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let print = folder.join("containers/print");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(print, mode).unwrap();
    let text = format!(
        r#"schema = 1
[system]
name = "demo"
monorepo = "../monorepo"
code = ["code"]
[base]
name = "demo-base"
sources = ["present"]
[networks.net]
subnet = "10.1.0.0/16"
[images.demo-code]
parent = "demo-base"
containerfile = "Containerfile"
code = true
[groups.one]
image = "demo-code"
network = "net"
[groups.one.agents.Alpha]
script = "code/agent.py"
port = 7000
{agent}
[secrets]
{definitions}
"#
    );
    let path = folder.join("containers/system.toml");
    system::from_text(&text, &path).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn gathered(system: &System) -> (Values, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::at(&folder.path().join("key")).unwrap();
    let agents: Vec<&Agent> = system.agents.iter().collect();
    let cancel = Cancel::default();
    gather(system, &agents, &key, &|_, secret| {
        value_of(system, secret, &cancel)
    })
}

fn value(values: &Values, named: &NamedValue) -> String {
    let input = values.vault.input(&named.name).expect("it is kept");
    String::from_utf8(input.0).unwrap()
}

#[test]
fn values_come_from_every_source() {
    let folder = tempfile::tempdir().unwrap();
    let system = system(
        folder.path(),
        "A = { file = \"key\" }\nB = { env = \"PATH\" }\n\
         C = { command = [\"./print\", \"two words\", \"$HOME\"] }\nD = { podman = \"theirs\" }",
        "secrets = [\"A\", \"B\", \"C\", \"D\", { secret = \"A\", env = \"KEY\" }]",
    );
    let (values, wrong) = gathered(&system);
    assert_eq!(wrong, [""; 0]);
    let found: Vec<(&str, String)> = values
        .known
        .uses
        .iter()
        .map(|(wanted, named)| (wanted.secret.as_str(), value(&values, named)))
        .collect();
    // As a file it has the bytes of the source, as a variable no line end.
    let path = std::env::var("PATH").unwrap();
    let expected = [
        ("A", "hunter22\n"),
        ("A", "hunter22"),
        ("B", &path),
        ("C", "two words\n$HOME\n"),
    ];
    assert_eq!(
        found,
        expected.map(|(name, value)| (name, value.to_owned()))
    );
    let names: BTreeSet<&String> = values
        .known
        .uses
        .values()
        .map(|named| &named.name)
        .collect();
    assert_eq!(names.len(), 4);
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("demo-") && name.len() == 19),
        "{names:?}"
    );
    assert!(!format!("{values:?}").contains("hunter22"));
}

#[test]
fn what_cannot_be_read_is_told_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let system = system(
        folder.path(),
        "A = { file = \"no-such-key\" }\nB = { env = \"XTASK_NO_SUCH_VARIABLE\" }\n\
         C = { command = [\"sh\", \"-c\", \"echo hunter22 >&2; exit 7\"] }\n\
         D = { command = [\"no-such-program\"] }\nE = { file = \"void\" }\nF = { file = \"key\" }",
        "secrets = [\"A\", \"B\", \"C\", \"D\", { secret = \"E\", env = \"E\" }, \"F\"]\n\
         env_file = [\"bad.env\"]",
    );
    let (_, wrong) = gathered(&system);
    let manifest = system.manifest.display();
    let here = folder.path().join("containers");
    let here = here.display();
    let expected = [
        format!(
            "{manifest}:24: secret `A`: cannot read {here}/no-such-key: No such file or directory (os error 2)"
        ),
        format!(
            "{manifest}:25: secret `B`: the environment variable `XTASK_NO_SUCH_VARIABLE` is not set"
        ),
        format!("{manifest}:26: secret `C`: `sh` ended with exit code 7; run it by hand"),
        format!("{manifest}:27: secret `D`: the program `no-such-program` does not exist"),
        format!("{manifest}:28: secret `E`: its value is empty"),
        format!("{here}/bad.env:2: a variable without a value; write `NAME=VALUE`"),
    ];
    assert_eq!(wrong, expected);
}

#[test]
fn values_that_no_agent_needs_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let definitions = "A = { command = [\"./print\", \"x\"] }";
    let mine = system(folder.path(), definitions, "secrets = [\"A\"]");
    let (cache, cancel) = (Cache::default(), Cancel::default());
    let chosen = BTreeSet::from(["Beta".to_owned()]);
    read(&mine, &chosen, &cache, &cancel).unwrap();
    let calls = folder.path().join("containers/print.calls");
    assert!(!calls.exists());
    let state = State::default();
    look(&mine, &state);
    assert!(!calls.exists(), "who only looks runs nothing");
}

#[test]
fn variables_of_files_are_the_last_to_count() {
    let folder = tempfile::tempdir().unwrap();
    let system = system(
        folder.path(),
        "TOKEN = { file = \"key\" }",
        "env_file = [\"one.env\", \"two.env\"]\nsecrets = [{ secret = \"TOKEN\", env = \"TOKEN\" }]",
    );
    let (values, wrong) = gathered(&system);
    assert_eq!(wrong, [""; 0]);
    let state = State {
        known: values.known.clone(),
        ..State::default()
    };
    let spec = model::plan::spec::container(&system, &system.agents[0], &state);
    assert_eq!(spec.env["PORT"], "7000");
    assert_eq!(spec.env["EMPTY"], "");
    let given: Vec<(&SecretForm, String)> = spec
        .secrets
        .iter()
        .map(|given| {
            let input = values.vault.input(&given.name).expect("it is kept");
            (&given.form, String::from_utf8(input.0).unwrap())
        })
        .collect();
    let variable = |name: &str| SecretForm::Env(name.to_owned());
    let expected = [(variable("TOKEN"), "hunter22"), (variable("SHARED"), "two")];
    let expected = expected
        .each_ref()
        .map(|(form, value)| (form, (*value).to_owned()));
    assert_eq!(given, expected);
}
