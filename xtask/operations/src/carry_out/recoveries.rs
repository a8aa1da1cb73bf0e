//! Starts a container, and knows the two failures of a start that have another
//! cause than they say: a port that somebody else holds, and an address that a
//! container that is gone still leases.

use std::time::Duration;

use model::plan::Action;

use crate::{
    carry_out::report::Reason,
    host::ports,
    podman::{Engine, PodmanError, argv, run::Call},
};

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
