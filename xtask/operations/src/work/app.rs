//! What every command has at hand: the settings, the terminal, Ctrl-C, and with
//! them the manifest, the engine, the lock and a look at both.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use diagnostics::{Exit, Failure, located::problem::ProblemRow};
use model::{
    plan::{Plan, State, agents},
    system::{self, Group, Source, System},
};
use process::Cancel;
use serde::Serialize;

use super::{
    choose::running,
    exclusive::{self, Exclusive, Scope},
    failures::podman_failure,
    runs::{Keeper, Recorder},
    take_over,
};
use crate::{
    carry_out::{self, Report},
    folders, host,
    podman::{
        Engine, caps,
        engine::Options,
        observe::{self, Ask},
    },
    ui::{self, Ui, progress::Progress},
};

/// What the user has asked of every command.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The manifest; `None`: that of the folder or of the nearest one above it.
    pub manifest: Option<PathBuf>,
    /// The tree with the agents' code; `None`: the manifest's.
    pub monorepo: Option<PathBuf>,
    /// Print what would be run, and change nothing.
    pub dry_run: bool,
    /// A podman system connection instead of the local podman.
    pub connection: Option<String>,
    /// Echo every podman call.
    pub verbose: bool,
    /// podman calls that change something at the same time.
    pub jobs: Option<u16>,
    /// Ids of findings that stop nothing.
    pub ignore: BTreeSet<String>,
    /// How long to wait for another run on the same system.
    pub lock_timeout_ms: u64,
}

/// The `error` of any command: the manifest, or the rules of requirements, cannot
/// be used.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rejection {
    /// All that is wrong, in the order of the file.
    pub problems: Vec<ProblemRow>,
}

/// How long podman may take for an answer where nobody depends on it. A healthy
/// one needs a tenth of a second.
pub const PATIENCE_MS: u64 = 15_000;

/// What every command has at hand.
#[derive(Debug)]
pub struct App {
    pub settings: Settings,
    pub ui: Ui,
    pub cancel: Cancel,
    /// Evidence of what this run changes.
    pub run: Recorder,
}

impl App {
    /// The manifest, read and checked.
    pub fn system(&self) -> Result<System, Failure> {
        self.load(&|source| system::load(source))
    }

