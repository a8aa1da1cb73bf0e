//! Verbs that change something, with podman's refusals where they matter.

use std::{
    collections::BTreeMap,
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    Answer,
    fault::Fault,
    options::{Options, parse},
    secrets,
    store::{Container, Image, Network, State, Store, id_of, now_s},
};

/// Far above every real process id: a test must not look into a stranger.
const FIRST_PID: u32 = 1 << 23;

pub fn network_create(store: &Store, args: &[String]) -> Answer {
    let valued = ["--driver", "--subnet", "--ip-range", "--opt", "--label"];
    let options = parse(args, &valued, &["--internal"]);
    let [name] = options.exactly();
    assert_eq!(options.one("--driver"), Some("bridge"));
    let network = Network {
        subnet: options.one("--subnet").expect("a subnet").to_owned(),
        ip_range: options.one("--ip-range").map(str::to_owned),
        internal: options.has("--internal"),
        options: options.pairs("--opt").collect(),
        labels: options.pairs("--label").collect(),
    };
    store.change(|state| {
        if state.networks.contains_key(name) {
            let why = format!("network name {name} already used: network already exists");
            return Err((125, why));
        }
        if state
            .networks
            .values()
            .any(|other| other.subnet == network.subnet)
        {
            let why = format!(
                "subnet {} is already used on the host or by another config",
                network.subnet
            );
            return Err((125, why));
        }
        state.networks.insert(name.to_owned(), network);
        Ok(format!("{name}\n"))
    })
}

pub fn network_rm(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let [name] = options.exactly();
    store.change(|state| {
        let used = state.containers.values().any(|found| found.networks.contains_key(name));
        if used {
            let why = format!("\"{name}\" has associated containers with it. Use -f to forcefully delete containers and pods: network is being used");
            return Err((2, why));
        }
        match state.networks.remove(name) {
            Some(_) => Ok(format!("{name}\n")),
            None => Err((1, format!("unable to find network with name or ID {name}: network not found"))),
        }
    })
}

pub fn network_reload(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let [name] = options.exactly();
    match store.read().containers.get(name) {
        Some(found) if found.state == "running" => Ok(format!("{}\n", found.id)),
        _ => Err((
            125,
            format!("no container with name or ID \"{name}\" found: no such container"),
        )),
    }
}

pub fn volume_rm(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let [name] = options.exactly();
    store.change(|state| {
        if state.containers.values().any(|found| found.volumes.contains(name)) {
            return Err((2, format!("volume {name} is being used by the following container(s): volume is being used")));
        }
        match state.volumes.remove(name) {
            true => Ok(format!("{name}\n")),
            false => Err((1, format!("no volume with name \"{name}\" found: no such volume"))),
        }
    })
}

pub fn create(store: &Store, args: &[String]) -> Answer {
    let valued = [
        "--name",
        "--hostname",
        "--label",
        "--network",
        "--publish",
        "--cap-drop",
        "--cap-add",
        "--security-opt",
        "--user",
        "--memory",
        "--memory-swap",
        "--cpus",
        "--pids-limit",
        "--ulimit",
        "--restart",
        "--stop-timeout",
        "--log-driver",
        "--log-opt",
        "--env",
        "--secret",
        "--tmpfs",
        "--volume",
        "--device",
        "--group-add",
        "--pull",
    ];
    let options = parse(
        args,
        &valued,
        &["--read-only", "--init", "--http-proxy=false"],
    );
    assert_eq!(options.one("--pull"), Some("never"));
    let name = options.one("--name").expect("a name");
    let image = options.operands.first().expect("an image");
    store.change(|state| {
        let Some((image_id, found)) = state.image(image) else {
            return Err((125, format!("{image}: image not known")));
        };
        if state.half_made.contains(name) {
            return Err((125, format!("creating container storage: the container name \"{name}\" is already in use by 0: that name is already in use")));
        }
        if let Some(other) = state.containers.get(name) {
            let why = format!("creating container storage: the container name \"{name}\" is already in use by {}. You have to remove that container to be able to reuse that name: that name is already in use", other.id);
            return Err((125, why));
        }
        let networks = attachments(&options);
        if let Some(missing) = networks.keys().find(|name| !state.networks.contains_key(*name)) {
            return Err((125, format!("unable to find network with name or ID {missing}: network not found")));
        }
        secrets::given(state, &options)?;
        let mut labels = found.labels.clone();
        labels.extend(options.pairs("--label"));
        let image_id = image_id.clone();
        let volumes = volumes(&options)?;
        state.count += 1;
        let id = id_of(&format!("{name} {}", state.count));
        state.volumes.extend(volumes.iter().cloned());
        state.containers.insert(
            name.to_owned(),
            Container {
                id: id.clone(),
                image: image.clone(),
                image_id,
                labels,
                create: args.to_vec(),
                networks,
                volumes: volumes.into_iter().collect(),
                state: "created".to_owned(),
                exit_code: 0,
                started_at: 0,
                starts: 0,
                pid: 0,
                restarts: 0,
                oom_killed: false,
            },
        );
        Ok(format!("{id}\n"))
    })
}

