//! The room as a whole: versions, the JSON, and files of any kind.

mod oracle;

use std::time::{Duration, Instant};

use super::{PythonVersion, facts::FileFacts, parse};

fn read(text: &[u8], version: &str) -> FileFacts {
    let version = release(version);
    parse::one("a.py".into(), text.to_vec(), version)
}

/// `3.11`
fn release(text: &str) -> PythonVersion {
    let minor = text.strip_prefix("3.").and_then(|minor| minor.parse().ok());
    PythonVersion {
        major: 3,
        minor: minor.expect("a version of Python 3"),
    }
}

#[test]
fn syntax_belongs_to_a_version() {
    // The first version that reads a text, checked with these interpreters.
    for (first, text) in [
        ("3.10", "match a:\n case 1: pass"),
        ("3.10", "with (open(a) as b, open(c) as d): pass"),
        ("3.11", "try: pass\nexcept* A: pass"),
        ("3.11", "a[*b]"),
        ("3.11", "def f(*a: *b): pass"),
        ("3.12", "type A = int"),
        ("3.12", "def f[T](): pass"),
        ("3.12", "class A[T]: pass"),
        ("3.12", "f'{a['b']}'"),
        ("3.12", "f'{a\n}'"),
        ("3.12", "f'''{\na # b\n}'''"),
        ("3.12", "f'{\"\\n\".join(a)}'"),
        ("3.13", "def f[T = int](): pass"),
        ("3.14", "t'{a}'"),
        ("3.14", "try: pass\nexcept A, B: pass"),
    ] {
        let reads = |version: &&str| read(text.as_bytes(), version).parses();
        let versions = ["3.10", "3.11", "3.12", "3.13", "3.14"];
        assert_eq!(versions.iter().find(|v| reads(v)), Some(&first), "{text}");
    }
}

#[test]
fn errors_that_only_a_compiler_finds_are_none() {
    for text in [
        "return 1",
        "yield 1",
        "await a",
        "break",
        "continue",
        "def f(a, a): pass",
        "nonlocal a",
        "x = 1\nfrom __future__ import annotations",
        "from __future__ import nothing",
        "def f():\n global a\n a = 1\n global a",
        "*a, *b = c",
        "*a = b",
        "f(a=1, a=2)",
        "class A:\n from x import *\ndef g():\n from y import *",
        "try: pass\nexcept: pass\nexcept A: pass",
        "def f():\n return *a, 1",
        "async def f(): [await x async for x in y]",
        "match a:\n case b: pass\n case c: pass",
        "[x async for x in y]",
        "raise;",
        "if a: raise ; b",
        "__debug__ = 1",
    ] {
        assert_eq!(read(text.as_bytes(), "3.11").error, None, "{text}");
    }
}

#[test]
fn errors_have_a_place_and_a_reason() {
    for (text, expected) in [
        ("x = (\n", "1:5: `(` was never closed"),
        ("a\n  b\n", "2:1: unexpected indentation"),
        (
            "print 'é', x",
            "1:7: simple statements must be separated by newlines or semicolons",
        ),
        ("é = 1\n'ü' = 2", "2:1: invalid assignment target"),
        ("\r\r\nf'{'", "3:4: expected an expression"),
        ("match", ""),
        (
            "x\ntry: a\nelse: b",
            "3:8: expected `except` or `finally` after `try` block",
        ),
        (
            "try: a\nelse: b\nfinally: c",
            "1:1: expected `except` after `try` block, since there is an `else`",
        ),
        ("a = [(1, 2]", "1:11: expected `,`, found `]`"),
        ("except* A: pass", "1:1: expected a statement"),
        (
            "type A = int",
            "1:1: cannot use `type` alias statement on Python 3.11 (syntax was added in Python 3.12)",
        ),
    ] {
        let facts = read(text.as_bytes(), "3.11");
        let said = facts
            .error
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert_eq!(said, expected, "{text:?}");
    }
}

#[test]
fn the_json_has_all_fields() {
    let text = "import a.b\ntry:\n from c import d, e\nexcept ImportError: pass\nfrom . import f\n\
                __import__('g')\ns.bind('tcp://*:1')\ns.connect('tcp://localhost:2')\n";
    let import = |name: &str,
                  module: &str,
                  names: &[&str],
                  line: u32,
                  kind: &str,
                  why: Option<&str>| {
        serde_json::json!({
            "name": name, "module": module, "names": names, "line": line, "kind": kind, "why": why,
        })
    };
    let expected = serde_json::json!({
        "path": "a.py",
        "lines": 8,
        "parses": true,
        "error": null,
        "imports": [
            import("a", "a.b", &[], 1, "hard", None),
            import("c", "c", &["d", "e"], 3, "soft", Some("guarded")),
        ],
        "relative_imports": [
            {"level": 1, "module": "", "names": ["f"], "line": 5, "kind": "hard", "why": null},
        ],
        "dynamic_imports": [import("g", "g", &[], 6, "hard", None)],
        "binds": [
            {"address": "tcp://*:1", "host": "*", "port": 1, "line": 7, "localhost": false},
        ],
        "peers": [
            {"address": "tcp://localhost:2", "host": "localhost", "port": 2, "line": 8, "localhost": true},
        ],
    });
    let found = serde_json::to_value(read(text.as_bytes(), "3.11"));
    assert_eq!(found.expect("JSON"), expected);
    let found = serde_json::to_value(read(b"import a\n(", "3.11")).expect("JSON");
    assert_eq!(
        (&found["parses"], &found["error"]["line"]),
        (&false.into(), &2.into())
    );
    assert_eq!(found["imports"], serde_json::json!([]));
}

