//! How an agent can be asked for its health: one variant, and one module that
//! does the asking, for each way.
//!
//! Asking begins where a plain TCP connection has just been made and closed
//! again, and ends with an `Answer` within the time that is left.

mod zeromq;

use std::net::SocketAddr;

use tokio::time::Instant;

use super::{
    finding::ProbeFinding,
    reply::{Verdict, complaints, excerpt, judge},
};

/// What an agent promises to do at its health port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contract {
    /// A ZeroMQ reply socket listens there.
    ZeroMq {
        /// Tried in order until one is understood; at least one.
        requests: Vec<String>,
    },
}

/// How long asking may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Until a question can be put.
    pub connect_by: Instant,
    /// From then on.
    pub reply_ms: u64,
}

/// What asking led to.
#[derive(Debug)]
pub(super) struct Answer {
    pub finding: ProbeFinding,
    pub reply: Option<String>,
    pub complaints: Vec<(String, String)>,
}

impl Contract {
    /// Asks at an address where somebody listens.
    pub(super) async fn ask(&self, address: SocketAddr, limits: Limits) -> Answer {
        match self {
            Contract::ZeroMq { requests } => zeromq::ask(address, requests, limits).await,
        }
    }

    /// What to make of bytes that nothing could be made of.
    pub(super) fn unreadable(&self) -> ProbeFinding {
        match self {
            Contract::ZeroMq { .. } => ProbeFinding::NotZeroMq,
        }
    }
}

impl Answer {
    /// What a reply amounts to, whatever way it came.
    fn of_reply(reply: &[u8]) -> Answer {
        Answer {
            finding: match judge(reply) {
                Verdict::Healthy => ProbeFinding::Healthy,
                Verdict::Answering => ProbeFinding::NotJson,
                Verdict::NotUnderstood => ProbeFinding::NotUnderstood,
                Verdict::NotReady => ProbeFinding::NotReady,
                Verdict::Unhealthy => ProbeFinding::NotHealthy,
            },
            reply: Some(excerpt(reply)),
            complaints: complaints(reply),
        }
    }
}

impl From<ProbeFinding> for Answer {
    /// No reply, and why.
    fn from(finding: ProbeFinding) -> Answer {
        Answer {
            finding,
            reply: None,
            complaints: Vec::new(),
        }
    }
}
