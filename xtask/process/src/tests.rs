//! Programs that write, hang, are cancelled or ended.

use std::sync::Mutex;

use super::*;

fn sh(script: &str) -> Command {
    Command::new("sh", &["-c", script])
}

#[test]
fn output_and_code_come_back() {
    let output = sh("echo out; echo err >&2; exit 3")
        .run(&Cancel::default(), None)
        .unwrap();
    assert_eq!(
        (output.code, &*output.stdout, &*output.stderr),
        (3, "out\n", "err\n")
    );
}

#[test]
fn lines_are_forwarded_as_they_come() {
    let seen = Mutex::new(Vec::new());
    sh("echo one; echo two")
        .run(
            &Cancel::default(),
            Some(&|line: &str| seen.lock().unwrap().push(line.to_owned())),
        )
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), ["one", "two"]);
}

#[test]
fn deadline_ends_the_whole_group() {
    let started = Instant::now();
    let error = sh("sleep 30 & echo $!; wait")
        .deadline_ms(200)
        .run(&Cancel::default(), None)
        .unwrap_err();
    assert!(matches!(
        error,
        ProcessError::TimedOut {
            deadline_ms: 200,
            ..
        }
    ));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_runs_in_a_session_of_its_own_ends_too() {
    let error = sh("setsid sh -c 'echo $$ >&2; sleep 30' & wait")
        .deadline_ms(400)
        .run(&Cancel::default(), None)
        .unwrap_err();
    let ProcessError::TimedOut { stderr, .. } = error else {
        panic!("{error}")
    };
    let pid: u32 = stderr.trim().parse().unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn an_ended_process_is_told_from_a_running_one() {
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let pid = child.id();
    assert!(!has_ended(pid));
    child.kill().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !has_ended(pid) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(has_ended(pid), "it waits for its parent");
    child.wait().unwrap();
    assert!(has_ended(pid), "it is gone");
    assert!(!has_ended(0) && !has_ended(1 << 23), "of another host");
    assert!(!has_ended(std::process::id()));
    assert_eq!(age(pid), None);
    let own = age(std::process::id()).unwrap();
    assert!(own < Duration::from_secs(600), "{own:?}");
}

#[test]
fn cancel_lets_short_calls_finish_whatever_comes_and_ends_long_ones() {
    let cancel = Cancel::default();
    cancel.request();
    assert_eq!(sh("sleep 0.2; exit 4").run(&cancel, None).unwrap().code, 4);
    let ended = sh("sleep 30")
        .on_cancel(OnCancel::End)
        .run(&cancel, None)
        .unwrap_err();
    assert!(matches!(ended, ProcessError::Interrupted));
    cancel.request();
    let output = sh("echo out; sleep 0.2; echo err >&2").run(&cancel, None);
    let output = output.unwrap();
    assert_eq!((&*output.stdout, &*output.stderr), ("out\n", "err\n"));
}

#[test]
fn a_missing_program_is_not_started() {
    let error = Command::new("/nonexistent/program", &[])
        .run(&Cancel::default(), None)
        .unwrap_err();
    assert!(matches!(error, ProcessError::NotStarted(_)));
}

#[test]
fn quoting_survives_a_shell() {
    let words = ["plain", "two words", "it's", "$HOME", ""].map(str::to_owned);
    let line = shell_line(&words);
    let output = sh(&format!("printf '%s|' {line}"))
        .run(&Cancel::default(), None)
        .unwrap();
    assert_eq!(output.stdout, "plain|two words|it's|$HOME||");
}

#[test]
fn input_is_read_and_not_shown() {
    let mut command = sh("cat; cat >&2");
    command.input = Some(Input(b"a secret\nof two lines".to_vec()));
    let output = command.run(&Cancel::default(), None).unwrap();
    assert_eq!(output.stdout, "a secret\nof two lines");
    assert!(!format!("{command:?}").contains("secret"));
    // A program that does not read is no failure, and no wait.
    command.args = vec!["-c".to_owned(), "exit 3".to_owned()];
    command.input = Some(Input(vec![b'x'; 1 << 20]));
    assert_eq!(command.run(&Cancel::default(), None).unwrap().code, 3);
}
