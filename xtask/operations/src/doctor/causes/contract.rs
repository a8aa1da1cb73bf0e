//! What depends on how an agent is asked for its health: whom the probe met, and
//! what should have been there. The one place where `doctor` tells contracts
//! apart.

use health::ProbeFinding;
use model::system::HealthContract;

use crate::doctor::evidence::AgentEvidence;

/// Whom the probe met at the health port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// Not a word came back.
    Nobody,
    /// Something that does not do what the contract says.
    Stranger,
    /// The agent, for all that is known.
    Agent,
}

/// Whom the probe met; none if nobody was asked.
pub fn met(agent: &AgentEvidence) -> Option<Met> {
    Some(match agent.exchange.finding? {
        ProbeFinding::Refused
        | ProbeFinding::ClosedAtOnce
        | ProbeFinding::Unreachable
        | ProbeFinding::NoConnection
        | ProbeFinding::NoHandshake => Met::Nobody,
        ProbeFinding::NotZeroMq | ProbeFinding::NotReplySocket | ProbeFinding::HandshakeEnded => {
            Met::Stranger
        }
        ProbeFinding::Healthy
        | ProbeFinding::NotJson
        | ProbeFinding::NotUnderstood
        | ProbeFinding::NotReady
        | ProbeFinding::NotHealthy
        | ProbeFinding::ClosedWithoutReply
        | ProbeFinding::NoReply
        | ProbeFinding::OutOfTime
        | ProbeFinding::Interrupted => Met::Agent,
    })
}

/// Whether its health port does its part when it is tried inside the container.
pub fn answers_inside(agent: &AgentEvidence) -> bool {
    let inside = agent.inside.seen();
    let Some(own_port) = inside.and_then(|inside| inside.own_port.as_ref()) else {
        return false;
    };
    match agent.wanted.health {
        // Both sides of ZeroMQ start with a greeting.
        HealthContract::ZeroMq { .. } => own_port.greets,
    }
}

/// What has to listen on its health port.
pub fn expected_listener(agent: &AgentEvidence) -> &'static str {
    match agent.wanted.health {
        HealthContract::ZeroMq { .. } => "REP socket",
    }
}

/// The manifest's key for what is asked.
pub fn key(agent: &AgentEvidence) -> &'static str {
    match agent.wanted.health {
        HealthContract::ZeroMq { .. } => "health_requests",
    }
}
