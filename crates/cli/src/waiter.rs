//! The waiter that the flags describe.

use std::time::Duration;

use cfw_api::Client;
use cfw_waiter::{History, Learned, Policy, Schedule, Waiter};

use crate::args::WaitArgs;
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
        policy = learned(args, policy)?;
    }
    let mut builder = Waiter::builder(client)
        .policy(policy)
        .history(history.unwrap_or_default())
        .max_in_flight(args.concurrency)
        .min_interval(args.min_interval.duration)
        .attempt_timeout(args.attempt_timeout.duration);
    if let Some(rate) = args.rate {
        builder = builder.quota(rate.0);
    }
    builder.build().map_err(|error| CliError::usage(interval_message(args, &error)))
}

/// Returns the policy that the flags describe.
pub(crate) fn policy(args: &WaitArgs) -> Result<Policy, CliError> {
    let max = args.max_interval.as_ref().map(|max| max.duration);
    let first = match (&args.interval, max) {
        (Some(first), _) => first.duration,
        // A maximum below the default first delay lowers the first delay, too.
        (None, Some(max)) => FIRST_INTERVAL.min(max),
        (None, None) => FIRST_INTERVAL,
    };
    let max = max.unwrap_or(MAX_INTERVAL.max(first));
    let schedule = Schedule::exponential(first, GROWTH, max);
    let schedule = schedule.map_err(|error| CliError::usage(interval_message(args, &error)))?;
    let mut policy = Policy::new()
        .schedule(schedule)
        .timeout(args.timeout.duration())
        .not_found_grace(args.grace.duration)
        .give_up_unreached(args.give_up_unreached.nonzero())
        .first_poll_at_once(!args.delay_first_poll);
    if let Some(limit) = args.max_failures {
        policy = policy.failures_in_a_row(limit);
    }
    Ok(policy)
}

/// Replaces the schedule of a policy by one that learns, and falls back to it.
fn learned(args: &WaitArgs, policy: Policy) -> Result<Policy, CliError> {
    let mut settings = Learned::new().poll_cost(args.poll_cost.duration);
    if let Some(max) = &args.max_interval {
        settings = settings.max_interval(max.duration);
    } else if let Some(first) = &args.interval {
        settings = settings.max_interval(LEARNED_MAX_INTERVAL.max(first.duration));
    }
    let schedule = Schedule::learned(settings.fallback(policy.get_schedule().clone()));
    let schedule = schedule
        .map_err(|error| CliError::usage(format!("--poll-cost {}: {error}", args.poll_cost)))?;
    Ok(policy.schedule(schedule))
}

/// Describes an error of the schedule, with the interval flags that were given.
fn interval_message(args: &WaitArgs, error: &cfw_waiter::ConfigError) -> String {
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
