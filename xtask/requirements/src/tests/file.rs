//! Requirements files that lie in memory.

use std::collections::BTreeMap;

use super::*;

/// Reads `a.txt` of these files.
fn read_files(files: &[(&str, &[u8])]) -> Files {
    let files: BTreeMap<PathBuf, Vec<u8>> = files
        .iter()
        .map(|(path, bytes)| (PathBuf::from(path), bytes.to_vec()))
        .collect();
    read(&["a.txt".into()], &mut |path| {
        let bytes = files.get(path).cloned();
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let identity = path.to_owned();
        Ok(Loaded { identity, bytes })
    })
}

fn entries(entries: &[Entry]) -> Vec<String> {
    let show = |entry: &Entry| format!("{}:{} {}", entry.at, entry.at.column, entry.requirement);
    entries.iter().map(show).collect()
}

fn findings(files: &Files) -> Vec<String> {
    let show = |f: &Finding| format!("{}:{}:{} {} {}", f.file, f.line, f.column, f.id, f.message);
    files.findings.iter().map(show).collect()
}

#[test]
fn an_ordinary_file() {
    let files = read_files(&[(
        "a.txt",
        b"# Title\r\npyzmq>=25.1.0\r\n  Flask [async] == 2.3.3 # web\r\n\r\nnumpy",
    )]);
    assert_eq!(
        entries(&files.entries),
        [
            "a.txt:2:1 pyzmq>=25.1.0",
            "a.txt:3:3 flask[async]==2.3.3",
            "a.txt:5:1 numpy"
        ]
    );
    assert!(files.findings.is_empty(), "{:?}", findings(&files));
}

#[test]
fn includes_are_relative_to_the_file_that_names_them() {
    let files = read_files(&[
        ("a.txt", b"one\n-r sub/b.txt\n-c limits.txt\ntwo\n"),
        ("sub/b.txt", b"-r ../c.txt\nthree\n-r ../c.txt"),
        ("c.txt", b"four"),
        ("limits.txt", b"one<2\n-r c.txt\n-c more.txt\n"),
        ("more.txt", b"five<3"),
    ]);
    assert_eq!(
        entries(&files.entries),
        [
            "a.txt:1:1 one",
            "c.txt:1:1 four",
            "sub/b.txt:2:1 three",
            "a.txt:4:1 two"
        ]
    );
    assert_eq!(
        entries(&files.constraints),
        ["limits.txt:1:1 one<2", "more.txt:1:1 five<3"]
    );
    assert!(files.findings.is_empty(), "{:?}", findings(&files));
    assert_eq!(files.read.len(), 5);
}

#[test]
fn circles_and_lost_files_are_findings() {
    let files = read_files(&[
        (
            "a.txt",
            b"-r ./a.txt\n-r b.txt\none\n-r lost.txt\n-r https://u:p@x.org/r.txt\n",
        ),
        ("b.txt", b"two\n-r a.txt"),
    ]);
    assert_eq!(entries(&files.entries), ["b.txt:1:1 two", "a.txt:3:1 one"]);
    assert_eq!(
        findings(&files),
        [
            "a.txt:1:1 include-loop the includes form a circle: a.txt -> a.txt",
            "b.txt:2:1 include-loop the includes form a circle: a.txt -> b.txt -> a.txt",
            "a.txt:4:1 missing-include `lost.txt` cannot be read: entity not found",
            "a.txt:5:1 missing-include `https://…@x.org/r.txt` is on the network and is not read",
        ]
    );
}

#[test]
fn a_circle_that_links_hide_ends() {
    // Each name is new, as when a folder links to its parent.
    let files = read(&["a.txt".into()], &mut |path| {
        Ok(Loaded {
            identity: path.to_owned(),
            bytes: b"one\n-r s/a.txt".to_vec(),
        })
    });
    assert_eq!(files.entries.len(), DEPTH_MAX);
    assert_eq!(files.findings.len(), 1);
    assert!(
        files.findings[0].message.contains("…"),
        "{}",
        files.findings[0].message
    );
}

