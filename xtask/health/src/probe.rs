//! One question to one agent, and to many at once.
//!
//! Invariant: every await stands under a deadline, and nothing outlives it: a
//! socket that is given up is dropped, which closes its connection. A plain TCP
//! connection tells refused from silent; what is said over another one is for the
//! contract.

use std::{future::Future, io, iter, net::SocketAddr, pin::pin, time::Duration};

use serde::Serialize;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use super::{
    contract::Contract,
    finding::{ProbeFinding, ProbeOutcome},
};
use crate::contract::answer::{Answer, Limits};

/// Where one agent answers, and how it is asked.
#[derive(Debug, Clone)]
pub struct Target {
    /// The health port, as published on the host's loopback address.
    pub address: SocketAddr,
    /// How it is asked.
    pub contract: Contract,
}

/// How long one probe may take; `connect_ms + reply_ms` is never exceeded.
#[derive(Debug, Clone, Copy)]
pub struct ProbeBudget {
    /// For the connection, and for the handshake that a contract may begin with.
    pub connect_ms: u64,
    /// From then on, for all that is asked.
    pub reply_ms: u64,
}

/// What one probe found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probe {
    /// What the finding amounts to.
    pub outcome: ProbeOutcome,
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
        Probe::new(finding.into(), latency)
    }

    fn new(answer: Answer, latency: Duration) -> Probe {
        Probe {
            outcome: answer.finding.outcome(),
            finding: answer.finding,
            latency_ms: latency.as_secs_f64() * 1e3,
            reply: answer.reply,
            complaints: answer.complaints,
        }
    }
}

/// Asks one agent, within the budget.
pub async fn probe(target: &Target, budget: ProbeBudget) -> Probe {
    timed(budget, async |limits| {
        knock(target.address, limits.connect_by).await?;
        Ok(target.contract.ask(target.address, limits).await)
    })
    .await
}

/// The same for an agent that is thought to answer: the plain connection, which
/// costs the agent as much as the question does, is made only if nothing has come
/// after `KNOCK_AFTER`.
async fn probe_at_once(target: &Target, budget: ProbeBudget) -> Probe {
    timed(budget, async |limits| {
        let mut asked = pin!(target.contract.ask(target.address, limits));
        if let Ok(answer) = timeout(KNOCK_AFTER, &mut asked).await {
            return Ok(answer);
        }
        knock(target.address, limits.connect_by).await?;
        Ok(asked.await)
    })
    .await
}

/// The probe that `ask` makes within the budget, with the time that it took.
async fn timed(
    budget: ProbeBudget,
    ask: impl AsyncFnOnce(Limits) -> Result<Answer, ProbeFinding>,
) -> Probe {
    let started = Instant::now();
    let limits = Limits {
        connect_by: started + Duration::from_millis(budget.connect_ms),
        reply_ms: budget.reply_ms,
    };
    let answer = ask(limits).await.unwrap_or_else(Answer::from);
    Probe::new(answer, started.elapsed())
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
        let interrupted = loop {
            if cancelled() {
                break true;
            }
            let free = MAX_IN_FLIGHT - in_flight.len();
            for (index, target) in waiting.by_ref().take(free) {
                in_flight.spawn(async move { (index, probe_at_once(&target, budget).await) });
            }
            match timeout(CANCEL_POLL, in_flight.join_next()).await {
                Ok(Some(Ok((index, probe)))) => probes[index] = Some(probe),
                Ok(None) => break false,
                // A panic while reading one agent's bytes must not hide what
                // the others said; its place stays empty.
                Ok(Some(Err(_))) | Err(_) => {}
            }
        };
        let missing = |target: &Target| {
            let finding = match interrupted {
                true => ProbeFinding::Interrupted,
                false => target.contract.unreadable(),
            };
            Probe::without_reply(finding, Duration::ZERO)
        };
        let found = probes.into_iter().zip(targets);
        found
            .map(|(probe, target)| probe.unwrap_or_else(|| missing(target)))
            .collect()
    })
}

/// How many probes `probe_all` runs at once: with two descriptors each, well
/// below the usual limit of 1024.
const MAX_IN_FLIGHT: usize = 256;

/// Far more than an agent takes that is well.
const KNOCK_AFTER: Duration = Duration::from_millis(250);

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
