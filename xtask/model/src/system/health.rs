//! How agents are asked for their health: the manifest's keys for it, what can
//! be wrong with them, and the contract that they amount to.
//!
//! The whole way from text to value is in this one file, so that a contract is
//! added in one place. It is plain data: the asking itself needs sockets, and
//! belongs to the crate `health`, which this one must not use.

use diagnostics::located::{
    problem::Problems,
    reader::{At, Fields},
    value::{list, text},
};
use serde::Serialize;

/// What agents really answer to, then the plan's plain text.
const DEFAULT_REQUESTS: [&str; 2] = [r#"{"action": "health_check"}"#, "health"];

/// How one agent is asked for its health. Plans have what is sent, whatever the
/// contract is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(into = "Vec<String>")]
pub enum HealthContract {
    /// A ZeroMQ reply socket listens on the health port.
    ZeroMq {
        /// Sent in this order, until one is understood; at least one.
        requests: Vec<String>,
    },
}

impl HealthContract {
    /// What is sent to the health port, as people would write it, in the order
    /// in which it is tried.
    pub fn requests(&self) -> Vec<String> {
        match self {
            HealthContract::ZeroMq { requests } => requests.clone(),
        }
    }
}

impl Default for HealthContract {
    /// What is asked unless the manifest says otherwise.
    fn default() -> Self {
        HealthContract::ZeroMq {
            requests: DEFAULT_REQUESTS.map(str::to_owned).to_vec(),
        }
    }
}

impl From<HealthContract> for Vec<String> {
    fn from(contract: HealthContract) -> Self {
        contract.requests()
    }
}

/// The keys as they are written, of a group or an agent.
#[derive(Debug)]
pub struct HealthKeys {
    requests: Option<At<Vec<At<String>>>>,
}

/// Decodes the keys.
pub fn keys(fields: &mut Fields<'_, '_>) -> HealthKeys {
    HealthKeys {
        requests: fields.optional("health_requests", list(text)),
    }
}

/// Reports keys that make no sense; `own` are the agent's, `shared` its group's.
pub fn check(own: &HealthKeys, shared: &HealthKeys, problems: &mut Problems) {
    if let Some(requests) = requests(own, shared)
        && requests.is_empty()
    {
        problems.report(
            &requests.at,
            "`health_requests` is empty, so that health is never asked",
            "remove it to use the default requests",
        );
    }
}

/// The contract that checked keys amount to; the agent's go before its group's.
pub fn contract(own: &HealthKeys, shared: &HealthKeys) -> HealthContract {
    let Some(requests) = requests(own, shared) else {
        return HealthContract::default();
    };
    HealthContract::ZeroMq {
        requests: requests.iter().map(|one| one.value.clone()).collect(),
    }
}

fn requests<'k>(own: &'k HealthKeys, shared: &'k HealthKeys) -> Option<&'k At<Vec<At<String>>>> {
    own.requests.as_ref().or(shared.requests.as_ref())
}
