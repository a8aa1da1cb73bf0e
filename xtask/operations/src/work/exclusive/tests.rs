//! Two runs at once: the second waits, gives up or is stopped, and is told who
//! holds the lock.

use std::{
    sync::{Mutex, mpsc},
    thread,
};

use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().expect("a temporary folder"))
    }

    fn take(
        &self,
        command: &str,
        timeout_ms: u64,
        cancel: &Cancel,
        say: &dyn Fn(&str),
    ) -> Result<Exclusive, Failure> {
        take(self.wanted(Scope::Agents, command, timeout_ms), cancel, say)
    }

    fn wanted<'a>(&'a self, scope: Scope, command: &'a str, timeout_ms: u64) -> Wanted<'a> {
        Wanted {
            folder: self.0.path(),
            system: "demo",
            scope,
            command,
            timeout_ms,
        }
    }
}

fn own_id() -> u32 {
    std::process::id()
}

fn silent(text: &str) {
    panic!("nobody waits here: {text}");
}

#[test]
fn a_free_lock_is_taken_without_a_word() {
    let place = Place::new();
    for command in ["deploy", "down"] {
        let taken = place.take(command, 0, &Cancel::default(), &silent);
        drop(taken.expect("it is free"));
    }
}

#[test]
fn the_second_one_waits_and_is_told_once_for_whom() {
    let place = Place::new();
    let first = place.take("build-images", 0, &Cancel::default(), &silent);
    let first = first.expect("it is free");
    let said = Mutex::new(Vec::new());
    let (told, hears) = mpsc::channel();
    thread::scope(|scope| {
        let second = scope.spawn(|| {
            let told = Mutex::new(told);
            let say = |text: &str| {
                said.lock().expect("unpoisoned").push(text.to_owned());
                told.lock().expect("unpoisoned").send(()).expect("heard");
            };
            place
                .take("deploy", 60_000, &Cancel::default(), &say)
                .is_ok()
        });
        hears.recv().expect("the second one waits");
        // Long enough for a second look.
        thread::sleep(Duration::from_millis(250));
        drop(first);
        assert!(second.join().expect("no panic"), "it is free now");
    });
    let expected = format!(
        "waiting for another run to end: build-images (process {})",
        own_id()
    );
    assert_eq!(*said.lock().expect("unpoisoned"), [expected]);
}

#[test]
fn the_second_one_gives_up_in_time() {
    let place = Place::new();
    let _first = place.take("deploy", 0, &Cancel::default(), &silent);
    let started = Instant::now();
    let failure = place
        .take("down", 150, &Cancel::default(), &|_| {})
        .expect_err("it is held");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(failure.exit, Exit::Locked);
    assert_eq!(
        failure.message,
        format!(
            "another run is changing `demo`: deploy (process {})",
            own_id()
        )
    );
    assert_eq!(
        failure.hint.as_deref(),
        Some("wait for it to end, or give --lock-timeout a longer time")
    );
}

#[test]
fn ctrl_c_ends_the_wait() {
    let place = Place::new();
    let _first = place.take("deploy", 0, &Cancel::default(), &silent);
    let cancel = Cancel::default();
    cancel.request();
    let failure = place
        .take("down", 60_000, &cancel, &|_| {})
        .expect_err("it is held");
    assert_eq!(failure.exit, Exit::Interrupted);
}

#[test]
fn a_holder_that_has_not_said_its_name_is_described() {
    let place = Place::new();
    let path = place.0.path().join(Scope::Agents.file("demo"));
    let file = File::create(&path).expect("a file");
    file.lock().expect("nobody else has it");
    let failure = place
        .take("down", 0, &Cancel::default(), &|_| {})
        .expect_err("it is held");
    assert_eq!(
        failure.message,
        "another run is changing `demo`: one that has just begun"
    );
}

#[test]
fn a_lock_that_cannot_be_opened_is_named() {
    let place = Place::new();
    let folder = place.0.path().join("missing");
    let wanted = Wanted {
        folder: &folder,
        ..place.wanted(Scope::Agents, "down", 0)
    };
    let taken = take(wanted, &Cancel::default(), &silent);
    let failure = taken.expect_err("there is no such folder");
    assert_eq!(failure.exit, Exit::Locked);
    let begin = format!("cannot open the lock {}/", folder.display());
    assert!(failure.message.starts_with(&begin), "{}", failure.message);
}

#[test]
fn builds_and_tests_hold_nobody_up() {
    let place = Place::new();
    let all = [Scope::Agents, Scope::Images, Scope::Tests];
    let held = all.map(|scope| {
        let taken = take(place.wanted(scope, "up", 0), &Cancel::default(), &silent);
        taken.expect("each has its own")
    });
    let refused = all.map(|scope| {
        let taken = take(place.wanted(scope, "up", 0), &Cancel::default(), &silent);
        let message = taken.expect_err("it is held").message;
        message.split(": ").next().unwrap_or_default().to_owned()
    });
    let expected = [
        "another run is changing `demo`",
        "another run is changing the images of `demo`",
        "another run is testing `demo`",
    ];
    assert_eq!(refused, expected);
    drop(held);
}
