//! Names of the locks, and of the lists that are not made.

use crate::{list::List, uv::BUILD_LOCK};

/// The joint lock: versions of everything, hashes of nothing.
pub const JOINT: &str = "requirements.all.lock";

/// What gpu and audio share beyond core.
pub const SHARED: &str = "requirements.shared.lock";

/// What is published as source only.
pub const SOURCE: &str = "requirements.source.lock";

/// List of the build tools.
pub const BUILD_LIST: &str = "requirements.build.txt";

/// List of what tests are run with, and its lock. There may be none.
pub const TEST_LIST: &str = "requirements.test.txt";

pub const TEST_LOCK: &str = "requirements.test.lock";

/// `requirements.core.lock`
pub fn lock_name(list: List) -> String {
    format!("requirements.{}.lock", list.name())
}

/// Names of all locks, in the order in which they are made.
pub fn lock_names() -> Vec<String> {
    let lists = List::ALL.into_iter().map(lock_name);
    let rest = [SHARED, SOURCE, BUILD_LOCK, TEST_LOCK, JOINT].map(str::to_owned);
    lists.chain(rest).collect()
}
