//! Causes that an agent names itself: in the traceback or the last error of its
//! log, and in the reply to the health request.

use crate::doctor::{
    causes::cause::{Cause, Rule, deploy},
    checks::path_words,
    evidence::{AgentEvidence, Evidence, Imports},
    log::{Raised, quoted},
};

pub const RULES: &[Rule] = &[
    import_failed,
    permission_denied,
    read_only_path,
    disk_full,
    address_in_use,
    out_of_processes,
    out_of_gpu_memory,
    model_missing,
    file_missing,
];

/// What the agent says itself, and where.
struct Clue {
    text: String,
    evidence: String,
    /// The field of the reply.
    field: Option<String>,
}

/// The exception that ended it, or that it has not recovered from.
fn raised(agent: &AgentEvidence) -> Option<&Raised> {
    let raised = agent.log.seen()?.raised.as_ref()?;
    let looping = agent.details.seen().is_some_and(|seen| seen.restarts > 0);
    let counts = raised.last || agent.running() || looping;
    (counts && !agent.healthy()).then_some(raised)
}

fn clues(agent: &AgentEvidence) -> Vec<Clue> {
    let mut clues = Vec::new();
    if let Some(raised) = raised(agent) {
        let at = raised
            .at
            .as_ref()
            .map_or(String::new(), |at| format!(" ({at})"));
        clues.push(Clue {
            text: raised.line(),
            evidence: format!("log: {}{at}", raised.line()),
            field: None,
        });
    }
    let error = agent.log.seen().and_then(|log| log.error.clone());
    if let Some(error) = error.filter(|_| !agent.healthy()) {
        clues.push(Clue {
            evidence: format!("log: {error}"),
            text: error,
            field: None,
        });
    }
    let told = agent.exchange.complaints.iter();
    // A healthy agent may have a message that is none of trouble.
    let told = told.filter(|(field, _)| {
        !agent.healthy() || field.ends_with("problem") || field.ends_with("error")
    });
    clues.extend(told.map(|(field, text)| Clue {
        text: text.clone(),
        evidence: format!("health reply: {field}: {text}"),
        field: Some(field.clone()),
    }));
    clues
}

/// The first clue that has one of the words, in any case.
fn clue(agent: &AgentEvidence, words: &[&str]) -> Option<Clue> {
    clues(agent).into_iter().find(|clue| has(&clue.text, words))
}

fn has(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// The words with which it says that a peer does not answer.
pub fn lost_connection(agent: &AgentEvidence) -> Option<String> {
    const WORDS: &[&str] = &[
        "connection refused",
        "cannot reach",
        "can't reach",
        "unreachable",
        "not reachable",
        "no route to host",
        "name or service not known",
        "name resolution",
        "refused or lost",
        "no answer within",
        "connect timeout",
        "timed out",
    ];
    clue(agent, WORDS).map(|clue| clue.evidence)
}

/// The words with which it says that memory is short.
pub fn out_of_memory(agent: &AgentEvidence) -> Option<String> {
    let short = clue(agent, &["memoryerror", "cannot allocate memory"]);
    short.map(|clue| clue.evidence)
}

/// The words with which it says that it finds no GPU.
pub fn no_gpu(agent: &AgentEvidence) -> Option<String> {
    const WORDS: &[&str] = &[
        "no nvidia driver",
        "no cuda gpus are available",
        "no cuda-capable device",
        "cuda driver version is insufficient",
        "cuda unknown error",
    ];
    clue(agent, WORDS).map(|clue| clue.evidence)
}

fn import_failed(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let raised = raised(agent).filter(|raised| raised.importing())?;
    let at = raised.at.clone().unwrap_or_else(|| "in its log".into());
    let title = format!("it crashed at an import: {}", raised.line());
    let (why, next) = import_remedy(agent, raised);
    Some(Cause::new("import-failed", 97, title, at, next).and(why))
}

fn import_remedy(agent: &AgentEvidence, raised: &Raised) -> (Option<String>, String) {
    let (name, image) = (&agent.wanted.name, &agent.wanted.image);
    let rebuild = format!("cargo xtask up {name}");
    if !["ImportError", "ModuleNotFoundError"].contains(&raised.kind.as_str()) {
        return (None, format!("correct the file, then {rebuild}"));
    }
    if raised.message.contains("cannot open shared object file") {
        let library = raised.message.split(':').next().unwrap_or_default();
        let next = format!(
            "add the Debian package that has {library} to `system_packages` of the image, then {rebuild}"
        );
        return (Some(format!("its image lacks the library {library}")), next);
    }
    // `cannot import name 'x' from 'y' (…)`: y is the module.
    let module = match raised.message.split_once(" from ") {
        Some((_, from)) => quoted(from),
        None => quoted(&raised.message),
    };
    let look = format!("`cargo xtask scan {name}` shows what it imports");
    let (Some(module), Some(imports)) = (module, agent.imports.seen()) else {
        return (None, look);
    };
    if let Some(near) = lost(imports, module) {
        let hint = match near {
            [] => "restore or correct it".to_owned(),
            near => format!("did you mean `{}`? Correct it", near.join("` or `")),
        };
        let why = format!("`{module}` is a module of neither the monorepo nor any package");
        return (Some(why), format!("{hint}, then {rebuild}"));
    }
    let top = module.split('.').next().unwrap_or(module);
    match imports.known.get(top) {
        Some(package) if package.in_image => (
            Some(format!(
                "`{}` provides it, and `{image}` should have it",
                package.name
            )),
            format!("cargo xtask build-images {image}, then {}", deploy(agent)),
        ),
        Some(package) => (
            Some(format!(
                "`{}` provides it, but `{image}` does not have it",
                package.name
            )),
            format!(
                "add `{}` to your requirements, run `cargo xtask split-requirements`, then {rebuild}",
                package.name
            ),
        ),
        None => (
            Some(format!(
                "the scan does not see an import of `{module}`: the image may be older than the code"
            )),
            format!("{rebuild}; {look}"),
        ),
    }
}

fn lost<'i>(imports: &'i Imports, module: &str) -> Option<&'i [String]> {
    let found = imports.lost.iter().find(|(name, _)| {
        let name = name.trim_start_matches('.');
        name == module
            || module.starts_with(&format!("{name}."))
            || name.starts_with(&format!("{module}."))
    });
    found.map(|(_, near)| near.as_slice())
}

