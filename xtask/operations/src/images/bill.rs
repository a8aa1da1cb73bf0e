//! What is installed in an image, as a bill of materials in the CycloneDX form.
//!
//! Made from the locks, so it can be made without an image, and is the same
//! each time: no serial number, no time. Debian packages are not in it, since
//! no lock says their versions.

use std::{collections::BTreeMap, fs, io};

use model::system::{System, lock_file};
use serde_json::{Value, json};

use super::recipes::Unreadable;

/// Version of the form.
const SPEC_VERSION: &str = "1.5";

/// One pin of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pin {
    name: String,
    /// Version, or the address that stands in its place.
    version: Result<String, String>,
    /// `(sha256, hex)`, as in the lock.
    hashes: Vec<(String, String)>,
}

/// The bill of materials of the image `name`, its parents' packages included.
/// `inputs_hash` identifies what the image was made from.
///
/// # Errors
/// A lock cannot be read, or is none.
pub fn bill(system: &System, name: &str, inputs_hash: &str) -> Result<Value, Unreadable> {
    let mut pins = BTreeMap::new();
    for list in system.lists_in(name) {
        let path = lock_file(&system.root, list);
        let read = fs::read_to_string(&path).and_then(|text| parse(&text));
        let found = read.map_err(|error| Unreadable { path, error })?;
        pins.extend(found.into_iter().map(|pin| (pin.name.clone(), pin)));
    }
    let components: Vec<Value> = pins.values().map(component).collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": name,
                "name": name,
                "version": inputs_hash,
            },
        },
        "components": components,
    }))
}

fn component(pin: &Pin) -> Value {
    let purl = match &pin.version {
        Ok(version) => format!("pkg:pypi/{}@{}", pin.name, escaped(version)),
        Err(url) => format!("pkg:pypi/{}?download_url={}", pin.name, escaped(url)),
    };
    // A lock names the files for all platforms; one of these was installed.
    let hashes: Vec<Value> = pin
        .hashes
        .iter()
        .filter_map(|(kind, hex)| Some(json!({ "alg": algorithm(kind)?, "content": hex })))
        .collect();
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "purl": purl,
    });
    if let Ok(version) = &pin.version {
        component["version"] = json!(version);
    }
    if !hashes.is_empty() {
        component["hashes"] = json!(hashes);
    }
    component
}

/// The name that CycloneDX has for a hash of a lock.
fn algorithm(kind: &str) -> Option<&'static str> {
    match kind {
        "sha256" => Some("SHA-256"),
        "sha384" => Some("SHA-384"),
        "sha512" => Some("SHA-512"),
        _ => None,
    }
}

/// Escaped as package URLs want it.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// The pins of a lock, in its order. A pin starts at the margin; its hashes are
/// indented below it.
fn parse(text: &str) -> io::Result<Vec<Pin>> {
    let mut pins: Vec<Pin> = Vec::new();
    for line in text.lines() {
        let bare = line.trim().trim_end_matches('\\').trim_end();
        if let (Some(hash), Some(pin)) = (bare.strip_prefix("--hash="), pins.last_mut()) {
            let pair = hash.split_once(':').unwrap_or(("", hash));
            pin.hashes.push((pair.0.to_owned(), pair.1.to_owned()));
            continue;
        }
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        let requirement = bare.split(" ;").next().unwrap_or(bare).trim_end();
        let (name, version) = if let Some((name, url)) = requirement.split_once(" @ ") {
            (name, Err(url.trim().to_owned()))
        } else if let Some((name, version)) = requirement.split_once("==") {
            (name, Ok(version.trim().to_owned()))
        } else {
            let message = format!("`{bare}` is not a line of a lock");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        };
        let name = name.split('[').next().unwrap_or(name).trim();
        pins.push(Pin {
            name: name.to_lowercase().replace(['_', '.'], "-"),
            version,
            hashes: Vec::new(),
        });
    }
    Ok(pins)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "# made by hand\n\
        Zope.Interface==7.2 ; python_version < '4' \\\n    --hash=sha256:0a \\\n    --hash=sha512:0b\n    # via x\n\
        uvicorn[standard]==0.23.2+cpu.1 \\\n    --hash=md5:0c\n\
        tool @ https://files.example/tool-1.0.whl \\\n    --hash=sha256:0d\n";

    #[test]
    fn pins_of_every_shape_become_components() {
        let pins = parse(LOCK).expect("a lock");
        let found: Vec<Value> = pins.iter().map(component).collect();
        let url = "pkg:pypi/tool?download_url=https:%2F%2Ffiles.example%2Ftool-1.0.whl";
        let expected = json!([
            {
                "type": "library", "bom-ref": "pkg:pypi/zope-interface@7.2",
                "name": "zope-interface", "version": "7.2", "purl": "pkg:pypi/zope-interface@7.2",
                "hashes": [
                    { "alg": "SHA-256", "content": "0a" }, { "alg": "SHA-512", "content": "0b" }
                ],
            },
            {
                "type": "library", "bom-ref": "pkg:pypi/uvicorn@0.23.2%2Bcpu.1",
                "name": "uvicorn", "version": "0.23.2+cpu.1",
                "purl": "pkg:pypi/uvicorn@0.23.2%2Bcpu.1",
            },
            {
                "type": "library", "bom-ref": url, "name": "tool", "purl": url,
                "hashes": [{ "alg": "SHA-256", "content": "0d" }],
            },
        ]);
        assert_eq!(json!(found), expected);
    }

    #[test]
    fn what_is_no_lock_is_refused() {
        let error = parse("requests>=2\n").expect_err("no pin");
        assert_eq!(error.to_string(), "`requests>=2` is not a line of a lock");
    }
}
