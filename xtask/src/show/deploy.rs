//! The end of a deployment.

use diagnostics::words::seconds;
use operations::{
    results::{Deployment, Ended},
    ui::Ui,
};

pub fn show(ui: &Ui, deployment: &Deployment) {
    show_as(ui, "deploy", deployment);
}

/// The same of another command that deploys.
pub fn show_as(ui: &Ui, command: &str, deployment: &Deployment) {
    if ui.json_wanted() {
        ui.json(command, deployment);
    } else {
        print(ui, deployment);
    }
}

/// How many agents are healthy, and what that took.
pub fn print(ui: &Ui, deployment: &Deployment) {
    let count = |ended: Ended| {
        deployment
            .agents
            .iter()
            .filter(|agent| agent.result == ended)
            .count()
    };
    let (started, unchanged) = (count(Ended::Healthy), count(Ended::Unchanged));
    let took = seconds(deployment.elapsed_ms);
    let line = match started {
        0 => format!("nothing to do: {unchanged} agents healthy, {took}"),
        _ if deployment.settle_ms > 0 => {
            let settle = seconds(deployment.settle_ms);
            format!(
                "{} agents healthy: {started} deployed, {unchanged} unchanged, {took} and {settle} to settle",
                started + unchanged
            )
        }
        _ => format!(
            "{} agents healthy: {started} deployed, {unchanged} unchanged, {took}",
            started + unchanged
        ),
    };
    ui.out(line);
}
