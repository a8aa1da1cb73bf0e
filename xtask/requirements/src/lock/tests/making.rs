//! Locks are made from the lists, by a uv that only pretends.

use std::fs;

use super::{
    fake::{Fake, lists},
    *,
};

fn names(text: &str) -> Vec<String> {
    let lock = LockFile::parse(text).unwrap();
    lock.pins
        .iter()
        .map(|pin| format!("{}{}", pin.name, pin.release))
        .collect()
}

#[test]
fn all_locks_are_made_and_agree() {
    let fake = Fake::new();
    let mut request = lists();
    let locked = fake.lock(&request, &Upgrade::None).unwrap();
    let made = |name: &str| names(&locked.files[name]);
    assert_eq!(made("requirements.core.lock"), ["a==1"]);
    assert_eq!(made("requirements.gpu.lock"), ["a==1", "b==2", "c==3"]);
    assert_eq!(made("requirements.shared.lock"), ["b==2"]);
    assert_eq!(made("requirements.source.lock"), ["d==4"]);
    assert_eq!(
        made("requirements.all.lock"),
        ["a==1", "b==2", "c==3", "d==4"]
    );
    assert_eq!(locked.pins["requirements.audio.lock"], 3);
    assert_eq!(locked.source_only["d"], [List::Audio]);
    assert!(fake.is_clean());
    assert_eq!(
        fake.calls(),
        [
            "audio.out offline",
            "core.out offline",
            "gpu.out offline",
            "pylock.toml offline",
            "requirements.all.lock",
            "requirements.build.lock offline",
        ]
    );
    request.existing = locked.files.clone();
    assert_eq!(check(&request), []);
}

#[test]
fn annotations_name_the_users_files_only() {
    let locked = Fake::new().lock(&lists(), &Upgrade::None).unwrap();
    let core = &locked.files["requirements.core.lock"];
    let end = "a==1 \\\n    --hash=sha256:aa\n    # via\n    #   -c rules.toml\n    #   -r requirements.core.txt\n";
    assert!(core.ends_with(end), "{core}");
    let shared = &locked.files["requirements.shared.lock"];
    assert!(
        shared.ends_with("    # via\n    #   -r requirements.gpu.txt\n    #   d\n"),
        "{shared}"
    );
    for text in locked.files.values() {
        assert!(
            !text.contains('/') && !text.contains("limits.txt"),
            "{text}"
        );
    }
    let mut elsewhere = lists();
    elsewhere.limits[0].at = Place::line("/home/someone/rules.toml", 1);
    let again = Fake::new().lock(&elsewhere, &Upgrade::None).unwrap();
    assert_eq!(again.files, locked.files);
}

#[test]
fn again_is_answered_from_the_cache_and_changes_nothing() {
    let fake = Fake::new();
    let folder = tempfile::tempdir().unwrap();
    let mut request = lists();
    let locked = fake.lock(&request, &Upgrade::None).unwrap();
    assert_eq!(publish(folder.path(), &locked).unwrap().len(), 7);
    request.existing = read(folder.path()).unwrap();
    fake.calls();
    // A comment is no reason for anything.
    request
        .lists
        .insert(List::Core, "\n# Other words.\na>=1  # why\n".into());
    assert_eq!(check(&request), []);
    let again = fake.lock(&request, &Upgrade::None).unwrap();
    assert!(fake.calls().iter().all(|call| call.ends_with(" offline")));
    assert_eq!(publish(folder.path(), &again).unwrap(), [""; 0]);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 7);
}

#[test]
fn the_index_is_asked_for_what_is_new() {
    let fake = Fake::new();
    let mut request = lists();
    request.existing = fake.lock(&request, &Upgrade::None).unwrap().files;
    fake.calls();
    fake.answer("requirements.all.lock", "a==1\nb==2\nc==3\nd==5\n");
    let locked = fake.lock(&request, &Upgrade::None).unwrap();
    let joint: Vec<String> = fake
        .calls()
        .into_iter()
        .filter(|call| call.contains("all.lock"))
        .collect();
    assert_eq!(
        joint,
        ["requirements.all.lock", "requirements.all.lock offline"]
    );
    assert_eq!(locked.moved, [("d".into(), "4".into(), "5".into())]);
    // An upgrade does not look into the cache first.
    fake.lock(&request, &Upgrade::All).unwrap();
    let calls = fake.calls();
    assert!(
        !calls.contains(&"requirements.all.lock offline".into()),
        "{calls:?}"
    );
    assert!(
        calls.contains(&"requirements.build.lock".into()),
        "{calls:?}"
    );
}

