//! The library's tracing on standard error.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::output::colours;

/// Shows what our own crates log: at `-v` what they do, at `-vv` every poll.
///
/// Nothing of other crates is shown at any level, so that none of them can log a header that holds a token.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let ours = Targets::new().with_target("cfw_", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colours());
    tracing_subscriber::registry().with(lines).with(ours).init();
}
