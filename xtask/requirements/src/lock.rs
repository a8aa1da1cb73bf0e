//! From lists to locks: what is installed in which image, to the last hash.
//!
//! All lists are resolved together once; each is then locked under that, so
//! that an image which stands on another only adds to it. Versions move only
//! when an upgrade is asked for: what the locks have is what uv is told to
//! prefer. Everything is made in a folder of its own; `publish` moves it into
//! place when all of it is there, the joint lock last, since that one vouches
//! for the others.
//!
//! Asking the index is for the joint resolution alone. What follows is answered
//! from uv's cache, which is quicker and cannot differ.

mod check;
mod culprits;
mod error;
mod explain;
mod kind;
mod names;
mod problem;
mod request;
#[cfg(test)]
mod tests;
mod unmet;
mod workshop;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    thread,
    time::Duration,
};

pub use check::check;
pub use error::LockError;
pub use kind::UnmetKind;
pub use names::{BUILD_LIST, JOINT, SHARED, SOURCE, TEST_LIST, TEST_LOCK, lock_name, lock_names};
pub use problem::{LockProblem, Wrong};
use process::Cancel;
pub use request::{LockRequest, Upgrade};
use request::{Sources, inputs_digest};
pub use unmet::Unmet;
use workshop::{Call, LIMITS, LIMITS_OF_BUILD, Said, Workshop};

pub use super::lock_file::LockFile;
use super::{
    list::List,
    lock_file::{Header, Pin, digest},
    name::normalized,
    uv::{BUILD_LOCK, Uv},
};

/// Metadata of hundreds of packages over a slow line, some built from source.
const JOINT_DEADLINE: Duration = Duration::from_secs(600);
/// Mostly answered from the cache.
const LIST_DEADLINE: Duration = Duration::from_secs(300);

/// New locks, not yet in place.
#[derive(Debug, Clone, Default)]
pub struct Locked {
    /// Text by file name.
    pub files: BTreeMap<String, String>,
    /// Number of packages by file name.
    pub pins: BTreeMap<String, usize>,
    /// Packages that are published as source only, and the lists with them.
    pub source_only: BTreeMap<String, Vec<List>>,
    /// Packages whose version is another now: name, before, after.
    pub moved: Vec<(String, String, String)>,
    /// What uv remarks, such as a release that was withdrawn.
    pub remarks: Vec<String>,
}

/// Makes all locks. `scratch` is a folder for what is needed in between; uv's
/// own cache is kept below it.
///
/// # Errors
/// `LockError::Unmet` names what cannot be met, all of it if possible. Nothing
/// outside `scratch` is changed, whatever happens.
pub fn lock(
    request: &LockRequest,
    upgrade: &Upgrade,
    uv: &Uv,
    scratch: &Path,
    cancel: &Cancel,
) -> Result<Locked, LockError> {
    let sources = Sources::new(request);
    let workshop = Workshop::open(request, uv, scratch, cancel)?;
    let before = existing(request, upgrade)?;
    for lock in [BUILD_LOCK, TEST_LOCK] {
        workshop.write(lock, &preferences(before.get(lock), upgrade))?;
    }
    workshop.write_sources(&sources)?;
    let preferred = preferences(before.get(JOINT), upgrade);
    let (all, mut remarks) = joint(&workshop, &sources, &preferred)?;
    let (mut lists, source_names, mut build, mut test) = thread::scope(|scope| {
        let lists = List::ALL.map(|list| {
            let (workshop, sources) = (&workshop, &sources);
            (
                list,
                scope.spawn(move || list_pins(workshop, sources, list)),
            )
        });
        let source = scope.spawn(|| source_names(&workshop, &sources));
        let (workshop, sources) = (&workshop, &sources);
        let tools = move |call: Call| tool_pins(workshop, sources, upgrade, &call);
        let build = scope.spawn(move || tools(Call::build(sources)));
        let tested = !sources.test.is_empty();
        let test = tested.then(|| scope.spawn(move || tools(Call::test())));
        let mut found = BTreeMap::new();
        for (list, handle) in lists {
            found.insert(list, joined(handle)?);
        }
        let test = test.map(joined).transpose()?;
        Ok::<_, LockError>((found, joined(source)?, joined(build)?, test))
    })?;
    for (list, pins) in &mut lists {
        keep_hashes(pins, request, &lock_name(*list), upgrade, &mut remarks);
    }
    keep_hashes(&mut build, request, BUILD_LOCK, upgrade, &mut remarks);
    if let Some(test) = &mut test {
        keep_hashes(test, request, TEST_LOCK, upgrade, &mut remarks);
    }
    remarks.sort();
    remarks.dedup();
    let made = Parts {
        all,
        lists,
        source_names,
        build,
        test,
    };
    Ok(Locked {
        moved: moved(before.get(JOINT), &made.all),
        remarks,
        ..assemble(request, made)
    })
}

