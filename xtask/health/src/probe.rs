//! One question to one agent, and to many at once.
//!
//! Invariant: every await stands under a deadline, and nothing outlives it: a
//! socket that is given up is dropped, which closes its connection. Three
//! habits of the zeromq crate ask for that: `connect` retries a refused port
//! for ever and without a word, a socket whose request was abandoned refuses
//! the next one, and it never reconnects. Hence a plain TCP connection first,
//! to tell refused from silent, and a new socket for every request.

use std::{error::Error, future::Future, io, iter, net::SocketAddr, time::Duration};

use serde::Serialize;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use zeromq::{ReqSocket, Socket, SocketOptions, SocketRecv, SocketSend, ZmqError, ZmqMessage};

use super::{
    contract::{Verdict, complaints, excerpt, judge, telling_part},
    finding::{Outcome, ProbeFinding},
};

/// Where one agent answers, and what it is asked.
#[derive(Debug, Clone)]
pub struct Target {
    /// The health port, as published on the host's loopback address.
    pub address: SocketAddr,
    /// Tried in order until one is understood; at least one.
    pub requests: Vec<String>,
}

/// How long one probe may take; `connect_ms + reply_ms` is never exceeded.
#[derive(Debug, Clone, Copy)]
pub struct ProbeBudget {
    /// For the TCP connection and the first ZeroMQ handshake together.
    pub connect_ms: u64,
    /// From then on, for all requests together.
    pub reply_ms: u64,
}

/// What one probe found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probe {
    /// What the finding amounts to.
    pub outcome: Outcome,
    /// In JSON its words, as the reason for the outcome.
    #[serde(rename = "reason")]
    pub finding: ProbeFinding,
    /// From the first connection to the outcome.
    pub latency_ms: f64,
    /// The start of the reply, on one line and safe to print; none if no reply
    /// came.
    pub reply: Option<String>,
    /// The fields of the reply that say what is wrong, and their texts.
    #[serde(skip)]
    pub complaints: Vec<(String, String)>,
}

impl Probe {
    /// A probe that got no reply.
    pub fn without_reply(finding: ProbeFinding, latency: Duration) -> Probe {
        Answer::from(finding).probe(latency)
    }
}

/// Asks one agent, within the budget.
pub async fn probe(target: &Target, budget: ProbeBudget) -> Probe {
    let started = Instant::now();
    let answer = ask_all(target, budget).await;
    answer.probe(started.elapsed())
}

/// Asks all agents at once and returns their probes in the same order. Takes no
/// longer than one probe's budget for every `MAX_IN_FLIGHT` targets. Once
/// `cancelled` says so, what is unfinished is abandoned and reported as a
/// timeout, as interrupted.
///
/// # Errors
/// If the host has no file descriptors left for a runtime.
pub fn probe_all(
    targets: &[Target],
    budget: ProbeBudget,
    cancelled: impl Fn() -> bool,
) -> io::Result<Vec<Probe>> {
    block_on(async {
        let mut probes: Vec<Option<Probe>> = iter::repeat_n(None, targets.len()).collect();
        let mut waiting = targets.iter().cloned().enumerate();
        let mut in_flight = JoinSet::new();
        let missing = loop {
            if cancelled() {
                break ProbeFinding::Interrupted;
            }
            let free = MAX_IN_FLIGHT - in_flight.len();
            for (index, target) in waiting.by_ref().take(free) {
                in_flight.spawn(async move { (index, probe(&target, budget).await) });
            }
            match timeout(CANCEL_POLL, in_flight.join_next()).await {
                Ok(Some(Ok((index, probe)))) => probes[index] = Some(probe),
                Ok(None) => break ProbeFinding::NotZeroMq,
                // A panic while reading one agent's bytes must not hide what
                // the others said; its place stays empty.
                Ok(Some(Err(_))) | Err(_) => {}
            }
        };
        let missing = || Probe::without_reply(missing, Duration::ZERO);
        probes
            .into_iter()
            .map(|probe| probe.unwrap_or_else(missing))
            .collect()
    })
}

/// How many probes `probe_all` runs at once: with two descriptors each, well
/// below the usual limit of 1024.
const MAX_IN_FLIGHT: usize = 256;

/// How late a cancellation may be noticed.
pub(super) const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Runs a future of this room on the calling thread. The runtime and all that
/// is left on it end with the call.
///
/// # Errors
/// If the host has no file descriptors left for a runtime.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    Ok(runtime.block_on(future))
}

/// A probe before its time is known.
#[derive(Debug)]
struct Answer {
    finding: ProbeFinding,
    reply: Option<String>,
    complaints: Vec<(String, String)>,
}

impl From<ProbeFinding> for Answer {
    fn from(finding: ProbeFinding) -> Answer {
        Answer {
            finding,
            reply: None,
            complaints: Vec::new(),
        }
    }
}

