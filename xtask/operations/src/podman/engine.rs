//! Finds podman once, learns what it is, and remembers it.
//!
//! Facts and probe results are cached per podman binary and settings, user,
//! connection, boot and resource limits, so that a deployment with nothing to do does not
//! pay for them. `check-toolchain` always asks anew.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use diagnostics::{Exit, Failure};
use model::plan::spec;
use process::Cancel;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    caps::{OLDEST, Version},
    quirks::{self, Proof, Quirks},
    run::{Call, How, Podman, PodmanError},
};
use crate::{folders, podman::facts::Facts};

/// podman on this host, ready to be called.
#[derive(Debug)]
pub struct Engine {
    pub podman: Podman,
    pub facts: Facts,
    pub quirks: Quirks,
    /// How the quirks were found; `None` until a container has been run.
    pub proof: Option<Proof>,
    cache_file: PathBuf,
}

/// How to reach podman.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Name of a podman system connection.
    pub connection: Option<String>,
    /// Name of the system that calls are made for.
    pub system: String,
    pub verbose: bool,
    /// Ask anew instead of trusting the cache.
    pub refresh: bool,
    /// Deadline of calls that only look, and of the probe container, if it is
    /// to be shorter than usual.
    pub patience_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Cached {
    facts: Facts,
    proof: Option<Proof>,
}

impl Engine {
    /// Finds podman and learns its facts, from the cache if possible.
    pub fn open(options: &Options, cancel: Cancel) -> Result<Self, Failure> {
        let program = which::which("podman").map_err(|_| missing())?;
        let global = options
            .connection
            .iter()
            .flat_map(|name| ["--connection".to_owned(), name.clone()])
            .collect();
        let mut podman = Podman::new(program, global, cancel, options.verbose);
        podman.system.clone_from(&options.system);
        podman.patience_ms = options.patience_ms;
        let folder = folders::cache()?;
        let cache_file = folder.join(format!("engine-{}.json", cache_key(&podman, options)));
        let cached = if options.refresh {
            None
        } else {
            read_cache(&cache_file)
        };
        let (facts, proof) = match cached {
            Some(cached) => (cached.facts, cached.proof),
            None => (ask(&podman).map_err(unusable)?, None),
        };
        if facts.version < OLDEST {
            return Err(Failure::new(
                Exit::Engine,
                format!(
                    "podman {} is older than {OLDEST}, the oldest this tool drives",
                    facts.version
                ),
            )
            .hint("install a newer podman (Debian 12, Ubuntu 24.04 and Fedora have one)"));
        }
        podman.remote = facts.remote;
        let mut engine = Engine {
            podman,
            facts,
            quirks: Quirks::default(),
            proof: None,
            cache_file,
        };
        engine.remember(proof);
        if !engine.facts.remote {
            // buildah keeps its cache mounts in one folder below /var/tmp for
            // all users; the first user owns it, and builds of the others fail
            // (buildah issue 4404) or, as root, trust what he has put there.
            engine.podman.build_folder = Some(folders::builds()?);
        }
        Ok(engine)
    }

    /// One whose podman is another program, and that asks nothing.
    #[cfg(test)]
    pub fn pretended(program: PathBuf) -> Self {
        let facts = serde_json::json!({
            "version": serde_json::to_value(OLDEST).expect("a value"),
            "rootless": false,
            "remote": false,
            "network_backend": "netavark",
            "cgroup_version": "v2",
            "cgroup_manager": "cgroupfs",
            "runtime": "crun",
            "storage_driver": "overlay",
            "storage_root": "/",
        });
        Engine {
            podman: Podman::new(program, Vec::new(), Cancel::default(), false),
            facts: serde_json::from_value(facts).expect("facts"),
            quirks: Quirks::default(),
            proof: None,
            cache_file: PathBuf::new(),
        }
    }

    /// Makes sure that a container has been run here, and keeps what it took.
    pub fn ready(&mut self) -> Result<(), Failure> {
        if self.proof.is_some() {
            return Ok(());
        }
        let folder = folders::cache()?;
        let proof = quirks::ensure_probe_image(&self.podman, &folder)
            .map_err(|error| vec![("the probe image".to_owned(), full_reason(&error))])
            .and_then(|()| quirks::prove(&self.podman, &self.facts.runtime, self.facts.remote));
        if self.podman.cancel.requested() {
            return Err(Failure::interrupted("nothing was started"));
        }
        let proof = proof.map_err(|rejected| {
            let lines = rejected.iter().map(|(set, why)| format!("{set}: {why}"));
            Failure::new(Exit::Engine, "podman cannot run a container on this host")
                .detail(lines)
                .hint("`cargo xtask check-toolchain` shows what to change")
        })?;
        self.remember(Some(proof));
        Ok(())
    }

    /// Makes sure that builds have a folder that nobody else can write to.
    pub fn ready_to_build(&mut self) -> Result<(), Failure> {
        let folder = self.podman.build_folder.as_deref();
        folder.map_or(Ok(()), folders::make_builds)?;
        self.ready()
    }

    /// Folder of the locks on what this podman has.
    pub fn lock_folder(&self) -> Result<PathBuf, Failure> {
        let here = (!self.facts.remote).then_some(&*self.facts.storage_root);
        folders::locks(here)
    }

    fn remember(&mut self, proof: Option<Proof>) {
        if let Some(proof) = &proof {
            self.quirks = proof.quirks.clone();
            self.podman
                .global
                .extend(proof.quirks.global.iter().cloned());
        }
        self.quirks.complete(&self.facts);
        self.proof = proof;
        // A look without a proof must not take away an earlier one.
        let proven = read_cache(&self.cache_file).is_some_and(|cached| cached.proof.is_some());
        if self.proof.is_none() && proven {
            return;
        }
        let cached = Cached {
            facts: self.facts.clone(),
            proof: self.proof.clone(),
        };
        // The cache only saves time; without it everything still works.
        if let Ok(text) = serde_json::to_string_pretty(&cached) {
            let _ = std::fs::write(&self.cache_file, text);
        }
    }
}