#[test]
fn a_missing_file_is_a_finding() {
    let files = read_files(&[]);
    assert_eq!(
        findings(&files),
        ["a.txt:1:1 unreadable the file cannot be read: entity not found"]
    );
}

#[test]
fn what_is_no_requirement_does_not_end_the_reading() {
    let files = read_files(&[(
        "a.txt",
        b"one\nRUN python -m spacy download en_core_web_sm \n\
          two \\\n  ==x\n-e .\n./local\n-i https://u:secret@x.org\nfi\0ve\nsix ; y == 'z'\nlast==1 --hash=sha256:0",
    )]);
    assert_eq!(
        entries(&files.entries),
        ["a.txt:1:1 one", "a.txt:10:1 last==1"]
    );
    let found = findings(&files);
    let starts = [
        "a.txt:2:5 not-a-requirement `RUN python -m spacy download en_core_web_sm` is not a requirement: `python` is",
        "a.txt:4:3 not-a-requirement `two   ==x`",
        "a.txt:5:1 not-portable `.` is editable",
        "a.txt:6:1 not-portable `./local` is a place without a name",
        "a.txt:7:1 option-left-out `--index-url` is left out",
        "a.txt:8:3 not-a-requirement `fi\\u{0}ve`",
        "a.txt:9:7 not-a-requirement `six ; y == 'z'`",
        "a.txt:10:1 option-left-out hashes",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}\n{start}");
    }
    assert!(!found.join("").contains("secret"));
}

#[test]
fn other_encodings_are_read_or_reported() {
    let files = read_files(&[("a.txt", b"one # caf\xE9\nt\xFFwo\nthree")]);
    assert_eq!(
        entries(&files.entries),
        ["a.txt:1:1 one", "a.txt:3:1 three"]
    );
    assert_eq!(
        findings(&files)[0],
        "a.txt:1:10 unreadable the byte 0xE9 is not UTF-8, and 1 more places"
    );
    assert_eq!(files.findings.len(), 2);
    let files = read_files(&[("a.txt", b"\xEF\xBB\xBFone")]);
    assert_eq!(entries(&files.entries), ["a.txt:1:1 one"]);
}

#[test]
fn a_file_of_something_else_is_not_reported_line_by_line() {
    let table = "a,b;c\n".repeat(10_000);
    let files = read_files(&[("a.txt", table.as_bytes())]);
    assert_eq!(files.findings.len(), ALIKE_MAX + 1);
    let last = &files.findings[ALIKE_MAX];
    assert_eq!(last.message, "9950 more lines of this kind follow");
    assert_eq!(last.line, ALIKE_MAX);
}

#[test]
fn what_a_machine_made_by_mistake_is_cut() {
    let many = "a\n".repeat(ENTRIES_MAX + 2);
    let files = read_files(&[("a.txt", many.as_bytes())]);
    assert_eq!(files.entries.len(), ENTRIES_MAX);
    assert_eq!(findings(&files).len(), 1);
    assert!(findings(&files)[0].starts_with("a.txt:200001:1 unreadable"));
    let includes: String = (0..2000).map(|n| format!("-r {n}\n")).collect();
    let files = read_files(&[("a.txt", includes.as_bytes())]);
    assert_eq!(files.findings.len(), INCLUDES_MAX + 1);
}

#[test]
fn ten_megabytes_are_read() {
    let lines: String = (0..100_000)
        .map(|n| format!("package-{n:0>90}>=1.{n}\n"))
        .collect();
    assert!(lines.len() > 9 << 20);
    let files = read_files(&[("a.txt", lines.as_bytes())]);
    assert_eq!(files.entries.len(), 100_000);
    let one_line = format!("a{}", " \\\n".repeat(1 << 18));
    assert_eq!(
        read_files(&[("a.txt", one_line.as_bytes())]).entries.len(),
        1
    );
}

#[test]
fn folders_and_devices_are_not_read() {
    for path in ["/", "/dev/zero", "/dev/null"] {
        assert!(from_disk(Path::new(path)).is_err(), "{path}");
    }
}
