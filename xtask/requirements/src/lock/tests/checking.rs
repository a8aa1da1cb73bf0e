//! Whether locks are current, and every message about it.

use super::{
    fake::{Fake, lists},
    *,
};

/// A request whose locks are current.
fn current() -> LockRequest {
    let mut request = lists();
    request.existing = Fake::new().lock(&request, &Upgrade::None).unwrap().files;
    assert_eq!(check(&request), []);
    request
}

fn told(request: &LockRequest) -> Vec<String> {
    check(request).iter().map(LockProblem::to_string).collect()
}

fn edit(request: &mut LockRequest, name: &str, from: &str, to: &str) {
    let text = request.existing.get_mut(name).unwrap();
    assert!(text.contains(from), "{text}");
    *text = text.replace(from, to);
}

const STALE: &str =
    "requirements.all.lock:1: lists, limits or build tools have changed since the locks were made";

#[test]
fn every_input_counts() {
    let changes: [fn(&mut LockRequest); 6] = [
        |request| request.python = "3.12".into(),
        |request| request.platform = "aarch64-manylinux_2_28".into(),
        |request| request.limits.clear(),
        |request| request.build_limits.push(limit("cython", "<3", "", 1)),
        |request| request.build.push_str("setuptools>1\n"),
        |request| {
            request
                .lists
                .get_mut(&List::Audio)
                .unwrap()
                .push_str("d>=4\n")
        },
    ];
    for change in changes {
        let mut request = current();
        change(&mut request);
        assert_eq!(told(&request), [STALE]);
    }
    let mut request = current();
    request.limits[0].reason = "other words".into();
    request.limits[0].at = Place::line("rules.toml", 99);
    assert_eq!(told(&request), [""; 0]);
}

#[test]
fn a_line_that_no_pin_meets_is_named() {
    let mut request = current();
    request.lists.insert(
        List::Gpu,
        "-r requirements.core.txt\nb>2,<9\nc==3\nnew[x]>=1\nm @ https://example.test/m.whl\n"
            .into(),
    );
    request.limits.push(limit("d", "<4", "", 8));
    request.build_limits.push(limit("setuptools", "<70", "", 9));
    request.build = "uv==0.14\nsetuptools\nwheel\n".into();
    assert_eq!(
        told(&request),
        [
            STALE,
            "requirements.build.txt:1: `uv==0.14` is not met: requirements.build.lock has 0.13.9",
            "requirements.gpu.txt:2: `b>2,<9` is not met: requirements.gpu.lock has 2",
            "requirements.gpu.txt:4: `new[x]>=1` is not in requirements.gpu.lock",
            "requirements.gpu.txt:5: `m @ https://example.test/m.whl` is not in requirements.gpu.lock",
            "rules.toml:8: the limit `d<4` is not kept: requirements.all.lock has 4",
            "rules.toml:9: the limit `setuptools<70` is not kept: requirements.build.lock has 80",
        ]
    );
}

#[test]
fn locks_that_were_touched_are_named() {
    let mut request = current();
    edit(
        &mut request,
        "requirements.core.lock",
        "a==1 \\",
        "a==1.5 \\",
    );
    edit(
        &mut request,
        "requirements.gpu.lock",
        " \\\n    --hash=sha256:cc",
        "",
    );
    edit(
        &mut request,
        "requirements.audio.lock",
        "d==4",
        "<<<<<<<\nd==4",
    );
    edit(
        &mut request,
        "requirements.source.lock",
        "    # via",
        "d==4\n    # via",
    );
    edit(&mut request, "requirements.shared.lock", "b==2", "e==2");
    request.existing.remove("requirements.build.lock");
    assert_eq!(
        told(&request),
        [
            "requirements.audio.lock:11: `<<<<<<<` is not a package with an exact version",
            "requirements.build.lock:1: the lock does not exist",
            "requirements.core.lock:1: the lock is not as it was made",
            "requirements.core.lock:5: `a==1.5` is `a==1` in requirements.all.lock",
            "requirements.gpu.lock:1: the lock is not as it was made",
            "requirements.gpu.lock:11: `c` has no hash",
            "requirements.shared.lock:1: the lock is not as it was made",
            "requirements.shared.lock:5: `e==2` is not in requirements.all.lock",
            "requirements.source.lock:1: the lock is not as it was made",
            "requirements.source.lock:7: `d` is in the lock twice",
            "requirements.source.lock:7: `d` has no hash",
        ]
    );
}

#[test]
fn locks_of_different_runs_are_told() {
    let mut request = current();
    let fake = Fake::new();
    fake.answer(
        "core.out",
        "a==1 \\\n    --hash=sha256:a7\n    # via -r requirements.core.txt\n",
    );
    let other = fake.lock(&lists(), &Upgrade::None).unwrap();
    let name = "requirements.core.lock";
    request
        .existing
        .insert(name.into(), other.files[name].clone());
    assert_eq!(
        told(&request),
        ["requirements.core.lock:1: the lock was not made together with requirements.all.lock"]
    );
}

#[test]
fn locks_of_another_making_are_told() {
    let mut request = current();
    request
        .existing
        .insert(JOINT.into(), "# by hand\na==1\nb==2\nc==3\nd==4\n".into());
    assert_eq!(
        told(&request),
        ["requirements.all.lock:1: the lock does not say what it was made from"]
    );
}

#[test]
fn every_problem_is_a_finding_with_a_remedy() {
    let mut request = current();
    request.existing.clear();
    let problems = check(&request);
    assert_eq!(problems.len(), 7);
    let finding = problems[0].finding();
    assert_eq!((finding.id, finding.line), ("lock-missing", 1));
    assert_eq!(finding.file, "requirements.all.lock");
    assert_eq!(
        finding.hint.as_deref(),
        Some("`cargo xtask split-requirements` makes it again and keeps the versions")
    );
    let ids = [
        Wrong::Malformed(String::new()),
        Wrong::Stale,
        Wrong::Edited,
        Wrong::NotTogether,
        Wrong::NoHash { name: "a".into() },
        Wrong::OverLimit {
            limit: String::new(),
            lock: String::new(),
            release: String::new(),
        },
    ];
    let ids = ids.each_ref().map(Wrong::id);
    assert_eq!(
        ids,
        [
            "lock-malformed",
            "lock-stale",
            "lock-edited",
            "locks-disagree",
            "lock-without-hash",
            "requirement-unlocked",
        ]
    );
}
