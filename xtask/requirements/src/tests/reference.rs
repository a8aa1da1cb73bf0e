//! The repository's own requirements: one file of the reference monorepo makes
//! the plan's three lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{
    file,
    list::List,
    marker::Environment,
    rules,
    split::{Split, SplitInput, split},
};

/// The lists of the plan's third phase.
const PLAN: [(List, &[&str]); 3] = [
    (
        List::Core,
        &[
            "pyzmq>=25.1.0",
            "numpy>=1.24.0",
            "psutil>=5.9.0",
            "python-json-logger>=2.0.0",
            "pynacl>=1.5.0",
            "flask==2.3.3",
            "requests==2.31.0",
            "pyyaml==6.0.1",
            "python-dotenv==1.0.0",
            "pydantic==2.4.2",
            "fastapi==0.103.1",
            "uvicorn==0.23.2",
            "websockets==12.0",
            "aiohttp==3.9.1",
        ],
    ),
    (
        List::Gpu,
        &[
            "torch>=2.0.0",
            "transformers>=4.34.0",
            "sentencepiece>=0.1.99",
            "accelerate>=0.23.0",
            "bitsandbytes>=0.41.1",
            "optimum>=1.13.2",
            "peft>=0.5.0",
            "trl>=0.7.4",
            "einops>=0.7.0",
            "xformers>=0.0.22.post7",
        ],
    ),
    (
        List::Audio,
        &[
            "librosa>=0.10.1",
            "sounddevice>=0.4.6",
            "soundfile>=0.12.1",
            "noisereduce>=2.0.1",
            "webrtcvad>=2.0.10",
            "pydub>=0.25.1",
            "ffmpeg-python>=0.2.0",
            "openai-whisper>=20231117",
            "pvporcupine>=3.0.0",
            "torchaudio>=2.1.0",
        ],
    ),
];

/// What `requirements/rules.toml` adds, for the reasons given there.
const ADDED: [(List, &[&str]); 3] = [
    (List::Core, &[]),
    (List::Gpu, &["torchvision"]),
    (List::Audio, &["torchvision", "setuptools<81"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn reference() -> Split {
    let file = root().join("containers/reference/requirements.txt");
    let rules = rules::read(&root().join("requirements/rules.toml"));
    let rules = rules.unwrap_or_else(|error| panic!("{}", error.render(false)));
    split(&SplitInput {
        files: &file::read(&[file], &mut file::from_disk),
        rules: &rules,
        usage: None,
        installed: &BTreeMap::new(),
        locked: &BTreeSet::new(),
        refused: &BTreeMap::new(),
        source_only: &BTreeSet::new(),
        environment: &Environment::of_python("3.11"),
    })
}

#[test]
fn every_package_of_the_plan_is_in_its_list() {
    let split = reference();
    for ((list, plan), (_, added)) in PLAN.into_iter().zip(ADDED) {
        let expected: BTreeSet<&str> = plan.iter().chain(added).copied().collect();
        let text = &split.lists[&list];
        let found: BTreeSet<&str> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with(['#', '-']))
            .collect();
        assert_eq!(found, expected, "{list:?}");
        let refers = text.contains("\n-r requirements.core.txt\n");
        assert_eq!(refers, list != List::Core, "{list:?}");
    }
    for placed in split
        .requirements
        .iter()
        .filter(|placed| placed.images.is_empty())
    {
        assert_eq!(placed.reason, "a tool for development", "{}", placed.name);
    }
    let ids: BTreeSet<&str> = split.findings.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, BTreeSet::from(["development"]));
}

#[test]
fn the_lists_of_the_repository_are_what_the_split_writes() {
    let split = reference();
    for (list, text) in &split.lists {
        let path = root().join("requirements").join(list.file());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, text).expect("the repository can be written to");
        }
        let held = fs::read_to_string(&path).expect("the list is there");
        let name = list.file();
        assert!(
            held == *text,
            "{name} is out of date: UPDATE_GOLDEN=1 cargo test -p xtask-requirements the_lists_of\n{text}"
        );
    }
}
