//! The spans of waits, watches and polls.
//!
//! The subscriber is user code: what calls it is contained, and happens outside the lock.

use std::sync::Arc;

use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Span, debug, debug_span, dispatcher, info_span};

use crate::board::Answer;
use crate::util::contain::{contain, contain_drop};
use crate::{JobId, Outcome, Progress};

/// The level at which spans of waits and watches are made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum SpanLevel {
    #[default]
    Debug,
    Info,
}

/// The span of a wait or a watch; none if no subscriber wants one. Clones are the same span, and no user code clones it.
#[derive(Clone, Debug, Default)]
pub(crate) struct WaitSpan(Option<Arc<Span>>);

impl WaitSpan {
    pub(crate) fn of_wait(level: SpanLevel, id: &JobId) -> Self {
        Self::new(|| match level {
            SpanLevel::Debug => {
                debug_span!("wait_for_job", job = %id, outcome = Empty, polls = Empty)
            }
            SpanLevel::Info => {
                info_span!("wait_for_job", job = %id, outcome = Empty, polls = Empty)
            }
        })
    }

    pub(crate) fn of_watch(level: SpanLevel, jobs: usize) -> Self {
        Self::new(|| match level {
            SpanLevel::Debug => {
                debug_span!("watch", jobs, succeeded = Empty, unsuccessful = Empty)
            }
            SpanLevel::Info => {
                info_span!("watch", jobs, succeeded = Empty, unsuccessful = Empty)
            }
        })
    }

    /// Makes a span; none if the subscriber panics.
    fn new(make: impl FnOnce() -> Span) -> Self {
        Self(contain(make).ok().filter(|span| !span.is_none()).map(Arc::new))
    }

    /// Returns whether a subscriber records it.
    pub(crate) fn is_enabled(&self) -> bool {
        self.0.as_ref().is_some_and(|span| !span.is_disabled())
    }

    /// Runs a closure in the span, where its subscriber gets the events. Without a span it just runs.
    pub(crate) fn enter(&self, write: impl FnOnce()) {
        match &self.0 {
            Some(span) => enter(span, write),
            None => write(),
        }
    }

    /// Records how a watch stands when it is dropped.
    pub(crate) fn record_progress(&self, progress: Progress) {
        let Some(span) = &self.0 else { return };
        let record = || {
            span.record("succeeded", progress.succeeded).record("unsuccessful", progress.failed);
        };
        let _ = contain(record);
    }

    /// Records that a wait was dropped before its end.
    pub(crate) fn record_drop(&self) {
        let Some(span) = &self.0 else { return };
        let _ = contain(|| span.record("outcome", "dropped").is_none());
    }

    /// Records the end of a wait, and logs it in the span. The text of an error is user code, too.
    pub(crate) fn log_end(&self, id: &JobId, outcome: &Outcome) {
        let write = || {
            // The span of a watch has no such fields, and ignores them.
            let (word, report) = match outcome {
                Ok(report) => ("succeeded", report),
                Err(error) => (error.kind().as_str(), error.report()),
            };
            if let Some(span) = &self.0 {
                span.record("outcome", word).record("polls", report.polls);
            }
            self.enter(|| match outcome {
                Ok(report) => {
                    debug!(job = %id, polls = report.polls, elapsed = ?report.elapsed, "job succeeded");
                }
                Err(error) => debug!(job = %id, %error, "wait ended without success"),
            });
        };
        let _ = contain(write);
    }
}

impl Drop for WaitSpan {
    fn drop(&mut self) {
        if let Some(span) = self.0.take() {
            contain_drop(span);
        }
    }
}

/// The span of a poll, from its request to its answer. None costs a pointer, so that it can lie beside each request.
#[derive(Debug, Default)]
pub(crate) struct PollSpan(Option<Box<Span>>);

impl PollSpan {
    pub(crate) const NONE: Self = Self(None);

    /// Returns whether a subscriber may want such spans: one load.
    pub(crate) fn may_be_wanted() -> bool {
        LevelFilter::current() >= LevelFilter::DEBUG
    }

    /// Makes the span of a poll for the waits with these spans, as a child of the last one, linked to the others.
    pub(crate) fn new(waits: &[WaitSpan], id: &JobId) -> Self {
        let Some((parent, others)) = waits.split_last() else { return Self::NONE };
        let Some(parent) = parent.0.as_deref() else { return Self::NONE };
        let mut made = None;
        let make = || {
            in_subscriber_of(parent, || {
                made = Some(debug_span!(parent: parent, "poll", job = %id, answer = Empty));
            });
        };
        let _ = contain(make);
        let span = Self(made.filter(|span| !span.is_disabled()).map(Box::new));
        if let Some(span) = &span.0 {
            for other in others.iter().filter_map(|other| other.0.as_deref()) {
                let _ = contain(|| span.follows_from(other).is_none());
            }
        }
        span
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Runs a closure in the span. A panic of the subscriber does not reach it.
    pub(crate) fn run<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(span) => run_in(span, act),
            None => act(),
        }
    }

    /// Runs a closure in the span, where its subscriber gets the events.
    pub(crate) fn enter(&self, write: impl FnOnce()) {
        match &self.0 {
            Some(span) => enter(span, write),
            None => write(),
        }
    }

    /// Records what came of the poll.
    pub(crate) fn record_answer(&self, answer: &Answer) {
        let Some(span) = &self.0 else { return };
        let word = match answer {
            Answer::Received(Ok(state)) => &*state.status,
            Answer::Received(Err(error)) => error.class().as_str(),
            Answer::Panicked(_) => "panicked",
        };
        let _ = contain(|| span.record("answer", word).is_none());
    }
}

impl Drop for PollSpan {
    fn drop(&mut self) {
        if let Some(span) = self.0.take() {
            contain_drop(span);
        }
    }
}

/// Writes to the log in a span. Each call of the subscriber is contained on its own: a second panic while one unwinds aborts.
fn enter(span: &Span, write: impl FnOnce()) {
    in_subscriber_of(span, || {
        let _ = run_in(span, || contain(write));
    });
}

fn run_in<T>(span: &Span, act: impl FnOnce() -> T) -> T {
    let entered = contain(|| span.enter());
    let result = act();
    contain_drop(entered);
    result
}

/// Runs a closure where the subscriber of a span is the default: the thread of a driver may have another one.
fn in_subscriber_of(span: &Span, act: impl FnOnce()) {
    let mut act = Some(act);
    span.with_subscriber(|(_, subscriber)| {
        if let Some(act) = act.take() {
            dispatcher::with_default(subscriber, act);
        }
    });
    if let Some(act) = act {
        act();
    }
}
