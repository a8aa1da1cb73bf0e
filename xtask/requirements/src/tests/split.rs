//! Splits of small files, told as what became of each requirement.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    super::file::{Loaded, read},
    *,
};

/// A request about files in memory, with everything else empty.
struct Case {
    files: Files,
    rules: Rules,
    usage: Option<ImportUsage>,
    locked: BTreeSet<String>,
    refused: BTreeMap<String, String>,
    source_only: BTreeSet<String>,
}

impl Case {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes().to_vec();
        let files = read(&["r.txt".into()], &mut |path| {
            let identity = path.to_owned();
            Ok(Loaded {
                identity,
                bytes: bytes.clone(),
            })
        });
        Case {
            files,
            rules: Rules::default(),
            usage: None,
            locked: BTreeSet::new(),
            refused: BTreeMap::new(),
            source_only: BTreeSet::new(),
        }
    }

    fn rules(mut self, text: &str) -> Self {
        let text = format!("schema = 1\n{text}");
        let rules = super::super::rules::parse(&text, &PathBuf::from("rules.toml"));
        self.rules = rules.unwrap_or_else(|error| panic!("{}", error.render(false)));
        self
    }

    /// Imports as `AGENT LIST[,LIST] MODULE`, with `?` behind soft ones.
    fn imports(mut self, imports: &[&str]) -> Self {
        let import = |(index, text): (usize, &&str)| {
            let words: Vec<&str> = text.split(' ').collect();
            let list = |name: &str| *List::ALL.iter().find(|list| list.name() == name).unwrap();
            Import {
                module: words[2].trim_end_matches('?').to_owned(),
                agent: (words[0] != "-").then(|| words[0].to_owned()),
                file: format!("{}.py", words[0].to_lowercase()),
                line: index + 1,
                hard: !words[2].ends_with('?'),
                lists: words[1].split(',').map(list).collect(),
            }
        };
        let imports = imports.iter().enumerate().map(import).collect();
        self.usage = Some(ImportUsage { imports });
        self
    }

    fn split(&self) -> Split {
        split(&SplitInput {
            files: &self.files,
            rules: &self.rules,
            usage: self.usage.as_ref(),
            installed: &BTreeMap::new(),
            locked: &self.locked,
            refused: &self.refused,
            source_only: &self.source_only,
            environment: &Environment::of_python("3.11"),
        })
    }

    /// `SPEC IMAGES: REASON`
    fn placed(&self) -> Vec<String> {
        let show = |placed: Placed| {
            let images: Vec<&str> = placed.images.iter().map(|list| list.name()).collect();
            format!("{} [{}]: {}", placed.spec, images.join(" "), placed.reason)
        };
        self.split().requirements.into_iter().map(show).collect()
    }

    /// `FILE:LINE SEVERITY ID: MESSAGE (HINT)`
    fn findings(&self) -> Vec<String> {
        let show = |f: &Finding| {
            let severity = serde_json::to_string(&f.severity).unwrap();
            let hint = f
                .hint
                .as_ref()
                .map_or(String::new(), |hint| format!(" ({hint})"));
            let severity = severity.trim_matches('"');
            format!(
                "{}:{} {severity} {}: {}{hint}",
                f.file, f.line, f.id, f.message
            )
        };
        self.split().findings.iter().map(show).collect()
    }
}

#[test]
fn nature_decides_before_importers_and_core_is_last() {
    let case = Case::new("pyzmq\ntorch\nlibrosa\nlmdb\nredis\nnltk\nsympy\nscipy\n").imports(&[
        "Cora core torch",
        "Cora core redis",
        "Gina gpu redis",
        "Gina gpu lmdb",
        "Aude audio nltk?",
        "Gina gpu scipy",
        "Aude audio scipy",
        "- core sympy",
    ]);
    assert_eq!(
        case.placed(),
        [
            "pyzmq [core]: for every agent: messaging, web services, configuration",
            "torch [gpu]: machine learning",
            "librosa [audio]: sound and speech",
            "lmdb [gpu]: imported by Gina",
            "redis [core]: imported by Cora and Gina",
            "nltk [audio]: imported by Aude",
            "sympy [core]: imported by no agent",
            "scipy [gpu audio]: imported by Aude and Gina",
        ]
    );
}

#[test]
fn an_image_of_two_lists_is_served_by_either() {
    let case = Case::new("lmdb\nredis\nnltk\n").imports(&[
        "Both gpu,audio lmdb",
        "Both gpu,audio redis",
        "Aude audio redis",
        "Both gpu,audio nltk",
        "Cora core nltk",
    ]);
    let placed = case.placed();
    assert!(placed[0].starts_with("lmdb [gpu]"), "{placed:?}");
    assert!(placed[1].starts_with("redis [audio]"), "{placed:?}");
    assert!(placed[2].starts_with("nltk [core]"), "{placed:?}");
}

