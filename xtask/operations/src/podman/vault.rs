//! Values of secrets, on their way from where they come from to podman's standard
//! input. Nothing shows them, and what podman says is cleaned of them.

use std::collections::BTreeMap;

use model::system::naming::looks_secret;
use process::Input;

/// What stands for a value.
const MASK: &str = "…";
/// Shorter values would be found in any text.
const SHORTEST: usize = 4;

/// Values by the name of the podman secret that they become.
#[derive(Clone, Default)]
pub struct Vault(BTreeMap<String, Vec<u8>>);

impl Vault {
    /// Keeps a value.
    pub fn put(&mut self, name: String, value: Vec<u8>) {
        self.0.insert(name, value);
    }

    /// There is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value, for podman to read.
    pub fn input(&self, name: &str) -> Option<Input> {
        self.0.get(name).map(|value| Input(value.clone()))
    }

    /// `text` without any of the values, and without those variables of `args`
    /// that look like secrets.
    pub fn clean(&self, text: &str, args: &[String]) -> String {
        let kept = self
            .0
            .values()
            .filter_map(|value| std::str::from_utf8(value).ok());
        let given = args.iter().filter_map(|arg| secret_value(arg));
        let mut hidden: Vec<&str> = kept
            .chain(given)
            .flat_map(|value| value.lines().chain([value]))
            .map(str::trim)
            .filter(|value| value.len() >= SHORTEST)
            .collect();
        // The longest first: one may be part of another.
        hidden.sort_by_key(|value| std::cmp::Reverse(value.len()));
        hidden
            .into_iter()
            .fold(text.to_owned(), |text, value| text.replace(value, MASK))
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

/// Arguments as they may be shown: without the values of variables whose names
/// look like those of secrets.
pub fn shown(args: &[String]) -> Vec<String> {
    let shown = |arg: &String| match secret_value(arg) {
        Some(value) => format!("{}{MASK}", arg.strip_suffix(value).unwrap_or_default()),
        None => arg.clone(),
    };
    args.iter().map(shown).collect()
}

/// The value in `NAME=VALUE`, if the name looks like that of a secret.
fn secret_value(arg: &str) -> Option<&str> {
    let (name, value) = arg.split_once('=')?;
    (looks_secret(name) && !value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_and_not_shown() {
        let mut vault = Vault::default();
        vault.put("demo-KEY-1".into(), b"hunter22\nsecond line\n".to_vec());
        vault.put("demo-PIN-1".into(), b"123".to_vec());
        assert_eq!(format!("{vault:?}"), r#"{"demo-KEY-1", "demo-PIN-1"}"#);
        assert!(vault.input("demo-KEY-1").is_some());
        let said = "Error: cannot write hunter22 or `second line` in 123 ms";
        assert_eq!(
            vault.clean(said, &[]),
            "Error: cannot write … or `…` in 123 ms"
        );
    }

    #[test]
    fn variables_that_look_secret_are_not_shown() {
        let args = [
            "--env",
            "API_KEY=abcd",
            "--env",
            "PORT=7000",
            "--env",
            "DB_PASSWORD=",
        ];
        let args = args.map(str::to_owned);
        let expected = [
            "--env",
            "API_KEY=…",
            "--env",
            "PORT=7000",
            "--env",
            "DB_PASSWORD=",
        ];
        assert_eq!(shown(&args), expected);
        let said = "invalid environment variable: abcd";
        assert_eq!(
            Vault::default().clean(said, &args),
            "invalid environment variable: …"
        );
    }
}
