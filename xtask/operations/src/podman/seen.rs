//! What those who read logs need to know of containers, in one call for all of
//! them: who they are, whether they run, how they ended, where their logs are.

use std::{collections::BTreeMap, path::PathBuf};

use model::plan::label;
use serde_json::Value;

use super::{
    clock::nanos,
    log_file,
    run::{Call, Podman, PodmanError},
};

/// One container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    /// The system that it was made for.
    pub system: Option<String>,
    pub running: bool,
    /// Process id on the host; 0 if not running.
    pub pid: u32,
    pub exit_code: i32,
    /// When it was last started, in nanoseconds since 1970.
    pub started: Option<i64>,
    /// When it last ended.
    pub finished: Option<i64>,
    /// The file with its log; `None` with a driver of another kind.
    pub log: Option<PathBuf>,
}

/// Those of the containers that exist, by name.
///
/// # Errors
/// podman failed, for another reason than that one does not exist.
pub fn look(podman: &Podman, names: &[&str]) -> Result<BTreeMap<String, Seen>, PodmanError> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut args = vec!["container", "inspect"];
    args.extend(names);
    let call = Call::look("look at the agents' containers", &args);
    // podman tells what it has found before it fails because of the others.
    let output = podman.probe(&call)?;
    let found: Option<Vec<Value>> = serde_json::from_str(&output.stdout).ok();
    match found {
        Some(found) => Ok(found.iter().filter_map(seen).collect()),
        None if output.stderr.contains("no such container") => Ok(BTreeMap::new()),
        // Fails in the same way, and says how.
        None => podman.json::<Vec<Value>>(&call).map(|_| BTreeMap::new()),
    }
}

/// How the container last ended, as podman's events tell; a restart wipes it from
/// the container.
pub fn last_exit(podman: &Podman, id: &str, since_s: i64) -> Option<i32> {
    let (since, container) = (since_s.to_string(), format!("container={id}"));
    let mut args = vec!["events", "--stream=false", "--since", &since];
    args.extend(["--filter", &container, "--filter", "event=died"]);
    args.extend(["--format", "json"]);
    let output = podman
        .run(&Call::look("read podman's events", &args))
        .ok()?;
    let events = output.stdout.lines().rev();
    let mut codes = events.filter_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        event.get("ContainerExitCode")?.as_i64()
    });
    codes.next().and_then(|code| i32::try_from(code).ok())
}

fn seen(inspected: &Value) -> Option<(String, Seen)> {
    let text = |path: &str| inspected.pointer(path).and_then(Value::as_str);
    let number = |path: &str| inspected.pointer(path).and_then(Value::as_i64);
    let labels = inspected.pointer("/Config/Labels");
    let system = labels.and_then(|labels| labels.get(label::SYSTEM)?.as_str());
    let status = text("/State/Status").unwrap_or_default();
    let found = Seen {
        id: text("/Id")?.to_owned(),
        system: system.map(str::to_owned),
        running: ["running", "paused", "stopping"].contains(&status),
        pid: number("/State/Pid").map_or(0, |pid| u32::try_from(pid).unwrap_or(0)),
        exit_code: number("/State/ExitCode").map_or(0, |code| i32::try_from(code).unwrap_or(-1)),
        started: text("/State/StartedAt").and_then(nanos),
        finished: text("/State/FinishedAt").and_then(nanos),
        log: log_file::path(inspected),
    };
    Some((text("/Name")?.to_owned(), found))
}
