//! `podman container inspect` of many, in the shape of podman 4.3.1: what the
//! words behind `create` amount to, with podman's own defaults beside.

use serde_json::{Map, Value, json};

use crate::{
    Answer,
    look::{pretty, time},
    options::parse,
    store::{Container, Store},
};

/// podman lists what it finds, and then fails for the first that it does not.
pub fn containers(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let state = store.read();
    let mut inspected = Vec::new();
    let mut missing = None;
    for name in &options.operands {
        match state.containers.get(name) {
            Some(container) => inspected.push(inspect(store, name, container)),
            None => missing = missing.or(Some(name)),
        }
    }
    let text = pretty(&json!(inspected));
    match missing {
        None => Ok(text),
        Some(name) => {
            print!("{text}");
            Err((125, format!("inspecting object: no such container {name}")))
        }
    }
}

fn inspect(store: &Store, name: &str, container: &Container) -> Value {
    let exited = container.state == "exited";
    let words = Words(&container.create);
    let started = (container.starts > 0).then_some(container.started_at);
    json!({
        "Id": container.id,
        "Name": name,
        "NetworkSettings": { "Networks": networks(container, &words) },
        "RestartCount": container.restarts,
        "BoundingCaps": words.all("--cap-add").map(|name| format!("CAP_{name}")).collect::<Vec<_>>(),
        "Mounts": mounts(&words),
        "State": {
            "ExitCode": container.exit_code,
            "Status": container.state,
            "OOMKilled": container.oom_killed,
            "Error": "",
            "Pid": container.pid,
            "StartedAt": time(started),
            "FinishedAt": time(exited.then_some(container.started_at + 1)),
        },
        "HostConfig": host(&words, &log_config(store, name)),
        "Config": {
            "Hostname": words.one("--hostname"),
            "User": words.one("--user").unwrap_or("10001:10001"),
            "Env": words
                .all("--env")
                .chain(["PATH=/opt/venv/bin:/usr/bin", "container=podman"])
                .collect::<Vec<_>>(),
            "Cmd": words.behind_image(),
            "StopTimeout": words.number("--stop-timeout"),
            "CreateCommand": container.create,
            "Labels": container.labels,
        },
    })
}

/// A file that a test has put there; otherwise the log is none.
fn log_config(store: &Store, name: &str) -> Value {
    let path = store.folder().join("ctr-logs").join(name);
    match path.exists() {
        true => json!({ "Type": "k8s-file", "Path": path }),
        false => json!({ "Type": "journald", "Path": "" }),
    }
}

fn networks(container: &Container, words: &Words<'_>) -> Map<String, Value> {
    let running = container.state == "running";
    let attached = container.networks.iter().map(|(network, address)| {
        let option = words
            .all("--network")
            .find(|option| option.split(':').next() == Some(network))
            .unwrap_or_default();
        let setting = |name: &str| {
            let settings = option.split_once(':').map_or("", |(_, settings)| settings);
            let mut settings = settings.split(',');
            settings.find_map(|setting| setting.strip_prefix(name).map(str::to_owned))
        };
        let address = address.clone().unwrap_or_else(|| "10.250.0.9".to_owned());
        let mac = setting("mac=").unwrap_or_else(|| "56:54:7f:bb:00:b1".to_owned());
        let aliases = [
            setting("alias="),
            Some(container.id.chars().take(12).collect()),
        ];
        let found = json!({
            "IPAddress": if running { address } else { String::new() },
            "MacAddress": if running { mac } else { String::new() },
            "Aliases": aliases.into_iter().flatten().collect::<Vec<_>>(),
        });
        (network.clone(), found)
    });
    attached.collect()
}

fn mounts(words: &Words<'_>) -> Vec<Value> {
    let mounts = words.all("--volume").map(|volume| {
        let parts: Vec<&str> = volume.split(':').collect();
        let [source, target, mode] = parts[..] else {
            panic!("SOURCE:TARGET:MODE, not {volume}");
        };
        let bind = source.starts_with('/');
        json!({
            "Type": if bind { "bind" } else { "volume" },
            "Name": if bind { "" } else { source },
            "Source": if bind { source.to_owned() } else { format!("/volumes/{source}/_data") },
            "Destination": target,
            "RW": mode == "rw",
        })
    });
    mounts.collect()
}

fn host(words: &Words<'_>, log: &Value) -> Value {
    let mut bindings: Map<String, Value> = Map::new();
    for published in words.all("--publish") {
        let parts: Vec<&str> = published.split(':').collect();
        let [address, host_port, port] = parts[..] else {
            panic!("ADDRESS:PORT:PORT, not {published}");
        };
        let binding = json!([{ "HostIp": address, "HostPort": host_port }]);
        bindings.insert(format!("{port}/tcp"), binding);
    }
    let restart = words.one("--restart").unwrap_or_default();
    let (policy, times) = restart.split_once(':').unwrap_or((restart, "0"));
    let memory = words.megabytes("--memory");
    let cpus: f64 = words
        .one("--cpus")
        .map_or(0.0, |cpus| cpus.parse().expect("a number"));
    let devices = words.all("--device").filter(|device| !device.contains('='));
    json!({
        "LogConfig": log,
        "NetworkMode": match words.one("--network") { Some("host") => "host", _ => "bridge" },
        "PortBindings": bindings,
        "RestartPolicy": {
            "Name": if policy == "no" { "" } else { policy },
            "MaximumRetryCount": times.parse::<u32>().expect("a number"),
        },
        "GroupAdd": words.all("--group-add").collect::<Vec<_>>(),
        "ReadonlyRootfs": words.has("--read-only"),
        "SecurityOpt": words.all("--security-opt").collect::<Vec<_>>(),
        "Memory": memory,
        "MemorySwap": match words.megabytes("--memory-swap") { 0 => 2 * memory, swap => swap },
        "CpuPeriod": 100_000,
        "CpuQuota": (cpus * 100_000.0) as i64,
        "PidsLimit": words.number("--pids-limit"),
        "Devices": devices.map(|path| json!({ "PathOnHost": path })).collect::<Vec<_>>(),
    })
}

/// The words behind `create`.
struct Words<'a>(&'a [String]);

impl<'a> Words<'a> {
    fn all(&self, option: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let option = option.to_owned();
        let pairs = self.0.windows(2).filter(move |pair| pair[0] == option);
        pairs.map(|pair| pair[1].as_str())
    }

    fn one(&self, option: &str) -> Option<&'a str> {
        self.all(option).next()
    }

    fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|word| word == flag)
    }

    fn number(&self, option: &str) -> u64 {
        self.one(option)
            .map_or(0, |text| text.parse().expect("a number"))
    }

    /// `512m` in bytes.
    fn megabytes(&self, option: &str) -> u64 {
        let number = |text: &str| text.trim_end_matches('m').parse::<u64>().expect("`512m`");
        self.one(option).map_or(0, |text| number(text) << 20)
    }

    /// The image follows `--pull never`.
    fn behind_image(&self) -> &'a [String] {
        let pull = self.0.iter().position(|word| word == "--pull");
        pull.and_then(|at| self.0.get(at + 3..)).unwrap_or_default()
    }
}
