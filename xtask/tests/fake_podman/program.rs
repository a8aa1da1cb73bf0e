//! A podman that only pretends: it keeps its containers, images, networks and
//! volumes in a file, writes down every call, and answers as podman 4.3.1 does.
//!
//! It understands what the tool uses and panics on anything else, so that a
//! changed command line is noticed. What it should get wrong stands in its
//! environment:
//!
//! - `FAKE_PODMAN_STATE`: folder of its state and its journal;
//! - `FAKE_PODMAN_FAIL`: a rule a line, `verb word…=effect`, see `fault`;
//! - `FAKE_PODMAN_NTH`: one fault at one call, see `nth`;
//! - `FAKE_PODMAN_REMOTE`: set if it speaks for one on another machine;
//! - `FAKE_PODMAN_VERSION`: what it calls itself, 4.3.1 if not set;
//! - `FAKE_PODMAN_NEEDS`: global options without which no container runs.

mod change;
mod fault;
mod inspect;
mod look;
mod nth;
mod options;
mod secrets;
mod store;

use std::{io::Write, process::exit};

use fault::Fault;
use store::Store;

/// How a call ends: what it prints, or podman's complaint with its exit code.
pub type Answer = Result<String, (i32, String)>;

/// Global options that the tool may put before the verb.
const GLOBAL: &[&str] = &["--connection", "--runtime", "--cgroup-manager"];

fn main() {
    let folder = std::env::var("FAKE_PODMAN_STATE").expect("FAKE_PODMAN_STATE names a folder");
    let store = Store::new(folder);
    remember_panics(&store);
    let argv: Vec<String> = std::env::args().skip(1).collect();
    store.begin(&argv);
    let (global, args) = split_global(&argv);
    let nth = nth::effect(&store).unwrap_or_default();
    if let Some(answer) = nth::before(&store, &nth, args) {
        end(&store, answer);
    }
    let fault = fault::find(&store, args);
    if let Some(Fault::Fail(code, message)) = &fault {
        end(&store, Err((*code, message.clone())));
    }
    match &fault {
        Some(Fault::Hang) => fault::hang(),
        Some(Fault::Garbage) => end(&store, Ok("Segmentation fault\n".to_owned())),
        Some(Fault::Hold) => fault::hold(&store),
        Some(Fault::Slow(time)) => std::thread::sleep(*time),
        _ => {}
    }
    if let Some(Fault::StopsHalfWay) = &fault {
        change::stop_half_way(&store, &args[1..]);
        fault::hang();
    }
    let answer = dispatch(&store, global, args, fault.as_ref());
    match fault {
        Some(Fault::HangAfter) => fault::hang(),
        Some(Fault::SlowAfter(time)) => std::thread::sleep(time),
        Some(Fault::FailAfter(code, message)) => end(&store, Err((code, message))),
        _ => {}
    }
    end(&store, nth::after(&nth, answer));
}

fn dispatch(store: &Store, global: &[String], args: &[String], fault: Option<&Fault>) -> Answer {
    let words: Vec<&str> = args.iter().take(2).map(String::as_str).collect();
    match words.as_slice() {
        ["info", ..] => look::info(store, &args[1..]),
        ["ps", ..] => look::containers(store, &args[1..]),
        ["images", ..] => look::images(store, &args[1..]),
        ["image", "inspect"] => look::image_inspect(store, &args[2..]),
        ["image", "exists"] => look::image_exists(store, &args[2..]),
        ["network", "ls"] => look::networks(store, &args[2..]),
        ["secret", "ls"] => secrets::ls(store, &args[2..]),
        ["secret", "inspect"] => secrets::inspect(store, &args[2..]),
        ["secret", "create"] => secrets::create(store, &args[2..]),
        ["secret", "rm"] => secrets::rm(store, &args[2..]),
        ["volume", "ls"] => look::volumes(store, &args[2..]),
        ["logs", ..] => look::logs(store, &args[1..]),
        ["events", ..] => look::events(store, &args[1..]),
        ["exec", ..] => look::exec(store, &args[1..]),
        ["network", "create"] => change::network_create(store, &args[2..]),
        ["network", "rm"] => change::network_rm(store, &args[2..]),
        ["network", "reload"] => change::network_reload(store, &args[2..]),
        ["volume", "rm"] => change::volume_rm(store, &args[2..]),
        ["create", ..] => change::create(store, &args[1..]),
        ["init", ..] => change::init(store, global, &args[1..]),
        ["start", ..] => change::start(store, global, &args[1..], fault),
        ["stop", ..] => change::stop(store, &args[1..]),
        ["restart", ..] => {
            let name = args.last().expect("a name").clone();
            change::stop(store, &args[1..])
                .and_then(|_| change::start(store, global, &[name], fault))
        }
        ["unpause", ..] => change::unpause(store, &args[1..]),
        ["rename", ..] => change::rename(store, &args[1..]),
        ["rm", ..] => change::rm(store, &args[1..]),
        ["rmi", ..] => change::rmi(store, &args[1..]),
        ["image", "prune"] => change::image_prune(store, &args[2..]),
        ["run", ..] => change::run(store, global, &args[1..]),
        ["build", ..] => change::build(store, &args[1..], fault),
        ["import", ..] => change::import(store, &args[1..]),
        ["pull", ..] => change::pull(store, &args[1..]),
        ["tag", ..] => change::tag(store, &args[1..]),
        ["container", "inspect"] => inspect::containers(store, &args[2..]),
        ["container", "cleanup"] => change::cleanup(store, &args[2..]),
        _ => panic!("the fake podman does not know {args:?}"),
    }
}

fn split_global(argv: &[String]) -> (&[String], &[String]) {
    let mut at = 0;
    while argv
        .get(at)
        .is_some_and(|word| GLOBAL.contains(&word.as_str()))
    {
        at += 2;
    }
    argv.split_at(at)
}

fn end(store: &Store, answer: Answer) -> ! {
    let code = match answer {
        Ok(text) => {
            // The tool may have been killed meanwhile.
            let _ = std::io::stdout().write_all(text.as_bytes());
            0
        }
        // An exit code may be the whole answer.
        Err((code, message)) if message.is_empty() => code,
        Err((code, message)) => {
            let _ = writeln!(std::io::stderr(), "Error: {message}");
            code
        }
    };
    store.end(code);
    exit(code)
}

/// A panic must fail the test even where the tool copes with a failed podman.
fn remember_panics(store: &Store) {
    let file = store.folder().join("panic");
    std::panic::set_hook(Box::new(move |info| {
        let _ = std::fs::write(&file, info.to_string());
        eprintln!("{info}");
    }));
}
