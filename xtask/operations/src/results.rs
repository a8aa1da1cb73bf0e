//! The results that commands end with: plain data, for those who tell them.
//!
//! Nothing here can reach podman, the host or the code.

pub use model::plan::deployed::Difference;

pub use crate::{
    carry_out::{AgentStatus, Sick},
    doctor::{Cause, Check, Diagnosed, Diagnosis, Root, Verdict},
    host::{
        capacity::{Capacity, amount},
        findings::{HostFinding, HostSeverity},
        gpu::vram::{Budget, HEADROOM_PERCENT, OVERHEAD_MB},
    },
    podman::{
        clock::rfc3339,
        log_file::LogStream,
        pytest::{TestEvent, TestOutcome},
    },
    scan::{AgentScan, Category},
    work::{
        app::Rejection,
        ask::{AgentHealth, Round},
        build_report::{ImageReport, ImageRow},
        deploy::Deployment,
        diagnosis::DoctorReport,
        down::Removal,
        dry_run::Script,
        explain::{
            Cell, EntryTopic, Explanation, FieldRow, FieldTopic, NameGroup, TableTopic, Topic,
        },
        gpu::{GpuReport, Learned},
        history::{AgentInSet, DeploymentRow, History},
        logs::{LogLine, Searched},
        networks::Creation,
        outcome::{Ended, Outcome},
        scan_tree::{Counts, ScanReport, ScannedFile},
        split::{Moved, SplitReport},
        status::{AgentRow, Configuration, ContainerState, Fleet},
        test_results::{News, Subject, TestReport},
        toolchain::HostReport,
        up::{Phase, Preview, Up},
    },
};
