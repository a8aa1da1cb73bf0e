//! What happened to each step of a plan, and what a display is told meanwhile.

use std::collections::BTreeMap;

use model::plan::{Step, state::Container};

use crate::{
    carry_out::gate::{Passed, Sick},
    podman::{Engine, PodmanError, run::How},
};

/// What happened to each step, in the plan's order.
#[derive(Debug)]
pub struct Report {
    pub results: Vec<StepResult>,
    /// After Ctrl-C, all containers as podman listed them at the end; `None` if
    /// it did not, or if there was none.
    pub left: Option<BTreeMap<String, Container>>,
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
    /// It would only have made another step faster: that one has come first, or
    /// will not come, or this one failed.
    Spared,
    /// Not started because of Ctrl-C.
    Cancelled,
    /// Not started because of Ctrl-C, and what had been changed for it was
    /// undone, unless there is a reason why not.
    PutBack(Option<Reason>),
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
    /// What the smoke test of an image says, one line for each module.
    Imports(Vec<String>),
    File {
        path: String,
        error: String,
    },
    /// podman has forgotten the container, and its process runs on.
    Survives {
        container: String,
        pid: u32,
    },
    /// A defect of this tool, in its own words.
    Defect(String),
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

    /// An agent has failed, and its container is about to be stopped, replaced or
    /// removed because of that. Returns the number of the run that what it can
    /// tell is kept under.
    fn keep_evidence(&self, _: &Engine, _agent: &str, _container: &str) -> Option<u32> {
        None
    }
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
            Reason::Imports(failures) => match failures.as_slice() {
                [first, _, ..] => format!("{first}; {} more", failures.len() - 1),
                one => one.concat(),
            },
            Reason::File { path, error } => format!("cannot write {path}: {error}"),
            Reason::Survives { container, pid } => {
                format!("podman has removed `{container}`, but its process {pid} goes on")
            }
            Reason::Defect(what) => format!("this tool failed: {what}"),
            Reason::Interrupted => "interrupted".to_owned(),
        }
    }
}
