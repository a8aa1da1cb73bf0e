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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_asked_on_loopback_as_the_manifest_says() {
        let requests = vec!["ping".to_owned(), "health".to_owned()];
        let asked = target(&Gate {
            agent: "Alpha".into(),
            container: "alpha".into(),
            host_health_port: 9001,
            health_port: 7001,
            health: HealthContract::ZeroMq {
                requests: requests.clone(),
            },
            timeout_ms: 60_000,
            attempts: 2,
            restarts: true,
            stop_timeout_s: 5,
            unanswered: model::plan::step::Unanswered::Fail,
        });
        assert_eq!(asked.address.to_string(), "127.0.0.1:9001");
        assert_eq!(asked.contract, Contract::ZeroMq { requests });
    }
}