/// `--network NAME:alias=…,ip=…`
fn attachments(options: &Options) -> BTreeMap<String, Option<String>> {
    options
        .all("--network")
        .map(|network| {
            let (name, settings) = network.split_once(':').unwrap_or((network, ""));
            let address = settings
                .split(',')
                .find_map(|setting| setting.strip_prefix("ip="));
            (name.to_owned(), address.map(str::to_owned))
        })
        .collect()
}

/// Named volumes; a folder of the host must exist.
fn volumes(options: &Options) -> Result<Vec<String>, (i32, String)> {
    let mut named = Vec::new();
    for volume in options.all("--volume") {
        let (source, _) = volume.split_once(':').expect("SOURCE:TARGET:MODE");
        if !source.starts_with('/') {
            named.push(source.to_owned());
        } else if !Path::new(source).exists() {
            return Err((125, format!("statfs {source}: no such file or directory")));
        }
    }
    Ok(named)
}

pub fn start(store: &Store, global: &[String], args: &[String], fault: Option<&Fault>) -> Answer {
    let options = parse(args, &[], &[]);
    let [name] = options.exactly();
    needs(global)?;
    store.change(|state| {
        can_be_set_up(state, name)?;
        state.count += 1;
        let pid = FIRST_PID + state.count as u32;
        let container = state.container(name, 125)?;
        // What podman takes for running is not started.
        if ["running", "stopping"].contains(&container.state.as_str()) {
            return Ok(format!("{name}\n"));
        }
        container.starts += 1;
        container.started_at = now_s();
        (container.state, container.exit_code, container.pid) = match fault {
            Some(Fault::Exit(code)) => ("exited".to_owned(), *code, 0),
            _ => ("running".to_owned(), 0, pid),
        };
        Ok(format!("{name}\n"))
    })
}

pub fn init(store: &Store, global: &[String], args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let [name] = options.exactly();
    needs(global)?;
    store.change(|state| {
        can_be_set_up(state, name)?;
        let found = state.container(name, 125)?;
        match found.state.as_str() {
            "created" | "exited" => {
                found.state = "initialized".to_owned();
                Ok(format!("{name}\n"))
            }
            other => Err((
                125,
                format!("container {} has already been created in runtime, it is {other}: container state improper", found.id),
            )),
        }
    })
}

/// Its secrets exist, and nobody has its addresses.
fn can_be_set_up(state: &mut State, name: &str) -> Result<(), (i32, String)> {
    let wanted = state.container(name, 125)?.clone();
    secrets::needed(state, &wanted.create, &wanted.id)?;
    for (other, found) in &state.containers {
        let clash = wanted.networks.iter().find(|(network, address)| {
            address.is_some() && found.networks.get(*network) == Some(*address)
        });
        let holds = ["running", "initialized"].contains(&found.state.as_str());
        if let (true, true, Some((network, Some(address)))) = (other != name, holds, clash) {
            let why = format!(
                "IPAM error: requested ip address {address} is already allocated to container ID {} on {network}",
                found.id
            );
            return Err((126, why));
        }
    }
    Ok(())
}

pub fn stop(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &["--time"], &[]);
    let [name] = options.exactly();
    let answer = store.change(|state| {
        let container = state.container(name, 125)?;
        match container.state.as_str() {
            "running" | "stopping" | "initialized" => {}
            "paused" => return Err((125, format!("container {} is running or paused, refusing to clean up: container state improper", container.id))),
            _ => return Ok(Vec::new()),
        }
        container.state = "exited".to_owned();
        container.exit_code = 0;
        container.pid = 0;
        let create = container.create.clone();
        state.stops.push((name.to_owned(), now_s()));
        Ok(create)
    });
    wait_for_silence(store, &answer?);
    Ok(format!("{name}\n"))
}

