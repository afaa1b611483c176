//! Signals of Unix.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::Signal;

/// Signals within this time of the first are part of it: timeout(1) sends each signal twice, to the
/// process and to its group, and a closing terminal may do so as well.
const SAME: Duration = Duration::from_millis(250);

/// The signals that end the command.
pub(super) struct Source {
    /// `None` if the signal was ignored when the command was started, as by nohup(1).
    hangup: Option<Stream>,
    interrupt: Stream,
    terminate: Stream,
    /// Comes with the error of a write beyond the limit of ulimit(1). Without a handler it would end the command, and the result of
    /// its wait would be lost.
    _file_too_large: Stream,
}

impl Source {
    pub(super) fn install() -> io::Result<Self> {
        let hangup = SignalKind::hangup();
        Ok(Self {
            hangup: if is_ignored(hangup) { None } else { Some(signal(hangup)?) },
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            _file_too_large: signal(SignalKind::from_raw(
                nix::sys::signal::Signal::SIGXFSZ as i32,
            ))?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        Arrivals::next(self).await
    }

    /// Waits for one more signal, which comes at least [`SAME`] after the first.
    pub(super) async fn next_distinct(&mut self) {
        next_distinct(self).await;
    }
}

/// Signals as they arrive.
trait Arrivals: Send {
    fn next(&mut self) -> impl Future<Output = Signal> + Send;
}

impl Arrivals for Source {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = next(self.hangup.as_mut()) => Signal::Hangup,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

async fn next_distinct(arrivals: &mut impl Arrivals) {
    #[expect(clippy::disallowed_methods, reason = "independent of the polls")]
    let mut same = std::pin::pin!(tokio::time::sleep(SAME));
    loop {
        tokio::select! {
            biased;
            () = &mut same => break,
            _ = arrivals.next() => {}
        }
    }
    arrivals.next().await;
}

async fn next(stream: Option<&mut Stream>) {
    match stream {
        Some(stream) => {
            stream.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Returns whether the command was started with the signal ignored.
///
/// The system call for it needs unsafe code, so that this is known only where /proc tells it.
fn is_ignored(kind: SignalKind) -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| ignored_in(&status, kind.as_raw_value()))
}

fn ignored_in(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = signal.checked_sub(1).and_then(|bit| 1_u64.checked_shl(bit.try_into().ok()?));
    mask & bit.unwrap_or(0) != 0
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    struct Script(VecDeque<tokio::time::Instant>);

    #[expect(clippy::disallowed_methods, reason = "the time is virtual")]
    impl Arrivals for Script {
        async fn next(&mut self) -> Signal {
            let Some(arrival) = self.0.front() else { return std::future::pending().await };
            tokio::time::sleep_until(*arrival).await;
            self.0.pop_front();
            Signal::Terminate
        }
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the time is virtual")]
    async fn signals_soon_after_the_first_are_part_of_it() {
        for (arrivals, end) in [
            (&[100][..], None),
            (&[0, 1, 249], None),
            (&[260], Some(260)),
            (&[3_000], Some(3_000)),
            (&[1, 100, 1_000, 2_000], Some(1_000)),
        ] {
            let start = tokio::time::Instant::now();
            let times = arrivals.iter().map(|arrival| start + Duration::from_millis(*arrival));
            let mut script = Script(times.collect());
            let hour = Duration::from_secs(3_600);
            let result = tokio::time::timeout(hour, next_distinct(&mut script)).await;
            let ended = result.ok().map(|()| start.elapsed().as_millis());
            assert_eq!(ended, end, "{arrivals:?}");
        }
    }

    #[test]
    fn an_ignored_signal_is_found_in_the_mask() {
        let status = "Name:\tcfw-wait\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n";
        assert!(ignored_in(status, 1) && ignored_in(status, 13));
        for other in [2, 15, 64, 0, -1, 65] {
            assert!(!ignored_in(status, other), "{other}");
        }
        assert!(!ignored_in("", 1) && !ignored_in("SigIgn:\tx\n", 1));
    }
}
