//! The text of a list: one requirement a line, grouped under the reason for
//! which it is there.

use crate::{list::List, split::report::Placed};

/// The file's text; ends with a newline.
pub fn text(list: List, requirements: &[Placed]) -> String {
    let purpose = match list {
        List::Core => "What every image has.",
        List::Gpu => "What the images for machine learning have besides core.",
        List::Audio => "What the images for sound and speech have besides core.",
    };
    let mut out = format!(
        "# {purpose} Written by `cargo xtask split-requirements`:\n\
         # change the requirements that it reads, or rules.toml, and run it again.\n"
    );
    if list != List::Core {
        out.push_str(&format!("-r {}\n", List::Core.file()));
    }
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for placed in requirements
        .iter()
        .filter(|placed| placed.images.contains(&list))
    {
        match groups
            .iter_mut()
            .find(|(reason, _)| *reason == placed.reason)
        {
            Some((_, specs)) => specs.push(&placed.spec),
            None => groups.push((&placed.reason, vec![&placed.spec])),
        }
    }
    for (reason, specs) in groups {
        out.push_str(&format!("\n# {reason}\n"));
        for spec in specs {
            out.push_str(spec);
            out.push('\n');
        }
    }
    out
}