#[test]
fn rules_go_before_everything() {
    let case = Case::new("torch\nasyncio\npytest\nNumPy\nredis\n").rules(
        "place.Torch = { lists = ['audio', 'core'], reason = 'small' }\n\
         place.asyncio = { lists = ['core'], reason = 'ours' }\n\
         place.pytest = { lists = ['gpu'], reason = 'self-test' }\n\
         place.redis = { lists = [], reason = 'not yet' }\n\
         [[add]]\nrequirement = 'numpy<2'\nlists = ['audio']\nreason = 'torch 2.1'\n\
         [[add]]\nrequirement = 'pip'\nlists = ['gpu', 'audio']\nreason = 'tools'",
    );
    assert_eq!(
        case.placed(),
        [
            "torch [core]: small",
            "asyncio [core]: ours",
            "pytest [gpu]: self-test",
            "numpy<2 [audio]: torch 2.1",
            "pip [gpu audio]: tools",
            "redis []: not yet",
        ]
    );
}

#[test]
fn traps_are_left_out() {
    let case = Case::new(
        "asyncio==3.4.3\nzmq==0.0.0\npyzmq\nenum34\nbs4\npywin32==306\npytest\n\
         old ; python_version < '3'\nours @ git+https://u:p@x.org/o\nweb @ https://x.org/w.whl\n",
    );
    assert_eq!(
        case.placed(),
        [
            "pyzmq [core]: for every agent: messaging, web services, configuration",
            "beautifulsoup4 [core]: imported by no agent",
            "web @ https://x.org/w.whl [core]: imported by no agent",
            "asyncio==3.4.3 []: shadows the standard library's `asyncio`",
            "zmq==0.0.0 []: `pyzmq` is meant",
            "enum34 []: shadows the standard library's `enum`",
            "bs4 []: `beautifulsoup4` is meant",
            "pywin32==306 []: for another system than Linux",
            "old []: not for these images: python_version < \"3\"",
            "ours @ git+https://u:p@x.org/o []: its URL cannot be locked by hash",
            "pytest []: a tool for development",
        ]
    );
    assert_eq!(
        case.findings(),
        [
            "r.txt:1 warning stdlib-shadow: `asyncio` shadows the standard library's `asyncio` and is left out (remove the line; this module comes with Python)",
            "r.txt:2 warning empty-shim: `zmq` is an empty or abandoned package; `pyzmq` is meant, which is listed at r.txt:3 (remove the line)",
            "r.txt:4 warning stdlib-shadow: `enum34` shadows the standard library's `enum` and is left out (remove the line; this module comes with Python)",
            "r.txt:5 warning empty-shim: `bs4` is an empty or abandoned package; `beautifulsoup4` takes its place (write `beautifulsoup4` instead)",
            "r.txt:6 warning platform-only: `pywin32` is for another system than Linux and is left out (add a marker such as ` ; sys_platform == \"win32\"`)",
            "r.txt:7 remark development: `pytest` is a tool for development and is in no image",
            "r.txt:8 remark marker-false: `old` is not for these images: python_version < \"3\"",
            "r.txt:9 warning not-portable: `ours` comes from `git+https://…@x.org/o` (no hash can hold it; give the URL of an archive, or publish it)",
        ]
    );
}

#[test]
fn a_version_that_an_empty_package_does_not_have() {
    let case = Case::new("pyzmq\nzmq==24.0.1\nzmq\nzmq==0.0.0\n");
    let findings: Vec<String> = case
        .findings()
        .into_iter()
        .filter(|f| !f.contains("empty-shim"))
        .collect();
    assert_eq!(
        findings,
        [
            "r.txt:2 error no-such-version: `zmq==24.0.1` does not exist: there is 0.0.0 only (remove the line)"
        ]
    );
}

#[test]
fn a_development_tool_that_an_agent_needs_is_kept() {
    let case =
        Case::new("hypothesis\ncoverage\n").imports(&["Gina gpu hypothesis", "Gina gpu coverage?"]);
    assert_eq!(
        case.placed(),
        [
            "hypothesis [gpu]: imported by Gina",
            "coverage []: a tool for development"
        ]
    );
}

