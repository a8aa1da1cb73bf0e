//! What uv must be told so that it asks the same index as pip, with the same
//! certificates: pip's variables and configuration files, in uv's words.
//!
//! Pure, but for `of_this_host`. `scripts/with-index.sh` does the same inside
//! of image builds, where neither this tool nor a home folder is at hand.

use std::{collections::BTreeMap, fs, path::PathBuf};

/// Where distributions keep their certificates; uv would use a list of its own.
const CA_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// A slow mirror may pause for longer than uv waits by default, in seconds.
const HTTP_TIMEOUT_S: &str = "60";

/// Looks up an environment variable; one that is empty counts as not set.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Environment for pip and uv, from this user's settings.
pub fn of_this_host() -> Vec<(String, String)> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let settings = settings(&variable, &|path| fs::read_to_string(path).ok());
    let bundles = CA_BUNDLES.iter().map(|path| (*path).to_owned());
    let bundle = bundles
        .into_iter()
        .find(|path| PathBuf::from(path).is_file());
    environment(&variable, &settings, bundle)
}

/// pip's settings by name, from its files; later files go before earlier ones,
/// and `install` before `global`.
fn settings(
    variable: Variable,
    read: &dyn Fn(&PathBuf) -> Option<String>,
) -> BTreeMap<String, String> {
    let home = variable("HOME").map(PathBuf::from).unwrap_or_default();
    let config = variable("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
    let files = [
        Some(PathBuf::from("/etc/xdg/pip/pip.conf")),
        Some(PathBuf::from("/etc/pip.conf")),
        Some(home.join(".pip/pip.conf")),
        Some(config.join("pip/pip.conf")),
        variable("VIRTUAL_ENV").map(|folder| PathBuf::from(folder).join("pip.conf")),
        variable("PIP_CONFIG_FILE").map(PathBuf::from),
    ];
    let (mut global, mut install) = (BTreeMap::new(), BTreeMap::new());
    for text in files.iter().flatten().filter_map(read) {
        for (section, key, value) in entries(&text) {
            match section.as_str() {
                "global" => global.insert(key, value),
                "install" => install.insert(key, value),
                _ => None,
            };
        }
    }
    global.extend(install);
    global
}

/// Section, key and value of everything in a configuration file.
fn entries(text: &str) -> Vec<(String, String, String)> {
    let mut found: Vec<(String, String, String)> = Vec::new();
    let mut section = String::new();
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            // Several values stand below each other.
            if let Some((_, _, value)) = found.last_mut() {
                *value = format!("{value} {bare}").trim().to_owned();
            }
        } else if let Some(name) = bare.strip_prefix('[') {
            section = name.trim_end_matches(']').trim().to_owned();
        } else if let Some((key, value)) = bare.split_once(['=', ':']) {
            let key = key.trim().to_lowercase().replace('_', "-");
            found.push((section.clone(), key, value.trim().to_owned()));
        }
    }
    found
}

fn environment(
    variable: Variable,
    settings: &BTreeMap<String, String>,
    bundle: Option<String>,
) -> Vec<(String, String)> {
    let mut out = Vec::new();
    // What the user has told the program itself goes before what is made here.
    let mut tell = |name: &str, value: Option<String>| {
        if let (Some(value), None) = (value, variable(name)) {
            out.push((name.to_owned(), value));
        }
    };
    let setting = |env: &str, key: &str| variable(env).or_else(|| settings.get(key).cloned());
    let own = setting("PIP_CERT", "cert");
    tell("SSL_CERT_FILE", own.clone().or_else(|| bundle.clone()));
    if own.is_none() {
        tell("PIP_CERT", variable("SSL_CERT_FILE").or(bundle));
    }
    let index = setting("PIP_INDEX_URL", "index-url");
    if variable("UV_INDEX_URL").is_none() {
        tell("UV_DEFAULT_INDEX", index);
    }
    if let Some(extra) = setting("PIP_EXTRA_INDEX_URL", "extra-index-url") {
        tell("UV_INDEX", Some(extra));
        // pip takes the best file of all its indexes.
        tell("UV_INDEX_STRATEGY", Some("unsafe-best-match".into()));
    }
    tell(
        "UV_INSECURE_HOST",
        setting("PIP_TRUSTED_HOST", "trusted-host"),
    );
    tell("UV_HTTP_TIMEOUT", Some(HTTP_TIMEOUT_S.into()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Vec<String> {
        let find = |list: &[(&str, &str)], name: &str| {
            let found = list.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let variable = |name: &str| find(variables, name);
        let settings = settings(&variable, &|path| find(files, &path.to_string_lossy()));
        let all = environment(&variable, &settings, Some("/bundle".into()));
        let kept = all
            .into_iter()
            .filter(|(name, _)| name != "UV_HTTP_TIMEOUT");
        kept.map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    #[test]
    fn without_settings_only_the_certificates_are_told() {
        assert_eq!(
            told(&[], &[]),
            ["SSL_CERT_FILE=/bundle", "PIP_CERT=/bundle"]
        );
        let own = [("SSL_CERT_FILE", "/own")];
        assert_eq!(told(&own, &[]), ["PIP_CERT=/own"]);
        let own = [("PIP_CERT", "/own")];
        assert_eq!(told(&own, &[]), ["SSL_CERT_FILE=/own"]);
    }

    #[test]
    fn the_nearer_file_and_install_go_first() {
        let files = [
            (
                "/etc/pip.conf",
                "[global]\nindex-url = https://a.test/simple\ncert=/far\n",
            ),
            (
                "/home/u/.config/pip/pip.conf",
                "; remark\n[install]\nindex_url: https://b.test/simple\n[global]\nindex-url=https://c.test\n\
                 extra-index-url =\n    https://d.test\n    https://e.test\n[freeze]\ncert=/no\n",
            ),
        ];
        let home = [("HOME", "/home/u")];
        assert_eq!(
            told(&home, &files),
            [
                "SSL_CERT_FILE=/far",
                "UV_DEFAULT_INDEX=https://b.test/simple",
                "UV_INDEX=https://d.test https://e.test",
                "UV_INDEX_STRATEGY=unsafe-best-match",
            ]
        );
    }

    #[test]
    fn variables_go_before_files_and_uvs_own_before_pips() {
        let files = [(
            "/conf",
            "[global]\ntrusted-host = a.test\nindex-url = https://a.test\n",
        )];
        let variables = [
            ("PIP_CONFIG_FILE", "/conf"),
            ("PIP_INDEX_URL", "https://b.test"),
        ];
        let found = told(&variables, &files);
        assert!(found.contains(&"UV_DEFAULT_INDEX=https://b.test".to_owned()));
        assert!(found.contains(&"UV_INSECURE_HOST=a.test".to_owned()));
        let variables = [
            ("PIP_INDEX_URL", "https://b.test"),
            ("UV_INDEX_URL", "https://c.test"),
        ];
        assert!(
            !told(&variables, &[])
                .iter()
                .any(|line| line.starts_with("UV_DEFAULT"))
        );
    }
}