/// Puts new locks into `folder`, and says which of them are other than before.
///
/// # Errors
/// If a file cannot be written; then the joint lock is still the old one, and
/// `check` says which locks do not belong to it.
pub fn publish(folder: &Path, locked: &Locked) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    for name in lock_names() {
        let Some(text) = locked.files.get(&name) else {
            continue;
        };
        if differs(folder, &name, text) {
            put(folder, &name, text)?;
            changed.push(name);
        }
    }
    Ok(changed)
}

/// Whether the file of that name is missing or holds anything else.
pub fn differs(folder: &Path, name: &str, text: &str) -> bool {
    !fs::read(folder.join(name)).is_ok_and(|found| found == text.as_bytes())
}

/// Writes a list or a lock, whole or not at all.
///
/// # Errors
/// If it cannot be written; the file is as it was then.
pub fn put(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let part = folder.join(format!(".{name}.part-{}", std::process::id()));
    let moved = fs::write(&part, text).and_then(|()| fs::rename(&part, folder.join(name)));
    if moved.is_err() {
        let _ = fs::remove_file(&part);
    }
    moved
}

/// The locks that are in `folder`, by file name.
///
/// # Errors
/// If one is there but cannot be read as text.
pub fn read(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for name in lock_names() {
        match fs::read_to_string(folder.join(&name)) {
            Ok(text) => {
                found.insert(name, text);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("{name}: {error}");
                return Err(io::Error::new(error.kind(), message));
            }
        }
    }
    Ok(found)
}

fn joined<T>(handle: thread::ScopedJoinHandle<Result<T, LockError>>) -> Result<T, LockError> {
    match handle.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The locks there are, as far as they matter for the new ones.
fn existing(
    request: &LockRequest,
    upgrade: &Upgrade,
) -> Result<BTreeMap<&'static str, LockFile>, LockError> {
    let mut found = BTreeMap::new();
    for name in [JOINT, BUILD_LOCK, TEST_LOCK] {
        let Some(text) = request.existing.get(name) else {
            continue;
        };
        match LockFile::parse(text) {
            Ok(lock) => {
                found.insert(name, lock);
            }
            Err(_) if *upgrade == Upgrade::All => {}
            Err(wrong) => {
                return Err(LockError::Malformed {
                    file: name.into(),
                    wrong,
                });
            }
        }
    }
    Ok(found)
}

/// What uv is told to prefer.
fn preferences(lock: Option<&LockFile>, upgrade: &Upgrade) -> String {
    let pins = lock.iter().flat_map(|lock| &lock.pins);
    let pins = pins.filter(|pin| upgrade.keeps(&pin.name));
    pins.map(|pin| format!("{}{}\n", pin.name, pin.release))
        .collect()
}

