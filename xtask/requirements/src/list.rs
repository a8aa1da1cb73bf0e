//! The three lists of requirements, one for each image with dependencies.

use serde::Serialize;

/// A list, and the image that it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum List {
    /// For every agent; the two others stand on it.
    Core,
    /// Machine learning.
    Gpu,
    /// Sound and speech.
    Audio,
}

impl List {
    pub const ALL: [List; 3] = [List::Core, List::Gpu, List::Audio];

    /// `core`, `gpu`, `audio`
    pub fn name(self) -> &'static str {
        match self {
            List::Core => "core",
            List::Gpu => "gpu",
            List::Audio => "audio",
        }
    }

    /// `requirements.core.txt`
    pub fn file(self) -> String {
        format!("requirements.{}.txt", self.name())
    }
}
