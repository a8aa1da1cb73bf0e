//! Containers that were changed by hand, or by a run of podman that was not ours.

use super::*;
use crate::plan::{
    drift,
    observed::{Attachment, Observed, ObservedMount, Publication, ResourceLimits},
    spec::{self, ContainerNet, ContainerSpec},
};

/// What `podman container inspect` would tell of a container as it was made.
fn observed(spec: &ContainerSpec) -> Observed {
    let ContainerNet::Bridge(networks) = &spec.network else {
        panic!("not a container of these tests");
    };
    let attachment = |(name, address): &(String, Option<std::net::Ipv4Addr>)| {
        let attachment = Attachment {
            address: *address,
            hardware_address: address.map(spec::hardware_address),
            aliases: [spec.hostname.clone(), "0123456789ab".into()].into(),
        };
        (name.clone(), attachment)
    };
    let limits = ResourceLimits {
        memory: Some(spec.memory_mb << 20),
        cpus: Some(spec.cpus),
        pids: Some(spec.pids.into()),
    };
    Observed {
        hostname: Some(spec.hostname.clone()),
        attachments: networks.iter().map(attachment).collect(),
        host_network: false,
        publish: spec
            .publish
            .iter()
            .map(|(host_port, port)| Publication {
                address: "127.0.0.1".into(),
                host_port: *host_port,
                port: *port,
            })
            .collect(),
        env: spec.env.clone(),
        mounts: spec
            .mounts
            .iter()
            .map(|mount| ObservedMount {
                source: mount.source.clone(),
                target: mount.target.clone(),
                read_only: mount.read_only,
            })
            .collect(),
        devices: Some(spec.devices.iter().cloned().collect()),
        gpus: Some([].into()),
        groups: spec.groups.iter().map(ToString::to_string).collect(),
        in_force: limits.clone(),
        memory_swap: limits.memory,
        limits,
        restart: spec.restart.clone(),
        stop_timeout_s: Some(spec.stop_timeout_s),
        capabilities: spec.relax.capabilities.iter().cloned().collect(),
        no_new_privileges: true,
        read_only_root: !spec.relax.writable_root,
        user: "10001:10001".into(),
        command: spec.command.clone(),
    }
}

/// One healthy agent with something of everything, and what podman tells of it.
fn looked_into() -> Case {
    let settings = [(
        "A",
        "mounts = [{ volume = \"logs\", target = \"/app/logs\" }]\n\
         relax = { capabilities = { NET_RAW = \"pings\" } }\n\
         env = { TOKEN = \"sesame\" }\nip = \"10.1.0.10\"",
    )];
    let mut case = Case::with("one: A", &settings).deploy();
    let agent = &case.system.agents[0];
    let spec = spec::container(&case.system, agent, &case.world.state);
    case.container("a").observed = Some(Box::new(observed(&spec)));
    case
}

/// The cause of the first step, after `change` to what podman tells.
fn cause_of(change: impl FnOnce(&mut Observed)) -> String {
    let mut case = looked_into();
    change(case.container("a").observed.as_mut().expect("looked into"));
    let plan = case.plan();
    plan.steps
        .first()
        .map_or_else(String::new, |step| step.cause.clone())
}

#[test]
fn a_network_less_is_a_reason_to_replace() {
    let mut case = Case::deployed("one: A");
    case.container("a").networks.clear();
    case.check(
        "0 A: create a-next (was disconnected from network `net`)
         1 A: stop a after [0] (was disconnected from network `net`)
         2 A: rename a to a-previous after [1] (was disconnected from network `net`) else start a
         3 A: rename a-next to a after [2] (was disconnected from network `net`) else rename a-previous to a, start a
         4 A: start a after [3] (was disconnected from network `net`) else remove a, rename a-previous to a, start a
         5 A: wait for 7001 after [4] (was disconnected from network `net`) else stop a, remove a, rename a-previous to a, start a
         6 A: remove a-previous after [5] (its successor is healthy)",
    );
    let case = case.deploy();
    case.check("unchanged: A");
}