/// Versions of everything. If the lock there is can stay, uv's cache is enough
/// to see that; whatever is new is looked for in the index.
fn joint(
    workshop: &Workshop,
    sources: &Sources,
    preferred: &str,
) -> Result<(LockFile, Vec<String>), LockError> {
    let call = Call::joint(sources);
    workshop.write(JOINT, preferred)?;
    if !preferred.is_empty() {
        match workshop.run(&call.clone().offline(), JOINT_DEADLINE) {
            Ok(made) => {
                let stays = made
                    .text
                    .lines()
                    .all(|line| preferred.lines().any(|old| old == line));
                if stays {
                    return Ok((workshop.parse(&made.text, JOINT)?, made.remarks));
                }
                workshop.write(JOINT, preferred)?;
            }
            Err(Said::No(_)) => {}
            Err(Said::Error(error)) => return Err(error),
        }
    }
    match workshop.run(&call, JOINT_DEADLINE) {
        Ok(made) => Ok((workshop.parse(&made.text, JOINT)?, made.remarks)),
        Err(said) => Err(culprits::explain(workshop, sources, said)),
    }
}

/// A release that stays keeps the files that are known of it: ones that were
/// added to the index later would change the lock without need, and ones that
/// were exchanged are not trusted. A lock that was edited is not kept to.
fn keep_hashes(
    pins: &mut [Pin],
    request: &LockRequest,
    name: &str,
    upgrade: &Upgrade,
    remarks: &mut Vec<String>,
) {
    let before = request
        .existing
        .get(name)
        .and_then(|text| LockFile::parse(text).ok());
    let Some(before) = before.filter(LockFile::is_as_made) else {
        return;
    };
    for pin in pins.iter_mut().filter(|pin| upgrade.keeps(&pin.name)) {
        let old = before
            .pin(&pin.name)
            .filter(|old| old.release == pin.release);
        let Some(old) = old.filter(|old| !old.hashes.is_empty()) else {
            continue;
        };
        if old.hashes.is_disjoint(&pin.hashes) {
            let release = format!("{}{}", pin.name, pin.release);
            remarks.push(format!(
                "the index has other files of {release} than {name}; the lock has the new ones now"
            ));
        } else {
            pin.hashes.clone_from(&old.hashes);
        }
    }
}

fn list_pins(workshop: &Workshop, sources: &Sources, list: List) -> Result<Vec<Pin>, LockError> {
    let name = lock_name(list);
    let made = workshop
        .run_from_cache(&Call::list(list, sources), LIST_DEADLINE)
        .map_err(|said| said.into_error(&format!("make {name}")))?;
    let lock = workshop.parse(&made.text, &name)?;
    Ok(annotated(lock.pins, sources))
}

/// The joint lock limits everything, which says nothing; a limit of the user's
/// is told by the file that it stands in.
fn annotated(mut pins: Vec<Pin>, sources: &Sources) -> Vec<Pin> {
    let own = [LIMITS, LIMITS_OF_BUILD].map(|file| format!("-c {file}"));
    for pin in &mut pins {
        let limited = own.iter().any(|own| pin.via.contains(own));
        pin.via.retain(|who| !who.starts_with("-c "));
        if limited {
            let limits = sources.limits.iter().chain(&sources.build_limits);
            let files = limits.filter(|limit| normalized(&limit.name) == pin.name);
            pin.via
                .extend(files.map(|limit| format!("-c {}", limit.shown_file())));
        }
    }
    pins
}

/// Names of the packages that have no file which can be installed as it is.
fn source_names(workshop: &Workshop, sources: &Sources) -> Result<BTreeSet<String>, LockError> {
    let what = "list the files of all packages";
    let made = workshop
        .run_from_cache(&Call::files(sources), LIST_DEADLINE)
        .map_err(|said| said.into_error(what))?;
    explain::source_only(&made.text).map_err(|message| LockError::Uv {
        what: what.into(),
        said: vec![message],
    })
}

/// What is locked apart from the lists: tools of builds and of tests.
fn tool_pins(
    workshop: &Workshop,
    sources: &Sources,
    upgrade: &Upgrade,
    call: &Call,
) -> Result<Vec<Pin>, LockError> {
    // The cache does not know what is new.
    let made = match upgrade {
        Upgrade::None => workshop.run_from_cache(call, LIST_DEADLINE),
        Upgrade::All | Upgrade::Packages(_) => workshop.run(call, LIST_DEADLINE),
    };
    let made = made.map_err(|said| said.into_error(&format!("make {}", call.output)))?;
    let lock = workshop.parse(&made.text, call.output)?;
    Ok(annotated(lock.pins, sources))
}

