//! Rules as text, and the messages for those that are wrong.

use super::*;

fn rules(text: &str) -> Rules {
    parse(text, Path::new("rules.toml")).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

/// `LINE:COLUMN MESSAGE (HELP)`
fn problems(text: &str) -> Vec<String> {
    let error = parse(text, Path::new("rules.toml")).expect_err("something is wrong");
    assert!(
        error.render(false).contains("rules.toml:"),
        "{}",
        error.render(false)
    );
    let number = |number: Option<usize>| number.map_or("-".to_owned(), |n| n.to_string());
    error
        .problems()
        .iter()
        .map(|p| {
            format!(
                "{}:{} {} ({})",
                number(p.line),
                number(p.column),
                p.message,
                p.help
            )
        })
        .collect()
}

#[test]
fn everything_is_optional() {
    assert_eq!(rules("schema = 1"), Rules::default());
    let missing = read(Path::new("/nowhere/rules.toml")).expect("no rules are no problem");
    assert_eq!(missing, Rules::default());
}

#[test]
fn all_tables() {
    let rules = rules(
        "schema = 1\n\
         imports = { cv2 = 'OpenCV_Python', 'google.ours' = 'ours' }\n\
         [place.Sci_Py]\nlists = ['audio', 'gpu']\nreason = \"both\\n need it\"\n\
         [place.mss]\nlists = []\nreason = 'no screens'\n\
         [[add]]\nrequirement = 'torchvision>=0.1'\nlists = ['gpu', 'core']\nreason = 'r'\n\
         [limit.Torch]\nspecifier = '<2.8, >=2'\nreason = 'r'\n\
         [build.setuptools]\nspecifier = '<81'\nreason = 'r'\n\
         [folders]\narchived = ['Trash*', 'a*b*c']\n\
         [ignore]\nimports = ['bpy']\nreason = 'r'\n",
    );
    assert_eq!(rules.imports["cv2"], "opencv-python");
    let decision = &rules.places["sci-py"];
    assert_eq!(decision.lists, [List::Gpu, List::Audio]);
    assert_eq!(decision.reason, "both need it");
    assert_eq!(
        decision.at,
        Place {
            column: 8,
            ..Place::line("rules.toml", 3)
        }
    );
    assert_eq!(rules.places["mss"].lists, []);
    assert_eq!(rules.additions[0].lists, [List::Core]);
    assert_eq!(rules.additions[0].requirement.spec(), "torchvision>=0.1");
    assert_eq!(rules.additions[0].at.line, 10);
    assert_eq!(rules.limits[0].name, "torch");
    assert_eq!(
        rules.limits[0].at,
        Place {
            column: 13,
            ..Place::line("rules.toml", 14)
        }
    );
    assert_eq!(requirement::render(&rules.build[0].versions), "<81");
    assert!(rules.ignored.contains("bpy"));
    for (folder, archived) in [
        ("trash_2024", true),
        ("TRASH", true),
        ("axxbxc", true),
        ("abcd", false),
        ("archive", false),
    ] {
        assert_eq!(rules.is_archived(folder), archived, "{folder}");
    }
    for (folder, archived) in [
        ("archive", true),
        ("_archive", true),
        ("Backup1", true),
        ("needtoverify", true),
        ("agents", false),
        ("gold", false),
    ] {
        assert_eq!(Rules::default().is_archived(folder), archived, "{folder}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    assert_eq!(
        problems(
            "imports = { a = 1, b = 'not a name' }\n\
             [place.scipy]\nlists = ['cpu']\n\
             [[add]]\nrequirement = 'a b'\nlists = ['gpu']\nreason = ' '\n\
             [limit.torch]\nspecifer = '<2'\nreason = 'r'\n\
             [limit.'x y']\nspecifier = ''\nreason = 'r'\n\
             [build.x]\nspecifier = '<a'\nreason = 'r'\n\
             [extra]\n"
        ),
        [
            "1:1 the file has no `schema` (add `schema = ...`)",
            "1:17 `a` must be a string, but is an integer (put the value in quotes)",
            "1:24 `not a name` is not the name of a package (letters, digits, `-`, `_` and `.`)",
            "2:8 `place` `scipy` has no `reason` (add `reason = \"...\"`, one sentence for those who come later)",
            "3:10 an element of `lists` cannot be `cpu` (possible values: `core`, `gpu`, `audio`)",
            "5:15 `requirement` is not a requirement: `b` is not a version: Unexpected end of version specifier, expected operator (write `NAME` or `NAME>=VERSION`)",
            "7:10 `reason` is empty (write some text)",
            "9:1 unknown key `specifer` in `limit` `torch` (did you mean `specifier`?)",
            "11:8 `x y` is not the name of a package (letters, digits, `-`, `_` and `.`)",
            "12:13 `specifier` is empty (write versions such as `<2` or `>=1.0,<2`)",
            "15:13 `specifier` is not a specifier: `<a` is not a version: expected version to start with a number, but no leading ASCII digits were found (write versions such as `<2` or `>=1.0,<2`)",
            "17:2 unknown key `extra` in the file (known keys: `schema`, `imports`, `place`, `add`, `limit`, `build`, `folders`, `ignore`)",
        ]
    );
}

#[test]
fn names_are_decided_once() {
    let found = problems(
        "schema = 1\n[place.A_b]\nlists = []\nreason = 'r'\n[place.a-B]\nlists = []\nreason = 'r'\n\
         [limit.c]\nspecifier = '<1'\nreason = 'r'\n[limit.C]\nspecifier = '<2'\nreason = 'r'\n",
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("5:8 `a-B` is decided twice"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("11:8 `C` is decided twice"),
        "{found:?}"
    );
}

#[test]
fn other_schemas_and_broken_syntax_are_refused() {
    assert_eq!(
        problems("schema = 2"),
        ["1:10 `schema` is 2, which is out of range (write a number from 1 to 1)"]
    );
    assert!(!problems("schema = 1\n[place").is_empty());
    assert!(problems("schema = 1\nschema = 1")[0].starts_with("2:1"));
}

#[test]
fn damaged_rules_never_panic() {
    let whole = "schema = 1\nimports = { a = 'b' }\n[place.c]\nlists = ['gpu']\nreason = 'd'\n[limit.e]\nspecifier = '<2'\nreason = 'é'\n";
    for at in 0..whole.len() {
        for piece in ["", "\"", "[", "]", "\u{0}", "é", "\n"] {
            if whole.is_char_boundary(at) {
                let text = format!("{}{piece}{}", &whole[..at], &whole[at..]);
                let _ = parse(&text, Path::new("r")).map_err(|error| error.render(false));
                let _ = parse(&whole[..at], Path::new("r")).map_err(|error| error.problems());
            }
        }
    }
}
