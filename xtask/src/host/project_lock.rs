//! One changing run per system and user at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    failure::{Exit, Failure},
    podman::engine::cache_folder,
    process::Cancel,
};

/// Held until dropped; the kernel drops it when the process dies.
#[derive(Debug)]
pub struct ProjectLock(#[expect(dead_code, reason = "held, never read")] File);

/// Takes the lock of a system, waiting up to `timeout_ms` for another run to
/// end; `say` is told once who holds it.
pub fn take(
    system: &str,
    command: &str,
    timeout_ms: u64,
    cancel: &Cancel,
    say: &dyn Fn(&str),
) -> Result<ProjectLock, Failure> {
    let path = cache_folder().join(format!("{system}.lock"));
    take_file(&path, system, command, timeout_ms, cancel, say)
}

fn take_file(
    path: &Path,
    system: &str,
    command: &str,
    timeout_ms: u64,
    cancel: &Cancel,
    say: &dyn Fn(&str),
) -> Result<ProjectLock, Failure> {
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
    // Who holds it is a courtesy to the one who waits.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{command} (process {})", std::process::id()));
    Ok(ProjectLock(file))
}

#[cfg(test)]
mod tests;
