//! Steps: one variant is one engine command or one gate.
//!
//! Steps carry what the renderer needs and nothing that depends on the engine
//! found on this host; engine quirks are added by `podman::argv`.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    secret::SecretSpec,
    spec::{BuildSpec, ContainerSpec, NetworkSpec, SmokeSpec},
};
use crate::system::HealthContract;

/// Ordered steps; every step stands behind the ones it waits for.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// What is to be done, in an order in which it can be.
    pub steps: Vec<Step>,
    /// Subjects that already are as they should be.
    pub unchanged: Vec<String>,
    /// Things worth telling that stop nothing.
    pub warnings: Vec<String>,
    /// What is done if it fails; null if there is nothing to go back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

/// What is done if the plan that it belongs to fails.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rollback {
    /// Positions of the plan's steps whose failure means going back.
    pub when: Vec<usize>,
    /// An interruption means going back, too: no step of the plan can undo what was
    /// done before it without what was done for others.
    pub if_interrupted: bool,
    /// In an order in which they can be done. Their `after` are positions in this list.
    pub steps: Vec<StepBack>,
}

/// A step of the way back, and what of the plan makes it necessary.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepBack {
    /// Position of the plan's step that has to be undone if it was done.
    pub if_done: usize,
    /// What is done.
    #[serde(flatten)]
    pub step: Step,
}

/// One thing to do, and what it waits for.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// The agent, image or network that this is about.
    pub subject: String,
    /// What is done.
    pub action: Action,
    /// Positions of the steps that must have succeeded before.
    pub after: Vec<usize>,
    /// Why, in a few words.
    pub cause: String,
    /// Steps with the same word here are not carried out beside each other; left out
    /// if it does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
    /// The step that it makes faster. It is done only while nothing else needs its
    /// place and before that step begins, and whether it succeeds matters to none;
    /// left out where it has to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead_of: Option<usize>,
    /// What restores the former state if this step fails.
    pub on_failure: Vec<Action>,
    /// What restores the former state if the run is interrupted before this step,
    /// when all that it waits for is done; left out if nothing has to be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_cancel: Vec<Action>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Provide the Python base image from the first source that works.
    EnsureBase(BaseSpec),
    /// Write a file that a build needs.
    WriteFile {
        /// Absolute path.
        path: PathBuf,
        /// Its text, without the ends of lines.
        lines: Vec<String>,
    },
    /// Download what a build needs, while its parent does not exist yet.
    FetchPackages(BuildSpec),
    /// Build an image.
    BuildImage(BuildSpec),
    /// Import the packages that an image adds to its parent.
    SmokeTest(SmokeSpec),
    /// Give an image one more tag, which another one may have had.
    TagImage {
        /// The tag that it has.
        image: String,
        /// The tag that it gets.
        tag: String,
        /// The image has just been built, and this is the end of that.
        built: bool,
    },
    /// Create a network.
    CreateNetwork(NetworkSpec),
    /// Give podman a secret; the value is read from where it comes from.
    CreateSecret(SecretSpec),
    /// Remove a secret.
    RemoveSecret {
        /// Its name.
        secret: String,
    },
    /// Create a container, which is not started yet.
    CreateContainer(Box<ContainerSpec>),
    /// Make a container ready to start: its networks, mounts and runtime.
    InitContainer {
        /// Its name.
        container: String,
    },
    /// Start a container.
    StartContainer {
        /// Its name.
        container: String,
        /// Loopback ports that it publishes, for a clear word on a clash.
        host_ports: Vec<u16>,
    },
    /// Stop a container.
    StopContainer {
        /// Its name.
        container: String,
        /// Time between SIGTERM and SIGKILL, in seconds.
        timeout_s: u32,
    },
    /// Let a paused container go on.
    UnpauseContainer {
        /// Its name.
        container: String,
    },
    /// Give a container another name.
    RenameContainer {
        /// Its name so far.
        from: String,
        /// Its name from then on.
        to: String,
    },
    /// Remove a container.
    RemoveContainer {
        /// Its name.
        container: String,
        /// Its process when it was listed, which has to be gone afterwards; left
        /// out if it had none.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
    },
    /// Remove a network.
    RemoveNetwork {
        /// Its name.
        network: String,
    },
    /// Set up anew what a running container's networks have in the firewall.
    ReloadNetworks {
        /// Its name.
        container: String,
    },
    /// Remove an image.
    RemoveImage {
        /// Its tag.
        tag: String,
    },
    /// Remove the system's images without a tag, unless a container or another
    /// image stands on them.
    PruneImages {
        /// Their owner, by their label.
        system: String,
    },
    /// Remove a volume, and what is in it.
    RemoveVolume {
        /// Its name.
        volume: String,
    },
    /// Wait until an agent is healthy.
    Gate(Gate),
    /// Wait, then look at all agents once more.
    Settle {
        /// How long to wait, in ms.
        window_ms: u64,
        /// All agents that were asked for.
        gates: Vec<Gate>,
    },
}

