//! Which secrets podman is to be given for the containers of a plan, and which it
//! can forget.
//!
//! Every value has a name of its own, so that a changed value is another secret
//! and the old one is there for as long as a container needs it: podman reads
//! those that are variables at every start. Values are not seen here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde::Serialize;

use super::{
    label,
    refusal::PlanError,
    spec::{ContainerSpec, GivenSecret},
    state::State,
    step::{Action, Plan},
};
use crate::system::{Agent, SecretForm, SecretSource, SecretUse, System};

/// podman takes no longer name.
const NAME_MAX: usize = 64;

/// What the values that a run has read are called, as far as it has read them.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// By the use that the manifest makes of them.
    pub uses: BTreeMap<SecretUse, NamedValue>,
    /// Those of `env_file`, by agent and variable; `None` is an empty value, which
    /// no secret can have.
    pub files: BTreeMap<String, BTreeMap<String, Option<NamedValue>>>,
}

/// A value by the name that podman knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedValue {
    /// Of the podman secret.
    pub name: String,
    pub origin: SecretOrigin,
}

/// A secret that podman is to be given. Its value is not in here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretSpec {
    /// Owner, for its label.
    pub system: String,
    /// Of the podman secret; ends in a keyed hash of the value.
    pub name: String,
    /// Where the value comes from.
    pub origin: SecretOrigin,
}

/// Where the value of a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SecretOrigin {
    /// A file of the host.
    File(PathBuf),
    /// A variable of this tool's environment.
    Env(String),
    /// What a program prints.
    Command(Vec<String>),
    /// A line of an `env_file`.
    EnvFile {
        /// The file.
        path: PathBuf,
        /// The variable in it.
        variable: String,
    },
}

/// A secret that podman has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedSecret {
    /// Another one each time that a secret of the name is created.
    pub id: String,
    /// The system that it was made for, by its label.
    pub system: Option<String>,
}

/// The name for a value of a secret or variable called `name`; `version` tells its
/// values apart.
pub fn secret_name(system: &str, name: &str, version: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "_.-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let cut = |text: &str, most: usize| -> String { text.chars().take(most).map(plain).collect() };
    let room = NAME_MAX - version.len() - 2;
    // Half of the room for each, and more where the other needs less.
    let own = name
        .chars()
        .count()
        .min((room / 2).max(room.saturating_sub(system.chars().count())));
    let (system, name) = (cut(system, room - own), cut(name, own));
    format!("{system}-{name}-{version}")
}

/// The secrets that the agent's container is given: those of the manifest, then
/// those of its files with variables. Empty variables are of no secret.
pub fn given(system: &System, agent: &Agent, state: &State) -> (Vec<GivenSecret>, Vec<String>) {
    let mut given: Vec<GivenSecret> = agent
        .secrets
        .iter()
        .map(|wanted| listed(system, wanted, state))
        .collect();
    let mut empty = Vec::new();
    let variables = state.known.files.get(&agent.name).into_iter().flatten();
    for (variable, value) in variables {
        let form = SecretForm::Env(variable.clone());
        let taken = given.iter().any(|other| other.form == form);
        if taken || agent.env.contains_key(variable) {
            continue;
        }
        match value {
            None => empty.push(variable.clone()),
            Some(value) => given.push(GivenSecret {
                name: value.name.clone(),
                id: None,
                form,
            }),
        }
    }
    (given, empty)
}

fn listed(system: &System, wanted: &SecretUse, state: &State) -> GivenSecret {
    let form = wanted.form.clone();
    match system
        .secrets
        .get(&wanted.secret)
        .map(|secret| &secret.source)
    {
        Some(SecretSource::Podman(name)) => GivenSecret {
            name: name.clone(),
            id: Some(
                state
                    .secrets
                    .get(name)
                    .map(|found| found.id.clone())
                    .unwrap_or_default(),
            ),
            form,
        },
        _ => GivenSecret {
            name: state
                .known
                .uses
                .get(wanted)
                .map(|value| value.name.clone())
                .unwrap_or_default(),
            id: None,
            form,
        },
    }
}

