//! Whom a container serves: the subject of its steps, its gate and its labels.

use serde::{Deserialize, Serialize};

use super::{label, state::Container};

/// A container's subject, by its kind. What is done with a container does not
/// depend on it: creation, gates, undoing and `down` are the same for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Workload {
    /// One of the manifest's agents.
    Agent {
        /// As in the manifest.
        agent: String,
        /// The agent's.
        group: String,
    },
}

impl Workload {
    /// The workload that a container of ours was made for.
    pub fn of(container: &Container) -> Option<Self> {
        let text = |name| container.label(name).map(str::to_owned);
        Some(Workload::Agent {
            agent: text(label::AGENT)?,
            group: text(label::GROUP).unwrap_or_default(),
        })
    }

    /// What plans and reports call it.
    pub fn name(&self) -> &str {
        match self {
            Workload::Agent { agent, .. } => agent,
        }
    }

    /// The labels that `of` reads.
    pub fn labels(&self) -> Vec<(&'static str, &str)> {
        match self {
            Workload::Agent { agent, group } => vec![(label::AGENT, agent), (label::GROUP, group)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lead_back_to_the_workload() {
        let workload = Workload::Agent {
            agent: "Twin".into(),
            group: "core".into(),
        };
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let container = Container {
            labels: workload.labels().into_iter().map(owned).collect(),
            ..Container::default()
        };
        assert_eq!(Workload::of(&container), Some(workload));
        assert_eq!(Workload::of(&Container::default()), None);
    }
}
