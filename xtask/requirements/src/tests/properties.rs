//! Properties that hold whatever stands in a file. Everything is drawn from
//! fixed seeds, so that a failure can be repeated.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    file::{self, Files, Loaded},
    lines,
    list::List,
    marker::Environment,
    requirement::{self, Requirement},
    rules::Rules,
    split::{Import, ImportUsage, Split, SplitInput, split},
    statement::{self, Statement},
};

/// Small and fixed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }

    fn pick<'p, T: ?Sized>(&mut self, pieces: &[&'p T]) -> &'p T {
        pieces[self.below(pieces.len())]
    }
}

/// Pieces that the grammar is made of, and some that it is not.
const PIECES: [&[u8]; 48] = [
    b"torch",
    b"PyZMQ",
    b"a_b.c",
    b"zmq",
    b"asyncio",
    b"pytest",
    b"==",
    b">=",
    b"<",
    b"~=",
    b"!=",
    b"===",
    b"1.0",
    b"2.1.*",
    b"1!0rc1",
    b"99999999999999999999",
    b",",
    b";",
    b" ; ",
    b"[x,y]",
    b"[",
    b"]",
    b"(",
    b")",
    b" @ ",
    b"https://x.org/a.zip",
    b"file:///a",
    b"python_version",
    b"extra",
    b" and ",
    b" or ",
    b" not in ",
    b"'3.8'",
    b"\"",
    b"#",
    b" # ",
    b"\\\n",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"-r ",
    b"--hash=sha256:0",
    b"-e .",
    b"\x00",
    b"\xFF\xFE",
    b"\xEF\xBB\xBF",
    b"\xC3\xA9",
];

fn read(bytes: &[u8]) -> Files {
    file::read(&["r.txt".into()], &mut |path: &Path| {
        Ok(Loaded {
            identity: path.to_owned(),
            bytes: bytes.to_vec(),
        })
    })
}

fn split_of(files: &Files, usage: Option<&ImportUsage>) -> Split {
    split(&SplitInput {
        files,
        rules: &Rules::default(),
        usage,
        installed: &BTreeMap::new(),
        locked: &BTreeSet::new(),
        refused: &BTreeMap::new(),
        source_only: &BTreeSet::new(),
        environment: &Environment::of_python("3.11"),
    })
}

fn check_all(bytes: &[u8]) {
    let text = lines::read(bytes);
    for line in &text.lines {
        assert!(!line.text.is_empty());
        let (row, column) = line.position(line.text.len() / 2);
        assert!(row >= 1 && column >= 1);
        if let Statement::Wrong { wrong, .. } = statement::read(&line.text) {
            assert!(wrong.offset <= line.text.len(), "{:?}", line.text);
        }
    }
    let files = read(bytes);
    let rows = String::from_utf8_lossy(bytes).matches(['\n', '\r']).count() + 1;
    for entry in &files.entries {
        assert!(entry.at.line <= rows.max(bytes.len()));
        same_again(&entry.requirement);
    }
    let split = split_of(&files, None);
    assert_eq!(split_of(&files, None), split);
    let asked: BTreeSet<&str> = split.requirements.iter().map(|p| p.name.as_str()).collect();
    for entry in &files.entries {
        assert!(
            asked.contains(entry.requirement.name.as_str()),
            "{} is lost",
            entry.requirement
        );
    }
    for text in split.lists.values() {
        let bad = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(bad), "{text:?}");
    }
    for finding in &split.findings {
        assert!(
            !finding.message.contains(char::is_control),
            "{:?}",
            finding.message
        );
    }
}

/// What is written out is read as the same.
fn same_again(requirement: &Requirement) {
    let text = requirement.to_string();
    assert_eq!(
        requirement::parse(&text).as_ref(),
        Ok(requirement),
        "{text:?}"
    );
}

#[test]
fn no_bytes_do_harm() {
    let mut random = Random(7);
    for _ in 0..1500 {
        let pieces = random.below(30);
        let bytes: Vec<u8> = (0..pieces)
            .flat_map(|_| random.pick(&PIECES).to_vec())
            .collect();
        check_all(&bytes);
        let noise: Vec<u8> = (0..random.below(60))
            .map(|_| random.below(256) as u8)
            .collect();
        check_all(&noise);
    }
}

#[test]
fn damaged_copies_of_a_real_file_do_no_harm() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let whole =
        std::fs::read(root.join("containers/reference/requirements.txt")).expect("it is there");
    let mut random = Random(11);
    for _ in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            let piece = random.pick(&PIECES);
            match random.below(3) {
                0 => bytes.truncate(at),
                1 => drop(bytes.splice(at..at, piece.iter().copied())),
                _ => drop(bytes.splice(at..(at + 7).min(bytes.len()), piece.iter().copied())),
            }
        }
        check_all(&bytes);
    }
}

/// A random requirement that is right.
fn requirement(random: &mut Random) -> String {
    const NAMES: [&str; 9] = [
        "torch", "Numpy", "a.b", "redis", "lmdb", "zmq", "librosa", "x", "nltk",
    ];
    const VERSIONS: [&str; 9] = [
        "", "==1.0", ">=1,<2", "~=1.4", "!=1.5", "==2.*", "<3", ">0.5", "===1.0",
    ];
    const MARKERS: [&str; 5] = [
        "",
        "",
        "",
        " ; python_version >= '3.8'",
        ";sys_platform=='win32' or extra == \"a\"",
    ];
    let extras = random.pick(&["", "", "[b]", "[C, d]"]);
    format!(
        "{}{extras} {}{}",
        random.pick(&NAMES),
        random.pick(&VERSIONS),
        random.pick(&MARKERS)
    )
}

#[test]
fn a_written_list_splits_into_itself() {
    let mut random = Random(13);
    for _ in 0..300 {
        let text: Vec<String> = (0..random.below(12))
            .map(|_| requirement(&mut random))
            .collect();
        let usage = ImportUsage {
            imports: (0..random.below(6))
                .map(|line| import(&mut random, line + 1))
                .collect(),
        };
        let files = read(text.join("\n").as_bytes());
        assert_eq!(files.entries.len(), text.len(), "{text:?}");
        let first = split_of(&files, Some(&usage));
        let mut shuffled = usage.clone();
        shuffled.imports.reverse();
        assert_eq!(split_of(&files, Some(&shuffled)), first, "{text:?}");
        for list in List::ALL {
            let lists: Vec<String> = first.lists[&list]
                .lines()
                .filter(|line| !line.starts_with("-r"))
                .map(str::to_owned)
                .collect();
            let again = split_of(&read(lists.join("\n").as_bytes()), Some(&usage));
            assert_eq!(again.lists[&list], first.lists[&list], "{text:?}");
        }
    }
}

fn import(random: &mut Random, line: usize) -> Import {
    let lists: &[List] = random.pick(&[
        &[List::Core][..],
        &[List::Gpu],
        &[List::Audio],
        &[List::Gpu, List::Audio],
    ]);
    Import {
        module: random
            .pick(&["numpy", "redis.client", "lmdb", "zmq", "x", "nltk"])
            .to_owned(),
        agent: Some(random.pick(&["Cora", "Gina", "Aude"]).to_owned()),
        file: "a.py".to_owned(),
        line,
        hard: random.below(2) == 0,
        lists: lists.to_vec(),
    }
}