    /// A copy of the system that can stand beside it; `taken` shows the networks
    /// that there are.
    pub fn copy(&self, original: &System, taken: &State) -> Result<System, Failure> {
        let bound = |group: &&Group| !group.net.is_bridge();
        if let Some(group) = original.groups.iter().find(bound) {
            let message = format!("group `{}` has no network of its own to copy", group.name);
            return Err(Failure::new(Exit::Manifest, message)
                .hint("test the live system, without --isolated"));
        }
        // Held until all are chosen, so that none is chosen twice.
        let held = std::cell::RefCell::new(Vec::new());
        let free_port = || {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).ok()?;
            let port = listener.local_addr().ok()?.port();
            held.borrow_mut().push(listener);
            Some(port)
        };
        let copy = system::Copy {
            taken: host::taken_subnets(taken),
            free_port: &free_port,
        };
        self.load(&|source| system::load_copy(source, &copy))
    }

    /// Reads a manifest with `read`; its problems are shown.
    pub fn load(
        &self,
        read: &dyn Fn(&Source) -> Result<System, system::ManifestError>,
    ) -> Result<System, Failure> {
        let manifest = match &self.settings.manifest {
            Some(path) => path.clone(),
            None => std::env::current_dir()
                .ok()
                .and_then(|here| system::find_manifest(&here))
                .ok_or_else(|| {
                    Failure::new(
                        Exit::Manifest,
                        "no containers/system.toml in this folder or above it",
                    )
                    .hint("run inside the checkout, or give --manifest PATH")
                })?,
        };
        if self.settings.verbose {
            ui::echo(&format!("# read {}", manifest.display()));
        }
        let monorepo = self.settings.monorepo.clone();
        read(&Source { manifest, monorepo }).map_err(|error| {
            let text = error.render(self.ui.color);
            self.reject(error.problems(), &text, error.to_string())
        })
    }

    /// Shows the problems of a file, as values where these are wanted, too;
    /// `message` is that of the failure.
    pub fn reject(&self, problems: Vec<ProblemRow>, text: &str, message: String) -> Failure {
        if self.ui.json_wanted() {
            self.ui.json("error", &Rejection { problems });
        }
        self.ui.rendered(text);
        Failure::new(Exit::Manifest, message)
    }

    pub fn engine(&self, system: &System) -> Result<Engine, Failure> {
        Engine::open(&self.options(system), self.cancel.clone())
    }

    /// A podman that is not waited for longer than this for anything that only
    /// looks. With `refresh` it is asked anew instead of trusting the cache.
    pub fn engine_within(
        &self,
        system: &System,
        patience_ms: u64,
        refresh: bool,
    ) -> Result<Engine, Failure> {
        let options = Options {
            refresh,
            patience_ms: Some(patience_ms),
            ..self.options(system)
        };
        Engine::open(&options, self.cancel.clone())
    }

    fn options(&self, system: &System) -> Options {
        Options {
            connection: self.settings.connection.clone(),
            system: system.name.clone(),
            verbose: self.settings.verbose,
            ..Options::default()
        }
    }

    /// Bound on parallel podman calls that change something. More than eight
    /// do not help: podman serialises most of their work (podman issue 25886).
    pub fn slots(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        self.settings.jobs.map_or(cores.clamp(4, 8), usize::from)
    }

    /// Takes the lock on a part of the system; `None` for a dry run, which
    /// changes nothing.
    pub fn lock(
        &self,
        engine: &Engine,
        system: &System,
        scope: Scope,
        command: &str,
    ) -> Result<Option<Exclusive>, Failure> {
        if self.settings.dry_run {
            return Ok(None);
        }
        let folder = engine.lock_folder()?;
        let alone = self.exclusive(&folder, system, scope, command)?;
        if scope != Scope::Tests {
            self.run.asked(&system.name, command);
        }
        Ok(Some(alone))
    }

    /// Takes the lock on the files that images are made of, for a command that
    /// needs no podman: without one nobody builds.
    pub fn lock_sources(
        &self,
        system: &System,
        command: &str,
    ) -> Result<Option<Exclusive>, Failure> {
        if self.settings.dry_run {
            return Ok(None);
        }
        let folder = match self.engine_within(system, PATIENCE_MS, false) {
            Ok(engine) => engine.lock_folder()?,
            Err(failure) if failure.exit == Exit::Engine => folders::locks(None)?,
            Err(failure) => return Err(failure),
        };
        self.exclusive(&folder, system, Scope::Images, command)
            .map(Some)
    }

    fn exclusive(
        &self,
        folder: &Path,
        system: &System,
        scope: Scope,
        command: &str,
    ) -> Result<Exclusive, Failure> {
        let wanted = exclusive::Wanted {
            folder,
            system: &system.name,
            scope,
            command,
            timeout_ms: self.settings.lock_timeout_ms,
        };
        exclusive::take(wanted, &self.cancel, &|text| self.ui.note(text))
    }

    /// Carries a plan out with at most `slots` podman calls at a time, and shows
    /// how it goes.
    pub fn carry_out(&self, engine: &Engine, plan: &Plan, slots: usize) -> Report {
        let manifest = self.settings.manifest.as_deref();
        self.run.begin(self.ui, manifest, engine, plan);
        let keeper = Keeper {
            recorder: &self.run,
            ui: self.ui,
            progress: Progress::new(self.ui, plan),
        };
        carry_out::execute(engine, plan, slots, &keeper)
    }

    /// Engine and host as the planners want them, health of running agents
    /// included.
    pub fn state(&self, engine: &Engine, system: &System, ask: Ask) -> Result<State, Failure> {
        let mut state = self.look(engine, system, ask)?;
        if ask.containers {
            self.ask_health(system, &mut state);
        }
        Ok(state)
    }

    /// Engine and host, without asking any agent.
    pub fn look(&self, engine: &Engine, system: &System, ask: Ask) -> Result<State, Failure> {
        let mut state = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
        state.gpus = host::gpu::offered(&host::look::root());
        state.devices = host::devices(system);
        state.elsewhere = take_over::elsewhere(system, &state);
        state.volumes_deadlock = caps::VOLUMES_DEADLOCK.has(engine.facts.version);
        Ok(state)
    }

    /// Which running agents answer well, and which answer something else.
    fn ask_health(&self, system: &System, state: &mut State) {
        let running = running(system, state);
        let targets: Vec<health::Target> = running
            .iter()
            .map(|agent| carry_out::target(&agents::gate(agent)))
            .collect();
        // Without file descriptors for a runtime nobody counts as healthy, and
        // the gates that follow say why.
        let probes = health::probe_all(&targets, carry_out::BUDGET, || self.cancel.requested())
            .unwrap_or_default();
        for (agent, probe) in running.iter().zip(probes) {
            use health::ProbeOutcome::{Answering, Healthy, Unhealthy};
            match probe.outcome {
                Healthy => state.healthy.insert(agent.name.clone()),
                Unhealthy | Answering => state.unhealthy.insert(agent.name.clone()),
                _ => false,
            };
        }
    }
}

/// Folder for files that builds need.
pub fn scratch() -> Result<PathBuf, Failure> {
    folders::cache()
}
