//! Sees containers exit: one `podman ps` at a time for all gates, and only while
//! some agent has not answered.

use std::{
    collections::BTreeMap,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use model::plan::Gate;

use crate::podman::{Podman, observe};

/// Most agents answer before the watcher looks for the first time.
pub const FIRST_LOOK: Duration = Duration::from_millis(400);

pub const LOOK_EVERY: Duration = Duration::from_millis(600);

/// Looks at all watched containers with one `podman ps` at a time.
#[derive(Debug)]
pub struct Watcher {
    began: Instant,
    watched: Mutex<BTreeMap<String, Entry>>,
    changed: Condvar,
    over: AtomicBool,
    /// When agents passed their gates, by container, in seconds since 1970.
    passed: Mutex<BTreeMap<String, i64>>,
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

impl Default for Watcher {
    fn default() -> Self {
        Watcher {
            began: Instant::now(),
            watched: Mutex::default(),
            changed: Condvar::default(),
            over: AtomicBool::default(),
            passed: Mutex::default(),
        }
    }
}

impl Watcher {
    /// Time since the plan began to be carried out.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn note_passed(&self, container: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_s = now.map_or(0, |now| now.as_secs() as i64);
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.insert(container.to_owned(), now_s);
    }

    /// When the agent passed its gate in this run, in seconds since 1970.
    pub fn passed_at_s(&self, container: &str) -> Option<i64> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.get(container).copied()
    }

    /// Runs until `end` is called; meant for a thread of its own.
    pub fn run(&self, podman: &Podman) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.over.load(Ordering::SeqCst) {
            let due = watched
                .values()
                .any(|entry| entry.since.elapsed() >= FIRST_LOOK);
            if due {
                drop(watched);
                let began = Instant::now();
                let seen = observe::containers(podman);
                watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
                // A failed look says nothing about any container.
                if let Ok(seen) = seen {
                    // What is watched since then may have been started since.
                    let meant = |entry: &Entry| entry.since <= began;
                    for (container, entry) in watched.iter_mut().filter(|(_, e)| meant(e)) {
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
    /// Forgets what was seen so far.
    pub fn again(&self) {
        let mut watched = self
            .watcher
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = watched.get_mut(&self.container) {
            (entry.since, entry.exited) = (Instant::now(), 0);
        }
    }

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
