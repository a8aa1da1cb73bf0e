//! What is known about one file: plain data, made by `parse`, never changed.
//!
//! The JSON of `scan` is this data as it is, so a change of a name here is a
//! change for those who read that JSON.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};

/// All that was found in one file. A file that does not parse has an error and
/// empty lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(transform = with_parses)
)]
pub struct FileFacts {
    /// Relative to the root of the tree, with `/` between the parts.
    pub path: String,
    /// The number of lines; 0 if it does not parse.
    pub lines: u32,
    /// Why the file does not parse; null if it does.
    pub error: Option<SyntaxError>,
    /// Absolute imports in the order of the file.
    pub imports: Vec<Import>,
    /// Relative imports in the order of the file.
    #[serde(rename = "relative_imports")]
    pub relative: Vec<RelativeImport>,
    /// `importlib.import_module("literal")` and `__import__("literal")`.
    #[serde(rename = "dynamic_imports")]
    pub dynamic: Vec<Import>,
    /// Addresses that the file listens on, as far as they are written down.
    pub binds: Vec<Endpoint>,
    /// Addresses that the file connects to.
    pub peers: Vec<Endpoint>,
}

impl FileFacts {
    pub fn parses(&self) -> bool {
        self.error.is_none()
    }
}

/// Adds what `serialize` adds to the fields.
#[cfg(feature = "schema")]
fn with_parses(schema: &mut schemars::Schema) {
    let parses = schemars::json_schema!({
        "type": "boolean",
        "description": "Whether it does; `error` says why not."
    });
    if let Some(properties) = schema.pointer_mut("/properties") {
        properties["parses"] = parses.to_value();
    }
    if let Some(serde_json::Value::Array(required)) = schema.get_mut("required") {
        required.insert(2, "parses".into());
    }
}

impl Serialize for FileFacts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("FileFacts", 9)?;
        object.serialize_field("path", &self.path)?;
        object.serialize_field("lines", &self.lines)?;
        object.serialize_field("parses", &self.parses())?;
        object.serialize_field("error", &self.error)?;
        object.serialize_field("imports", &self.imports)?;
        object.serialize_field("relative_imports", &self.relative)?;
        object.serialize_field("dynamic_imports", &self.dynamic)?;
        object.serialize_field("binds", &self.binds)?;
        object.serialize_field("peers", &self.peers)?;
        object.end()
    }
}

/// Why a file does not parse, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyntaxError {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// A fragment without a final period.
    pub message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// `import a.b`, `from a.b import c, d`, or a dynamic import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Import {
    /// The top-level name, `a` of `a.b`.
    pub name: String,
    /// The module as it is written, `a.b`.
    pub module: String,
    /// What `from … import` takes out of the module, without `*`. Each may be
    /// a submodule or a name inside the module.
    pub names: Vec<String>,
    /// Line of the statement, from 1.
    pub line: u32,
    #[serde(flatten)]
    pub need: Need,
}

/// `from . import a`, `from ..a.b import c`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RelativeImport {
    /// The number of leading dots, at least 1.
    pub level: u32,
    /// What follows the dots; empty in `from . import a`.
    pub module: String,
    /// What is taken out of the module, without `*`.
    pub names: Vec<String>,
    /// Line of the statement, from 1.
    pub line: u32,
    #[serde(flatten)]
    pub need: Need,
}

/// What happens if an imported module is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "NeedFields", into = "NeedFields")]
pub enum Need {
    /// Whoever imports the file fails.
    Hard,
    /// The file fails if it is run as a script: the import stands under
    /// `if __name__ == "__main__":` at module level.
    Main,
    /// The file goes on, or may never get there.
    Soft(Why),
}

/// Why an import is soft. Where several reasons hold, the outermost counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// An error of the import is caught, or the import answers such an error.
    Guarded,
    /// In a function: only when it is called.
    Function,
    /// For type checkers, or under a condition that is never true.
    TypeChecking,
    /// For another operating system than Linux.
    Platform,
    /// For another version of Python.
    Version,
}

impl Need {
    /// `hard`, `main` or `soft`, as in JSON.
    pub fn kind(self) -> &'static str {
        match self {
            Need::Hard => "hard",
            Need::Main => "main",
            Need::Soft(_) => "soft",
        }
    }

    pub fn why(self) -> Option<Why> {
        match self {
            Need::Soft(why) => Some(why),
            Need::Hard | Need::Main => None,
        }
    }
}

/// `Need` as it stands in JSON.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct NeedFields {
    /// What happens if the module is not there.
    kind: Kind,
    /// Why the import is soft; null for the others.
    why: Option<Why>,
}

/// What happens if an imported module is not there.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Whoever imports the file fails.
    Hard,
    /// The file fails if it is run as a script.
    Main,
    /// The file goes on, or may never get there.
    Soft,
}

impl TryFrom<NeedFields> for Need {
    type Error = String;

    fn try_from(fields: NeedFields) -> Result<Self, String> {
        match (fields.kind, fields.why) {
            (Kind::Hard, None) => Ok(Need::Hard),
            (Kind::Main, None) => Ok(Need::Main),
            (Kind::Soft, Some(why)) => Ok(Need::Soft(why)),
            (kind, why) => Err(format!("no import is {kind:?} for the reason {why:?}")),
        }
    }
}

impl From<Need> for NeedFields {
    fn from(need: Need) -> Self {
        let (kind, why) = match need {
            Need::Hard => (Kind::Hard, None),
            Need::Main => (Kind::Main, None),
            Need::Soft(why) => (Kind::Soft, Some(why)),
        };
        NeedFields { kind, why }
    }
}

/// A `tcp://` address that stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Endpoint {
    /// As written, with `{}` where an expression stands.
    pub address: String,
    /// Null if it is an expression; `*` binds on all addresses.
    pub host: Option<String>,
    /// Null if it is an expression or not given.
    pub port: Option<u16>,
    /// Line of the literal, from 1.
    pub line: u32,
    /// The host is this machine's own loopback, which in a container is the
    /// container itself.
    pub localhost: bool,
}
