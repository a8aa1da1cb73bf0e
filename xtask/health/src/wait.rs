//! Asks one agent until it is healthy.
//!
//! It polls, since nothing tells the host that a port inside a container has
//! opened. It must not decide what a failure means or print: the caller sees
//! every attempt, and stops the wait when it knows better (the container has
//! exited, the user has pressed Ctrl-C).

use std::{future::Future, pin::pin, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    finding::{ProbeFinding, ProbeOutcome},
    probe::{CANCEL_POLL, Probe, ProbeBudget, Target, probe},
};

/// How long to wait, and how long each attempt may take.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// From now until the wait is given up.
    pub deadline_ms: u64,
    /// For each attempt; shortened where the deadline comes first.
    pub budget: ProbeBudget,
    /// Whether a reply that is not JSON ends the wait, too.
    pub accept_answering: bool,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Waited {
    pub ending: WaitEnd,
    /// The last finished attempt; if there was none, a timeout.
    pub probe: Probe,
    /// Attempts that were finished.
    pub attempts: u32,
    pub waited_ms: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitEnd {
    /// The last probe is good.
    Healthy,
    /// The time is up.
    Deadline,
    /// The caller's `stop` said so.
    Stopped,
}

/// Asks at once and then again and again until the agent is healthy, the
/// deadline passes or `stop` returns true; `stop` is asked every 20 ms.
/// `on_failure` sees the number and the probe of every attempt that was not
/// good.
pub async fn wait_healthy(
    target: &Target,
    schedule: Schedule,
    stop: impl Fn() -> bool,
    mut on_failure: impl FnMut(u32, &Probe),
) -> Waited {
    let started = Instant::now();
    let deadline = started + Duration::from_millis(schedule.deadline_ms);
    let mut last = None;
    let mut attempts = 0;
    let ending = loop {
        let attempt = match until(deadline, &stop, probe(target, schedule.budget)).await {
            Ok(attempt) => attempt,
            Err(ending) => break ending,
        };
        attempts += 1;
        let good = match attempt.outcome {
            ProbeOutcome::Healthy => true,
            ProbeOutcome::Answering => schedule.accept_answering,
            ProbeOutcome::Unhealthy | ProbeOutcome::Refused | ProbeOutcome::Timeout => false,
        };
        if !good {
            on_failure(attempts, &attempt);
        }
        last = Some(attempt);
        if good {
            break WaitEnd::Healthy;
        }
        let next = Instant::now() + pause(started.elapsed());
        if let Err(ending) = until(deadline, &stop, sleep_until(next)).await {
            break ending;
        }
    };
    let waited = started.elapsed();
    let none = match ending {
        WaitEnd::Stopped => ProbeFinding::Interrupted,
        WaitEnd::Healthy | WaitEnd::Deadline => ProbeFinding::OutOfTime,
    };
    Waited {
        ending,
        probe: last.unwrap_or_else(|| Probe::without_reply(none, waited)),
        attempts,
        waited_ms: waited.as_secs_f64() * 1e3,
    }
}

/// The time between two attempts: a fixed small share of the time waited, so
/// that no agent is noticed much later than it deserves and a slow one is not
/// asked thousands of times. 15 ms in the first second, 500 ms from 32 s on.
fn pause(waited: Duration) -> Duration {
    (waited / 64).clamp(Duration::from_millis(15), Duration::from_millis(500))
}

/// The future's result, unless the deadline or the caller comes first.
async fn until<T>(
    deadline: Instant,
    stop: &impl Fn() -> bool,
    future: impl Future<Output = T>,
) -> Result<T, WaitEnd> {
    let mut future = pin!(future);
    loop {
        if stop() {
            return Err(WaitEnd::Stopped);
        }
        let look_up = Instant::now() + CANCEL_POLL;
        if let Ok(done) = timeout_at(look_up.min(deadline), &mut future).await {
            return Ok(done);
        }
        if Instant::now() >= deadline {
            return Err(WaitEnd::Deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_time_waited() {
        let pause_ms = |waited_ms| pause(Duration::from_millis(waited_ms)).as_millis();
        assert_eq!([0, 500, 1_000, 4_000].map(pause_ms), [15, 15, 15, 62]);
        assert_eq!([32_000, 600_000].map(pause_ms), [500, 500]);
    }

    #[test]
    fn a_minute_takes_few_attempts() {
        let (mut at, mut attempts) = (Duration::ZERO, 0);
        while at < Duration::from_secs(60) {
            at += pause(at);
            attempts += 1;
        }
        assert!((300..420).contains(&attempts), "{attempts} attempts");
    }
}