/// Why the chosen agents cannot have their secrets.
pub fn refusals(system: &System, state: &State, chosen: &BTreeSet<String>) -> Vec<PlanError> {
    let mut errors = Vec::new();
    let mut note = |error: PlanError| {
        if !errors.contains(&error) {
            errors.push(error);
        }
    };
    for agent in system
        .agents
        .iter()
        .filter(|agent| chosen.contains(&agent.name))
    {
        for given in given(system, agent, state).0 {
            let found = state.secrets.get(&given.name);
            let ours = found.is_some_and(|found| found.system.as_ref() == Some(&system.name));
            match (given.id.is_some(), found) {
                (true, None) => note(PlanError::SecretMissing {
                    agent: agent.name.clone(),
                    secret: given.name,
                }),
                (false, Some(_)) if !ours => note(PlanError::SecretTaken {
                    agent: agent.name.clone(),
                    secret: given.name,
                }),
                _ => {}
            }
        }
    }
    errors
}

/// The secrets that containers of `plan` need and podman does not have, each once.
pub fn create(system: &System, state: &State, plan: &Plan) -> Plan {
    let mut before = Plan::default();
    let values = || {
        let files = state.known.files.values().flatten();
        let files = files.filter_map(|(_, value)| value.as_ref());
        state.known.uses.values().chain(files)
    };
    let mut made: BTreeSet<&str> = BTreeSet::new();
    for given in plan
        .steps
        .iter()
        .filter_map(created)
        .flat_map(|spec| &spec.secrets)
    {
        if given.id.is_some()
            || state.secrets.contains_key(&given.name)
            || !made.insert(&given.name)
        {
            continue;
        }
        if let Some(value) = values().find(|value| value.name == given.name) {
            let spec = SecretSpec {
                system: system.name.clone(),
                name: value.name.clone(),
                origin: value.origin.clone(),
            };
            before.push(
                "secrets",
                Action::CreateSecret(spec),
                Vec::new(),
                "podman has no such value",
            );
        }
    }
    before
}

/// Appends the removal of the system's secrets that no container needs once all of
/// `plan` is done.
pub fn remove_unused(system: &System, state: &State, plan: &mut Plan) {
    let mut containers: BTreeMap<&str, BTreeSet<&str>> = state
        .containers
        .iter()
        .map(|(name, container)| {
            let names = container.label(label::SECRETS).unwrap_or_default();
            (name.as_str(), names.split(',').collect())
        })
        .collect();
    for step in &plan.steps {
        match &step.action {
            Action::CreateContainer(spec) => {
                let names = spec.secrets.iter().map(|given| given.name.as_str());
                containers.insert(&spec.name, names.collect());
            }
            Action::RenameContainer { from, to } => {
                let moved = containers.remove(from.as_str()).unwrap_or_default();
                containers.insert(to, moved);
            }
            Action::RemoveContainer { container } => {
                containers.remove(container.as_str());
            }
            _ => {}
        }
    }
    let used: BTreeSet<&str> = containers.into_values().flatten().collect();
    let unused: Vec<&String> = state
        .secrets
        .iter()
        .filter(|(_, found)| found.system.as_ref() == Some(&system.name))
        .map(|(name, _)| name)
        .filter(|name| !used.contains(name.as_str()))
        .collect();
    // Until all is well the containers that were replaced may be needed again.
    let after: Vec<usize> = (0..plan.steps.len()).collect();
    for secret in unused {
        let secret = secret.clone();
        let cause = "no container needs it";
        plan.push(
            "secrets",
            Action::RemoveSecret { secret },
            after.clone(),
            cause,
        );
    }
}

fn created(step: &super::step::Step) -> Option<&ContainerSpec> {
    match &step.action {
        Action::CreateContainer(spec) => Some(spec),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_podman_whatever_is_long() {
        assert_eq!(
            secret_name("demo", "API_KEY", "0123456789ab"),
            "demo-API_KEY-0123456789ab"
        );
        let long = "n".repeat(80);
        for (system, name) in [
            ("demo", &*long),
            (&*long, "KEY"),
            (&*long, &*long),
            ("ä", "ü"),
        ] {
            let made = secret_name(system, name, "0123456789ab");
            assert!(
                made.len() <= NAME_MAX && made.ends_with("-0123456789ab"),
                "{made}"
            );
            assert!(made.is_ascii(), "{made}");
        }
        assert!(secret_name(&long, "KEY", "0123456789ab").ends_with("-KEY-0123456789ab"));
    }
}
