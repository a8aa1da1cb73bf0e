//! How an agent fares, from its container and the probe of its health port.

use health::{self, Probe, ProbeOutcome};
use model::plan::state::{Container, Status};
use serde::Serialize;

use crate::host::ports;

/// How an agent fared; the words of `health-check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// A good JSON reply.
    Healthy,
    /// A reply that is not JSON: alive, health unknown.
    Answering,
    /// A JSON reply that is not good, or something that is no ZeroMQ reply socket.
    Unhealthy,
    /// Nobody listens, or the connection was closed without a word.
    Refused,
    /// The connection or the reply did not come in time.
    Timeout,
    /// The process listens, but not on its health port.
    WrongPort,
    /// The container has exited, or was never started.
    Exited,
    /// There is no container.
    Missing,
}

impl AgentStatus {
    /// Its word in tables: that of JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            AgentStatus::Healthy => "healthy",
            AgentStatus::Answering => "answering",
            AgentStatus::Unhealthy => "unhealthy",
            AgentStatus::Refused => "refused",
            AgentStatus::Timeout => "timeout",
            AgentStatus::WrongPort => "wrong_port",
            AgentStatus::Exited => "exited",
            AgentStatus::Missing => "missing",
        }
    }
}

/// The agent's status from its container and the probe of its health port,
/// with the reason in words.
pub fn judge(
    health_port: u16,
    container: Option<&Container>,
    probe: Option<&Probe>,
) -> (AgentStatus, String) {
    let Some(container) = container else {
        return (AgentStatus::Missing, "has no container".to_owned());
    };
    match container.status {
        Status::Running => {}
        Status::Created | Status::Initialized => {
            return (AgentStatus::Exited, "was never started".to_owned());
        }
        Status::Paused => return (AgentStatus::Exited, "is paused".to_owned()),
        Status::Stopping => return (AgentStatus::Exited, "is being stopped".to_owned()),
        Status::Lost => return (AgentStatus::Exited, "its process is gone".to_owned()),
        Status::Exited => {
            let reason = format!("exited with {}", exit_words(container.exit_code));
            return (AgentStatus::Exited, reason);
        }
        Status::Other => {
            return (
                AgentStatus::Exited,
                "is neither running nor exited".to_owned(),
            );
        }
    }
    let Some(probe) = probe else {
        return (AgentStatus::Timeout, "could not be asked".to_owned());
    };
    let status = match probe.outcome {
        ProbeOutcome::Healthy => AgentStatus::Healthy,
        ProbeOutcome::Answering => AgentStatus::Answering,
        ProbeOutcome::Unhealthy => AgentStatus::Unhealthy,
        ProbeOutcome::Refused => AgentStatus::Refused,
        ProbeOutcome::Timeout => AgentStatus::Timeout,
    };
    // A published port accepts connections that nobody inside answers, so
    // only the kernel's table tells silence from the wrong port.
    if matches!(status, AgentStatus::Refused | AgentStatus::Timeout)
        && let Some(listening) = ports::listening(container.pid)
        && !listening.contains(&health_port)
    {
        if listening.is_empty() {
            return (
                AgentStatus::Refused,
                format!("listens on no port (expected {health_port})"),
            );
        }
        let ports: Vec<String> = listening.iter().map(u16::to_string).collect();
        let reason = format!("listens on {}, not on {health_port}", ports.join(" and "));
        return (AgentStatus::WrongPort, reason);
    }
    (status, describe(probe))
}

/// An exit code with what it usually stands for.
pub fn exit_words(code: i32) -> String {
    let meaning = match code {
        // podman's word for what nobody has seen.
        -1 => " (unknown: the process that watched it ended, too)",
        126 => " (the command cannot be run)",
        127 => " (the command was not found)",
        137 => " (killed: SIGKILL, often out of memory)",
        139 => " (crashed: SIGSEGV)",
        143 => " (ended: SIGTERM)",
        _ => "",
    };
    format!("code {code}{meaning}")
}

pub fn describe(probe: &Probe) -> String {
    let words = format!("{}, {}", probe.outcome.as_str(), probe.finding);
    match &probe.reply {
        None => words,
        Some(reply) => format!("{words}: {reply}"),
    }
}

#[cfg(test)]
mod tests;
