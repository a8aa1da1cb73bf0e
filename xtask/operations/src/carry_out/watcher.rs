//! Sees containers exit: one `podman ps` at a time for all gates, and only while
//! some agent has not answered.

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use model::plan::Gate;

use crate::podman::{Podman, observe};

/// Most agents answer before the watcher looks for the first time.
pub const FIRST_LOOK: Duration = Duration::from_millis(400);

pub const LOOK_EVERY: Duration = Duration::from_millis(600);

/// Looks at all watched containers with one `podman ps` at a time.
#[derive(Debug, Default)]
pub struct Watcher {
    watched: Mutex<BTreeMap<String, Entry>>,
    changed: Condvar,
    over: AtomicBool,
}

#[derive(Debug)]
pub struct Entry {
    since: Instant,
    restarts: bool,
    /// Consecutive looks that found it exited. A container that podman
    /// restarts is exited for a moment between two lives.
    exited: u32,
}

/// A container is watched as long as this lives.
pub struct Watched<'a> {
    watcher: &'a Watcher,
    container: String,
}

impl Watcher {
    /// Runs until `end` is called; meant for a thread of its own.
    pub fn run(&self, podman: &Podman) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.over.load(Ordering::SeqCst) {
            let due = watched
                .values()
                .any(|entry| entry.since.elapsed() >= FIRST_LOOK);
            if due {
                drop(watched);
                let seen = observe::containers(podman);
                watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
                // A failed look says nothing about any container.
                if let Ok(seen) = seen {
                    for (container, entry) in watched.iter_mut() {
                        let exited = seen.get(container).is_none_or(|found| !found.running());
                        entry.exited = if exited { entry.exited + 1 } else { 0 };
                    }
                }
            }
            let pause = if due { LOOK_EVERY } else { FIRST_LOOK / 4 };
            let slept = self.changed.wait_timeout(watched, pause);
            watched = slept.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    pub fn watch(&self, gate: &Gate) -> Watched<'_> {
        let entry = Entry {
            since: Instant::now(),
            restarts: gate.restarts,
            exited: 0,
        };
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.insert(gate.container.clone(), entry);
        Watched {
            watcher: self,
            container: gate.container.clone(),
        }
    }
}

impl Watched<'_> {
    pub fn exited(&self) -> bool {
        let watched = self
            .watcher
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watched
            .get(&self.container)
            .is_some_and(|entry| entry.exited > u32::from(entry.restarts))
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let mut watched = self
            .watcher
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watched.remove(&self.container);
    }
}
