//! A schedule that learns beside the default one, on the same jobs, in one run.

use std::time::Duration;

use cfw_simulator::{JobScript, Simulator};
use cfw_waiter::{History, Learned, Policy, Quota, Sample, Schedule, Waiter};
use futures_util::future::join_all;

use crate::support::{PATIENCE, client, ms, simulator};

/// Durations of past jobs in seconds, and of those waited for: about 100 s, with a spread of a quarter.
const PAST: [u64; 20] =
    [76, 112, 95, 131, 88, 103, 67, 145, 99, 84, 120, 92, 109, 73, 158, 97, 86, 101, 115, 80];
const JOBS: [u64; 12] = [69, 78, 84, 88, 92, 96, 101, 106, 111, 117, 127, 146];

/// Time is compressed: 25 s to one.
fn scaled(seconds: u64) -> Duration {
    ms(seconds * 1_000 / 25)
}

/// Waits for all jobs. Returns the requests that the simulator counted for each, and the time from its end to when its
/// wait ended, on average.
async fn play(sim: &Simulator, schedule: Schedule, history: History) -> (f64, Duration) {
    let waiter = Waiter::builder(client(sim))
        .policy(Policy::new().schedule(schedule).timeout(PATIENCE))
        .min_interval(ms(20))
        .quota(None::<Quota>)
        .history(history)
        .build()
        .unwrap();
    let wait = async |seconds| {
        let id = sim.add_job(JobScript::succeeds_after(scaled(seconds)));
        let report = waiter.wait_for_job(&id).kind("create-firewall").await.unwrap();
        (sim.polls_of(&id).len(), report.elapsed.saturating_sub(scaled(seconds)))
    };
    let ends = join_all(JOBS.map(wait)).await;
    let learnt = waiter.take_learned();
    let expected = if learnt.is_empty() { 0 } else { JOBS.len() };
    let mut learnt: Vec<Sample> = learnt.samples("create-firewall").collect();
    assert_eq!(learnt.len(), expected);
    // They are in the order in which their ends were noticed.
    learnt.sort_by_key(|sample| sample.duration());
    for (sample, seconds) in learnt.iter().zip(JOBS) {
        // The server's own times, which do not depend on when it was asked.
        let off = sample.duration().abs_diff(scaled(seconds));
        assert!(off <= ms(50), "{sample:?}, not {:?}", scaled(seconds));
    }
    let polls = ends.iter().map(|(polls, _)| *polls).sum::<usize>() as f64 / JOBS.len() as f64;
    let lag = ends.iter().map(|(_, lag)| *lag).sum::<Duration>() / 12;
    (polls, lag)
}

#[tokio::test]
async fn regular_jobs_are_noticed_earlier_at_fewer_requests() {
    let sim = simulator();
    let fixed = Schedule::exponential(scaled(1), 1.5, scaled(15)).unwrap();
    // One poll is worth half a second of delay, at this scale.
    let settings = Learned::new().poll_cost(scaled(1) / 2).fallback(fixed.clone());
    let learned = Schedule::learned(settings).unwrap();
    let mut history = History::new();
    PAST.iter().for_each(|&s| history.record("create-firewall", Sample::ended(scaled(s))));
    let (fixed, learned) =
        tokio::join!(play(&sim, fixed, History::new()), play(&sim, learned, history));
    println!("default {:.1} requests, {:?} late", fixed.0, fixed.1);
    println!("learned {:.1} requests, {:?} late", learned.0, learned.1);
    assert!(learned.0 <= 0.9 * fixed.0, "{learned:?}, {fixed:?}");
    assert!(learned.1 < fixed.1, "{learned:?}, {fixed:?}");
}
