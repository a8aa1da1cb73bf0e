//! The schemas in docs/schema are those that the types make, and they are whole.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use validator::Validator;

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema")
}

#[test]
fn the_schemas_are_up_to_date() {
    let mut stale = Vec::new();
    let mut known = BTreeSet::new();
    for made in all() {
        let path = folder().join(&made.file);
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(folder()).expect("the repository can be written to");
            fs::write(&path, made.text()).expect("the repository can be written to");
        }
        if fs::read_to_string(&path).unwrap_or_default() != made.text() {
            stale.push(format!("docs/schema/{} is stale", made.file));
        }
        known.insert(made.file);
    }
    for entry in fs::read_dir(folder()).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !known.contains(&name) {
            stale.push(format!("docs/schema/{name} is nobody's"));
        }
    }
    assert!(
        stale.is_empty(),
        "{}; run\nUPDATE_GOLDEN=1 cargo test -p xtask-schemas",
        stale.join("\n")
    );
}

/// Every object is closed, or has other people's names as its keys; every type and
/// every field is described.
#[test]
fn the_schemas_say_all_that_there_is_to_say() {
    let mut found = Vec::new();
    for made in all() {
        visit(&made.schema, &made.file, &mut found);
        // Panics at a keyword that it does not know.
        let refusals = Validator::new(made.schema).refusals(&Value::Null);
        assert!(!refusals.is_empty(), "{}", made.file);
    }
    found.sort();
    found.dedup();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// No crate but this one asks for descriptions, so that `cargo xtask` is built
/// without any.
#[test]
fn users_builds_have_no_part_of_it() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut manifests = vec![crates.join("Cargo.toml")];
    let folders = fs::read_dir(&crates).expect("a folder").flatten();
    manifests.extend(folders.map(|folder| folder.path().join("Cargo.toml")));
    let mut optional = 0;
    for path in manifests {
        let text = fs::read_to_string(&path).unwrap_or_default();
        if text.contains("name = \"xtask-schemas\"") {
            continue;
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let asks = line.contains("features = [\"schema\"") || line.starts_with("default =");
            let path = path.display();
            assert!(!asks && !line.contains("xtask-schemas"), "{path}: {line}");
            if line.starts_with("schemars") {
                assert!(line.contains("optional = true"), "{path}: {line}");
                optional += 1;
            }
        }
    }
    assert!(optional > 3, "only {optional} crates were looked at");
}

fn visit(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(schema) => {
            if schema.get("type") == Some(&"object".into())
                && !schema.contains_key("additionalProperties")
            {
                found.push(format!("{at}: an open object"));
            }
            let definitions = schema.get("$defs").and_then(Value::as_object);
            for (name, definition) in definitions.into_iter().flatten() {
                if definition.get("description").is_none() {
                    found.push(format!("{at}/{name}: not described"));
                }
            }
            let properties = schema.get("properties").and_then(Value::as_object);
            // The name of a variant, which is described itself.
            let variant = properties.is_some_and(|properties| properties.len() == 1)
                && schema.contains_key("description");
            for (name, property) in properties.into_iter().flatten() {
                let described = |keyword| property.get(keyword).is_some();
                // The tag of a variant is the same each time.
                if !variant && !described("description") && !described("const") {
                    found.push(format!("{at}/{name}: not described"));
                }
            }
            for (key, value) in schema {
                visit(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| visit(value, at, found)),
        _ => {}
    }
}
