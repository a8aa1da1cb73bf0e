//! The real manifest, and small changes to it: defaults, addresses, environment.

use std::{collections::BTreeMap, fs};

use super::{super::*, RealCopy, load_from};

#[test]
fn the_real_manifest_is_the_plans_system() {
    let copy = RealCopy::new();
    let system = copy.load();
    let root = std::path::absolute(copy.folder.path()).expect("absolute");
    assert_eq!(system.root, root);
    assert_eq!(system.monorepo, root.join("containers/reference"));
    let order: Vec<&str> = system
        .agents
        .iter()
        .map(|agent| agent.container.as_str())
        .collect();
    assert_eq!(
        order,
        [
            "system-digital-twin",
            "coordinator-agent",
            "chain-of-thought-agent",
            "self-training-orchestrator",
            "model-manager-agent",
            "emotion-engine",
            "audio-capture",
            "got-tot-agent",
            "tiny-llama-service",
            "nllb-adapter",
            "phi-translation-service",
        ]
    );
    let groups: Vec<&str> = system
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(groups, ["core-services", "system-services", "gpu-services"]);
    assert_eq!(
        system.images["ai-system-core"].containerfile,
        root.join("containers/images/packages/Containerfile")
    );
    assert_eq!(
        system.lists_below("ai-system-system-services"),
        ["core", "shared", "audio"]
    );
    assert_eq!(system.lists_below("ai-system-torch"), ["core"]);
    assert!(system.lists_below("ai-system-core").is_empty());
    assert_eq!(
        system.lists_in("ai-system-audio"),
        ["core", "shared", "audio"]
    );
    let chain = system.chain("ai-system-gpu-services");
    let chain: Vec<&str> = chain.map(|image| image.name.as_str()).collect();
    let expected = ["gpu-services", "gpu", "torch", "core"];
    assert_eq!(chain, expected.map(|name| format!("ai-system-{name}")));
    assert_eq!(system.chain("ai-system-base").count(), 0);
    assert!(
        system.images["ai-system-core"]
            .inputs
            .contains(&root.join("scripts/fetch.sh"))
    );
    assert!(system.networks["ai-system-network"].isolate);
}

