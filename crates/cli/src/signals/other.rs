//! Systems without Unix signals: Ctrl-C only.

use std::io;

use super::Signal;

pub(super) struct Source;

impl Source {
    #[expect(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }

    pub(super) async fn next_distinct(&mut self) {
        self.next().await;
    }
}

/// Nothing stops and continues a process here.
pub(crate) struct JobControl;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobSignal {
    Stop,
    Continue,
}

impl JobControl {
    #[expect(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) -> JobSignal {
        std::future::pending().await
    }
}

pub(crate) fn stop_process() -> bool {
    false
}

pub(crate) fn is_foreground() -> bool {
    true
}