/// As far as a `stop` has come when it waits for the container's processes.
pub fn stop_half_way(store: &Store, args: &[String]) {
    let options = parse(args, &["--time"], &[]);
    let [name] = options.exactly();
    let half_way = store.change(|state| {
        state.container(name, 125)?.state = "stopping".to_owned();
        Ok(())
    });
    half_way.expect("a container");
}

/// A stopped container's ports are closed when podman's `stop` returns. Here
/// they belong to another process, the test, which sees the new state a moment
/// later; the file `agents` says that there are such ports.
fn wait_for_silence(store: &Store, create: &[String]) {
    if !store.folder().join("agents").exists() {
        return;
    }
    let published = create
        .iter()
        .filter(|word| word.starts_with("127.0.0.1:"))
        .filter_map(|word| word.rsplit_once(':'));
    for (address, _) in published {
        let end = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(address).is_ok() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

pub fn unpause(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let [name] = options.exactly();
    store.change(|state| {
        let container = state.container(name, 125)?;
        if container.state != "paused" {
            let why = format!("\"{name}\" is not paused, can't unpause: container state improper");
            return Err((125, why));
        }
        container.state = "running".to_owned();
        Ok(format!("{name}\n"))
    })
}

pub fn rename(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let [from, to] = options.exactly();
    store.change(|state| {
        state.container(from, 125)?;
        if state.containers.contains_key(to) {
            return Err((
                125,
                format!("name \"{to}\" is in use: container already exists"),
            ));
        }
        let container = state.containers.remove(from).expect("seen above");
        state.containers.insert(to.to_owned(), container);
        Ok(String::new())
    })
}

pub fn rm(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &["--time"], &["--force"]);
    let [name] = options.exactly();
    assert!(options.has("--force"), "podman would refuse a running one");
    let removed = store.change(|state| {
        state.half_made.remove(name);
        let removed = state.containers.remove(name);
        // Until 4.4: podman pull request 17040.
        if removed
            .as_ref()
            .is_some_and(|found| found.state == "stopping")
        {
            state.orphans.push(name.to_owned());
        }
        Ok(removed)
    })?;
    // With --force a container that is gone is no failure.
    let Some(removed) = removed else {
        return Ok(String::new());
    };
    // The ports of one that had stopped before may be its successor's now.
    if removed.state == "running" {
        wait_for_silence(store, &removed.create);
    }
    Ok(format!("{}\n", removed.id))
}

pub fn rmi(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let [name] = options.exactly();
    store.change(|state| {
        let Some((id, _)) = state.image(name) else {
            return Err((1, format!("{name}: image not known")));
        };
        let id = id.clone();
        if let Some(user) = state.containers.values().find(|found| found.image_id == id) {
            return Err((
                2,
                format!("image used by {}: image is in use by a container", user.id),
            ));
        }
        take_name(state, name);
        remove_nameless(state, |found, _| *found == id);
        Ok(format!("Untagged: {name}\n"))
    })
}

pub fn image_prune(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &["--filter"], &["--force"]);
    let [] = options.exactly();
    let filter = options.all("--filter").next().expect("not everybody's");
    let label = filter.strip_prefix("label=").expect("by label only");
    let (name, value) = label.split_once('=').expect("NAME=VALUE");
    store.change(|state| {
        let removed = remove_nameless(state, |_, image| {
            image.labels.get(name).is_some_and(|found| found == value)
        });
        Ok(removed.concat())
    })
}

/// The probe: nothing runs, but the options and the image must be right.
pub fn run(store: &Store, global: &[String], args: &[String]) -> Answer {
    let valued = [
        "--cap-drop",
        "--security-opt",
        "--memory",
        "--memory-swap",
        "--pids-limit",
        "--pull",
        "--ulimit",
        "--network",
        "--env",
        "--name",
        "--label",
        "--cpus",
        "--log-driver",
        "--mount",
        "--volume",
    ];
    let flags = ["--rm", "--init", "--read-only", "--http-proxy=false"];
    let options = parse(args, &valued, &flags);
    assert!(options.has("--rm"), "a container leaves nothing behind");
    needs(global)?;
    let image = options.operands.first().expect("an image");
    match store.read().image(image) {
        Some(_)
            if options
                .all("--label")
                .any(|label| label.starts_with("ai-system.test=")) =>
        {
            tests(store, options.one("--name").expect("a name"))
        }
        Some(_) => {
            let program = &options.operands[1..];
            smoke_test(store, program).unwrap_or_else(|| Ok(answer(store, program)))
        }
        None => Err((125, format!("{image}: image not known"))),
    }
}

