//! Who listens where, from the kernel's tables in `/proc`.
//!
//! No container is entered for this: the tables of a network namespace can be
//! read through any process in it.

use std::{collections::BTreeSet, fs, path::Path};

use serde::Serialize;

/// State of a listening socket in `/proc/net/tcp` (`TCP_LISTEN`).
const LISTEN: &str = "0A";

/// A TCP port with a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Listener {
    pub port: u16,
    /// Every listener of the port takes connections from its own network
    /// namespace alone, so that nothing from outside gets through.
    pub loopback: bool,
}

/// TCP ports with a listener in the network namespace of `pid`, sorted;
/// `None` when the tables cannot be read (another host, another user).
pub fn listening(pid: u32) -> Option<Vec<u16>> {
    let listeners = listeners(pid)?;
    Some(listeners.into_iter().map(|found| found.port).collect())
}

/// The same, and from where each port can be reached.
pub fn listeners(pid: u32) -> Option<Vec<Listener>> {
    let folder = format!("/proc/{pid}/net");
    let found = sockets(Path::new(&folder))?;
    let ports: BTreeSet<u16> = found.iter().map(|socket| socket.port).collect();
    let listener = |port: u16| Listener {
        port,
        loopback: found
            .iter()
            .filter(|socket| socket.port == port)
            .all(|socket| socket.loopback),
    };
    Some(ports.into_iter().map(listener).collect())
}

/// Name and id of the process that listens on a TCP port of this host.
pub fn owner(port: u16) -> Option<(String, u32)> {
    let inode = sockets(Path::new("/proc/net"))?
        .into_iter()
        .find(|socket| socket.port == port)?
        .inode;
    let wanted = format!("socket:[{inode}]");
    let pids = fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.into_iter()
        .find(|pid| holds(*pid, &wanted))
        .map(|pid| (process_name(pid), pid))
}

struct Socket {
    port: u16,
    loopback: bool,
    inode: u64,
}

fn sockets(net: &Path) -> Option<Vec<Socket>> {
    let four = fs::read_to_string(net.join("tcp")).ok()?;
    // A kernel without IPv6 has no tcp6.
    let six = fs::read_to_string(net.join("tcp6")).unwrap_or_default();
    Some(four.lines().chain(six.lines()).filter_map(socket).collect())
}

/// `  0: 0100007F:1F90 00000000:0000 0A … uid timeout inode …`, see proc(5).
fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (address, port) = fields.get(1)?.rsplit_once(':')?;
    Some(Socket {
        loopback: is_loopback(address),
        port: u16::from_str_radix(port, 16).ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// 127.0.0.0/8 as it is, and in the IPv6 form that listeners of both kinds have;
/// `::1`. The kernel prints words of four bytes in the order of the machine.
fn is_loopback(address: &str) -> bool {
    let words = address.as_bytes().chunks(8);
    let words: Option<Vec<u32>> = words
        .map(|word| {
            let digits = std::str::from_utf8(word)
                .ok()
                .filter(|word| word.len() == 8)?;
            u32::from_str_radix(digits, 16).ok()
        })
        .collect();
    let first_byte = |word: u32| word.to_ne_bytes()[0];
    match words.as_deref() {
        Some([four]) => first_byte(*four) == 127,
        Some([0, 0, 0, last]) => *last == u32::from_ne_bytes([0, 0, 0, 1]),
        Some([0, 0, mapped, last]) => {
            mapped.to_ne_bytes() == [0, 0, 0xff, 0xff] && first_byte(*last) == 127
        }
        _ => false,
    }
}

fn holds(pid: u32, socket: &str) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|entries| {
        entries
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .any(|target| target.as_os_str() == socket)
    })
}

fn process_name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_our_own_listener() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listening(std::process::id()).unwrap().contains(&port));
        assert_eq!(owner(port).unwrap().1, std::process::id());
        drop(listener);
        assert!(!listening(std::process::id()).unwrap().contains(&port));
    }

    #[test]
    fn loopback_is_told_from_all_addresses() {
        let own = std::process::id();
        let one = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let all = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let found = listeners(own).unwrap();
        for (listener, loopback) in [(one, true), (all, false)] {
            let port = listener.local_addr().unwrap().port();
            assert!(found.contains(&Listener { port, loopback }), "{found:?}");
        }
        if cfg!(target_endian = "little") {
            assert!(is_loopback("00000000000000000000000001000000"));
            assert!(is_loopback("0000000000000000FFFF00000100007F"));
            assert!(!is_loopback("00000000000000000000000000000000"));
            assert!(!is_loopback("0000000000000000FFFF00000101A8C0"));
        }
        assert!(!is_loopback("7F"));
    }

    #[test]
    fn strange_lines_are_passed_over() {
        assert!(socket("  sl  local_address rem_address   st").is_none());
        assert!(socket("0: 0100007F:ZZZZ 0:0 0A").is_none());
    }
}
