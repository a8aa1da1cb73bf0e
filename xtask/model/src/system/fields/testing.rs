//! `[tests]`: suites, and what a copy of the system is given.

use diagnostics::located::shape::{Absent, Field, Names, Section, Table, ValueKind};

use super::kinds::{BELOW, NAME, PATH, SECONDS, list};

/// `[tests]`
pub static TESTS: Table = Table {
    path: "tests",
    title: "`[tests]`",
    sections: &[&TESTS_FIELDS],
    rules: &[],
};

static TESTS_FIELDS: Section = Section {
    id: "tests",
    about: "how agents and system are tested",
    fields: &[
        Field {
            key: "image",
            kind: NAME,
            absent: Absent::Required,
            meaning: "an image with `requirements` that has pytest. It is mounted beside the image under test, so that no other image holds pytest, and built when tests need it",
            example: "\"ai-system-tests\"",
        },
        Field {
            key: "code",
            kind: list(&BELOW),
            absent: Absent::Value("[]"),
            meaning: "paths below the monorepo that are mounted over the code in the image, read-only: the tests, which `code_exclude` keeps out of images",
            example: "[\"main_pc_code/tests\"]",
        },
        Field {
            key: "unit_timeout_s",
            kind: SECONDS,
            absent: Absent::Value("300"),
            meaning: "for all tests of one agent",
            example: "60",
        },
        Field {
            key: "integration",
            kind: ValueKind::Tables {
                names: Names::Any,
                of: &SUITE,
            },
            absent: Absent::Nothing,
            meaning: "suites of `test-integration`",
            example: "[tests.integration.end-to-end-workflow]",
        },
        Field {
            key: "fill",
            kind: ValueKind::Tables {
                names: Names::Any,
                of: &FILL,
            },
            absent: Absent::Nothing,
            meaning: "folders that a copy of the system has for itself",
            example: "[tests.fill.models]",
        },
    ],
};

/// `[tests.integration.NAME]`
pub static SUITE: Table = Table {
    path: "tests.integration.NAME",
    title: "`[tests.integration.NAME]`",
    sections: &[&SUITE_FIELDS],
    rules: &[],
};

static SUITE_FIELDS: Section = Section {
    id: "integration",
    about: "a suite of `test-integration`",
    fields: &[
        Field {
            key: "script",
            kind: BELOW,
            absent: Absent::Required,
            meaning: "pytest file below the monorepo",
            example: "\"main_pc_code/tests/test_end_to_end_workflow.py\"",
        },
        Field {
            key: "image",
            kind: NAME,
            absent: Absent::Required,
            meaning: "image that it runs in",
            example: "\"ai-system-core-services\"",
        },
        Field {
            key: "from",
            kind: list(&ValueKind::Text("group")),
            absent: Absent::Value("[]"),
            meaning: "it runs once as if it were an agent of each: the group's networks and limits. Without, once, on the backbone alone",
            example: "[\"core-services\"]",
        },
        Field {
            key: "needs",
            kind: list(&ValueKind::Text("agent")),
            absent: Absent::Otherwise("all that are not optional"),
            meaning: "must be healthy, or the suite fails at once and names those that are not",
            example: "[\"SystemDigitalTwin\"]",
        },
        Field {
            key: "timeout_s",
            kind: SECONDS,
            absent: Absent::Value("300"),
            meaning: "for the whole suite",
            example: "120",
        },
    ],
};

/// `[tests.fill.NAME]`
pub static FILL: Table = Table {
    path: "tests.fill.NAME",
    title: "`[tests.fill.NAME]`",
    sections: &[&FILL_FIELDS],
    rules: &[],
};

static FILL_FIELDS: Section = Section {
    id: "fill",
    about: "a folder that a copy of the system (`test-integration --isolated`) has for itself: a volume that a script has filled",
    fields: &[
        Field {
            key: "target",
            kind: PATH,
            absent: Absent::Required,
            meaning: "where agents have the folder mounted",
            example: "\"/app/models\"",
        },
        Field {
            key: "script",
            kind: BELOW,
            absent: Absent::Required,
            meaning: "below the monorepo; called with the folder to fill",
            example: "\"main_pc_code/tests/tiny_model.py\"",
        },
        Field {
            key: "image",
            kind: NAME,
            absent: Absent::Required,
            meaning: "image that it runs in",
            example: "\"ai-system-gpu-services\"",
        },
    ],
};
