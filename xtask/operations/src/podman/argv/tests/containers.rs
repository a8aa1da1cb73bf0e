//! What all containers have in common, whoever runs in them.

use super::*;

#[test]
fn every_container_is_kept_to_the_same() {
    let quirks = Quirks::default();
    let test = TestSpec {
        system: "demo".into(),
        name: "demo-test".into(),
        image: "localhost/demo-code:latest".into(),
        tools: "localhost/demo-pytest:latest".into(),
        tools_at: "/tools".into(),
        networks: Vec::new(),
        env: BTreeMap::new(),
        mounts: Vec::new(),
        memory_mb: 256,
        cpus: None,
        pids: 64,
        config: "{}".into(),
    };
    let fill = FillSpec {
        system: "demo".into(),
        image: "localhost/demo-code:latest".into(),
        volume: "demo-data".into(),
        env: BTreeMap::new(),
        mounts: Vec::new(),
        script: "fill.py".into(),
    };
    let ways = [
        create_container(&agent(), &quirks),
        run_inside("localhost/demo-core:latest", &words(&["true"]), &quirks),
        run_test(&test, &quirks),
        fill_volume(&fill, &quirks),
    ];
    for args in ways {
        let line = args.join(" ");
        for option in [
            "--cap-drop all",
            "--security-opt no-new-privileges",
            "--read-only",
            "--memory ",
            "--pids-limit ",
            "--http-proxy=false",
            "--pull never localhost/",
        ] {
            assert_eq!(line.matches(option).count(), 1, "{option} in {line}");
        }
    }
}

/// A hash that changes replaces every container of every user.
#[test]
fn the_hash_of_a_specification_stays() {
    assert_eq!(spec::hash_of(&agent()), "7c344d75b1b33d03c76d9a5d");
}
