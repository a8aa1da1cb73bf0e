//! What the documents promise to mention. A tree without a README is somebody
//! else's excerpt, and is not judged.

use std::process::Command;

use super::{
    File, is_test,
    rust::{Keep, code, without_tests},
    sources,
};

fn text<'a>(files: &'a [File], path: &str) -> Option<&'a str> {
    let file = files.iter().find(|file| file.path == path);
    file.map(|file| file.text.as_str())
}

/// Every document exists.
pub fn present(files: &[File]) -> Vec<String> {
    const NEEDED: &[&str] = &[
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "LICENSE",
        "docs/troubleshooting.md",
    ];
    if text(files, "README.md").is_none() {
        return Vec::new();
    }
    let missing = NEEDED.iter().filter(|path| text(files, path).is_none());
    missing
        .map(|path| format!("{path}:1: does not exist"))
        .collect()
}

/// Every test that docs/promises.md names exists: `` `FILE`: `NAME` ``.
pub fn promises(files: &[File]) -> Vec<String> {
    let page = "docs/promises.md";
    let lines = text(files, page).unwrap_or_default().lines().enumerate();
    let rows = lines.filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| promise"));
    rows.flat_map(|(number, line)| {
        let named: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let tests = named.windows(2).filter(|pair| pair[0].ends_with(".rs"));
        let lost = tests.filter(|pair| {
            let declared = format!("fn {}(", pair[1]);
            !text(files, pair[0]).is_some_and(|text| text.contains(&declared))
        });
        let lost = lost.map(|pair| format!("{}: no test `{}`", pair[0], pair[1]));
        let none = (!named.iter().any(|name| name.ends_with(".rs")))
            .then(|| "a promise without a test".to_owned());
        let found: Vec<String> = lost.chain(none).collect();
        found
            .into_iter()
            .map(move |problem| format!("{page}:{}: {problem}", number + 1))
    })
    .collect()
}

/// The README has every command of `--help` in its table.
pub fn commands(files: &[File]) -> Vec<String> {
    let help = help();
    unmentioned(files, commands_of(&help), "command")
}

fn unmentioned(files: &[File], commands: Vec<&str>, kind: &str) -> Vec<String> {
    let Some(readme) = text(files, "README.md") else {
        return Vec::new();
    };
    let told = |name: &str| {
        [' ', '`']
            .iter()
            .any(|end| readme.contains(&format!("`{name}{end}")))
    };
    let missing = commands.into_iter().filter(|name| !told(name));
    missing
        .map(|name| format!("README.md:1: does not mention the {kind} `{name}`"))
        .collect()
}

fn help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--help")
        .output();
    let output = output.expect("the tool can be run");
    String::from_utf8(output.stdout).expect("help is text")
}

