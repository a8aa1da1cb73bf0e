//! `[groups.NAME]`

use diagnostics::located::shape::{Absent, Field, Names, Section, Table, ValueKind};

use super::{
    agents::AGENT,
    kinds::{AGENT_NAME, NAME, NETWORK_MODE, list},
};
use crate::system::fields::shared::SHARED_FIELDS;

/// `[groups.NAME]`
pub static GROUP: Table = Table {
    path: "groups.NAME",
    title: "`[groups.NAME]`",
    sections: &[&GROUP_FIELDS, &SHARED_FIELDS],
    rules: &[],
};

/// What only a group has.
pub static GROUP_FIELDS: Section = Section {
    id: "groups",
    about: "a group of agents that share an image and a network",
    fields: &[
        Field {
            key: "network_mode",
            kind: NETWORK_MODE,
            absent: Absent::Otherwise("the system's"),
            meaning: "`bridge`, `host` or `pod`; see \"Network modes\"",
            example: "\"host\"",
        },
        Field {
            key: "network",
            kind: NAME,
            absent: Absent::Sometimes("required in `bridge`"),
            meaning: "the group's own network",
            example: "\"core-services-network\"",
        },
        Field {
            key: "backbone",
            kind: NAME,
            absent: Absent::Nothing,
            meaning: "a second network, shared with other groups",
            example: "\"ai-system-network\"",
        },
        Field {
            key: "backbone_offset",
            kind: ValueKind::Integer(0..=0x00ff_ffff),
            absent: Absent::Value("0"),
            meaning: "moves the group's addresses on the backbone; see \"Addresses\"",
            example: "256",
        },
        Field {
            key: "after",
            kind: list(&GROUP_NAME),
            absent: Absent::Value("[]"),
            meaning: "these must be healthy before this one starts",
            example: "[\"core-services\"]",
        },
        Field {
            key: "gpu",
            kind: ValueKind::Words(&["auto", "required", "off"]),
            absent: Absent::Value("\"auto\""),
            meaning: "for agents that ask for a GPU: `auto` (the CPU, with a warning, if there is none), `required` (refuse to deploy), `off` (always the CPU)",
            example: "\"required\"",
        },
        Field {
            key: "max_unavailable",
            kind: ValueKind::Integer(1..=10_000),
            absent: Absent::Otherwise("all of them"),
            meaning: "how many of its running agents are replaced at the same time; the next ones follow when these are healthy, and not at all if one fails",
            example: "2",
        },
        Field {
            key: "agents",
            kind: ValueKind::Tables {
                names: Names::Pattern(AGENT_NAME),
                of: &AGENT,
            },
            absent: Absent::Nothing,
            meaning: "its agents",
            example: "[groups.core-services.agents.SystemDigitalTwin]",
        },
    ],
};

const GROUP_NAME: ValueKind = ValueKind::Text("group");
