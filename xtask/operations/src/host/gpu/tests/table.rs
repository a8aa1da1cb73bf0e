//! The situation behind each finding, as a change of a healthy host.

use super::host::{Host, gpu};
use crate::{
    host::{findings::HostSeverity, gpu::smi::Asked},
    podman::caps::Version,
};

/// Makes one thing about a healthy host different.
pub type Change = fn(&mut Host);

/// A finding, its severity, what makes it appear, and words of its evidence.
pub const TABLE: &[(&str, HostSeverity, Change, &str)] = {
    use HostSeverity::{Error, Info, Ok, Warning};
    &[
        ("gpu-none", Info, |host| host.without_gpu(), "no nvidia-smi"),
        (
            "gpu-none",
            Error,
            |host| {
                host.without_gpu();
                host.require = true;
            },
            "none on the PCI bus",
        ),
        (
            "gpu-none",
            Info,
            |host| {
                host.without_gpu();
                host.answers.smi = Asked::TimedOut {
                    deadline_ms: 10_000,
                };
            },
            "10 s",
        ),
        ("gpu-driver", Ok, |_| {}, "/proc/driver/nvidia/version"),
        (
            "gpu-driver-missing",
            Error,
            |host| {
                host.remove("proc/driver");
                host.answers.smi = Asked::NotInstalled;
            },
            "PCI 0000:01:00.0",
        ),
        (
            "gpu-driver-mismatch",
            Error,
            |host| {
                host.answers.smi = Asked::Failed(
                    "exit code 18: Failed to initialize NVML: Driver/library version mismatch"
                        .into(),
                )
            },
            "kernel 550.90.07",
        ),
        (
            "gpu-driver-old",
            Error,
            |host| {
                host.driver("470.256.02");
                host.cuda = Some((12, 6));
            },
            "525.60.13",
        ),
        (
            "gpu-driver-565",
            Warning,
            |host| {
                host.driver("565.57.01");
                host.remove("etc/cdi/nvidia.yaml");
            },
            "1517",
        ),
        (
            "gpu-smi-missing",
            Warning,
            |host| host.answers.smi = Asked::NotInstalled,
            "memory",
        ),
        (
            "gpu-smi-hangs",
            Error,
            |host| {
                host.answers.smi = Asked::TimedOut {
                    deadline_ms: 10_000,
                }
            },
            "10 s",
        ),
        (
            "gpu-smi-failed",
            Error,
            |host| host.answers.smi = Asked::Failed("exit code 9: couldn't communicate".into()),
            "couldn't communicate",
        ),
        (
            "gpu-smi-failed",
            Error,
            |host| host.answers.smi = Asked::Garbage("usage".into()),
            "usage",
        ),
        (
            "gpu-smi-failed",
            Error,
            |host| host.answers.smi = Asked::Answered(Vec::new()),
            "No devices",
        ),
        ("gpu-found", Ok, |_| {}, "24564 MB in all"),
        (
            "gpu-compute-mode",
            Error,
            |host| host.each_gpu(|gpu| gpu.compute_mode = Some("Prohibited".into())),
            "Prohibited",
        ),
        (
            "gpu-compute-mode",
            Error,
            |host| {
                host.agents(&["gpu_device = 0", "gpu_device = 0"]);
                host.each_gpu(|gpu| gpu.compute_mode = Some("Exclusive_Process".into()));
            },
            "A, B",
        ),
        (
            "gpu-mig",
            Error,
            |host| host.each_gpu(|gpu| gpu.mig = Some(true)),
            "list no slice",
        ),
        (
            "gpu-mig",
            Error,
            |host| host.edit_spec("name: \"1\"", "name: \"0:1\""),
            "0:1",
        ),
        (
            "gpu-mig",
            Info,
            |host| {
                host.edit_spec("name: \"1\"", "name: \"0:1\"");
                host.each_gpu(|gpu| gpu.mig = Some(true));
            },
            "slices 0:1",
        ),
        (
            "gpu-nodes",
            Error,
            |host| host.remove("dev/nvidiactl"),
            "/dev/nvidia0, /dev/nvidia1",
        ),
        (
            "gpu-uvm",
            Error,
            |host| {
                host.remove("dev/nvidia-uvm");
                host.edit("proc/devices", "508 nvidia-uvm\n", "");
            },
            "not loaded",
        ),
        (
            "gpu-uvm",
            Error,
            |host| host.remove("dev/nvidia-uvm"),
            "major 508",
        ),
        ("gpu-toolkit", Ok, |_| {}, "nvidia-ctk"),
        (
            "gpu-toolkit-missing",
            Warning,
            |host| host.answers.toolkit = Asked::NotInstalled,
            "PATH",
        ),
        (
            "gpu-toolkit-missing",
            Error,
            |host| {
                host.remove("etc/cdi/nvidia.yaml");
                host.answers.toolkit = Asked::NotInstalled;
            },
            "PATH",
        ),
        (
            "gpu-toolkit-hangs",
            Warning,
            |host| {
                host.answers.toolkit = Asked::TimedOut {
                    deadline_ms: 10_000,
                }
            },
            "10 s",
        ),
        (
            "gpu-toolkit-failed",
            Warning,
            |host| host.answers.toolkit = Asked::Failed("exit code 1: no".into()),
            "no",
        ),
        ("gpu-spec", Ok, |_| {}, "/etc/cdi/nvidia.yaml"),
        (
            "gpu-spec-missing",
            Error,
            |host| host.remove("etc/cdi/nvidia.yaml"),
            "unresolvable CDI devices",
        ),
        (
            "gpu-spec-unreadable",
            Error,
            |host| {
                host.remove("etc/cdi/nvidia.yaml");
                host.link("etc/cdi/nvidia.yaml", "/no/such/file");
            },
            "No such file",
        ),
        (
            "gpu-spec-malformed",
            Error,
            |host| host.edit_spec("kind: ", "kind; "),
            "line ",
        ),
        (
            "gpu-spec-version",
            Error,
            |host| host.edit_spec("cdiVersion: 0.5.0", "cdiVersion: 0.6.0"),
            "0.5.0 and earlier",
        ),
        (
            "gpu-spec-version",
            Error,
            |host| host.edit_spec("cdiVersion: 0.5.0", "cdiVersion: 0.4.0"),
            "came with 0.5.0",
        ),
        (
            "gpu-spec-version",
            Error,
            |host| host.edit_spec("cdiVersion: 0.5.0", "cdiVersion: next"),
            "next",
        ),
        (
            "gpu-spec-stale",
            Error,
            |host| host.driver("550.99.01"),
            "libraries of 550.90.07; loaded is 550.99.01",
        ),
        (
            "gpu-spec-path-gone",
            Error,
            |host| host.remove("usr/lib/libcuda.so.550.90.07"),
            "libcuda.so.550.90.07",
        ),
        (
            "gpu-spec-path-gone",
            Error,
            |host| host.edit_spec("/dev/nvidia1", "/dev/nvidia7"),
            "/dev/nvidia7",
        ),
        (
            "gpu-spec-device-major",
            Error,
            |host| host.edit_spec("major: 1, minor: 3", "major: 511, minor: 3"),
            "511:3 in it and 1:3 here",
        ),
        (
            "gpu-spec-conflict",
            Error,
            |host| host.copy_spec("etc/cdi/other.yaml"),
            "other.yaml",
        ),
        (
            "gpu-spec-shadowed",
            Info,
            |host| host.copy_spec("var/run/cdi/nvidia.yaml"),
            "/var/run/cdi/nvidia.yaml",
        ),
        (
            "gpu-spec-elsewhere",
            Warning,
            |host| host.copy_spec("usr/share/cdi/nvidia.yaml"),
            "/usr/share/cdi/nvidia.yaml",
        ),
        (
            "gpu-spec-elsewhere",
            Warning,
            |host| host.copy_spec("etc/cdi/nvidia.yml"),
            "/etc/cdi/nvidia.yml",
        ),
        (
            "gpu-spec-incomplete",
            Warning,
            |host| host.add_gpu(gpu(2)),
            "GPU-2",
        ),
        ("gpu-podman", Info, |_| {}, "--device"),
        (
            "gpu-podman",
            Error,
            |host| host.podman.version = Version::new(4, 0, 0),
            "no such file",
        ),
        (
            "gpu-access",
            Error,
            |host| host.closed("/dev/nvidia0"),
            "mode 0660",
        ),
        (
            "gpu-access",
            Error,
            |host| {
                host.podman.rootless = true;
                host.closed("/dev/nvidia-uvm");
            },
            "Insufficient Permissions",
        ),
        (
            "gpu-selinux",
            Warning,
            |host| {
                host.write("sys/fs/selinux/enforce", "1");
                host.write("sys/fs/selinux/booleans/container_use_devices", "0 0");
            },
            "is off",
        ),
        (
            "gpu-legacy-hook",
            Warning,
            |host| {
                host.write(
                    "usr/share/containers/oci/hooks.d/oci-nvidia-hook.json",
                    "{\"path\": \"/usr/bin/nvidia-container-toolkit\"}",
                )
            },
            "oci-nvidia-hook.json",
        ),
        (
            "gpu-no-cgroups",
            Error,
            |host| {
                host.podman.rootless = true;
                host.write("etc/containers/oci/hooks.d/n.json", "nvidia");
                host.write(
                    "etc/nvidia-container-runtime/config.toml",
                    "#no-cgroups = true\n",
                );
            },
            "not true",
        ),
        (
            "gpu-char-links",
            Warning,
            |host| {
                host.podman.runtime = "runc".into();
                host.remove("dev/char");
            },
            "/dev/nvidia0",
        ),
        (
            "gpu-too-few",
            Error,
            |host| host.agents(&["gpu_count = 3"]),
            "0, 1",
        ),
        (
            "gpu-device-unknown",
            Error,
            |host| host.agents(&["gpu_device = 3"]),
            "0, 1, all",
        ),
        (
            "gpu-device-unknown",
            Error,
            |host| host.agents(&["gpu_device = \"GPU-deadbeef\""]),
            "0, 1, all",
        ),
        (
            "gpu-shared",
            Info,
            |host| host.agents(&["gpu_count = 2", "gpu_count = 1"]),
            "shared by A, B",
        ),
        (
            "gpu-memory",
            Ok,
            |host| host.agents(&["gpu_count = 1\nvram_mb = 4000"]),
            "4600 MB needed (A 4000",
        ),
        (
            "gpu-memory",
            Warning,
            |host| host.agents(&["gpu_count = 1\nvram_mb = 24000"]),
            "24600 MB needed",
        ),
    ]
};
