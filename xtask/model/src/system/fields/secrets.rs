//! Where secrets come from, and how agents are given them.

use diagnostics::located::shape::{Absent, Field, Rule, Section, Table, ValueKind};

use super::kinds::{PATH, PODMAN_NAME, TARGET, TEXT, VARIABLE_NAME};

/// A variable of some environment.
const VARIABLE: ValueKind = ValueKind::Pattern {
    noun: "name",
    regex: VARIABLE_NAME,
};

/// `[secrets.NAME]`
pub static SECRET: Table = Table {
    path: "secrets.NAME",
    title: "`[secrets.NAME]`",
    sections: &[&SECRET_FIELDS],
    rules: &[Rule::OneField],
};

static SECRET_FIELDS: Section = Section {
    id: "secrets",
    about: "where the value of a secret comes from; exactly one of these",
    fields: &[
        Field {
            key: "file",
            kind: PATH,
            absent: Absent::Sometimes("one of the four"),
            meaning: "a file that holds the value, from the manifest's folder",
            example: "\"/etc/ai-system/openai-key\"",
        },
        Field {
            key: "env",
            kind: VARIABLE,
            absent: Absent::Sometimes("one of the four"),
            meaning: "a variable of the environment in which this tool runs",
            example: "\"OPENAI_API_KEY\"",
        },
        Field {
            key: "command",
            kind: ValueKind::List {
                of: &TEXT,
                least: 1,
            },
            absent: Absent::Sometimes("one of the four"),
            meaning: "a program that prints the value, and its arguments; no shell. It has 60 s",
            example: "[\"pass\", \"show\", \"ai/openai\"]",
        },
        Field {
            key: "podman",
            kind: ValueKind::Pattern {
                noun: "name",
                regex: PODMAN_NAME,
            },
            absent: Absent::Sometimes("one of the four"),
            meaning: "a secret that podman has already (`podman secret create`); this tool neither reads, makes nor removes it",
            example: "\"openai-key\"",
        },
    ],
};

/// One element of an agent's `secrets`: a name, or a table.
pub static SECRET_USES: ValueKind =
    ValueKind::Either(&[ValueKind::Text("name"), ValueKind::Table(&SECRET_USE)]);

/// The table.
pub static SECRET_USE: Table = Table {
    path: "secrets",
    title: "an element of `secrets`",
    sections: &[&SECRET_USE_FIELDS],
    rules: &[Rule::NotTogether("file", "env")],
};

static SECRET_USE_FIELDS: Section = Section {
    id: "secret_uses",
    about: "a secret, and how an agent is given it",
    fields: &[
        Field {
            key: "secret",
            kind: ValueKind::Text("name"),
            absent: Absent::Required,
            meaning: "its name in `[secrets]`",
            example: "\"OPENAI_API_KEY\"",
        },
        Field {
            key: "file",
            kind: TARGET,
            absent: Absent::Otherwise("`/run/secrets/NAME`"),
            meaning: "the file that it is in the container; absolute",
            example: "\"/run/secrets/openai\"",
        },
        Field {
            key: "env",
            kind: VARIABLE,
            absent: Absent::Nothing,
            meaning: "the variable that it is in the container, instead of a file",
            example: "\"OPENAI_API_KEY\"",
        },
    ],
};