/// What uv has found out.
struct Parts {
    all: LockFile,
    lists: BTreeMap<List, Vec<Pin>>,
    source_names: BTreeSet<String>,
    build: Vec<Pin>,
    test: Option<Vec<Pin>>,
}

fn assemble(request: &LockRequest, made: Parts) -> Locked {
    let Parts {
        all,
        lists,
        source_names,
        build,
        test,
    } = made;
    let shared = shared_pins(&lists);
    let source = source_pins(&lists, &source_names);
    let with = |name: &str, list: &List| lists[list].iter().any(|pin| pin.name == name);
    let source_only = source.iter().map(|pin| {
        let found = List::ALL.into_iter().filter(|list| with(&pin.name, list));
        (pin.name.clone(), found.collect())
    });
    let source_only = source_only.collect();
    let header = Header {
        python: Some(request.python.clone()),
        platform: Some(request.platform.clone()),
        ..Header::default()
    };
    let mut parts: Vec<(String, Vec<Pin>)> = Vec::new();
    parts.extend(
        lists
            .into_iter()
            .map(|(list, pins)| (lock_name(list), pins)),
    );
    parts.push((SHARED.into(), shared));
    parts.push((SOURCE.into(), source));
    parts.push((BUILD_LOCK.into(), build));
    parts.extend(test.map(|test| (TEST_LOCK.to_owned(), test)));
    let mut pins: BTreeMap<String, usize> = BTreeMap::from([(JOINT.to_owned(), all.pins.len())]);
    let mut files = BTreeMap::new();
    let mut others = BTreeMap::new();
    for (name, own) in parts {
        pins.insert(name.clone(), own.len());
        let text = LockFile::new(header.clone(), own).render();
        others.insert(name.clone(), digest(&text));
        files.insert(name, text);
    }
    let header = Header {
        inputs: Some(inputs_digest(request)),
        others,
        ..header
    };
    let joint = LockFile::new(header, all.pins.clone());
    files.insert(JOINT.into(), joint.render());
    Locked {
        files,
        pins,
        source_only,
        moved: Vec::new(),
        remarks: Vec::new(),
    }
}

/// What both gpu and audio have and core does not.
fn shared_pins(lists: &BTreeMap<List, Vec<Pin>>) -> Vec<Pin> {
    let find = |list: List, name: &str| lists[&list].iter().find(|pin| pin.name == name);
    let gpu = lists[&List::Gpu].iter();
    let both = gpu.filter(|pin| find(List::Core, &pin.name).is_none());
    both.filter_map(|pin| {
        let other = find(List::Audio, &pin.name)?;
        let mut pin = pin.clone();
        pin.via.extend(other.via.iter().cloned());
        Some(pin)
    })
    .collect()
}

fn source_pins(lists: &BTreeMap<List, Vec<Pin>>, names: &BTreeSet<String>) -> Vec<Pin> {
    let mut found: BTreeMap<&str, Pin> = BTreeMap::new();
    for pin in lists.values().flatten() {
        if names.contains(&pin.name) {
            let known = found.entry(&pin.name).or_insert_with(|| pin.clone());
            known.via.extend(pin.via.iter().cloned());
            known.hashes.extend(pin.hashes.iter().cloned());
        }
    }
    found.into_values().collect()
}

fn moved(before: Option<&LockFile>, after: &LockFile) -> Vec<(String, String, String)> {
    let pairs = after.pins.iter().filter_map(|pin| {
        let old = before?.pin(&pin.name)?;
        let text = |pin: &Pin| {
            pin.release
                .to_string()
                .trim_start_matches("==")
                .trim()
                .to_owned()
        };
        (old.release != pin.release).then(|| (pin.name.clone(), text(old), text(pin)))
    });
    pairs.collect()
}
