//! docs/schema against what the tool writes.
//!
//! Whatever a test reads as JSON is checked. Here every schema is met by something
//! that is written, and refuses what is not: a key more, or one less.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use validator::Validator;

use crate::{
    agents::Health,
    code,
    fixture::Fixture,
    gpu, testing,
    tool::{Outcome, Tool},
};

/// Keys that are left out where there is nothing to say.
const OPTIONAL: &[&str] = &[
    "ahead_of",
    "alone",
    "attempts",
    "blocks",
    "deployment",
    "elapsed_ms",
    "failure",
    "fix",
    "from",
    "hint",
    "learned",
    "left_over",
    "on_cancel",
    "pid",
    "rollback",
    "run",
    "sick",
    "without_tests",
];
/// Objects whose keys are names.
const BY_NAME: &[&str] = &["agents", "args", "changes", "env", "locks", "source_only"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema")
}

fn file(name: &str) -> PathBuf {
    folder().join(format!("{name}.schema.json"))
}

/// The name of a result's schema. A line of logs says nothing of a command.
fn name(value: &Value, dry_run: bool) -> String {
    let command = value["command"].as_str().unwrap_or("logs");
    let planned = format!("{command}-dry-run");
    match dry_run && file(&planned).exists() {
        true => planned,
        false => command.to_owned(),
    }
}

#[track_caller]
fn validator(name: &str) -> Validator {
    let text = fs::read_to_string(file(name));
    let text = text.unwrap_or_else(|error| panic!("no schema of `{name}`: {error}"));
    Validator::new(serde_json::from_str(&text).expect("a schema is JSON"))
}

/// What is written is what its schema says.
#[track_caller]
pub fn check(value: &Value, dry_run: bool) {
    let name = name(value, dry_run);
    let refusals = validator(&name).refusals(value);
    assert!(
        refusals.is_empty(),
        "docs/schema/{name}.schema.json: {refusals:?}\n{value:#}"
    );
}

#[test]
fn every_schema_is_met_and_refuses_anything_else() {
    let mut met = BTreeSet::new();
    for outcome in of_a_system()
        .into_iter()
        .chain(of_gpus())
        .chain(of_code())
        .chain(of_tests())
    {
        for value in values(&outcome) {
            check(&value, outcome.dry_run);
            let name = name(&value, outcome.dry_run);
            refuses_anything_else(&name, &value);
            met.insert(name);
        }
    }
    let files = fs::read_dir(folder()).expect("a folder").flatten();
    let all: BTreeSet<String> = files
        .map(|file| file.file_name().to_string_lossy().into_owned())
        .filter_map(|file| file.strip_suffix(".schema.json").map(str::to_owned))
        .collect();
    assert_eq!(met, all);
}

#[test]
fn every_command_that_writes_json_has_a_schema() {
    let help = Fixture::new().run(&["--help"]).expect(0).stdout;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = lines
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    let without = ["test", "completions", "help"];
    let mut count = 0;
    for command in commands.filter(|command| !without.contains(command)) {
        assert!(file(command).exists(), "{command}");
        count += 1;
    }
    assert!(count > 10, "{help}");
}

fn with_json(tool: Tool) -> Outcome {
    tool.args(&["--format", "json"]).run()
}

