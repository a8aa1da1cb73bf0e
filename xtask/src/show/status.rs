//! One bulk view of every agent.

use operations::{
    results::Fleet,
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
            row.configuration.as_str().to_owned(),
            row.ip.clone().unwrap_or_else(|| "-".to_owned()),
            ports.join(" "),
        ]
    }));
    for line in table::render(&lines) {
        ui.out(line);
    }
    for orphan in &fleet.orphans {
        ui.warn(format!("container `{orphan}` is ours, but the manifest does not know its agent; `cargo xtask down` removes it"));
    }
}
