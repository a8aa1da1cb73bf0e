//! Many agents, many times: order, bounds, leaks and time.

use super::*;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Waits until a figure that follows with a delay is small enough.
fn settle(limit: usize, figure: impl Fn() -> usize) -> usize {
    let give_up = Instant::now() + Duration::from_secs(5);
    while figure() > limit && Instant::now() < give_up {
        thread::sleep(Duration::from_millis(10));
    }
    figure()
}

#[test]
fn probes_come_back_in_order() {
    let good = replier(|_| vec![GOOD.to_vec()]);
    let text = replier(|_| vec![b"pong".to_vec()]);
    let silent = raw(fakes::stay_silent);
    let addresses = [
        silent.address(),
        good.address(),
        fakes::dead_address(),
        text.address(),
    ];
    let budget = ProbeBudget {
        connect_ms: 500,
        reply_ms: 5_000,
    };
    let probes = probe_all(&addresses.map(target), budget, || false).unwrap();
    let outcomes = probes.iter().map(|found| found.outcome).collect::<Vec<_>>();
    let expect = [
        ProbeOutcome::Timeout,
        ProbeOutcome::Healthy,
        ProbeOutcome::Refused,
        ProbeOutcome::Answering,
    ];
    assert_eq!(outcomes, expect);
    assert!(probe_all(&[], budget, || false).unwrap().is_empty());
}

#[test]
fn all_silent_agents_cost_one_budget() {
    let silent = raw(fakes::stay_silent);
    let targets = vec![target(silent.address()); 192];
    let started = Instant::now();
    let budget = ProbeBudget {
        connect_ms: 400,
        reply_ms: 400,
    };
    let probes = probe_all(&targets, budget, || false).unwrap();
    assert!(started.elapsed() < Duration::from_millis(2_000));
    assert!(
        probes
            .iter()
            .all(|found| found.outcome == ProbeOutcome::Timeout)
    );
}

#[test]
fn a_cancelled_round_ends_soon_and_keeps_what_it_has() {
    let silent = raw(fakes::stay_silent);
    let targets = [target(silent.address()), target(fakes::dead_address())];
    let started = Instant::now();
    let cancelled = || started.elapsed() > Duration::from_millis(500);
    let probes = probe_all(&targets, BUDGET, cancelled).unwrap();
    assert!(started.elapsed() < Duration::from_millis(1_400));
    let told = probes.iter().map(told).collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            (ProbeFinding::Interrupted, None),
            (ProbeFinding::Refused, None)
        ]
    );
}

#[test]
fn nothing_is_left_behind() {
    const ROUNDS: usize = 10;
    const EACH: usize = 32;
    let good = replier(|_| vec![GOOD.to_vec()]);
    let silent = raw(fakes::stay_silent);
    let mute = raw(|stream| {
        if fakes::shake_hands(stream) {
            fakes::stay_silent(stream);
        }
    });
    let rude = raw(|stream| _ = stream.write_all(&[7; 200]));
    let addresses = [
        good.address(),
        silent.address(),
        mute.address(),
        rude.address(),
        fakes::dead_address(),
    ];
    let targets = addresses
        .iter()
        .flat_map(|&one| vec![target(one); EACH])
        .collect::<Vec<_>>();
    let budget = ProbeBudget {
        connect_ms: 40,
        reply_ms: 40,
    };

    let before = open_files();
    // One runtime for all rounds, so that whatever the crate might leave
    // running would be seen.
    let tasks = block_on(async {
        for _ in 0..ROUNDS {
            let mut round = JoinSet::new();
            for target in &targets {
                let target = target.clone();
                round.spawn(async move { probe(&target, budget).await });
            }
            assert_eq!(round.join_all().await.len(), targets.len());
        }
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    });
    assert_eq!(tasks.unwrap(), 0, "tasks outlive their probes");
    for peer in [&silent, &mute, &rude] {
        let open = settle(0, || peer.open.load(SeqCst));
        assert_eq!(open, 0, "connections outlive their probes");
    }
    // Tests beside this one open files, too, but not one for every probe.
    let after = settle(before, open_files);
    assert!(
        after < before + ROUNDS * EACH / 2,
        "{before} files before, {after} after"
    );
}

/// Prints how long a round takes inside the tool: `cargo test -p
/// xtask-health -- --ignored --nocapture a_round_is_fast`, with nothing beside it.
#[test]
#[ignore = "measures time, wants the machine to itself"]
fn a_round_is_fast() {
    for count in [8, 192] {
        let listeners = (0..count).map(|_| fakes::listener()).collect();
        let peers = repliers(listeners, Duration::ZERO, |_| vec![GOOD.to_vec()]);
        let targets = peers
            .addresses
            .iter()
            .copied()
            .map(target)
            .collect::<Vec<_>>();
        let before_ms = processor_time_ms();
        let mut rounds_ms = (0..9).map(|_| {
            let started = Instant::now();
            let probes = probe_all(&targets, BUDGET, || false).unwrap();
            let took = started.elapsed();
            assert!(
                probes
                    .iter()
                    .all(|found| found.outcome == ProbeOutcome::Healthy)
            );
            took.as_secs_f64() * 1e3
        });
        let first_ms = rounds_ms.next().unwrap();
        let mut later_ms = rounds_ms.collect::<Vec<_>>();
        later_ms.sort_by(f64::total_cmp);
        let median_ms = later_ms[later_ms.len() / 2];
        let own_ms = (processor_time_ms() - before_ms) / 9.0;
        println!(
            "{count} agents: first {first_ms:.1} ms, then median {median_ms:.1} ms, \
             of which {own_ms:.1} ms are this thread's own work"
        );
    }
}