#[test]
fn doubles_become_one() {
    let case = Case::new(
        "pyzmq>=25.1.0\nredis[hiredis]\nlmdb==1\nnltk==1\nsix\n\
         PyZMQ==27.0.0\nredis>=4\nlmdb>=2\nnltk==1\nsix @ https://x.org/six.zip\n",
    );
    let specs: Vec<String> = case
        .split()
        .requirements
        .into_iter()
        .map(|p| format!("{}:{}", p.spec, p.line))
        .collect();
    assert_eq!(
        specs,
        [
            "pyzmq==27.0.0:6",
            "redis[hiredis]>=4:7",
            "lmdb==1:3",
            "nltk==1:4",
            "six @ https://x.org/six.zip:10"
        ]
    );
    let findings = case.findings();
    assert_eq!(
        findings[..4],
        [
            "r.txt:6 warning duplicate: `pyzmq` is asked for twice: `pyzmq==27.0.0` here and `pyzmq>=25.1.0` at r.txt:1; `pyzmq==27.0.0` is used (keep one line: `pyzmq==27.0.0`)",
            "r.txt:7 warning duplicate: `redis` is asked for twice: `redis>=4` here and `redis[hiredis]` at r.txt:2; `redis[hiredis]>=4` is used (keep one line: `redis[hiredis]>=4`)",
            "r.txt:8 error contradictory: `lmdb>=2` contradicts `lmdb==1` at r.txt:3, which stays (no version can satisfy both; decide on one)",
            "r.txt:9 remark duplicate: `nltk==1` is asked for at r.txt:4 as well (remove one)",
        ]
    );
}

#[test]
fn thousands_of_lines_for_one_name_take_no_time() {
    let lines: String = (0..20_000)
        .map(|n| format!("redis>=0.{n}\nzmq\n"))
        .collect();
    let case = Case::new(&lines);
    let findings = case.findings();
    assert_eq!(
        findings
            .iter()
            .filter(|f| f.contains("more than 100 lines"))
            .count(),
        2
    );
}

#[test]
fn constraints_are_limits_where_their_marker_holds() {
    let files = read(&["r.txt".into()], &mut |path| {
        let text: &[u8] = match path.to_str() {
            Some("r.txt") => b"-c c.txt\nredis==5",
            _ => b"redis<5\nlmdb<2 ; sys_platform == 'win32'\nnltk\nunused<3",
        };
        let (identity, bytes) = (path.to_owned(), text.to_vec());
        Ok(Loaded { identity, bytes })
    });
    let case = Case {
        files,
        ..Case::new("")
    };
    let limits = limits(&case.files, &case.rules, &Environment::of_python("3.11"));
    let names: Vec<&str> = limits.iter().map(|limit| limit.name.as_str()).collect();
    assert_eq!(names, ["redis", "unused"]);
    assert_eq!(
        case.findings(),
        [
            "r.txt:2 error contradictory: `redis==5` contradicts the limit `<5` at c.txt:1: a constraints file (change one of the two)"
        ]
    );
    assert_eq!(case.placed().len(), 1);
}

#[test]
fn limits_are_checked_and_not_written() {
    let case = Case::new("torch==2.9\nnumpy\n").rules(
        "limit.torch = { specifier = '<2.8', reason = 'driver 525' }\n\
         limit.numpy = { specifier = '<2', reason = 'torch 2.1' }",
    );
    assert_eq!(
        case.split().lists[&List::Core].lines().last(),
        Some("numpy")
    );
    assert_eq!(
        case.findings(),
        [
            "r.txt:1 error contradictory: `torch==2.9` contradicts the limit `<2.8` at rules.toml:2: driver 525 (change one of the two)"
        ]
    );
    assert_eq!(
        limits(&case.files, &case.rules, &Environment::of_python("3.11")).len(),
        2
    );
}

#[test]
fn what_the_index_refuses_is_left_out_with_its_place() {
    let mut case = Case::new("one\npyyaml==6.0\nsrc\n").imports(&["Cora core yaml"]);
    case.refused = [("pyyaml".to_owned(), "there is no version 6.0.99".to_owned())].into();
    case.source_only = ["src".to_owned()].into();
    let split = case.split();
    assert_eq!(split.requirements[2].images, []);
    assert!(!split.lists[&List::Core].contains("yaml"));
    let findings = case.findings();
    assert_eq!(
        findings[1],
        "r.txt:2 error no-such-version: `pyyaml==6.0` cannot be had: there is no version 6.0.99 (correct the version; it is left out until then)"
    );
    assert!(
        findings
            .iter()
            .any(|f| f.starts_with("r.txt:3 remark source-only")),
        "{findings:?}"
    );
    assert!(
        !findings.iter().any(|f| f.contains("imported-never-listed")),
        "{findings:?}"
    );
}

