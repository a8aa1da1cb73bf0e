//! Asks a ZeroMQ reply socket, with one request after the other.
//!
//! Three habits of the zeromq crate are to be lived with: `connect` retries a
//! refused port for ever and without a word, a socket whose request was
//! abandoned refuses the next one, and it never reconnects. Hence every await
//! stands under a deadline, and every request gets a new socket.

use std::{error::Error, io, net::SocketAddr, time::Duration};

use tokio::time::{Instant, timeout_at};
use zeromq::{ReqSocket, Socket, SocketOptions, SocketRecv, SocketSend, ZmqError, ZmqMessage};

use crate::{
    contract::answer::{Answer, Limits},
    finding::ProbeFinding,
    reply::telling_part,
};

/// Goes through the requests until one is understood. If none is, the first
/// answer tells most, for the first request is the one that agents should know.
pub async fn ask(address: SocketAddr, requests: &[String], limits: Limits) -> Answer {
    let mut deadlines = Deadlines {
        limits,
        reply_by: None,
    };
    let mut refusal = None;
    for request in requests {
        match ask_once(address, request, &mut deadlines).await {
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
    limits: Limits,
    /// Set by the first handshake; bounds later handshakes, too.
    reply_by: Option<Instant>,
}

/// One request on a socket of its own. The error is why there is no reply.
async fn ask_once(
    address: SocketAddr,
    request: &str,
    deadlines: &mut Deadlines,
) -> Result<Answer, ProbeFinding> {
    // The crate's own limit of 30 s would only blur ours.
    let mut options = SocketOptions::default();
    options.no_connect_timeout();
    let mut socket = ReqSocket::with_options(options);

    let connect_by = deadlines.reply_by.unwrap_or(deadlines.limits.connect_by);
    timeout_at(connect_by, socket.connect(&format!("tcp://{address}")))
        .await
        .map_err(|_| ProbeFinding::NoHandshake)?
        .map_err(|error| failed_handshake(&error))?;

    let reply_ms = Duration::from_millis(deadlines.limits.reply_ms);
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
    let reply = telling_part(message.iter().map(|part| &part[..]));
    Ok(Answer::of_reply(reply))
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
