//! A round of questions to the agents.

use operations::{
    results::{AgentStatus, Round},
    ui::{Paint, Ui, table},
};

/// A line for each agent, and how many are healthy.
pub fn show(ui: &Ui, round: &Round) {
    if ui.json_wanted() {
        ui.json("health-check", round);
        return;
    }
    let mut rows = vec![
        ["AGENT", "STATUS", "LATENCY", "DETAIL"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(round.agents.iter().map(|row| {
        let latency = row
            .latency_ms
            .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
        let detail = row.reason.clone().unwrap_or_default();
        vec![row.name.clone(), painted(ui, row.status), latency, detail]
    }));
    for line in table::render(&rows) {
        ui.out(line);
    }
    ui.out(format!(
        "{} of {} agents healthy, asked in {:.1} ms",
        round.healthy, round.total, round.probe_ms
    ));
}

/// The status in its colour.
pub fn painted(ui: &Ui, status: AgentStatus) -> String {
    let paint = match status {
        AgentStatus::Healthy => Paint::Good,
        AgentStatus::Answering => Paint::Warn,
        AgentStatus::Missing => Paint::Dim,
        _ => Paint::Bad,
    };
    ui.paint(paint, status.as_str())
}
