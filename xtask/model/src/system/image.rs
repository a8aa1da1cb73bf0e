//! Images: what one is made from, and all that follows from its kind.
//!
//! Invariant: whoever only wants to know something about an image asks a method
//! of it. The kind itself concerns `build`, which chooses it, and the recipes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer, ser::SerializeStruct};

/// Lists of requirements that every monorepo has; a lock may exist of more.
pub const LISTS: &[&str] = &["core", "shared", "gpu", "audio"];
/// Locks that serve those of the lists: the tools that install them, and what
/// of them is published as source only.
pub const SERVING: &[&str] = &["build", "source"];
/// What follows the system's name in that of the image that downloads end in.
pub const FETCHED_SUFFIX: &str = "-fetched";

/// The lock of a list of requirements, of the repository at `root`.
pub fn lock_file(root: &Path, list: &str) -> PathBuf {
    let name = format!("requirements.{list}.lock");
    root.join("requirements").join(name)
}

/// An image of the system, other than the base.
#[derive(Debug, Clone)]
pub struct Image {
    /// Local name without tag.
    pub name: String,
    pub(super) parent: String,
    /// Path of the Containerfile.
    pub containerfile: PathBuf,
    /// Files and folders whose content goes into the image beside the
    /// Containerfile and the locks (install scripts).
    pub inputs: Vec<PathBuf>,
    /// What it adds to its parent.
    pub kind: ImageKind,
    /// Environment of everything that runs in it.
    pub env: BTreeMap<String, String>,
}

/// What an image adds to its parent.
#[derive(Debug, Clone)]
pub enum ImageKind {
    /// Packages; where all lists are empty, only what its Containerfile does.
    Packages(Packages),
    /// The monorepo's code.
    Code,
}

/// Packages that an image adds to those of its parent.
#[derive(Debug, Clone, Default)]
pub struct Packages {
    /// Names of the locks whose packages it adds.
    pub requirements: Vec<String>,
    /// Debian packages.
    pub system_packages: Vec<String>,
    /// Paths of these, as patterns, that are left out.
    pub system_exclude: Vec<String>,
}

impl Image {
    /// The image that it stands on: another one of the system, or the base.
    pub fn parent(&self) -> Option<&str> {
        match self.kind {
            ImageKind::Packages(_) | ImageKind::Code => Some(&self.parent),
        }
    }

    /// Whether it holds the monorepo's code, so that agents can run in it.
    pub fn holds_code(&self) -> bool {
        match self.kind {
            ImageKind::Code => true,
            ImageKind::Packages(_) => false,
        }
    }

    /// The packages that it adds; `None` if it adds none.
    pub fn packages(&self) -> Option<&Packages> {
        match &self.kind {
            ImageKind::Packages(packages) => Some(packages).filter(|packages| packages.any()),
            ImageKind::Code => None,
        }
    }

    /// Lists of requirements that it adds to those of the images below.
    pub fn lists(&self) -> &[String] {
        self.packages().map_or(&[], |adds| &adds.requirements)
    }

    /// The folder that its build sees, of the two that there are.
    pub fn context<'a>(&self, root: &'a Path, monorepo: &'a Path) -> &'a Path {
        match self.kind {
            ImageKind::Packages(_) => root,
            ImageKind::Code => monorepo,
        }
    }
}

impl Packages {
    fn any(&self) -> bool {
        !self.requirements.is_empty() || !self.system_packages.is_empty()
    }
}

impl Serialize for Image {
    /// With the keys of the manifest, which tell the kind.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let none = Packages::default();
        let adds = match &self.kind {
            ImageKind::Packages(packages) => packages,
            ImageKind::Code => &none,
        };
        let mut fields = to.serialize_struct("Image", 9)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("parent", &self.parent)?;
        fields.serialize_field("containerfile", &self.containerfile)?;
        fields.serialize_field("inputs", &self.inputs)?;
        fields.serialize_field("code", &self.holds_code())?;
        fields.serialize_field("requirements", &adds.requirements)?;
        fields.serialize_field("system_packages", &adds.system_packages)?;
        fields.serialize_field("system_exclude", &adds.system_exclude)?;
        fields.serialize_field("env", &self.env)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image(kind: ImageKind) -> Image {
        Image {
            name: "voice".into(),
            parent: "core".into(),
            containerfile: "/repo/Containerfile".into(),
            inputs: vec!["/repo/scripts/fetch.sh".into()],
            kind,
            env: BTreeMap::from([("A".into(), "b".into())]),
        }
    }

    fn adding(lists: &[&str], system_packages: &[&str]) -> Image {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        image(ImageKind::Packages(Packages {
            requirements: owned(lists),
            system_packages: owned(system_packages),
            system_exclude: Vec::new(),
        }))
    }

    #[test]
    fn it_is_written_with_the_keys_of_the_manifest_in_their_order() {
        let code = serde_json::to_string(&image(ImageKind::Code)).expect("plain data");
        assert_eq!(
            code,
            r#"{"name":"voice","parent":"core","containerfile":"/repo/Containerfile","inputs":["/repo/scripts/fetch.sh"],"code":true,"requirements":[],"system_packages":[],"system_exclude":[],"env":{"A":"b"}}"#
        );
        let packages = serde_json::to_value(adding(&["audio"], &["ffmpeg"])).expect("plain data");
        assert_eq!(packages["code"], json!(false));
        assert_eq!(packages["requirements"], json!(["audio"]));
        assert_eq!(packages["system_packages"], json!(["ffmpeg"]));
    }

    #[test]
    fn each_kind_answers_for_itself() {
        let (root, monorepo) = (Path::new("/repo"), Path::new("/code"));
        let told = |image: &Image| {
            (
                image.holds_code(),
                image.packages().is_some(),
                image.lists().to_vec(),
                image.context(root, monorepo).to_owned(),
            )
        };
        let none = Vec::<String>::new;
        let both = adding(&["gpu", "audio"], &[]);
        let lists = vec!["gpu".to_owned(), "audio".to_owned()];
        assert_eq!(told(&both), (false, true, lists, root.into()));
        let of_debian = adding(&[], &["ffmpeg"]);
        assert_eq!(told(&of_debian), (false, true, none(), root.into()));
        // A Containerfile of somebody's own, which says alone what is added.
        assert_eq!(told(&adding(&[], &[])), (false, false, none(), root.into()));
        let code = image(ImageKind::Code);
        assert_eq!(told(&code), (true, false, none(), monorepo.into()));
        assert_eq!(code.parent(), Some("core"));
    }
}
