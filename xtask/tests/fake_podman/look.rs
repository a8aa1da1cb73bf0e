//! Verbs that only look, in podman 4.3.1's output formats.

use serde_json::{Value, json};

use crate::{
    Answer,
    options::parse,
    store::{Container, Store},
};

pub fn info(args: &[String]) -> Answer {
    wants_json(args);
    let version = std::env::var("FAKE_PODMAN_VERSION").unwrap_or_else(|_| "4.3.1".to_owned());
    Ok(pretty(&json!({
        "host": {
            "cgroupManager": "cgroupfs",
            "cgroupVersion": "v2",
            "networkBackend": "netavark",
            "ociRuntime": { "name": "crun" },
            "serviceIsRemote": false,
            "security": { "rootless": false },
        },
        "store": { "graphDriverName": "overlay", "graphRoot": "/" },
        "version": { "APIVersion": version, "Version": version },
    })))
}

pub fn containers(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &["--format"], &["--all"]);
    assert_eq!(options.one("--format"), Some("json"));
    assert!(options.has("--all"), "stopped containers count, too");
    let [] = options.exactly();
    let state = store.read();
    let listed: Vec<Value> = state
        .containers
        .iter()
        .map(|(name, container)| listed(name, container))
        .collect();
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
        "Ports": null,
        "Size": null,
        // What Go makes of a time that was never set.
        "StartedAt": if container.starts == 0 { -62_135_596_800 } else { container.started_at },
        "State": container.state,
        "Status": "",
    })
}

pub fn container_inspect(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let state = store.read();
    let mut inspected = Vec::new();
    for name in &options.operands {
        let Some(container) = state.containers.get(name) else {
            return Err((125, format!("no such container {name}")));
        };
        let networks = container.networks.iter().map(|(network, address)| {
            let address = address.clone().unwrap_or_else(|| "10.250.0.9".to_owned());
            (network.clone(), json!({ "IPAddress": address }))
        });
        let networks: serde_json::Map<String, Value> = networks.collect();
        inspected.push(json!({ "Name": name, "NetworkSettings": { "Networks": networks } }));
    }
    Ok(pretty(&json!(inspected)))
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
        .expect("a bound")
        .parse()
        .expect("a number");
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

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