#[test]
fn imports_that_nobody_asks_for() {
    let mut case = Case::new("pyzmq\nprotobuf\n").imports(&[
        "Cora core zmq.asyncio",
        "Cora core netifaces",
        "Dan core netifaces?",
        "Gina gpu torch",
        "Cora core prometheus_client?",
        "Cora core sqlit",
        "Cora core zzqxy?",
        "Cora core win32api",
        "Dan core win32gui?",
        "Cora core google.protobuf.message",
        "Cora core starlette.app",
        "Cora core os",
        "- core threa",
        "- core selenium",
    ]);
    case.locked = ["starlette".to_owned()].into();
    assert_eq!(
        case.findings(),
        [
            "cora.py:2 error imported-never-listed: `netifaces` is in no requirements file; imported by Cora and Dan (add the line `netifaces` to `r.txt`; it goes into core)",
            "cora.py:5 warning imported-never-listed: `prometheus-client` is in no requirements file; imported by Cora (add the line `prometheus-client` to `r.txt`; it goes into core)",
            "cora.py:6 error unknown-import: no package provides `sqlit`; imported by Cora (did you mean `sqlite3` or `sqlite_vec`?)",
            "cora.py:7 warning unknown-import: no package provides `zzqxy`; imported by Cora (a lost module, or a package to name under `[imports]` in the rules: zzqxy = \"NAME\")",
            "cora.py:8 error windows-only-import: `win32api` exists on Windows only; imported by Cora (import it inside `if sys.platform == \"win32\":`)",
            "cora.py:11 warning imported-never-listed: `starlette` only comes as a dependency of others; imported by Cora (add the line `starlette` to `r.txt`; it goes into core)",
            "dan.py:9 remark windows-only-import: `win32gui` exists on Windows only; imported by Dan (import it inside `if sys.platform == \"win32\":`)",
            "gina.py:4 error imported-never-listed: `torch` is in no requirements file; imported by Gina (add the line `torch` to `r.txt`; it goes into gpu)",
        ]
    );
}

#[test]
fn requirements_that_nobody_imports() {
    let case = Case::new("accelerate\nredis\nlmdb\n")
        .imports(&[])
        .rules("place.lmdb = { lists = ['core'], reason = 'x' }");
    assert_eq!(
        case.findings(),
        [
            "r.txt:1 remark never-imported: `accelerate` is never imported; others load it at run time",
            "r.txt:2 remark never-imported: `redis` is never imported (remove it if nothing loads it at run time)",
        ]
    );
}

#[test]
fn packages_that_overwrite_each_other() {
    let case = Case::new("opencv-python-headless\nopencv-python\nwebrtcvad\n");
    assert_eq!(
        case.findings(),
        [
            "r.txt:2 warning same-module: `opencv-python` writes the same files as `opencv-python-headless` at r.txt:1; which one works is a matter of chance \
          (keep `opencv-python-headless` and remove `opencv-python`, or add `[place.opencv-python]` with `lists = []` to the rules)"
        ]
    );
    let apart = case.rules("place.opencv-python = { lists = ['gpu'], reason = 'x' }\nplace.opencv-python-headless = { lists = ['audio'], reason = 'x' }");
    assert!(apart.findings().is_empty());
}

#[test]
fn lists_are_stable() {
    let text = "torch\nredis\npyzmq\nlmdb\nlibrosa\nnumpy\n";
    let imports = [
        "Gina gpu lmdb",
        "Cora core redis",
        "Abe core redis",
        "Gina gpu redis",
    ];
    let case = Case::new(text).imports(&imports);
    let lists = case.split().lists;
    assert_eq!(
        lists[&List::Core],
        "# What every image has. Written by `cargo xtask split-requirements`:\n\
         # change the requirements that it reads, or rules.toml, and run it again.\n\
         \n# imported by Abe, Cora and Gina\nredis\n\
         \n# for every agent: messaging, web services, configuration\npyzmq\nnumpy\n"
    );
    assert!(
        lists[&List::Gpu].contains("\n-r requirements.core.txt\n\n# machine learning\ntorch\n")
    );
    let reversed: Vec<&str> = imports.iter().rev().copied().collect();
    assert_eq!(Case::new(text).imports(&reversed).split().lists, lists);
    // What was written splits into itself.
    let case = Case::new(&lists[&List::Core]).imports(&imports);
    assert_eq!(case.split().lists[&List::Core], lists[&List::Core]);
}

#[test]
fn the_json_has_what_scripts_need() {
    let split = Case::new("pyzmq==27\nasyncio\n").split();
    let json = serde_json::to_value(&split).unwrap();
    assert_eq!(
        json["requirements"][0],
        serde_json::json!({
            "name": "pyzmq", "spec": "pyzmq==27", "images": ["core"], "file": "r.txt", "line": 1,
            "reason": "for every agent: messaging, web services, configuration",
        })
    );
    assert_eq!(json["findings"][0]["id"], "stdlib-shadow");
    assert_eq!(json["findings"][0]["severity"], "warning");
    assert_eq!(json["findings"][0]["line"], 2);
}
