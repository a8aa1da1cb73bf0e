//! Creations that podman must not be given beside each other.

use super::*;

/// Agents whose creations come alone, if these have these volumes.
fn apart(volumes: &[(&str, &[&str])]) -> Vec<String> {
    let mounts = |names: &[&str]| {
        let one = |name: &&str| format!("{{ volume = \"{name}\", target = \"/{name}\" }}");
        let all: Vec<String> = names.iter().map(one).collect();
        format!("mounts = [{}]", all.join(", "))
    };
    let lines = volumes.iter().map(|(agent, names)| (*agent, mounts(names)));
    let lines: Vec<(&str, String)> = lines.collect();
    let settings = lines.iter().map(|(agent, line)| (*agent, line.as_str()));
    let names: Vec<&str> = volumes.iter().map(|(agent, _)| *agent).collect();
    let sketch = format!("one: {}", names.join(" "));
    let mut case = Case::with(&sketch, &settings.collect::<Vec<_>>());
    let alone = |case: &Case| -> Vec<String> {
        let steps = case.plan().steps.into_iter();
        let alone = steps.filter(|step| step.alone.is_some());
        alone.map(|step| step.subject).collect()
    };
    assert_eq!(alone(&case), [""; 0], "this podman has no such defect");
    case.world.state.volumes_deadlock = true;
    alone(&case)
}

#[test]
fn two_that_share_two_volumes_come_one_after_the_other() {
    assert_eq!(
        apart(&[("A", &["x", "y"]), ("B", &["y", "x"]), ("C", &["x", "z"])]),
        ["A", "B"]
    );
}

#[test]
fn three_may_wait_in_a_circle() {
    assert_eq!(
        apart(&[("A", &["x", "y"]), ("B", &["y", "z"]), ("C", &["z", "x"])]),
        ["A", "B", "C"]
    );
}

#[test]
fn what_all_share_beside_their_own_holds_up_nobody() {
    let own: [(&str, &[&str]); 3] = [
        ("A", &["logs", "a"]),
        ("B", &["logs", "b"]),
        ("C", &["logs"]),
    ];
    assert_eq!(apart(&own), [""; 0]);
}
