//! The top level, `[system]`, `[base]`, networks and images.

use diagnostics::located::shape::{Absent, Field, Names, Rule, Section, Table, ValueKind};

use super::{
    groups::GROUP,
    kinds::{
        BELOW, CIDR, IMAGE_NAME, NAME, NETWORK_MODE, PATH, PODMAN_NAME, SCHEMA, TEXT,
        VARIABLE_NAME, list,
    },
    secrets::SECRET,
    testing::TESTS,
};

/// The whole file.
pub static MANIFEST: Table = Table {
    path: "",
    title: "the top level",
    sections: &[&MANIFEST_FIELDS],
    rules: &[],
};

static MANIFEST_FIELDS: Section = Section {
    id: "manifest",
    about: "the whole manifest, containers/system.toml",
    fields: &[
        Field {
            key: "schema",
            // Another number gets an answer of its own from the reader.
            kind: ValueKind::Integer(SCHEMA..=SCHEMA),
            absent: Absent::Required,
            meaning: "version of the manifest's shape: 1. A newer one is refused",
            example: "1",
        },
        Field {
            key: "system",
            kind: ValueKind::Table(&SYSTEM),
            absent: Absent::Required,
            meaning: "what holds for the whole system",
            example: "[system]",
        },
        Field {
            key: "base",
            kind: ValueKind::Table(&BASE),
            absent: Absent::Required,
            meaning: "the Python image that all others stand on",
            example: "[base]",
        },
        Field {
            key: "networks",
            kind: ValueKind::Tables {
                names: Names::Pattern(PODMAN_NAME),
                of: &NETWORK,
            },
            absent: Absent::Nothing,
            meaning: "networks that groups join",
            example: "[networks.core-services-network]",
        },
        Field {
            key: "images",
            kind: ValueKind::Tables {
                names: Names::Pattern(IMAGE_NAME),
                of: &IMAGE,
            },
            absent: Absent::Nothing,
            meaning: "images that are built",
            example: "[images.ai-system-core]",
        },
        Field {
            key: "secrets",
            kind: ValueKind::Tables {
                names: Names::Pattern(PODMAN_NAME),
                of: &SECRET,
            },
            absent: Absent::Nothing,
            meaning: "passwords, tokens and keys, and where each comes from",
            example: "[secrets.OPENAI_API_KEY]",
        },
        Field {
            key: "groups",
            kind: ValueKind::Tables {
                names: Names::Pattern(PODMAN_NAME),
                of: &GROUP,
            },
            absent: Absent::Nothing,
            meaning: "groups of agents",
            example: "[groups.core-services]",
        },
        Field {
            key: "tests",
            kind: ValueKind::Table(&TESTS),
            absent: Absent::Nothing,
            meaning: "how agents and system are tested",
            example: "[tests]",
        },
    ],
};

/// `[system]`
pub static SYSTEM: Table = Table {
    path: "system",
    title: "`[system]`",
    sections: &[&SYSTEM_FIELDS],
    rules: &[],
};

static SYSTEM_FIELDS: Section = Section {
    id: "system",
    about: "what holds for the whole system",
    fields: &[
        Field {
            key: "name",
            kind: ValueKind::Pattern {
                noun: "text",
                regex: PODMAN_NAME,
            },
            absent: Absent::Required,
            meaning: "prefix of volumes and value of the ownership label; unique per host",
            example: "\"ai-system\"",
        },
        Field {
            key: "monorepo",
            kind: PATH,
            absent: Absent::Nothing,
            meaning: "the tree with the agents' code. `--monorepo` and `AI_SYSTEM_MONOREPO` win; one of the three is needed",
            example: "\"reference\"",
        },
        Field {
            key: "code",
            kind: ValueKind::List {
                of: &BELOW,
                least: 1,
            },
            absent: Absent::Required,
            meaning: "what service images copy from the monorepo; not empty",
            example: "[\"main_pc_code\"]",
        },
        Field {
            key: "code_exclude",
            kind: list(&TEXT),
            absent: Absent::Value("[]"),
            meaning: "names, or `*` and an ending, left out of service images at any depth",
            example: "[\"__pycache__\", \"*.pyc\"]",
        },
        Field {
            key: "search_roots",
            kind: list(&BELOW),
            absent: Absent::Value("[\".\", \"main_pc_code\", \"main_pc_code/src\"]"),
            meaning: "folders that agents import from, in this order; they become `PYTHONPATH`, and `scan` looks there",
            example: "[\".\", \"main_pc_code\"]",
        },
        Field {
            key: "network_mode",
            kind: NETWORK_MODE,
            absent: Absent::Value("\"bridge\""),
            meaning: "for groups that do not set their own; see \"Network modes\"",
            example: "\"bridge\"",
        },
        Field {
            key: "keep_images",
            kind: ValueKind::Integer(1..=100),
            absent: Absent::Value("3"),
            meaning: "so many sets of images that were deployed are kept, for `rollback`; older ones are removed",
            example: "3",
        },
    ],
};

/// `[base]`
pub static BASE: Table = Table {
    path: "base",
    title: "`[base]`",
    sections: &[&BASE_FIELDS],
    rules: &[
        Rule::WordNeeds {
            list: "sources",
            word: "pull",
            field: "pull",
        },
        Rule::WordNeeds {
            list: "sources",
            word: "bootstrap",
            field: "suite",
        },
    ],
};

