//! Containers that somebody has changed with podman's own commands: what is told
//! of it, and that one deployment puts all of it right.

use super::support::{AGENTS, Small, containers_of, podman};

/// Agents that are not as they should be, each with its configuration and what
/// differs.
fn told(small: &Small, args: &[&str]) -> Vec<(String, String, Vec<String>)> {
    let args = [&["status", "--format", "json"], args].concat();
    let told = small.run(&args).expect(0).json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let rows = told["agents"].as_array().unwrap().iter();
    rows.filter(|row| row["configuration"] != "current")
        .map(|row| {
            let differences = row["differences"].as_array().unwrap().iter();
            let texts = differences.map(|found| text(&found["text"])).collect();
            (text(&row["name"]), text(&row["configuration"]), texts)
        })
        .collect()
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn changes_by_hand_are_told_and_put_right() {
    let small = Small::new(84);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    assert_eq!(told(&small, &["--deep"]), [], "nothing was changed");
    let network = format!("{}-net", small.name);
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|index| small.container(index));
    podman(&["network", "disconnect", &network, &first]);
    podman(&["network", "connect", "podman", &second]);
    podman(&["update", "--memory", "96m", &third]);
    podman(&["network", "disconnect", &network, &fourth]);
    podman(&["network", "connect", &network, &fourth]);

    let drifted =
        |agent: &str, texts: &[String]| (agent.to_owned(), "drifted".to_owned(), texts.to_vec());
    let networks = [
        drifted(
            "First",
            &[format!("was disconnected from network `{network}`")],
        ),
        drifted("Second", &["was connected to network `podman`".to_owned()]),
    ];
    assert_eq!(told(&small, &[]), networks, "in the listing");
    let all = told(&small, &["--deep"]);
    assert_eq!(all[..2], networks);
    let memory = "memory limit is 96 MB, should be 64 MB".to_owned();
    assert_eq!(all[2], drifted("Third", &[memory]));
    let (name, _, texts) = &all[3];
    let lost = |what: &str| texts.iter().any(|text| text.starts_with(what));
    assert_eq!((name.as_str(), texts.len()), ("Fourth", 3), "{texts:?}");
    assert!(lost("address in network"), "{texts:?}");
    assert!(lost("hardware address in network"), "{texts:?}");
    assert!(
        lost(&format!("name `{fourth}` is not known in network")),
        "{texts:?}"
    );

    let id = |container: &str| podman(&["container", "inspect", "--format", "{{.Id}}", container]);
    let before = [&first, &second, &third, &fourth].map(|name| id(name));
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    let listed = [&first, &second, &third, &fourth].map(|name| id(name));
    let same: Vec<bool> = before.iter().zip(&listed).map(|(a, b)| a == b).collect();
    assert_eq!(same, [false, false, true, true], "what the listing tells");
    let verify = ["deploy", "--settle", "0s", "--verify"];
    small.run(&verify).expect(0);
    assert_eq!(told(&small, &["--deep"]), []);
    assert_eq!(small.statuses(), ["healthy"; 4]);
    let right = [&first, &second, &third, &fourth].map(|name| id(name));
    small
        .run(&verify)
        .expect(0)
        .says(&["nothing to do: 4 agents healthy"]);
    assert_eq!(
        [&first, &second, &third, &fourth].map(|name| id(name)),
        right
    );
    assert_eq!(containers_of(&small.name).len(), AGENTS.len());
}

#[test]
#[ignore = "needs podman; `cargo xtask test` runs it"]
fn a_network_made_by_hand_without_isolation_is_refused_until_it_is_gone() {
    let small = Small::new(83);
    let network = format!("{}-net", small.name);
    let subnet = format!("10.231.{}.0/24", small.first_port % 250);
    podman(&["network", "create", "--subnet", &subnet, &network]);
    let refused = small.run(&["deploy", "--settle", "0s"]).expect(11);
    refused.says(&[
        "is not kept apart from other networks (`isolate = true`)",
        &format!("`podman network rm {network}`"),
    ]);
    small.run(&["down"]).expect(0);
    podman(&["network", "rm", &network]);
    small.run(&["deploy", "--settle", "0s"]).expect(0);
    assert_eq!(small.statuses(), ["healthy"; 4]);
}
