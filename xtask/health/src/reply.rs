//! What a health reply means. Pure: bytes in, verdict out.
//!
//! It must not do any IO, and it trusts nothing: a reply may be of any size,
//! depth and encoding, and may hold escape sequences for the user's terminal.
//! Whether a verdict is good enough to let dependants start is decided by the
//! caller.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

/// The longest text that `excerpt` returns, in characters.
pub const EXCERPT_CHARS: usize = 200;

/// Replies above this many bytes are not parsed: a health reply has no use for
/// them, and parsing would hold up the probes of all other agents.
const PARSE_LIMIT_BYTES: usize = 4 << 20;

/// What one reply says about the agent that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyVerdict {
    /// A JSON object with a good `status` and, if it has `ready`, with `true`.
    Healthy,
    /// Something answers, but not in JSON: alive, health unknown.
    Answering,
    /// The agent did not understand the request; another one may fare better.
    NotUnderstood,
    /// `ready` is given and is not `true`.
    NotReady,
    /// JSON that says anything else.
    Unhealthy,
}

/// Judges a reply of one part.
pub fn judge(reply: &[u8]) -> ReplyVerdict {
    match parse(reply) {
        Parsed::Object(fields) => fields.verdict(),
        Parsed::OtherJson => ReplyVerdict::Unhealthy,
        Parsed::NotJson => ReplyVerdict::Answering,
    }
}

/// The part of a multipart reply that carries the message: the first JSON
/// object, since some agents put a topic or an identity in front of it, and
/// otherwise the first part. Empty only if the reply has no parts.
pub fn telling_part<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> &'a [u8] {
    let mut first = None;
    for part in parts {
        if matches!(parse(part), Parsed::Object(_)) {
            return part;
        }
        first.get_or_insert(part);
    }
    first.unwrap_or_default()
}

/// At most `EXCERPT_CHARS` characters of a reply, on one line and safe to show
/// on a terminal: invalid UTF-8, control and direction characters are replaced.
pub fn excerpt(reply: &[u8]) -> String {
    let head = &reply[..reply.len().min(EXCERPT_CHARS * 16)];
    let text = String::from_utf8_lossy(head);
    let mut shown = String::new();
    let mut count = 0;
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control() || is_format(c))
        .filter(|word| !word.is_empty())
    {
        let gap = usize::from(count > 0);
        for c in std::iter::repeat_n(' ', gap).chain(word.chars()) {
            if count == EXCERPT_CHARS {
                shown.pop();
                shown.push('…');
                return shown;
            }
            shown.push(c);
            count += 1;
        }
    }
    shown
}

/// What a reply says went wrong: the fields of its object that tell of a problem
/// and say something, each as text fit for a terminal. Nothing where the reply
/// is no JSON object, or a deeper one than any health reply.
pub fn complaints(reply: &[u8]) -> Vec<(String, String)> {
    if reply.len() > PARSE_LIMIT_BYTES {
        return Vec::new();
    }
    let reply = without_python_numbers(reply.trim_ascii());
    let Ok(Value::Object(fields)) = serde_json::from_slice(&reply) else {
        return Vec::new();
    };
    let telling = |name: &str| {
        COMPLAINT_FIELDS.contains(&name) || name.ends_with("problem") || name.ends_with("_error")
    };
    let mut found: Vec<(String, String)> = fields
        .into_iter()
        .filter(|(name, _)| telling(name))
        .filter_map(|(name, value)| {
            let text = match value {
                Value::Null | Value::Bool(_) | Value::Number(_) => return None,
                Value::String(text) => text,
                other => other.to_string(),
            };
            let text = excerpt(text.as_bytes());
            (!text.is_empty()).then(|| (excerpt(name.as_bytes()), text))
        })
        .collect();
    found.sort();
    found
}

/// Characters that are invisible or turn the direction of a line around.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

enum Parsed {
    Object(Fields),
    OtherJson,
    NotJson,
}

fn parse(reply: &[u8]) -> Parsed {
    if reply.len() > PARSE_LIMIT_BYTES {
        return Parsed::NotJson;
    }
    let reply = reply.trim_ascii();
    let reply = without_python_numbers(reply);
    if reply.first() == Some(&b'{') {
        return match serde_json::from_slice(&reply) {
            Ok(fields) => Parsed::Object(fields),
            Err(_) => Parsed::NotJson,
        };
    }
    match serde_json::from_slice::<IgnoredAny>(&reply) {
        Ok(_) => Parsed::OtherJson,
        Err(_) => Parsed::NotJson,
    }
}