/// From nothing to agents, and back; then what goes wrong.
fn of_a_system() -> Vec<Outcome> {
    let fixture = Fixture::new();
    let index = "https://index.example/simple";
    let run = |args: &[&str]| with_json(fixture.tool(args).env("PIP_INDEX_URL", index));
    let all = ["--networks", "--images", "--volumes"];
    let mut written: Vec<Outcome> = [
        &["up", "--dry-run"][..],
        &["build-images", "--dry-run"],
        &["build-images"],
        &["up", "--dry-run"],
        &["create-networks", "--dry-run"],
        &["create-networks"],
        &["deploy", "--dry-run"],
        &["check-toolchain"],
        &["deploy", "--settle", "0s"],
        &["health-check"],
        &["status"],
        &["doctor"],
        &["down", "--dry-run", all[0], all[1], all[2]],
        &["down", "--networks"],
        &["up", "--settle", "0s"],
    ]
    .map(|args| run(args).expect(0))
    .into();
    fixture.write("podman/logs/emotion-engine", "one\n");
    written.push(run(&["logs"]).expect(0));
    written.push(run(&["explain"]).expect(0));
    for name in ["port", "agents", "port-taken"] {
        written.push(run(&["explain", name]).expect(0));
    }
    fixture.edit_manifest("MODE = \"plain\"", "MODE = \"other\"");
    written.push(run(&["deploy", "--dry-run"]).expect(0));
    run(&["deploy", "--settle", "0s"]).expect(0);
    written.push(run(&["rollback", "--dry-run"]).expect(0));
    written.push(run(&["rollback", "--settle", "0s"]).expect(0));
    written.push(run(&["history"]).expect(0));
    fixture.set_health("SystemDigitalTwin", Health::Reply(r#"{"status": "error"}"#));
    let podman = |args: &[&str]| fixture.program("podman").args(args).run().expect(0);
    podman(&["stop", "--time", "1", "coordinator-agent"]);
    written.push(run(&["doctor"]).expect(7));
    fixture.shorten_patience("SystemDigitalTwin");
    written.push(run(&["deploy", "--recreate", "--settle", "0s"]).expect(6));
    fixture.edit_manifest("schema = 1", "schema = 1\nunknown = 2");
    written.push(run(&["status"]).expect(3));
    written.push(run(&["status", "--manifest", "nowhere.toml"]).expect(3));
    written
}

/// An agent that computes on a GPU.
fn of_gpus() -> Vec<Outcome> {
    let fixture = gpu::with_programs();
    let engine = "main_pc_code/agents/emotion-engine.py\"";
    fixture.edit_manifest(engine, &format!("{engine}\ngpu_count = 1\nvram_mb = 500"));
    fixture.run(&["build-images"]).expect(0);
    fixture.deploy().expect(0);
    let spec = "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n\
                devices:\n- {name: \"0\", containerEdits: {deviceNodes: [{path: /dev/nvidia0}]}}\n";
    fixture.write("host/etc/cdi/nvidia.yaml", spec);
    let pid = fixture.state()["containers"]["emotion-engine"]["pid"].clone();
    let tool = |args: &[&str]| {
        // Devices are more than the fake can pretend.
        let tool = fixture.tool(args).fail(&["run=125:no such device"]);
        let tool = tool.env("FAKE_NVIDIA_GPUS", gpu::GPU);
        with_json(tool.env("FAKE_NVIDIA_APPS", format!("{pid}, GPU-1111, 700")))
    };
    let watched = tool(&["check-gpu", "--learn", "1"]);
    let report = watched.json();
    assert_eq!(report["learned"][0]["agent"], "EmotionEngine", "{report:#}");
    assert_eq!(report["gpus"][0]["agents"][0]["used_mb"], 700, "{report:#}");
    vec![watched, tool(&["check-gpu", "--fix", "--dry-run"])]
}

/// Code with faults, and requirements.
fn of_code() -> Vec<Outcome> {
    let fixture = code::fixture();
    let tree = "repo/containers/monorepo";
    fixture.write(
        &format!("{tree}/requirements.txt"),
        "pyzmq>=25\nlibrosa\nzmq==0.0.0\n",
    );
    fixture.write(&format!("{tree}/broken.py"), "def serve(:\n");
    let script = "from . import b\nimport threa, librosa\n\
                  def late():\n    __import__('yaml')\n\
                  socket.bind('tcp://*:5555')\nsocket.connect('tcp://localhost:5556')\n";
    let agents = format!("{tree}/main_pc_code/agents");
    fixture.write(&format!("{agents}/system-digital-twin.py"), script);
    fixture.write(&format!("{agents}/coordinator-agent.py"), "import (\n");
    std::os::unix::fs::symlink("nowhere.py", fixture.path(&format!("{tree}/dangling.py")))
        .expect("a link");
    let scan = with_json(fixture.tool(&["scan"])).expect(0);
    let report = scan.json();
    for list in ["findings", "files", "skipped"] {
        assert_ne!(report[list], json!([]), "{list}: {report:#}");
    }
    let split = with_json(fixture.tool(&["split-requirements", "--no-lock"])).expect(9);
    vec![scan, split]
}

fn of_tests() -> Vec<Outcome> {
    let fixture = testing::fixture(true);
    ["test-unit", "test-integration"]
        .map(|command| with_json(fixture.tool(&[command])).expect(0))
        .into()
}

/// One value, or one a line.
fn values(outcome: &Outcome) -> Vec<Value> {
    match serde_json::from_str(&outcome.stdout) {
        Ok(value) => vec![value],
        Err(_) => {
            let lines = outcome.stdout.lines();
            let values = lines.map(|line| serde_json::from_str(line).expect("a JSON line"));
            values.collect()
        }
    }
}

/// Each object that is of another kind than those before it gets a key more, and
/// loses each of its own.
fn refuses_anything_else(name: &str, value: &Value) {
    let validator = validator(name);
    let mut known = BTreeSet::new();
    let mut places = Vec::new();
    objects(value, "", "", &mut known, &mut places);
    for place in places {
        let refuses = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut other = value.clone();
            let object = other.pointer_mut(&place).and_then(Value::as_object_mut);
            change(object.expect("an object"));
            !validator.refusals(&other).is_empty()
        };
        let more = refuses(&|object| drop(object.insert("unknown".into(), true.into())));
        assert!(more, "{name} takes a key more at `{place}`");
        let keys = value.pointer(&place).and_then(Value::as_object);
        let by_name = BY_NAME
            .iter()
            .any(|map| place.ends_with(&format!("/{map}")));
        for key in keys.expect("an object").keys() {
            let less = refuses(&|object| drop(object.remove(key)));
            let optional = by_name || OPTIONAL.contains(&key.as_str());
            assert!(less || optional, "{name} takes `{place}` without `{key}`");
        }
    }
}

/// The places of objects, one of each kind: the keys on the way, and its own.
fn objects(
    value: &Value,
    place: &str,
    kind: &str,
    known: &mut BTreeSet<String>,
    found: &mut Vec<String>,
) {
    match value {
        Value::Object(map) => {
            let keys: Vec<&str> = map.keys().map(String::as_str).collect();
            if known.insert(format!("{kind} {}", keys.join(" "))) {
                found.push(place.to_owned());
            }
            for (key, value) in map {
                let (place, kind) = (format!("{place}/{key}"), format!("{kind}/{key}"));
                objects(value, &place, &kind, known, found);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                objects(value, &format!("{place}/{index}"), kind, known, found);
            }
        }
        _ => {}
    }
}
