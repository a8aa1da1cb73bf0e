//! Plans carried out against a podman of a few lines, which writes down what it
//! is told, fails where it is told to, and lists no containers.

use std::path::PathBuf;

use super::*;

/// A podman that fails for words that the file `fails` names.
const PODMAN: &str = r#"
folder="$1"; shift
[ "$1" = ps ] && { echo '[]'; exit 0; }
echo "$*" >> "$folder/calls"
grep -qxF "$*" "$folder/fails" 2>/dev/null && { echo "Error: no" >&2; exit 125; }
grep -qxF "$*" "$folder/slow" 2>/dev/null && sleep 0.5
exit 0
"#;

struct Trial {
    folder: tempfile::TempDir,
    engine: Engine,
}

impl Trial {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("podman");
        std::fs::write(&script, PODMAN).expect("a file");
        let mut engine = Engine::pretended(PathBuf::from("/bin/sh"));
        let words = [script.as_path(), folder.path()];
        engine.podman.global = words.map(|word| word.display().to_string()).into();
        Trial { folder, engine }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a file");
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("calls"));
        let text = text.unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn start(container: &str) -> Action {
    Action::StartContainer {
        container: container.into(),
        host_ports: Vec::new(),
    }
}

fn stop(container: &str) -> Action {
    Action::StopContainer {
        container: container.into(),
        timeout_s: 1,
    }
}

fn rename(from: &str, to: &str) -> Action {
    Action::RenameContainer {
        from: from.into(),
        to: to.into(),
    }
}

/// Calls back when a step begins.
struct Begins<F>(F);

impl<F: Fn(usize) + Sync> Watch for Begins<F> {
    fn event(&self, position: usize, _: &Step, event: Event<'_>) {
        if matches!(event, Event::Started) {
            (self.0)(position);
        }
    }
}

fn replacement() -> Plan {
    let mut plan = Plan::default();
    let stopped = plan.push("A", stop("a"), vec![], "a test");
    let moved = plan.push("A", rename("a", "a-previous"), vec![stopped], "a test");
    plan.undo_with(moved, vec![start("a")]);
    let named = plan.push("A", rename("a-next", "a"), vec![moved], "a test");
    plan.undo_with(named, vec![rename("a-previous", "a"), start("a")]);
    plan.push("A", start("a"), vec![named], "a test");
    plan
}

#[test]
fn an_interruption_puts_back_what_was_stopped_for_a_successor() {
    let trial = Trial::new();
    trial.write("slow", "stop --time 1 a\n");
    let plan = replacement();
    let cancel = trial.engine.podman.cancel.clone();
    let report = execute(&trial.engine, &plan, 2, &Begins(|_| cancel.request()));
    assert_eq!(trial.calls(), ["stop --time 1 a", "start a"]);
    assert!(
        matches!(report.results[1], StepResult::PutBack(None)),
        "{report:?}"
    );
    assert!(matches!(report.results[2], StepResult::Blocked { by: 1 }));
    assert!(report.left.is_some(), "podman was asked what is left");
}

#[test]
fn an_interruption_after_the_rename_takes_it_back() {
    let trial = Trial::new();
    let plan = replacement();
    let cancel = trial.engine.podman.cancel.clone();
    let second = Begins(|position| {
        if position == 1 {
            cancel.request();
        }
    });
    execute(&trial.engine, &plan, 2, &second);
    let calls = trial.calls();
    assert_eq!(calls[2..], ["rename a-previous a", "start a"], "{calls:?}");
}

#[test]
fn undoing_stops_at_its_first_failure() {
    let trial = Trial::new();
    trial.write("fails", "start a\nrm --force --time 5 a\n");
    let mut plan = Plan::default();
    let step = plan.push("A", start("a"), vec![], "a test");
    let remove = Action::RemoveContainer {
        container: "a".into(),
        pid: None,
    };
    plan.undo_with(
        step,
        vec![stop("a"), remove, rename("a-previous", "a"), start("a")],
    );
    let report = execute(&trial.engine, &plan, 1, &Begins(|_| ()));
    assert_eq!(
        trial.calls(),
        ["start a", "stop --time 1 a", "rm --force --time 5 a"]
    );
    let StepResult::Failed(failure) = &report.results[0] else {
        panic!("{report:?}")
    };
    assert!(!failure.restored);
}

