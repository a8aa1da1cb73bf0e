//! Waiting for an agent that is not there yet, or never.

use super::*;

fn schedule(deadline_ms: u64) -> Schedule {
    Schedule {
        deadline_ms,
        budget: BUDGET,
        accept_answering: false,
    }
}

fn wait(
    address: SocketAddr,
    schedule: Schedule,
    stop: impl Fn() -> bool,
    note: impl FnMut(u32, &Probe),
) -> Waited {
    block_on(wait_healthy(&target(address), schedule, stop, note)).unwrap()
}

const NEVER: fn() -> bool = || false;
const NO_FAILURE: fn(u32, &Probe) = |_, found| panic!("{found:?}");

#[test]
fn a_healthy_agent_is_not_waited_for() {
    let peers = replier(|_| vec![GOOD.to_vec()]);
    let waited = wait(peers.address(), schedule(5_000), NEVER, NO_FAILURE);
    assert_eq!((waited.ending, waited.attempts), (WaitEnd::Healthy, 1));
    assert_eq!(waited.probe.outcome, ProbeOutcome::Healthy);
}

#[test]
fn an_agent_that_comes_late_is_seen_soon() {
    // The best of a few tries, since other tests run beside this one.
    let mut best = Duration::MAX;
    for opens_after_ms in [40, 230, 360, 610, 830] {
        let address = fakes::dead_address();
        let opens_after = Duration::from_millis(opens_after_ms);
        let peers = thread::spawn(move || {
            thread::sleep(opens_after);
            let listener = std::net::TcpListener::bind(address).unwrap();
            let opened = Instant::now();
            (
                opened,
                repliers(vec![listener], Duration::ZERO, |_| vec![GOOD.to_vec()]),
            )
        });
        let mut seen = Vec::new();
        let note = |number, found: &Probe| seen.push((number, told(found)));
        let waited = wait(address, schedule(10_000), NEVER, note);
        let found = Instant::now();
        assert_eq!(waited.ending, WaitEnd::Healthy);
        assert_eq!(waited.attempts as usize, seen.len() + 1);
        assert_eq!(seen[0], (1, (ProbeFinding::Refused, None)));
        let (opened, _peers) = peers.join().unwrap();
        best = best.min(found - opened);
    }
    assert!(
        best <= Duration::from_millis(20),
        "seen {best:?} after it opened"
    );
}

#[test]
fn an_agent_that_becomes_ready() {
    use std::sync::atomic::AtomicUsize;
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let peers = replier(|_| match ASKED.fetch_add(1, SeqCst) {
        0 | 1 => vec![br#"{"status": "starting", "ready": false}"#.to_vec()],
        2 => vec![b"almost".to_vec()],
        _ => vec![GOOD.to_vec()],
    });
    let mut seen = Vec::new();
    let note = |_, found: &Probe| seen.push(found.finding);
    let waited = wait(peers.address(), schedule(10_000), NEVER, note);
    assert_eq!(waited.attempts, 4);
    assert_eq!(
        seen,
        [
            ProbeFinding::NotReady,
            ProbeFinding::NotReady,
            ProbeFinding::NotJson
        ]
    );
}

#[test]
fn text_is_enough_where_the_caller_says_so() {
    let peers = replier(|_| vec![b"pong".to_vec()]);
    let schedule = Schedule {
        accept_answering: true,
        ..schedule(5_000)
    };
    let waited = wait(peers.address(), schedule, NEVER, NO_FAILURE);
    assert_eq!(
        (waited.ending, waited.probe.outcome),
        (WaitEnd::Healthy, ProbeOutcome::Answering)
    );
}

#[test]
fn the_deadline_holds() {
    let refused = fakes::dead_address();
    let silent = raw(fakes::stay_silent);
    for (address, expect) in [
        (refused, (ProbeFinding::Refused, None)),
        (silent.address(), (ProbeFinding::OutOfTime, None)),
    ] {
        let waited = wait(address, schedule(200), NEVER, |_, _| {});
        assert_eq!(waited.ending, WaitEnd::Deadline);
        assert_eq!(told(&waited.probe), expect);
        assert!((200.0..1_000.0).contains(&waited.waited_ms), "{waited:?}");
    }
}

#[test]
fn the_caller_stops_the_wait() {
    let silent = raw(fakes::stay_silent);
    let started = Instant::now();
    let stop = || started.elapsed() > Duration::from_millis(100);
    let waited = wait(silent.address(), schedule(60_000), stop, NO_FAILURE);
    assert_eq!((waited.ending, waited.attempts), (WaitEnd::Stopped, 0));
    assert_eq!(told(&waited.probe), (ProbeFinding::Interrupted, None));
    assert!(waited.waited_ms < 1_000.0, "{waited:?}");
    let waited = wait(silent.address(), schedule(60_000), || true, NO_FAILURE);
    assert_eq!(waited.ending, WaitEnd::Stopped);
}

#[test]
fn many_waits_share_a_thread_and_little_of_it() {
    let address = fakes::dead_address();
    let before_ms = processor_time_ms();
    block_on(async {
        let mut waits = JoinSet::new();
        for _ in 0..8 {
            waits.spawn(async move {
                wait_healthy(&target(address), schedule(1_000), || false, |_, _| {}).await
            });
        }
        for waited in waits.join_all().await {
            assert!((30..=68).contains(&waited.attempts), "{waited:?}");
        }
    })
    .unwrap();
    let spent_ms = processor_time_ms() - before_ms;
    assert!(
        spent_ms < 300.0,
        "{spent_ms} ms of processor time for a second of waiting"
    );
}
