//! Networks: missing, the same, drifted, somebody else's, overlapping.

use super::*;
use crate::plan::{networks, state::ObservedNetwork};

fn net(case: &Case, recreate: bool) -> Result<Plan, Vec<PlanError>> {
    networks::plan(&case.system, &case.world.state, &["net".into()], recreate)
}

fn created(sketch: &str) -> Case {
    let mut case = Case::new(sketch);
    let plan = net(&case, false).expect("nothing is in the way");
    case.world.apply_all(&plan);
    case
}

fn foreign(subnets: &[&str]) -> ObservedNetwork {
    ObservedNetwork {
        subnets: subnets.iter().map(|subnet| (*subnet).to_owned()).collect(),
        isolated: true,
        ..ObservedNetwork::default()
    }
}

#[test]
fn a_missing_network_is_created_once() {
    let case = Case::new("one: A");
    let plan = net(&case, false).expect("nothing is in the way");
    assert_text(&plan, "0 net: create network net (does not exist)");
    let again = net(&created("one: A"), false).expect("it is ours");
    assert_text(&again, "unchanged: net");
}

#[test]
fn a_drifted_network_is_replaced_only_when_asked_for() {
    let mut case = created("one: A");
    let network = case.system.networks.get_mut("net").expect("it is there");
    network.internal = true;
    assert_eq!(
        net(&case, false).expect_err("it differs"),
        [PlanError::NetworkDiffers {
            network: "net".into(),
            differences: vec!["has a route to the outside (`internal = true`)".into()],
            ours: true
        }]
    );
    let plan = net(&case, true).expect("asked for");
    assert_text(
        &plan,
        "0 net: remove network net (differs from the manifest)
         1 net: create network net after [0] (differs from the manifest)",
    );
    case.world.apply_all(&plan);
    assert_text(&net(&case, true).expect("done"), "unchanged: net");
}

/// Words about `net` that are not true of it, and whose it is.
fn told(case: &Case) -> (Vec<String>, bool) {
    match net(case, false).expect_err("it differs").pop() {
        Some(PlanError::NetworkDiffers {
            differences, ours, ..
        }) => (differences, ours),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_network_changed_by_hand_differs_though_its_labels_are_ours() {
    type Change = fn(&mut ObservedNetwork);
    let cases: [(Change, &str); 3] = [
        (
            |net| net.isolated = false,
            "is not kept apart from other networks (`isolate = true`)",
        ),
        (
            |net| net.internal = true,
            "has no route to the outside (`internal = false`)",
        ),
        (
            |net| net.subnets = vec!["10.7.0.0/16".into()],
            "has the subnet 10.7.0.0/16, not 10.1.0.0/16",
        ),
    ];
    for (change, words) in cases {
        let mut case = created("one: A");
        change(case.world.state.networks.get_mut("net").expect("created"));
        assert_eq!(told(&case), (vec![words.to_owned()], true));
        let plan = net(&case, true).expect("asked for");
        case.world.apply_all(&plan);
        assert_text(&net(&case, false).expect("put right"), "unchanged: net");
    }
}

#[test]
fn a_network_made_by_hand_without_isolation_is_not_used() {
    let mut case = Case::new("one: A");
    let mut by_hand = foreign(&["10.1.0.0/16"]);
    by_hand.isolated = false;
    case.world.state.networks.insert("net".into(), by_hand);
    let words = "is not kept apart from other networks (`isolate = true`)";
    assert_eq!(told(&case), (vec![words.to_owned()], false));
    let network = case.system.networks.get_mut("net").expect("it is there");
    network.isolate = false;
    assert!(
        net(&case, false)
            .expect("as the manifest has it")
            .is_empty()
    );
}

#[test]
fn somebody_elses_network_is_used_if_it_fits_and_never_replaced() {
    let mut case = Case::new("one: A");
    let networks = &mut case.world.state.networks;
    networks.insert("net".into(), foreign(&["10.1.0.0/16"]));
    assert_text(
        &net(&case, true).expect("it fits"),
        "unchanged: net
         warning: network `net` was not created by this tool; used as it is",
    );
    let networks = &mut case.world.state.networks;
    networks.insert("net".into(), foreign(&["10.9.0.0/16", "fd00::/64"]));
    assert_eq!(
        net(&case, true).expect_err("it does not fit"),
        [PlanError::NetworkDiffers {
            network: "net".into(),
            differences: vec!["has the subnet 10.9.0.0/16, fd00::/64, not 10.1.0.0/16".into()],
            ours: false
        }]
    );
}

#[test]
fn a_network_that_overlaps_is_named() {
    let overlap = |subnet: &str| {
        let mut case = Case::new("one: A");
        let networks = &mut case.world.state.networks;
        networks.insert("other".into(), foreign(&["fd00::/64", subnet]));
        net(&case, false).err().map(|errors| errors.len())
    };
    for clash in [
        "10.1.0.0/16",
        "10.0.0.0/8",
        "10.1.7.0/24",
        "0.0.0.0/0",
        "10.1.2.3/24",
    ] {
        assert_eq!(overlap(clash), Some(1), "{clash}");
    }
    for fine in [
        "10.2.0.0/16",
        "192.168.0.0/16",
        "fd01::/64",
        "nonsense",
        "10.1.0.0/33",
    ] {
        assert_eq!(overlap(fine), None, "{fine}");
    }
}

#[test]
fn a_recreated_network_may_overlap_itself_but_no_other() {
    let mut case = created("one: A");
    let network = case.system.networks.get_mut("net").expect("it is there");
    network.subnet.base = [10, 7, 0, 0].into();
    assert_eq!(net(&case, true).expect("10.7 is free").steps.len(), 2);
    let networks = &mut case.world.state.networks;
    networks.insert("other".into(), foreign(&["10.7.0.0/16"]));
    assert_eq!(
        net(&case, true).expect_err("10.7 is taken"),
        [PlanError::NetworkOverlaps {
            network: "net".into(),
            subnet: "10.7.0.0/16".into(),
            other: "other".into(),
            other_subnet: "10.7.0.0/16".into()
        }]
    );
}

#[test]
fn networks_are_those_of_bridged_groups() {
    let case = Case::with("one: A; two: B", &[("two", "network_mode = \"host\"")]);
    let used = |groups: &[&str]| networks::used_by(&case.system, groups.iter().copied());
    assert_eq!(used(&["one", "one", "two"]), ["net"]);
    assert!(used(&["two"]).is_empty());
}
