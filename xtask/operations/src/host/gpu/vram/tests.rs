//! Sums, and what is proposed.

use std::path::Path;

use model::system;

use super::*;

fn demo(agents: &[(&str, &str)]) -> System {
    let mut text = include_str!("../tests/demo.toml").to_owned();
    for (index, (name, lines)) in agents.iter().enumerate() {
        let port = 7_000 + 10 * index;
        text += &format!(
            "[groups.one.agents.{name}]\nscript = \"main_pc_code/agents/alpha.py\"\nport = {port}\n{lines}\n"
        );
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/manifests");
    system::from_text(&text, &folder.join("sketch.toml"))
        .unwrap_or_else(|error| panic!("{}", error.render(false)))
}

fn gpu(index: u32, used_mb: u64) -> Gpu {
    Gpu {
        index,
        uuid: format!("GPU-{index}"),
        name: "RTX".into(),
        total_mb: Some(8_000),
        free_mb: Some(8_000 - used_mb),
        used_mb: Some(used_mb),
        ..Gpu::default()
    }
}

fn budget(system: &System, known: &[Gpu], used: &Used, chosen: &[&str]) -> Vec<Budget> {
    let chosen = chosen.iter().map(|name| (*name).to_owned()).collect();
    budgets(
        system,
        &Gpus::indexed(known.len()),
        known,
        used,
        None,
        &chosen,
    )
}

#[test]
fn what_agents_need_is_their_memory_and_an_overhead_each() {
    let system = demo(&[
        ("A", "gpu_count = 1\nvram_mb = 4000"),
        ("B", "gpu_count = 1\nvram_mb = 3000"),
    ]);
    let none = Used::new();
    let one = &budget(&system, &[gpu(0, 0)], &none, &[])[0];
    assert_eq!(
        (one.needed_mb(), one.room_mb(), one.overdrawn()),
        (8_200, Some(8_000), true)
    );
    let two = budget(&system, &[gpu(0, 0), gpu(1, 0)], &none, &[]);
    assert_eq!((two[0].needed_mb(), two[1].needed_mb()), (4_600, 3_600));
    assert!(!two[0].overdrawn() && !two[1].overdrawn());
}

#[test]
fn what_others_hold_is_not_there_for_agents() {
    let system = demo(&[("A", "gpu_count = 1\nvram_mb = 5000")]);
    let used = Used::from([(("GPU-0".into(), "A".into()), 2_000)]);
    let budget = &budget(&system, &[gpu(0, 5_000)], &used, &[])[0];
    assert_eq!((budget.others_mb, budget.room_mb()), (3_000, Some(5_000)));
    assert_eq!(budget.agents[0].used_mb, Some(2_000));
    assert!(budget.overdrawn());
}

#[test]
fn optional_agents_count_when_they_are_named_or_there() {
    let optional = "gpu_count = 1\nvram_mb = 4000\noptional = true";
    let system = demo(&[("A", "gpu_count = 1\nvram_mb = 4000"), ("B", optional)]);
    let needed =
        |used: &Used, chosen: &[&str]| budget(&system, &[gpu(0, 0)], used, chosen)[0].needed_mb();
    let running = Used::from([(("GPU-0".into(), "B".into()), 10)]);
    assert_eq!(needed(&Used::new(), &["A"]), 4_600);
    assert_eq!(needed(&Used::new(), &["B"]), 9_200);
    assert_eq!(needed(&running, &["A"]), 9_200);
}

#[test]
fn undeclared_memory_is_no_overdraft() {
    let system = demo(&[("A", "gpu_count = 1")]);
    let others = &budget(&system, &[gpu(0, 7_900)], &Used::new(), &[])[0];
    assert!(others.needed_mb() > others.room_mb().unwrap() && !others.overdrawn());
}

#[test]
fn a_proposal_covers_the_peak_with_headroom() {
    for (peak_mb, proposed_mb) in [
        (0, 100),
        (600, 100),
        (1_000, 500),
        (5_230, 5_200),
        (8_000, 8_200),
    ] {
        assert_eq!(proposal_mb(peak_mb), proposed_mb, "{peak_mb}");
        assert!(proposed_mb + OVERHEAD_MB >= peak_mb + peak_mb / 10);
    }
    let mut peaks = Used::from([(("GPU-0".into(), "A".into()), 1_000)]);
    raise(
        &mut peaks,
        Used::from([
            (("GPU-0".into(), "A".into()), 900),
            (("GPU-1".into(), "A".into()), 5_230),
        ]),
    );
    assert_eq!(
        proposals(&peaks),
        BTreeMap::from([("A".to_owned(), (5_230, 5_200))])
    );
}