#[test]
fn a_network_more_is_one_too() {
    let mut case = Case::deployed("one: A");
    case.container("a").networks.insert("podman".into());
    let plan = case.plan();
    assert_eq!(plan.steps[0].cause, "was connected to network `podman`");
    case.deploy().check("unchanged: A");
}

#[test]
fn networks_of_a_container_without_its_own_do_not_count() {
    let settings = [("one", "network_mode = \"host\"")];
    let mut case = Case::with("one: A", &settings).deploy();
    case.container("a").networks.insert("host".into());
    case.check("unchanged: A");
}

#[test]
fn what_is_as_it_was_made_is_left_alone() {
    looked_into().check("unchanged: A");
    assert_eq!(cause_of(|_| ()), "");
}

#[test]
fn each_setting_that_differs_is_told_with_both_values() {
    type Change = fn(&mut Observed);
    let cases: [(Change, &str); 22] = [
        (
            |is| is.limits.memory = Some(1 << 30),
            "memory limit is 1024 MB, should be 512 MB",
        ),
        (
            |is| is.in_force.memory = Some(100_000_000),
            "memory limit is 95.37 MB, should be 512 MB",
        ),
        (
            |is| is.memory_swap = Some(1 << 30),
            "swap limit is 512 MB, should be 0 MB",
        ),
        (
            |is| is.in_force.cpus = Some(2.5),
            "CPU limit is 2.5, should be 1",
        ),
        (
            |is| is.limits.pids = Some(7),
            "process limit is 7, should be 256",
        ),
        (
            |is| attachment(is).address = Some([10, 1, 0, 99].into()),
            "address in network `net` is 10.1.0.99, should be 10.1.0.10",
        ),
        (
            |is| attachment(is).hardware_address = Some("56:54:7f:bb:00:b1".into()),
            "hardware address in network `net` is 56:54:7f:bb:00:b1, should be 02:42:0a:01:00:0a",
        ),
        (
            |is| attachment(is).aliases = ["0123456789ab".into()].into(),
            "name `a` is not known in network `net`",
        ),
        (|is| is.host_network = true, "uses the host's network"),
        (
            |is| drop(is.publish.pop_last()),
            "published ports are 127.0.0.1:7000:7000, should be 127.0.0.1:7000:7000, 127.0.0.1:7001:7001",
        ),
        (
            |is| drop(is.env.remove("AGENT_NAME")),
            "variable `AGENT_NAME` is missing",
        ),
        (
            |is| drop(is.env.insert("TOKEN".into(), "open".into())),
            "variable `TOKEN` has another value",
        ),
        (|is| is.mounts.clear(), "nothing is mounted at /app/logs"),
        (
            |is| is.mounts[0].source = "/etc".into(),
            "mount at /app/logs is /etc, should be demo-logs",
        ),
        (
            |is| is.mounts[0].read_only = true,
            "mount at /app/logs cannot be written to",
        ),
        (
            |is| is.capabilities.extend(["SYS_ADMIN".into()]),
            "capabilities are NET_RAW, SYS_ADMIN, should be NET_RAW",
        ),
        (|is| is.no_new_privileges = false, "may gain new privileges"),
        (
            |is| is.read_only_root = false,
            "root file system can be written to",
        ),
        (
            |is| is.restart = "always".into(),
            "restart policy is always, should be on-failure:3",
        ),
        (
            |is| is.stop_timeout_s = Some(10),
            "stop timeout is 10 s, should be 5 s",
        ),
        (
            |is| is.command.push("--debug".into()),
            "command is another one",
        ),
        (
            |is| is.gpus = Some(["nvidia.com/gpu=0".into()].into()),
            "GPUs are nvidia.com/gpu=0, should be none",
        ),
    ];
    for (change, words) in cases {
        assert_eq!(cause_of(change), words);
    }
    let both = cause_of(|is| {
        is.limits.pids = Some(7);
        is.restart = "no".into();
    });
    assert_eq!(both, "process limit is 7, should be 256; and 1 more");
}