static BASE_FIELDS: Section = Section {
    id: "base",
    about: "the Python image that all others stand on",
    fields: &[
        Field {
            key: "name",
            kind: ValueKind::Pattern {
                noun: "image name",
                regex: IMAGE_NAME,
            },
            absent: Absent::Required,
            meaning: "local name, without tag",
            example: "\"ai-system-base\"",
        },
        Field {
            key: "sources",
            kind: ValueKind::List {
                of: &ValueKind::Words(&["present", "pull", "bootstrap"]),
                least: 1,
            },
            absent: Absent::Required,
            meaning: "`present`, `pull`, `bootstrap`: where the image may come from, tried in this order. An image that is present under the local name is always used",
            example: "[\"present\", \"pull\", \"bootstrap\"]",
        },
        Field {
            key: "pull",
            kind: ValueKind::Text("reference"),
            absent: Absent::Sometimes("needed by `pull`"),
            meaning: "what to pull. Its digest is recorded in `base.lock` beside the manifest at the first pull, and asked for from then on",
            example: "\"docker.io/library/python:3.11-slim\"",
        },
        Field {
            key: "suite",
            kind: TEXT,
            absent: Absent::Sometimes("needed by `bootstrap`"),
            meaning: "Debian suite for `mmdebstrap`",
            example: "\"bookworm\"",
        },
        Field {
            key: "python",
            kind: ValueKind::Pattern {
                noun: "text",
                regex: r"^3\.1[0-4](\.[0-9]+)?$",
            },
            absent: Absent::Value("\"3.11\""),
            meaning: "release of the interpreter in the base image: code is read and locks are made for it",
            example: "\"3.12\"",
        },
        Field {
            key: "packages",
            kind: list(&TEXT),
            absent: Absent::Value("[]"),
            meaning: "Debian packages beside the minimal system",
            example: "[\"python3\", \"python3-venv\"]",
        },
    ],
};

const SUBNET: ValueKind = ValueKind::Pattern {
    noun: "CIDR",
    regex: CIDR,
};

/// `[networks.NAME]`
pub static NETWORK: Table = Table {
    path: "networks.NAME",
    title: "`[networks.NAME]`",
    sections: &[&NETWORK_FIELDS],
    rules: &[],
};

static NETWORK_FIELDS: Section = Section {
    id: "networks",
    about: "a network that groups join",
    fields: &[
        Field {
            key: "subnet",
            kind: SUBNET,
            absent: Absent::Required,
            meaning: "IPv4, from `/8` to `/30`, no host bits",
            example: "\"172.21.0.0/16\"",
        },
        Field {
            key: "ip_range",
            kind: SUBNET,
            absent: Absent::Otherwise("whole subnet"),
            meaning: "where addresses without a fixed place come from. Keep fixed addresses outside it",
            example: "\"172.21.128.0/17\"",
        },
        Field {
            key: "internal",
            kind: ValueKind::Boolean,
            absent: Absent::Value("false"),
            meaning: "no route to the outside",
            example: "true",
        },
        Field {
            key: "isolate",
            kind: ValueKind::Boolean,
            absent: Absent::Value("true"),
            meaning: "drop traffic from other isolated networks",
            example: "false",
        },
    ],
};

/// `[images.NAME]`
pub static IMAGE: Table = Table {
    path: "images.NAME",
    title: "`[images.NAME]`",
    sections: &[&IMAGE_FIELDS],
    rules: &[Rule::Instead {
        flag: "code",
        lists: &["requirements", "system_packages"],
    }],
};

static IMAGE_FIELDS: Section = Section {
    id: "images",
    about: "an image that is built",
    fields: &[
        Field {
            key: "parent",
            kind: NAME,
            absent: Absent::Required,
            meaning: "another image, or the base",
            example: "\"ai-system-core\"",
        },
        Field {
            key: "containerfile",
            kind: PATH,
            absent: Absent::Required,
            meaning: "gets the build arguments `PARENT` and, without `code`, `BASE`",
            example: "\"images/core/Containerfile\"",
        },
        Field {
            key: "inputs",
            kind: list(&PATH),
            absent: Absent::Value("[]"),
            meaning: "files and folders that its build reads beside the Containerfile and the locks; a change of their content rebuilds it and what stands on it",
            example: "[\"../scripts/install.sh\"]",
        },
        Field {
            key: "code",
            kind: ValueKind::Boolean,
            absent: Absent::Value("false"),
            meaning: "a service image: the build context is the monorepo, limited to `code`",
            example: "true",
        },
        Field {
            key: "requirements",
            kind: list(&NAME),
            absent: Absent::Value("[]"),
            meaning: "lists whose locked packages it adds to its parent: `core`, `shared`, `gpu`, `audio`, or any other NAME of a `requirements/requirements.NAME.lock`. Not together with `code`",
            example: "[\"gpu\", \"audio\"]",
        },
        Field {
            key: "system_packages",
            kind: list(&DEBIAN_NAME),
            absent: Absent::Value("[]"),
            meaning: "Debian packages that it adds. Not together with `code`",
            example: "[\"ffmpeg\", \"libportaudio2\"]",
        },
        Field {
            key: "system_exclude",
            kind: list(&EXCLUDED),
            absent: Absent::Value("[]"),
            meaning: "what of `system_packages` is left out: absolute paths, `*` stands for any text",
            example: "[\"/usr/share/doc/*\"]",
        },
        Field {
            key: "env",
            kind: ValueKind::Entries {
                names: Names::Pattern(VARIABLE_NAME),
                of: &ValueKind::String,
            },
            absent: Absent::Value("{}"),
            meaning: "variables of everything that runs in it and in what stands on it",
            example: "{ NUMBA_CACHE_DIR = \"/tmp/numba\" }",
        },
    ],
};

const DEBIAN_NAME: ValueKind = ValueKind::Pattern {
    noun: "text",
    regex: "^[a-z0-9][a-z0-9+.-]+$",
};
const EXCLUDED: ValueKind = ValueKind::Pattern {
    noun: "text",
    regex: r"^/[!#%*+,./0-9:=?@A-Z\[\]^_a-z~-]*$",
};
