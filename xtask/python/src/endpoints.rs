//! `tcp://` addresses in expressions, as far as they are written down.

use ruff_python_ast::{Expr, FStringPart, InterpolatedStringElement, Operator};

use super::facts::Endpoint;

/// What every address of interest starts with.
pub const SCHEME: &str = "tcp://";

/// Stands where an expression stood.
const HOLE: &str = "{}";

/// The endpoint that an expression spells out, wholly or in part: a string, an
/// f-string, a sum of them with something, or a string that is formatted.
/// `None` for anything else. The line is left to the caller.
pub fn endpoint(expr: &Expr) -> Option<Endpoint> {
    let address = template(expr)?;
    let rest = address.strip_prefix(SCHEME)?;
    if rest.is_empty() || rest.contains(|letter: char| letter.is_whitespace()) {
        return None;
    }
    let (host, port) = host_and_port(rest);
    Some(Endpoint {
        localhost: host.as_deref().is_some_and(is_loopback),
        host,
        port,
        line: 0,
        address,
    })
}

/// Whether the address is one to listen on, whoever uses it.
pub fn is_wildcard(endpoint: &Endpoint) -> bool {
    matches!(endpoint.host.as_deref(), Some("*" | "0.0.0.0" | "::"))
}

fn host_and_port(rest: &str) -> (Option<String>, Option<u16>) {
    let rest = rest.split('/').next().unwrap_or(rest);
    // The last colon that is not inside `[::1]`.
    let after_host = rest.rfind(']').map_or(0, |end| end + 1);
    let colon = rest[after_host..].rfind(':').map(|at| after_host + at);
    let (host, port) = match colon {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let known = !host.is_empty() && !host.contains(HOLE);
    let digits = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.filter(digits).and_then(|port| port.parse().ok());
    (known.then(|| host.to_owned()), port)
}

fn is_loopback(host: &str) -> bool {
    let v4 = host.parse::<std::net::Ipv4Addr>();
    host.eq_ignore_ascii_case("localhost") || host == "::1" || v4.is_ok_and(|ip| ip.is_loopback())
}

/// The text of a string expression with [`HOLE`]s.
fn template(expr: &Expr) -> Option<String> {
    match expr {
        Expr::StringLiteral(literal) => Some(literal.value.to_str().to_owned()),
        Expr::FString(string) => {
            let mut text = String::new();
            for part in string.value.iter() {
                match part {
                    FStringPart::Literal(literal) => text.push_str(literal.as_str()),
                    FStringPart::FString(string) => {
                        for element in &string.elements {
                            match element {
                                InterpolatedStringElement::Literal(literal) => {
                                    text.push_str(&literal.value);
                                }
                                InterpolatedStringElement::Interpolation(_) => text.push_str(HOLE),
                            }
                        }
                    }
                }
            }
            Some(text)
        }
        Expr::BinOp(sum) if sum.op == Operator::Add => {
            let mut text = template(&sum.left)?;
            text.push_str(&template(&sum.right).unwrap_or_else(|| HOLE.to_owned()));
            Some(text)
        }
        Expr::BinOp(format) if format.op == Operator::Mod => {
            let text = template(&format.left)?;
            Some(text.replace("%s", HOLE).replace("%d", HOLE))
        }
        Expr::Call(call) => match &*call.func {
            Expr::Attribute(method) if method.attr.as_str() == "format" => {
                Some(holes(&template(&method.value)?))
            }
            _ => None,
        },
        _ => None,
    }
}

/// `{name}` and `{0:d}` become `{}`.
fn holes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, behind)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push_str(HOLE);
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PythonVersion, facts::FileFacts, parse};

    fn facts(text: &str) -> FileFacts {
        let facts = parse::one("a.py".into(), text.into(), PythonVersion::DEFAULT);
        assert_eq!(facts.error, None, "{text}");
        facts
    }

    fn shown(found: &[Endpoint]) -> Vec<String> {
        let known = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
        let one = |found: &Endpoint| {
            let port = known(found.port.map(|port| port.to_string()));
            let local = if found.localhost { " local" } else { "" };
            let host = known(found.host.clone());
            format!("{} {} {host} {port}{local}", found.line, found.address)
        };
        found.iter().map(one).collect()
    }

    #[test]
    fn sockets_are_told_apart_by_what_is_called() {
        let facts = facts(
            "s.bind('tcp://*:5555')\n\
             self.a.bind(f'tcp://0.0.0.0:{self.port}')\n\
             s.connect('tcp://localhost:5556'); s.connect(addr='tcp://10.0.0.7:1')\n\
             s.connect(f\"tcp://{host}:{port}\")\n\
             s.connect('tcp://127.0.0.1:%d' % port)\n\
             s.connect('tcp://{}:{p:d}'.format(h, p=1))\n\
             s.connect('tcp://' + host + ':7000')\n\
             s.bind_to_random_port('tcp://127.0.0.1')\n\
             s.connect('tcp://[::1]:80/x'); s.connect('tcp://h:99999')\n\
             s.connect(address); s.bind('ipc:///x'); s.bind(('', 80)); s.bind()\n",
        );
        let binds = [
            "1 tcp://*:5555 * 5555",
            "2 tcp://0.0.0.0:{} 0.0.0.0 ?",
            "8 tcp://127.0.0.1 127.0.0.1 ? local",
        ];
        assert_eq!(shown(&facts.binds), binds);
        let peers = [
            "3 tcp://localhost:5556 localhost 5556 local",
            "3 tcp://10.0.0.7:1 10.0.0.7 1",
            "4 tcp://{}:{} ? ?",
            "5 tcp://127.0.0.1:{} 127.0.0.1 ? local",
            "6 tcp://{}:{} ? ?",
            "7 tcp://{}:7000 ? 7000",
            "9 tcp://[::1]:80/x ::1 80 local",
            "9 tcp://h:99999 h ?",
        ];
        assert_eq!(shown(&facts.peers), peers);
    }

    #[test]
    fn addresses_elsewhere_are_peers_unless_one_listens_on_them() {
        let facts = facts(
            "A = 'tcp://localhost:1'\n\
             def f(a='tcp://*:2', *, b=['tcp://x:3']):\n    'tcp://documentation:4'\n\
             g(a, address=f'tcp://{h}:5')\n\
             if a.startswith('tcp://') or a == 'tcp:// not one' or 'see tcp://y:6': pass\n\
             h = f'tcp://{a}:{b}'\n",
        );
        let peers = [
            "1 tcp://localhost:1 localhost 1 local",
            "2 tcp://x:3 x 3",
            "4 tcp://{}:5 ? 5",
        ];
        assert_eq!(shown(&facts.peers), peers);
        assert_eq!(shown(&facts.binds), ["2 tcp://*:2 * 2"]);
    }
}
