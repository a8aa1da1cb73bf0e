//! Secrets: the manifest's keys for them, and what they amount to. The values
//! themselves are none of the manifest's business: nothing here reads one.

use std::path::PathBuf;

use diagnostics::located::{
    problem::Problems,
    reader::{At, Broken, Fields, record},
    value::{Node, list, text},
};
use serde::{Deserialize, Serialize};

use super::fields::{SECRET, SECRET_USE};

/// Where agents find secrets that are given no other place, as with compose.
pub const SECRETS_FOLDER: &str = "/run/secrets";

/// A secret of `[secrets]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretDefinition {
    pub source: SecretSource,
    /// Where it stands in the manifest, from 1.
    pub line: usize,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// A file of the host.
    File(PathBuf),
    /// A variable of this tool's environment.
    Env(String),
    /// What a program prints.
    Command(Vec<String>),
    /// A secret that podman has under this name.
    Podman(String),
}

/// A secret that an agent is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SecretUse {
    /// Its name in the manifest.
    pub secret: String,
    pub form: SecretForm,
}

/// How an agent finds a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SecretForm {
    /// As the file at this path in its container.
    File(String),
    /// As the variable of this name.
    Env(String),
}

/// `[secrets.NAME]` as it is written.
#[derive(Debug)]
pub struct SecretTable {
    pub name: At<String>,
    pub file: Option<At<String>>,
    pub env: Option<At<String>>,
    pub command: Option<At<Vec<At<String>>>>,
    pub podman: Option<At<String>>,
    pub broken: Broken,
}

/// An element of an agent's `secrets` as it is written.
#[derive(Debug)]
pub struct UseTable {
    pub secret: At<String>,
    pub file: Option<At<String>>,
    pub env: Option<At<String>>,
}

/// The keys of a group or an agent.
#[derive(Debug)]
pub struct SecretKeys {
    pub uses: Vec<At<UseTable>>,
    pub env_files: Vec<At<String>>,
}

/// Decodes `[secrets.NAME]`.
pub fn definition(name: At<String>, fields: Fields<'_, '_>) -> SecretTable {
    let mut fields = fields.of(&SECRET);
    SecretTable {
        name,
        file: fields.optional("file", text),
        env: fields.optional("env", text),
        command: fields.optional("command", list(text)),
        podman: fields.optional("podman", text),
        broken: fields.finish(),
    }
}

/// Decodes the keys of a group or an agent.
pub fn keys(fields: &mut Fields<'_, '_>) -> SecretKeys {
    SecretKeys {
        env_files: fields.list("env_file", text),
        uses: fields.list("secrets", secret_use),
    }
}

fn secret_use(problems: &mut Problems, node: Node<'_>) -> Option<UseTable> {
    if !node.is_table() {
        let secret = At {
            at: node.at(),
            value: text(problems, node)?,
        };
        return Some(UseTable {
            secret,
            file: None,
            env: None,
        });
    }
    let read = |fields: Fields<'_, '_>| {
        let mut fields = fields.of(&SECRET_USE);
        let secret = fields.required("secret", text);
        let file = fields.optional("file", text);
        let env = fields.optional("env", text);
        let broken = fields.finish();
        let secret = secret.filter(|_| broken.is_empty())?;
        Some(UseTable { secret, file, env })
    };
    record("secret", read)(problems, node)
}

impl UseTable {
    /// How the agent finds it.
    pub fn form(&self) -> SecretForm {
        match (&self.file, &self.env) {
            (_, Some(variable)) => SecretForm::Env(variable.value.clone()),
            (Some(file), None) => SecretForm::File(file.trim_end_matches('/').to_owned()),
            (None, None) => SecretForm::File(format!("{SECRETS_FOLDER}/{}", self.secret.value)),
        }
    }
}
