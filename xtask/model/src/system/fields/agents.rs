//! `[groups.GROUP.agents.NAME]`, and what an agent may give up of the secure
//! defaults.

use diagnostics::located::shape::{Absent, Field, Names, Rule, Section, Table, ValueKind};

use super::kinds::{ADDRESS, BELOW, MEGABYTES, TEXT, list};
use crate::system::fields::shared::SHARED_FIELDS;

/// `[groups.GROUP.agents.NAME]`
pub static AGENT: Table = Table {
    path: "groups.GROUP.agents.NAME",
    title: "`[groups.GROUP.agents.NAME]`",
    sections: &[&AGENT_FIELDS, &SHARED_FIELDS],
    rules: &[
        Rule::NotTogether("gpu_count", "gpu_device"),
        Rule::Needs("vram_mb", &["gpu_count", "gpu_device"]),
    ],
};

const PORT: ValueKind = ValueKind::Integer(1..=65_535);
const AGENT_NAMES: ValueKind = list(&ValueKind::Text("agent"));

/// What only an agent has.
pub static AGENT_FIELDS: Section = Section {
    id: "agents",
    about: "one Python process with a main port and a health port, in a container of its own",
    fields: &[
        Field {
            key: "script",
            kind: BELOW,
            absent: Absent::Required,
            meaning: "below the monorepo and part of `code`",
            example: "\"main_pc_code/agents/x.py\"",
        },
        Field {
            key: "port",
            kind: PORT,
            absent: Absent::Required,
            meaning: "the main port, in the container",
            example: "7120",
        },
        Field {
            key: "health_port",
            kind: PORT,
            absent: Absent::Otherwise("`port` + 1"),
            meaning: "the health port, in the container",
            example: "7121",
        },
        Field {
            key: "container",
            kind: ValueKind::Pattern {
                noun: "name",
                regex: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
            },
            absent: Absent::Otherwise("from NAME"),
            meaning: "container and host name, at most 63 letters: `GoTToTAgent` gives `got-tot-agent`",
            example: "\"twin\"",
        },
        Field {
            key: "command",
            kind: ValueKind::List {
                of: &ValueKind::String,
                least: 1,
            },
            absent: Absent::Value("[\"python3\", \"-u\", \"{script}\"]"),
            meaning: "the command line; placeholders allowed",
            example: "[\"python3\", \"-m\", \"x\"]",
        },
        Field {
            key: "args",
            kind: list(&ValueKind::String),
            absent: Absent::Value("[]"),
            meaning: "added to the command; placeholders allowed",
            example: "[\"--port={port}\"]",
        },
        Field {
            key: "host_port",
            kind: PORT,
            absent: Absent::Otherwise("`port`"),
            meaning: "port on 127.0.0.1 for the main port",
            example: "17120",
        },
        Field {
            key: "host_health_port",
            kind: PORT,
            absent: Absent::Otherwise("`health_port`"),
            meaning: "port on 127.0.0.1 where health is asked",
            example: "17121",
        },
        Field {
            key: "publish",
            kind: ValueKind::Words(&["all", "health"]),
            absent: Absent::Value("\"all\""),
            meaning: "`health`: do not publish the main port",
            example: "\"health\"",
        },
        Field {
            key: "ip",
            kind: ValueKind::Pattern {
                noun: "address",
                regex: ADDRESS,
            },
            absent: Absent::Otherwise("dynamic"),
            meaning: "fixed address on the group's network",
            example: "\"172.21.0.10\"",
        },
        Field {
            key: "depends_on",
            kind: AGENT_NAMES,
            absent: Absent::Value("[]"),
            meaning: "these must be healthy first; their addresses are given, too, where they can be reached",
            example: "[\"CoordinatorAgent\"]",
        },
        Field {
            key: "gpu_count",
            kind: ValueKind::Integer(1..=64),
            absent: Absent::Nothing,
            meaning: "so many GPUs. Agents get GPUs of their own in the order of their start, optional ones last; when all are taken, they share those with the least `vram_mb`. More than there are is an error",
            example: "1",
        },
        Field {
            key: "gpu_device",
            kind: ValueKind::Either(&[
                ValueKind::Integer(0..=63),
                ValueKind::Pattern {
                    noun: "text",
                    regex: "^[A-Za-z0-9_:.-]+$",
                },
            ]),
            absent: Absent::Nothing,
            meaning: "one CDI device: an index, a UUID or `all`. Not together with `gpu_count`",
            example: "\"all\"",
        },
        Field {
            key: "vram_mb",
            kind: MEGABYTES,
            absent: Absent::Nothing,
            meaning: "GPU memory it needs, in MB of 2^20 bytes; `check-gpu`, `up` and `deploy` warn if the sum, with 600 MB for each process, does not fit. `check-gpu --learn 60` proposes it",
            example: "4000",
        },
        Field {
            key: "unit_tests",
            kind: list(&BELOW),
            absent: Absent::Value("[]"),
            meaning: "pytest files below the monorepo, for `test-unit`",
            example: "[\"main_pc_code/tests/test_x.py\"]",
        },
        Field {
            key: "relax",
            kind: ValueKind::Table(&RELAX),
            absent: Absent::Nothing,
            meaning: "what it gives up of the secure defaults, each with its reason",
            example: "{ root_user = \"binds port 80\" }",
        },
    ],
};

/// `relax` of an agent.
pub static RELAX: Table = Table {
    path: "relax",
    title: "`relax` of an agent",
    sections: &[&RELAX_FIELDS],
    rules: &[],
};

static RELAX_FIELDS: Section = Section {
    id: "relax",
    about: "what an agent gives up of the secure defaults; the values are reasons, and `check-toolchain` lists them",
    fields: &[
        Field {
            key: "writable_root",
            kind: TEXT,
            absent: Absent::Nothing,
            meaning: "why its root file system must be writable",
            example: "\"writes next to its code\"",
        },
        Field {
            key: "root_user",
            kind: TEXT,
            absent: Absent::Nothing,
            meaning: "why it must run as root",
            example: "\"binds port 80\"",
        },
        Field {
            key: "capabilities",
            kind: ValueKind::Entries {
                names: Names::Words(CAPABILITIES),
                of: &TEXT,
            },
            absent: Absent::Value("{}"),
            meaning: "capabilities of Linux, without their `CAP_`, and why it needs each",
            example: "{ SYS_NICE = \"real-time audio\" }",
        },
    ],
};

/// The capabilities of Linux 6, without their `CAP_`.
pub const CAPABILITIES: &[&str] = &[
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];
