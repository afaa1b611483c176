use std::time::Duration;

use crate::simulator::TimeFormat;

/// What is settled before the start and never changes.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) seed: u64,
    pub(crate) port: u16,
    pub(crate) times: TimeFormat,
    pub(crate) latency: Duration,
    pub(crate) record: bool,
    pub(crate) project_id: String,
    pub(crate) token: String,
}
