//! `[tests]` and `unit_tests`: where they are, and what they name.
//!
//! Whether the test files exist is not judged here: a monorepo without them can
//! be deployed all the same, and the test commands say which are missing.

use diagnostics::located::problem::Problems;

use super::files::report_escape;
use crate::system::{effective::View, manifest::TestsTable};

/// Reports what the header of this file lists.
pub fn check(view: &View<'_>, problems: &mut Problems) {
    let with_tests = view
        .members
        .iter()
        .flat_map(|member| &member.agent.unit_tests);
    for file in with_tests {
        if view.manifest.tests.is_none() && !view.manifest.broken.contains("tests") {
            problems.report(
                &file.at,
                "`unit_tests` need a table `[tests]`, which says what pytest is in",
                "add `[tests]` with `image = ...`",
            );
        }
        report_escape(problems, "test file", file);
    }
    if let Some(tests) = &view.manifest.tests {
        images(view, problems, tests);
        suites(view, problems, tests);
    }
}

fn images(view: &View<'_>, problems: &mut Problems, tests: &TestsTable) {
    for path in &tests.code {
        report_escape(problems, "code path", path);
    }
    for script in tests.fill.iter().filter_map(|fill| fill.script.as_ref()) {
        report_escape(problems, "script", script);
    }
    let suites = tests
        .integration
        .iter()
        .filter_map(|suite| suite.image.as_ref());
    let known: Vec<&str> = view
        .manifest
        .images
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    if view.manifest.broken.contains("images") {
        return;
    }
    let fills = tests.fill.iter().filter_map(|fill| fill.image.as_ref());
    for image in suites.chain(fills).chain(&tests.image) {
        if !known.contains(&image.as_str()) {
            problems.report_unknown(&image.at, "image", image, &known);
        }
    }
}

fn suites(view: &View<'_>, problems: &mut Problems, tests: &TestsTable) {
    let groups: Vec<&str> = view
        .manifest
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    let agents: Vec<&str> = view.members.iter().map(|member| member.name()).collect();
    let unread = view.manifest.broken.contains("groups");
    for suite in &tests.integration {
        if let Some(script) = &suite.script {
            report_escape(problems, "script", script);
        }
        for name in suite.needs.iter().flat_map(|needs| &needs.value) {
            if !agents.contains(&name.as_str()) && !unread {
                problems.report_unknown(&name.at, "agent", name, &agents);
            }
        }
        for name in &suite.from {
            if !groups.contains(&name.as_str()) && !unread {
                problems.report_unknown(&name.at, "group", name, &groups);
            }
        }
    }
}
