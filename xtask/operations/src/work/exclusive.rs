//! One changing run at a time: of a system's agents, of its images, of its tests.
//!
//! Each has a lock of its own, so that nobody waits for a build or for tests to
//! take an agent down. Whoever needs two takes that of the images first.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

use diagnostics::{Exit, Failure};
use process::Cancel;

use crate::podman::run::{CHANGE_MARKER, LONG_MARKER};

/// How long calls of a killed run are waited for.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);

/// What of a system a run changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Containers, networks and volumes.
    Agents,
    /// Images, and the files that they are made of.
    Images,
    /// Containers of tests.
    Tests,
}

impl Scope {
    /// Name of the lock's file. A system's name has no dots in it.
    fn file(self, system: &str) -> String {
        let what = match self {
            Scope::Agents => "agents",
            Scope::Images => "images",
            Scope::Tests => "tests",
        };
        format!("ai-system-xtask.{system}.{what}.lock")
    }

    /// What another run does that holds it, to a system of this name.
    fn taken(self, system: &str) -> String {
        match self {
            Scope::Agents => format!("another run is changing `{system}`"),
            Scope::Images => format!("another run is changing the images of `{system}`"),
            Scope::Tests => format!("another run is testing `{system}`"),
        }
    }

    /// Marks of those podman calls that must not come between a look and a
    /// change of such a run.
    fn markers(self) -> &'static [&'static str] {
        match self {
            Scope::Agents => &[CHANGE_MARKER],
            Scope::Images | Scope::Tests => &[CHANGE_MARKER, LONG_MARKER],
        }
    }
}

/// What is to be locked, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Folder of the locks.
    pub folder: &'a Path,
    pub system: &'a str,
    pub scope: Scope,
    /// Who takes it; shown to those who wait for it.
    pub command: &'a str,
    /// How long to wait for another run to end.
    pub timeout_ms: u64,
}

/// Held until dropped; the kernel drops it when the process dies.
#[derive(Debug)]
pub struct Exclusive(File);

/// Takes a lock, waiting for another run to end if need be; `say` is told once
/// who holds it.
pub fn take(wanted: Wanted<'_>, cancel: &Cancel, say: &dyn Fn(&str)) -> Result<Exclusive, Failure> {
    let path = wanted.folder.join(wanted.scope.file(wanted.system));
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Locked,
            format!("cannot open the lock {}: {error}", path.display()),
        )
    };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    let deadline = Instant::now() + Duration::from_millis(wanted.timeout_ms);
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        let mut holder = String::new();
        let _ = file
            .rewind()
            .and_then(|()| file.read_to_string(&mut holder));
        let holder = match holder.trim() {
            "" => "one that has just begun",
            holder => holder,
        };
        if cancel.requested() {
            return Err(Failure::interrupted("nothing was started"));
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(
                Exit::Locked,
                format!("{}: {holder}", wanted.scope.taken(wanted.system)),
            )
            .hint("wait for it to end, or give --lock-timeout a longer time"));
        }
        if !told {
            say(&format!("waiting for another run to end: {holder}"));
            told = true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    wait_for_orphans(&mut file, wanted, cancel, say);
    // Who holds it is a courtesy to the one who waits.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{} (process {})", wanted.command, std::process::id()));
    Ok(Exclusive(file))
}

/// If the last holder was killed, its podman calls go on without it, and what they
/// do must not come between a look and a change of this run.
fn wait_for_orphans(file: &mut File, wanted: Wanted<'_>, cancel: &Cancel, say: &dyn Fn(&str)) {
    let mut left = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut left));
    if !left.trim().is_empty() {
        if !orphans(wanted).is_empty() {
            say("waiting for the podman calls of a run that was killed");
        }
        let all_ended = || orphans(wanted).is_empty() || cancel.requested();
        let patience = Instant::now() + ORPHAN_PATIENCE;
        while !all_ended() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Exclusive {
    /// An empty file says that the holder ended in peace.
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
        // Closing would leave it to a program that was started a moment ago and
        // still has this run's files.
        let _ = self.0.unlock();
    }
}

/// podman processes that a run has started, that outlived it and that change
/// what is wanted.
fn orphans(wanted: Wanted<'_>) -> Vec<u32> {
    let markers = wanted.scope.markers().iter();
    let entries: Vec<String> = markers
        .map(|marker| format!("{marker}={}", wanted.system))
        .collect();
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    let podmans = processes.filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (name.trim() == "podman").then_some(pid)
    });
    podmans
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|entry| entries.iter().any(|known| known.as_bytes() == entry))
        })
        .collect()
}

#[cfg(test)]
mod tests;
