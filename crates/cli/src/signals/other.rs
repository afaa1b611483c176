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