fn permission_denied(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let clue = clue(agent, &["permission denied", "permissionerror"])?;
    let path = quoted(&clue.text).filter(|path| path.starts_with('/'));
    let source = path.and_then(|path| source_of(agent, path));
    let next = match (source, path) {
        (Some(source), _) => format!(
            "make it readable for everybody on the host: chmod -R a+rX {source}; then {}",
            deploy(agent)
        ),
        (None, path) => format!(
            "mount a volume at {} (`mounts`), then {}",
            path.map_or("its folder", folder),
            deploy(agent)
        ),
    };
    let title = format!(
        "it is not allowed to use {}",
        path.unwrap_or("a file or folder")
    );
    Some(Cause::new(
        "permission-denied",
        96,
        title,
        clue.evidence,
        next,
    ))
}

fn read_only_path(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let clue = clue(agent, &["read-only file system", "readonly database"])?;
    let path = quoted(&clue.text).filter(|path| path.starts_with('/'));
    let place = path.map_or("its folder", folder);
    let mount = path.and_then(|path| below(agent.wanted.read_only.iter(), path));
    let next = match mount {
        Some(mount) => format!(
            "take `read_only` from the mount at {mount}, or write elsewhere; then {}",
            deploy(agent)
        ),
        None => format!(
            "mount a volume at {place} (`mounts = [{{ volume = \"…\", target = \"{place}\" }}]`) or set \
             `relax.writable_root`; then {}",
            deploy(agent)
        ),
    };
    let title = format!(
        "it writes to {}, which is read-only",
        path.unwrap_or("a path")
    );
    Some(Cause::new("read-only-path", 96, title, clue.evidence, next))
}

fn disk_full(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let said = clue(agent, &["no space left on device", "disk quota exceeded"]);
    let inside = agent.inside.seen();
    let full = inside.and_then(|inside| inside.free_mb.iter().find(|(_, free)| **free == 0));
    let evidence = match (said, full) {
        (Some(clue), _) => clue.evidence,
        (None, Some((place, _))) => format!("less than 1 MB is left at {place}"),
        (None, None) => return None,
    };
    let full = full.map(|(place, _)| format!("less than 1 MB is left at {place}"));
    let full = full.filter(|text| *text != evidence);
    let next = "`podman system df` shows what podman holds, `podman image prune` frees some";
    let title = "there is no space left where it writes";
    Some(Cause::new("disk-full", 97, title, evidence, next).and(full))
}

fn address_in_use(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let clue = clue(agent, &["address already in use", "errno 98"])?;
    let next = match agent.wanted.own_network {
        true => format!(
            "it binds one port twice: fix the code, or its ports in the manifest, then cargo xtask up {}",
            agent.wanted.name
        ),
        false => format!(
            "give it other ports in the manifest, then {}",
            deploy(agent)
        ),
    };
    let title = "a port that it binds is taken";
    Some(Cause::new("address-in-use", 96, title, clue.evidence, next))
}

