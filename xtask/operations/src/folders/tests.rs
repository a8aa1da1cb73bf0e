//! Where folders are, and which are refused.

use std::os::unix::fs::{chown, symlink};

use super::*;

struct Host {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, PathBuf)>,
    home: Option<PathBuf>,
    uid: u32,
}

impl Host {
    fn new() -> Self {
        Host {
            folder: tempfile::tempdir().expect("a temporary folder"),
            variables: Vec::new(),
            home: None,
            uid: rustix::process::getuid().as_raw(),
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn set(mut self, name: &'static str, below: &str) -> Self {
        let path = match below {
            "" => PathBuf::new(),
            below => self.path(below),
        };
        self.variables.push((name, path));
        self
    }

    fn home(mut self, below: &str) -> Self {
        let home = self.path(below);
        fs::create_dir_all(&home).expect("a folder");
        self.home = Some(home);
        self
    }

    fn uid(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    fn ask(&self, kind: &Kind) -> Result<PathBuf, Failure> {
        self.with(|user| user.folder(kind))
    }

    fn with<T>(&self, ask: impl Fn(User<'_>) -> T) -> T {
        let variable = |name: &str| {
            let mut known = self.variables.iter();
            let found = known.find(|(known, _)| *known == name)?;
            Some(found.1.clone().into_os_string())
        };
        let user = User {
            uid: self.uid,
            variable: &variable,
            home: &|_| self.home.clone(),
            root: self.folder.path(),
        };
        ask(user)
    }

    #[track_caller]
    fn builds_in(&self, below: &str) {
        let folder = self.with(|user| user.builds()).expect("a folder");
        assert_eq!(folder, self.path(below));
        self.with(|user| user.make_builds(&folder)).expect("ours");
        let mode = fs::metadata(&folder).expect("a folder").mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[track_caller]
    fn is_in(&self, kind: &Kind, below: &str) {
        let folder = self.ask(kind).expect("a folder");
        assert_eq!(folder, self.path(below).join(OWN));
        let mode = fs::metadata(&folder).expect("a folder").mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }

    #[track_caller]
    fn is_refused(&self, kind: &Kind, message: &str, hint: &str) {
        let failure = self.ask(kind).expect_err("it is refused");
        let here = self.folder.path().display().to_string();
        let shown = |text: &str| text.replace(&here, "HERE");
        assert_eq!(shown(&failure.message), message);
        assert_eq!(shown(failure.hint.as_deref().unwrap_or_default()), hint);
    }
}

/// Only root can give folders away.
fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

#[test]
fn the_environment_comes_first() {
    let named = || Host::new().home("known").set("HOME", "home");
    named().is_in(&CACHE, "home/.cache");
    named().is_in(&STATE, "home/.local/state");
    let named = || {
        named()
            .set("XDG_CACHE_HOME", "c")
            .set("XDG_STATE_HOME", "s")
    };
    named().is_in(&CACHE, "c");
    named().is_in(&STATE, "s");
}

#[test]
fn without_it_the_user_database_knows_the_home() {
    Host::new().home("known").is_in(&CACHE, "known/.cache");
    let empty = Host::new().home("known").set("HOME", "");
    empty.is_in(&STATE, "known/.local/state");
}

#[test]
fn root_needs_no_home() {
    if !is_root() {
        return;
    }
    Host::new().is_in(&CACHE, "var/cache");
    let mut gone = Host::new().home("gone");
    gone.home = Some(gone.path("nowhere"));
    gone.is_in(&STATE, "var/lib");
}

#[test]
fn others_are_told_what_to_set() {
    Host::new().uid(1234).is_refused(
        &CACHE,
        "user 1234 has no home, and so no folder for the tool's cache",
        "set HOME, or XDG_CACHE_HOME to a folder that only this user can write to",
    );
    let host = Host::new().uid(1234).set("HOME", "file/home");
    fs::write(host.path("file"), "").expect("a file");
    host.is_refused(
        &STATE,
        "cannot make `HERE/file/home/.local/state/ai-system-xtask` for what the tool keeps: Not a directory (os error 20)",
        "set HOME or XDG_STATE_HOME to a folder that user 1234 can write to",
    );
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    if !is_root() {
        return;
    }
    let host = Host::new().set("HOME", "home");
    let folder = host.path("home/.cache/ai-system-xtask");
    fs::create_dir_all(&folder).expect("a folder");
    chown(&folder, Some(65534), None).expect("root may");
    host.is_refused(
        &CACHE,
        "`HERE/home/.cache/ai-system-xtask` belongs to user 65534, and the tool's cache must belong to user 0, who runs this",
        "with sudo, `sudo -H` takes root's own home; else set XDG_CACHE_HOME to a folder that only user 0 can write to",
    );
}

#[test]
fn a_link_of_somebody_else_is_refused() {
    if !is_root() {
        return;
    }
    let host = Host::new().set("XDG_STATE_HOME", "state");
    for folder in ["state", "ours"] {
        fs::create_dir_all(host.path(folder)).expect("a folder");
    }
    let link = host.path("state/ai-system-xtask");
    symlink(host.path("ours"), &link).expect("a link");
    assert!(host.ask(&STATE).is_ok(), "our own link is our choice");
    std::os::unix::fs::lchown(&link, Some(65534), None).expect("root may");
    assert!(host.ask(&STATE).is_err());
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let host = Host::new().set("XDG_CACHE_HOME", "cache");
    let folder = host.path("cache/ai-system-xtask");
    fs::create_dir_all(&folder).expect("a folder");
    fs::set_permissions(&folder, Permissions::from_mode(0o757)).expect("ours");
    host.is_refused(
        &CACHE,
        "`HERE/cache/ai-system-xtask` holds the tool's cache, and other users can write to it",
        "`chmod go-w HERE/cache/ai-system-xtask` if nobody else has changed what is in it; else `rm -r HERE/cache/ai-system-xtask`",
    );
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("ours");
    assert!(host.ask(&CACHE).is_ok(), "others may look");
}

#[test]
fn a_folder_of_a_users_own_group_is_closed() {
    let host = Host::new().set("XDG_CACHE_HOME", "cache");
    let folder = host.path("cache/ai-system-xtask");
    fs::create_dir_all(&folder).expect("a folder");
    let meta = fs::metadata(&folder).expect("a folder");
    fs::set_permissions(&folder, Permissions::from_mode(0o775)).expect("ours");
    assert_eq!(host.ask(&CACHE).is_ok(), meta.gid() == meta.uid());
    let mode = fs::metadata(&folder).expect("a folder").mode() & 0o777;
    assert_eq!(mode == 0o755, meta.gid() == meta.uid());
}

#[test]
fn a_folder_that_others_can_replace_is_refused() {
    let host = Host::new().set("XDG_CACHE_HOME", "cache");
    let above = host.path("cache");
    fs::create_dir_all(&above).expect("a folder");
    fs::set_permissions(&above, Permissions::from_mode(0o777)).expect("ours");
    let uid = host.uid;
    host.is_refused(
        &CACHE,
        "every user can replace what is in `HERE/cache`, where the tool's cache would be",
        &format!("set XDG_CACHE_HOME to a folder that only user {uid} can write to"),
    );
    fs::set_permissions(&above, Permissions::from_mode(0o1777)).expect("ours");
    assert!(host.ask(&CACHE).is_ok(), "as in /tmp");
}

/// Whatever stands in `/var/tmp/buildah-cache` is run in builds.
#[test]
fn builds_have_a_folder_of_their_own() {
    let host = Host::new().set("HOME", "home").set("TMPDIR", "big");
    let uid = host.uid;
    host.builds_in(&format!("big/ai-system-xtask-{uid}"));
    let host = Host::new().set("HOME", "home").set("XDG_CACHE_HOME", "c");
    host.builds_in("c/ai-system-xtask/tmp");
    let host = Host::new().set("HOME", "home");
    match is_root() {
        true => host.builds_in("var/cache/ai-system-xtask/tmp"),
        false => host.builds_in("home/.cache/ai-system-xtask/tmp"),
    }
}

#[test]
fn builds_use_no_folder_of_somebody_else() {
    if !is_root() {
        return;
    }
    let host = Host::new().set("HOME", "home").set("TMPDIR", "big");
    let folder = host.path("big/ai-system-xtask-0");
    fs::create_dir_all(&folder).expect("a folder");
    chown(&folder, Some(65534), None).expect("root may");
    let refused = host
        .with(|user| user.make_builds(&folder))
        .expect_err("his");
    let says = "belongs to user 65534, and what image builds have downloaded must belong to user 0";
    assert!(refused.message.contains(says), "{}", refused.message);
}

#[test]
fn homes_are_found_among_users() {
    let users = "root:x:0:0:root:/root:/bin/sh\nann:x:10:100:,,,:/net/home/ann:/bin/sh\n";
    let home = |uid| home_in(users, uid);
    assert_eq!(home("10"), Some("/net/home/ann".into()));
    assert_eq!(home("100"), None);
    assert_eq!(home_in("x:x:1:1::relative:", "1"), None);
    assert_eq!(home_in("garbage\n\nx:x:1\n", "1"), None);
}