#[test]
fn what_may_move_is_not_preferred() {
    let lock = LockFile::parse("a==1\nb-c==2\nm @ https://example.test/m.whl\n").unwrap();
    let preferred = |upgrade: &Upgrade| preferences(Some(&lock), upgrade);
    assert_eq!(
        preferred(&Upgrade::None),
        "a==1\nb-c==2\nm @ https://example.test/m.whl\n"
    );
    assert_eq!(preferred(&Upgrade::All), "");
    let one = Upgrade::Packages(vec!["B_C".into(), "m".into()]);
    assert_eq!(preferred(&one), "a==1\n");
}

#[test]
fn a_release_that_stays_keeps_its_files() {
    let fake = Fake::new();
    let mut request = lists();
    request.existing = fake.lock(&request, &Upgrade::None).unwrap().files;
    fake.answer("core.out", "a==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:a2\n    # via -r requirements.core.txt\n");
    let core = |locked: &Locked| locked.files["requirements.core.lock"].clone();
    let again = fake.lock(&request, &Upgrade::None).unwrap();
    assert!(!core(&again).contains("sha256:a2"));
    let upgraded = fake
        .lock(&request, &Upgrade::Packages(vec!["A".into()]))
        .unwrap();
    assert!(core(&upgraded).contains("sha256:a2"));
    // One that was edited is not kept to.
    let edited = request.existing["requirements.core.lock"].replace("sha256:aa", "sha256:00");
    let mut tampered = request.clone();
    tampered
        .existing
        .insert("requirements.core.lock".into(), edited);
    assert!(core(&fake.lock(&tampered, &Upgrade::None).unwrap()).contains("sha256:aa"));
    fake.answer("core.out", "a==1 \\\n    --hash=sha256:a2\n");
    let other = fake.lock(&request, &Upgrade::None).unwrap();
    assert_eq!(
        other.remarks,
        [
            "the index has other files of a==1 than requirements.core.lock; the lock has the new ones now"
        ]
    );
}

#[test]
fn a_cold_cache_is_no_obstacle() {
    let fake = Fake::new().rules("[ -z \"$offline\" ] || fail 'the network was disabled'\n");
    let locked = fake.lock(&lists(), &Upgrade::None).unwrap();
    assert_eq!(locked.files.len(), 7);
    assert_eq!(fake.calls().len(), 11);
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let fake = Fake::new().rules("sleep 30\n");
    let cancel = fake.cancel.clone();
    let ended = std::thread::scope(|scope| {
        let run = scope.spawn(|| fake.lock(&lists(), &Upgrade::None));
        std::thread::sleep(Duration::from_millis(300));
        cancel.request();
        run.join().unwrap()
    });
    assert!(matches!(ended, Err(LockError::Interrupted)), "{ended:?}");
    assert!(fake.is_clean());
}

#[test]
fn what_killed_runs_left_is_removed() {
    let fake = Fake::new();
    fs::create_dir_all(fake.scratch().join("lock-4194999-0/trial")).unwrap();
    fs::create_dir(fake.scratch().join("lock-note")).unwrap();
    fake.lock(&lists(), &Upgrade::None).unwrap();
    let left: Vec<_> = fs::read_dir(fake.scratch())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["lock-note"]);
}

#[test]
fn a_damaged_lock_is_not_guessed_at() {
    let fake = Fake::new();
    let mut request = lists();
    request
        .existing
        .insert(JOINT.into(), "a==1\n<<<<<<< ours\n".into());
    let error = fake.lock(&request, &Upgrade::None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "requirements.all.lock:2: `<<<<<<< ours` is not a package with an exact version"
    );
    fake.lock(&request, &Upgrade::All).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_changes_no_file() {
    let fake = Fake::new();
    let locked = fake.lock(&lists(), &Upgrade::None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Something stands where the joint lock belongs: it goes last.
    fs::create_dir_all(folder.path().join("requirements.all.lock/x")).unwrap();
    assert!(publish(folder.path(), &locked).is_err());
    let parts = fs::read_dir(folder.path()).unwrap();
    let hidden = parts.filter(|part| {
        part.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with('.')
    });
    assert_eq!(hidden.count(), 0);
    assert!(
        read(folder.path())
            .unwrap_err()
            .to_string()
            .starts_with("requirements.all.lock: ")
    );
}
