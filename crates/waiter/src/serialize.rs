//! What is reported, for serde. The command's NDJSON has this form, and SCHEMA.md there describes it.
//!
//! Durations are whole milliseconds, in fields named `_ms`. Times are RFC 3339 in UTC with milliseconds. What has no value is
//! left out, but for `from`. Enums are the words of their `as_str`.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::util::chain::error_chain;
use crate::{
    ErrorClass, Eta, JobId, JobReport, JobState, Outcome, Phase, Progress, SourceError, Stats,
    Update, UpdateKind, WaitError, WaitErrorKind, WaitingOn,
};

/// Serializes a value as its text.
macro_rules! serialize_as_str {
    ($($type:ty)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}

serialize_as_str!(JobId Phase ErrorClass WaitErrorKind);

/// Serializes a value through a struct that borrows from it.
macro_rules! serialize_as {
    ($($type:ty => $fields:ident)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $fields::from(self).serialize(serializer)
            }
        }
    )*};
}

serialize_as! {
    Update => UpdateFields
    JobState => StateFields
    JobReport => ReportFields
    WaitError => WaitErrorFields
    SourceError => SourceErrorFields
    WaitingOn => WaitingOnFields
    Progress => ProgressFields
    Stats => StatsFields
    Eta => EtaFields
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum UpdateFields<'a> {
    Changed {
        job_id: &'a JobId,
        elapsed_ms: u64,
        from: Option<&'a str>,
        #[serde(flatten)]
        to: &'a JobState,
    },
    Progressed {
        job_id: &'a JobId,
        elapsed_ms: u64,
        #[serde(flatten)]
        state: &'a JobState,
    },
    Trouble {
        job_id: &'a JobId,
        elapsed_ms: u64,
        error: &'a SourceError,
    },
    Ended {
        job_id: &'a JobId,
        elapsed_ms: u64,
        outcome: &'static str,
        #[serde(flatten)]
        end: EndFields<'a>,
    },
}

impl<'a> From<&'a Update> for UpdateFields<'a> {
    fn from(update: &'a Update) -> Self {
        let (job_id, elapsed_ms) = (&update.id, millis(update.elapsed));
        match &update.kind {
            UpdateKind::Changed { from, to } => {
                Self::Changed { job_id, elapsed_ms, from: from.as_deref(), to }
            }
            UpdateKind::Progressed(state) => Self::Progressed { job_id, elapsed_ms, state },
            UpdateKind::Trouble(error) => Self::Trouble { job_id, elapsed_ms, error },
            UpdateKind::Ended(outcome) => {
                Self::Ended { job_id, elapsed_ms, outcome: word(outcome), end: outcome.into() }
            }
        }
    }
}

fn word(outcome: &Outcome) -> &'static str {
    outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "succeeded")
}

/// How a wait ended, but for the word for it.
#[derive(Serialize)]
struct EndFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    polls: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_on: Option<WaitingOn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a SourceError>,
}

impl<'a> From<&'a Outcome> for EndFields<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let (report, error) = match outcome {
            Ok(report) => (report, None),
            Err(error) => (error.report(), Some(error)),
        };
        let state = report.state.as_ref();
        Self {
            status: state.map(|state| &*state.status),
            polls: report.polls,
            detail: state.and_then(|state| state.detail.as_deref()),
            message: error.map(|error| error_chain(error)),
            waiting_on: error.and_then(WaitError::waiting_on),
            error: error.and_then(WaitError::cause),
        }
    }
}

#[derive(Serialize)]
struct StateFields<'a> {
    status: &'a str,
    phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    begin_time: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl<'a> From<&'a JobState> for StateFields<'a> {
    fn from(state: &'a JobState) -> Self {
        Self {
            status: &state.status,
            phase: state.phase,
            begin_time: state.begin.and_then(rfc3339),
            end_time: state.end.and_then(rfc3339),
            detail: state.detail.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct ReportFields<'a> {
    job_id: &'a JobId,
    elapsed_ms: u64,
    polls: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a JobState>,
}

impl<'a> From<&'a JobReport> for ReportFields<'a> {
    fn from(report: &'a JobReport) -> Self {
        let JobReport { id, state, polls, elapsed } = report;
        Self { job_id: id, elapsed_ms: millis(*elapsed), polls: *polls, state: state.as_ref() }
    }
}

#[derive(Serialize)]
struct WaitErrorFields<'a> {
    kind: WaitErrorKind,
    message: String,
    report: &'a JobReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_on: Option<WaitingOn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a SourceError>,
}

impl<'a> From<&'a WaitError> for WaitErrorFields<'a> {
    fn from(error: &'a WaitError) -> Self {
        Self {
            kind: error.kind(),
            message: error_chain(error),
            report: error.report(),
            last_seen_ms: error.last_seen().map(millis),
            waiting_on: error.waiting_on(),
            error: error.cause(),
        }
    }
}