#[test]
fn the_real_agents_get_defaults_addresses_and_environment() {
    let copy = RealCopy::new();
    let system = copy.load();
    let twin = system.agent("SystemDigitalTwin").expect("in the manifest");
    let script = "main_pc_code/agents/system_digital_twin.py";
    assert_eq!(twin.command, ["python3", "-u", script]);
    assert_eq!((twin.host_port, twin.host_health_port), (Some(7120), 7121));
    assert_eq!(twin.backbone_ip, Some([172, 20, 1, 10].into()));
    assert!(twin.peers.is_empty(), "it is no peer of itself");
    assert_eq!(twin.restart, RestartPolicy::OnFailure(3));
    assert_eq!(
        (
            twin.start_timeout_ms,
            twin.start_attempts,
            twin.stop_timeout_s
        ),
        (60_000, 2, 5)
    );
    let requests = [r#"{"action": "health_check"}"#, "health"].map(str::to_owned);
    let contract = HealthContract::ZeroMq {
        requests: requests.to_vec(),
    };
    assert_eq!(twin.health, contract);
    assert_eq!((twin.memory_mb, twin.cpus, twin.pids), (512, 1.0, 256));

    let got = system.agent("GoTToTAgent").expect("in the manifest");
    let expected = BTreeMap::from(
        [
            ("AGENT_NAME", "GoTToTAgent"),
            ("COORDINATOR_AGENT_ADDRESS", "tcp://172.20.1.11:26002"),
            ("CUDA_VISIBLE_DEVICES", "0"),
            ("HEALTH_CHECK_PORT", "7001"),
            ("PORT", "7000"),
            ("PYTHONPATH", "/app:/app/main_pc_code:/app/main_pc_code/src"),
            ("SYSTEM_DIGITAL_TWIN_ADDRESS", "tcp://172.20.1.10:7120"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    assert_eq!(got.env, expected);
    assert_eq!(got.gpu, Some(GpuRequest::Count(1)));
    assert_eq!(got.memory_mb, 8192);

    let coordinator = system.agent("CoordinatorAgent").expect("in the manifest");
    assert_eq!(
        coordinator.env["SYSTEM_DIGITAL_TWIN_ADDRESS"],
        "tcp://172.21.0.10:7120"
    );
    let training = system
        .agent("SelfTrainingOrchestrator")
        .expect("in the manifest");
    let targets: Vec<&str> = training
        .mounts
        .iter()
        .map(|mount| mount.target.as_str())
        .collect();
    assert_eq!(
        targets,
        ["/app/logs", "/app/config", "/app/data", "/app/models"]
    );
    assert!(
        system
            .agent("NLLBAdapter")
            .expect("in the manifest")
            .optional
    );
}

#[test]
fn an_absent_script_of_an_optional_agent_is_remembered() {
    let copy = RealCopy::new();
    let script = "containers/reference/main_pc_code/FORMAINPC/PhiTranslationService.py";
    fs::remove_file(copy.folder.path().join(script)).expect("the file was made");
    let system = copy.load();
    let missing = system.agents.iter().filter(|agent| agent.script_missing);
    assert_eq!(
        missing.map(|a| a.name.as_str()).collect::<Vec<_>>(),
        ["PhiTranslationService"]
    );
}

#[test]
fn addresses_follow_the_network_mode() {
    let copy = RealCopy::new();
    let addresses = |text: String| {
        copy.write(&text);
        let system = copy.load();
        let agent = system.agent("GoTToTAgent").expect("in the manifest");
        agent.env["SYSTEM_DIGITAL_TWIN_ADDRESS"].clone()
    };
    let bridge_only = |line: &str| {
        ["network = ", "backbone", "ip = "]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let plain: Vec<&str> = copy
        .text
        .lines()
        .filter(|line| !bridge_only(line))
        .collect();
    let host = plain
        .join("\n")
        .replace("[base]", "network_mode = \"host\"\n[base]");
    assert_eq!(addresses(host), "tcp://127.0.0.1:7120");
    let dynamic: Vec<&str> = copy
        .text
        .lines()
        .filter(|l| !l.starts_with("ip = "))
        .collect();
    assert_eq!(
        addresses(dynamic.join("\n")),
        "tcp://system-digital-twin:7120"
    );
    let pods = plain
        .join("\n")
        .replace("[base]", "network_mode = \"pod\"\n[base]");
    copy.write(&pods);
    let error = load_from(copy.path())
        .expect_err("other pods are out of reach")
        .render(false);
    assert!(
        error.contains("cannot reach the peer `SystemDigitalTwin`"),
        "{error}"
    );
    copy.write(&pods.replace("peers = [", "# peers = ["));
    let coordinator = copy
        .load()
        .agent("CoordinatorAgent")
        .expect("in the manifest")
        .clone();
    assert_eq!(
        coordinator.env["SYSTEM_DIGITAL_TWIN_ADDRESS"],
        "tcp://127.0.0.1:7120"
    );
}

#[test]
fn settings_of_agents_win_over_their_groups() {
    let copy = RealCopy::new();
    let group = "[groups.gpu-services]\nenv = { A = \"group\", CUDA_VISIBLE_DEVICES = \"7\" }\n\
                 optional = true\n";
    let agent = "gpu_count = 1\noptional = false\nrestart = \"no\"\npids = 9\nport = 7000\n\
                 args = [\"--port={port}\", \"{name}\"]\nvram_mb = 4000\n\
                 relax = { capabilities = { SYS_NICE = \"real-time audio\" } }\n";
    let text = copy.text.replace("[groups.gpu-services]\n", group);
    let text = text
        .replacen("port = 7000\n", "", 1)
        .replacen("gpu_count = 1\n", agent, 1);
    copy.write(&text);
    let system = copy.load();
    let agent = system.agent("GoTToTAgent").expect("in the manifest");
    assert_eq!(
        (
            agent.env["A"].as_str(),
            agent.env["CUDA_VISIBLE_DEVICES"].as_str()
        ),
        ("group", "0")
    );
    assert_eq!(
        (agent.restart, agent.pids, agent.optional),
        (RestartPolicy::No, 9, false)
    );
    assert_eq!(agent.command[3..], ["--port=7000", "GoTToTAgent"]);
    assert_eq!(agent.vram_mb, Some(4000));
    assert_eq!(agent.relax.capabilities["SYS_NICE"], "real-time audio");
}

#[test]
fn groups_of_different_network_modes_meet_on_the_host() {
    let copy = RealCopy::new();
    let twin_for_got = |host_group: &str| {
        // Only the lines of `host_group` lose what belongs to a bridge.
        let mut inside = false;
        let mut text = String::new();
        for line in copy.text.lines() {
            if line.starts_with('[') {
                inside = line.starts_with(&format!("[groups.{host_group}"));
            }
            let bridge = ["network = ", "backbone", "ip = "]
                .iter()
                .any(|k| line.starts_with(k));
            if !(inside && bridge) {
                text += line;
                text.push('\n');
            }
            if line == format!("[groups.{host_group}]") {
                text += "network_mode = \"host\"\n";
            }
        }
        copy.write(&text);
        let got = copy
            .load()
            .agent("GoTToTAgent")
            .expect("in the manifest")
            .clone();
        got.env["SYSTEM_DIGITAL_TWIN_ADDRESS"].clone()
    };
    assert_eq!(twin_for_got("gpu-services"), "tcp://127.0.0.1:7120");
    assert_eq!(
        twin_for_got("core-services"),
        "tcp://host.containers.internal:7120"
    );
}
