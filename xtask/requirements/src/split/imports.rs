//! Imports and requirements side by side: what is imported and asked for by
//! nobody, what is asked for and imported by nobody, what no package provides.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::{
    excerpt::excerpt,
    finding::{Finding, Place, Severity},
};

use crate::{
    distributions::{Resolution, Resolver},
    known,
    list::List,
    split::report::{Asked, Import, ImportUsage, Placed, Report, SplitInput, sentence},
};

/// Imports by what they turned out to be.
#[derive(Debug, Default)]
pub struct Uses<'u> {
    /// By a distribution that is asked for.
    listed: BTreeMap<String, Vec<&'u Import>>,
    /// By the usual distribution, which nobody asks for.
    missing: BTreeMap<String, Vec<&'u Import>>,
    /// By top-level module.
    windows: BTreeMap<String, Vec<&'u Import>>,
    /// By top-level module, with the names that may have been meant.
    unknown: BTreeMap<String, (Vec<&'u Import>, Vec<String>)>,
}

impl<'u> Uses<'u> {
    /// The imports that a requirement of this name serves.
    pub fn of(&self, name: &str) -> &[&'u Import] {
        self.listed.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Resolves every import. Their order does not matter.
pub fn uses<'u>(usage: &'u ImportUsage, resolver: &Resolver<'_>, asked: &[Asked]) -> Uses<'u> {
    let names: BTreeSet<&str> = asked.iter().map(|a| a.requirement.name.as_str()).collect();
    let mut imports: Vec<&Import> = usage.imports.iter().collect();
    imports.sort_by_key(|import| (!import.hard, &import.file, import.line, &import.agent));
    let mut resolved: BTreeMap<&str, Resolution> = BTreeMap::new();
    let mut uses = Uses::default();
    for import in imports {
        let module = import.module.as_str();
        let top = module.split('.').next().unwrap_or(module).to_owned();
        let resolution = resolved
            .entry(module)
            .or_insert_with(|| resolver.resolve(module));
        match resolution {
            Resolution::Found { distributions, .. } => {
                let mut listed = distributions
                    .iter()
                    .filter(|name| names.contains(name.as_str()))
                    .peekable();
                if listed.peek().is_none() {
                    let usual = distributions[0].clone();
                    uses.missing.entry(usual).or_default().push(import);
                }
                for name in listed {
                    uses.listed.entry(name.clone()).or_default().push(import);
                }
            }
            Resolution::WindowsOnly => uses.windows.entry(top).or_default().push(import),
            Resolution::Unknown => {
                let nearest = || (Vec::new(), resolver.nearest(&import.module));
                let entry = uses.unknown.entry(top);
                entry.or_insert_with(nearest).0.push(import);
            }
            Resolution::Ignored | Resolution::Standard => {}
        }
    }
    uses
}

/// Reports what imports and requirements do not agree about.
pub fn check(request: &SplitInput<'_>, uses: &Uses<'_>, placed: &[Placed], report: &mut Report) {
    missing(request, uses, report);
    for (module, imports) in &uses.windows {
        let who = Who::of(imports);
        let Some((at, severity)) = who.severity([Severity::Error, Severity::Remark]) else {
            continue;
        };
        let message = format!(
            "`{module}` exists on Windows only; imported by {}",
            who.names()
        );
        report.find(
            Finding::new("windows-only-import", severity, &at, message)
                .hint("import it inside `if sys.platform == \"win32\":`"),
        );
    }
    for (module, (imports, nearest)) in &uses.unknown {
        let who = Who::of(imports);
        let Some((at, severity)) = who.severity([Severity::Error, Severity::Warning]) else {
            continue;
        };
        let module = excerpt(module);
        let message = format!(
            "no package provides `{module}`; imported by {}",
            who.names()
        );
        let names: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
        let hint = if names.is_empty() {
            format!(
                "a lost module, or a package to name under `[imports]` in the rules: {module} = \"NAME\""
            )
        } else {
            format!("did you mean {}?", names.join(" or "))
        };
        report.find(Finding::new("unknown-import", severity, &at, message).hint(hint));
    }
    for placed in placed {
        let ruled = request.rules.places.contains_key(&placed.name);
        let added = request
            .rules
            .additions
            .iter()
            .any(|a| a.requirement.name == placed.name);
        if ruled || added || !uses.of(&placed.name).is_empty() {
            continue;
        }
        let at = Place::line(&placed.file, placed.line);
        let finding = if known::is_plugin(&placed.name) {
            let message = format!(
                "`{}` is never imported; others load it at run time",
                placed.name
            );
            Finding::new("never-imported", Severity::Remark, &at, message)
        } else {
            let message = format!("`{}` is never imported", placed.name);
            Finding::new("never-imported", Severity::Remark, &at, message)
                .hint("remove it if nothing loads it at run time")
        };
        report.find(finding);
    }
}

fn missing(request: &SplitInput<'_>, uses: &Uses<'_>, report: &mut Report) {
    let left_out: BTreeMap<String, String> = report
        .left_out
        .iter()
        .map(|placed| (placed.name.clone(), placed.reason.clone()))
        .collect();
    for (name, imports) in &uses.missing {
        // Its line has an error of its own.
        if request.refused.contains_key(name) {
            continue;
        }
        let who = Who::of(imports);
        let along = request.locked.contains(name);
        let hard = if along {
            Severity::Warning
        } else {
            Severity::Error
        };
        let Some((at, severity)) = who.severity([hard, Severity::Warning]) else {
            continue;
        };
        let state = match left_out.get(name) {
            Some(reason) => format!("is left out: {reason}"),
            None if along => "only comes as a dependency of others".to_owned(),
            None => "is in no requirements file".to_owned(),
        };
        let message = format!("`{name}` {state}; imported by {}", who.names());
        let file = request.files.read.first();
        let file = file.map_or("a requirements file".to_owned(), |file| {
            format!("`{}`", file.display())
        });
        let lists = known::family(name).map_or_else(|| who.lists(), |list| vec![list]);
        let lists: Vec<&str> = lists.iter().map(|list| list.name()).collect();
        let hint = format!(
            "add the line `{name}` to {file}; it goes into {}",
            sentence(&lists)
        );
        report.find(Finding::new("imported-never-listed", severity, &at, message).hint(hint));
    }
}

/// The agents behind some imports.
struct Who<'i> {
    /// Hard ones first, each in the order of the files.
    imports: Vec<&'i Import>,
}

impl<'i> Who<'i> {
    fn of(imports: &[&'i Import]) -> Self {
        let imports = imports
            .iter()
            .copied()
            .filter(|import| import.agent.is_some());
        Who {
            imports: imports.collect(),
        }
    }

    /// The first place, and the severity for hard or only soft imports; `None`
    /// if no agent is concerned.
    fn severity(&self, [hard, soft]: [Severity; 2]) -> Option<(Place, Severity)> {
        let first = self.imports.first()?;
        let severity = if first.hard { hard } else { soft };
        Some((Place::line(&first.file, first.line), severity))
    }

    fn names(&self) -> String {
        let names: BTreeSet<&str> = self
            .imports
            .iter()
            .filter_map(|i| i.agent.as_deref())
            .collect();
        sentence(&names.into_iter().collect::<Vec<_>>())
    }

    fn lists(&self) -> Vec<List> {
        let lists: BTreeSet<List> = self.imports.iter().flat_map(|i| i.lists.clone()).collect();
        if lists.is_empty() || lists.contains(&List::Core) {
            return vec![List::Core];
        }
        lists.into_iter().collect()
    }
}
