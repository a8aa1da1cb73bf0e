//! Verbs that only look, in podman 4.3.1's output formats.

use serde_json::{Value, json};

use crate::{
    Answer,
    options::parse,
    store::{Container, Store},
};

pub fn info(store: &Store, args: &[String]) -> Answer {
    wants_json(args);
    let storage = store.folder().join("storage");
    let remote = std::env::var_os("FAKE_PODMAN_REMOTE").is_some();
    let version = std::env::var("FAKE_PODMAN_VERSION").unwrap_or_else(|_| "4.3.1".to_owned());
    Ok(pretty(&json!({
        "host": {
            "cgroupManager": "cgroupfs",
            "cgroupVersion": "v2",
            "networkBackend": "netavark",
            "ociRuntime": { "name": "crun" },
            "serviceIsRemote": remote,
            "security": { "rootless": false },
        },
        "store": { "graphDriverName": "overlay", "graphRoot": storage },
        "version": { "APIVersion": version, "Version": version },
    })))
}

pub fn containers(store: &Store, args: &[String]) -> Answer {
    // Whether it answers at all is asked by this.
    if args == ["--quiet"] {
        let ids = store
            .read()
            .containers
            .into_values()
            .map(|found| found.id + "\n");
        return Ok(ids.collect());
    }
    let options = parse(args, &["--format"], &["--all", "--external"]);
    assert_eq!(options.one("--format"), Some("json"));
    assert!(options.has("--all"), "stopped containers count, too");
    let [] = options.exactly();
    let state = store.read();
    let mut listed: Vec<Value> = state
        .containers
        .iter()
        .map(|(name, container)| listed(name, container))
        .collect();
    if options.has("--external") {
        // Without labels, networks and times.
        listed.extend(state.half_made.iter().map(|name| {
            json!({ "Names": [name], "State": "storage", "Status": "Storage", "Labels": null })
        }));
    }
    Ok(pretty(&json!(listed)))
}

fn listed(name: &str, container: &Container) -> Value {
    json!({
        "AutoRemove": false,
        "Exited": container.state == "exited",
        "ExitedAt": -62_135_596_800_i64,
        "ExitCode": container.exit_code,
        "Id": container.id,
        "Image": container.image,
        "ImageID": container.image_id,
        "IsInfra": false,
        "Labels": container.labels,
        "Mounts": container.volumes,
        "Names": [name],
        "Namespaces": {},
        "Networks": container.networks.keys().collect::<Vec<_>>(),
        "Pid": container.pid,
        "Pod": "",
        "PodName": "",
        "Ports": ports(&container.create),
        "Size": null,
        // What Go makes of a time that was never set.
        "StartedAt": if container.starts == 0 { -62_135_596_800 } else { container.started_at },
        "State": container.state,
        "Status": "",
    })
}

/// As podman lists them, from the words behind `create`.
fn ports(create: &[String]) -> Value {
    let published = create
        .iter()
        .filter_map(|word| word.strip_prefix("127.0.0.1:"));
    let port = |word: &str| word.parse::<u16>().expect("a port");
    let listed: Vec<Value> = published
        .filter_map(|pair| pair.split_once(':'))
        .map(|(host, inside)| {
            json!({
                "host_ip": "127.0.0.1",
                "container_port": port(inside),
                "host_port": port(host),
                "range": 1,
                "protocol": "tcp",
            })
        })
        .collect();
    if listed.is_empty() {
        Value::Null
    } else {
        json!(listed)
    }
}

