//! Evidence as it is of an agent that is well, for tests to spoil.

use health::ProbeFinding;

use crate::{
    carry_out::AgentStatus,
    doctor::{
        evidence::{
            AgentEvidence, Evidence, Exchange, ImageState, Imports, Look, Standing, Wanted,
        },
        log,
    },
    host::{ports::Listener, usage::Usage},
    podman::inspect::{AtPath, ConnectOutcome, Details, Inside, OwnPort, PathKind, Reached},
};

/// When all of it was seen.
pub const NOW_S: i64 = 10_000;

/// An agent that is healthy; its ports are 7000 and 7001.
pub fn agent(name: &str) -> AgentEvidence {
    AgentEvidence {
        wanted: Wanted {
            name: name.to_owned(),
            container: name.to_lowercase(),
            image: "services".into(),
            asked: true,
            own_network: true,
            port: 7000,
            health_port: 7001,
            host_health_port: 7001,
            start_timeout_s: 60,
            memory_mb: 512,
            pids: 256,
            ..Wanted::default()
        },
        standing: Standing::Running {
            started_at_s: NOW_S - 1000,
        },
        details: Look::Seen(Details {
            started_at_s: Some(NOW_S - 1000),
            memory_limit_mb: 512,
            ..Details::default()
        }),
        told_to_stop: Look::NotNeeded,
        killed_for_memory: Look::NotNeeded,
        exchange: Exchange {
            status: AgentStatus::Healthy,
            reason: format!("healthy, {}", ProbeFinding::Healthy),
            finding: Some(ProbeFinding::Healthy),
            latency_ms: Some(3.0),
            reply: Some(r#"{"status": "ok"}"#.into()),
            complaints: Vec::new(),
        },
        listeners: ports(&[7000, 7001]),
        log: Look::NotNeeded,
        usage: Look::Seen(Usage {
            memory_mb: 100,
            memory_peak_mb: Some(120),
            memory_limit_mb: Some(512),
            pids: 5,
            pids_limit: Some(256),
            oom_kills: 0,
        }),
        inside: Look::Seen(Inside {
            own_port: Some(OwnPort {
                outcome: ConnectOutcome::Open,
                greets: true,
            }),
            ..Inside::default()
        }),
        sources: Vec::new(),
        image: ImageState::default(),
        configuration_changed: false,
        imports: Look::Seen(Imports::default()),
    }
}

/// All of them, and nothing else.
pub fn all(agents: &[AgentEvidence]) -> Evidence {
    Evidence {
        agents: agents.to_vec(),
        now_s: NOW_S,
    }
}

/// Listeners on all addresses.
pub fn ports(ports: &[u16]) -> Look<Vec<Listener>> {
    let listener = |port: &u16| Listener {
        port: *port,
        loopback: false,
    };
    Look::Seen(ports.iter().map(listener).collect())
}

/// A folder that this user can read, with so many files in it.
pub fn folder(files: u64) -> AtPath {
    AtPath {
        kind: PathKind::Folder,
        readable: true,
        files,
        bytes: files << 20,
        unreadable: None,
        error: None,
    }
}

impl AgentEvidence {
    /// It has ended with this code, and nobody told podman to stop it.
    pub fn exited(&mut self, code: i32) {
        self.standing = Standing::Exited { code };
        self.told_to_stop = Look::Seen(false);
        self.killed_for_memory = Look::Seen(false);
        self.listeners = Look::NotNeeded;
        self.usage = Look::NotNeeded;
        self.inside = Look::NotNeeded;
        self.log = Look::Seen(log::read(Vec::new()));
        self.answers(AgentStatus::Exited, None);
    }

    /// It is not healthy, by this finding of the probe, if it was asked.
    pub fn answers(&mut self, status: AgentStatus, finding: impl Into<Option<ProbeFinding>>) {
        let finding = finding.into();
        self.exchange = Exchange {
            status,
            reason: finding.map_or_else(String::new, |finding| finding.to_string()),
            finding,
            latency_ms: None,
            reply: None,
            complaints: Vec::new(),
        };
        if self.log == Look::NotNeeded {
            self.log = Look::Seen(log::read(Vec::new()));
        }
    }

    /// It says this about its health.
    pub fn says(&mut self, status: AgentStatus, field: &str, text: &str) {
        let reply = format!(r#"{{"status": "x", "{field}": "{text}"}}"#);
        if status != AgentStatus::Healthy {
            self.answers(status, ProbeFinding::NotHealthy);
        }
        self.exchange.reply = Some(reply);
        self.exchange.complaints = vec![(field.to_owned(), text.to_owned())];
    }

    /// Its log ends with this exception.
    pub fn raises(&mut self, line: &str) {
        let text = format!(
            "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in <module>\n    x\n{line}"
        );
        self.log = Look::Seen(log::read(text.lines().map(str::to_owned).collect()));
    }

    pub fn detail(&mut self, change: impl FnOnce(&mut Details)) {
        if let Look::Seen(details) = &mut self.details {
            change(details);
        }
    }

    pub fn within(&mut self, change: impl FnOnce(&mut Inside)) {
        if let Look::Seen(inside) = &mut self.inside {
            change(inside);
        }
    }

    pub fn import(&mut self, change: impl FnOnce(&mut Imports)) {
        if let Look::Seen(imports) = &mut self.imports {
            change(imports);
        }
    }

    /// Its connection to a peer fares like this.
    pub fn reaches(&mut self, peer: &str, outcome: ConnectOutcome) {
        let variable = format!("{}_ADDRESS", peer.to_uppercase());
        self.wanted.peers.insert(variable.clone(), peer.to_owned());
        self.wanted.waits_for.insert(peer.to_owned());
        self.within(|inside| {
            inside
                .targets
                .insert(variable.clone(), "10.0.0.9:7000".into());
            inside.addresses.insert(
                variable,
                Reached {
                    outcome,
                    error: None,
                },
            );
        });
    }
}
