//! The waiter through its public interface. One binary, since linking takes longer than most tests.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests fail loudly, too")]
#![expect(clippy::disallowed_methods, reason = "a test plays the user, who has clocks and tasks")]

mod lifecycle;
mod many_jobs;
mod one_job;
mod support;