#[test]
fn a_display_that_panics_takes_no_step_along() {
    let trial = Trial::new();
    let mut plan = Plan::default();
    let first = plan.push("A", start("a"), vec![], "a test");
    plan.push("B", start("b"), vec![first], "a test");
    execute(&trial.engine, &plan, 2, &Begins(|_| panic!("no terminal")));
    assert_eq!(trial.calls(), ["start a", "start b"]);
}

#[test]
fn a_process_that_outlives_its_container_is_told() {
    let trial = Trial::new();
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .expect("a process");
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut plan = Plan::default();
    let remove = |pid| Action::RemoveContainer {
        container: "a".into(),
        pid: Some(pid),
    };
    plan.push("A", remove(child.id()), vec![], "a test");
    let report = execute(&trial.engine, &plan, 1, &Begins(|_| ()));
    child.kill().expect("it runs");
    let again = execute(&trial.engine, &plan, 1, &Begins(|_| ()));
    child.wait().expect("it ends");
    let StepResult::Failed(failure) = &report.results[0] else {
        panic!("{report:?}")
    };
    let words = failure.reason.short();
    assert!(
        words.contains(&format!("its process {} goes on", child.id())),
        "{words}"
    );
    assert!(
        matches!(again.results[0], StepResult::Done { .. }),
        "{again:?}"
    );
}

#[test]
fn steps_that_come_alone_are_not_carried_out_beside_each_other() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counts(AtomicUsize, AtomicUsize);
    impl Watch for Counts {
        fn event(&self, _: usize, step: &Step, event: Event<'_>) {
            match event {
                Event::Started if step.alone.is_some() => {
                    let now = self.0.fetch_add(1, Ordering::SeqCst) + 1;
                    self.1.fetch_max(now, Ordering::SeqCst);
                }
                Event::Ended(_) if step.alone.is_some() => {
                    self.0.fetch_sub(1, Ordering::SeqCst);
                }
                _ => {}
            }
        }
    }

    let trial = Trial::new();
    let names = ["a", "b", "c", "d"];
    trial.write(
        "slow",
        &names.map(|name| format!("start {name}\n")).concat(),
    );
    trial.write("fails", "start b\n");
    let mut plan = Plan::default();
    for name in names {
        let step = plan.push(name, start(name), vec![], "a test");
        plan.steps[step].alone = Some("volumes".into());
    }
    let counts = Counts(AtomicUsize::new(0), AtomicUsize::new(0));
    execute(&trial.engine, &plan, 4, &counts);
    assert_eq!(trial.calls().len(), 4, "a failure holds up no other");
    assert_eq!(counts.1.load(Ordering::SeqCst), 1);
}

#[test]
fn what_is_only_of_use_ahead_of_a_step_never_holds_it_up() {
    let trial = Trial::new();
    trial.write("fails", "init b\n");
    trial.write("slow", "start a\n");
    let mut plan = Plan::default();
    let init = |container: &str| Action::InitContainer {
        container: container.into(),
    };
    let first = plan.push("A", start("a"), vec![], "a test");
    for (name, ready_after) in [("b", vec![]), ("c", vec![first])] {
        let ahead = plan.push(name, init(name), ready_after, "a test");
        let started = plan.push(name, start(name), vec![first], "a test");
        plan.steps[ahead].ahead_of = Some(started);
    }
    let report = execute(&trial.engine, &plan, 2, &Begins(|_| ()));
    assert_eq!(trial.calls().len(), 4, "{:?}", trial.calls());
    assert!(!trial.calls().contains(&"init c".to_owned()));
    let spared = |at: usize| matches!(report.results[at], StepResult::Spared);
    assert!(spared(1) && spared(3), "{report:?}");
    let done = |at: usize| matches!(report.results[at], StepResult::Done { .. });
    assert!(done(0) && done(2) && done(4), "{report:?}");
}