fn out_of_processes(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let said = clue(
        agent,
        &["can't start new thread", "resource temporarily unavailable"],
    );
    let usage = agent.usage.seen();
    let full = usage.is_some_and(|usage| usage.pids_limit.is_some_and(|limit| usage.pids >= limit));
    let evidence = match said {
        Some(clue) => clue.evidence,
        None if full => "it has as many processes and threads as it may".to_owned(),
        None => return None,
    };
    let limit = agent.wanted.pids;
    let title =
        format!("it is not allowed to start more processes or threads: its limit is {limit}");
    let next = format!(
        "raise `pids` of {} in the manifest, then {}",
        agent.wanted.name,
        deploy(agent)
    );
    Some(Cause::new("out-of-processes", 95, title, evidence, next))
}

fn out_of_gpu_memory(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    let clue = clue(
        agent,
        &[
            "cuda out of memory",
            "cuda error: out of memory",
            "outofmemoryerror",
        ],
    )?;
    let next = format!(
        "end what else holds the GPU's memory (`nvidia-smi` shows it), or give {} a smaller model",
        agent.wanted.name
    );
    let title = "the GPU has too little memory left for it";
    Some(Cause::new(
        "out-of-gpu-memory",
        97,
        title,
        clue.evidence,
        next,
    ))
}

/// A field such as `model_problem` says it in any words; otherwise the words
/// have to.
fn model_missing(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    const MISSING: &[&str] = &[
        "not found",
        "missing",
        "no such file",
        "does not exist",
        "cannot be loaded",
        "can't load",
        "unable to load",
        "could not load",
        "no model",
        "is not a local folder",
    ];
    let names_it = |clue: &Clue| {
        let field = clue.field.as_deref().unwrap_or_default();
        let by_field = field.contains("model") && field.ends_with("problem");
        // A module or a frame of the stack may bear the word as well.
        let module = has(&clue.text, &["no module named", "has no attribute"]);
        by_field || (!module && has(&clue.text, &["model"]) && has(&clue.text, MISSING))
    };
    let clue = clues(agent).into_iter().find(names_it)?;
    let is_model = |name: &str| name.to_lowercase().contains("model");
    let inside = agent.inside.seen();
    let folders = inside.into_iter().flat_map(|inside| &inside.paths);
    let folders = folders
        .filter(|(name, _)| is_model(name))
        .map(|(name, found)| format!("{name}: {}", path_words(found)));
    let source = agent.sources.iter().find(|found| is_model(&found.target));
    let next = match source {
        Some(source) => format!(
            "put the model into {} ({} in the container), readable for everybody; then {} --recreate",
            source.path,
            source.target,
            deploy(agent)
        ),
        None => format!(
            "mount the folder that has the model, then {}",
            deploy(agent)
        ),
    };
    let title = "it has no model to work with";
    let folders: Vec<String> = folders.collect();
    Some(Cause::new("model-missing", 94, title, clue.evidence, next).and(folders))
}

fn file_missing(agent: &AgentEvidence, _: &Evidence) -> Option<Cause> {
    if agent.healthy() {
        return None;
    }
    let said = clue(agent, &["no such file or directory", "filenotfounderror"]);
    let gone = agent.sources.iter().find(|found| !found.exists);
    let (path, evidence) = match (&said, gone) {
        (Some(clue), _) => {
            let path = quoted(&clue.text).unwrap_or("a file").to_owned();
            (path, clue.evidence.clone())
        }
        (None, Some(gone)) => {
            let text = format!("{}, mounted from there, does not exist", gone.path);
            (gone.target.clone(), text)
        }
        (None, None) => return None,
    };
    let next = match source_of(agent, &path) {
        Some(source) => format!("put it below {source} on the host, then {}", deploy(agent)),
        None => format!(
            "add it to the image's code or to `mounts` of {}, then cargo xtask up {}",
            agent.wanted.name, agent.wanted.name
        ),
    };
    let title = format!("it does not find {path}");
    Some(Cause::new("file-missing", 93, title, evidence, next))
}

/// The folder of the host behind a path of the container.
fn source_of<'a>(agent: &'a AgentEvidence, path: &str) -> Option<&'a str> {
    let targets = agent.sources.iter().map(|found| &found.target);
    let target = below(targets, path)?;
    let found = agent.sources.iter().find(|found| found.target == target)?;
    Some(&found.path)
}

/// The mount that a path lies in.
fn below<'a>(mut mounts: impl Iterator<Item = &'a String>, path: &str) -> Option<&'a str> {
    let found = mounts.find(|mount| path == *mount || path.starts_with(&format!("{mount}/")));
    found.map(String::as_str)
}

fn folder(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => folder,
        _ => path,
    }
}