#[derive(Serialize)]
struct SourceErrorFields<'a> {
    class: ErrorClass,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_msg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl<'a> From<&'a SourceError> for SourceErrorFields<'a> {
    fn from(error: &'a SourceError) -> Self {
        let class = error.class();
        let retry_after = match class {
            ErrorClass::Transient { retry_after } | ErrorClass::Throttled { retry_after, .. } => {
                retry_after
            }
            ErrorClass::Unreached
            | ErrorClass::Unexpected { .. }
            | ErrorClass::NotFound
            | ErrorClass::Fatal
            | ErrorClass::Refused => None,
        };
        Self {
            class,
            message: error_chain(error),
            error_code: error.code(),
            error_msg: error.message(),
            request_id: error.request_id(),
            retry_after_ms: retry_after.map(millis),
        }
    }
}

#[derive(Serialize)]
struct WaitingOnFields {
    what: &'static str,
    lasted_ms: u64,
}

impl From<&WaitingOn> for WaitingOnFields {
    fn from(waiting_on: &WaitingOn) -> Self {
        let (what, lasted) = match *waiting_on {
            WaitingOn::Answer(lasted) => ("answer", lasted),
            WaitingOn::Throttling(lasted) => ("throttling", lasted),
            WaitingOn::Rate(lasted) => ("rate", lasted),
            WaitingOn::InFlight(lasted) => ("in_flight", lasted),
        };
        Self { what, lasted_ms: millis(lasted) }
    }
}

#[derive(Serialize)]
struct ProgressFields {
    total: usize,
    succeeded: usize,
    unsuccessful: usize,
    unfinished: usize,
    waiting: usize,
    running: usize,
    removed: usize,
}

impl From<&Progress> for ProgressFields {
    fn from(progress: &Progress) -> Self {
        let Progress { waiting, running, succeeded, failed, removed } = *progress;
        let (total, unfinished) = (progress.total(), progress.live());
        Self { total, succeeded, unsuccessful: failed, unfinished, waiting, running, removed }
    }
}

#[derive(Serialize)]
struct StatsFields {
    polls: PollFields,
    in_flight: usize,
    window: u32,
    watched: usize,
    pause_left_ms: u64,
    succeeded: u64,
    unsuccessful: u64,
}

#[derive(Serialize)]
struct PollFields {
    total: u64,
    answered: u64,
    transient: u64,
    throttled: u64,
    not_found: u64,
    fatal: u64,
    refused: u64,
    panicked: u64,
    timed_out: u64,
    paused_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_lag_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_lag_ms: Option<u64>,
}

impl From<&Stats> for StatsFields {
    fn from(stats: &Stats) -> Self {
        let polls = PollFields {
            total: stats.polls,
            answered: stats.answers,
            transient: stats.transient,
            throttled: stats.throttled,
            not_found: stats.not_found,
            fatal: stats.fatal,
            refused: stats.refused,
            panicked: stats.panicked,
            timed_out: stats.timed_out,
            paused_ms: millis(stats.paused),
            mean_lag_ms: stats.mean_lag().map(millis),
            max_lag_ms: (stats.lags > 0).then(|| millis(stats.lag_max)),
        };
        Self {
            polls,
            in_flight: stats.in_flight,
            window: stats.window,
            watched: stats.watched,
            pause_left_ms: millis(stats.pause_left),
            succeeded: stats.succeeded,
            unsuccessful: stats.failed.iter().sum(),
        }
    }
}

#[derive(Serialize)]
struct EtaFields {
    age_ms: u64,
    past_jobs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_p50_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_p90_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    late_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue: Option<bool>,
}

impl From<&Eta> for EtaFields {
    fn from(eta: &Eta) -> Self {
        Self {
            age_ms: millis(eta.age),
            past_jobs: eta.past_jobs,
            eta_ms: eta.remaining.map(|remaining| millis(remaining.mean)),
            eta_p50_ms: eta.remaining.map(|remaining| millis(remaining.p50)),
            eta_p90_ms: eta.remaining.and_then(|remaining| remaining.p90).map(millis),
            late_after_ms: eta.late_after.map(millis),
            overdue: eta.late_after.map(|_| eta.is_overdue()),
        }
    }
}

/// A time in UTC with milliseconds, the resolution of the services.
struct Rfc3339(jiff::Timestamp);

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

/// Returns none for a time outside the years -9999 to 9999.
fn rfc3339(time: SystemTime) -> Option<Rfc3339> {
    jiff::Timestamp::try_from(time).ok().map(Rfc3339)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
