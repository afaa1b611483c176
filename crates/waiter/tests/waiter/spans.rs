//! The spans of waits, watches and polls.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cfw_waiter::{ErrorClass, JobState, Policy, SourceError, Waiter, source_fn};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{NoSubscriber, set_default};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::rules::Lines;
use crate::support::{every, multi_thread, paused, secs};

/// Writes down what becomes of spans and events, by the names of the spans and their numbers.
#[derive(Clone, Default)]
struct Journal {
    lines: Arc<Mutex<Vec<String>>>,
    counts: Arc<Mutex<HashMap<&'static str, u32>>>,
}

/// The name and number of a span.
struct Label(String);

impl Journal {
    fn write(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    /// Returns what was written, and forgets it.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

fn label<S: Subscriber + for<'a> LookupSpan<'a>>(context: &Context<'_, S>, id: &Id) -> String {
    context.span(id).unwrap().extensions().get::<Label>().unwrap().0.clone()
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let number = {
            let mut counts = self.counts.lock().unwrap();
            let count = counts.entry(span.name()).or_default();
            *count += 1;
            *count
        };
        let name = format!("{}#{number}", span.name());
        let parent = span.parent().map(|parent| label(&context, &parent.id()));
        self.write(format!("{name} in {}", parent.as_deref().unwrap_or("none")));
        span.extensions_mut().insert(Label(name));
    }

    fn on_follows_from(&self, id: &Id, from: &Id, context: Context<'_, S>) {
        self.write(format!("{} linked to {}", label(&context, id), label(&context, from)));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut text = Text::default();
        values.record(&mut text);
        if !text.0.is_empty() {
            self.write(format!("{}{}", label(&context, id), text.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let span = context.event_span(event).map(|span| label(&context, &span.id()));
        self.write(format!("{} in {}", text.0.trim(), span.as_deref().unwrap_or("none")));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.write(format!("{} closes", label(&context, &id)));
    }
}

/// The message of an event, or the fields that are recorded in a span.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0 = format!("{value:?}"),
            "answer" | "outcome" => self.0 += &format!(" {}={value:?}", field.name()),
            _ => {}
        }
    }
}

/// Runs a test with a journal as the subscriber of this thread.
fn journal(test: impl FnOnce(&Journal)) {
    let journal = Journal::default();
    // With one subscriber in the process, tracing lets any thread decide for all whether a line is wanted.
    let _second = tracing::Dispatch::new(NoSubscriber::new());
    let subscriber =
        tracing_subscriber::registry().with(journal.clone().with_filter(LevelFilter::DEBUG));
    let _logged = set_default(subscriber);
    test(&journal);
}

/// A waiter whose source says "asked" and tells these answers in turn, the last one again and again.
fn waiter<const N: usize>(answers: [Result<JobState, ErrorClass>; N]) -> Waiter {
    let polls = AtomicUsize::new(0);
    let source = source_fn(move |_| {
        let at = polls.fetch_add(1, Ordering::Relaxed).min(N - 1);
        let answer = answers[at].clone();
        async move {
            tracing::debug!("asked");
            answer.map_err(SourceError::from)
        }
    });
    Waiter::builder(source).seed(7).policy(every(secs(5))).build().unwrap()
}

#[test]
fn polls_are_in_the_span_of_the_first_wait_and_linked_to_the_others() {
    journal(|journal| {
        let waiter = waiter([Ok(JobState::running()), Ok(JobState::succeeded())]);
        paused().block_on(async {
            let first = async { waiter.wait_for_job("job").await.unwrap() };
            let second = async { waiter.wait_for_job("job").await.unwrap() };
            tokio::join!(first, second);
        });
        assert_eq!(
            journal.take(),
            [
                "wait_for_job#1 in none",
                "wait_for_job#2 in none",
                "poll#1 in wait_for_job#1",
                "poll#1 linked to wait_for_job#2",
                "asked in poll#1",
                "poll#1 answer=\"Running\"",
                "status changed in poll#1",
                "poll#1 closes",
                "poll#2 in wait_for_job#1",
                "poll#2 linked to wait_for_job#2",
                "asked in poll#2",
                "poll#2 answer=\"Success\"",
                "status changed in poll#2",
                "poll#2 closes",
                "wait_for_job#2 outcome=\"succeeded\"",
                "job succeeded in wait_for_job#2",
                "wait_for_job#2 closes",
                "wait_for_job#1 outcome=\"succeeded\"",
                "job succeeded in wait_for_job#1",
                "wait_for_job#1 closes",
            ]
        );
    });
}

#[test]
fn polls_go_on_in_the_span_of_a_wait_that_is_left() {
    journal(|journal| {
        let waiter = waiter([Err(ErrorClass::TRANSIENT), Ok(JobState::succeeded())]);
        paused().block_on(async {
            let first = tokio::time::timeout(secs(1), waiter.wait_for_job("job"));
            let second = waiter.watch(["job"]).all();
            let (first, second) = tokio::join!(first, second);
            assert!(first.is_err() && second.len() == 1);
        });
        let lines = journal.take();
        let polls: Vec<_> = lines.iter().filter(|line| line.contains("poll#")).collect();
        assert_eq!(
            polls,
            [
                "poll#1 in watch#1",
                "asked in poll#1",
                "poll#1 answer=\"transient\"",
                "polling is in trouble in poll#1",
                "poll#1 closes",
                "poll#2 in watch#1",
                "asked in poll#2",
                "poll#2 answer=\"Success\"",
                "status changed in poll#2",
                "poll#2 closes",
            ],
            "{lines:?}"
        );
    });
}

#[test]
fn changes_without_an_answer_are_in_the_span_of_the_wait() {
    journal(|journal| {
        let silent = source_fn(|_| std::future::pending());
        let waiter = Waiter::builder(silent).seed(7).attempt_timeout(secs(2)).build().unwrap();
        paused().block_on(async {
            let wait = async { waiter.wait_for_job("job").await.unwrap() };
            let told = async {
                tokio::time::sleep(secs(4)).await;
                assert!(waiter.tell("job", JobState::running()));
                assert!(waiter.tell("job", JobState::succeeded()));
            };
            tokio::join!(wait, told);
        });
        let lines = journal.take();
        assert_eq!(
            lines,
            [
                "wait_for_job#1 in none",
                "poll#1 in wait_for_job#1",
                "polling is in trouble in wait_for_job#1",
                "poll#1 closes",
                "poll#2 in wait_for_job#1",
                "status changed in wait_for_job#1",
                "status changed in wait_for_job#1",
                "wait_for_job#1 outcome=\"succeeded\"",
                "job succeeded in wait_for_job#1",
                "poll#2 closes",
                "wait_for_job#1 closes",
            ]
        );
    });
}

#[test]
fn polls_of_a_driver_on_another_thread_reach_the_subscriber_of_the_wait() {
    journal(|journal| {
        let source = source_fn(|_| async { Ok(JobState::succeeded()) });
        let runtime = multi_thread(1);
        let waiter = Waiter::builder(source).runtime(runtime.handle().clone()).build().unwrap();
        let quick = Policy::new().first_poll_at_once(true);
        runtime.block_on(waiter.wait_for_job("job").policy(quick)).unwrap();
        let lines = journal.take();
        assert!(lines.iter().any(|line| line == "poll#1 in wait_for_job#1"), "{lines:?}");
    });
}

/// What a poll of a panicking source, and one that no wait wants any more, leave in their spans.
#[test]
fn polls_without_an_answer_say_so() {
    journal(|journal| {
        let source = source_fn(|id| async move {
            assert_ne!(id.as_str(), "broken", "the source has a bug");
            std::future::pending().await
        });
        let waiter = Waiter::builder(source).seed(7).build().unwrap();
        paused().block_on(async {
            waiter.wait_for_job("broken").await.unwrap_err();
            let dropped = tokio::time::timeout(secs(3), waiter.wait_for_job("dropped")).await;
            assert!(dropped.is_err());
            tokio::task::yield_now().await;
        });
        let lines = journal.take();
        let polls: Vec<_> = lines.iter().filter(|line| line.starts_with("poll#")).collect();
        assert_eq!(
            polls,
            [
                "poll#1 in wait_for_job#1",
                "poll#1 answer=\"panicked\"",
                "poll#1 closes",
                "poll#2 in wait_for_job#2",
                "poll#2 closes",
            ],
            "{lines:?}"
        );
    });
}

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
    let is_of_poll = |line: &&str| line.contains("poll{");
    assert_eq!(text.lines().any(|line| is_of_poll(&line)), level == Level::DEBUG, "{text}");
    let closed = text.lines().filter(|line| line.contains("close") && !is_of_poll(line));
    closed.map(str::to_owned).collect()
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
