//! Resolutions that fail: who is to blame, and in which words.

use diagnostics::{Exit, Failure};

use super::{
    fake::{Fake, lists},
    *,
};

fn failure(fake: &Fake, request: &LockRequest) -> Failure {
    let error = fake.lock(request, &Upgrade::None).unwrap_err();
    assert!(fake.is_clean());
    error.into_failure(Exit::Findings)
}

/// The reasons, without uv's own words and the hints.
fn reasons(failure: &Failure) -> Vec<&str> {
    let own = failure.detail.iter().filter(|line| !line.starts_with("  "));
    own.map(String::as_str).collect()
}

#[test]
fn the_two_that_do_not_go_together_are_named() {
    let mut request = lists();
    let audio = "-r requirements.core.txt\n\nd\ntorchaudio==2.1.0  # sound\ninnocent\n";
    request.lists.insert(List::Audio, audio.into());
    request
        .limits
        .push(limit("torch", ">=2.2", "the driver is new", 9));
    let fake = Fake::new().rules(
        "if asks torchaudio==2.1.0 && limits 'torch>=2.2'; then\n\
         unsolvable 'torchaudio==2.1.0 depends on torch==2.1.0 and torch>=2.2 (innocent>=1)'\nfi\n",
    );
    let found = failure(&fake, &request);
    assert_eq!(found.message, "1 requirement cannot be satisfied");
    assert_eq!(
        found.detail,
        [
            "torchaudio==2.1.0 (requirements.audio.txt:4) cannot be satisfied together with \
             torch>=2.2 (rules.toml:9: the driver is new)",
            "  error: No solution found",
            "    cause: Because torchaudio==2.1.0 depends on torch==2.1.0 and torch>=2.2 (innocent>=1), \
             we can conclude that your requirements are unsatisfiable.",
        ]
    );
    assert_eq!(
        found.hint.as_deref(),
        Some("without them, everything can be locked")
    );
}

#[test]
fn one_that_conflicts_with_several_is_blamed_for_all() {
    let mut request = lists();
    request.lists.insert(
        List::Gpu,
        "-r requirements.core.txt\nb\nc==3\nx==1\ny==1\n".into(),
    );
    request.limits.push(limit("torch", ">=2.2", "", 9));
    let fake = Fake::new().rules(
        "if limits 'torch>=2.2'; then\n\
         asks x==1 && unsolvable 'x==1 depends on torch==2.1.0 and you require torch>=2.2'\n\
         asks y==1 && unsolvable 'y==1 depends on torch==2.1.0 and you require torch>=2.2'\nfi\n",
    );
    assert_eq!(
        reasons(&failure(&fake, &request)),
        [
            "torch>=2.2 (rules.toml:9) cannot be satisfied together with x==1 (requirements.gpu.txt:4)"
        ]
    );
}

#[test]
fn all_reasons_are_found_at_once() {
    let mut request = lists();
    let core = "a>=1\nzmq==24.0.1\nnobody\npywin32\nold==1\n";
    request.lists.insert(List::Core, core.into());
    request.lists.insert(
        List::Gpu,
        "-r requirements.core.txt\nzmq>=20\np==1\np<1\n".into(),
    );
    let fake = Fake::new().rules(
        "asks zmq==24.0.1 && unsolvable 'there is no version of zmq==24.0.1 and you require zmq==24.0.1'\n\
         asks nobody && unsolvable 'nobody was not found in the package registry and you require nobody'\n\
         asks pywin32 && unsolvable 'pywin32>=1 has no wheels with a matching platform tag and you require pywin32'\n\
         asks old==1 && fail 'Failed to build `old==1`\n  ModuleNotFoundError: No module named '\"'pkg_resources'\"\n\
         asks p==1 && asks 'p<1' && unsolvable 'you require p<1 and p==1'\n",
    );
    let found = failure(&fake, &request);
    assert_eq!(found.message, "5 requirements cannot be satisfied");
    assert_eq!(
        reasons(&found),
        [
            "zmq==24.0.1 (requirements.core.txt:2) is a version that the index does not have",
            "nobody (requirements.core.txt:3) is a package that the index does not have",
            "pywin32 (requirements.core.txt:4) has no file for the images' Python and platform",
            "old==1 (requirements.core.txt:5) is published as source that cannot be built here",
            "p==1 (requirements.gpu.txt:3) cannot be satisfied together with p<1 (requirements.gpu.txt:4)",
        ]
    );
    let hints: Vec<&str> = found
        .detail
        .iter()
        .filter_map(|line| line.strip_prefix("  hint: "))
        .collect();
    assert_eq!(
        hints,
        [
            "choose a version that the index has",
            "correct the name, or leave it out",
            "give it a marker such as `; sys_platform == \"win32\"`, or leave it out",
            "its build script is older than setuptools 81: `[build.setuptools]` with `specifier = \"<81\"` in requirements/rules.toml helps",
        ]
    );
}

#[test]
fn what_stands_behind_a_package_of_no_list_is_found() {
    let mut request = lists();
    request.lists.insert(List::Core, "a>=1\n".into());
    let fake = Fake::new().rules(
        "asks c==3 && fail 'Failed to build `deep==1`\nhint: `deep` was included because `c` (v3) depends on it'\n",
    );
    let found = failure(&fake, &request);
    assert_eq!(
        reasons(&found),
        [
            "c==3 (requirements.gpu.txt:3) asks for `deep`, which is published as source that cannot be built here"
        ]
    );
}

#[test]
fn without_anybody_to_blame_uv_is_quoted() {
    let fake = Fake::new().rules("unsolvable 'the moon is full'\n");
    let found = failure(&fake, &lists());
    assert_eq!(reasons(&found), ["the lists cannot be satisfied together"]);
    assert_eq!(
        found.hint.as_deref(),
        Some("there may be more; these come first")
    );
    let fake = Fake::new().rules("fail 'disk on fire'\n");
    let found = failure(&fake, &lists());
    assert_eq!(found.message, "uv could not resolve the lists");
    assert_eq!(found.detail, ["error: disk on fire"]);
}

#[test]
fn host_and_network_are_told_apart_from_requirements() {
    for (said, message) in [
        (
            "Failed to fetch: `x`",
            "the package index cannot be reached",
        ),
        (
            "No interpreter found for Python 3.11 in search path",
            "uv finds no Python on this host; the locks are for Python 3.11",
        ),
    ] {
        let fake = Fake::new().rules(&format!("fail '{said}'\n"));
        assert_eq!(failure(&fake, &lists()).message, message);
    }
}

#[test]
fn a_missing_uv_is_told() {
    let fake = Fake::new();
    std::fs::remove_file(fake.folder.path().join("uv")).unwrap();
    let found = failure(&fake, &lists());
    assert!(
        found.message.starts_with("uv could not run "),
        "{}",
        found.message
    );
}

#[test]
fn every_error_has_its_words() {
    let words = |error: LockError| {
        let failure = error.into_failure(Exit::Findings);
        (failure.message, failure.hint.unwrap_or_default())
    };
    let (message, hint) = words(LockError::TimedOut { seconds: 600 });
    assert_eq!(message, "uv did not finish within 600 s");
    assert_eq!(
        hint,
        "try again: what was fetched is kept; the locks are as they were"
    );
    let (message, _) = words(LockError::Io {
        path: "/scratch".into(),
        error: std::io::Error::other("disk full"),
    });
    assert_eq!(message, "cannot use /scratch: disk full");
    let (message, hint) = words(LockError::Interrupted);
    assert_eq!(
        (message.as_str(), hint.as_str()),
        ("interrupted", "the locks are as they were")
    );
}
