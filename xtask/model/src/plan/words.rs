//! What an action is called: one table, for failures and for displays.

use super::step::Action;

/// The words of one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Fits after "failed to".
    pub purpose: String,
    /// While it goes on; none for what is over at once.
    pub doing: Option<&'static str>,
    /// Once it has succeeded.
    pub done: &'static str,
    /// The time that it took is of interest.
    pub timed: bool,
}

impl Words {
    fn new(purpose: impl Into<String>, done: &'static str) -> Self {
        Words {
            purpose: purpose.into(),
            doing: None,
            done,
            timed: false,
        }
    }

    fn doing(self, doing: &'static str) -> Self {
        Words {
            doing: Some(doing),
            ..self
        }
    }

    fn timed(self) -> Self {
        Words {
            timed: true,
            ..self
        }
    }
}

impl Action {
    /// Its words.
    pub fn words(&self) -> Words {
        match self {
            Action::EnsureBase(base) => Words::new(format!("provide {}", base.tag), "ready")
                .doing("preparing")
                .timed(),
            Action::WriteFile { path, .. } => {
                Words::new(format!("write {}", path.display()), "done")
            }
            Action::FetchPackages(build) => {
                Words::new(format!("build {}", build.tag), "done").doing("fetching")
            }
            Action::BuildImage(build) => Words::new(format!("build {}", build.tag), "built")
                .doing("building")
                .timed(),
            Action::SmokeTest(test) => {
                let purpose = format!("import the packages of {}", test.tag);
                match test.built {
                    true => Words::new(purpose, "built").timed(),
                    false => Words::new(purpose, "tested").doing("testing").timed(),
                }
            }
            Action::TagImage { tag, built, .. } => {
                let purpose = format!("give the image the tag {tag}");
                match built {
                    true => Words::new(purpose, "built").timed(),
                    false => Words::new(purpose, "ready").timed(),
                }
            }
            Action::CreateNetwork(spec) => {
                Words::new(format!("create the network `{}`", spec.name), "created")
            }
            Action::CreateSecret(spec) => {
                Words::new(format!("create the secret `{}`", spec.name), "created")
            }
            Action::RemoveSecret { secret } => {
                Words::new(format!("remove the secret `{secret}`"), "removed")
            }
            Action::CreateContainer(_)
            | Action::InitContainer { .. }
            | Action::StartContainer { .. }
            | Action::StopContainer { .. }
            | Action::UnpauseContainer { .. }
            | Action::RenameContainer { .. }
            | Action::RemoveContainer { .. } => self.container_words(),
            Action::RemoveNetwork { network } => {
                Words::new(format!("remove the network `{network}`"), "removed")
            }
            Action::ReloadNetworks { container } => Words::new(
                format!("set up the firewall rules of `{container}` again"),
                "restored",
            ),
            Action::RemoveImage { tag } => {
                Words::new(format!("remove the image `{tag}`"), "removed")
            }
            Action::PruneImages { .. } => Words::new("remove images that were replaced", "removed"),
            Action::RemoveVolume { volume } => {
                Words::new(format!("remove the volume `{volume}`"), "removed")
            }
            Action::Gate(gate) => {
                Words::new(format!("ask {} for its health", gate.agent), "healthy").timed()
            }
            Action::Settle { .. } => Words::new("let agents settle", "settled").doing("settling"),
        }
    }

    /// Those of what is done to one container.
    fn container_words(&self) -> Words {
        match self {
            Action::CreateContainer(spec) => {
                Words::new(format!("create the container `{}`", spec.name), "done")
            }
            Action::InitContainer { container } => {
                Words::new(format!("make `{container}` ready to start"), "done")
            }
            Action::StartContainer { container, .. } => {
                Words::new(format!("start `{container}`"), "done").doing("starting")
            }
            Action::StopContainer { container, .. } => {
                Words::new(format!("stop `{container}`"), "done").doing("stopping")
            }
            Action::UnpauseContainer { container } => {
                Words::new(format!("unpause `{container}`"), "done")
            }
            Action::RenameContainer { from, to } => {
                Words::new(format!("rename `{from}` to `{to}`"), "done")
            }
            Action::RemoveContainer { container, .. } => {
                Words::new(format!("remove the container `{container}`"), "removed")
            }
            other => unreachable!("{other:?} is not done to a container"),
        }
    }
}
