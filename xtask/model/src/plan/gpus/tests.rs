//! Who gets which GPU, on hosts with enough of them and with too few.

use super::{super::tests::sketch, *};

fn system(sketch_text: &str, settings: &[(&str, &str)]) -> System {
    sketch(sketch_text, settings)
}

/// `A=0 B=1,2`
fn given(system: &System, gpus: &Gpus) -> String {
    let words = assigned(system, gpus);
    let words = words
        .iter()
        .map(|(agent, names)| format!("{agent}={}", names.join(",")));
    words.collect::<Vec<_>>().join(" ")
}

const ONE: &str = "gpu_count = 1";

#[test]
fn each_agent_gets_a_gpu_of_its_own_while_there_are_enough() {
    let system = system(
        "one: A B C",
        &[("A", ONE), ("B", "gpu_count = 2"), ("C", ONE)],
    );
    assert_eq!(given(&system, &Gpus::indexed(4)), "A=0 B=1,2 C=3");
    assert_eq!(given(&system, &Gpus::indexed(9)), "A=0 B=1,2 C=3");
    assert_eq!(given(&system, &Gpus::default()), "");
}

#[test]
fn named_devices_are_fixed_and_the_others_go_round_them() {
    let named = ("A", "gpu_device = 1");
    let system = system("one: A B C", &[named, ("B", ONE), ("C", ONE)]);
    assert_eq!(given(&system, &Gpus::indexed(3)), "A=1 B=0 C=2");
}

#[test]
fn optional_agents_come_last() {
    let optional = ("A", "gpu_count = 1\noptional = true");
    let system = system("one: A B", &[optional, ("B", ONE)]);
    assert_eq!(given(&system, &Gpus::indexed(1)), "A=0 B=0");
    assert_eq!(given(&system, &Gpus::indexed(2)), "A=1 B=0");
}

#[test]
fn those_that_must_share_go_where_least_memory_is_declared() {
    let vram = |mb: u32| format!("gpu_count = 1\nvram_mb = {mb}");
    let (a, b, c, d, e) = (
        vram(9_000),
        vram(3_000),
        vram(500),
        vram(4_000),
        vram(2_000),
    );
    let settings = [("A", &*a), ("B", &*b), ("C", &*c), ("D", &*d), ("E", &*e)];
    let system = system("one: A B C D E", &settings);
    // 0 has 9000 and 1 has 3000; D makes it 7000, E 9000, and C the same on 0.
    assert_eq!(given(&system, &Gpus::indexed(2)), "A=0 B=1 C=0 D=1 E=1");
}

#[test]
fn too_many_and_unknown_ones_are_refused() {
    let unknown = ("B", "gpu_device = \"GPU-x\"");
    let system = system("one: A B", &[("A", "gpu_count = 3"), unknown]);
    let gpus = Gpus::indexed(2);
    let offered = ["0", "1"].map(str::to_owned).to_vec();
    let refusals: Vec<PlanError> = system
        .agents
        .iter()
        .filter_map(|agent| refusal(&system, agent, &gpus))
        .collect();
    let too_few = PlanError::GpusTooFew {
        agent: "A".into(),
        asked: 3,
        offered: offered.clone(),
    };
    let unknown = PlanError::GpuUnknown {
        agent: "B".into(),
        device: "GPU-x".into(),
        offered,
    };
    assert_eq!(refusals, [too_few, unknown]);
    assert_eq!(given(&system, &gpus), "");
}

#[test]
fn names_of_one_gpu_are_told_by_its_device_files() {
    let nodes = |node: &str| BTreeSet::from([node.to_owned()]);
    let gpus = Gpus::from_names([
        ("GPU-b".to_owned(), nodes("/dev/nvidia1")),
        ("1".to_owned(), nodes("/dev/nvidia1")),
        ("10".to_owned(), nodes("/dev/nvidia10")),
        ("2".to_owned(), nodes("/dev/nvidia2")),
        (ALL.to_owned(), BTreeSet::new()),
    ]);
    let units: Vec<&str> = gpus.units.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(units, ["1", "2", "10"]);
    assert!(gpus.names.contains("GPU-b") && gpus.names.contains(ALL));
    let plain = ["0", "GPU-a", "all"].map(|name| (name.to_owned(), BTreeSet::new()));
    assert_eq!(Gpus::from_names(plain).units.len(), 1);
    let slices = ["0:1", "0:0", "MIG-x"].map(|name| (name.to_owned(), BTreeSet::new()));
    let slices = Gpus::from_names(slices);
    let units: Vec<&str> = slices.units.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(units, ["0:0", "0:1"]);
}

#[test]
fn a_uuid_takes_the_gpu_that_it_names() {
    let system = system("one: A B", &[("A", "gpu_device = \"GPU-a\""), ("B", ONE)]);
    let nodes = |node: &str| BTreeSet::from([node.to_owned()]);
    let gpus = Gpus::from_names([
        ("0".to_owned(), nodes("/dev/nvidia0")),
        ("GPU-a".to_owned(), nodes("/dev/nvidia0")),
        ("1".to_owned(), nodes("/dev/nvidia1")),
    ]);
    assert_eq!(given(&system, &gpus), "A=GPU-a B=1");
}

#[test]
fn sharing_is_told_to_those_whom_it_concerns() {
    let optional = ("C", "gpu_count = 1\noptional = true");
    let system = system("one: A B C D", &[("A", ONE), ("B", ONE), optional]);
    let sharing = |count: usize, names: &str| {
        let asked = names.split_whitespace().map(str::to_owned).collect();
        sharing(&system, &Gpus::indexed(count), &asked)
    };
    assert_eq!(sharing(1, "A"), ["nvidia.com/gpu=0 is shared by A, B"]);
    assert_eq!(
        sharing(1, "A B C"),
        ["nvidia.com/gpu=0 is shared by A, B, C"]
    );
    assert!(sharing(1, "D").is_empty());
    assert!(sharing(2, "A B").is_empty());
    assert_eq!(sharing(2, "C"), ["nvidia.com/gpu=0 is shared by A, C"]);
}
