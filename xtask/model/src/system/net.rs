//! How the agents of a group are connected.

use serde::Serialize;

/// What the containers of a group are attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    /// Own addresses on these networks.
    Bridge {
        /// The group's own network.
        own: Option<String>,
        /// The network that all groups share.
        backbone: Option<String>,
    },
    /// The host's network namespace, for code that hard-codes localhost.
    Host,
    /// One namespace shared by the agents of the group (a podman pod), for code
    /// that hard-codes localhost but must not see the host's ports.
    Pod,
}

impl Net {
    /// Whether agents have addresses of their own.
    pub fn is_bridge(&self) -> bool {
        matches!(self, Net::Bridge { .. })
    }

    /// The group's own network.
    pub fn own(&self) -> Option<&String> {
        match self {
            Net::Bridge { own, .. } => own.as_ref(),
            Net::Host | Net::Pod => None,
        }
    }

    /// The network that all groups share.
    pub fn backbone(&self) -> Option<&String> {
        match self {
            Net::Bridge { backbone, .. } => backbone.as_ref(),
            Net::Host | Net::Pod => None,
        }
    }

    /// Networks to join, the group's own first.
    pub fn joined(&self) -> impl Iterator<Item = &String> {
        self.own().into_iter().chain(self.backbone())
    }
}
