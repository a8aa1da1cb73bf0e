//! What is in an image, asked of a container of it: do its packages import, do
//! the modules that agents need, and which packages provide which names.
//!
//! An answer holds for an image and a question, and is kept in the cache folder
//! under both, so that a change of code alone never starts a container. Only
//! good news are kept: a failure may have been the host's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use model::plan::{
    Action,
    spec::{SmokeSpec, hash_of},
};
use serde::{Deserialize, Serialize};

use super::{
    argv,
    engine::Engine,
    run::{Call, How, PodmanError},
};

/// Modules and the agents that import them at their start.
pub type Imports = BTreeMap<String, BTreeSet<String>>;
/// Importable top-level names and the distributions that provide them.
pub type Packages = BTreeMap<String, Vec<String>>;

const COLD_IMPORT: &str = include_str!("inside/cold_import.py");
const PACKAGES: &str = include_str!("inside/packages.py");
/// Longer than the script gives each of its sets.
const SET_DEADLINE_MS: u64 = 150_000;
const PACKAGES_DEADLINE_MS: u64 = 120_000;
const SMOKE_DEADLINE_MS: u64 = 15 * 60 * 1000;
/// What the smoke test puts before each failure.
const SMOKE: &str = "smoke test: ";
/// More failures than this have one cause.
const FAILURES_MAX: usize = 30;
/// Exit codes of podman's own: it could not run the program.
const NOT_RUN: [i32; 3] = [125, 126, 127];

/// An image that questions are about.
#[derive(Debug, Clone, Copy)]
pub struct AskedImage<'a> {
    /// `localhost/ai-system-gpu:latest`
    pub tag: &'a str,
    /// Changes whenever it is built anew.
    pub id: &'a str,
}

/// A module that agents need and that does not import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    pub module: String,
    /// In alphabetical order.
    pub agents: Vec<String>,
    pub error: String,
}

/// Imports what agents import at their start, in a container of the image: a
/// fresh process for each distinct set of modules. Returns what fails, by
/// module. Nothing is run if the same question had no failure before.
///
/// # Errors
/// podman could not run the container, or it answered nonsense.
pub fn cold_import(
    engine: &Engine,
    image: AskedImage<'_>,
    imports: &Imports,
    cache: &Path,
) -> Result<Vec<Broken>, PodmanError> {
    let sets = sets(imports);
    if is_known(image, imports, cache) {
        return Ok(Vec::new());
    }
    let batches = sets.len() as u64 / 2 + 1;
    let call = Call::long(
        format!("import what agents need in {}", image.tag),
        cold_import_args(engine, image, imports),
    )
    .deadline_ms(batches * SET_DEADLINE_MS);
    let answer: Answer = engine.podman.json(&call)?;
    let broken = broken(&sets, answer);
    if broken.is_empty() {
        keep(&good_news(image, imports, cache), b"{}");
    }
    Ok(broken)
}

/// Whether `cold_import` would answer without a container.
pub fn is_known(image: AskedImage<'_>, imports: &Imports, cache: &Path) -> bool {
    imports.is_empty() || good_news(image, imports, cache).exists()
}

/// The command line behind `cold_import`, for a dry run.
pub fn cold_import_args(engine: &Engine, image: AskedImage<'_>, imports: &Imports) -> Vec<String> {
    let mut program = ["python3", "-c", COLD_IMPORT].map(str::to_owned).to_vec();
    program.extend(sets(imports).into_keys());
    argv::run_inside(image.tag, &program, &engine.quirks)
}

