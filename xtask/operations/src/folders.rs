//! The tool's own folders outside of the checkout: what can be made anew, and
//! what is kept of a system.
//!
//! What stands in them tells podman its options and builds their inputs, so that
//! nobody else may write there. A folder of somebody else is refused rather than
//! worked around: whoever made it first had a reason. There is none below
//! `/tmp`, where every user of the machine could be the first.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, Metadata, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use diagnostics::{Exit, Failure};
use process::{Cancel, Command};

/// Bits of the mode of a folder that everybody can write to, and where they
/// leave the others' files alone.
const EVERYBODY_WRITES: u32 = 0o002;
const STICKY: u32 = 0o1000;
/// Name of the tool's folder in that of its kind.
const OWN: &str = "ai-system-xtask";
/// A user database may be on another machine.
const DATABASE_DEADLINE_MS: u64 = 10_000;
/// Bits of a mode that let others write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Folder of this user for things that can be made anew.
///
/// # Errors
/// Where there is no place for it, or others can write to it.
pub fn cache() -> Result<PathBuf, Failure> {
    User::here().folder(&CACHE)
}

/// Folder of this user for what is kept of a system.
///
/// # Errors
/// Where there is no place for it, or others can write to it.
pub fn state(system: &str) -> Result<PathBuf, Failure> {
    let user = User::here();
    let folder = user.folder(&STATE)?.join(system);
    make(&folder).map_err(|error| user.cannot_make(&STATE, &folder, &error))?;
    user.trusted(&STATE, folder)
}

/// Folder for what image builds download and compile, which may be many
/// gigabytes. It is not made yet.
///
/// buildah takes a `buildah-cache` that stands in its `TMPDIR`, whoever made it,
/// and builds run what they find there.
///
/// # Errors
/// Where there is no place for it.
pub fn builds() -> Result<PathBuf, Failure> {
    User::here().builds()
}

/// Makes the folder that `builds` has named.
///
/// # Errors
/// Where that is not possible, or others can write to it.
pub fn make_builds(folder: &Path) -> Result<(), Failure> {
    User::here().make_builds(folder)
}

/// Folder for the locks on what a podman has that keeps it below `storage_root`,
/// where that is on this machine.
///
/// Whatever the environment says, runs that could change the same things find
/// the same folder: the storage itself, which is this user's, on a disk, and
/// nobody tidies it up. Without one it hangs on the user alone.
///
/// # Errors
/// Where there is no such folder either.
pub fn locks(storage_root: Option<&Path>) -> Result<PathBuf, Failure> {
    let user = User {
        variable: &|_| None,
        ..User::here()
    };
    let storage = storage_root.filter(|root| root.is_absolute());
    let made = storage.filter(|root| make(root).is_ok());
    match made.map(|root| user.trusted(&STATE, root.to_owned())) {
        Some(Ok(folder)) => Ok(folder),
        _ => user.folder(&STATE),
    }
}

/// What a folder is for, and where such folders are.
struct Kind {
    /// What is in it, in a few words.
    holds: &'static str,
    /// Variable of the environment that names the place.
    variable: &'static str,
    below_home: &'static str,
    /// Of root without a home.
    of_root: &'static str,
}

const CACHE: Kind = Kind {
    holds: "the tool's cache",
    variable: "XDG_CACHE_HOME",
    below_home: ".cache",
    of_root: "/var/cache",
};

const STATE: Kind = Kind {
    holds: "what the tool keeps",
    variable: "XDG_STATE_HOME",
    below_home: ".local/state",
    of_root: "/var/lib",
};

const BUILDS: Kind = Kind {
    holds: "what image builds have downloaded",
    variable: "TMPDIR",
    below_home: ".cache",
    of_root: "/var/cache",
};

/// Whose folders they are, and where this user's are to be found.
struct User<'a> {
    uid: u32,
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The home that the user database knows.
    home: &'a dyn Fn(u32) -> Option<PathBuf>,
    /// In front of root's places; tests have others.
    root: &'a Path,
}