/// The first words of the lines under `Commands:`.
fn commands_of(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

/// The README explains every exit code, and `--help` lists it.
pub fn exit_codes(files: &[File]) -> Vec<String> {
    exit_codes_in(files, &help())
}

fn exit_codes_in(files: &[File], help: &str) -> Vec<String> {
    let (Some(readme), Some(source)) = (
        text(files, "README.md"),
        text(files, "xtask/diagnostics/src/failure.rs"),
    ) else {
        return Vec::new();
    };
    let variants = source
        .lines()
        .skip_while(|line| !line.contains("enum Exit"));
    let codes: Vec<u8> = variants
        .take_while(|line| !line.starts_with('}'))
        .filter(|line| !line.trim_start().starts_with("//"))
        .filter_map(|line| line.trim_end_matches(',').split_once(" = ")?.1.parse().ok())
        .collect();
    let mut found = Vec::new();
    if codes.is_empty() {
        found.push("xtask/diagnostics/src/failure.rs:1: no exit codes were found".to_owned());
    }
    for code in codes {
        if !readme
            .lines()
            .any(|line| line.starts_with(&format!("| {code} |")))
        {
            found.push(format!("README.md:1: does not explain exit code {code}"));
        }
        // 1 stands for defects, which nobody plans for.
        let listed = [" ", ": "]
            .iter()
            .any(|before| help.contains(&format!("{before}{code} ")));
        if code != 1 && !listed {
            found.push(format!(
                "xtask/src/cli.rs:1: the help does not list exit code {code}"
            ));
        }
    }
    found
}

/// What takes a stable id as its first argument.
const WITH_ID: [&str; 5] = [
    "Finding::new(",
    "Finding::ok(",
    "from_failure(",
    "Limit::new(",
    "Cause::new(",
];

/// Every row of the causes of `doctor` is one that it can name: the other
/// direction of `findings`.
pub fn causes(files: &[File]) -> Vec<String> {
    const FOLDER: &str = "xtask/operations/src/doctor/causes/";
    let Some(guide) = text(files, "docs/troubleshooting.md") else {
        return Vec::new();
    };
    let named: Vec<String> = sources(files)
        .filter(|file| file.path.starts_with(FOLDER))
        .flat_map(|file| {
            let strings = code(&file.text, Keep::Strings);
            let calls = strings.split("Cause::new(").skip(1);
            let ids =
                calls.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            ids.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let lines = guide.lines().enumerate();
    let section = lines
        .skip_while(|(_, line)| *line != "## Causes of doctor")
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "));
    section
        .filter_map(|(at, line)| Some((at, line.strip_prefix("| `")?.split('`').next()?)))
        .filter(|(_, id)| !named.iter().any(|name| name == id))
        .map(|(at, id)| {
            format!(
                "docs/troubleshooting.md:{}: nothing has the cause `{id}`",
                at + 1
            )
        })
        .collect()
}

/// Every finding and every cause can be looked up.
pub fn findings(files: &[File]) -> Vec<String> {
    let Some(guide) = text(files, "docs/troubleshooting.md") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for file in sources(files).filter(|file| !is_test(&file.path)) {
        // Strings are needed, tests are not: the places of both are the same
        // in the two texts.
        let strings = code(&file.text, Keep::Strings);
        let bare = without_tests(&code(&file.text, Keep::Code));
        for (place, _) in WITH_ID.iter().flat_map(|way| bare.match_indices(way)) {
            let line = bare[..place].matches('\n').count();
            let rest: String = strings.lines().skip(line).collect::<Vec<_>>().join("\n");
            let Some(id) = first_id(&rest) else { continue };
            if !guide.contains(&format!("`{id}`")) {
                found.push(format!(
                    "{}:{}: finding `{id}` is not in docs/troubleshooting.md",
                    file.path,
                    line + 1
                ));
            }
        }
    }
    found
}

/// The literal that follows the first bracket behind the constructor, if the
/// first argument is one.
fn first_id(rest: &str) -> Option<String> {
    let (_, arguments) = WITH_ID
        .iter()
        .filter_map(|way| rest.split_once(way))
        .min_by_key(|(before, _)| before.len())?;
    let id = arguments
        .trim_start()
        .strip_prefix('"')?
        .split('"')
        .next()?;
    Some(id.to_owned())
}

/// ARCHITECTURE.md shows every room.
pub fn map(files: &[File]) -> Vec<String> {
    let Some(map) = text(files, "ARCHITECTURE.md") else {
        return Vec::new();
    };
    let mut names: Vec<String> = sources(files)
        .filter(|file| !is_test(&file.path))
        .filter_map(|file| {
            let below = file.path.strip_prefix("xtask/")?;
            let inside = ["src/", "operations/src/"];
            let room = inside.iter().find_map(|rooms| below.strip_prefix(rooms));
            let first = |path: &str| path.split_inclusive('/').next().map(str::to_owned);
            match room {
                Some(room) => first(room),
                None => first(below).map(|name| format!("xtask/{name}")),
            }
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| !map.contains(&format!("`{name}")));
    names
        .into_iter()
        .map(|name| format!("ARCHITECTURE.md:1: the map does not show `{name}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings as found_by;

    #[test]
    fn missing_documents_are_found() {
        let readme = ("README.md", "");
        assert_eq!(found_by(present, &[readme]).len(), 4);
        assert!(found_by(present, &[]).is_empty());
    }

    #[test]
    fn a_command_that_the_readme_forgets_is_found() {
        let help = "x\n\nCommands:\n  up       Everything\n           in order\n  health-check  Ask\n  help  Print\n\nOptions:\n  -h\n";
        let names = commands_of(help);
        assert_eq!(names, ["up", "health-check"]);
        let file = |text: &str| File {
            path: "README.md".into(),
            text: text.into(),
        };
        let found = |text: &str| unmentioned(&[file(text)], names.clone(), "command");
        assert_eq!(
            found("`up [NAMES]`, health-check"),
            ["README.md:1: does not mention the command `health-check`"]
        );
        assert!(found("`up` `health-check --wait`").is_empty());
        assert!(commands_of(&super::help()).contains(&"deploy"));
    }

    #[test]
    fn an_exit_code_without_words_is_found() {
        let source =
            "enum Exit {\n    /// A = 9,\n    Other = 1,\n    Usage = 2,\n    Build = 5,\n}\n";
        let files = [
            ("README.md", "| 1 | x |\n| 2 | y |\n"),
            ("xtask/diagnostics/src/failure.rs", source),
        ];
        let found = found_by(|files| exit_codes_in(files, "Exit codes: 0 a, 5 b"), &files);
        assert_eq!(
            found,
            [
                "xtask/src/cli.rs:1: the help does not list exit code 2",
                "README.md:1: does not explain exit code 5",
            ]
        );
    }

    #[test]
    fn a_finding_without_an_entry_is_found() {
        let source = "fn a() {\n    Finding::new(\n        \"known\", b);\n    Finding::ok(\"new\", c);\n    from_failure(id, d);\n}\n\
                      #[cfg(test)]\nmod t { fn e() { Finding::ok(\"test\", f); } }\n";
        let files = [
            ("docs/troubleshooting.md", "| `known` |"),
            ("xtask/src/host/a.rs", source),
        ];
        assert_eq!(
            found_by(findings, &files),
            ["xtask/src/host/a.rs:4: finding `new` is not in docs/troubleshooting.md"]
        );
    }

    #[test]
    fn a_cause_that_is_no_more_is_found() {
        let guide = "## Causes of doctor\n\n| id |\n|---|\n| `old` | x |\n| `known` | y |\n## Symptoms\n| `else` |\n";
        let source = "fn a() { Cause::new(\n    \"known\", 1) }";
        let files = [
            ("docs/troubleshooting.md", guide),
            ("xtask/operations/src/doctor/causes/a.rs", source),
        ];
        assert_eq!(
            found_by(causes, &files),
            ["docs/troubleshooting.md:5: nothing has the cause `old`"]
        );
        let unknown = [("docs/troubleshooting.md", ""), files[1]];
        assert_eq!(
            found_by(findings, &unknown),
            [
                "xtask/operations/src/doctor/causes/a.rs:1: finding `known` is not in docs/troubleshooting.md"
            ]
        );
    }

    #[test]
    fn a_room_that_is_not_on_the_map_is_found() {
        let files = [
            ("ARCHITECTURE.md", "`podman/`, `gate.rs`"),
            ("xtask/src/podman/run.rs", ""),
            ("xtask/src/gate.rs", ""),
            ("xtask/src/attic/a.rs", ""),
        ];
        assert_eq!(
            found_by(map, &files),
            ["ARCHITECTURE.md:1: the map does not show `attic/`"]
        );
    }
}
