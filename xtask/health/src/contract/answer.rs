//! What asking led to, and how long it may take.

use tokio::time::Instant;

use crate::{
    finding::ProbeFinding,
    reply::{ReplyVerdict, complaints, excerpt, judge},
};

/// How long asking may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until a question can be put.
    pub connect_by: Instant,
    /// From then on.
    pub reply_ms: u64,
}

/// What asking led to.
#[derive(Debug)]
pub struct Answer {
    pub finding: ProbeFinding,
    pub reply: Option<String>,
    pub complaints: Vec<(String, String)>,
}

impl Answer {
    /// What a reply amounts to, whatever way it came.
    pub fn of_reply(reply: &[u8]) -> Answer {
        Answer {
            finding: match judge(reply) {
                ReplyVerdict::Healthy => ProbeFinding::Healthy,
                ReplyVerdict::Answering => ProbeFinding::NotJson,
                ReplyVerdict::NotUnderstood => ProbeFinding::NotUnderstood,
                ReplyVerdict::NotReady => ProbeFinding::NotReady,
                ReplyVerdict::Unhealthy => ProbeFinding::NotHealthy,
            },
            reply: Some(excerpt(reply)),
            complaints: complaints(reply),
        }
    }
}

impl From<ProbeFinding> for Answer {
    /// No reply, and why.
    fn from(finding: ProbeFinding) -> Answer {
        Answer {
            finding,
            reply: None,
            complaints: Vec::new(),
        }
    }
}
