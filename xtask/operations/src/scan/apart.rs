//! Which scripts an image can do without, so that a change in one agent
//! rebuilds only the image of its own group.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use model::system::{Agent, System};

use super::agents::AgentScan;

/// What loads a module, or starts a script, whose name is computed: code that
/// says one of these may reach anything.
const COMPUTED: [&str; 8] = [
    "import_module",
    "__import__",
    "runpy",
    "spec_from_file_location",
    "SourceFileLoader",
    "iter_modules",
    "walk_packages",
    "sys.executable",
];

/// Scripts that only agents of other images run and that no code of this
/// image's agents as much as mentions. `agents` are all of the system's;
/// `text` is a file's content.
///
/// It errs towards keeping: a mention in a comment counts, and an agent whose
/// code may reach anything, or does not parse, or is started in another way
/// than by its script keeps everything.
pub fn left_out(
    system: &System,
    agents: &[AgentScan],
    text: &dyn Fn(&str) -> Option<Rc<[u8]>>,
) -> BTreeMap<String, BTreeSet<String>> {
    let scanned: BTreeMap<&str, &AgentScan> = agents
        .iter()
        .map(|agent| (agent.name.as_str(), agent))
        .collect();
    let mut left_out = BTreeMap::new();
    for image in system.images.values().filter(|image| image.holds_code()) {
        let runs = |agent: &&Agent| agent.image == image.name && !agent.script_missing;
        let own: Vec<&Agent> = system.agents.iter().filter(runs).collect();
        let needed: BTreeSet<&str> = own.iter().map(|agent| agent.script.as_str()).collect();
        let mut others: BTreeSet<&str> = system
            .agents
            .iter()
            .map(|agent| agent.script.as_str())
            .filter(|script| !needed.contains(script))
            .collect();
        let by_script = |agent: &&Agent| agent.command.contains(&agent.script);
        if own.is_empty() || !own.iter().all(by_script) {
            continue;
        }
        let mut files = BTreeSet::new();
        let mut all_read = true;
        for agent in own {
            let Some(agent) = scanned.get(agent.name.as_str()) else {
                all_read = false;
                break;
            };
            all_read &= agent.closure.unparsable.is_empty();
            files.extend(agent.closure.files.keys());
        }
        for file in files {
            let Some(text) = text(file).filter(|_| all_read) else {
                all_read = false;
                break;
            };
            let mentions = |word: &str| contains(&text, word);
            all_read &= !COMPUTED.iter().any(|word| mentions(word));
            others.retain(|script| !mentions(stem(script)));
        }
        if all_read && !others.is_empty() {
            let others: BTreeSet<String> = others.into_iter().map(str::to_owned).collect();
            left_out.insert(image.name.clone(), others);
        }
    }
    left_out
}

/// `agents/emotion_engine.py` -> `emotion_engine`: what an import, a path and
/// a command line have in common.
fn stem(script: &str) -> &str {
    let name = script.rsplit('/').next().unwrap_or(script);
    name.strip_suffix(".py").unwrap_or(name)
}

fn contains(text: &[u8], word: &str) -> bool {
    memchr::memmem::find(text, word.as_bytes()).is_some()
}
