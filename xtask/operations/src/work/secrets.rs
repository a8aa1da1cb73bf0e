//! Values of secrets: read from where the manifest says, named by a keyed hash, and
//! put where nothing shows them.
//!
//! A value that cannot be read ends a command before it has touched anything. What
//! leaves this file are names; the values go to the vault of podman's one door.

mod env_file;
mod key;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use diagnostics::{Exit, Failure};
use key::Key;
use model::{
    plan::{
        State, label,
        secret::{Known, NamedValue, SecretOrigin, secret_name},
    },
    system::{Agent, SecretDefinition, SecretForm, SecretSource, SecretUse, System},
};
use process::{Cancel, Command, OnCancel, ProcessError};

use crate::podman::vault::Vault;

/// podman takes no larger secret, and none that is empty.
const VALUE_MAX: usize = 511_999;
/// Time that a command has, which may ask a person for a password.
const COMMAND_DEADLINE_MS: u64 = 60_000;

/// The values that the chosen agents need.
#[derive(Debug, Default)]
pub struct Values {
    /// What they are called.
    pub known: Known,
    /// By these names.
    pub vault: Vault,
}

/// What has been read, by the names of the manifest, so that no command is run
/// twice.
pub type Cache = std::cell::RefCell<BTreeMap<String, Hidden>>;

/// A value that is not shown.
#[derive(Clone)]
pub struct Hidden(Vec<u8>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Hidden(…)")
    }
}

/// Reads the values for `chosen`.
///
/// # Errors
/// With all values that cannot be read, each at its line of the manifest.
pub fn read(
    system: &System,
    chosen: &BTreeSet<String>,
    cache: &Cache,
    cancel: &Cancel,
) -> Result<Values, Failure> {
    let chosen = |agent: &&Agent| chosen.contains(&agent.name);
    let agents: Vec<&Agent> = system.agents.iter().filter(chosen).collect();
    if !agents.iter().any(|agent| has_values(system, agent)) {
        return Ok(Values::default());
    }
    let key = Key::of_host()?;
    let (values, wrong) = gather(system, &agents, &key, &|name, secret| {
        if let Some(known) = cache.borrow().get(name) {
            return Ok(known.0.clone());
        }
        let value = value_of(system, secret, cancel)?;
        cache
            .borrow_mut()
            .insert(name.to_owned(), Hidden(value.clone()));
        Ok(value)
    });
    if cancel.requested() {
        return Err(Failure::interrupted("nothing was changed"));
    }
    let mut wrong = wrong.into_iter();
    let Some(first) = wrong.next() else {
        return Ok(values);
    };
    Err(Failure::new(Exit::Manifest, first)
        .detail(wrong)
        .hint("provide the value, or change where it comes from; agents that are not named are not asked for theirs"))
}

/// What can be told without running a program or stopping at what is missing: for
/// those who only look. What cannot be told is taken to be as it was when `state`'s
/// containers were made.
pub fn look(system: &System, state: &State) -> Known {
    let agents: Vec<&Agent> = system.agents.iter().collect();
    if !agents.iter().any(|agent| has_values(system, agent)) {
        return Known::default();
    }
    let mut known = match Key::known() {
        Some(key) => {
            let cancel = Cancel::default();
            let read = |_: &str, secret: &SecretDefinition| match &secret.source {
                SecretSource::Command(_) => Err(String::new()),
                _ => value_of(system, secret, &cancel),
            };
            gather(system, &agents, &key, &read).0.known
        }
        None => Known::default(),
    };
    for agent in agents {
        let container = state.containers.get(&agent.container);
        let names = container.and_then(|found| found.label(label::SECRETS));
        let names = names.unwrap_or_default().split(',');
        for (wanted, name) in agent.secrets.iter().zip(names) {
            assume(&mut known, system, wanted, name);
        }
    }
    known
}

/// A container's secrets stand in the order of the manifest.
fn assume(known: &mut Known, system: &System, wanted: &SecretUse, name: &str) {
    let definition = system.secrets.get(&wanted.secret);
    let origin = definition.and_then(|secret| origin(&secret.source));
    let (Some(origin), Some((_, version))) = (origin, name.rsplit_once('-')) else {
        return;
    };
    if secret_name(&system.name, &wanted.secret, version) == name {
        let name = name.to_owned();
        known
            .uses
            .entry(wanted.clone())
            .or_insert(NamedValue { name, origin });
    }
}

/// Whether the agent has secrets whose values this tool reads.
fn has_values(system: &System, agent: &Agent) -> bool {
    let own = |wanted: &SecretUse| {
        let definition = system.secrets.get(&wanted.secret);
        definition.is_some_and(|secret| origin(&secret.source).is_some())
    };
    !agent.env_files.is_empty() || agent.secrets.iter().any(own)
}

/// Whether podman has to be asked for its secrets.
pub fn used(system: &System) -> bool {
    let any = |agent: &Agent| !agent.env_files.is_empty() || !agent.secrets.is_empty();
    system.agents.iter().any(any)
}

type Read<'r> = dyn Fn(&str, &SecretDefinition) -> Result<Vec<u8>, String> + 'r;

