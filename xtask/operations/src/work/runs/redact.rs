//! Takes values out of what podman and plans say of containers that look like
//! secrets by the names of their variables.

use model::system::naming::looks_secret;
use serde_json::Value;

/// What stands in place of a value.
const REDACTED: &str = "[redacted]";

/// Replaces the values of variables with telling names, wherever they stand:
/// as `NAME=VALUE` among words, or by their names in an `env`.
pub fn redact(value: &mut Value) {
    match value {
        Value::String(text) => redact_text(text),
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Object(members) => {
            for (name, value) in members {
                let environment = ["env", "environment"].contains(&name.to_lowercase().as_str());
                match value {
                    Value::Object(variables) if environment => {
                        for (name, value) in variables {
                            if looks_secret(name) {
                                *value = Value::String(REDACTED.to_owned());
                            } else {
                                redact(value);
                            }
                        }
                    }
                    value => redact(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_text(text: &mut String) {
    let options = ["--env=", "-e="].into_iter();
    let mut option = options.filter(|option| text.starts_with(option));
    let option = option.next().unwrap_or_default();
    let name = text[option.len()..].split_once('=').map(|(name, _)| name);
    match name.filter(|name| is_variable(name) && looks_secret(name)) {
        Some(name) => *text = format!("{option}{name}={REDACTED}"),
        None => hide_password_in_address(text),
    }
}

fn is_variable(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    name.chars().all(fits)
}

/// `redis://user:word@host` holds a password, whatever the variable is called.
fn hide_password_in_address(text: &mut String) {
    let Some(scheme_end) = text.find("://").map(|at| at + 3) else {
        return;
    };
    let authority_end = text[scheme_end..]
        .find(['/', '?', '#', ' '])
        .map_or(text.len(), |length| scheme_end + length);
    let Some(at) = text[scheme_end..authority_end].rfind('@') else {
        return;
    };
    if let Some(colon) = text[scheme_end..scheme_end + at].find(':') {
        text.replace_range(scheme_end + colon + 1..scheme_end + at, REDACTED);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_telling_names_are_gone() {
        let mut value = json!({
            "Config": {
                "Env": ["PATH=/bin", "API_KEY=abc=def", "DB_PASSWORD=x", "dbpassword=x", "MODE=plain",
                    "CACHE=redis://user:word@host:1/0"],
                "CreateCommand": ["podman", "create", "--env", "HF_TOKEN=abc", "--env=GITHUB_TOKEN=abc", "--name=a", "KEYBOARD=de"],
            },
            "steps": [{ "env": { "SECRET_WORD": "abc", "MODE": "plain" }, "tokens": 3 }],
        });
        redact(&mut value);
        assert_eq!(
            value,
            json!({
                "Config": {
                    "Env": ["PATH=/bin", "API_KEY=[redacted]", "DB_PASSWORD=[redacted]", "dbpassword=[redacted]", "MODE=plain",
                        "CACHE=redis://user:[redacted]@host:1/0"],
                    "CreateCommand": ["podman", "create", "--env", "HF_TOKEN=[redacted]", "--env=GITHUB_TOKEN=[redacted]", "--name=a", "KEYBOARD=de"],
                },
                "steps": [{ "env": { "SECRET_WORD": "[redacted]", "MODE": "plain" }, "tokens": 3 }],
            })
        );
    }
}