/// What was kept, unless podman would be given an option that this tool would
/// not find by itself.
fn read_cache(file: &Path) -> Option<Cached> {
    let cached: Cached = serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()?;
    let proof = cached.proof.as_ref();
    let known = proof.is_none_or(|proof| quirks::is_candidate(&proof.quirks, cached.facts.remote));
    known.then_some(cached)
}

fn cache_key(podman: &Podman, options: &Options) -> String {
    use rustix::process::{Resource, getrlimit};
    let stamp = |path: &Path| {
        std::fs::metadata(path)
            .map(|meta| format!("{}:{}:{}", path.display(), meta.size(), meta.mtime_nsec()))
            .unwrap_or_default()
    };
    let runtimes = ["crun", "runc"].map(|name| {
        which::which(name)
            .map(|path| stamp(&path))
            .unwrap_or_default()
    });
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let settings = settings().map(|path| stamp(&path));
    let settings = settings.collect::<Vec<_>>();
    let variables = VARIABLES.map(std::env::var_os);
    let limits = [Resource::Nofile, Resource::Nproc].map(|r| getrlimit(r).maximum);
    let key = format!(
        "{} {runtimes:?} {:?} {} {boot} {limits:?} {settings:?} {variables:?} {}",
        stamp(&podman.program),
        options.connection,
        rustix::process::getuid().as_raw(),
        env!("CARGO_PKG_VERSION"),
    );
    spec::hash_bytes(key.as_bytes())
}

/// Variables that tell podman where its things are and how to work.
const VARIABLES: [&str; 7] = [
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "HOME",
    "STORAGE_DRIVER",
    "STORAGE_OPTS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
];

/// podman's files of settings, whether they exist or not.
fn settings() -> impl Iterator<Item = PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let named = ["CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"].into_iter();
    let own = || {
        let home = || variable("HOME").map(|home| home.join(".config"));
        variable("XDG_CONFIG_HOME").or_else(home)
    };
    let own = own().map(|folder| folder.join("containers"));
    let folders = ["/usr/share/containers", "/etc/containers"].map(PathBuf::from);
    let files = folders.into_iter().chain(own).flat_map(|folder| {
        let files = ["containers.conf", "containers.conf.d", "storage.conf"];
        files.map(|name| folder.join(name))
    });
    named.filter_map(variable).chain(files)
}

fn ask(podman: &Podman) -> Result<Facts, PodmanError> {
    let call = Call::look("ask podman about itself", &["info", "--format", "json"]);
    let info: Value = podman.json(&call)?;
    let text = |path: &str| {
        info.pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let version = text("/version/Version");
    let version = Version::parse(&version).ok_or_else(|| PodmanError::Garbage {
        purpose: call.purpose.clone(),
        command: podman.shown(&call.args),
        problem: "no version in it".into(),
        answer: info.to_string().chars().take(200).collect(),
    })?;
    let words = |path: &str| -> Vec<String> {
        let list = info.pointer(path).and_then(Value::as_array);
        let words = list.into_iter().flatten().filter_map(Value::as_str);
        words.map(str::to_owned).collect()
    };
    let flag = |path: &str| info.pointer(path).and_then(Value::as_bool).unwrap_or(false);
    Ok(Facts {
        version,
        rootless: flag("/host/security/rootless"),
        remote: flag("/host/serviceIsRemote"),
        network_backend: text("/host/networkBackend"),
        cgroup_version: text("/host/cgroupVersion"),
        cgroup_manager: text("/host/cgroupManager"),
        runtime: text("/host/ociRuntime/name"),
        storage_driver: text("/store/graphDriverName"),
        storage_root: PathBuf::from(text("/store/graphRoot")),
        cgroup_controllers: words("/host/cgroupControllers"),
        name_server: Some(text("/host/networkBackendInfo/dns/path"))
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
    })
}

fn missing() -> Failure {
    Failure::new(Exit::Engine, "podman is not installed, or not on PATH")
        .hint("`cargo xtask up --install` installs it with the distribution's package manager")
}

fn unusable(error: PodmanError) -> Failure {
    match error {
        PodmanError::Interrupted => Failure::interrupted("nothing was started"),
        PodmanError::Failed {
            ref command,
            how: How::TimedOut { deadline_ms, .. },
            ..
        } => silent(command, deadline_ms),
        PodmanError::Failed {
            ref command,
            ref stderr,
            ..
        } => Failure::new(Exit::Engine, error.to_string())
            .detail([format!("$ {command}")])
            .detail(stderr.clone())
            .hint("run that command by hand; nothing works until it does"),
        PodmanError::Garbage {
            ref command,
            ref answer,
            ..
        } => Failure::new(Exit::Engine, error.to_string())
            .detail([format!("$ {command}"), format!("answer: {answer}")])
            .hint("is the `podman` on PATH really podman?"),
    }
}

/// podman has not answered in time.
pub fn silent(command: &str, deadline_ms: u64) -> Failure {
    let message = format!("podman did not answer within {} s", deadline_ms / 1000);
    Failure::new(Exit::Engine, message)
        .detail([format!("$ {command}")])
        .hint("another podman may hold its locks, as while it commits a large image: `ps -C podman,buildah` lists them; else run that command by hand")
}

fn full_reason(error: &PodmanError) -> String {
    format!("{error}: {}", error.reason())
}
