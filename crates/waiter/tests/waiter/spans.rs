//! The spans of waits and watches.

use cfw_waiter::{JobState, Waiter, source_fn};
use tracing::Level;
use tracing::subscriber::{NoSubscriber, set_default};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::rules::Lines;
use crate::support::{paused, secs};

/// The spans that are closed, one a line, when a wait succeeds, one fails, one is dropped and a watch ends.
fn closed_spans(level: Level, at_info: bool) -> Vec<String> {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber in the process, tracing lets any thread decide for all whether a line is wanted.
    let _second = tracing::Dispatch::new(NoSubscriber::new());
    let _logged = set_default(subscriber);
    paused().block_on(async {
        let source = source_fn(|id| async move {
            Ok(match id.as_str() {
                "good" => JobState::succeeded(),
                "bad" => JobState::failed(),
                _ => JobState::running(),
            })
        });
        let waiter = Waiter::builder(source).seed(7).spans_at_info(at_info).build().unwrap();
        assert!(waiter.wait_for_job("good").await.is_ok());
        assert!(waiter.wait_for_job("bad").await.is_err());
        let slow = waiter.wait_for_job("slow");
        assert!(tokio::time::timeout(secs(5), slow).await.is_err());
        assert_eq!(waiter.watch(["good", "bad"]).all().await.len(), 2);
    });
    let text = lines.take();
    text.lines().filter(|line| line.contains("close")).map(str::to_owned).collect()
}

#[test]
fn spans_have_outcome_and_polls_and_are_at_info_on_request() {
    assert_eq!(closed_spans(Level::INFO, false), [""; 0], "nothing above debug unasked");
    for (level, at_info, name) in
        [(Level::DEBUG, false, "DEBUG"), (Level::DEBUG, true, "INFO"), (Level::INFO, true, "INFO")]
    {
        let spans = closed_spans(level, at_info);
        let expected = [
            "wait_for_job{job=good outcome=\"succeeded\" polls=1}",
            "wait_for_job{job=bad outcome=\"failed\" polls=1}",
            "wait_for_job{job=slow outcome=\"dropped\"}",
            "watch{jobs=2 succeeded=1 unsuccessful=1}",
        ];
        assert_eq!(spans.len(), expected.len(), "{spans:?}");
        for (span, expected) in spans.iter().zip(expected) {
            assert!(span.contains(expected) && span.contains(name), "{span}");
        }
    }
}
