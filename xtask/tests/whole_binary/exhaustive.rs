//! A fault at every podman call of every kind of run, one after the other, and
//! two in a row: the error says so, nothing of others is touched, and the next
//! run reaches the goal.
//!
//! `AI_SYSTEM_XTASK_EXHAUSTIVE=1` takes every pair of faults instead of a part.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use serde_json::{Value, json};

use crate::{
    agents::Health,
    fixture::Fixture,
    tool::{Outcome, only_looks},
};

/// What happens to a call, see `tests/fake_podman/nth.rs`.
const EFFECTS: [&str; 10] = [
    "fail",
    "fail-after",
    "killed",
    "killed-after",
    "half",
    "hang",
    "hang-after",
    "garbage",
    "tool",
    "tool-after",
];
/// Those after which the engine is in another state than before and after.
const MESSY: [&str; 4] = ["killed-after", "half", "tool", "tool-after"];
/// Threads that run cases: runs wait more than they work.
const WORKERS: usize = 4;

/// Container to a text in its command line; no others of ours may exist, and all
/// must run.
type Goal = BTreeMap<&'static str, &'static str>;

#[derive(Clone)]
struct Scenario {
    name: &'static str,
    args: &'static [&'static str],
    /// From nothing to the state that the run finds.
    prepare: fn(&Fixture),
    goal: Goal,
    /// Exit code of a run without a fault.
    code: i32,
    /// Pairs of faults are tried, too.
    pairs: bool,
}

const TWIN: &str = "system-digital-twin";
const COORDINATOR: &str = "coordinator-agent";
const MODELS: &str = "model-manager-agent";
const DEPLOY: &[&str] = &["deploy", "--settle", "0s", "--jobs", "1"];

fn scenarios() -> Vec<Scenario> {
    let plain = || Goal::from([(TWIN, ""), (COORDINATOR, ""), (MODELS, "")]);
    vec![
        Scenario {
            name: "a first deployment",
            args: DEPLOY,
            prepare: |_| {},
            goal: plain(),
            code: 0,
            pairs: true,
        },
        Scenario {
            name: "up",
            args: &["up", "--settle", "0s", "--jobs", "1"],
            prepare: |fixture| {
                fixture.write(
                    "repo/requirements/requirements.audio.lock",
                    "numpy==2.0.0\n",
                );
            },
            goal: plain(),
            code: 0,
            pairs: false,
        },
        Scenario {
            name: "a changed configuration",
            args: DEPLOY,
            prepare: |fixture| {
                fixture.deploy().expect(0);
                memory(fixture, &["SystemDigitalTwin", "CoordinatorAgent"], 333);
            },
            goal: Goal::from([(TWIN, "333m"), (COORDINATOR, "333m"), (MODELS, "")]),
            code: 0,
            pairs: true,
        },
        Scenario {
            name: "an agent that left the manifest",
            args: &["deploy", "--settle", "0s", "--jobs", "1", "--prune"],
            prepare: |fixture| {
                fixture.deploy().expect(0);
                without(fixture, "ModelManagerAgent");
            },
            goal: Goal::from([(TWIN, ""), (COORDINATOR, "")]),
            code: 0,
            pairs: false,
        },
        Scenario {
            name: "ports that change places",
            args: DEPLOY,
            prepare: |fixture| {
                fixture.deploy().expect(0);
                swap(fixture);
            },
            goal: plain(),
            code: 0,
            pairs: true,
        },
        Scenario {
            name: "a roll-out that goes back",
            args: DEPLOY,
            prepare: |fixture| {
                memory(fixture, &["SystemDigitalTwin", "CoordinatorAgent"], 111);
                fixture.deploy().expect(0);
                fixture.edit_manifest("memory_mb = 111", "memory_mb = 222");
                fixture.shorten_patience("CoordinatorAgent");
                fixture.set_health("CoordinatorAgent", Health::GoodUnless("222m"));
            },
            goal: Goal::from([(TWIN, "111m"), (COORDINATOR, "111m"), (MODELS, "")]),
            code: 6,
            pairs: false,
        },
        Scenario {
            name: "down",
            args: &["down", "--jobs", "1"],
            prepare: |fixture| drop(fixture.deploy().expect(0)),
            goal: Goal::new(),
            code: 0,
            pairs: true,
        },
    ]
}

/// Three agents of two groups, beside things of somebody else.
fn small() -> Fixture {
    let fixture = Fixture::new();
    for agent in ["ChainOfThoughtAgent", "EmotionEngine", "TinyLlamaService"] {
        without(&fixture, agent);
    }
    fixture.run(&["build-images"]).expect(0);
    fixture.change_state(|state| {
        let image = state["images"].as_object().and_then(|all| all.keys().next().cloned());
        let stranger = json!({
            "id": "f00d", "image": "somebody/elses", "image_id": image, "labels": {},
            "create": ["by", "somebody", "else"], "networks": {}, "volumes": [],
            "state": "running", "exit_code": 0, "started_at": 1, "starts": 1, "pid": 1,
        });
        state["containers"]["stranger"] = stranger;
        state["volumes"].as_array_mut().expect("volumes").push("strange".into());
        state["networks"]["strange"] = json!({
            "subnet": "10.9.0.0/16", "ip_range": null, "internal": false, "options": {}, "labels": {},
        });
    });
    fixture
}

