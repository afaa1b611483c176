use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn options_hold_what_is_left() {
    let mut job = JobCheckpoint::new("job", NOW + secs(100), secs(60));
    job.created = NOW + secs(40);
    let options = JobOptions::resumed(&job, NOW + secs(130));
    assert_eq!((options.timeout, options.since), (Some(secs(30)), secs(90)));
    assert_eq!(options.resumed.unwrap().elapsed, secs(30));
    let options = JobOptions::resumed(&job, NOW + secs(500));
    assert_eq!((options.timeout, options.since), (Some(secs(0)), secs(460)));
    // The clock was set back.
    let options = JobOptions::resumed(&job, NOW + secs(10));
    assert_eq!((options.timeout, options.since), (Some(secs(60)), secs(0)));
    assert_eq!(options.resumed.unwrap().elapsed, secs(0));
}

#[test]
fn times_that_no_clock_can_tell_are_the_nearest_ones() {
    let job = JobCheckpoint::new("job", NOW, Duration::MAX);
    assert!(job.deadline > NOW + secs(200 * 366 * 86_400));
    let saved = SavedJob {
        id: "job".into(),
        kind: None,
        age: Duration::MAX,
        elapsed: Duration::MAX,
        time_left: Duration::MAX,
        is_overdue: false,
        polls: u32::MAX,
        status: None,
        times: None,
    };
    let job = JobCheckpoint::of(saved, NOW + secs(100));
    assert_eq!((job.created, job.started), (NOW, NOW));
    let options = JobOptions::resumed(&job, NOW + secs(200));
    assert!(options.timeout > Some(secs(200 * 366 * 86_400)));
}

#[cfg(feature = "serde")]
mod json {
    use proptest::prelude::*;
    use serde_json::{from_str, from_value, json, to_string, to_value};

    use super::*;

    fn checkpoint() -> Checkpoint {
        let start = NOW + Duration::from_micros(1_764_024_660_047_900);
        let mut one = JobCheckpoint::new("one", start, secs(1_800));
        one.kind = Some("create-firewall".into());
        one.created = start - secs(9);
        one.polls = 3;
        one.status = Some((Phase::Running, "Running".into()));
        Checkpoint { jobs: vec![one, JobCheckpoint::new("two", start, secs(60))] }
    }

    const TEXT: &str = r#"{"format":"cfw-waiter checkpoint","version":1,"jobs":[{"job_id":"one","kind":"create-firewall","created":"2025-11-24T22:50:51.047Z","started":"2025-11-24T22:51:00.047Z","deadline":"2025-11-24T23:21:00.047Z","polls":3,"phase":"running","status":"Running"},{"job_id":"two","created":"2025-11-24T22:51:00.047Z","started":"2025-11-24T22:51:00.047Z","deadline":"2025-11-24T22:52:00.047Z","polls":0}]}"#;

    #[test]
    fn the_form_is_that_of_version_1() {
        assert_eq!(to_string(&checkpoint()).unwrap(), TEXT);
        let read: Checkpoint = from_str(TEXT).unwrap();
        assert_eq!(to_string(&read).unwrap(), TEXT);
        let (read, written) = (&read.jobs[0], &checkpoint().jobs[0]);
        assert_eq!((&read.status, &read.kind), (&written.status, &written.kind));
    }

