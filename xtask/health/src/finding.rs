//! What a probe can find out, and what each finding amounts to.
//!
//! Callers match variants. The words are for people, and nothing depends on
//! them; `tests/catalogue.rs` lists them.

use std::fmt;

use serde::{Serialize, Serializer};

/// What a finding amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// A good JSON reply.
    Healthy,
    /// A reply that is not JSON: alive, health unknown.
    Answering,
    /// A JSON reply that is not good, or something that is not a ZeroMQ reply
    /// socket.
    Unhealthy,
    /// Nobody listens; or the connection was closed without a word, which is
    /// what a published port does whose agent does not listen.
    Refused,
    /// The connection or the reply did not come within the budget.
    Timeout,
}

/// What one probe found out. `Display` says it in a few words that fit after
/// the outcome: `not ready yet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeFinding {
    /// A good reply.
    Healthy,
    /// A reply, but not in JSON.
    NotJson,
    /// A reply that complains about the request, not about the agent.
    NotUnderstood,
    /// A reply whose `ready` is given and is not `true`.
    NotReady,
    /// A JSON reply that says anything else.
    NotHealthy,
    /// Nobody listens.
    Refused,
    /// The other side closed the connection before it said anything.
    ClosedAtOnce,
    /// The other side closed the connection after it had been asked.
    ClosedWithoutReply,
    /// The connection failed in another way.
    Unreachable,
    /// The connection did not come within the budget.
    NoConnection,
    /// A connection, and then not a word.
    NoHandshake,
    /// Asked, and not answered within the budget.
    NoReply,
    /// A wait ended before its first probe did.
    OutOfTime,
    /// The caller gave up.
    Interrupted,
    /// Something other than ZeroMQ came over the connection.
    NotZeroMq,
    /// ZeroMQ, but a socket that answers no requests.
    NotReplySocket,
    /// ZeroMQ, but the other side left in the middle of the handshake, as it
    /// does when it wants encryption or a password.
    HandshakeEnded,
}

impl ProbeOutcome {
    /// The word that JSON output and tables use.
    pub fn as_str(self) -> &'static str {
        match self {
            ProbeOutcome::Healthy => "healthy",
            ProbeOutcome::Answering => "answering",
            ProbeOutcome::Unhealthy => "unhealthy",
            ProbeOutcome::Refused => "refused",
            ProbeOutcome::Timeout => "timeout",
        }
    }
}

impl Serialize for ProbeOutcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl ProbeFinding {
    /// What it amounts to.
    pub fn outcome(self) -> ProbeOutcome {
        match self {
            ProbeFinding::Healthy => ProbeOutcome::Healthy,
            ProbeFinding::NotJson => ProbeOutcome::Answering,
            ProbeFinding::NotUnderstood
            | ProbeFinding::NotReady
            | ProbeFinding::NotHealthy
            | ProbeFinding::NotZeroMq
            | ProbeFinding::NotReplySocket
            | ProbeFinding::HandshakeEnded => ProbeOutcome::Unhealthy,
            ProbeFinding::Refused
            | ProbeFinding::ClosedAtOnce
            | ProbeFinding::ClosedWithoutReply
            | ProbeFinding::Unreachable => ProbeOutcome::Refused,
            ProbeFinding::NoConnection
            | ProbeFinding::NoHandshake
            | ProbeFinding::NoReply
            | ProbeFinding::OutOfTime
            | ProbeFinding::Interrupted => ProbeOutcome::Timeout,
        }
    }
}

impl fmt::Display for ProbeFinding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ProbeFinding::Healthy => "says it is healthy",
            ProbeFinding::NotJson => "replies, but not in JSON",
            ProbeFinding::NotUnderstood => "request not understood",
            ProbeFinding::NotReady => "not ready yet",
            ProbeFinding::NotHealthy => "does not say it is healthy",
            ProbeFinding::Refused => "connection refused",
            ProbeFinding::ClosedAtOnce => "connection closed at once",
            ProbeFinding::ClosedWithoutReply => "connection closed without a reply",
            ProbeFinding::Unreachable => "cannot be connected to",
            ProbeFinding::NoConnection => "no connection in time",
            ProbeFinding::NoHandshake => "no ZeroMQ handshake in time",
            ProbeFinding::NoReply => "no reply in time",
            ProbeFinding::OutOfTime => "out of time",
            ProbeFinding::Interrupted => "interrupted",
            ProbeFinding::NotZeroMq => "does not speak ZeroMQ",
            ProbeFinding::NotReplySocket => "not a ZeroMQ reply socket",
            ProbeFinding::HandshakeEnded => "ended the ZeroMQ handshake",
        })
    }
}

impl Serialize for ProbeFinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
