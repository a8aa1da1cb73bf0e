//! What all containers have in common, whoever runs in them.

use model::{
    plan::secret::{GivenSecret, SecretOrigin, SecretSpec},
    system::SecretForm,
};

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
        // A signal to a first process without one is lost, and the container
        // outlives its podman.
        assert!(line.contains("--init"), "{line}");
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
    assert_eq!(
        spec::hash_of_container(&agent()),
        "80d53b7c16719e621a19eab5"
    );
}

#[test]
fn secrets_are_named_and_their_values_are_nowhere() {
    let secret = Action::CreateSecret(SecretSpec {
        system: "demo".into(),
        name: "demo-KEY-0123456789ab".into(),
        origin: SecretOrigin::Env("OPENAI_API_KEY".into()),
    });
    check(
        &secret,
        "podman secret create --label 'ai-system.system=demo' demo-KEY-0123456789ab -  # value from the environment variable OPENAI_API_KEY",
    );
    let removed = Action::RemoveSecret {
        secret: "demo-KEY-0123456789ab".into(),
    };
    check(&removed, "podman secret rm demo-KEY-0123456789ab");
    let given = |name: &str, form| GivenSecret {
        name: name.into(),
        id: None,
        form,
    };
    let mut spec = agent();
    spec.secrets = vec![
        given("demo-KEY-01", SecretForm::File("/run/secrets/KEY".into())),
        given("demo-PIN-02", SecretForm::Env("PIN".into())),
    ];
    let options = |spec: &ContainerSpec| {
        let line = create_container(spec, &Quirks::default()).join(" ");
        let start = line.find("--secret").expect("secrets");
        let end = line.find("--volume").expect("mounts");
        line[start..end].trim().to_owned()
    };
    assert_eq!(
        options(&spec),
        "--secret demo-KEY-01,type=mount,target=/run/secrets/KEY \
         --secret demo-PIN-02,type=env,target=PIN \
         --tmpfs /run/secrets:rw,size=64k,mode=0755"
    );
    assert!(
        create_container(&spec, &Quirks::default())
            .contains(&"ai-system.secrets=demo-KEY-01,demo-PIN-02".to_owned())
    );
    // Only a read-only root needs the folder.
    spec.relax.writable_root = true;
    assert!(!options(&spec).contains("--tmpfs"));
}

/// Of the container that other tests are about.
pub fn removal() -> Action {
    Action::RemoveContainer {
        container: "alpha".into(),
        pid: Some(4711),
    }
}