/// Imports the packages that an image adds, in a container of it; `say` hears
/// what is imported. Returns what fails, one line for each module.
///
/// # Errors
/// podman could not run the container, or the test did not end.
pub fn smoke_test(
    engine: &Engine,
    test: &SmokeSpec,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Vec<String>, PodmanError> {
    let action = Action::SmokeTest(test.clone());
    let args = argv::render(&action, &engine.quirks).expect("a smoke test is one call");
    let call = Call::long(action.words().purpose, args).deadline_ms(SMOKE_DEADLINE_MS);
    let said = Mutex::new(Vec::new());
    let on_line = |line: &str| {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push(line.to_owned());
        say(line);
    };
    match engine.podman.run_with(&call, Some(&on_line)) {
        Ok(_) => Ok(Vec::new()),
        Err(PodmanError::Failed {
            how: How::Code(code),
            ..
        }) if !NOT_RUN.contains(&code) => {
            let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
            Ok(smoke_failures(code, &said))
        }
        Err(error) => Err(error),
    }
}

/// The failures among what a smoke test has said; the last import if it died.
fn smoke_failures(code: i32, said: &[String]) -> Vec<String> {
    let mut failures: Vec<String> = said
        .iter()
        .filter(|line| line.starts_with(SMOKE))
        .cloned()
        .collect();
    let more = failures.len().saturating_sub(FAILURES_MAX);
    failures.truncate(FAILURES_MAX);
    if more > 0 {
        failures.push(format!("{SMOKE}{more} more"));
    }
    if failures.is_empty() {
        let last = said.iter().rfind(|line| line.starts_with("import "));
        let last = last.map_or("before its first import", String::as_str);
        failures.push(format!("{SMOKE}it ended with exit code {code} at `{last}`"));
    }
    failures
}

/// Whether a container of this very image has imported these packages before.
pub fn is_sound(image: AskedImage<'_>, packages: &[String], cache: &Path) -> bool {
    sound(image, packages, cache).exists()
}

/// Remembers that it has.
pub fn keep_sound(image: AskedImage<'_>, packages: &[String], cache: &Path) {
    keep(&sound(image, packages, cache), b"{}");
}

/// A test that was changed is another question.
fn sound(image: AskedImage<'_>, packages: &[String], cache: &Path) -> PathBuf {
    let question = hash_of(&(image.id, packages, argv::SMOKE_TEST));
    cache.join(format!("sound-{question}.json"))
}

/// Asks a container of the image which distributions provide which names, and
/// keeps the answer under the hash of the image's inputs.
///
/// # Errors
/// As those of `cold_import`.
pub fn image_packages(
    engine: &Engine,
    tag: &str,
    inputs_hash: &str,
    cache: &Path,
) -> Result<Packages, PodmanError> {
    if let Some(known) = known_packages(inputs_hash, cache) {
        return Ok(known);
    }
    let program = ["python3", "-c", PACKAGES].map(str::to_owned);
    let args = argv::run_inside(tag, &program, &engine.quirks);
    let call =
        Call::long(format!("list the packages of {tag}"), args).deadline_ms(PACKAGES_DEADLINE_MS);
    let found: Packages = engine.podman.json(&call)?;
    let text = serde_json::to_vec(&found).expect("names are text");
    keep(&packages_file(inputs_hash, cache), &text);
    Ok(found)
}

/// What an image of these inputs was found to provide; no podman is asked.
/// `None` if it has not been built here, or the answer was lost.
pub fn known_packages(inputs_hash: &str, cache: &Path) -> Option<Packages> {
    let text = fs::read(packages_file(inputs_hash, cache)).ok()?;
    serde_json::from_slice(&text).ok()
}

fn packages_file(inputs_hash: &str, cache: &Path) -> PathBuf {
    cache.join(format!("packages-{inputs_hash}.json"))
}

fn good_news(image: AskedImage<'_>, imports: &Imports, cache: &Path) -> PathBuf {
    let sets: Vec<String> = sets(imports).into_keys().collect();
    let question = hash_of(&(image.id, sets, COLD_IMPORT));
    cache.join(format!("imports-{question}.json"))
}

/// The distinct sets of modules, comma-separated, and the agents that import
/// all of one.
fn sets(imports: &Imports) -> BTreeMap<String, BTreeSet<&str>> {
    let mut by_agent: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (module, agents) in imports {
        for agent in agents {
            by_agent.entry(agent).or_default().push(module);
        }
    }
    let mut sets: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (agent, modules) in by_agent {
        sets.entry(modules.join(",")).or_default().insert(agent);
    }
    sets
}

fn broken(sets: &BTreeMap<String, BTreeSet<&str>>, answer: Answer) -> Vec<Broken> {
    let agents: Vec<&BTreeSet<&str>> = sets.values().collect();
    let mut found: BTreeMap<String, (BTreeSet<&str>, String)> = BTreeMap::new();
    for failure in answer.failures {
        let hit = agents.get(failure.set).into_iter().copied().flatten();
        let (whom, _) = found
            .entry(failure.module)
            .or_insert_with(|| (BTreeSet::new(), failure.error));
        whom.extend(hit.copied());
    }
    let broken = |(module, (agents, error)): (String, (BTreeSet<&str>, String))| Broken {
        module,
        agents: agents.into_iter().map(str::to_owned).collect(),
        error,
    };
    found.into_iter().map(broken).collect()
}

/// Losing an answer costs asking again, so a failure here is none.
fn keep(file: &Path, text: &[u8]) {
    let partial = file.with_extension(format!("{}", std::process::id()));
    let write = || -> io::Result<()> {
        fs::create_dir_all(file.parent().unwrap_or(file))?;
        fs::write(&partial, text)?;
        fs::rename(&partial, file)
    };
    if write().is_err() {
        let _ = fs::remove_file(&partial);
    }
}

#[derive(Deserialize)]
struct Answer {
    failures: Vec<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    set: usize,
    module: String,
    error: String,
}

#[cfg(test)]
mod tests;