/// The condition an agent must meet before its dependants start.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gate {
    /// As in the manifest.
    pub agent: String,
    /// Name of its container.
    pub container: String,
    /// Loopback port on the host.
    pub host_health_port: u16,
    /// Port that the agent should listen on inside the container.
    pub health_port: u16,
    /// What it is asked, in this order, until something is understood.
    #[serde(rename = "requests")]
    pub health: HealthContract,
    /// Time for the first good reply in ms, in each attempt.
    pub timeout_ms: u64,
    /// How often a start is tried.
    pub attempts: u32,
    /// podman restarts the container when it exits.
    pub restarts: bool,
    /// Time between SIGTERM and SIGKILL, in seconds.
    pub stop_timeout_s: u32,
    /// What happens to it if it runs and has not answered in time.
    pub unanswered: Unanswered,
}

/// What happens to an agent that runs and has not answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Unanswered {
    /// The gate fails.
    Fail,
    /// It is restarted once, and waited for again.
    Restart,
}

/// The base image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BaseSpec {
    /// Of the image.
    pub tag: String,
    /// Owner, for its label.
    pub system: String,
    /// Hash of the manifest's `[base]`.
    pub inputs_hash: String,
    /// Tried in order until one works.
    pub sources: Vec<BaseFrom>,
}

/// A source of the base image.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BaseFrom {
    /// Pull it from a registry.
    Pull {
        /// With its digest once that is locked.
        reference: String,
        /// Where the digest is recorded at the first pull.
        lock: PathBuf,
    },
    /// Make it from Debian's packages.
    Bootstrap(Bootstrap),
}

/// A Debian root file system made by `mmdebstrap`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bootstrap {
    /// Of Debian.
    pub suite: String,
    /// Names of Debian packages.
    pub packages: Vec<String>,
    /// The file that it is written to.
    pub archive: PathBuf,
}

impl Plan {
    /// Adds a step and returns its position.
    pub fn push(
        &mut self,
        subject: &str,
        action: Action,
        after: Vec<usize>,
        cause: impl Into<String>,
    ) -> usize {
        debug_assert!(after.iter().all(|step| *step < self.steps.len()));
        self.steps.push(Step {
            subject: subject.to_owned(),
            action,
            after,
            cause: cause.into(),
            alone: None,
            ahead_of: None,
            on_failure: Vec::new(),
            on_cancel: Vec::new(),
        });
        self.steps.len() - 1
    }

    /// Says what restores the former state if the step fails, or if the run is
    /// interrupted just before it.
    pub fn undo_with(&mut self, step: usize, actions: Vec<Action>) {
        self.steps[step].on_cancel.clone_from(&actions);
        self.steps[step].on_failure = actions;
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Appends `other`, whose steps then wait for `barrier`.
    pub fn append(&mut self, other: Plan, barrier: &[usize]) {
        let offset = self.steps.len();
        let rollback = other.rollback.map(|rollback| rollback.moved(offset));
        self.rollback = self.rollback.take().or(rollback);
        self.unchanged.extend(other.unchanged);
        self.warnings.extend(other.warnings);
        for mut step in other.steps {
            for position in &mut step.after {
                *position += offset;
            }
            step.after.extend_from_slice(barrier);
            step.ahead_of = step.ahead_of.map(|position| position + offset);
            self.steps.push(step);
        }
    }
}

impl Rollback {
    /// The steps that are necessary after a run in which `done` steps succeeded
    /// and `failed` ones did not; `None` if there is nothing to go back for.
    pub fn plan(
        self,
        done: &dyn Fn(usize) -> bool,
        failed: &dyn Fn(usize) -> bool,
    ) -> Option<Plan> {
        if !self.when.iter().any(|step| failed(*step)) {
            return None;
        }
        self.needed(done)
    }

    /// The same after an interruption, without waiting for anybody's health.
    pub fn plan_interrupted(mut self, done: &dyn Fn(usize) -> bool) -> Option<Plan> {
        let gate = |back: &StepBack| matches!(back.step.action, Action::Gate(_));
        if !self.if_interrupted || self.when.iter().all(|step| done(*step)) {
            return None;
        }
        // They stand behind what they ask, so no other step waits for nothing.
        for back in &mut self.steps {
            if gate(back) {
                back.if_done = usize::MAX;
            }
        }
        self.needed(done)
    }

    fn needed(self, done: &dyn Fn(usize) -> bool) -> Option<Plan> {
        let mut plan = Plan::default();
        // Where each step stands in the new plan, if it is in there.
        let mut places: Vec<Option<usize>> = Vec::new();
        for back in self.steps {
            let needed = done(back.if_done);
            places.push(needed.then_some(plan.steps.len()));
            if needed {
                let mut step = back.step;
                let after = step.after.iter().filter_map(|earlier| places[*earlier]);
                step.after = after.collect();
                plan.steps.push(step);
            }
        }
        (!plan.is_empty()).then_some(plan)
    }

    /// The same for a plan that stands behind `offset` other steps.
    pub fn moved(mut self, offset: usize) -> Self {
        self.when.iter_mut().for_each(|step| *step += offset);
        for back in &mut self.steps {
            back.if_done += offset;
        }
        self
    }

    /// Adds a step and returns its position.
    pub fn push(&mut self, if_done: usize, step: Step) -> usize {
        debug_assert!(step.after.iter().all(|earlier| *earlier < self.steps.len()));
        self.steps.push(StepBack { if_done, step });
        self.steps.len() - 1
    }
}
