//! What is explained, and how it looks.

use diagnostics::Exit;
use model::system::fields::sections;
use operations::{
    ui::{Color, Format, Ui},
    work::explain::{groups, topics, unknown},
};

use super::*;

fn shown(name: &str) -> String {
    let ui = Ui::new(Format::Human, Color::Never);
    blocks(&ui, &topics(name)).join("\n")
}

#[test]
fn a_field_is_explained() {
    let expected = "memory_mb: a field of `[groups.NAME]` and `[groups.GROUP.agents.NAME]`
  memory limit
  type     integer: from 1 to 4294967296
  default  512
  example  memory_mb = 1024";
    for name in [
        "memory_mb",
        "agents.memory_mb",
        "`groups.x.agents.Y.memory_mb`",
    ] {
        assert_eq!(shown(name), expected, "{name}");
    }
}

#[test]
fn a_key_of_several_tables_is_explained_in_each() {
    let text = shown("name");
    assert!(text.contains("name: a field of `[system]`\n"), "{text}");
    assert!(text.contains("\n\nname: a field of `[base]`\n"), "{text}");
    assert_eq!(topics("system.name").len(), 1);
}

#[test]
fn a_table_is_explained() {
    assert_eq!(
        shown("[networks.NAME]"),
        "networks: `[networks.NAME]`
  a network that groups join
  subnet    CIDR     required
  ip_range  CIDR     whole subnet
  internal  boolean  `false`
  isolate   boolean  `true`"
    );
    let agents = shown("groups.GROUP.agents.NAME");
    assert!(agents.contains("\n  port "), "{agents}");
    assert!(
        agents.contains("shared with other tables: image env"),
        "{agents}"
    );
    assert!(shown("system").contains("example  [system]\n"));
}

#[test]
fn a_finding_a_cause_and_an_exit_code_are_explained() {
    assert_eq!(
        shown("port-taken"),
        "port-taken: Findings of check-toolchain (docs/troubleshooting.md)
  severity        error
  meaning         a port that an agent publishes is in use on 127.0.0.1. Looks at the agents without
                  a running container that the command is about
  evidence shown  program and process id of the holder
  fix             end it, or set `host_port` or `host_health_port`"
    );
    assert_eq!(
        shown("memory-tight"),
        "memory-tight: Causes of doctor (docs/troubleshooting.md)
  meaning  it takes 90 % of its memory or more
  next     raise `memory_mb`"
    );
    assert_eq!(
        shown("9"),
        "9: Exit codes (README.md)
  meaning  findings: the host is not ready, or lacks a GPU or device that is required"
    );
    // Told by two commands, with a meaning in each.
    assert_eq!(topics("windows-only-import").len(), 2);
}

#[test]
fn what_is_not_known_gets_the_nearest_names() {
    let told = |name: &str| {
        let failure = unknown(name);
        assert_eq!(failure.exit, Exit::Usage);
        format!("{failure}; {}", failure.hint.as_deref().unwrap_or_default())
    };
    assert_eq!(
        told("memory"),
        "nothing is known under the name `memory`; \
         did you mean `memory_mb` or `memory-tight` or `memory-budget`?"
    );
    assert!(told("port-takn").contains("did you mean `port-taken`"));
    assert!(told("agents.prot").contains("`agents.port`"));
    assert!(told("zzz").ends_with("`cargo xtask explain` lists all names"));
    for nothing in ["", "zzz", "99", "[]", ".", "agents.", "constructor"] {
        assert!(topics(nothing).is_empty(), "{nothing}");
    }
}

/// Whoever reads a document can ask about all that it names.
#[test]
fn everything_in_the_list_and_in_the_document_is_explained() {
    let mut names = 0;
    for name in groups().iter().flat_map(|group| &group.names) {
        assert!(!topics(name).is_empty(), "{name}");
        names += 1;
    }
    assert!(names > 250, "only {names}");
    let manifest = include_str!("../../../../docs/manifest.md");
    let mut section = "";
    let mut fields = 0;
    for line in manifest.lines() {
        if let Some(rest) = line.strip_prefix("<!-- ") {
            let id = rest
                .strip_prefix("fields: ")
                .and_then(|rest| rest.strip_suffix(" -->"));
            section = id.unwrap_or("");
        }
        let key = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next());
        if let (Some(key), false) = (key, section.is_empty()) {
            let found = topics(&format!("{section}.{key}"));
            // A group's list is called `secrets`, too.
            let most = if section == "secrets" { 2 } else { 1 };
            assert!((1..=most).contains(&found.len()), "[{section}] {key}");
            fields += 1;
        }
    }
    assert_eq!(
        fields,
        sections()
            .iter()
            .map(|section| section.fields.len())
            .sum::<usize>()
    );
}

#[test]
fn the_list_has_every_group_once() {
    let ui = Ui::new(Format::Human, Color::Never);
    let text = list(&ui, &groups()).join("\n");
    for title in [
        "Fields of the manifest, by table (docs/manifest.md)\n  manifest ",
        "\n  shared       image env env_file",
        "\n\nFindings of check-toolchain (docs/troubleshooting.md)\n  podman podman-version ",
        "\n\nFindings about requirements (docs/troubleshooting.md)\n",
        "\n\nCauses of doctor (docs/troubleshooting.md)\n",
        "\n\nExit codes (README.md)\n  0 1 2 ",
    ] {
        assert_eq!(text.matches(title).count(), 1, "{title}\n{text}");
    }
    let longest = text.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(100), "{text}");
}

#[test]
fn values_are_what_is_shown() {
    let value = serde_json::to_value(topics("gpu_count")).expect("JSON");
    assert_eq!(value[0]["kind"], "field");
    assert_eq!(value[0]["type"], "integer");
    assert_eq!(value[0]["limits"], "from 1 to 64");
    assert_eq!(value[0]["tables"][0], "groups.GROUP.agents.NAME");
    assert_eq!(value[0]["required"], false);
    assert_eq!(value[0]["default"], serde_json::Value::Null);
    let value = serde_json::to_value(topics("gpu-none")).expect("JSON");
    assert_eq!(value[0]["kind"], "entry");
    assert_eq!(value[0]["columns"][0]["text"], "info / error");
    let value = serde_json::to_value(topics("shared")).expect("JSON");
    assert_eq!(value[0]["kind"], "table");
    assert_eq!(value[0]["fields"][0]["name"], "image");
}