/// Python writes `NaN` and `Infinity` into its JSON, which no other parser
/// takes. A metric that cannot be computed must not make a healthy agent
/// unreadable, so these words, outside strings, become zero.
fn without_python_numbers(json: &[u8]) -> Cow<'_, [u8]> {
    const WORDS: [&[u8]; 2] = [b"NaN", b"Infinity"];
    let mut out = Cow::Borrowed(json);
    let (mut at, mut in_string) = (0, false);
    while at < json.len() {
        match json[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' | b'I' if !in_string => {
                if let Some(word) = WORDS.iter().find(|word| json[at..].starts_with(word)) {
                    let hole = &mut out.to_mut()[at..at + word.len()];
                    hole.fill(b' ');
                    hole[0] = b'0';
                    at += word.len() - 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    out
}

/// The fields of a reply that mean something to us; the last of a repeated
/// field counts, as in Python.
#[derive(Default)]
struct Fields {
    status: Option<Value>,
    ready: Option<Value>,
    /// What the agent says went wrong, in lower case.
    complaint: String,
}

/// Where agents put their error texts.
const COMPLAINT_FIELDS: [&str; 6] = ["error", "message", "reason", "detail", "details", "msg"];

impl Fields {
    fn verdict(&self) -> ReplyVerdict {
        let status = self.status.as_ref().and_then(Value::as_str);
        let status = status.unwrap_or_default().trim().to_ascii_lowercase();
        let ready = self
            .ready
            .as_ref()
            .is_none_or(|ready| *ready == Value::Bool(true));
        match status.as_str() {
            "ok" | "healthy" if ready => ReplyVerdict::Healthy,
            "ok" | "healthy" => ReplyVerdict::NotReady,
            _ if self.is_about_the_request(&status) => ReplyVerdict::NotUnderstood,
            _ if !ready => ReplyVerdict::NotReady,
            _ => ReplyVerdict::Unhealthy,
        }
    }

    /// Whether an error is about what we asked and not about the agent. A wrong
    /// guess costs one more round trip and nothing else.
    fn is_about_the_request(&self, status: &str) -> bool {
        const ERRORS: [&str; 6] = ["error", "fail", "invalid", "unknown", "unsupported", "bad"];
        const FAULTS: [&str; 15] = [
            "invalid",
            "unknown",
            "unsupported",
            "not supported",
            "unrecogni",
            "not recogni",
            "malformed",
            "missing",
            "bad ",
            "no such",
            "not understood",
            "not implemented",
            "decode",
            "parse",
            "expecting value",
        ];
        const SUBJECTS: [&str; 8] = [
            "action",
            "json",
            "request",
            "command",
            "method",
            "message",
            "operation",
            "expecting value",
        ];
        let has = |words: &[&str], text: &str| words.iter().any(|word| text.contains(word));
        let text = format!("{status} {}", self.complaint.replace('_', " "));
        (self.status.is_none() || has(&ERRORS, status))
            && has(&FAULTS, &text)
            && has(&SUBJECTS, &text)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Written by hand for two reasons: a derived struct refuses repeated
        // fields, and everything else is skipped without building values, so
        // that its depth and size do not matter.
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "status" => fields.status = Some(map.next_value()?),
                        "ready" => fields.ready = Some(map.next_value()?),
                        key if COMPLAINT_FIELDS.contains(&key) => {
                            let text = map.next_value::<Value>()?.to_string();
                            let text = text.chars().take(EXCERPT_CHARS).collect::<String>();
                            fields.complaint.push(' ');
                            fields.complaint.push_str(&text.to_lowercase());
                        }
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reply: impl AsRef<[u8]>, expect: ReplyVerdict) {
        let reply = reply.as_ref();
        assert_eq!(judge(reply), expect, "{}", excerpt(reply));
    }

    #[test]
    fn good_replies() {
        for reply in [
            r#"{"status": "ok"}"#,
            r#"{"status": "HEALTHY", "uptime": 3.5}"#,
            r#" {"status":" Ok ","ready":true} "#,
            r#"{"status": "error", "status": "ok"}"#,
            r#"{"status": "ok", "error": "unknown action", "message": null}"#,
            r#"{"status": "ok", "cpu": NaN, "low": -Infinity, "name": "a\"NaN"}"#,
        ] {
            check(reply, ReplyVerdict::Healthy);
        }
    }

    #[test]
    fn replies_that_are_not_json() {
        for reply in [
            "",
            "ok",
            "healthy",
            "pong\n",
            "{",
            "{\"status\": \"ok\"",
            "{'status': 'ok'}",
        ] {
            check(reply, ReplyVerdict::Answering);
        }
        check(b"\xff\xfe\x00", ReplyVerdict::Answering);
        check(b"{\"sta\xfftus\": \"ok\"}", ReplyVerdict::Answering);
    }

    #[test]
    fn replies_that_refuse_the_request() {
        for reply in [
            r#"{"status": "error", "error": "Invalid JSON"}"#,
            r#"{"status": "error", "message": "Unknown action: health_check"}"#,
            r#"{"status": "error", "message": "Expecting value: line 1 column 1 (char 0)"}"#,
            r#"{"error": "unsupported request type"}"#,
            r#"{"success": false, "error": {"code": 400, "message": "Malformed message"}}"#,
            r#"{"status": "ERROR", "reason": "Missing 'action' field"}"#,
            r#"{"status": "invalid_request"}"#,
            r#"{"status": "unknown_action", "ready": false}"#,
        ] {
            check(reply, ReplyVerdict::NotUnderstood);
        }
    }

    #[test]
    fn replies_of_agents_that_are_not_well() {
        for reply in [
            r#"{"status": "error", "error": "database is locked"}"#,
            r#"{"status": "degraded", "message": "invalid json in the cache"}"#,
            r#"{"status": "unhealthy"}"#,
            r#"{"status": true}"#,
            r#"{"status": 200}"#,
            r#"{"state": "ok"}"#,
            "{}",
            "[]",
            "null",
            "1",
            "\"ok\"",
        ] {
            check(reply, ReplyVerdict::Unhealthy);
        }
        for reply in [
            r#"{"status": "ok", "ready": false}"#,
            r#"{"status": "ok", "ready": null}"#,
            r#"{"status": "ok", "ready": "true"}"#,
            r#"{"status": "starting", "ready": false}"#,
            r#"{"ready": false}"#,
        ] {
            check(reply, ReplyVerdict::NotReady);
        }
    }

    #[test]
    fn depth_and_size_do_no_harm() {
        let deep = "[".repeat(1_000_000);
        check(&deep, ReplyVerdict::Answering);
        let closed = format!("{deep}{}", "]".repeat(1_000_000));
        check(&closed, ReplyVerdict::Unhealthy);
        check(
            format!(r#"{{"tree": {closed}, "status": "ok"}}"#),
            ReplyVerdict::Healthy,
        );
        check(
            format!(r#"{{"status": {closed}}}"#),
            ReplyVerdict::Answering,
        );
        check(vec![b'a'; PARSE_LIMIT_BYTES * 2], ReplyVerdict::Answering);
    }

    #[test]
    fn multipart_replies_are_judged_by_their_object() {
        let object: &[u8] = br#"{"status": "ok"}"#;
        assert_eq!(telling_part([b"topic".as_slice(), b"1", object]), object);
        assert_eq!(telling_part([b"pong".as_slice(), b"x"]), b"pong");
        assert_eq!(telling_part([]), b"");
    }

    #[test]
    fn complaints_are_the_fields_that_tell_of_a_problem() {
        let reply = br#"{"status": "ok", "model_problem": "no model", "model_loaded": null,
            "error": null, "load_error": 3, "detail": {"a": NaN}, "problem": "  "}"#;
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(
            complaints(reply),
            [
                pair("detail", r#"{"a":0}"#),
                pair("model_problem", "no model")
            ]
        );
        assert!(complaints(b"no JSON").is_empty());
        assert!(complaints("[".repeat(100_000).as_bytes()).is_empty());
    }

    #[test]
    fn excerpts_are_short_and_harmless() {
        assert_eq!(
            excerpt(b"  two\r\n\twords \x1b[31mred\x07 "),
            "two words [31mred"
        );
        assert_eq!(excerpt("a\u{202e}b\u{9b}c".as_bytes()), "a b c");
        assert_eq!(excerpt(b"\xff!"), "\u{fffd}!");
        assert_eq!(excerpt(b""), "");
        let exact = "é".repeat(EXCERPT_CHARS);
        assert_eq!(excerpt(exact.as_bytes()), exact);
        let long = excerpt("é".repeat(100_000).as_bytes());
        assert_eq!(long.chars().count(), EXCERPT_CHARS);
        assert!(long.ends_with('…'));
    }
}
