//! Finds the file behind a module name, as the interpreter of an agent's
//! container would: the script's own folder first, then the search roots, then
//! the standard library, then what the image has installed.
//!
//! Looks at names only; what a file contains is for `facts`. Source of the
//! order: the Python reference, "The import system", sections 5.2 to 5.5.

use std::{cell::RefCell, collections::BTreeMap, fs, path::PathBuf, rc::Rc};

use super::{PythonVersion, facts::FileFacts, stdlib, tree};

/// How alike two names must be for one to be taken for a typing error.
const NEAR: f64 = 0.88;

/// The files of a monorepo, read at most once each.
#[derive(Debug)]
pub struct Sources {
    root: PathBuf,
    python: PythonVersion,
    facts: RefCell<BTreeMap<String, Option<Rc<FileFacts>>>>,
    /// What files hold that were read here.
    contents: RefCell<BTreeMap<String, Rc<[u8]>>>,
    kinds: RefCell<BTreeMap<String, Option<Kind>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

/// What a dotted name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// First-party.
    Module {
        /// Files that importing it runs, packages first.
        files: Vec<String>,
        /// It has code of its own, so that a name imported from it need not be
        /// a submodule; folders without `__init__.py` have none.
        code: bool,
    },
    /// Its top-level name belongs to the standard library.
    Standard,
    /// Its top-level name is nobody's here: a package of the image, or lost.
    External,
    /// Its package is first-party and has no such module. `known` is the part
    /// of the name that exists.
    Lost { known: String },
}

/// Where one agent's modules are looked for.
pub struct Path<'s> {
    sources: &'s Sources,
    /// Folders below the monorepo's root, without a slash at their end; the
    /// root itself is the empty string.
    folders: Vec<String>,
    /// Whether the image has a package of that top-level name.
    installed: &'s dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Path<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = out.debug_struct("Path");
        shown
            .field("folders", &self.folders)
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// Files of `root`, parsed for `python`. `known` are those read before.
    pub fn new(root: PathBuf, python: PythonVersion, known: Vec<FileFacts>) -> Self {
        let known = known.into_iter();
        let facts = known.map(|facts| (facts.path.clone(), Some(Rc::new(facts))));
        Sources {
            root,
            python,
            facts: RefCell::new(facts.collect()),
            contents: RefCell::default(),
            kinds: RefCell::default(),
        }
    }

    /// What the file says; `None` if there is no such file.
    pub fn facts(&self, path: &str) -> Option<Rc<FileFacts>> {
        if let Some(known) = self.facts.borrow().get(path) {
            return known.clone();
        }
        let read = tree::read_one(&self.root, path, self.python).ok();
        let read = read.map(|(facts, bytes)| {
            let mut contents = self.contents.borrow_mut();
            contents.extend(bytes.map(|bytes| (path.to_owned(), bytes.into())));
            Rc::new(facts)
        });
        self.facts
            .borrow_mut()
            .insert(path.to_owned(), read.clone());
        read
    }

    /// What a file holds; `None` if it cannot be read.
    pub fn content(&self, path: &str) -> Option<Rc<[u8]>> {
        if let Some(known) = self.contents.borrow().get(path) {
            return Some(Rc::clone(known));
        }
        let read: Rc<[u8]> = fs::read(self.root.join(path)).ok()?.into();
        let mut contents = self.contents.borrow_mut();
        contents.insert(path.to_owned(), Rc::clone(&read));
        Some(read)
    }

    /// What a file holds, if it was read here.
    pub fn kept(&self, path: &str) -> Option<Rc<[u8]>> {
        self.contents.borrow().get(path).cloned()
    }

    /// Nothing has been read yet.
    pub fn is_empty(&self) -> bool {
        self.facts.borrow().is_empty()
    }

    /// Every file that was read, by path.
    pub fn known(&self) -> Vec<Rc<FileFacts>> {
        self.facts.borrow().values().flatten().cloned().collect()
    }

    /// Names of the modules and packages in a folder.
    fn modules_in(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = self.root.join(folder).read_dir() else {
            return Vec::new();
        };
        let name = |entry: std::fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            match name.strip_suffix(".py") {
                Some(module) => Some(module.to_owned()),
                None => entry.file_type().ok()?.is_dir().then_some(name),
            }
        };
        entries.flatten().filter_map(name).collect()
    }

    pub fn python(&self) -> PythonVersion {
        self.python
    }

    fn kind(&self, path: &str) -> Option<Kind> {
        if let Some(kind) = self.kinds.borrow().get(path) {
            return *kind;
        }
        let kind = self.root.join(path).metadata().ok().and_then(|found| {
            if found.is_dir() {
                Some(Kind::Folder)
            } else {
                found.is_file().then_some(Kind::File)
            }
        });
        self.kinds.borrow_mut().insert(path.to_owned(), kind);
        kind
    }

    fn is_file(&self, path: &str) -> bool {
        self.kind(path) == Some(Kind::File)
    }

    fn is_folder(&self, path: &str) -> bool {
        self.kind(path) == Some(Kind::Folder)
    }
}

impl<'s> Path<'s> {
    /// `script` is the agent's, `roots` are the folders of its `PYTHONPATH`.
    pub fn new(
        sources: &'s Sources,
        script: &str,
        roots: &[String],
        installed: &'s dyn Fn(&str) -> bool,
    ) -> Self {
        let mut folders = vec![folder_of(script).to_owned()];
        for root in roots {
            let root = if root == "." { "" } else { root.as_str() };
            if !folders.iter().any(|folder| folder == root) {
                folders.push(root.to_owned());
            }
        }
        Path {
            sources,
            folders,
            installed,
        }
    }

