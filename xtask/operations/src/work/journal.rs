//! The journal of deployments: one file for each, in the state folder of the
//! system. What it holds of environments is readable by its owner alone; of
//! secrets it has names.
//!
//! Nothing depends on it but `history`, `rollback` and how long images are kept:
//! podman's labels say what runs.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use diagnostics::Failure;
use model::{
    plan::{State, deployed::DeployedSet, label},
    system::System,
};
use process::{Cancel, Command};
use serde::{Deserialize, Serialize};

use super::runs::user_name;
use crate::{folders, podman::clock::now_s};

/// So many deployments are remembered.
const KEPT: usize = 50;
const GIT_DEADLINE_MS: u64 = 5_000;

/// One deployment that changed something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    pub number: u32,
    /// Seconds since 1970.
    pub at_s: i64,
    /// `deploy`, `up`, `rollback to 12`.
    pub command: String,
    pub user: String,
    /// Of the monorepo, where it is kept by git.
    pub commit: Option<String>,
    /// All agents, those that it did not touch, too.
    pub agents: DeployedSet,
}

/// The journal of one system.
#[derive(Debug)]
pub struct Journal {
    pub folder: PathBuf,
    /// The oldest first.
    pub entries: Vec<Entry>,
}

impl Journal {
    /// Reads it; what cannot be read is left out.
    ///
    /// # Errors
    /// There is no folder that is only this user's.
    pub fn open(system: &System) -> Result<Self, Failure> {
        let folder = folders::state(&system.name)?.join("deployments");
        Ok(Journal::read(folder))
    }

    fn read(folder: PathBuf) -> Self {
        let files = fs::read_dir(&folder).into_iter().flatten().flatten();
        let read = |path: PathBuf| serde_json::from_slice(&fs::read(path).ok()?).ok();
        let mut entries: Vec<Entry> = files
            .filter(|file| number_of(&file.path()).is_some())
            .filter_map(|file| read(file.path()))
            .collect();
        entries.sort_by_key(|entry| entry.number);
        Journal { folder, entries }
    }

    /// What was deployed last.
    pub fn last(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// The number of the next deployment: higher than that of any container, also
    /// where the journal was lost.
    pub fn next(&self, system: &System, state: &State) -> u32 {
        let last = self.last().map(|entry| entry.number);
        let made = made_by(system, state).max();
        last.max(made).unwrap_or(0) + 1
    }

    /// Tags of the images of the last `count` sets that differ in their images, with
    /// `newest` in front if there is one that is not written down yet.
    pub fn kept(&self, count: u32, newest: Option<&DeployedSet>) -> BTreeSet<String> {
        let tags = |set: &DeployedSet| -> BTreeSet<String> {
            set.values().map(|agent| agent.spec.image.clone()).collect()
        };
        let all = self.entries.iter().rev().map(|entry| &entry.agents);
        let mut sets: Vec<BTreeSet<String>> = Vec::new();
        for set in newest.into_iter().chain(all).map(tags) {
            if sets.contains(&set) {
                continue;
            }
            if sets.len() >= count as usize {
                break;
            }
            sets.push(set);
        }
        sets.into_iter().flatten().collect()
    }

    /// Adds a deployment, and forgets the oldest.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, entry: Entry) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)?;
        let name = format!("{:06}.json", entry.number);
        let new = self.folder.join(format!("{name}.new"));
        let _ = fs::remove_file(&new);
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(serde_json::to_string_pretty(&entry)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()?;
        self.entries.push(entry);
        let old = self.entries.len().saturating_sub(KEPT);
        for entry in self.entries.drain(..old) {
            let _ = fs::remove_file(self.folder.join(format!("{:06}.json", entry.number)));
        }
        Ok(())
    }
}

/// Numbers of the deployments that the system's containers say they are from.
pub fn made_by<'s>(system: &'s System, state: &'s State) -> impl Iterator<Item = u32> + 's {
    let ours = state.containers.values();
    let ours = ours.filter(|container| container.belongs_to(&system.name));
    ours.filter_map(|container| container.label(label::DEPLOYMENT)?.parse().ok())
}

fn number_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".json")?.parse().ok()
}

/// An entry of now, by whoever runs this.
pub fn entry(system: &System, number: u32, command: &str, agents: DeployedSet) -> Entry {
    let uid = || format!("user {}", rustix::process::getuid().as_raw());
    Entry {
        number,
        at_s: now_s(),
        command: command.to_owned(),
        user: user_name().unwrap_or_else(uid),
        commit: commit(&system.monorepo),
        agents,
    }
}

/// The commit that a tree is at; `None` without git.
fn commit(tree: &Path) -> Option<String> {
    let git = which::which("git").ok()?;
    let tree = tree.display().to_string();
    let words = ["-C", &tree, "rev-parse", "HEAD"];
    let command = Command::new(git.display().to_string(), &words).deadline_ms(GIT_DEADLINE_MS);
    let output = command.run(&Cancel::default(), None).ok()?;
    let commit = output.stdout.trim().to_owned();
    (output.code == 0 && !commit.is_empty()).then_some(commit)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn entry(number: u32) -> Entry {
        Entry {
            number,
            at_s: 0,
            command: "deploy".into(),
            user: "me".into(),
            commit: None,
            agents: DeployedSet::new(),
        }
    }

    #[test]
    fn it_is_kept_whole_for_its_owner_alone_and_forgets_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("system/deployments");
        let mut journal = Journal::read(path.clone());
        assert!(journal.last().is_none());
        for number in 1..=KEPT as u32 + 2 {
            journal.add(entry(number)).unwrap();
        }
        // What a killed run or somebody else has left there.
        fs::write(path.join("000099.json.new"), "{").unwrap();
        fs::write(path.join("000098.json"), "{").unwrap();
        let read = Journal::read(path.clone());
        let numbers = |journal: &Journal| -> Vec<u32> {
            journal.entries.iter().map(|entry| entry.number).collect()
        };
        assert_eq!(numbers(&read), numbers(&journal));
        assert_eq!((read.entries[0].number, read.entries.len()), (3, KEPT));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), mode(&path.join("000005.json"))),
            (0o700, 0o600)
        );
    }
}