/// A container of tests: the file of its name among `tests` of the store says
/// in its first line how it ends, and then what it prints. One passes without.
fn tests(store: &Store, name: &str) -> Answer {
    const GOOD: &str = concat!(
        "0\n",
        r#"@test {"event": "test", "id": "t.py::a", "outcome": "passed", "elapsed_s": 0.1, "message": "", "detail": ""}"#,
        "\n",
        r#"@test {"event": "end", "code": 0, "junit": "<testsuites><testsuite name=\"pytest\"></testsuite></testsuites>"}"#,
        "\n"
    );
    let text = std::fs::read_to_string(store.folder().join("tests").join(name));
    let text = text.unwrap_or_else(|_| GOOD.to_owned());
    let (code, says) = text.split_once('\n').expect("an exit code");
    print!("{says}");
    match code.parse().expect("an exit code") {
        0 => Ok(String::new()),
        code => Err((code, String::new())),
    }
}

/// Fails to import those packages that the file `broken` of the store names.
fn smoke_test(store: &Store, program: &[String]) -> Option<Answer> {
    let script = program.get(2)?;
    let broken = std::fs::read_to_string(store.folder().join("broken")).ok()?;
    let packages = program.get(3..).filter(|_| script.contains("smoke test"))?;
    let mut failed = false;
    for package in packages {
        println!("import {package}");
        if broken.lines().any(|name| name == package) {
            eprintln!("smoke test: {package}: import {package}: ImportError: it is broken");
            failed = true;
        }
    }
    Some(match failed {
        true => Err((1, String::new())),
        false => Ok(String::new()),
    })
}

/// What a program in a container prints: the file `inside` of the store if there
/// is one, else that everything imports and one package is there.
fn answer(store: &Store, program: &[String]) -> String {
    let script = program.get(2).map_or("", String::as_str);
    match std::fs::read_to_string(store.folder().join("inside")) {
        Ok(text) => text,
        Err(_) if script.contains("packages_distributions") => {
            "{\"yaml\": [\"PyYAML\"]}".to_owned()
        }
        Err(_) if script.contains("failures") => "{\"failures\": []}".to_owned(),
        Err(_) => String::new(),
    }
}

fn needs(global: &[String]) -> Result<(), (i32, String)> {
    let needed = std::env::var("FAKE_PODMAN_NEEDS").unwrap_or_default();
    if global.join(" ").contains(&needed) {
        return Ok(());
    }
    Err((
        126,
        "OCI runtime error: this host needs other options".to_owned(),
    ))
}

pub fn build(store: &Store, args: &[String], fault: Option<&Fault>) -> Answer {
    let valued = [
        "--tag",
        "--file",
        "--ignorefile",
        "--build-arg",
        "--secret",
        "--label",
        "--ulimit",
        "--env",
        "--target",
        "--timestamp",
        "--cpu-shares",
        "--network",
    ];
    let options = parse(args, &valued, &["--layers=false", "--pull=never"]);
    assert!(options.has("--pull=never"), "registries must not be asked");
    let [context] = options.exactly();
    let tag = options.one("--tag").expect("a tag");
    let file = options.one("--file").expect("a Containerfile");
    for path in [Some(file), Some(context), options.one("--ignorefile")]
        .into_iter()
        .flatten()
    {
        if !Path::new(path).exists() {
            return Err((125, format!("stat {path}: no such file or directory")));
        }
    }
    // A stage that is built ahead stands on the base.
    let from = options.one("--target").map_or("PARENT", |_| "BASE");
    let parent = options
        .pairs("--build-arg")
        .find_map(|(name, value)| (name == from).then_some(value))
        .expect("a parent");
    println!("STEP 1/2: FROM {parent}");
    let answer = store.change(|state| {
        let Some((_, below)) = state.image(&parent) else {
            return Err((
                125,
                format!("creating build container: {parent}: image not known"),
            ));
        };
        let mut labels = below.labels.clone();
        labels.extend(options.pairs("--label"));
        let layer = format!("sha256:{}", id_of(&format!("{args:?} {:?}", below.layers)));
        let layers = below.layers.iter().cloned().chain([layer]).collect();
        println!("STEP 2/2: COPY . /app/\nCOMMIT {tag}");
        let image = Image {
            labels,
            layers,
            build: args.to_vec(),
            ..Image::default()
        };
        Ok(format!("{}\n", add(state, tag, image)))
    });
    // Without something left to do, its end and what is started because of
    // this line would come in any order.
    if answer.is_ok() && matches!(fault, Some(Fault::SlowAfter(_))) {
        println!("Successfully tagged {tag}");
    }
    answer
}

