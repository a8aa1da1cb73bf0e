//! Carries out a plan: starts every step as soon as the steps it waits for
//! have succeeded, or what they make can be used, within a bound on parallel
//! podman calls.
//!
//! Invariant: no decision is made here. What to do, in which order, and how to
//! undo it all stands in the plan; this file only knows how to run it.

use std::{
    fs,
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::{
    gate::{self, GateError, Passed, Sick, Watcher},
    host::{lock, ports},
    podman::{
        Engine, PodmanError, argv,
        run::{BUILD_DEADLINE_MS, Call, How, tail},
    },
};
use model::plan::{
    Action, Plan, Step,
    step::{BaseFrom, BaseSpec},
};
use process::{Command, OnCancel};

/// What happened to each step, in the plan's order.
#[derive(Debug)]
pub struct Report {
    pub results: Vec<StepResult>,
}

#[derive(Debug)]
pub enum StepResult {
    Done {
        elapsed_ms: u64,
        passed: Option<Passed>,
    },
    Failed(StepFailure),
    /// Not started: the step at this position failed or was blocked itself.
    Blocked {
        by: usize,
    },
    /// Not started because of Ctrl-C.
    Cancelled,
}

#[derive(Debug)]
pub struct StepFailure {
    pub reason: Reason,
    /// What the plan offered to restore was restored.
    pub restored: bool,
}

#[derive(Debug)]
pub enum Reason {
    Podman(PodmanError),
    /// A port that the agent publishes is in use on the host.
    PortTaken {
        port: u16,
        owner: Option<(String, u32)>,
    },
    Sick(Vec<Sick>),
    /// Every source of the base image failed: source and reason.
    Base(Vec<(String, String)>),
    File {
        path: String,
        error: String,
    },
    Interrupted,
}

/// What a display may want to know while the plan is carried out.
#[derive(Debug)]
pub enum Event<'a> {
    Started,
    /// A line of output, or a few words on what is waited for.
    Progress(&'a str),
    Ended(&'a StepResult),
}

/// Receives events; called from several threads.
pub trait Watch: Sync {
    fn event(&self, position: usize, step: &Step, event: Event<'_>);
}

/// Runs the plan with at most `slots` podman calls that change something at a
/// time. Gates hold no slot.
pub fn execute(engine: &Engine, plan: &Plan, slots: usize, watch: &dyn Watch) -> Report {
    let watcher = Watcher::default();
    std::thread::scope(|scope| {
        scope.spawn(|| watcher.run(&engine.podman));
        let (notes_in, notes) = mpsc::channel::<(usize, Stage)>();
        let mut stages: Vec<Stage> = plan.steps.iter().map(|_| Stage::Waits).collect();
        loop {
            let steps = plan.steps.iter().zip(&stages);
            let mut used = steps
                .filter(|(step, stage)| matches!(stage, Stage::Runs) && holds_slot(step))
                .count();
            for position in 0..plan.steps.len() {
                let step = &plan.steps[position];
                if !matches!(stages[position], Stage::Waits) {
                    continue;
                }
                match readiness(step, &stages) {
                    Readiness::Waits => continue,
                    Readiness::Blocked(by) => {
                        let result = StepResult::Blocked { by };
                        watch.event(position, step, Event::Ended(&result));
                        stages[position] = Stage::Ended(result);
                        continue;
                    }
                    Readiness::Ready => {}
                }
                if engine.podman.cancel.requested() {
                    stages[position] = Stage::Ended(StepResult::Cancelled);
                    continue;
                }
                if holds_slot(step) && used >= slots.max(1) {
                    continue;
                }
                used += usize::from(holds_slot(step));
                stages[position] = Stage::Runs;
                let (notes_in, watcher) = (notes_in.clone(), &watcher);
                scope.spawn(move || {
                    // The receiver lives until every step has reported its end.
                    let note = |stage| notes_in.send((position, stage)).unwrap_or_default();
                    watch.event(position, step, Event::Started);
                    let say = |line: &str| {
                        watch.event(position, step, Event::Progress(line));
                        if says_tagged(&step.action, line) {
                            note(Stage::Usable);
                        }
                    };
                    let result = carry_out(engine, watcher, step, &say);
                    watch.event(position, step, Event::Ended(&result));
                    note(Stage::Ended(result));
                });
            }
            let alive = |stage: &Stage| matches!(stage, Stage::Runs | Stage::Usable);
            if !stages.iter().any(alive) {
                break;
            }
            let (position, stage) = notes.recv().expect("running steps hold the sender");
            stages[position] = stage;
        }
        watcher.end();
        Report {
            results: stages
                .into_iter()
                .map(|stage| match stage {
                    Stage::Ended(result) => result,
                    _ => StepResult::Cancelled,
                })
                .collect(),
        }
    })
}

/// How far a step has come.
enum Stage {
    Waits,
    Runs,
    /// What it makes can be used; what is left is cleaning up, which needs no
    /// slot.
    Usable,
    Ended(StepResult),
}

/// Whether a build's line of output says that its image has its tag.
///
/// buildah prints it before it removes its working container, which takes 8 s
/// for an image of 5 GB (buildah 1.28; imagebuildah/executor.go). A build that
/// does not say so is usable when it ends.
fn says_tagged(action: &Action, line: &str) -> bool {
    let Action::BuildImage(build) = action else {
        return false;
    };
    line.strip_prefix("Successfully tagged ") == Some(&build.tag)
}

enum Readiness {
    Ready,
    Waits,
    Blocked(usize),
}

fn readiness(step: &Step, stages: &[Stage]) -> Readiness {
    let mut ready = true;
    for earlier in &step.after {
        match &stages[*earlier] {
            Stage::Usable | Stage::Ended(StepResult::Done { .. }) => {}
            Stage::Ended(StepResult::Blocked { by }) => return Readiness::Blocked(*by),
            Stage::Ended(StepResult::Failed(_) | StepResult::Cancelled) => {
                return Readiness::Blocked(*earlier);
            }
            Stage::Waits | Stage::Runs => ready = false,
        }
    }
    if ready {
        Readiness::Ready
    } else {
        Readiness::Waits
    }
}

fn holds_slot(step: &Step) -> bool {
    !matches!(step.action, Action::Gate(_) | Action::Settle { .. })
}

fn carry_out(
    engine: &Engine,
    watcher: &Watcher,
    step: &Step,
    say: &(dyn Fn(&str) + Sync),
) -> StepResult {
    let started = Instant::now();
    let elapsed = || started.elapsed().as_millis() as u64;
    match run_action(engine, watcher, &step.action, say) {
        Ok(passed) => StepResult::Done {
            elapsed_ms: elapsed(),
            passed,
        },
        Err(reason) => {
            let undone = step
                .on_failure
                .iter()
                .map(|action| run_action(engine, watcher, action, say).is_ok())
                .filter(|done| *done)
                .count();
            StepResult::Failed(StepFailure {
                reason,
                restored: !step.on_failure.is_empty() && undone == step.on_failure.len(),
            })
        }
    }
}

fn run_action(
    engine: &Engine,
    watcher: &Watcher,
    action: &Action,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Option<Passed>, Reason> {
    let podman = &engine.podman;
    match action {
        Action::Gate(gate) => {
            return gate::pass(podman, watcher, gate, say)
                .map(Some)
                .map_err(|error| match error {
                    GateError::Sick(sick) => Reason::Sick(vec![*sick]),
                    GateError::Podman(error) => Reason::from(error),
                    GateError::Interrupted => Reason::Interrupted,
                });
        }
        Action::Settle { window_ms, gates } => {
            gate::settle(podman, *window_ms, gates, say).map_err(|error| match error {
                Ok(sick) => Reason::Sick(sick),
                Err(error) => Reason::from(error),
            })?;
        }
        Action::EnsureBase(base) => ensure_base(engine, base, say)?,
        Action::WriteFile { path, lines } => write_file(path, lines)?,
        Action::StartContainer {
            container,
            host_ports,
        } => {
            start(engine, action, container, host_ports)?;
        }
        Action::BuildImage(build) | Action::FetchPackages(build) => {
            let args = argv::render(action, &engine.quirks).expect("a build is one call");
            let call = Call::long(format!("build {}", build.tag), args);
            podman.run_with(&call, Some(say))?;
        }
        _ => {
            let args = argv::render(action, &engine.quirks).expect("the others are one call");
            podman.run(&Call::change(purpose(action), args))?;
        }
    }
    Ok(None)
}

fn purpose(action: &Action) -> String {
    match action {
        Action::CreateContainer(spec) => format!("create the container `{}`", spec.name),
        Action::StopContainer { container, .. } => format!("stop `{container}`"),
        Action::RenameContainer { from, to } => format!("rename `{from}` to `{to}`"),
        Action::RemoveContainer { container } => format!("remove the container `{container}`"),
        Action::CreateNetwork(spec) => format!("create the network `{}`", spec.name),
        Action::RemoveNetwork { network } => format!("remove the network `{network}`"),
        Action::ReloadNetworks { container } => {
            format!("set up the firewall rules of `{container}` anew")
        }
        Action::RemoveImage { tag } => format!("remove the image `{tag}`"),
        Action::PruneImages { .. } => "remove images that were replaced".to_owned(),
        Action::RemoveVolume { volume } => format!("remove the volume `{volume}`"),
        _ => "carry out a step".to_owned(),
    }
}

fn start(
    engine: &Engine,
    action: &Action,
    container: &str,
    host_ports: &[u16],
) -> Result<(), Reason> {
    let podman = &engine.podman;
    let args = argv::render(action, &engine.quirks).expect("a start is one call");
    let call = Call::change(format!("start `{container}`"), args);
    let Err(error) = podman.run(&call) else {
        return Ok(());
    };
    let text = match &error {
        PodmanError::Failed { stderr, .. } => stderr.join("\n"),
        _ => String::new(),
    };
    if text.contains("address already in use") {
        // podman names the port in a way that differs by version and network
        // tool; the kernel's table is the same everywhere.
        let taken = host_ports
            .iter()
            .find_map(|port| Some((*port, ports::owner(*port)?)));
        let named = |port: &&u16| text.contains(&format!(":{port}"));
        let port = taken.as_ref().map(|(port, _)| *port);
        if let Some(port) = port.or_else(|| host_ports.iter().find(named).copied()) {
            return Err(Reason::PortTaken {
                port,
                owner: taken.map(|(_, owner)| owner),
            });
        }
    }
    if text.contains("already allocated") {
        // A lease of a container that is gone (podman issues 15708, 25422):
        // cleaning the container up frees what it can; then once more.
        let args = ["container", "cleanup", container]
            .map(str::to_owned)
            .to_vec();
        podman.probe(&Call::change("free a stale address", args))?;
        std::thread::sleep(Duration::from_millis(200));
        podman.run(&call)?;
        return Ok(());
    }
    Err(error.into())
}

fn write_file(path: &std::path::Path, lines: &[String]) -> Result<(), Reason> {
    let mut text = lines.join("\n");
    text.push('\n');
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Reason::File {
            path: path.display().to_string(),
            error: error.to_string(),
        })
}

fn ensure_base(
    engine: &Engine,
    base: &BaseSpec,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Reason> {
    let mut reasons: Vec<(String, String)> = Vec::new();
    for source in &base.sources {
        if let Some((name, why)) = reasons.last() {
            say(&format!("{name} failed ({why}); trying the next source"));
        }
        let tried = match source {
            BaseFrom::Pull { reference, lock } => pull_base(engine, base, reference, lock, say),
            BaseFrom::Bootstrap(bootstrap) => bootstrap_base(engine, base, bootstrap, say),
        };
        match tried {
            Err(Reason::Base(mut more)) => reasons.append(&mut more),
            other => return other,
        }
    }
    Err(Reason::Base(reasons))
}

fn pull_base(
    engine: &Engine,
    base: &BaseSpec,
    reference: &str,
    lock: &std::path::Path,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Reason> {
    say(&format!("pulling {reference}"));
    let [pull, tag] = argv::pull_base(base, reference);
    engine
        .podman
        .run(&Call::long("pull the base image", pull))
        .map_err(|error| match error {
            PodmanError::Interrupted => Reason::Interrupted,
            error => Reason::Base(vec![(format!("pull {reference}"), error.reason())]),
        })?;
    engine
        .podman
        .run(&Call::change("tag the base image", tag))?;
    if reference.contains("@sha256:") {
        return Ok(());
    }
    let format = "{{range .RepoDigests}}{{println .}}{{end}}";
    let args = ["image", "inspect", "--format", format, &base.tag];
    let call = Call::look("read the base image's digest", &args);
    let digests = engine.podman.run(&call)?.stdout;
    let name = reference
        .rsplit_once(':')
        .map_or(reference, |(name, _)| name);
    // podman may know the image under digests that the registry does not have
    // (that of a local copy, say), so the one to record is one that is pulled.
    for digest in digests.lines().filter(|line| line.starts_with(name)) {
        let [pull, _] = argv::pull_base(base, digest);
        let call = Call::long("pull the base image by its digest", pull);
        if engine.podman.probe(&call)?.code == 0 {
            return lock::record(lock, reference, digest).map_err(|error| Reason::File {
                path: lock.display().to_string(),
                error: error.to_string(),
            });
        }
    }
    Ok(())
}

fn bootstrap_base(
    engine: &Engine,
    base: &BaseSpec,
    bootstrap: &model::plan::step::Bootstrap,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Reason> {
    let failed = |reason: String| Reason::Base(vec![("bootstrap with mmdebstrap".into(), reason)]);
    let (make, import) = argv::bootstrap_base(base, bootstrap);
    if let Some(folder) = bootstrap.archive.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
    }
    let words: Vec<&str> = make[1..].iter().map(String::as_str).collect();
    let command = Command::new(&make[0], &words)
        .deadline_ms(BUILD_DEADLINE_MS)
        .on_cancel(OnCancel::End);
    let output = match command.run(&engine.podman.cancel, Some(say)) {
        Ok(output) => output,
        Err(process::ProcessError::Interrupted) => return Err(Reason::Interrupted),
        Err(error) => return Err(failed(error.to_string())),
    };
    if output.code != 0 {
        return Err(failed(tail(&output.stderr, 3).join("; ")));
    }
    say("importing the base image");
    let imported = engine
        .podman
        .run(&Call::long("import the base image", import));
    // Only a way to hand the tree over; a few hundred megabytes.
    let _ = fs::remove_file(&bootstrap.archive);
    imported.map(drop).map_err(Reason::from)
}

impl From<PodmanError> for Reason {
    fn from(error: PodmanError) -> Self {
        match error {
            PodmanError::Interrupted => Reason::Interrupted,
            error => Reason::Podman(error),
        }
    }
}

impl Reason {
    /// One line for the display.
    pub fn short(&self) -> String {
        match self {
            Reason::Podman(PodmanError::Failed {
                how: How::Code(_), ..
            }) => {
                let Reason::Podman(error) = self else {
                    unreachable!()
                };
                error.reason()
            }
            Reason::Podman(error) => error.to_string(),
            Reason::PortTaken { port, owner } => match owner {
                Some((name, pid)) => {
                    format!("port {port} on 127.0.0.1 is taken by `{name}` (process {pid})")
                }
                None => format!("port {port} on 127.0.0.1 is taken"),
            },
            Reason::Sick(sick) => sick
                .iter()
                .map(|sick| sick.reason.clone())
                .collect::<Vec<_>>()
                .join("; "),
            Reason::Base(sources) => sources
                .iter()
                .map(|(source, why)| format!("{source}: {why}"))
                .collect::<Vec<_>>()
                .join("; "),
            Reason::File { path, error } => format!("cannot write {path}: {error}"),
            Reason::Interrupted => "interrupted".to_owned(),
        }
    }
}
