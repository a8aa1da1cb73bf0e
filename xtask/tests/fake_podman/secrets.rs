//! Secrets, as podman 4.3.1 has them: read from standard input, listed without
//! labels, and needed by containers that have them as variables at every start.

use std::io::Read;

use serde_json::json;

use crate::{
    Answer,
    options::{Options, parse},
    store::{Secret, State, Store, id_of},
};

pub fn create(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &["--label"], &[]);
    // A lone `-` is no option.
    let [name, "-"] = options
        .operands
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()[..]
    else {
        panic!("{args:?}");
    };
    let mut value = String::new();
    let read = std::io::stdin().read_to_string(&mut value);
    read.expect("values of tests are text");
    if value.is_empty() || value.len() >= 512_000 {
        let why = "secret data must be larger than 0 and less than 512000 bytes";
        return Err((125, why.to_owned()));
    }
    if name.len() > 64 {
        return Err((
            125,
            format!(
                "only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]: {name}: invalid secret name"
            ),
        ));
    }
    store.change(|state| {
        if state.secrets.contains_key(name) {
            return Err((125, format!("{name}: secret name in use")));
        }
        state.count += 1;
        let id = id_of(&format!("secret {name} {}", state.count))[..25].to_owned();
        let secret = Secret {
            id: id.clone(),
            labels: options.pairs("--label").collect(),
            value,
        };
        state.secrets.insert(name.to_owned(), secret);
        Ok(format!("{id}\n"))
    })
}

pub fn rm(store: &Store, args: &[String]) -> Answer {
    let [name] = parse(args, &[], &[]).exactly::<1>().map(str::to_owned);
    store.change(|state| match state.secrets.remove(&name) {
        Some(secret) => Ok(format!("{}\n", secret.id)),
        None => Err((1, missing(&name))),
    })
}

pub fn ls(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &["--format"], &[]);
    // It takes templates alone, and prints `json` for that word.
    assert_eq!(options.one("--format"), Some("{{.ID}} {{.Name}}"));
    let [] = options.exactly();
    let state = store.read();
    let lines = state.secrets.iter();
    Ok(lines
        .map(|(name, secret)| format!("{} {name}\n", secret.id))
        .collect())
}

pub fn inspect(store: &Store, args: &[String]) -> Answer {
    let state = store.read();
    let found = args.iter().filter_map(|name| {
        let secret = state.secrets.get(name)?;
        Some(json!({
            "ID": secret.id,
            "CreatedAt": "2026-01-02T03:04:05.5Z",
            "UpdatedAt": "2026-01-02T03:04:05.5Z",
            "Spec": { "Name": name, "Driver": { "Name": "file" }, "Labels": secret.labels },
        }))
    });
    let text = format!("{:#}\n", json!(found.collect::<Vec<_>>()));
    match args.iter().find(|name| !state.secrets.contains_key(*name)) {
        None => Ok(text),
        Some(name) => {
            print!("{text}");
            Err((125, format!("inspecting secret: {}", missing(name))))
        }
    }
}

/// Those that a new container is given must exist.
pub fn given(state: &State, options: &Options) -> Result<(), (i32, String)> {
    let mut names = options
        .all("--secret")
        .map(|value| value.split(',').next().unwrap_or(value));
    match names.find(|name| !state.secrets.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err((
            125,
            format!("running container create option: {}", missing(name)),
        )),
    }
}

/// Those that are variables are read at the start.
pub fn needed(state: &State, create: &[String], id: &str) -> Result<(), (i32, String)> {
    let variables = create
        .iter()
        .filter_map(|word| word.split_once(",type=env,"));
    let mut names = variables.map(|(name, _)| name);
    match names.find(|name| !state.secrets.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err((
            125,
            format!("unable to start container {id}: {}", missing(name)),
        )),
    }
}

fn missing(name: &str) -> String {
    format!("no secret with name or id \"{name}\": no such secret")
}