/// Takes an agent's table out of the manifest.
fn without(fixture: &Fixture, agent: &str) {
    let text = fs::read_to_string(fixture.path("repo/containers/system.toml"));
    let text = text.expect("a manifest");
    let at = text.find(&format!(".agents.{agent}]")).expect("an agent");
    let start = text[..at].rfind("\n[").expect("a table") + 1;
    let length = text[at..]
        .find("\n[")
        .map_or(text.len() - at, |next| next + 1);
    let rest = &text[at + length..];
    fixture.write(
        "repo/containers/system.toml",
        &format!("{}{rest}", &text[..start]),
    );
}

fn memory(fixture: &Fixture, agents: &[&str], memory_mb: u32) {
    for agent in agents {
        let table = format!("agents.{agent}]");
        fixture.edit_manifest(&table, &format!("{table}\nmemory_mb = {memory_mb}"));
    }
}

/// The twin and the coordinator, which depends on it, change their published ports.
fn swap(fixture: &Fixture) {
    let ports: Vec<(String, u16)> = fixture.port_names().collect();
    let port = |name: &str| {
        ports
            .iter()
            .find(|(known, _)| known == name)
            .expect("a port")
            .1
    };
    for (agent, other) in [
        ("SystemDigitalTwin", "CoordinatorAgent"),
        ("CoordinatorAgent", "SystemDigitalTwin"),
    ] {
        let table = format!("agents.{agent}]");
        let lines = format!(
            "{table}\nhost_port = {}\nhost_health_port = {}",
            port(&format!("PORT:{other}")),
            port(&format!("HEALTH:{other}")),
        );
        fixture.edit_manifest(&table, &lines);
    }
}

/// A scenario ready to be run again and again.
struct Stage {
    fixture: Fixture,
    scenario: Scenario,
    state: String,
    /// What belongs to somebody else.
    foreign: Value,
}

impl Stage {
    fn new(scenario: &Scenario) -> Self {
        let fixture = small();
        (scenario.prepare)(&fixture);
        let state = fixture.state();
        Stage {
            foreign: foreign(&state),
            state: state.to_string(),
            fixture,
            scenario: scenario.clone(),
        }
    }

    fn reset(&self) {
        let state = self.fixture.path("podman/state.json");
        let new = self.fixture.path("podman/state.json.reset");
        fs::write(&new, &self.state).expect("a file");
        fs::rename(new, &state).expect("a file");
        fs::write(self.fixture.path("podman/calls.jsonl"), "").expect("a file");
        self.fixture.agents.book.catch_up(&state);
    }

    /// One run; `fault` is a call's number and what happens to it.
    fn run(&self, fault: Option<(usize, &str)>) -> Outcome {
        let _ = fs::remove_file(self.fixture.path("podman/nth-calls"));
        let (number, effect) = fault.unwrap_or((0, "none"));
        let rule = format!("{number}={effect}");
        let mut tool = self.fixture.tool(self.scenario.args);
        tool = tool.env("FAKE_PODMAN_NTH", rule);
        if effect.starts_with("hang") {
            tool = tool.env("AI_SYSTEM_XTASK_DEADLINE_MS", "400");
        }
        tool.run()
    }

    /// What is wrong with the state, if it is not the goal.
    fn off(&self) -> Option<String> {
        let state = self.fixture.state();
        if foreign(&state) != self.foreign {
            return Some("something foreign was touched".to_owned());
        }
        let mut left = self.scenario.goal.clone();
        let containers = state["containers"].as_object().expect("containers");
        for (name, found) in containers.iter().filter(|(name, _)| *name != "stranger") {
            let Some(mark) = left.remove(name.as_str()) else {
                return Some(format!("{name} is left over, {}", found["state"]));
            };
            if found["state"] != "running" || !found["create"].to_string().contains(mark) {
                return Some(format!("{name} is {} and not of {mark:?}", found["state"]));
            }
        }
        let lost = state["orphans"]
            .as_array()
            .is_some_and(|lost| !lost.is_empty());
        if lost {
            return Some(format!(
                "processes without containers: {}",
                state["orphans"]
            ));
        }
        (!left.is_empty()).then(|| format!("missing: {left:?}"))
    }