fn attachment(is: &mut Observed) -> &mut Attachment {
    is.attachments.get_mut("net").expect("attached")
}

#[test]
fn what_is_not_known_is_no_difference() {
    assert_eq!(
        cause_of(|is| {
            let attachment = attachment(is);
            (attachment.address, attachment.hardware_address) = (None, None);
            attachment.aliases.clear();
            is.limits = ResourceLimits::default();
            is.in_force = ResourceLimits::default();
            (is.memory_swap, is.hostname, is.stop_timeout_s) = (None, None, None);
            (is.devices, is.gpus) = (None, None);
        }),
        ""
    );
}

#[test]
fn defaults_of_podman_and_of_the_image_are_no_difference() {
    assert_eq!(
        cause_of(|is| {
            is.env.insert("PATH".into(), "/usr/bin".into());
            is.groups.insert("44".into());
            let target = "/var/cache".into();
            is.mounts.push(ObservedMount {
                target,
                ..ObservedMount::default()
            });
        }),
        ""
    );
}

#[test]
fn devices_of_a_folder_stand_for_it() {
    let settings = [("A", "devices = [{ path = \"/dev/snd\" }]")];
    let mut case = Case::with("one: A", &settings);
    case.world.state.devices.insert("/dev/snd".into(), 29);
    let mut case = case.deploy();
    let agent = &case.system.agents[0];
    let spec = spec::container(&case.system, agent, &case.world.state);
    let mut is = observed(&spec);
    is.devices = Some(["/dev/snd/seq".into()].into());
    case.container("a").observed = Some(Box::new(is.clone()));
    case.check("unchanged: A");
    (is.devices, is.groups) = (Some([].into()), [].into());
    let container = case.container("a");
    container.observed = Some(Box::new(is));
    let texts: Vec<String> = drift::differences(&spec, container)
        .into_iter()
        .map(|found| format!("{}: {found}", found.setting))
        .collect();
    assert_eq!(
        texts,
        [
            "devices: device /dev/snd is missing",
            "groups: group 29 is missing"
        ]
    );
}

#[test]
fn a_file_that_changed_is_the_reason_in_words() {
    let mut case = Case::new("one: A");
    let watch = |case: &mut Case, files: &[(&str, &str)]| {
        let files = files
            .iter()
            .map(|(name, hash)| ((*name).into(), (*hash).into()));
        case.system.agents[0].mounts = vec![crate::system::Mount {
            source: crate::system::MountSource::Host("/srv/config".into()),
            target: "/app/config".into(),
            read_only: true,
            files: files.collect(),
        }];
    };
    let cause = |case: &Case| case.plan().steps.first().map(|step| step.cause.clone());
    watch(&mut case, &[("config/a.yaml", "1"), ("config/b.yaml", "1")]);
    let mut case = case.deploy();
    case.check("unchanged: A");
    let changes: [(&[(&str, &str)], &str); 4] = [
        (
            &[("config/a.yaml", "2"), ("config/b.yaml", "1")],
            "config/a.yaml changed",
        ),
        (&[("config/a.yaml", "1")], "config/b.yaml is gone"),
        (
            &[("config/a.yaml", "3"), ("config/c.yaml", "1")],
            "config/a.yaml changed; and 2 more",
        ),
        // The manifest, then, and no file.
        (&[], "its configuration changed"),
    ];
    for (files, words) in changes {
        watch(&mut case, files);
        assert_eq!(cause(&case).as_deref(), Some(words));
    }
    watch(&mut case, &[("config/a.yaml", "2"), ("config/b.yaml", "1")]);
    let mut case = case.deploy();
    case.check("unchanged: A");
    watch(&mut case, &[("config/a.yaml", "1"), ("config/b.yaml", "1")]);
    case.reconfigure("A", 1024);
    assert_eq!(cause(&case).as_deref(), Some("its configuration changed"));
}
