//! Follows agents by their names, whatever becomes of their containers.
//!
//! Log files are polled: that costs next to nothing, and no process per agent.
//! podman is asked only when there is a sign that a container has changed.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::mpsc,
    thread::Scope,
    time::{Duration, Instant, SystemTime},
};

use super::{
    change::{Change, change},
    source::stamped,
    tail::LogTail,
};
use crate::podman::{
    Podman, PodmanError,
    clock::{nanos, now_s, rfc3339},
    log_file::{LogRecord, LogStream},
    run::{Call, CallKind},
    seen::{self, Seen},
};

/// How often new lines are looked for.
const TICK: Duration = Duration::from_millis(100);
/// The shortest time between two looks at containers.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// A look without any sign of a change.
const LOOK_ANYWAY: Duration = Duration::from_secs(5);
/// A container that is gone or has ended may be back until then.
const SETTLED: Duration = Duration::from_millis(1500);
/// Lines of one agent that may wait to be told.
const WAITING_MAX: usize = 1000;
/// podman follows for as long as somebody reads.
const FOR_EVER_MS: u64 = 10 * 365 * 24 * 3600 * 1000;

/// An agent that is followed.
#[derive(Debug)]
pub struct Followed {
    pub agent: String,
    pub container: String,
    /// As it was told last.
    pub told: Option<Seen>,
    /// Its log, behind what has been told.
    pub tail: Option<LogTail>,
    /// Time of the last line that was told.
    pub last: i64,
}

/// What is told: of the agent at this position, at this time in nanoseconds.
#[derive(Debug)]
pub struct News {
    pub index: usize,
    pub at: i64,
    pub record: LogRecord,
}

struct Watch<'s> {
    followed: Followed,
    /// Logs of other containers that had its name: one may be put back.
    others: BTreeMap<String, LogTail>,
    /// Lines of a log that podman reads for us.
    lines: Option<mpsc::Receiver<LogRecord>>,
    /// Since when it is not as it was told.
    differs: Option<Instant>,
    scope: &'s dyn Spawn,
}

/// Starts readers of logs that are not files here.
trait Spawn {
    fn read(&self, id: &str, since: i64) -> mpsc::Receiver<LogRecord>;
}

struct Readers<'s, 'e> {
    scope: &'s Scope<'s, 'e>,
    podman: &'e Podman,
}

impl Spawn for Readers<'_, '_> {
    fn read(&self, id: &str, since: i64) -> mpsc::Receiver<LogRecord> {
        let (lines_in, lines) = mpsc::sync_channel(WAITING_MAX);
        let since_s = (since / 1_000_000_000).to_string();
        let args = ["logs", "--timestamps", "--follow", "--since", &since_s, id];
        let args = args.map(str::to_owned).to_vec();
        let podman = self.podman;
        self.scope.spawn(move || {
            let say = |line: &str| {
                // The last line was told already.
                let record = stamped(line, LogStream::Unknown);
                let new = |record: &LogRecord| nanos(&record.time).is_some_and(|at| at > since);
                if let Some(record) = record.filter(new) {
                    let _ = lines_in.send(record);
                }
            };
            // It ends with the container, and the next look tells what became of it.
            let call = Call::new(CallKind::Look, "follow a log", args).deadline_ms(FOR_EVER_MS);
            let _ = podman.forward(&call, &say);
        });
        lines
    }
}

/// Tells what comes, until Ctrl-C or until `tell` says that nobody listens, which it
/// is asked without news, too. `local`: log files can be read here.
///
/// # Errors
/// podman fails, and not only for a moment.
pub fn follow(
    podman: &Podman,
    local: bool,
    followed: Vec<Followed>,
    tell: &mut dyn FnMut(Option<News>) -> bool,
) -> Result<(), PodmanError> {
    std::thread::scope(|scope| {
        let readers = Readers { scope, podman };
        let mut watches: Vec<Watch<'_>> = followed
            .into_iter()
            .map(|followed| Watch::new(followed, &readers, local))
            .collect();
        let ended = turn(podman, local, &mut watches, tell);
        // Readers that still send are let go, and their podman is ended.
        watches.clear();
        podman.cancel.request();
        ended
    })
}