    /// The run tells the truth about itself.
    fn honest(&self, outcome: &Outcome, effect: &str) -> Result<(), String> {
        let told = |what: &str| {
            Err(format!(
                "{what}\nexit code {}\n{}{}",
                outcome.code, outcome.stdout, outcome.stderr
            ))
        };
        if outcome.stderr.contains("panicked") {
            return told("it panicked");
        }
        let killed = outcome.code == 128 + 9;
        if killed != effect.starts_with("tool") && killed {
            return told("it was killed");
        }
        if outcome.code == self.scenario.code {
            return match self.off() {
                Some(off) if self.scenario.code == 0 => {
                    told(&format!("it says that all is well: {off}"))
                }
                _ => Ok(()),
            };
        }
        if !killed && !outcome.stderr.contains("error:") {
            return told("it fails without an error");
        }
        Ok(())
    }

    /// A run for each fault, and then one that must reach the goal.
    fn case(&self, faults: &[(usize, &str)]) -> Result<(), String> {
        self.reset();
        for (number, effect) in faults {
            let outcome = self.run(Some((*number, effect)));
            self.honest(&outcome, effect)?;
        }
        let outcome = self.run(None);
        if outcome.code != self.scenario.code {
            return Err(format!(
                "the next run ends with {}:\n{}{}",
                outcome.code, outcome.stdout, outcome.stderr
            ));
        }
        match self.off() {
            None => Ok(()),
            Some(off) => Err(format!(
                "the next run ends elsewhere: {off}\n{}",
                outcome.stderr
            )),
        }
    }
}

fn foreign(state: &Value) -> Value {
    let stranger = &state["containers"]["stranger"];
    let own = ["id", "state", "create", "labels", "starts"].map(|key| stranger[key].clone());
    json!([
        own,
        state["networks"]["strange"]["subnet"],
        state["volumes"]
            .as_array()
            .is_some_and(|all| all.contains(&json!("strange"))),
    ])
}

type Faults = Vec<(usize, &'static str)>;

/// Every fault at every call of a run, and pairs of them.
fn cases(calls: &[String], pairs: bool, all_pairs: bool) -> Vec<Faults> {
    let fits = |call: &str, effect: &str| {
        let looks = only_looks(call);
        match effect {
            "garbage" => looks,
            "half" => call.starts_with("stop") || call.starts_with("rm "),
            "fail-after" | "killed-after" | "hang-after" | "tool-after" => !looks,
            _ => true,
        }
    };
    let mut cases: Vec<Faults> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let effects = EFFECTS.into_iter().filter(|effect| fits(call, effect));
        cases.extend(effects.map(|effect| vec![(index + 1, effect)]));
    }
    if !pairs {
        return cases;
    }
    let first: Vec<(usize, &str)> = cases
        .iter()
        .filter_map(|case| case.first().copied())
        .filter(|(_, effect)| MESSY.contains(effect))
        .collect();
    let mut count = 0;
    for (number, effect) in first {
        // Behind the listings, a repair has at least as many calls as a run.
        for second in 3..=calls.len() + 2 {
            for again in ["fail", "tool-after", "half"] {
                count += 1;
                if all_pairs || count % 7 == 0 {
                    cases.push(vec![(number, effect), (second, again)]);
                }
            }
        }
    }
    cases
}

#[test]
#[ignore = "takes minutes; `cargo xtask test` runs it"]
fn every_fault_at_every_call_is_repaired_by_the_next_run() {
    let all_pairs = std::env::var_os("AI_SYSTEM_XTASK_EXHAUSTIVE").is_some();
    let started = std::time::Instant::now();
    let queue: Vec<(Scenario, Vec<Faults>)> = scenarios()
        .into_iter()
        .flat_map(|scenario| {
            let stage = Stage::new(&scenario);
            stage.reset();
            let outcome = stage.run(None).expect(scenario.code);
            assert_eq!(stage.off(), None, "{} without a fault", scenario.name);
            let cases = cases(&outcome.calls(), scenario.pairs, all_pairs);
            let parts: Vec<Vec<Faults>> = cases.chunks(60).map(<[Faults]>::to_vec).collect();
            parts.into_iter().map(move |part| (scenario.clone(), part))
        })
        .collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((scenario, cases)) = queue.get(next.fetch_add(1, SeqCst)) {
                    let stage = Stage::new(scenario);
                    for case in cases {
                        if let Err(problem) = stage.case(case) {
                            let told = format!("{}, {case:?}: {problem}", scenario.name);
                            failures.lock().expect("a list").push(told);
                        }
                        done.fetch_add(1, SeqCst);
                    }
                }
            });
        }
    });
    // Past the harness, which hides what tests that pass have printed.
    let told = format!(
        "faults at podman calls: {} cases in {:.0} s\n",
        done.into_inner(),
        started.elapsed().as_secs_f64()
    );
    let _ = std::io::stderr().write_all(told.as_bytes());
    let failures = failures.into_inner().expect("a list");
    assert!(
        failures.is_empty(),
        "{} cases fail:\n{}",
        failures.len(),
        failures.join("\n----\n")
    );
}
