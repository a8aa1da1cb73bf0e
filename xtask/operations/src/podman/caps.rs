//! podman versions and what each lacks. Facts from podman's release notes and
//! tagged sources for 4.3.1, 4.9.3 and 5.4.2.

use serde::{Deserialize, Serialize};

/// A podman version; the order is the release order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

/// Oldest podman that this tool drives: `--network NAME:ip=` came with 4.0,
/// CDI devices with 4.1, `build --secret` of type env and reliable netavark
/// networks are in every 4.3.
pub const OLDEST: Version = Version::new(4, 3, 0);

/// A feature that this tool adapts to, or whose absence users should know.
#[derive(Debug)]
pub struct Feature {
    pub name: &'static str,
    pub since: Version,
    /// What it means when podman is older.
    pub without: &'static str,
}

pub const FEATURES: &[Feature] = &[
    Feature {
        name: "network create --ignore",
        since: Version::new(4, 4, 0),
        without: "networks are listed before they are created; two runs at once need the lock",
    },
    Feature {
        name: "logs --follow --since",
        since: Version::new(4, 4, 0),
        without: "following logs starts at the last lines asked for, not at a point in time",
    },
    Feature {
        name: "SQLite state",
        since: Version::new(4, 8, 0),
        without: "container state is kept in BoltDB; bulk changes are slower",
    },
    Feature {
        name: "rootless networking with pasta",
        since: Version::new(5, 0, 0),
        without: "rootless ports go through slirp4netns and its port proxy",
    },
    Feature {
        name: "--cdi-spec-dir",
        since: Version::new(5, 5, 0),
        without: "CDI specifications are read from /etc/cdi and /var/run/cdi only",
    },
];

/// A defect of some versions that this tool steps around.
#[derive(Debug)]
pub struct Bug {
    pub since: Version,
    /// First version that it is not known of.
    pub until: Version,
    pub what: &'static str,
    /// What this tool does about it.
    pub answer: &'static str,
}

/// The kernel gives a bridge the lowest hardware address of what is plugged in,
/// so that it changes as containers come and go; those that stay go on sending
/// to the old one for 36 s (measured with podman 4.3.1), or for 100 s (netavark
/// pull request 833, which is in netavark 1.9). Ubuntu 24.04 has podman 4.9 with
/// netavark 1.4.
pub const UNSTABLE_BRIDGE: Bug = Bug {
    since: OLDEST,
    until: Version::new(5, 0, 0),
    what: "containers lose the way out for half a minute when another one leaves their network (netavark before 1.9)",
    answer: "builds that download use the host's network, as root",
};

/// Issue 20313: the volumes are locked in an order that differs from process to
/// process, until pull request 20329, which came behind 4.7.
pub const VOLUMES_DEADLOCK: Bug = Bug {
    since: OLDEST,
    until: Version::new(4, 8, 0),
    what: "two creations of containers that share volumes may wait for each other for ever (issue 20313)",
    answer: "such creations come one after the other",
};

/// From podman's issues, whose numbers are given, and this project's own tries.
pub const BUGS: &[Bug] = &[
    UNSTABLE_BRIDGE,
    VOLUMES_DEADLOCK,
    Bug {
        since: OLDEST,
        until: Version::new(4, 4, 0),
        what: "cached layers of builds miss changes in mounted files (buildah 1.28)",
        answer: "images are built without podman's cache of layers",
    },
    Bug {
        since: Version::new(4, 4, 0),
        until: Version::new(5, 5, 0),
        what: "a fixed address may stay `already allocated` after a crash (issues 15708, 25422)",
        answer: "the container is cleaned up and started once more",
    },
    Bug {
        since: Version::new(4, 8, 0),
        until: Version::new(5, 0, 0),
        what: "parallel changes may find the `database is locked` (issue 25886)",
        answer: "few calls at a time, and such a call is made again",
    },
    // Seen with netavark 1.4; the same in the source of later ones, until 2.0,
    // where the driver for iptables is gone.
    Bug {
        since: OLDEST,
        until: Version::new(6, 0, 0),
        what: "with iptables, the last container of an isolated network takes along the rule that keeps the others apart",
        answer: "`down` and tests in a copy have podman set it up again",
    },
];

impl Bug {
    pub fn has(&self, version: Version) -> bool {
        (self.since..self.until).contains(&version)
    }
}

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Version {
            major,
            minor,
            patch,
        }
    }

    /// Reads `podman version 4.3.1`, `5.0.0-rc1` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let mut numbers = word
            .split(['.', '-', '+', '~'])
            .map_while(|part| part.parse::<u32>().ok());
        Some(Version {
            major: numbers.next()?,
            minor: numbers.next()?,
            patch: numbers.next().unwrap_or(0),
        })
    }

    pub fn has(self, feature: &Feature) -> bool {
        self >= feature.since
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        let version = |text| Version::parse(text).unwrap();
        assert_eq!(version("podman version 4.3.1"), Version::new(4, 3, 1));
        assert_eq!(version("5.0.0-rc3"), Version::new(5, 0, 0));
        assert_eq!(version("podman version 5.4"), Version::new(5, 4, 0));
        assert!(version("4.9.3") < version("4.10.0"));
        assert_eq!(Version::parse("no number here"), None);
    }
}