fn turn(
    podman: &Podman,
    local: bool,
    watches: &mut [Watch<'_>],
    tell: &mut dyn FnMut(Option<News>) -> bool,
) -> Result<(), PodmanError> {
    let mut looked = Instant::now();
    let mut made = containers_made(watches);
    let mut failures = 0;
    while !podman.cancel.requested() && tell(None) {
        let mut news = Vec::new();
        let since = looked.elapsed();
        let sign = watches.iter().any(Watch::shows_a_change) || made != containers_made(watches);
        if since >= LOOK_ANYWAY || since >= LOOK_PAUSE && (sign || !local) {
            made = containers_made(watches);
            let names: Vec<&str> = watches
                .iter()
                .map(|w| w.followed.container.as_str())
                .collect();
            match seen::look(podman, &names) {
                Ok(found) => {
                    failures = 0;
                    for (index, watch) in watches.iter_mut().enumerate() {
                        let now = found.get(&watch.followed.container);
                        news.extend(watch.update(podman, local, index, now));
                    }
                }
                Err(PodmanError::Interrupted) => break,
                Err(error) if failures >= 3 => return Err(error),
                Err(_) => failures += 1,
            }
            looked = Instant::now();
        }
        for (index, watch) in watches.iter_mut().enumerate() {
            watch.read(index, &mut news);
        }
        let more = news.len() >= WAITING_MAX;
        news.sort_by_key(|news| news.at);
        for news in news {
            let followed = &mut watches[news.index].followed;
            followed.last = followed.last.max(news.at);
            if !tell(Some(news)) {
                return Ok(());
            }
        }
        if !more {
            std::thread::sleep(TICK);
        }
    }
    Ok(())
}

/// When podman last made or removed a container, of any kind.
fn containers_made(watches: &[Watch<'_>]) -> Option<SystemTime> {
    let mut logs = watches
        .iter()
        .filter_map(|w| w.followed.told.as_ref()?.log.as_deref());
    // …/overlay-containers/ID/userdata/ctr.log
    let folder = logs.next()?.ancestors().nth(3)?;
    fs::metadata(folder).ok()?.modified().ok()
}

impl<'s> Watch<'s> {
    fn new(followed: Followed, scope: &'s dyn Spawn, local: bool) -> Self {
        let mut watch = Watch {
            followed,
            others: BTreeMap::new(),
            lines: None,
            differs: None,
            scope,
        };
        if let Some(told) = watch.followed.told.clone() {
            watch.attach(local, &told);
        }
        watch
    }

    /// Cheap signs that podman has news of this container.
    fn shows_a_change(&self) -> bool {
        let Some(told) = &self.followed.told else {
            return false;
        };
        let ended = told.running && !Path::new(&format!("/proc/{}", told.pid)).exists();
        let gone = told.log.as_ref().is_some_and(|log| !log.exists()) && told.started.is_some();
        ended || gone || self.differs.is_some()
    }

    fn update(
        &mut self,
        podman: &Podman,
        local: bool,
        index: usize,
        now: Option<&Seen>,
    ) -> Vec<News> {
        let mut news = Vec::new();
        let told = self.followed.told.clone();
        let fresh = self.differs.is_none_or(|since| since.elapsed() < SETTLED);
        let found = change(told.as_ref(), now, fresh);
        let same = told.as_ref().zip(now).is_some_and(|(told, now)| {
            (&told.id, told.running, told.pid) == (&now.id, now.running, now.pid)
        });
        if found.is_none() && !same && !(told.is_none() && now.is_none()) {
            // Created, or gone for a moment: it is looked at again soon.
            self.differs.get_or_insert_with(Instant::now);
            if told.is_none() && !fresh {
                self.followed.told = now.cloned();
                self.differs = None;
            }
            return news;
        }
        self.differs = None;
        if let Some(found) = found {
            // What the container before has still said comes first.
            self.read(index, &mut news);
            let found = match found {
                Change::Restarted(_) => Change::Restarted(exit_code(podman, told.as_ref())),
                other => other,
            };
            let at = happened(found, now);
            news.push(News {
                index,
                at,
                record: LogRecord {
                    time: rfc3339(at / 1_000_000_000),
                    stream: LogStream::Event,
                    text: found.words(&self.followed.agent),
                },
            });
        }
        let attached = self.followed.told.as_ref().map(|told| told.id.clone());
        let restarted = matches!(found, Some(Change::Started | Change::Restarted(_)));
        if let Some(now) = now
            && (attached.as_ref() != Some(&now.id) || restarted)
        {
            if let (Some(id), Some(tail)) = (attached, self.followed.tail.take()) {
                self.others.insert(id, tail);
            }
            self.attach(local, now);
        }
        self.followed.told = now.cloned();
        news
    }

    /// Reads the log of this container from now on.
    fn attach(&mut self, local: bool, now: &Seen) {
        match now.log.as_ref().filter(|_| local) {
            Some(path) => {
                if self.followed.tail.is_none() {
                    let known = self.others.remove(&now.id);
                    self.followed.tail = known.or_else(|| LogTail::open(path).ok());
                }
            }
            None => self.lines = Some(self.scope.read(&now.id, self.followed.last)),
        }
    }

    fn read(&mut self, index: usize, news: &mut Vec<News>) {
        if self.followed.tail.is_none() {
            // It is there from the first start on.
            let told = self.followed.told.as_ref().filter(|_| self.lines.is_none());
            let log = told.and_then(|told| told.log.as_deref());
            self.followed.tail = log.and_then(|log| LogTail::open(log).ok());
        }
        let mut push = |record: LogRecord| {
            let at = nanos(&record.time).unwrap_or_default();
            news.push(News { index, at, record });
        };
        if let Some(tail) = &mut self.followed.tail {
            // The rest comes with the next turn, so that nothing piles up.
            std::iter::from_fn(|| tail.next())
                .take(WAITING_MAX)
                .for_each(&mut push);
        }
        if let Some(lines) = &self.lines {
            lines.try_iter().take(WAITING_MAX).for_each(push);
        }
    }
}

/// How a container ended that runs again.
fn exit_code(podman: &Podman, told: Option<&Seen>) -> Option<i32> {
    let told = told?;
    seen::last_exit(podman, &told.id, told.started? / 1_000_000_000)
}

/// When it happened: before the first line of the container that is meant.
fn happened(found: Change, now: Option<&Seen>) -> i64 {
    /// The first line may be written before podman notes the start.
    const AHEAD: i64 = 50_000_000;
    let at = match found {
        Change::Restarted(_) | Change::Exited(_) => now.and_then(|now| now.finished),
        Change::Started | Change::Replaced => now.and_then(|now| now.started).map(|at| at - AHEAD),
        Change::Removed => None,
    };
    at.unwrap_or_else(|| now_s() * 1_000_000_000)
}
