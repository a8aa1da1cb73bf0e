//! The commands, one file each, and what they share: the loaded system, the
//! engine, the lock, and the choice of agents.

pub mod build_images;
pub mod check_gpu;
pub mod check_toolchain;
pub mod code;
pub mod completions;
pub mod create_networks;
pub mod deploy;
pub mod doctor;
pub mod doctor_report;
pub mod down;
pub mod explain;
pub mod health_check;
pub mod image_report;
pub mod import_check;
pub mod logs;
pub mod outcome;
pub mod scan;
pub mod split_report;
pub mod split_requirements;
pub mod status;
pub mod test;
pub mod test_integration;
pub mod test_report;
pub mod test_unit;
#[cfg(test)]
mod tests;
pub mod up;

use std::{collections::BTreeSet, path::PathBuf};

use crate::{
    cli::{Cli, Command, Global},
    host::{
        self,
        project_lock::{self, ProjectLock},
        recipes::Unreadable,
    },
    podman::{
        Engine, PodmanError, argv,
        engine::{Options, cache_folder},
        observe::{self, Ask},
    },
    ui::Ui,
};
use diagnostics::{Exit, Failure, names::nearest_or_all};
use model::{
    plan::{Plan, PlanError, State, agents, state},
    system::{self, Agent, Group, NetworkMode, Source, System},
};
use process::Cancel;

/// What every command has at hand.
pub struct App {
    pub global: Global,
    pub ui: Ui,
    pub cancel: Cancel,
}

/// Runs the command that was asked for.
pub fn run(cli: Cli, cancel: Cancel) -> Result<(), Failure> {
    let ui = Ui::new(cli.global.format, cli.global.color);
    let app = App {
        global: cli.global,
        ui,
        cancel,
    };
    match &cli.command {
        Command::Up(args) => up::run(&app, args),
        Command::CheckToolchain(args) => check_toolchain::run(&app, args),
        Command::CheckGpu(args) => check_gpu::run(&app, args),
        Command::Scan(args) => scan::run(&app, args),
        Command::SplitRequirements(args) => split_requirements::run(&app, args),
        Command::BuildImages(args) => build_images::run(&app, args),
        Command::CreateNetworks(args) => create_networks::run(&app, args),
        Command::Deploy(args) => deploy::run(&app, args),
        Command::HealthCheck(args) => health_check::run(&app, args),
        Command::Doctor(args) => doctor::run(&app, args),
        Command::Status(args) => status::run(&app, args),
        Command::Logs(args) => logs::run(&app, args),
        Command::Down(args) => down::run(&app, args),
        Command::TestUnit(args) => test_unit::run(&app, args),
        Command::TestIntegration(args) => test_integration::run(&app, args),
        Command::Test(args) => test::run(&app, args),
        Command::Explain(args) => explain::run(&app, args),
        Command::Completions(args) => completions::run(&app, args),
    }
}

impl App {
    /// The manifest, read and checked.
    pub fn system(&self) -> Result<System, Failure> {
        self.load(&|source| system::load(source))
    }

    /// As `system`, for the command that makes the locks: they may be missing.
    pub fn system_without_locks(&self) -> Result<System, Failure> {
        self.load(&|source| system::load_without_locks(source))
    }

