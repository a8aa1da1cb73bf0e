//! Arithmetic on IPv4 networks: reading CIDR text, and which addresses of a
//! network may be given to a container.
//!
//! Reports nothing itself; `check` turns the answers into problems.

use std::net::Ipv4Addr;

use serde::Serialize;

/// Networks hold a gateway, a broadcast address and at least one agent, and
/// none is larger than a private class A network.
const PREFIXES: std::ops::RangeInclusive<u8> = 8..=30;

/// An IPv4 network in CIDR form; `base` has no host bits set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    pub base: Ipv4Addr,
    pub prefix: u8,
}

impl Subnet {
    /// Whether `address` belongs to the network, its edges included.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask() == u32::from(self.base)
    }

    /// Whether any address belongs to both.
    pub fn overlaps(&self, other: &Subnet) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }

    /// Broadcast address: the last of the subnet.
    pub fn last(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) | !self.mask())
    }

    /// The bits that all addresses share.
    pub fn mask(&self) -> u32 {
        u32::MAX
            .checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(0)
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.base, self.prefix)
    }
}

impl Serialize for Subnet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is not a usable network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubnetError {
    /// Not `A.B.C.D/PREFIX`.
    Syntax,
    /// A prefix shorter than 8 or longer than 30.
    Size,
    /// Bits behind the prefix are set; the network that was probably meant.
    HostBits(Subnet),
}

/// Why an address cannot be a container's fixed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    Outside,
    Network,
    Gateway,
    Broadcast,
}

impl std::str::FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let (base, prefix) = text.split_once('/').ok_or(SubnetError::Syntax)?;
        let base: Ipv4Addr = base.parse().map_err(|_| SubnetError::Syntax)?;
        // `parse` would take `+8` and `08`, which podman refuses.
        let plain = prefix.bytes().all(|digit| digit.is_ascii_digit())
            && (prefix == "0" || !prefix.starts_with('0'));
        let prefix: u8 = match prefix.parse() {
            Ok(prefix) if plain && prefix <= 32 => prefix,
            _ => return Err(SubnetError::Syntax),
        };
        if !PREFIXES.contains(&prefix) {
            return Err(SubnetError::Size);
        }
        let subnet = Subnet { base, prefix };
        let aligned = Subnet {
            base: Ipv4Addr::from(u32::from(base) & subnet.mask()),
            prefix,
        };
        if aligned != subnet {
            return Err(SubnetError::HostBits(aligned));
        }
        Ok(subnet)
    }
}

impl Subnet {
    /// First host address: podman gives it to the bridge itself.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.base) | 1)
    }

    /// Whether all of `other` lies inside.
    pub fn includes(&self, other: &Subnet) -> bool {
        other.prefix >= self.prefix && self.contains(other.base)
    }

    /// Why `address` cannot be given to a container, if it cannot.
    pub fn reserved(&self, address: Ipv4Addr) -> Option<Reserved> {
        if !self.contains(address) {
            Some(Reserved::Outside)
        } else if address == self.base {
            Some(Reserved::Network)
        } else if address == self.gateway() {
            Some(Reserved::Gateway)
        } else if address == self.last() {
            Some(Reserved::Broadcast)
        } else {
            None
        }
    }

    /// The address on `backbone` that belongs to `address` in this network:
    /// the same host part, moved by `offset`. `None` past the end of IPv4.
    pub fn project(&self, address: Ipv4Addr, backbone: &Subnet, offset: u32) -> Option<Ipv4Addr> {
        let host = u32::from(address).checked_sub(u32::from(self.base))?;
        let moved = u32::from(backbone.base)
            .checked_add(offset)?
            .checked_add(host)?;
        Some(Ipv4Addr::from(moved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Subnet {
        text.parse().expect("a good network")
    }

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().expect("a good address")
    }

    #[test]
    fn texts_that_are_no_networks() {
        for text in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/08",
        ] {
            assert_eq!(text.parse::<Subnet>(), Err(SubnetError::Syntax), "{text}");
        }
        for text in [
            "fd00::/64",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.256/8",
            " 10.0.0.0/8",
        ] {
            assert_eq!(text.parse::<Subnet>(), Err(SubnetError::Syntax), "{text}");
        }
        for text in ["0.0.0.0/0", "10.0.0.0/7", "10.0.0.0/31", "10.0.0.0/32"] {
            assert_eq!(text.parse::<Subnet>(), Err(SubnetError::Size), "{text}");
        }
        let meant = SubnetError::HostBits(net("172.20.0.0/16"));
        assert_eq!("172.20.1.0/16".parse::<Subnet>(), Err(meant));
    }

    #[test]
    fn edges_of_a_network() {
        let small = net("10.1.2.8/30");
        assert_eq!(small.to_string(), "10.1.2.8/30");
        assert_eq!(small.gateway(), ip("10.1.2.9"));
        assert_eq!(small.last(), ip("10.1.2.11"));
        assert_eq!(small.reserved(ip("10.1.2.8")), Some(Reserved::Network));
        assert_eq!(small.reserved(ip("10.1.2.9")), Some(Reserved::Gateway));
        assert_eq!(small.reserved(ip("10.1.2.10")), None);
        assert_eq!(small.reserved(ip("10.1.2.11")), Some(Reserved::Broadcast));
        assert_eq!(small.reserved(ip("10.1.2.12")), Some(Reserved::Outside));
        assert_eq!(net("255.255.255.252/30").last(), ip("255.255.255.255"));
    }

    #[test]
    fn inside_and_overlap() {
        let wide = net("172.20.0.0/16");
        let narrow = net("172.20.128.0/17");
        assert!(wide.includes(&narrow) && !narrow.includes(&wide) && wide.includes(&wide));
        assert!(wide.overlaps(&narrow) && narrow.overlaps(&wide));
        assert!(!net("172.20.0.0/17").overlaps(&narrow));
        assert!(!wide.overlaps(&net("172.21.0.0/16")));
    }

    #[test]
    fn projection_onto_the_backbone() {
        let group = net("172.21.0.0/16");
        let backbone = net("172.20.0.0/16");
        let project = |address, offset| group.project(ip(address), &backbone, offset);
        assert_eq!(project("172.21.0.10", 256), Some(ip("172.20.1.10")));
        assert_eq!(project("172.21.1.10", 768), Some(ip("172.20.4.10")));
        assert_eq!(
            project("172.20.255.255", 0),
            None,
            "below the group's network"
        );
        assert_eq!(project("172.21.0.10", u32::MAX), None);
    }
}
