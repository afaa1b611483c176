use cfw_waiter::{History, JobOptions, Learned, Policy, Sample, Schedule, Waiter, source_fn};

use super::*;

#[test]
fn a_status_is_followed_by_its_detail_and_a_new_detail_has_a_line() {
    let line = |kind| {
        let update = Update::new("a", Duration::ZERO, kind);
        super::update(&update).map(|(_, text)| text)
    };
    let running = || JobState::running().with_detail("40 %");
    let first = UpdateKind::Changed { from: None, to: running() };
    assert_eq!(line(first).unwrap(), "Running: 40 %");
    let to = JobState::unknown("Paused").with_detail("by an operator");
    let unknown = UpdateKind::Changed { from: Some("Running".into()), to };
    let text = "Running -> Paused: by an operator (a status not known here; still waiting)";
    assert_eq!(line(unknown).unwrap(), text);
    assert_eq!(line(UpdateKind::Progressed(running())).unwrap(), "Running: 40 %");
    assert_eq!(line(UpdateKind::Progressed(JobState::running())).unwrap(), "Running");
    let hostile = JobState::running().with_detail("a\x1b[2J\u{202e}b");
    assert_eq!(line(UpdateKind::Progressed(hostile)).unwrap(), "Running: a [2J b");
    let end = UpdateKind::Changed { from: None, to: JobState::failed().with_detail("why") };
    assert_eq!(line(end), None, "the end says it");
}

#[test]
fn estimates_are_ranges_and_warnings_name_what_they_rest_on() {
    let views_of = |past: [u64; 8], age: u64| {
        let mut history = History::new();
        for seconds in past {
            history.record("default", Sample::ended(Duration::from_secs(seconds)));
        }
        let source = source_fn(|_id| async { Ok(JobState::running()) });
        let schedule = Schedule::learned(Learned::new()).unwrap();
        let policy = Policy::new().schedule(schedule).first_poll_at_once(true);
        let waiter = Waiter::builder(source).policy(policy).history(history).build().unwrap();
        let mut watch = waiter.watch([] as [JobId; 0]);
        for id in ["a", "b"] {
            watch.add_with(id, JobOptions::new().since(Duration::from_secs(age)));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(async {
            watch.next().await.unwrap();
            watch.next().await.unwrap();
            watch.jobs()
        })
    };
    let views = |age| views_of([95, 100, 104, 108, 110, 98, 101, 103], age);
    let heartbeat = |jobs: &[JobView]| {
        let (progress, failures) = (Progress::default(), Failures::default());
        let (stats, troubles) = (Stats::default(), Troubles::default());
        heartbeat(jobs, progress, &failures, &stats, &troubles, Duration::ZERO, "")
    };
    let young = views(0);
    let text = eta(&young[0].eta.unwrap());
    assert_eq!(text, "2m left", "half and nine of ten, in whole minutes");
    let wide = eta(&views_of([20, 40, 80, 160, 320, 30, 60, 240], 0)[0].eta.unwrap());
    let (p50, p90) = wide.split_once('-').expect(&wide);
    assert!(p50.ends_with('s') && p90.ends_with("m left"), "{wide}");
    let line = heartbeat(&young[..1]);
    let elapsed = |jobs: &[JobView]| format_duration(jobs[0].report.elapsed);
    let expected = format!("a for {}, {text}; next poll in ", elapsed(&young));
    assert!(line.contains(&expected), "{line}");
    let late = views(300);
    let line = heartbeat(&late);
    let expected = format!(" for {}, overdue; 2 overdue; next poll in ", elapsed(&late));
    assert!(line.contains(&expected), "{line}");
    let one = heartbeat(&[late[0].clone(), young[1].clone()]);
    assert!(one.contains("; 1 overdue; "), "{one}");
    assert!(!heartbeat(&young).contains("overdue") && !heartbeat(&late[..1]).contains("1 overdue"));
    let estimate = late[0].eta.unwrap();
    assert_eq!(eta(&estimate), "overdue");
    let (id, elapsed) = ("a".into(), Duration::ZERO);
    let (_, label, text) = notice(&Notice::Overdue { id, elapsed, eta: estimate });
    assert_eq!(label, "a");
    let start = "overdue: it has taken 5m 00s; 95 % of such jobs end within ";
    assert!(text.starts_with(start) && text.ends_with(" (8 jobs known)"), "{text}");
}
