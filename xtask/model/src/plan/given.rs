//! The secrets of one agent, by the names that podman has for their values.

use super::{secret::GivenSecret, state::State};
use crate::system::{Agent, SecretForm, SecretSource, SecretUse, System};

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
