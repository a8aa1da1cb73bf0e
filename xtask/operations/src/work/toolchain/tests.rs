//! Which findings stop whom.

use super::*;

fn finding(id: &'static str, severity: HostSeverity) -> HostFinding {
    HostFinding::new(id, severity, format!("{id} is wrong"), "seen", "mend it")
}

fn ids(findings: &[HostFinding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.id).collect()
}

#[test]
fn an_error_of_one_agent_stops_that_agent() {
    let findings = vec![
        finding("ip-forward", HostSeverity::Error),
        finding("port-taken", HostSeverity::Error).of("A"),
        finding("cpus", HostSeverity::Warning),
        finding("memory", HostSeverity::Info),
    ];
    let judged = judge(findings, &BTreeSet::new());
    assert_eq!(ids(&judged.errors), ["ip-forward"]);
    assert_eq!(ids(&judged.warnings), ["cpus"]);
    let agents: Vec<_> = judged.unfit.iter().map(PlanError::agent).collect();
    assert_eq!(agents, [Some("A")]);
    let failure = not_ready(&judged.errors).expect("an error");
    assert_eq!(failure.exit, Exit::Findings);
    let hint = "mend it; `--ignore ip-forward` goes on all the same";
    assert_eq!(failure.hint.as_deref(), Some(hint));
}

#[test]
fn what_is_ignored_is_a_warning() {
    let findings = vec![
        finding("ip-forward", HostSeverity::Error),
        finding("port-taken", HostSeverity::Error).of("A"),
    ];
    let ignore = ignored(&["ip-forward".to_owned(), "port-taken".to_owned()]);
    let judged = judge(findings, &ignore.expect("they are findings"));
    assert_eq!(ids(&judged.warnings), ["ip-forward", "port-taken"]);
    assert!(judged.unfit.is_empty() && not_ready(&judged.errors).is_none());
}

#[test]
fn a_finding_that_there_is_not_cannot_be_ignored() {
    let failure = ignored(&["port-takn".to_owned()]).expect_err("no such finding");
    assert_eq!(failure.exit, Exit::Usage);
    assert_eq!(failure.message, "unknown finding `port-takn`");
    let hint = failure.hint.unwrap_or_default();
    assert!(hint.contains("port-taken"), "{hint}");
}

#[test]
fn a_full_disk_is_no_matter_for_what_needs_no_space() {
    assert!(tight(&finding("storage-space", HostSeverity::Error)));
    assert!(!tight(&finding("storage-space", HostSeverity::Warning)));
    assert!(!tight(&finding("ip-forward", HostSeverity::Error)));
}
