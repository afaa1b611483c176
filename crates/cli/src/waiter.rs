//! The waiter that the flags describe.

use std::time::Duration;

use cfw_api::Client;
use cfw_waiter::{History, JobState, Learned, Policy, Schedule, Waiter, source_fn};

use crate::args::{IntervalArgs, PastJobsArgs, WaitArgs};
use crate::exit::CliError;

/// The factor by which the delay between two polls grows.
const GROWTH: f64 = 1.5;
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(15);
const LEARNED_MAX_INTERVAL: Duration = Duration::from_secs(300);

/// The calls, and the time for them, of the default rate.
pub(crate) const QUOTA: (u32, Duration) = (50, Duration::from_secs(1));

/// Builds the waiter that the flags describe, with their policy. With a history, past jobs tell when to poll.
pub(crate) fn build(
    args: &WaitArgs,
    mut policy: Policy,
    client: Client,
    history: Option<History>,
) -> Result<Waiter, CliError> {
    if history.is_some() {
        let schedule = learned(&args.intervals, &args.past_jobs)?;
        policy = policy.schedule(schedule);
    }
    let mut builder = Waiter::builder(client)
        .policy(policy)
        .history(history.unwrap_or_default())
        .max_in_flight(args.concurrency)
        .min_interval(args.intervals.min_interval.duration)
        .attempt_timeout(args.attempt_timeout.duration);
    if let Some(rate) = args.rate {
        builder = builder.quota(rate.0);
    }
    builder.build().map_err(|error| CliError::usage(interval_message(&args.intervals, &error)))
}

/// Checks a schedule against the minimum interval, by the rules of the waiter that `wait` would build.
pub(crate) fn check_intervals(args: &IntervalArgs, schedule: &Schedule) -> Result<(), CliError> {
    Waiter::builder(source_fn(|_id| async { Ok(JobState::running()) }))
        .policy(Policy::new().schedule(schedule.clone()))
        .min_interval(args.min_interval.duration)
        .build()
        .map_err(|error| CliError::usage(interval_message(args, &error)))?;
    Ok(())
}

/// Returns the policy that the flags describe.
pub(crate) fn policy(args: &WaitArgs) -> Result<Policy, CliError> {
    let schedule = growing(&args.intervals)?;
    let mut policy = Policy::new()
        .schedule(schedule)
        .timeout(args.timeout.duration())
        .not_found_grace(args.grace.duration)
        .give_up_unreached(args.give_up_unreached.nonzero())
        .first_poll_at_once(!args.intervals.delay_first_poll);
    if let Some(limit) = args.max_failures {
        policy = policy.failures_in_a_row(limit);
    }
    Ok(policy)
}

/// Returns the first delay between two polls without past jobs.
pub(crate) fn first_interval(args: &IntervalArgs) -> Duration {
    match (&args.interval, &args.max_interval) {
        (Some(first), _) => first.duration,
        // A maximum below the default first delay lowers the first delay, too.
        (None, Some(max)) => FIRST_INTERVAL.min(max.duration),
        (None, None) => FIRST_INTERVAL,
    }
}

/// Returns the schedule without past jobs.
fn growing(args: &IntervalArgs) -> Result<Schedule, CliError> {
    let first = first_interval(args);
    let max = args.max_interval.as_ref().map(|max| max.duration);
    let max = max.unwrap_or(MAX_INTERVAL.max(first));
    let schedule = Schedule::exponential(first, GROWTH, max);
    schedule.map_err(|error| CliError::usage(interval_message(args, &error)))
}

/// Returns the schedule that learns from past jobs, and falls back to the one without.
pub(crate) fn learned(
    intervals: &IntervalArgs,
    past_jobs: &PastJobsArgs,
) -> Result<Schedule, CliError> {
    let cost = &past_jobs.poll_cost;
    let mut settings = Learned::new().poll_cost(cost.duration);
    if let Some(max) = &intervals.max_interval {
        settings = settings.max_interval(max.duration);
    } else if let Some(first) = &intervals.interval {
        settings = settings.max_interval(LEARNED_MAX_INTERVAL.max(first.duration));
    }
    Schedule::learned(settings.fallback(growing(intervals)?))
        .map_err(|error| CliError::usage(format!("--poll-cost {cost}: {error}")))
}

/// Describes an error of the schedule, with the interval flags that were given.
fn interval_message(args: &IntervalArgs, error: &cfw_waiter::ConfigError) -> String {
    let mut flags = Vec::new();
    for (flag, value) in [
        ("--interval", &args.interval),
        ("--max-interval", &args.max_interval),
        ("--min-interval", &Some(args.min_interval.clone())),
    ] {
        if let Some(value) = value {
            flags.push(format!("{flag} {value}"));
        }
    }
    format!("{}: {error}", flags.join(" "))
}
