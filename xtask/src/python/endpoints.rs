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
