//! The words of plans about secrets: what a value is called, where it comes from and
//! how a container is given it. No value is in any of them.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::system::{SecretForm, SecretUse};

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

/// A secret that a container is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GivenSecret {
    /// Of the podman secret. Of those that this tool makes it tells values apart.
    pub name: String,
    /// Tells apart those that it did not make; null for its own.
    pub id: Option<String>,
    /// How the agent finds it.
    pub form: SecretForm,
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
