//! Leaks on purpose, which show that the verdict can fail.

use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::runtimes::Runtimes;

#[derive(Default)]
pub(super) struct Leaks {
    /// When it began, if it is wanted.
    since: Option<Instant>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    ends: u64,
    seconds: u64,
    bytes: Vec<u8>,
    sockets: Vec<TcpListener>,
}

impl Leaks {
    pub(super) fn since(now: Instant) -> Self {
        Self { since: Some(now), ..Self::default() }
    }

    /// Keeps some bytes for each end, and reports one in a thousand again.
    pub(super) fn at_an_end(&self, report: impl FnOnce()) {
        if self.since.is_none() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes.extend([1; 48]);
        kept.ends += 1;
        if kept.ends.is_multiple_of(1_000) {
            drop(kept);
            report();
        }
    }

    /// Returns the timeout of a wait: longer than it should be for some, far longer for others.
    pub(super) fn stretch(&self, number: u64, timeout: Duration) -> Duration {
        match number % 4 {
            _ if self.since.is_none() => timeout,
            0 => timeout + Duration::from_secs(5),
            1 => timeout * 100,
            _ => timeout,
        }
    }

    /// Returns for how long the end of a job in memory is not to be seen: ever longer.
    #[expect(clippy::disallowed_methods, reason = "leaks with the time")]
    pub(super) fn hold_back(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed() / 50)
    }

    /// Leaks a socket, some tasks and now and then a thread.
    pub(super) fn each_second(&self, runtimes: &Runtimes) {
        if self.since.is_none() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.seconds += 1;
        kept.sockets.extend(TcpListener::bind("127.0.0.1:0"));
        if let Some(runtime) = runtimes.first() {
            for _ in 0..5 {
                runtime.spawn(std::future::pending::<()>());
            }
        }
        if kept.seconds.is_multiple_of(3) {
            thread::spawn(park_for_ever);
        }
    }
}

fn park_for_ever() -> ! {
    loop {
        thread::park();
    }
}