impl User<'_> {
    fn here() -> Self {
        User {
            uid: rustix::process::getuid().as_raw(),
            variable: &|name| std::env::var_os(name),
            home: &home_of,
            root: Path::new("/"),
        }
    }

    fn folder(&self, kind: &Kind) -> Result<PathBuf, Failure> {
        let mut failed = None;
        for place in self.places(kind) {
            let folder = place.join(OWN);
            match make(&folder) {
                Ok(()) => return self.trusted(kind, folder),
                Err(error) => {
                    failed.get_or_insert_with(|| self.cannot_make(kind, &folder, &error));
                }
            }
        }
        Err(failed.unwrap_or_else(|| {
            let (uid, holds, variable) = (self.uid, kind.holds, kind.variable);
            let message = format!("user {uid} has no home, and so no folder for {holds}");
            Failure::new(Exit::Other, message).hint(format!(
                "set HOME, or {variable} to a folder that only this user can write to"
            ))
        }))
    }

    fn builds(&self) -> Result<PathBuf, Failure> {
        let set = |name: &str| self.path(name);
        if let Some(place) = set(BUILDS.variable) {
            return Ok(place.join(format!("{OWN}-{}", self.uid)));
        }
        // Where podman's storage is, rather than on the disk of root's home.
        if self.uid == 0 && set(CACHE.variable).is_none() {
            let place = self.root_place(&BUILDS);
            return Ok(place.join(OWN).join("tmp"));
        }
        Ok(self.folder(&CACHE)?.join("tmp"))
    }

    fn make_builds(&self, folder: &Path) -> Result<(), Failure> {
        make(folder).map_err(|error| self.cannot_make(&BUILDS, folder, &error))?;
        self.trusted(&BUILDS, folder.to_owned()).map(drop)
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        let path = (self.variable)(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    }

    fn root_place(&self, kind: &Kind) -> PathBuf {
        self.root.join(kind.of_root.trim_start_matches('/'))
    }

    /// Where the folder may be. What the environment names is not passed over.
    fn places(&self, kind: &Kind) -> Vec<PathBuf> {
        if let Some(place) = self.path(kind.variable) {
            return vec![place];
        }
        if let Some(home) = self.path("HOME") {
            return vec![home.join(kind.below_home)];
        }
        // Many services have a home that does not exist.
        let home = (self.home)(self.uid).filter(|home| home.is_dir());
        let home = home.map(|home| home.join(kind.below_home));
        let of_root = (self.uid == 0).then(|| self.root_place(kind));
        home.into_iter().chain(of_root).collect()
    }

    /// A folder that is this user's, and that nobody else can write to.
    fn trusted(&self, kind: &Kind, folder: PathBuf) -> Result<PathBuf, Failure> {
        let failed = |error| self.cannot_make(kind, &folder, &error);
        // Where a link leads is its owner's choice.
        let link = fs::symlink_metadata(&folder).map_err(failed)?;
        let found = fs::metadata(&folder).map_err(failed)?;
        if let Some(other) = [&link, &found].iter().find(|meta| meta.uid() != self.uid) {
            return Err(self.foreign(kind, &folder, other.uid()));
        }
        let open = found.mode() & WRITABLE_BY_OTHERS;
        if self.replaceable(&folder) {
            let above = folder.parent().unwrap_or(&folder).display();
            let message = format!(
                "every user can replace what is in `{above}`, where {} would be",
                kind.holds
            );
            let hint = format!(
                "set {} to a folder that only user {} can write to",
                kind.variable, self.uid
            );
            return Err(Failure::new(Exit::Other, message).hint(hint));
        }
        if open == 0 {
            return Ok(folder);
        }
        // With a usual umask of 002 earlier versions have made it for a group
        // that has this user as its only member.
        if open == 0o020 && found.gid() == self.uid && close(&folder, &found).is_ok() {
            return Ok(folder);
        }
        let (path, holds) = (folder.display(), kind.holds);
        let message = format!("`{path}` holds {holds}, and other users can write to it");
        let quoted = process::quote(&path.to_string());
        Err(Failure::new(Exit::Other, message).hint(format!(
            "`chmod go-w {quoted}` if nobody else has changed what is in it; else `rm -r {quoted}`"
        )))
    }

    /// Whether others may put a folder of theirs in its place: not in one like
    /// `/tmp`, where each may remove what is his own.
    fn replaceable(&self, folder: &Path) -> bool {
        let above = folder.parent().and_then(|above| fs::metadata(above).ok());
        above.is_some_and(|above| above.mode() & (EVERYBODY_WRITES | STICKY) == EVERYBODY_WRITES)
    }

    fn foreign(&self, kind: &Kind, folder: &Path, owner: u32) -> Failure {
        let (path, uid, variable) = (folder.display(), self.uid, kind.variable);
        let message = format!(
            "`{path}` belongs to user {owner}, and {} must belong to user {uid}, who runs this",
            kind.holds
        );
        let sudo = match uid {
            0 => "with sudo, `sudo -H` takes root's own home; else ",
            _ => "",
        };
        Failure::new(Exit::Other, message).hint(format!(
            "{sudo}set {variable} to a folder that only user {uid} can write to"
        ))
    }

    fn cannot_make(&self, kind: &Kind, folder: &Path, error: &io::Error) -> Failure {
        let (path, uid, variable) = (folder.display(), self.uid, kind.variable);
        let message = format!("cannot make `{path}` for {}: {error}", kind.holds);
        Failure::new(Exit::Other, message).hint(format!(
            "set HOME or {variable} to a folder that user {uid} can write to"
        ))
    }
}

/// Makes a folder and what is above it, closed to others.
fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn close(folder: &Path, found: &Metadata) -> io::Result<()> {
    let mode = found.mode() & 0o7777 & !WRITABLE_BY_OTHERS;
    fs::set_permissions(folder, Permissions::from_mode(mode))
}

/// What the user database says; not every user stands in `/etc/passwd`.
fn home_of(uid: u32) -> Option<PathBuf> {
    let uid = uid.to_string();
    let ask = Command::new("getent", &["passwd", &uid]).deadline_ms(DATABASE_DEADLINE_MS);
    let users = match ask.run(&Cancel::default(), None) {
        Ok(answer) => answer.stdout,
        Err(_) => fs::read_to_string("/etc/passwd").ok()?,
    };
    home_in(&users, &uid)
}

/// The home of a user in lines such as those of `/etc/passwd`.
fn home_in(users: &str, uid: &str) -> Option<PathBuf> {
    let mut users = users.lines().map(|line| line.split(':'));
    let home = users
        .find_map(|mut fields| (fields.nth(2)? == uid).then(|| fields.nth(2).map(PathBuf::from)))?;
    home.filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests;