pub fn import(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &["--change"], &["--quiet"]);
    let [archive, tag] = options.exactly();
    if !Path::new(archive).is_file() {
        return Err((125, format!("open {archive}: no such file or directory")));
    }
    let change = |change: &str| {
        let label = change.strip_prefix("LABEL ").expect("only labels are set");
        let (name, value) = label.split_once('=').expect("NAME=VALUE");
        (name.to_owned(), value.to_owned())
    };
    let image = Image {
        labels: options.all("--change").map(change).collect(),
        layers: vec![format!("sha256:{}", id_of(tag))],
        ..Image::default()
    };
    store.change(|state| Ok(format!("sha256:{}\n", add(state, tag, image))))
}

pub fn pull(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &["--quiet"]);
    let [reference] = options.exactly();
    let (name, tag) = match reference.split_once('@') {
        Some((name, _)) => (name, None),
        None => (
            reference.rsplit_once(':').expect("a tag").0,
            Some(reference),
        ),
    };
    let digest = id_of(name);
    if let Some((_, asked)) = reference.split_once("@sha256:") {
        assert_eq!(asked, digest, "the registry has one image only");
    }
    let image = Image {
        digests: vec![format!("{name}@sha256:{digest}")],
        layers: vec![format!("sha256:{}", id_of(&digest))],
        ..Image::default()
    };
    store.change(|state| {
        let id = image_id(&image);
        let known = state.images.entry(id.clone()).or_insert(image);
        known.names.extend(tag.map(str::to_owned));
        Ok(format!("{id}\n"))
    })
}

pub fn tag(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let [image, name] = options.exactly();
    store.change(|state| {
        let digest = |found: &Image| found.digests.iter().any(|digest| digest == image);
        let found = state.image(image).map(|(id, _)| id.clone()).or_else(|| {
            let mut all = state.images.iter();
            all.find(|(_, found)| digest(found))
                .map(|(id, _)| id.clone())
        });
        let Some(id) = found else {
            return Err((125, format!("{image}: image not known")));
        };
        take_name(state, name);
        let image = state.images.get_mut(&id).expect("found above");
        image.names.insert(name.to_owned());
        Ok(String::new())
    })
}

pub fn cleanup(store: &Store, args: &[String]) -> Answer {
    let options = parse(args, &[], &[]);
    let [name] = options.exactly();
    let id = store.read().container(name, 125)?.id.clone();
    Ok(format!("{id}\n"))
}

fn image_id(image: &Image) -> String {
    id_of(&format!("{:?} {:?}", image.layers, image.labels))
}

/// Gives the tag to a new image; its former owner stays as a dangling one.
fn add(state: &mut State, tag: &str, image: Image) -> String {
    take_name(state, tag);
    let id = image_id(&image);
    let known = state.images.entry(id.clone()).or_insert(image);
    known.names.insert(tag.to_owned());
    id
}

fn take_name(state: &mut State, tag: &str) {
    for image in state.images.values_mut() {
        image.names.remove(tag);
    }
}

/// Those of `which` go that have no name, unless a container or another image
/// stands on them; returns their ids, a line each.
fn remove_nameless(state: &mut State, which: impl Fn(&String, &Image) -> bool) -> Vec<String> {
    let mut removed = Vec::new();
    loop {
        let used = |id: &String, image: &Image| {
            let mut containers = state.containers.values();
            let mut images = state.images.iter();
            containers.any(|found| found.image_id == *id)
                || images
                    .any(|(other, found)| other != id && found.layers.starts_with(&image.layers))
        };
        let mut images = state.images.iter();
        let found = images
            .find(|(id, image)| image.names.is_empty() && which(id, image) && !used(id, image));
        let Some(id) = found.map(|(id, _)| id.clone()) else {
            return removed;
        };
        state.images.remove(&id);
        removed.push(format!("{id}\n"));
    }
}