    /// A copy of the system that can stand beside it; `taken` shows the networks
    /// that there are.
    pub fn copy(&self, original: &System, taken: &State) -> Result<System, Failure> {
        let bound = |group: &&Group| group.network_mode != NetworkMode::Bridge;
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

    fn load(
        &self,
        read: &dyn Fn(&Source) -> Result<System, system::ManifestError>,
    ) -> Result<System, Failure> {
        let manifest = match &self.global.manifest {
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
        let monorepo = self.global.monorepo.clone();
        read(&Source { manifest, monorepo }).map_err(|error| {
            if self.ui.json_wanted() {
                let problems = serde_json::json!({ "problems": error.problems() });
                self.ui.json("error", &problems);
            }
            self.ui.rendered(&error.render(self.ui.color));
            Failure::new(Exit::Manifest, error.to_string())
        })
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
            connection: self.global.connection.clone(),
            system: system.name.clone(),
            verbose: self.global.verbose,
            ..Options::default()
        }
    }

    /// Bound on parallel podman calls that change something. More than eight
    /// do not help: podman serialises most of their work (podman issue 25886).
    pub fn slots(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        self.global.jobs.map_or(cores.clamp(4, 8), usize::from)
    }

    /// Takes the system's lock; `None` for a dry run, which changes nothing.
    pub fn lock(&self, system: &System, command: &str) -> Result<Option<ProjectLock>, Failure> {
        if self.global.dry_run {
            return Ok(None);
        }
        let say = |text: &str| self.ui.note(text);
        project_lock::take(
            &system.name,
            command,
            self.global.lock_timeout,
            &self.cancel,
            &say,
        )
        .map(Some)
    }

    /// Takes the lock on containers of tests, of which one run at a time has any.
    pub fn lock_tests(&self, system: &System, command: &str) -> Result<ProjectLock, Failure> {
        let say = |text: &str| self.ui.note(text);
        let name = format!("{}-tests", system.name);
        let timeout_ms = self.global.lock_timeout;
        project_lock::take(&name, command, timeout_ms, &self.cancel, &say)
    }

    /// Engine and host as the planners want them, health of running agents
    /// included.
    pub fn state(&self, engine: &Engine, system: &System, ask: Ask) -> Result<State, Failure> {
        let mut state = self.look(engine, system, ask)?;
        if ask.containers {
            state.healthy = self.healthy(system, &state);
        }
        Ok(state)
    }

    /// Engine and host, without asking any agent.
    pub fn look(&self, engine: &Engine, system: &System, ask: Ask) -> Result<State, Failure> {
        let mut state = observe::observe(&engine.podman, ask).map_err(podman_failure)?;
        state.gpus = host::gpu::offered(&host::look::root());
        state.devices = host::devices(system);
        Ok(state)
    }

    fn healthy(&self, system: &System, state: &State) -> BTreeSet<String> {
        let running = running(system, state);
        let targets: Vec<health::Target> = running
            .iter()
            .map(|agent| crate::gate::target(&agents::gate(agent)))
            .collect();
        // Without file descriptors for a runtime nobody counts as healthy, and
        // the gates that follow say why.
        let probes = health::probe_all(&targets, crate::gate::BUDGET, || self.cancel.requested())
            .unwrap_or_default();
        running
            .iter()
            .zip(probes)
            .filter(|(_, probe)| probe.outcome == health::Outcome::Healthy)
            .map(|(agent, _)| agent.name.clone())
            .collect()
    }

    /// Prints what a plan would run; nothing is changed.
    pub fn print_plan(&self, command: &str, engine: &Engine, plan: &Plan) {
        for warning in &plan.warnings {
            self.ui.warn(warning);
        }
        if self.ui.json_wanted() {
            self.ui.json(command, plan);
            return;
        }
        if engine.proof.is_none() {
            self.ui.warn(
                "no container has been run on this host yet; \
                `cargo xtask check-toolchain` finds the options that podman needs here",
            );
        }
        if plan.is_empty() {
            self.ui.out("# nothing to do");
        }
        let mut subject = "";
        for step in &plan.steps {
            if step.subject != subject {
                subject = &step.subject;
                self.ui.out(format!("# {subject}: {}", step.cause));
            }
            let line = |args: &[String]| engine.podman.line(args);
            for line in argv::script(&step.action, &engine.quirks, line) {
                self.ui.out(line);
            }
        }
    }
}

/// The agents whose containers run.
pub fn running<'s>(system: &'s System, state: &State) -> Vec<&'s Agent> {
    let runs = |agent: &&Agent| {
        let found = state.containers.get(&agent.container);
        found.is_some_and(|found| found.running() && found.belongs_to(&system.name))
    };
    system.agents.iter().filter(runs).collect()
}

/// The agents that names of agents and groups stand for; without names, all
/// that are not optional. Dependencies are added unless `alone`.
pub fn select(system: &System, names: &[String], alone: bool) -> Result<BTreeSet<String>, Failure> {
    if names.is_empty() {
        let wanted = system.agents.iter().filter(|agent| !agent.optional);
        return Ok(wanted.map(|agent| agent.name.clone()).collect());
    }
    let mut chosen = BTreeSet::new();
    for name in names {
        if let Some(agent) = find_agent(system, name) {
            chosen.insert(agent.name.clone());
        } else if system.groups.iter().any(|group| group.name == *name) {
            let members = system.members(name).filter(|agent| !agent.optional);
            chosen.extend(members.map(|agent| agent.name.clone()));
        } else {
            let groups = system.groups.iter().map(|group| group.name.as_str());
            let known = system
                .agents
                .iter()
                .map(|agent| agent.name.as_str())
                .chain(groups);
            return Err(
                Failure::new(Exit::Usage, format!("unknown agent or group `{name}`"))
                    .hint(nearest_or_all(name, known)),
            );
        }
    }
    // Agents stand behind what they depend on, so one pass backwards is enough.
    if !alone {
        for agent in system.agents.iter().rev() {
            if chosen.contains(&agent.name) {
                chosen.extend(agent.depends_on.iter().cloned());
            }
        }
    }
    Ok(chosen)
}

/// By its name or by its container's.
pub fn find_agent<'a>(system: &'a System, name: &str) -> Option<&'a Agent> {
    system
        .agents
        .iter()
        .find(|agent| agent.name == name || agent.container == name)
}

/// Folder for files that builds need.
pub fn scratch() -> PathBuf {
    cache_folder()
}

