//! What the fake gets wrong on purpose.
//!
//! A rule is `verb word…=effect`: it holds for a call of that verb with all of
//! these words in it, one that ends in `*` for all that start so. Effects: `125:message` fails with that exit code,
//! `after:125:message` once it is done, `once:125:message` only the first time, `hang` before anything is done,
//! `hang-after` once it is done, `hold` until the file `released` is in the
//! state's folder, `garbage` answers nonsense, `slow:300` takes so many
//! milliseconds, `slow-after:300` once it is done, `exit:3` starts a container
//! that ends at once, `half-way` leaves a container in the middle of a stop and
//! hangs.

use std::{
    fs::OpenOptions,
    time::{Duration, Instant},
};

use crate::store::Store;

#[derive(Debug)]
pub enum Fault {
    Fail(i32, String),
    Hang,
    HangAfter,
    Hold,
    Garbage,
    Slow(Duration),
    SlowAfter(Duration),
    FailAfter(i32, String),
    Exit(i32),
    StopsHalfWay,
}

pub fn find(store: &Store, args: &[String]) -> Option<Fault> {
    let rules = std::env::var("FAKE_PODMAN_FAIL").unwrap_or_default();
    rules.lines().enumerate().find_map(|(number, rule)| {
        let (pattern, effect) = rule.split_once('=').expect("a rule is PATTERN=EFFECT");
        let mut words = pattern.split_whitespace();
        let verb = words.next().expect("a pattern starts with a verb");
        let holds =
            args[0] == verb && words.all(|word| args[1..].iter().any(|arg| matches(word, arg)));
        if !holds {
            return None;
        }
        match effect.strip_prefix("once:") {
            Some(effect) => first_time(store, number).then(|| parse(effect)),
            None => Some(parse(effect)),
        }
    })
}

/// A word of a rule may end in `*`.
fn matches(word: &str, arg: &str) -> bool {
    arg == word
        || word
            .strip_suffix('*')
            .is_some_and(|start| arg.starts_with(start))
}

fn parse(effect: &str) -> Fault {
    let (word, rest) = effect.split_once(':').unwrap_or((effect, ""));
    let number = || rest.parse().expect("a number");
    match word {
        "hang" => Fault::Hang,
        "hang-after" => Fault::HangAfter,
        "hold" => Fault::Hold,
        "half-way" => Fault::StopsHalfWay,
        "garbage" => Fault::Garbage,
        "slow" => Fault::Slow(Duration::from_millis(number())),
        "slow-after" => Fault::SlowAfter(Duration::from_millis(number())),
        "after" => match parse(rest) {
            Fault::Fail(code, message) => Fault::FailAfter(code, message),
            other => panic!("{other:?} cannot come after"),
        },
        "exit" => Fault::Exit(number() as i32),
        code => Fault::Fail(
            code.parse().expect("an effect or an exit code"),
            rest.to_owned(),
        ),
    }
}

fn first_time(store: &Store, rule: usize) -> bool {
    let mark = store.folder().join(format!("rule-{rule}-used"));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(mark)
        .is_ok()
}

/// Until the test says so.
pub fn hold(store: &Store) {
    let end = Instant::now() + Duration::from_secs(60);
    while !store.folder().join("released").exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Until it is killed; not for ever, lest a broken test leave it behind.
pub fn hang() -> ! {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
    }
    std::process::exit(1)
}
