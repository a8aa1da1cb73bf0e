//! What was deployed, one line for each deployment.

use std::collections::BTreeMap;

use operations::{
    results::{DeploymentRow, Difference, History, rfc3339},
    ui::{Paint, Ui, table},
};

/// The newest first.
pub fn show(ui: &Ui, history: &History) {
    if ui.json_wanted() {
        ui.json("history", history);
        return;
    }
    if history.deployments.is_empty() {
        ui.out("nothing has been deployed yet");
        return;
    }
    let head = [
        "",
        "N",
        "WHEN (UTC)",
        "COMMAND",
        "BY",
        "COMMIT",
        "IMAGES",
        "WHAT CHANGED",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(history.deployments.iter().map(|row| {
        let mut cells = cells(row);
        if row.current {
            cells[0] = ui.paint(Paint::Good, "*");
        }
        cells
    }));
    table::render(&rows)
        .into_iter()
        .for_each(|line| ui.out(line));
    ui.note(ui.paint(
        Paint::Dim,
        "* is what runs; `cargo xtask rollback N` goes back",
    ));
}

fn cells(row: &DeploymentRow) -> Vec<String> {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let there = row
        .agents
        .values()
        .filter(|agent| agent.image_there)
        .count();
    let images = match row.agents.len() - there {
        0 => "all".to_owned(),
        gone => format!("{gone} of {} gone", row.agents.len()),
    };
    let commit = row
        .commit
        .as_ref()
        .map(|commit| commit.chars().take(10).collect());
    vec![
        String::new(),
        row.number.to_string(),
        row.at_s.map_or_else(|| "-".to_owned(), date),
        known(&row.by),
        known(&row.user),
        known(&commit),
        images,
        changes(row),
    ]
}

/// `new image: A, B; added: C`
fn changes(row: &DeploymentRow) -> String {
    let mut by_kind: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (agent, difference) in &row.changes {
        let kind = match difference {
            Difference::Added => "added",
            Difference::Removed => "removed",
            Difference::Image => "new image",
            Difference::Configuration => "new configuration",
            Difference::Both => "new image and configuration",
        };
        by_kind.entry(kind).or_default().push(agent);
    }
    if by_kind.is_empty() {
        return match row.at_s {
            Some(_) => "containers made anew".to_owned(),
            None => "not known: it is not in the journal".to_owned(),
        };
    }
    let kinds = by_kind
        .into_iter()
        .map(|(kind, agents)| match agents.len() {
            0..=4 => format!("{kind}: {}", agents.join(", ")),
            count => format!("{kind}: {count} agents"),
        });
    kinds.collect::<Vec<String>>().join("; ")
}

/// `2026-01-02 03:04`, of seconds since 1970.
fn date(at_s: i64) -> String {
    let text = rfc3339(at_s);
    let (date, time) = text.split_once('T').expect("RFC 3339");
    format!("{date} {}", &time[..5])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (at_s, expected) in [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (1_767_225_599, "2025-12-31 23:59"),
            (1_796_078_422, "2026-11-30 22:40"),
        ] {
            assert_eq!(date(at_s), expected);
        }
    }
}
