//! One system, one checkout: another one with the same name takes it over only
//! when it is told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use diagnostics::{Exit, Failure};
use model::{
    plan::{Plan, State, Workload, elsewhere},
    system::System,
};

use crate::ui::Ui;

/// Containers that a message names.
const NAMED_MAX: usize = 6;

/// Our containers that another manifest has deployed; it may be the same by
/// another path.
pub fn elsewhere(system: &System, state: &State) -> BTreeMap<String, PathBuf> {
    let own = fs::canonicalize(&system.manifest).ok();
    let mut found = elsewhere::by_path(system, state);
    found.retain(|_, manifest| own.is_none() || fs::canonicalize(manifest).ok() != own);
    found
}

/// Fails if `plan` would change what another checkout has deployed, unless that
/// is gone or `asked` for.
pub fn judge(
    ui: Ui,
    system: &System,
    state: &State,
    plan: &Plan,
    asked: bool,
) -> Result<(), Failure> {
    refuse(ui, system, elsewhere::touched(state, plan), asked)
}

/// The same before anything is planned: whatever is done to `agents`.
pub fn judge_agents(
    ui: Ui,
    system: &System,
    state: &State,
    agents: &BTreeSet<String>,
    asked: bool,
) -> Result<(), Failure> {
    let mut touched = elsewhere(system, state);
    touched.retain(|name, _| {
        let workload = Workload::of(&state.containers[name]);
        workload.is_some_and(|of| agents.contains(of.name()))
    });
    refuse(ui, system, touched, asked)
}

fn refuse(
    ui: Ui,
    system: &System,
    touched: BTreeMap<String, PathBuf>,
    asked: bool,
) -> Result<(), Failure> {
    let Some(from) = touched.values().next() else {
        return Ok(());
    };
    let (name, from, here) = (&system.name, from.display(), system.manifest.display());
    // Seen from here, a folder of another machine never exists.
    let live = touched.values().any(|manifest| manifest.exists());
    if asked || !live {
        let why = if live { "" } else { ", which is gone" };
        ui.note(format!("taking `{name}` over: deployed from {from}{why}"));
        return Ok(());
    }
    let message = format!("`{name}` was deployed from {from}, and you are in {here}");
    let mut names: Vec<&str> = touched.keys().map(String::as_str).collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Failure::new(Exit::Conflict, message)
        .detail([format!("this would change {}{more}", names.join(", "))])
        .hint("run it over there; `--take-over` makes these containers this checkout's; two systems on one host need different names (`[system] name`)"))
}