    #[test]
    fn fields_may_come_in_any_order_and_those_that_are_not_known_are_ignored() {
        let text = r#"{"version": 1, "jobs": [{"note": [1], "polls": 2, "deadline": "2026-01-01T00:10:00+01:00",
            "started": "2026-01-01T00:00:00+01:00", "created": "2026-01-01T00:00:00+01:00", "job_id": "a"}],
            "by": {"x": null}, "format": "cfw-waiter checkpoint"}"#;
        let read: Checkpoint = from_str(text).unwrap();
        let job = &read.jobs[0];
        assert_eq!((job.id.as_str(), job.polls, &job.status), ("a", 2, &None));
        assert_eq!(job.deadline.duration_since(job.started).unwrap(), secs(600));
    }

    #[test]
    fn whole_numbers_may_be_written_as_others_do() {
        for (version, polls) in [("1.0", "3.0"), ("1e0", "30e-1"), ("1.000", "0.3E1")] {
            let text = TEXT.replace(":1,", &format!(":{version},"));
            let text = text.replace("\"polls\":3", &format!("\"polls\":{polls}"));
            assert!(text.contains(version) && text.contains(polls), "{text}");
            let read: Checkpoint = from_str(&text).unwrap();
            assert_eq!(to_string(&read).unwrap(), TEXT);
        }
    }

    #[test]
    fn what_is_no_checkpoint_is_refused_by_name() {
        let refusal = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut value = to_value(checkpoint()).unwrap();
            change(&mut value);
            from_value::<Checkpoint>(value).unwrap_err().to_string()
        };
        let cases = [
            (refusal(&|value| *value = json!([])), "not a cfw-waiter checkpoint: it has no format"),
            (refusal(&|value| *value = json!({})), "not a cfw-waiter checkpoint: it has no format"),
            (
                refusal(&|value| value["format"] = json!("tfstate")),
                "not a cfw-waiter checkpoint: format is \"tfstate\"",
            ),
            (
                refusal(&|value| {
                    value["version"] = json!(2);
                    value["jobs"] = json!("elsewhere");
                }),
                "cfw-waiter checkpoint of version 2: only 1 is known",
            ),
            (
                refusal(&|value| drop(value.as_object_mut().unwrap().remove("version"))),
                "cfw-waiter checkpoint without a version",
            ),
            (
                refusal(&|value| value["jobs"] = json!({})),
                "cfw-waiter checkpoint: jobs is no array",
            ),
            (
                refusal(&|value| value["jobs"][1] = json!({"job_id": "two"})),
                "jobs[1]: missing field `created`",
            ),
            (
                refusal(&|value| value["jobs"][0]["phase"] = json!("failed")),
                "jobs[0]: phase \"failed\" is no phase of a live job",
            ),
            (
                refusal(&|value| value["jobs"][0]["polls"] = json!(-1)),
                "jobs[0]: polls -1 is no count up to 4294967295",
            ),
            (
                refusal(&|value| value["jobs"][0]["polls"] = json!(1.5)),
                "jobs[0]: polls 1.5 is no count up to 4294967295",
            ),
            (
                refusal(&|value| value["jobs"][0]["polls"] = json!(4_294_967_296.0)),
                "jobs[0]: polls 4294967296.0 is no count up to 4294967295",
            ),
            (
                refusal(&|value| value["version"] = json!(1.5)),
                "cfw-waiter checkpoint of version 1.5: only 1 is known",
            ),
            (
                refusal(&|value| value["version"] = json!("1")),
                "cfw-waiter checkpoint of version \"1\": only 1 is known",
            ),
        ];
        for (refusal, expected) in cases {
            assert_eq!(refusal, expected);
        }
        assert!(
            refusal(&|value| value["jobs"][0]["created"] = json!("soon")).contains("jobs[0]: ")
        );
    }

    proptest! {
        #[test]
        fn any_checkpoint_survives(
            jobs in prop::collection::vec(
                (".{0,40}", prop::option::of(".{0,9}"), any::<[u64; 3]>(), any::<u32>(),
                    prop::option::of((any::<bool>(), ".{0,9}"))),
                0..4,
            ),
        ) {
            let time = |ms: u64| NOW + Duration::from_millis(ms % (1 << 44));
            let jobs = jobs.into_iter().map(|(id, kind, [created, started, deadline], polls, status)| {
                let phase = |known| if known { Phase::Running } else { Phase::Unknown };
                JobCheckpoint {
                    id: id.into(),
                    kind: kind.map(Into::into),
                    created: time(created),
                    started: time(started),
                    deadline: time(deadline),
                    polls,
                    status: status.map(|(known, status)| (phase(known), status.into())),
                }
            });
            let checkpoint = Checkpoint { jobs: jobs.collect() };
            let text = to_string(&checkpoint).unwrap();
            prop_assert_eq!(&from_str::<Checkpoint>(&text).unwrap(), &checkpoint);
            // As other tools write it.
            let value: serde_json::Value = from_str(&text).unwrap();
            prop_assert_eq!(from_str::<Checkpoint>(&format!("{value:#}")).unwrap(), checkpoint);
        }
    }
}
