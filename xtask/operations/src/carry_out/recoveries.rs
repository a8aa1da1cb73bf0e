//! Creates, starts, stops and removes a container, and knows the failures that have another cause
//! than they say: a port that somebody else holds, an address that a container
//! that is gone still leases, and a stop whose container has ended.

use std::time::Duration;

use model::plan::{
    Action,
    state::{Container, Status},
};

use crate::{
    carry_out::{report::Reason, watcher::Watcher},
    host::ports,
    podman::{
        Engine, PodmanError, argv, observe,
        run::{Call, STOP_GRACE_MS},
    },
};

/// A creation takes a second or two, and less than ten beside many others on a slow
/// host.
const CREATE_DEADLINE_MS: u64 = 60_000;

/// Creates a container. A creation that stands still while podman answers others
/// waits for a lock, as a rule (`podman::caps::VOLUMES_DEADLOCK`): what it has left
/// is removed, and it is tried once more.
pub fn create(
    engine: &Engine,
    action: &Action,
    container: &str,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), Reason> {
    let podman = &engine.podman;
    let args = argv::render(action, &engine.quirks).expect("a creation is one call");
    let mut call = Call::change(action.words().purpose, args);
    if engine.facts.storage_driver == "overlay" {
        // It copies no image.
        call = call.deadline_ms(CREATE_DEADLINE_MS);
    }
    let Err(error) = podman.run(&call) else {
        return Ok(());
    };
    if !error.stood_still() || podman.cancel.requested() {
        return Err(error.into());
    }
    say(&format!("{error}; removing what is left, and trying again"));
    let left = ["rm", "--force", container].map(str::to_owned).to_vec();
    podman.probe(&Call::change("remove what a creation left", left))?;
    podman.run(&call)?;
    Ok(())
}

pub fn start(
    engine: &Engine,
    action: &Action,
    container: &str,
    host_ports: &[u16],
) -> Result<(), Reason> {
    let podman = &engine.podman;
    let args = argv::render(action, &engine.quirks).expect("a start is one call");
    let call = Call::change(action.words().purpose, args);
    let Err(error) = podman.run(&call) else {
        return Ok(());
    };
    let text = match &error {
        PodmanError::Failed { stderr, .. } => stderr.join("\n"),
        _ => String::new(),
    };
    if text.contains("address already in use") {
        // podman names the port in a way that differs by version and network
        // tool; the kernel's table is the same everywhere.
        let taken = host_ports
            .iter()
            .find_map(|port| Some((*port, ports::owner(*port)?)));
        let named = |port: &&u16| text.contains(&format!(":{port}"));
        let port = taken.as_ref().map(|(port, _)| *port);
        if let Some(port) = port.or_else(|| host_ports.iter().find(named).copied()) {
            return Err(Reason::PortTaken {
                port,
                owner: taken.map(|(_, owner)| owner),
            });
        }
    }
    if text.contains("already allocated") {
        // A lease of a container that is gone (podman issues 15708, 25422):
        // cleaning the container up frees what it can; then once more.
        let args = ["container", "cleanup", container]
            .map(str::to_owned)
            .to_vec();
        podman.probe(&Call::change("free a stale address", args))?;
        std::thread::sleep(Duration::from_millis(200));
        podman.run(&call)?;
        return Ok(());
    }
    Err(error.into())
}

/// Stops a container. podman fails where the process that watched the container
/// was killed with it, and has noted by then that it is stopped.
pub fn stop(
    engine: &Engine,
    action: &Action,
    container: &str,
    timeout_s: u32,
) -> Result<(), Reason> {
    let podman = &engine.podman;
    let args = argv::render(action, &engine.quirks).expect("a stop is one call");
    let call = Call::change(action.words().purpose, args)
        .deadline_ms(u64::from(timeout_s) * 1_000 + STOP_GRACE_MS);
    let Err(error) = podman.run(&call) else {
        return Ok(());
    };
    let stopped = |found: &Container| {
        let ended = podman.remote || found.pid == 0 || process::has_ended(found.pid);
        found.status == Status::Exited && ended
    };
    match observe::containers(&podman.undisturbed()) {
        Ok(seen) if !error.timed_out() && seen.get(container).is_some_and(stopped) => Ok(()),
        _ => Err(error.into()),
    }
}

/// Removes a container, and sees to it that the process that it had when it was
/// listed is gone with it. A younger process of that id is another one.
pub fn remove(
    engine: &Engine,
    watcher: &Watcher,
    action: &Action,
    container: &str,
    pid: Option<u32>,
) -> Result<(), Reason> {
    let podman = &engine.podman;
    let args = argv::render(action, &engine.quirks).expect("a removal is one call");
    podman.run(&Call::change(action.words().purpose, args))?;
    let survives = |pid: &u32| {
        let age = process::age(*pid);
        !podman.remote && age.is_some_and(|age| age > watcher.age())
    };
    match pid.filter(survives) {
        Some(pid) => Err(Reason::Survives {
            container: container.to_owned(),
            pid,
        }),
        None => Ok(()),
    }
}
