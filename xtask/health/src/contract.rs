//! How an agent can be asked for its health: one variant, and one module that
//! does the asking, for each way.
//!
//! Asking ends with an `Answer` within the time that is left. Where nobody listens
//! it may try until then; whoever asks finds that out by a plain TCP connection.

pub mod answer;
mod zeromq;

use std::net::SocketAddr;

use super::finding::ProbeFinding;
use crate::contract::answer::{Answer, Limits};

/// What an agent promises to do at its health port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contract {
    /// A ZeroMQ reply socket listens there.
    ZeroMq {
        /// Tried in order until one is understood; at least one.
        requests: Vec<String>,
    },
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