/// A time as Go writes it; `None` was never set. Days are counted from 1970.
pub fn time(seconds: Option<i64>) -> String {
    let Some(seconds) = seconds else {
        return "0001-01-01T00:00:00Z".to_owned();
    };
    let (mut day, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let february = 28 + i64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!(
        "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.000000001Z",
        day + 1
    )
}

/// One JSON object a line: of a stop podman 4.3.1 notes two cleanups, and no stop.
pub fn events(store: &Store, args: &[String]) -> Answer {
    let options = parse(
        args,
        &["--since", "--filter", "--format"],
        &["--stream=false"],
    );
    assert!(options.has("--stream=false"), "it would go on for ever");
    assert_eq!(options.one("--format"), Some("json"));
    let [] = options.exactly();
    let filters: Vec<&str> = options.all("--filter").collect();
    if filters.contains(&"event=died") {
        // Who asks has seen that it was started again.
        let died = json!({ "ContainerExitCode": 137, "Status": "died", "Type": "container" });
        return Ok(format!("{died}\n"));
    }
    assert!(filters.contains(&"event=stop") && filters.contains(&"event=cleanup"));
    let since: i64 = options
        .one("--since")
        .expect("a time")
        .parse()
        .expect("seconds");
    let state = store.read();
    let told = state.stops.iter().filter(|(_, at)| *at >= since);
    let lines = told.map(|(name, at)| {
        let (time, kind) = (time(Some(*at)), "container");
        let event = json!({ "Name": name, "Status": "cleanup", "Time": time, "Type": kind });
        format!("{event}\n{event}\n")
    });
    Ok(lines.collect())
}

/// A program in a running container. The file of the container's name among
/// `inside` of the store is its answer; else all is well there, and a peer takes
/// connections if the container with its address runs.
pub fn exec(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let words: Vec<&str> = options.operands.iter().map(String::as_str).collect();
    let [name, "python3", "-c", program, _config] = words[..] else {
        panic!("the fake podman does not know exec {args:?}");
    };
    assert!(program.contains("own_port"), "not the doctor's program");
    let mut state = store.read();
    let container = state.container(name, 125)?.clone();
    if container.state != "running" {
        let why = "can only create exec sessions on running containers: container state improper";
        return Err((255, why.to_owned()));
    }
    if let Ok(text) = std::fs::read_to_string(store.folder().join("inside-of").join(name)) {
        return Ok(text);
    }
    let (mut targets, mut addresses) = (serde_json::Map::new(), serde_json::Map::new());
    for word in &container.create {
        let Some((variable, value)) = word.split_once("_ADDRESS=tcp://") else {
            continue;
        };
        let host = value.split(':').next().expect("a host");
        let open = state.containers.values().any(|other| {
            let here = other
                .networks
                .values()
                .flatten()
                .any(|address| address == host);
            here && other.state == "running"
        });
        let variable = format!("{variable}_ADDRESS");
        targets.insert(variable.clone(), json!(value));
        let outcome = if open { "open" } else { "refused" };
        addresses.insert(variable, json!({ "outcome": outcome, "error": null }));
    }
    let answer = json!({
        "user": 1000,
        "targets": targets,
        "addresses": addresses,
        "paths": {},
        "own_port": { "outcome": "open", "error": null, "greets": true },
        "free_mb": { "/tmp": 1000 },
    });
    Ok(format!("{answer}\n"))
}

pub fn images(store: &Store, args: &[String]) -> Answer {
    wants_json(args);
    let state = store.read();
    let listed: Vec<Value> = state
        .images
        .iter()
        .map(|(id, image)| {
            let mut listed = json!({
                "Id": id,
                "RepoTags": null,
                "RepoDigests": image.digests,
                "Size": 1_000_000 * image.layers.len(),
                "SharedSize": 0,
                "Labels": if image.labels.is_empty() { Value::Null } else { json!(image.labels) },
                "Containers": 0,
            });
            // podman leaves the field out for an image without a name.
            if !image.names.is_empty() {
                listed["Names"] = json!(image.names);
            }
            listed
        })
        .collect();
    Ok(pretty(&json!(listed)))
}

pub fn image_inspect(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &["--format"], &[]);
    assert!(!options.operands.is_empty(), "inspect names images");
    let state = store.read();
    let mut inspected = Vec::new();
    for name in &options.operands {
        let Some((id, image)) = state.image(name) else {
            return Err((125, format!("inspecting object: {name}: image not known")));
        };
        if let Some(format) = options.one("--format") {
            assert_eq!(format, "{{range .RepoDigests}}{{println .}}{{end}}");
            return Ok(format!("{}\n\n", image.digests.join("\n")));
        }
        inspected.push(json!({
            "Id": id,
            "RepoTags": image.names,
            "RepoDigests": image.digests,
            "Labels": image.labels,
            "Size": 1_000_000 * image.layers.len(),
            "RootFS": { "Type": "layers", "Layers": image.layers },
        }));
    }
    Ok(pretty(&json!(inspected)))
}

pub fn image_exists(store: &Store, args: &[String]) -> Answer {
    let [name] = parse(args, &[], &[]).exactly::<1>().map(str::to_owned);
    match store.read().image(&name) {
        Some(_) => Ok(String::new()),
        None => Err((1, String::new())),
    }
}

pub fn networks(store: &Store, args: &[String]) -> Answer {
    wants_json(args);
    let own = json!({
        "name": "podman",
        "driver": "bridge",
        "subnets": [{ "subnet": "10.88.0.0/16", "gateway": "10.88.0.1" }],
        "internal": false,
    });
    let state = store.read();
    let others = state.networks.iter().map(|(name, network)| {
        json!({
            "name": name,
            "driver": "bridge",
            "subnets": [{ "subnet": network.subnet }],
            "internal": network.internal,
            "labels": network.labels,
            "options": network.options,
        })
    });
    let listed: Vec<Value> = others.chain([own]).collect();
    Ok(pretty(&json!(listed)))
}

pub fn volumes(store: &Store, args: &[String]) -> Answer {
    wants_json(args);
    let state = store.read();
    let listed: Vec<Value> = state
        .volumes
        .iter()
        .map(|name| json!({ "Name": name, "Driver": "local", "Labels": {} }))
        .collect();
    Ok(pretty(&json!(listed)))
}

/// The text that a test put into `logs/<container>`.
pub fn logs(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &["--tail", "--since"], &["--timestamps", "--follow"]);
    let [name] = options.exactly();
    store.read().container(name, 125)?;
    let file = store.folder().join("logs").join(name);
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let count: usize = options
        .one("--tail")
        .map_or(lines.len(), |count| count.parse().expect("a number"));
    let last = &lines[lines.len().saturating_sub(count)..];
    let stamp = if options.has("--timestamps") {
        "2026-01-02T03:04:05.000000000Z "
    } else {
        ""
    };
    Ok(last.iter().map(|line| format!("{stamp}{line}\n")).collect())
}

fn wants_json(args: &[String]) {
    let options = parse(args, &["--format"], &[]);
    assert_eq!(options.one("--format"), Some("json"));
    let [] = options.exactly();
}

pub fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