pub fn podman_failure(error: PodmanError) -> Failure {
    match &error {
        PodmanError::Interrupted => Failure::interrupted("nothing was changed"),
        PodmanError::Failed {
            command, stderr, ..
        } => {
            let mut failure = Failure::new(Exit::Engine, error.to_string())
                .detail([format!("$ {command}")])
                .detail(stderr.clone());
            if stderr.iter().any(|line| line.contains("no space left")) {
                failure =
                    failure.hint("free disk space; `podman system df` shows what podman holds");
            }
            failure
        }
        PodmanError::Garbage {
            command, answer, ..
        } => Failure::new(Exit::Engine, error.to_string())
            .detail([format!("$ {command}"), format!("answer: {answer}")])
            .hint("is the `podman` on PATH really podman?"),
    }
}

pub fn unreadable(error: &Unreadable) -> Failure {
    let (path, error) = (error.path.display(), &error.error);
    Failure::new(Exit::Build, format!("cannot read {path}: {error}"))
}

/// All reasons why no plan can be made, as one failure.
pub fn plan_failure(errors: &[PlanError]) -> Failure {
    let exit = match errors.first() {
        Some(PlanError::ImageMissing { .. }) => Exit::Build,
        Some(
            PlanError::GpuMissing { .. }
            | PlanError::GpusTooFew { .. }
            | PlanError::GpuUnknown { .. }
            | PlanError::DeviceMissing { .. },
        ) => Exit::Findings,
        Some(PlanError::NotImplemented { .. } | PlanError::PodMode { .. }) => Exit::Manifest,
        _ => Exit::Conflict,
    };
    let mut words = errors.iter().map(plan_error_words);
    let (message, hint) = words.next().unwrap_or_default();
    Failure::new(exit, message)
        .detail(words.map(|(message, _)| message))
        .hint(hint)
}

fn plan_error_words(error: &PlanError) -> (String, String) {
    match error {
        PlanError::ImageMissing { agent, image } => (
            format!("{agent} needs the image `{image}`, which has not been built"),
            "run `cargo xtask build-images`".into(),
        ),
        PlanError::ContainerTaken { agent, container } => (
            format!(
                "{agent} needs the container name `{container}`, and a container that this tool did not create has it"
            ),
            format!(
                "rename or remove it (`podman rename {container} …`), or set `container` in the manifest"
            ),
        ),
        PlanError::NetworkDiffers {
            network,
            expected,
            found,
            ours: true,
        } => (
            format!(
                "network `{network}` ({found}) was created from other settings than the manifest's ({expected}); its range, isolation or access to the outside may differ, too"
            ),
            "run `cargo xtask down`, then `cargo xtask create-networks --recreate`".into(),
        ),
        PlanError::NetworkDiffers {
            network,
            expected,
            found,
            ours: false,
        } => (
            format!(
                "network `{network}` ({found}) was not created by this tool and is not what the manifest asks for ({expected})"
            ),
            format!("remove it (`podman network rm {network}`), or rename the manifest's"),
        ),
        PlanError::NetworkOverlaps {
            network,
            subnet,
            other,
            other_subnet,
        } => (
            format!(
                "network `{network}` ({subnet}) overlaps podman's network `{other}` ({other_subnet})"
            ),
            "choose another subnet in the manifest, or remove the other network".into(),
        ),
        PlanError::NotImplemented { agent, script } => (
            format!("{agent} has no implementation in this monorepo: {script} does not exist"),
            "leave it out, or write its script".into(),
        ),
        PlanError::PodMode { group } => (
            format!(
                "group `{group}` asks for network_mode `pod`, which can be described but not deployed yet"
            ),
            "use `bridge` or `host`".into(),
        ),
        PlanError::GpuMissing { agent } => (
            format!(
                "{agent} needs a GPU (gpu = \"required\"), and no CDI specification offers nvidia.com/gpu"
            ),
            "`cargo xtask check-gpu` says why; or set gpu = \"auto\"".into(),
        ),
        PlanError::GpusTooFew {
            agent,
            asked,
            offered,
        } => (
            format!(
                "{agent} asks for {asked} GPUs (gpu_count), and this host offers {}: {}",
                offered.len(),
                offered.join(", ")
            ),
            "lower `gpu_count`; `cargo xtask check-gpu` shows what there is".into(),
        ),
        PlanError::GpuUnknown {
            agent,
            device,
            offered,
        } => (
            format!(
                "{agent} asks for nvidia.com/gpu={device}, which no CDI specification of this host lists"
            ),
            format!(
                "set `gpu_device` to one of {}; `cargo xtask check-gpu` shows which is which",
                offered.join(", ")
            ),
        ),
        PlanError::DeviceMissing { agent, device } => (
            format!("{agent} needs the device {device}, which this host does not have"),
            "set `optional = true` on it, or attach the device".into(),
        ),
    }
}

/// Age in words: `12 s`, `3 min`, `2 h`, `5 d`.
pub fn age(state: &State, container: &state::Container) -> String {
    let seconds = (state.now_s - container.started_at_s).max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
