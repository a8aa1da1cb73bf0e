//! One bulk view of every agent.

use diagnostics::excerpt::printable;
use operations::{
    results::{AgentRow, Configuration, Fleet},
    ui::{Ui, table},
};

use super::health::painted;

/// A line for each agent, and what of ours the manifest does not know.
pub fn show(ui: &Ui, fleet: &Fleet) {
    if ui.json_wanted() {
        ui.json("status", fleet);
        return;
    }
    let titles = [
        "AGENT",
        "GROUP",
        "STATE",
        "HEALTH",
        "UP",
        "CONFIG",
        "ADDRESS",
        "PORTS ON 127.0.0.1",
    ];
    let mut lines = vec![titles.map(str::to_owned).to_vec()];
    lines.extend(fleet.agents.iter().map(|row| {
        let state = match row.exit_code {
            Some(code) => format!("exited ({code})"),
            None => row.state.as_str().to_owned(),
        };
        let ports: Vec<String> = row
            .ports
            .iter()
            .map(|(host, port)| {
                if host == port {
                    host.to_string()
                } else {
                    format!("{host}→{port}")
                }
            })
            .collect();
        vec![
            row.name.clone(),
            row.group.clone(),
            state,
            painted(ui, row.health),
            row.up.clone().unwrap_or_else(|| "-".to_owned()),
            configuration(row),
            row.ip.clone().unwrap_or_else(|| "-".to_owned()),
            ports.join(" "),
        ]
    }));
    for line in table::render(&lines) {
        ui.out(line);
    }
    tell_differences(ui, fleet);
    for orphan in &fleet.orphans {
        ui.warn(format!("container `{orphan}` is ours, but the manifest does not know its agent; `cargo xtask down` removes it"));
    }
}

/// `drifted (memory, networks)`
fn configuration(row: &AgentRow) -> String {
    let mut settings: Vec<&str> = row.differences.iter().map(|found| found.setting).collect();
    settings.dedup();
    match settings.is_empty() {
        true => row.configuration.as_str().to_owned(),
        false => format!("{} ({})", row.configuration.as_str(), settings.join(", ")),
    }
}

fn tell_differences(ui: &Ui, fleet: &Fleet) {
    let rows = || {
        fleet
            .agents
            .iter()
            .filter(|row| !row.differences.is_empty())
    };
    for row in rows() {
        for found in &row.differences {
            ui.out(format!("{}: {}", row.name, printable(&found.text)));
        }
    }
    if rows().any(|row| row.configuration == Configuration::Drifted) {
        let verify = if fleet.deep { " --verify" } else { "" };
        ui.note(format!(
            "`cargo xtask deploy{verify}` replaces containers that were changed by hand"
        ));
    }
}
