//! Compares a text with the one on record, volatile parts left out.

use std::{env, fs, path::PathBuf};

use crate::{fixture::Fixture, tool::Outcome};

/// Compares exit code, stdout, stderr and the calls that changed something.
/// What containers and networks are made from stands in one file only, see
/// `check_in_full`.
#[track_caller]
pub fn check(name: &str, fixture: &Fixture, outcome: &Outcome) {
    let calls = outcome.changes();
    let calls: Vec<String> = calls.iter().map(|call| shortened(call)).collect();
    compare(name, fixture, outcome, &calls);
}

/// The same with every word of every call.
#[track_caller]
pub fn check_in_full(name: &str, fixture: &Fixture, outcome: &Outcome) {
    compare(name, fixture, outcome, &outcome.changes());
}

fn shortened(call: &str) -> String {
    let words: Vec<&str> = call.split(' ').collect();
    match words.as_slice() {
        ["create", "--name", name, ..] => format!("create --name {name} …"),
        ["network", "create", .., name] => format!("network create … {name}"),
        _ => call.to_owned(),
    }
}

#[track_caller]
fn compare(name: &str, fixture: &Fixture, outcome: &Outcome, calls: &[String]) {
    // Creations come ahead while others start, and what makes ready comes if there
    // is time: neither has a fixed place among the rest.
    let mut calls = calls.to_vec();
    calls.retain(|call| !call.starts_with("init "));
    let creates = |call: &String| call.starts_with("create ");
    let first = calls.iter().position(creates).unwrap_or(calls.len());
    calls[first..].sort_by_key(|call| !creates(call));
    let calls = calls.join("\n");
    let text = format!(
        "exit {}\n--- stdout\n{}--- stderr\n{}--- calls that change something\n{calls}",
        outcome.code, outcome.stdout, outcome.stderr
    );
    check_text(name, &redacted(fixture, &text));
}

#[track_caller]
pub fn check_text(name: &str, actual: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/whole_binary/golden")
        .join(format!("{name}.txt"));
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, actual).expect("golden files can be written");
        return;
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        expected == actual,
        "{} differs; if that is meant, run\n\
         UPDATE_GOLDEN=1 cargo test -p xtask --test whole_binary\n\
         --- expected\n{expected}\n--- actual\n{actual}",
        file.display()
    );
}

/// Without what differs from run to run: the folder, ports, hashes, times,
/// process ids and the padding that follows from them.
pub fn redacted(fixture: &Fixture, text: &str) -> String {
    let mut text = text.replace(&fixture.root().display().to_string(), "TMP");
    let uid = rustix::process::getuid();
    text = text.replace(&format!("ai-system-xtask-{uid}"), "ai-system-xtask-UID");
    for (name, port) in fixture.port_names() {
        text = replace_number(&text, port, &name);
    }
    let lines: Vec<String> = text.lines().map(redacted_line).collect();
    lines.join("\n") + "\n"
}

fn replace_number(text: &str, number: u16, name: &str) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(&digits) {
        let (before, after) = (&rest[..at], &rest[at + digits.len()..]);
        let alone = !before.ends_with(|c: char| c.is_ascii_alphanumeric())
            && !after.starts_with(|c: char| c.is_ascii_alphanumeric());
        out.push_str(before);
        out.push_str(if alone { name } else { &digits });
        rest = after;
    }
    out + rest
}

/// Words are kept apart by one space, or by two where there were more.
fn redacted_line(line: &str) -> String {
    let mut out = String::new();
    let mut words: Vec<(usize, &str)> = Vec::new();
    let mut gap = 0;
    for piece in line.split(' ') {
        if piece.is_empty() {
            gap += 1;
        } else {
            words.push((gap, piece));
            gap = 0;
        }
    }
    let mut index = 0;
    while index < words.len() {
        let (gap, word) = words[index];
        let next = words.get(index + 1).map(|(_, word)| *word);
        let unit = next.map(|next| next.trim_end_matches([',', ';', ')', ':']));
        let open = word.trim_start_matches('(');
        let number = !open.is_empty() && open.chars().all(|c| c.is_ascii_digit() || c == '.');
        if index > 0 {
            out.push(' ');
        }
        match (index, gap) {
            (_, 0) => {}
            (0, indentation) => out.extend(std::iter::repeat_n(' ', indentation)),
            _ => out.push(' '),
        }
        match unit {
            Some(unit @ ("s" | "ms")) if number => {
                out.push_str(&word[..word.len() - open.len()]);
                out.push_str("TIME");
                out.push_str(&next.expect("the unit")[unit.len()..]);
                index += 1;
            }
            _ if index > 0 && words[index - 1].1.ends_with("process") && starts_a_number(word) => {
                let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
                out.push_str(&format!("PID{rest}"));
            }
            _ => out.push_str(&redact_hashes(word)),
        }
        index += 1;
    }
    out
}

fn starts_a_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// Runs of 24 and 64 hexadecimal digits.
fn redact_hashes(word: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for c in word.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            run.push(c);
            continue;
        }
        out.push_str(match run.len() {
            24 => "HASH",
            64 => "ID",
            _ => &run,
        });
        run.clear();
        out.push(c);
    }
    out.trim_end_matches('\n').to_owned()
}