    /// What `import MODULE` means here.
    pub fn find(&self, module: &str) -> Found {
        let (first, rest) = module.split_once('.').unwrap_or((module, ""));
        match self.top(first) {
            Top::Ours(inside) => self.walk(inside, Vec::new(), first.to_owned(), rest),
            Top::Standard => Found::Standard,
            Top::External => Found::External,
        }
    }

    /// What `from ..MODULE import` means in the file at `path`, `level` dots.
    pub fn relative(&self, path: &str, level: u32, module: &str) -> Found {
        let mut folder = folder_of(path);
        for _ in 1..level {
            if folder.is_empty() {
                let known = String::new();
                return Found::Lost { known };
            }
            folder = folder_of(folder);
        }
        let start = if self.sources.is_file(&join(folder, "__init__.py")) {
            Inside::Package(folder.to_owned())
        } else {
            Inside::Namespace(vec![folder.to_owned()])
        };
        self.walk(start, Vec::new(), folder.replace('/', "."), module)
    }

    fn walk(&self, start: Inside, mut files: Vec<String>, mut known: String, rest: &str) -> Found {
        let mut at = start;
        let mut parts = rest.split('.').filter(|part| !part.is_empty());
        loop {
            let (folders, code) = match at {
                Inside::Module(file) => {
                    files.push(file);
                    (Vec::new(), true)
                }
                Inside::Package(folder) => {
                    files.push(join(&folder, "__init__.py"));
                    (vec![folder], true)
                }
                Inside::Namespace(folders) => (folders, false),
            };
            let Some(part) = parts.next() else {
                return Found::Module { files, code };
            };
            let Some(next) = self.inside(&folders, part) else {
                return Found::Lost { known };
            };
            known = format!("{known}.{part}");
            at = next;
        }
    }

    /// Names that may have been meant by a dotted name that leads nowhere: what
    /// stands beside the place where it should be.
    pub fn near(&self, module: &str) -> Vec<String> {
        let (parent, name) = module.rsplit_once('.').unwrap_or(("", module));
        let folders: Vec<String> = match self.find(parent) {
            Found::Module { files, code: true } => files
                .last()
                .map(|file| folder_of(file).to_owned())
                .into_iter()
                .collect(),
            _ if parent.is_empty() => self.folders.clone(),
            _ => {
                let inside = parent.replace('.', "/");
                let folder = |root: &String| join(root, &inside);
                self.folders.iter().map(folder).collect()
            }
        };
        let beside = folders
            .iter()
            .flat_map(|folder| self.sources.modules_in(folder));
        let mut near: Vec<(f64, String)> = beside
            .map(|found| (strsim::jaro_winkler(name, &found), found))
            .filter(|(score, found)| *score > NEAR && found != name)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        near.dedup_by(|a, b| a.1 == b.1);
        let dot = if parent.is_empty() { "" } else { "." };
        let names = near.into_iter().take(3);
        names
            .map(|(_, found)| format!("{parent}{dot}{found}"))
            .collect()
    }

    /// Every place at which a first-party module or package of that top-level
    /// name stands, the one that is used first.
    pub fn places(&self, name: &str) -> Vec<String> {
        let here = |folder: &String| match self.at(folder, name) {
            Some(Inside::Module(file)) => Some(file),
            Some(Inside::Package(folder)) => Some(folder),
            _ => None,
        };
        self.folders.iter().filter_map(here).collect()
    }

    fn top(&self, name: &str) -> Top {
        match self.inside(&self.folders, name) {
            Some(Inside::Namespace(_)) if stdlib::is_standard(name, self.sources.python) => {
                Top::Standard
            }
            // A package of the image goes before folders without __init__.py.
            Some(Inside::Namespace(_)) if (self.installed)(name) => Top::External,
            Some(inside) => Top::Ours(inside),
            None if stdlib::is_standard(name, self.sources.python) => Top::Standard,
            None => Top::External,
        }
    }

    /// The first module or package of that name, else all folders together.
    fn inside(&self, folders: &[String], name: &str) -> Option<Inside> {
        let mut portions = Vec::new();
        for folder in folders {
            match self.at(folder, name) {
                Some(Inside::Namespace(found)) => portions.extend(found),
                Some(found) => return Some(found),
                None => {}
            }
        }
        (!portions.is_empty()).then_some(Inside::Namespace(portions))
    }

    /// A package goes before a module of the same name in the same folder.
    fn at(&self, folder: &str, name: &str) -> Option<Inside> {
        if name.is_empty() {
            return None;
        }
        let path = join(folder, name);
        let is_folder = self.sources.is_folder(&path);
        if is_folder && self.sources.is_file(&join(&path, "__init__.py")) {
            return Some(Inside::Package(path));
        }
        let file = format!("{path}.py");
        if self.sources.is_file(&file) {
            return Some(Inside::Module(file));
        }
        is_folder.then(|| Inside::Namespace(vec![path]))
    }
}

enum Top {
    Ours(Inside),
    Standard,
    External,
}

enum Inside {
    Module(String),
    Package(String),
    Namespace(Vec<String>),
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// The folder of a file or folder; empty at the root.
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