/// The values of these agents, and what is wrong with those that are missing.
fn gather(system: &System, agents: &[&Agent], key: &Key, read: &Read<'_>) -> (Values, Vec<String>) {
    let mut values = Values::default();
    let mut wrong: Vec<String> = Vec::new();
    let mut failed: BTreeSet<&str> = BTreeSet::new();
    let mut files: BTreeMap<&Path, Option<Vec<(String, String)>>> = BTreeMap::new();
    let manifest = system.manifest.display();
    for agent in agents {
        for wanted in &agent.secrets {
            let Some(secret) = system.secrets.get(&wanted.secret) else {
                continue;
            };
            let Some(origin) = origin(&secret.source) else {
                continue;
            };
            if failed.contains(wanted.secret.as_str()) || values.known.uses.contains_key(wanted) {
                continue;
            }
            let value = read(&wanted.secret, secret).and_then(|value| fit(value, &wanted.form));
            match value {
                Ok(value) => {
                    let named = values.keep(system, key, &wanted.secret, value, origin);
                    values.known.uses.insert(wanted.clone(), named);
                }
                Err(why) => {
                    failed.insert(&wanted.secret);
                    let (line, name) = (secret.line, &wanted.secret);
                    wrong.push(format!("{manifest}:{line}: secret `{name}`: {why}"));
                }
            }
        }
        for path in &agent.env_files {
            let variables = files
                .entry(path)
                .or_insert_with(|| match read_env_file(path) {
                    Ok(variables) => Some(variables),
                    Err(why) => {
                        wrong.push(why);
                        None
                    }
                });
            for (variable, value) in variables.iter().flatten() {
                let origin = SecretOrigin::EnvFile {
                    path: path.clone(),
                    variable: variable.clone(),
                };
                let named = (!value.is_empty())
                    .then(|| values.keep(system, key, variable, value.clone().into(), origin));
                let own = values.known.files.entry(agent.name.clone()).or_default();
                own.insert(variable.clone(), named);
            }
        }
    }
    (values, wrong)
}

impl Values {
    fn keep(
        &mut self,
        system: &System,
        key: &Key,
        name: &str,
        value: Vec<u8>,
        origin: SecretOrigin,
    ) -> NamedValue {
        let name = secret_name(&system.name, name, &key.version(name, &value));
        self.vault.put(name.clone(), value);
        NamedValue { name, origin }
    }
}

/// Where a value comes from, if this tool reads it.
fn origin(source: &SecretSource) -> Option<SecretOrigin> {
    match source {
        SecretSource::File(path) => Some(SecretOrigin::File(path.clone())),
        SecretSource::Env(variable) => Some(SecretOrigin::Env(variable.clone())),
        SecretSource::Command(command) => Some(SecretOrigin::Command(command.clone())),
        SecretSource::Podman(_) => None,
    }
}

fn value_of(
    system: &System,
    secret: &SecretDefinition,
    cancel: &Cancel,
) -> Result<Vec<u8>, String> {
    match &secret.source {
        SecretSource::File(path) => {
            fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
        }
        SecretSource::Env(variable) => match std::env::var_os(variable) {
            Some(value) => Ok(std::os::unix::ffi::OsStringExt::into_vec(value)),
            None => Err(format!("the environment variable `{variable}` is not set")),
        },
        SecretSource::Command(command) => printed(system, command, cancel),
        SecretSource::Podman(_) => Err("podman keeps its value".to_owned()),
    }
}

/// What a command prints. What it says on stderr may hold a part of the value, and
/// is not shown.
fn printed(system: &System, command: &[String], cancel: &Cancel) -> Result<Vec<u8>, String> {
    let Some((program, args)) = command.split_first() else {
        return Err("its command is empty".to_owned());
    };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let path = match program.contains('/') {
        true => system
            .manifest
            .parent()
            .unwrap_or(Path::new("/"))
            .join(program),
        false => PathBuf::from(program),
    };
    let run = Command::new(path, &args)
        .deadline_ms(COMMAND_DEADLINE_MS)
        .on_cancel(OnCancel::End);
    let output = run.run(cancel, None).map_err(|error| match error {
        ProcessError::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("the program `{program}` does not exist")
        }
        error => format!("`{program}` {error}"),
    })?;
    match output.code {
        0 if output.stdout.contains(char::REPLACEMENT_CHARACTER) => {
            Err(format!("`{program}` prints something that is not UTF-8"))
        }
        0 => Ok(output.stdout.into_bytes()),
        code => Err(format!(
            "`{program}` ended with exit code {code}; run it by hand"
        )),
    }
}

/// The value as it can be handed over in this form.
fn fit(mut value: Vec<u8>, form: &SecretForm) -> Result<Vec<u8>, String> {
    if matches!(form, SecretForm::Env(_)) {
        if value.ends_with(b"\n") {
            value.pop();
            if value.ends_with(b"\r") {
                value.pop();
            }
        }
        if value.contains(&0) {
            return Err(
                "it holds a null byte, which no variable can; give it as a file".to_owned(),
            );
        }
    }
    match value.len() {
        0 => Err("its value is empty".to_owned()),
        1..=VALUE_MAX => Ok(value),
        length => Err(format!(
            "it has {length} bytes, and podman takes up to {VALUE_MAX}"
        )),
    }
}

fn read_env_file(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    env_file::parse(&text).map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))
}

#[cfg(test)]
mod tests;
