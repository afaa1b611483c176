//! The waiter through its public interface. One binary, since linking takes longer than most tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests fail loudly, and show what they measured"
)]
#![expect(clippy::disallowed_methods, reason = "a test plays the user, who has clocks and tasks")]

mod aborts;
mod ages;
mod blocking;
mod budgets;
mod growth;
mod hangs;
mod lifecycle;
mod many_jobs;
mod new_api;
mod one_job;
mod one_request;
mod resume;
mod rules;
mod slow_sources;
mod spans;
mod stress;
mod support;
mod takeovers;
mod user_code;
