//! One fault at one call, by its number: `FAKE_PODMAN_NTH` is `K=effect`, and K
//! counts the calls since the file `nth-calls` was removed, from 1.
//!
//! Effects: `fail` and `fail-after` end with exit code 125, before and after the
//! work; `killed` and `killed-after` as if podman had been killed, `half` so in
//! the middle; `hang` and `hang-after` until somebody ends it; `garbage` answers
//! nonsense; `tool` and `tool-after` kill the tool itself, which podman outlives.

use std::{fs::OpenOptions, io::Write};

use rustix::process::{Signal, getppid, kill_process};

use crate::{
    Answer, fault,
    store::{State, Store},
};

/// As a shell counts SIGKILL.
const KILLED: i32 = 137;

/// What is to happen to this call, if it is the one.
pub fn effect(store: &Store) -> Option<String> {
    let rule = std::env::var("FAKE_PODMAN_NTH").ok()?;
    let (wanted, effect) = rule.split_once('=').expect("a rule is K=effect");
    let path = store.folder().join("nth-calls");
    let file = OpenOptions::new().create(true).append(true).open(path);
    let mut file = file.expect("a counter");
    file.write_all(b".").expect("a counter");
    // One call at a time, or the numbers would mean nothing.
    let number = file.metadata().expect("a counter").len();
    (wanted.parse() == Ok(number)).then(|| effect.to_owned())
}

/// Before the work; `Some` if it is not done at all.
pub fn before(store: &Store, effect: &str, args: &[String]) -> Option<Answer> {
    match effect {
        "fail" => Some(Err((125, "boom".to_owned()))),
        "killed" => Some(Err((KILLED, String::new()))),
        "garbage" => Some(Ok("Segmentation fault\n".to_owned())),
        "hang" => fault::hang(),
        "half" => {
            let done = store.change(|state| {
                half(state, args);
                Ok(())
            });
            done.expect("half of the work");
            Some(Err((KILLED, String::new())))
        }
        "tool" => {
            kill_tool();
            Some(Err((KILLED, String::new())))
        }
        _ => None,
    }
}

/// After the work, whose answer is `answer`.
pub fn after(effect: &str, answer: Answer) -> Answer {
    match effect {
        "fail-after" => Err((125, "boom".to_owned())),
        "killed-after" => Err((KILLED, String::new())),
        "hang-after" => fault::hang(),
        "tool-after" => {
            kill_tool();
            answer
        }
        _ => answer,
    }
}

/// What a podman leaves behind that is killed in the middle of its work.
fn half(state: &mut State, args: &[String]) {
    let name = args.last().cloned().unwrap_or_default();
    let stands = match args[0].as_str() {
        "stop" => "stopping",
        "rm" => "removing",
        _ => return,
    };
    if let Some(container) = state.containers.get_mut(&name)
        && (stands != "stopping" || container.state == "running")
    {
        container.state = stands.to_owned();
    }
}

fn kill_tool() {
    let tool = getppid().expect("a parent");
    kill_process(tool, Signal::KILL).expect("the tool runs");
}