/// Texts with as much of the language as possible, to be damaged.
const SEEDS: [&str; 4] = [
    include_str!("../../../containers/reference/main_pc_code/common/agent.py"),
    "#!/usr/bin/env python\n# -*- coding: latin-1 -*-\nimport a.b as c, d\nfrom .e import (f,\n  g as h)\n\
     @i(j=k)\nasync def l(m, /, n=1, *o: p, q: r = {**s}, **t) -> u:\n\tasync with v as w, x: await y\n\
     \treturn [z async for z in a if b], lambda c=1, *d: (yield)\n",
    "if __name__ == '__main__' and sys.version_info[:2] >= (3, 8):\n  try:\n    import a\n  except (ImportError, b) as c:\n\
    \x20   raise d from e\n  else: pass\n  finally: del f[1:2, ::3], g.h\nelif i: __import__('j', fromlist=['k'])\n\
     while not l is not m in n: break\nelse: import_module('..o', 'p.q')\n",
    "s.bind(f'tcp://*:{a!r:>{b}}' f\"{c['d']=}\" 'e'); t.connect('tcp://%s:%d' % (f, 1_0))\n\
     match g:\n  case {'h': [1, *i], **j} | k(l=-2+3j) if m: n = o = '''\\N{DASH}\n'''; p: q = rb'\\x'\n\
     x = y if z else a or b and c < d != e @ f ** -g // 0x1F << 0b1 | ~h if (i := 1e5) else ...\n",
];

/// Small and good enough to choose damage with.
struct Dice(u64);

impl Dice {
    /// Below `limit`.
    fn roll(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap_or(0)
    }
}

/// A copy of a seed with bytes changed, or parts removed, doubled or swapped.
fn damaged(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = SEEDS[dice.roll(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..=dice.roll(4) {
        let from = dice.roll(bytes.len());
        let to = bytes.len().min(from + dice.roll(40));
        let part = bytes[from..to].to_vec();
        let at = dice.roll(bytes.len());
        match dice.roll(6) {
            0 => drop(bytes.drain(from..to)),
            1 => drop(bytes.splice(at..at, part.repeat(1 + dice.roll(30)))),
            2 => drop(bytes.splice(at..at, [dice.roll(256) as u8])),
            3 => drop(bytes.splice(
                from..to,
                b"([{'\"\\:,\n\t\0#f"[dice.roll(13)..].iter().copied(),
            )),
            4 => bytes.truncate(at),
            _ => bytes[from..to].reverse(),
        }
    }
    bytes
}

#[test]
fn no_bytes_do_harm() {
    let checks = || {
        let mut dice = Dice(0x5eed_cafe_f00d_0003);
        let started = Instant::now();
        for round in 0..4000 {
            let bytes = match round % 8 {
                0 => (0..dice.roll(300)).map(|_| dice.roll(256) as u8).collect(),
                _ => damaged(&mut dice),
            };
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            let lines = 1 + bytes.iter().filter(|byte| b"\r\n".contains(byte)).count() as u32;
            let facts = parse::file("a.py".into(), bytes, PythonVersion::DEFAULT);
            let found = facts.imports.len() + facts.relative.len() + facts.dynamic.len();
            match &facts.error {
                Some(error) => {
                    assert!(
                        error.line <= lines && error.line > 0 && error.column > 0,
                        "{shown}"
                    );
                    assert!(error.message != parse::DEFECT, "{shown}");
                    assert_eq!(found + facts.binds.len() + facts.peers.len(), 0);
                }
                None => assert!(facts.lines <= lines, "{shown}"),
            }
            let inside = facts
                .imports
                .iter()
                .all(|import| (1..=lines).contains(&import.line));
            assert!(
                inside && started.elapsed() < Duration::from_secs(120),
                "{shown}"
            );
        }
    };
    let thread = std::thread::Builder::new().stack_size(parse::STACK);
    let thread = thread.spawn(checks).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn hostile_nesting_is_refused_quickly() {
    let started = Instant::now();
    for size in [60_000, 1_000_000] {
        for part in [
            "(",
            "[",
            "{1:",
            "-",
            "not ",
            "lambda:",
            "lambda a, b:",
            "f\"{",
            "f'{a:{",
            "if a:",
            "if a, b:",
            "class a:",
            "async ",
            "await ",
            "@",
            "a[b(",
            "*",
            "[x for x in ",
            "match(",
            "with (a,",
            "def f(a=",
            "1 if 1 else ",
            "1**",
            "a.",
            "(a:=",
            "try:",
            "\t",
            " \n",
            "\\\n",
        ] {
            let text = part.repeat(size / part.len());
            let facts = read(text.as_bytes(), "3.11");
            assert!(
                !facts.parses() || part.trim().is_empty() || part == "\\\n",
                "{part}"
            );
        }
    }
    let text = "if a:\n x\n".to_owned() + &"elif b:\n x\n".repeat(20_000);
    assert!(read(text.as_bytes(), "3.11").parses());
    assert!(
        started.elapsed() < Duration::from_secs(120),
        "{:?}",
        started.elapsed()
    );
}
