//! Logs of the library on standard error.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::output::has_colours;
use crate::streams;

/// Enables the logs of this workspace: debug events with `-v`, and every poll with `-vv`.
///
/// Logs of other crates are never enabled, because they could contain a header with a token.
pub(crate) fn init(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let targets = Targets::new().with_target("cfw_", level);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(streams::stderr).with_ansi(has_colours());
    tracing_subscriber::registry().with(lines).with(targets).init();
}
