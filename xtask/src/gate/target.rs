//! Where and how an agent is asked: what the manifest says, in the terms of those
//! who ask. The one place that knows the contracts of both.

use std::net::{Ipv4Addr, SocketAddr};

use health::{Contract, Target};
use model::{plan::Gate, system::HealthContract};

/// The agent behind a gate, to be asked from this host.
pub fn target(gate: &Gate) -> Target {
    Target {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, gate.host_health_port)),
        contract: contract(&gate.health),
    }
}

fn contract(wanted: &HealthContract) -> Contract {
    match wanted {
        HealthContract::ZeroMq { requests } => Contract::ZeroMq {
            requests: requests.clone(),
        },
    }
}
