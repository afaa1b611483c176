//! What is left to do after the summary.

use crate::exec::{self, Exec};
use crate::exit::CliError;
use crate::output::{Output, print_warning};
use crate::signals::Signals;
use crate::state::State;
use crate::summary::Reason;

/// What is left to do after the summary: the runs of `--exec` that have not ended, and the last records of the state file.
pub(crate) struct LastSteps {
    pub(super) exec: Option<Exec>,
    pub(super) state: Option<State>,
    /// Jobs whose ends the summary has drawn at last.
    pub(super) undrawn: Vec<String>,
    pub(super) reason: Reason,
    pub(super) signals: Signals,
}

impl LastSteps {
    /// Waits for the runs to end, within limits, and reports them.
    pub(crate) async fn finish(self, output: &mut Output) {
        let Self { exec, mut state, undrawn, reason, signals } = self;
        let (limit, signals) = match reason {
            // A second signal ends the process at once.
            Reason::Interrupted(_) => (exec::SIGNAL_LIMIT, None),
            _ => (exec::EXIT_LIMIT, Some(signals)),
        };
        let mut written = Ok(());
        if let Some(state) = &mut state {
            written = undrawn.iter().try_for_each(|id| state.reported(id));
            written = written.and_then(|()| state.write());
        }
        if let Some(exec) = exec {
            let report = |report: exec::Report| {
                output.exec(&report);
                // Nothing draws frames any more.
                output.draw_lines();
                if let (Some(state), Some(id)) = (&mut state, &report.id)
                    && !output.is_closed()
                    && written.is_ok()
                {
                    written = state.reported(id).and_then(|()| state.write());
                }
            };
            exec.finish(limit, signals, report).await;
        }
        let Some(mut state) = state else { return };
        let written = match reason {
            Reason::AllEnded | Reason::FirstSuccess | Reason::FirstFailure => {
                written.and_then(|()| state.finish())
            }
            Reason::Interrupted(_) | Reason::OutputClosed => written,
        };
        // The file has all ends. The next run reports some of them again.
        if let Err(CliError { message: Some(message), .. }) = written {
            print_warning(&message);
        }
    }
}
