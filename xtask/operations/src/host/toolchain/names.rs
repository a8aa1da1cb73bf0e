//! Findings about names and ways out: DNS for containers, forwarding, and
//! firewalls that come between.

use super::super::findings::{HostFinding, HostSeverity};
use crate::podman::caps::Version;

/// Since then netavark is told when its name server cannot start, and fails.
const TELLS: Version = Version::new(5, 3, 0);

/// A program that answers on port 53 of every address leaves none for podman's
/// name server. With podman 4.3.1 containers start all the same and know no
/// names (tried); later ones refuse to. `tables` are those of `/proc/net` for
/// tcp, udp, tcp6 and udp6.
pub fn dns_port(version: Version, tables: &[String]) -> Option<HostFinding> {
    let mut holders = tables.iter().flat_map(|table| table.lines().skip(1));
    let (severity, then) = match version < TELLS {
        true => (
            HostSeverity::Warning,
            "containers then start, but know no names",
        ),
        false => (HostSeverity::Error, "containers then do not start"),
    };
    holders.any(listens_on_53).then(|| {
        HostFinding::new(
            "dns-port",
            severity,
            "something answers on port 53 of all addresses",
            format!("podman's name server, aardvark-dns, needs port 53 of each network's gateway (netavark issue 1470); {then}"),
            "`ss --listening --tcp --udp --processes 'sport = :53'` names it; let it listen on its own address only, or set dns_bind_port in the [network] section of /etc/containers/containers.conf",
        )
    })
}

/// `N: LOCAL:PORT REMOTE:PORT STATE …`, all in hexadecimal. 0A is listening,
/// and 07 is what a UDP socket without a peer has.
fn listens_on_53(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (Some(local), Some(state)) = (fields.get(1), fields.get(3)) else {
        return false;
    };
    let Some((address, port)) = local.split_once(':') else {
        return false;
    };
    let everywhere = !address.is_empty() && address.bytes().all(|byte| byte == b'0');
    everywhere && port == "0035" && matches!(*state, "0A" | "07")
}

/// Without aardvark-dns containers do not know each other's names.
pub fn name_server(installed: bool) -> Option<HostFinding> {
    (!installed).then(|| {
        HostFinding::new(
            "name-server",
            HostSeverity::Warning,
            "aardvark-dns is not installed",
            "agents with fixed addresses reach each other all the same; names of containers mean nothing",
            "install aardvark-dns",
        )
    })
}

/// `resolv` is the text of `/etc/resolv.conf`. A container cannot reach the
/// host's loopback; podman then uses the file of systemd-resolved, or else
/// public servers.
pub fn nameservers(resolv: &str, resolved: &str) -> Option<HostFinding> {
    let servers = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("nameserver"));
        lines
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    };
    let reachable = |server: &String| !server.starts_with("127.") && server != "::1";
    let own = servers(resolv);
    if own.iter().chain(&servers(resolved)).any(reachable) {
        return None;
    }
    let evidence = match own.is_empty() {
        true => "/etc/resolv.conf names none".to_owned(),
        false => format!("/etc/resolv.conf names {} only", own.join(", ")),
    };
    Some(HostFinding::new(
        "nameservers",
        HostSeverity::Warning,
        "containers cannot reach this host's name servers",
        format!("{evidence}; podman gives builds and containers public ones (8.8.8.8) instead"),
        "where these cannot be reached, set dns_servers in the [containers] section of /etc/containers/containers.conf",
    ))
}

/// netavark switches forwarding on, unless it may not write the setting.
pub fn forwarding(setting: Option<u64>, read_only: bool) -> Option<HostFinding> {
    (setting == Some(0) && read_only).then(|| {
        HostFinding::new(
            "ip-forward",
            HostSeverity::Error,
            "IP forwarding is off, and podman cannot switch it on",
            "net.ipv4.ip_forward is 0, and /proc/sys is read-only here",
            "outside, as root: echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/90-ip-forward.conf && sysctl --system",
        )
    })
}

/// firewalld forgets podman's rules when it is reloaded, unless netavark's own
/// service puts them back (netavark 1.9).
pub fn firewalld(processes: &[String]) -> Option<HostFinding> {
    let runs = |name: &str| processes.iter().any(|process| process == name);
    (runs("firewalld") && !runs("netavark")).then(|| {
        HostFinding::new(
            "firewalld",
            HostSeverity::Warning,
            "a reload of firewalld takes away the published ports",
            "firewalld runs, and netavark's service that puts podman's rules back does not",
            "systemctl enable --now netavark-firewalld-reload.service (netavark 1.9 or later), or `podman network reload --all` after each reload",
        )
    })
}

/// `rules` is what `iptables -S FORWARD` prints. Docker leaves the policy DROP
/// behind; rules of netavark in the same chain let containers through, those in
/// a table of nftables do not (podman issue 24486).
pub fn forward_policy(rules: &str) -> Option<HostFinding> {
    let drops = rules.lines().any(|line| line.trim() == "-P FORWARD DROP");
    let lets_through = rules.lines().any(|line| line.contains("NETAVARK_FORWARD"));
    (drops && !lets_through).then(|| {
        HostFinding::new(
            "forward-drop",
            HostSeverity::Warning,
            "packets of containers may be dropped on their way out",
            "the policy of iptables' FORWARD chain is DROP, as Docker sets it, and podman has no rule in it yet",
            "if agents reach nothing: as root, iptables -I FORWARD -s SUBNET -j ACCEPT and iptables -I FORWARD -d SUBNET -j ACCEPT for each subnet of the manifest",
        )
    })
}
