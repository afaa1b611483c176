//! `cfw-wait simulate`: a simulated service for tests of pipelines.

use std::io;

use cfw_simulator::{SimulateOptions, Simulator};
use jiff::Timestamp;
use serde::Serialize;

use crate::args::{SimulateArgs, SimulateFormat};
use crate::exit::{CliError, Exit};
use crate::json;
use crate::output::print_error;
use crate::print;
use crate::signals::Signals;

pub(crate) async fn simulate(args: &SimulateArgs, mut signals: Signals) -> Result<Exit, CliError> {
    let mut options = SimulateOptions::default();
    options.port = args.port;
    options.seed = args.seed;
    options.jobs = usize::from(args.jobs);
    options.mean = args.duration.duration;
    options.failure_share = args.failures;
    options.fault_share = args.faults;
    let (sim, ids) = options.start().await.map_err(|error| {
        CliError::misconfigured(format!(
            "cannot run the simulator on --port {}: {error}",
            args.port
        ))
    })?;
    if !args.quiet {
        let pid = std::process::id();
        print_error(&format!(
            "cfw-wait: simulating a firewall service on {} until Ctrl-C or kill {pid}",
            sim.endpoint()
        ));
    }
    let service = Service::new(&sim, &ids, args.access_key);
    let text = match args.output {
        SimulateFormat::Text => service.shell_lines(),
        SimulateFormat::Json => service.json()?,
        SimulateFormat::Ids => ids.iter().map(|id| format!("{id}\n")).collect(),
    };
    // Who reads the lines may send a signal at once.
    signals.attend();
    print(text.as_bytes())?;
    release_stdout()?;
    signals.first().await;
    sim.shutdown().await;
    Ok(Exit::Succeeded)
}

/// What a client needs to know of the service.
#[derive(Serialize)]
struct Service<'a> {
    v: u32,
    time: String,
    r#type: &'static str,
    pid: u32,
    endpoint: String,
    project_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<&'a str>,
    job_ids: &'a [String],
}

impl<'a> Service<'a> {
    fn new(sim: &'a Simulator, job_ids: &'a [String], has_key: bool) -> Self {
        let key = sim.access_key();
        Self {
            v: json::VERSION,
            time: format!("{:.3}", Timestamp::now()),
            r#type: "simulating",
            pid: std::process::id(),
            endpoint: sim.endpoint().to_string(),
            project_id: sim.project_id(),
            token: (!has_key).then(|| sim.token()),
            access_key: has_key.then(|| key.access()),
            secret_key: has_key.then(|| key.secret()),
            job_ids,
        }
    }

    /// Returns lines that a shell can evaluate. All values are free of characters that it would expand.
    fn shell_lines(&self) -> String {
        let mut text = String::new();
        let mut export = |name: &str, value: &str| {
            text.push_str(&format!("export {name}={value}\n"));
        };
        export("CFW_ENDPOINT", &self.endpoint);
        export("CFW_PROJECT_ID", self.project_id);
        // The names that OpenStack and vendor tools read. No tool reads a `CFW_` name for keys.
        for (name, value) in [
            ("CFW_TOKEN", self.token),
            ("OS_ACCESS_KEY", self.access_key),
            ("OS_SECRET_KEY", self.secret_key),
        ] {
            if let Some(value) = value {
                export(name, value);
            }
        }
        export("CFW_JOB_IDS", &format!("'{}'", self.job_ids.join(" ")));
        export("CFW_SIMULATOR_PID", &self.pid.to_string());
        if self.access_key.is_some() {
            // A token would take precedence over the key.
            text.push_str("unset CFW_TOKEN\n");
        }
        text
    }

    fn json(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// Replaces standard output by the null device. A reader, such as `$(..)` of a shell, sees its end.
fn release_stdout() -> io::Result<()> {
    #[cfg(unix)]
    nix::unistd::dup2_stdout(std::fs::File::options().write(true).open("/dev/null")?)?;
    Ok(())
}
