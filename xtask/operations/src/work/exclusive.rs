//! One changing run per system and user at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
    time::{Duration, Instant},
};

use diagnostics::{Exit, Failure};
use process::Cancel;

use crate::{folders, podman::run::MARKER};

/// How long calls of a killed run are waited for.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(60);

/// Held until dropped; the kernel drops it when the process dies.
#[derive(Debug)]
pub struct Exclusive(File);

/// Takes the lock of a system, waiting up to `timeout_ms` for another run to
/// end; `say` is told once who holds it.
pub fn take(
    system: &str,
    command: &str,
    timeout_ms: u64,
    cancel: &Cancel,
    say: &dyn Fn(&str),
) -> Result<Exclusive, Failure> {
    let path = folders::cache()?.join(format!("{system}.lock"));
    take_file(&path, system, command, timeout_ms, cancel, say)
}

fn take_file(
    path: &Path,
    system: &str,
    command: &str,
    timeout_ms: u64,
    cancel: &Cancel,
    say: &dyn Fn(&str),
) -> Result<Exclusive, Failure> {
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
        .open(path)
        .map_err(failed)?;
    let deadline = Instant::now() + Duration::from_millis(timeout_ms);
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
                format!("another run is changing `{system}`: {holder}"),
            )
            .hint("wait for it to end, or give --lock-timeout a longer time"));
        }
        if !told {
            say(&format!("waiting for another run to end: {holder}"));
            told = true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    wait_for_orphans(&mut file, system, cancel, say);
    // Who holds it is a courtesy to the one who waits.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{command} (process {})", std::process::id()));
    Ok(Exclusive(file))
}

/// If the last holder was killed, its podman calls go on without it, and what they
/// do must not come between a look and a change of this run.
fn wait_for_orphans(file: &mut File, system: &str, cancel: &Cancel, say: &dyn Fn(&str)) {
    let mut left = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut left));
    if !left.trim().is_empty() {
        if !orphans(system).is_empty() {
            say("waiting for the podman calls of a run that was killed");
        }
        let all_ended = || orphans(system).is_empty() || cancel.requested();
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

/// podman processes that a run on this system has started and that outlived it.
fn orphans(system: &str) -> Vec<u32> {
    let marker = format!("{MARKER}={system}");
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
                .any(|entry| entry == marker.as_bytes())
        })
        .collect()
}

#[cfg(test)]
mod tests;