impl Answer {
    fn probe(self, latency: Duration) -> Probe {
        Probe {
            outcome: self.finding.outcome(),
            finding: self.finding,
            latency_ms: latency.as_secs_f64() * 1e3,
            reply: self.reply,
            complaints: self.complaints,
        }
    }
}

/// Goes through the requests until one is understood. If none is, the first
/// answer tells most, for the first request is the one that agents should know.
async fn ask_all(target: &Target, budget: ProbeBudget) -> Answer {
    let connect_by = Instant::now() + Duration::from_millis(budget.connect_ms);
    if let Err(finding) = knock(target.address, connect_by).await {
        return finding.into();
    }
    let mut deadlines = Deadlines {
        connect_by,
        reply_by: None,
        reply_ms: budget.reply_ms,
    };
    let mut refusal = None;
    for request in &target.requests {
        match ask(target.address, request, &mut deadlines).await {
            Ok(answer) if answer.finding == ProbeFinding::NotUnderstood => {
                refusal = refusal.or(Some(answer));
            }
            Ok(answer) => return answer,
            Err(finding) => return refusal.unwrap_or(finding.into()),
        }
    }
    refusal.unwrap_or(ProbeFinding::NotReplySocket.into())
}

struct Deadlines {
    connect_by: Instant,
    /// Set by the first handshake; bounds later handshakes, too.
    reply_by: Option<Instant>,
    reply_ms: u64,
}

/// Connects and closes again.
async fn knock(address: SocketAddr, by: Instant) -> Result<(), ProbeFinding> {
    match timeout_at(by, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(match error.kind() {
            io::ErrorKind::ConnectionRefused => ProbeFinding::Refused,
            io::ErrorKind::TimedOut => ProbeFinding::NoConnection,
            _ => ProbeFinding::Unreachable,
        }),
        Err(_) => Err(ProbeFinding::NoConnection),
    }
}

/// One request on a socket of its own. The error is why there is no reply.
async fn ask(
    address: SocketAddr,
    request: &str,
    deadlines: &mut Deadlines,
) -> Result<Answer, ProbeFinding> {
    // The crate's own limit of 30 s would only blur ours.
    let mut options = SocketOptions::default();
    options.no_connect_timeout();
    let mut socket = ReqSocket::with_options(options);

    let connect_by = deadlines.reply_by.unwrap_or(deadlines.connect_by);
    timeout_at(connect_by, socket.connect(&format!("tcp://{address}")))
        .await
        .map_err(|_| ProbeFinding::NoHandshake)?
        .map_err(|error| failed_handshake(&error))?;

    let reply_ms = Duration::from_millis(deadlines.reply_ms);
    let reply_by = *deadlines
        .reply_by
        .get_or_insert_with(|| Instant::now() + reply_ms);
    let exchange = async {
        socket.send(ZmqMessage::from(request)).await?;
        socket.recv().await
    };
    let message = timeout_at(reply_by, exchange)
        .await
        .map_err(|_| ProbeFinding::NoReply)?
        .map_err(|error| failed_exchange(&error))?;
    Ok(understand(&message))
}

fn understand(message: &ZmqMessage) -> Answer {
    let reply = telling_part(message.iter().map(|part| &part[..]));
    Answer {
        finding: match judge(reply) {
            Verdict::Healthy => ProbeFinding::Healthy,
            Verdict::Answering => ProbeFinding::NotJson,
            Verdict::NotUnderstood => ProbeFinding::NotUnderstood,
            Verdict::NotReady => ProbeFinding::NotReady,
            Verdict::Unhealthy => ProbeFinding::NotHealthy,
        },
        reply: Some(excerpt(reply)),
        complaints: complaints(reply),
    }
}

/// What the crate's errors mean before a request was sent. It tells some of
/// them apart by their texts only; the tests hold each of them to its finding.
fn failed_handshake(error: &ZmqError) -> ProbeFinding {
    match error {
        ZmqError::Other("Failed Greeting exchange") => ProbeFinding::ClosedAtOnce,
        ZmqError::Other("No reply from server") => ProbeFinding::HandshakeEnded,
        ZmqError::Other(_) => ProbeFinding::NotReplySocket,
        _ => match io_kind(error) {
            // Some bytes came, fewer than a greeting has.
            Some(io::ErrorKind::UnexpectedEof) | None => ProbeFinding::NotZeroMq,
            Some(_) => ProbeFinding::ClosedAtOnce,
        },
    }
}

/// What they mean afterwards.
fn failed_exchange(error: &ZmqError) -> ProbeFinding {
    match error {
        ZmqError::NoMessage => ProbeFinding::ClosedWithoutReply,
        _ if io_kind(error).is_some() => ProbeFinding::ClosedWithoutReply,
        _ => ProbeFinding::NotZeroMq,
    }
}

/// The kind of the input or output error behind an error of the crate.
fn io_kind(error: &ZmqError) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}
