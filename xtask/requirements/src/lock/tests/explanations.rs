//! What uv says is told apart. Its messages are shortened to the words that are
//! looked for.

use std::collections::BTreeSet;

use super::super::explain::{UvVerdict, mentioned, plain_error, source_only, trimmed, verdict};
use crate::lock::kind::UnmetKind;

fn one(name: &str, kind: UnmetKind) -> UvVerdict {
    UvVerdict::One {
        name: name.into(),
        kind,
    }
}

#[test]
fn kinds_of_messages_are_told_apart() {
    let unsolvable = |text: &str| format!("error: No solution found\n  cause: {text}");
    let build = |misses: Option<&str>| UnmetKind::BuildFailed {
        misses: misses.map(str::to_owned),
    };
    for (said, expected) in [
        (
            unsolvable("Because there is no version of zmq==24.0.1 and you\n require zmq==24.0.1, we"),
            one("zmq", UnmetKind::NoSuchVersion),
        ),
        (
            unsolvable("Because only flask<=3.1.3 is available and you require flask>=99, we"),
            one("flask", UnmetKind::NoSuchVersion),
        ),
        (
            unsolvable("Because only the following versions of A_b are available:\n A_b<=1\n and you require A_b>1,<2, we"),
            one("a-b", UnmetKind::NoSuchVersion),
        ),
        (
            unsolvable("Because x was not found in the package registry and you require x, we"),
            one("x", UnmetKind::NoSuchPackage),
        ),
        (
            unsolvable("Because pywin32==306 has no wheels with a matching platform tag and you require pywin32==306, we"),
            one("pywin32", UnmetKind::NotForPlatform),
        ),
        (
            unsolvable("Because torchaudio==2.1.0 depends on torch==2.1.0 and torch>=2.2, we"),
            UvVerdict::Conflict,
        ),
        (
            unsolvable("Because there is no version of b==2 and a==1 depends on b==2, we. And because you require a==1, we"),
            UvVerdict::Conflict,
        ),
        (unsolvable("Because you require pyzmq<26 and pyzmq==27.0.0, we"), UvVerdict::Conflict),
        (
            "error: Failed to build `openai-whisper==20231117`\n ModuleNotFoundError: No module named 'pkg_resources'".into(),
            one("openai-whisper", build(Some("pkg_resources"))),
        ),
        (
            "error: Failed to download and build `pycairo==1`\n Package cairo was not found".into(),
            one("pycairo", build(None)),
        ),
        (
            "error: Request failed after 3 retries\n cause: Failed to fetch: x\n cause: dns error".into(),
            UvVerdict::NoIndex,
        ),
        ("error: No interpreter found for Python 3.11 in search path".into(), UvVerdict::NoPython),
        (
            unsolvable("Because x was not found in the cache and you require x, we\nhint: the network was disabled."),
            UvVerdict::NotCached,
        ),
        ("error: something else".into(), UvVerdict::Unknown),
    ] {
        assert_eq!(verdict(&said), expected, "{said}");
    }
}

#[test]
fn errors_nobody_is_to_blame_for_have_their_own_words() {
    for (said, message) in [
        (
            "error: Failed to fetch: x",
            "the package index cannot be reached",
        ),
        (
            "error: No interpreter found for Python 3.11 in virtual environments",
            "uv finds no Python on this host; the locks are for Python 3.11",
        ),
        ("error: else", "uv could not make a lock"),
    ] {
        assert_eq!(plain_error("make a lock", said).to_string(), message);
    }
}

#[test]
fn mentioned_names_are_those_of_requirements() {
    let known = ["torch", "torch-audio", "you", "xformers"].map(str::to_owned);
    let known = BTreeSet::from(known);
    let said = "Because torch_audio==2.1.0 depends on torch>=2.1 (e.g., `xformers`), torchvision";
    let found: Vec<String> = mentioned(said, &known).into_iter().collect();
    assert_eq!(found, ["torch", "torch-audio", "xformers"]);
}

#[test]
fn explanations_are_short() {
    let said = "warning: w\nerror: Failed\n\n  cause: c\n    Traceback (most recent call last):\n      \
                File \"setup.py\", line 1\n        import x\n        ^^^^^\n    ModuleNotFoundError: Error: x\n\
                hint: This error likely\nmore";
    assert_eq!(
        trimmed(said),
        [
            "error: Failed",
            "  cause: c",
            "    ModuleNotFoundError: Error: x"
        ]
    );
    let long: String = (0..50)
        .map(|number| format!("{number}\x1b[1m{}\n", "x".repeat(900)))
        .collect();
    let short = trimmed(&long);
    assert_eq!(short.len(), 12);
    assert!(
        short
            .iter()
            .all(|line| line.chars().count() <= 400 && !line.contains('\x1b'))
    );
    assert!(short[11].starts_with("49"));
}

#[test]
fn source_only_packages_have_no_wheel() {
    let text = "lock-version = \"1.0\"\n\
        [[packages]]\nname = \"both\"\nsdist = { url = \"s\" }\nwheels = [{ url = \"w\" }]\n\
        [[packages]]\nname = \"Only_Source\"\nsdist = { url = \"s\" }\n\
        [[packages]]\nname = \"none\"\nwheels = []\n\
        [[packages]]\nname = \"direct\"\narchive = { url = \"https://example.test/a.whl#x=y\" }\n\
        [[packages]]\nname = \"packed\"\narchive = { url = \"https://example.test/a.zip\" }\n";
    let found: Vec<String> = source_only(text).unwrap().into_iter().collect();
    assert_eq!(found, ["none", "only-source", "packed"]);
    assert_eq!(source_only("lock-version = \"1.0\"\n"), Ok(BTreeSet::new()));
    for bad in ["packages = 1", "[[packages]]\nversion = \"1\"", "<"] {
        assert!(source_only(bad).is_err(), "{bad}");
    }
}
