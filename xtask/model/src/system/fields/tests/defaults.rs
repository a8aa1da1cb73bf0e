//! The defaults that the table tells are those that hold.

use std::path::Path;

use diagnostics::located::shape::Absent;

use super::{AGENT, BASE, DEVICE, GROUP, IMAGE, MOUNT, NETWORK, SUITE, SYSTEM, TESTS, Table, read};
use crate::system::from_text;

/// `text` with every default of `table` written out behind `header`, except
/// what stands there already.
fn with_defaults(text: &str, header: &str, table: &Table) -> String {
    let (before, after) = text.split_once(header).expect("the manifest has the table");
    let (own, _) = after.split_once("\n[").unwrap_or((after, ""));
    let given = |key: &str| {
        own.lines()
            .any(|line| line.starts_with(&format!("{key} =")))
    };
    let lines: String = table
        .fields()
        .filter(|field| !given(field.key))
        .filter_map(|field| match field.absent {
            Absent::Value(value) => Some(format!("\n{} = {value}", field.key)),
            _ => None,
        })
        .collect();
    format!("{before}{header}{lines}{after}")
}

/// As `with_defaults`, for a table written in one line.
fn with_defaults_inline(text: &str, value: &str, table: &Table) -> String {
    assert!(text.contains(value));
    let mut longer = value.trim_end_matches(" }").to_owned();
    for field in table.fields() {
        if let Absent::Value(default) = field.absent {
            longer.push_str(&format!(", {} = {default}", field.key));
        }
    }
    text.replace(value, &format!("{longer} }}"))
}

#[test]
fn the_defaults_are_those_that_hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests/good.toml");
    let system = |text: &str| {
        let system = from_text(text, &path);
        let system = system.unwrap_or_else(|error| panic!("{}\n{text}", error.render(false)));
        serde_json::to_value(system).expect("a value")
    };
    let alpha = "[groups.one.agents.Alpha]";
    let (mount, device) = (
        "{ volume = \"x\", target = \"/x\" }",
        "{ path = \"/dev/x\" }",
    );
    let brief = read(&path).replace(
        alpha,
        &format!("{alpha}\nmounts = [{mount}]\ndevices = [{device}]\nrelax = {{}}"),
    ) + "\n[tests]\nimage = \"demo-code\"\n\n[tests.integration.all]\nscript = \"a.py\"\n\
         image = \"demo-code\"\n";
    // An offset needs something to be moved on.
    let brief = brief.replace("[groups.one]", "[groups.one]\nbackbone = \"spine\"");
    let mut full = brief.clone();
    for (header, table) in [
        ("[system]", &SYSTEM),
        ("[base]", &BASE),
        ("[networks.left]", &NETWORK),
        ("[images.demo-code]", &IMAGE),
        ("[groups.one]", &GROUP),
        ("[groups.one.agents.Alpha]", &AGENT),
        ("[groups.one.agents.Beta]", &AGENT),
        ("[tests]", &TESTS),
        ("[tests.integration.all]", &SUITE),
    ] {
        full = with_defaults(&full, header, table);
    }
    full = with_defaults_inline(&full, mount, &MOUNT);
    full = with_defaults_inline(&full, device, &DEVICE);
    full = full.replace("relax = {}", "relax = { capabilities = {} }");
    for written in [
        "start_attempts = 2",
        "restart = \"on-failure:3\"",
        "read_only = false",
    ] {
        assert!(full.contains(written), "{full}");
    }
    assert_eq!(system(&full), system(&brief), "{full}");
}
