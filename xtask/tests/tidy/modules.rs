//! Which file uses which: paths of Rust, resolved to files, and the circles that
//! they make.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    File, is_test,
    rust::{Keep, code, paths, without_tests},
    sources,
};

/// A module by its crate and the names on the way to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Module(Vec<String>);

impl Module {
    /// `xtask/operations/src/podman/argv.rs` is `operations`, `podman`, `argv`.
    pub fn of(path: &str) -> Self {
        let path = path.trim_start_matches("xtask/");
        let (krate, below) = match path.split_once("/src/") {
            Some((krate, below)) => (krate, below),
            None => ("xtask", path.trim_start_matches("src/")),
        };
        let below = below.trim_end_matches(".rs").trim_end_matches("/mod");
        let mut words = vec![krate.to_owned()];
        let root = ["lib", "mod"].contains(&below);
        words.extend(below.split('/').filter(|_| !root).map(str::to_owned));
        Module(words)
    }

    pub fn krate(&self) -> &str {
        &self.0[0]
    }

    pub fn words(&self) -> &[String] {
        &self.0
    }
}

/// Lines and modules of the same crate that `code` of a module refers to by
/// `crate` and `super`; the last words may be items.
pub fn uses(module: &Module, code: &str) -> Vec<(usize, Vec<String>)> {
    let named = paths(code).into_iter();
    named
        .filter_map(|(line, path)| Some((line, resolve(module, &path)?)))
        .collect()
}

fn resolve(module: &Module, path: &str) -> Option<Vec<String>> {
    // As in `pub(super)`.
    if path == "super" {
        return None;
    }
    let mut words = path.split("::").peekable();
    let mut at = match *words.peek()? {
        "crate" => {
            words.next();
            vec![module.krate().to_owned()]
        }
        "super" => {
            let mut at = module.0.clone();
            while words.peek() == Some(&"super") {
                words.next();
                at.pop();
            }
            at
        }
        _ => return None,
    };
    at.extend(words.map(str::to_owned));
    (at.len() > 1 && at[1] != "*").then_some(at)
}

/// No file uses one that uses it, directly or through others. A parent that
/// names its children's items counts, and so does a child that names its
/// parent's.
pub fn circles(files: &[File]) -> Vec<String> {
    let own: Vec<&File> = sources(files).filter(|file| !is_test(&file.path)).collect();
    let known: BTreeMap<Module, &str> = own
        .iter()
        .map(|file| (Module::of(&file.path), file.path.as_str()))
        .collect();
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in &own {
        let module = Module::of(&file.path);
        let code = without_tests(&code(&file.text, Keep::Code));
        let named = uses(&module, &code).into_iter().map(|(_, words)| words);
        let children = children(&module, &code, &known);
        let used = named
            .chain(children)
            .filter_map(|words| owner(words, &known));
        let used = used.filter(|used| *used != file.path.as_str()).collect();
        graph.insert(file.path.as_str(), used);
    }
    let reach = |from: &str| {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = graph[from].iter().copied().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(&graph[next]);
            }
        }
        seen
    };
    graph
        .keys()
        .filter(|file| reach(file).contains(*file))
        .map(|file| {
            let back = graph[file].iter().filter(|used| reach(used).contains(file));
            let back: Vec<&str> = back.copied().collect();
            format!("{file}:1: is in a circle with {}", back.join(", "))
        })
        .collect()
}

/// What is written as `child::item`, without `self`.
fn children(module: &Module, code: &str, known: &BTreeMap<Module, &str>) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("::") {
        let before = &code[..at];
        let word: String = before
            .chars()
            .rev()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let word: String = word.chars().rev().collect();
        if before[..before.len() - word.len()].ends_with("::") {
            continue;
        }
        let mut child = module.0.clone();
        child.push(word);
        if known.contains_key(&Module(child.clone())) {
            found.push(child);
        }
    }
    found
}

/// The file that holds the module, or the item, of this path.
fn owner<'f>(mut words: Vec<String>, known: &BTreeMap<Module, &'f str>) -> Option<&'f str> {
    while !words.is_empty() {
        if let Some(path) = known.get(&Module(words.clone())) {
            return Some(path);
        }
        words.pop();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings;

    #[test]
    fn modules_have_their_crate_in_front() {
        let words = |path: &str| Module::of(path).0.join(" ");
        assert_eq!(words("xtask/src/lib.rs"), "xtask");
        assert_eq!(words("xtask/src/cmd/mod.rs"), "xtask cmd");
        assert_eq!(words("xtask/model/src/plan/gpus.rs"), "model plan gpus");
        assert_eq!(words("xtask/health/src/lib.rs"), "health");
    }

    #[test]
    fn circles_are_found_through_others_too() {
        let files = [
            (
                "xtask/model/src/lib.rs",
                "pub mod a; pub mod b; pub mod c; pub mod d;",
            ),
            ("xtask/model/src/a.rs", "use crate::b::B;"),
            ("xtask/model/src/b.rs", "fn f() { super::c::g(); }"),
            ("xtask/model/src/c.rs", "use super::{a::A, d};"),
            ("xtask/model/src/d.rs", "mod e; use e::E; // crate::a"),
            (
                "xtask/model/src/d/e.rs",
                "#[cfg(test)]\nmod t { use super::super::E; }",
            ),
        ];
        assert_eq!(
            findings(circles, &files),
            [
                "xtask/model/src/a.rs:1: is in a circle with xtask/model/src/b.rs",
                "xtask/model/src/b.rs:1: is in a circle with xtask/model/src/c.rs",
                "xtask/model/src/c.rs:1: is in a circle with xtask/model/src/a.rs",
            ]
        );
        let files = [
            ("xtask/model/src/d.rs", "mod e; use e::E; pub struct D;"),
            ("xtask/model/src/d/e.rs", "use super::D;"),
        ];
        assert_eq!(findings(circles, &files).len(), 2);
    }
}
