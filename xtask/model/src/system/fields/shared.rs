//! What a group may set for its agents and an agent for itself.

use diagnostics::located::shape::{Absent, Field, Names, Rule, Section, Table, ValueKind};

use super::{
    kinds::{MEGABYTES, NAME, PATH, PODMAN_NAME, SECONDS, TARGET, TEXT, VARIABLE_NAME, list},
    secrets::SECRET_USES,
};

/// What a group may set for all its agents, and an agent for itself.
pub static SHARED_FIELDS: Section = Section {
    id: "shared",
    about: "fields of a group, of an agent, or of both",
    fields: &[
        Field {
            key: "image",
            kind: NAME,
            absent: Absent::Sometimes("required in one of the two"),
            meaning: "the image to run",
            example: "\"ai-system-core-services\"",
        },
        Field {
            key: "env",
            kind: ValueKind::Entries {
                names: Names::Pattern(VARIABLE_NAME),
                of: &ValueKind::String,
            },
            absent: Absent::Value("{}"),
            meaning: "environment variables, placeholders allowed",
            example: "{ USE_DUMMY_AUDIO = \"true\" }",
        },
        Field {
            key: "env_file",
            kind: list(&PATH),
            absent: Absent::Value("[]"),
            meaning: "files with a `NAME=VALUE` in each line, from the manifest's folder; see \"Secrets\". The values are treated as secrets; all other variables win over them",
            example: "[\"agents.env\"]",
        },
        Field {
            key: "secrets",
            kind: list(&SECRET_USES),
            absent: Absent::Value("[]"),
            meaning: "what of `[secrets]` it is given: a name, for the file `/run/secrets/NAME`, or a table",
            example: "[\"OPENAI_API_KEY\", { secret = \"HF_TOKEN\", env = \"HF_TOKEN\" }]",
        },
        Field {
            key: "mounts",
            kind: list(&ValueKind::Table(&MOUNT)),
            absent: Absent::Value("[]"),
            meaning: "volumes and folders of the host that it is given",
            example: "[{ volume = \"logs\", target = \"/app/logs\" }]",
        },
        Field {
            key: "devices",
            kind: list(&ValueKind::Table(&DEVICE)),
            absent: Absent::Value("[]"),
            meaning: "devices that it is given. The agent joins the group that owns the device",
            example: "[{ path = \"/dev/snd\", optional = true }]",
        },
        Field {
            key: "peers",
            kind: list(&ValueKind::Text("agent")),
            absent: Absent::Value("[]"),
            meaning: "agents whose addresses it is given; each must be reachable. Orders nothing",
            example: "[\"SystemDigitalTwin\"]",
        },
        Field {
            key: "memory_mb",
            kind: MEGABYTES,
            absent: Absent::Value("512"),
            meaning: "memory limit",
            example: "1024",
        },
        Field {
            key: "cpus",
            // More processors than any host has; also keeps infinity out.
            kind: ValueKind::Number {
                above: 0.0,
                to: 4096.0,
            },
            absent: Absent::Value("1.0"),
            meaning: "processor limit, up to 4096",
            example: "0.5",
        },
        Field {
            key: "pids",
            // The kernel's own limit.
            kind: ValueKind::Integer(1..=4_194_304),
            absent: Absent::Value("256"),
            meaning: "limit on processes and threads",
            example: "512",
        },
        Field {
            key: "restart",
            kind: ValueKind::Pattern {
                noun: "word",
                regex: "^(no|always|on-failure:[1-9][0-9]*)$",
            },
            absent: Absent::Value("\"on-failure:3\""),
            meaning: "`no`, `always`, `on-failure:N`",
            example: "\"no\"",
        },
        Field {
            key: "start_timeout_s",
            kind: SECONDS,
            absent: Absent::Value("60"),
            meaning: "from start to the first good reply, for each attempt",
            example: "120",
        },
        Field {
            key: "start_attempts",
            kind: ValueKind::Integer(1..=100),
            absent: Absent::Value("2"),
            meaning: "how often `deploy` starts a container that exits",
            example: "3",
        },
        Field {
            key: "stop_timeout_s",
            kind: ValueKind::Integer(0..=86_400),
            absent: Absent::Value("5"),
            meaning: "between SIGTERM and SIGKILL",
            example: "10",
        },
        Field {
            key: "health_requests",
            kind: ValueKind::List {
                of: &TEXT,
                least: 1,
            },
            absent: Absent::Otherwise("`{\"action\": \"health_check\"}`, then `health`"),
            meaning: "sent to the health port in order until one is understood. No placeholders",
            example: "['{\"cmd\": \"status\"}']",
        },
        Field {
            key: "optional",
            kind: ValueKind::Boolean,
            absent: Absent::Value("false"),
            meaning: "deployed only when the agent itself is named; its script may be missing",
            example: "true",
        },
    ],
};

/// One element of `mounts`.
pub static MOUNT: Table = Table {
    path: "mounts",
    title: "an element of `mounts`",
    sections: &[&MOUNT_FIELDS],
    rules: &[Rule::ExactlyOne("volume", "host")],
};

pub static MOUNT_FIELDS: Section = Section {
    id: "mounts",
    about: "a volume or a path of the host, and where it is mounted",
    fields: &[
        Field {
            key: "volume",
            kind: ValueKind::Pattern {
                noun: "name",
                regex: PODMAN_NAME,
            },
            absent: Absent::Sometimes("this or `host`"),
            meaning: "a podman volume, prefixed with the system's name",
            example: "\"logs\"",
        },
        Field {
            key: "host",
            kind: PATH,
            absent: Absent::Sometimes("this or `volume`"),
            meaning: "an existing path",
            example: "\"config\"",
        },
        Field {
            key: "target",
            kind: TARGET,
            absent: Absent::Required,
            meaning: "where it is in the container; absolute",
            example: "\"/app/logs\"",
        },
        Field {
            key: "read_only",
            kind: ValueKind::Boolean,
            absent: Absent::Value("false"),
            meaning: "the agent cannot write to it",
            example: "true",
        },
        Field {
            key: "restart_on_change",
            kind: ValueKind::Boolean,
            absent: Absent::Value("false"),
            meaning: "`deploy` replaces the agent when a file at `host` changes, which must be read-only, and hold 1 MB and 100 files at most",
            example: "true",
        },
    ],
};

/// One element of `devices`.
pub static DEVICE: Table = Table {
    path: "devices",
    title: "an element of `devices`",
    sections: &[&DEVICE_FIELDS],
    rules: &[],
};

pub static DEVICE_FIELDS: Section = Section {
    id: "devices",
    about: "a device of the host",
    fields: &[
        Field {
            key: "path",
            kind: ValueKind::Pattern {
                noun: "path",
                regex: "^/",
            },
            absent: Absent::Required,
            meaning: "on host and in container",
            example: "\"/dev/snd\"",
        },
        Field {
            key: "optional",
            kind: ValueKind::Boolean,
            absent: Absent::Value("false"),
            meaning: "left out where the host has none",
            example: "true",
        },
    ],
};
