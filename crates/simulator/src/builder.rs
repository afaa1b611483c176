use std::fmt;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use crate::accounts::{AccessKey, User};
use crate::random::hex_id;
use crate::server::{listen, run};
use crate::simulator::{Server, Simulator};
use crate::state::Shared;

/// How `begin_time` and `end_time` are written: the manual says one thing and shows another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// Integers, milliseconds since 1970; null while the job runs.
    #[default]
    Millis,
    /// Text such as `2023-10-26T10:30:00+0800`; empty while the job runs.
    Text,
}

/// Settings of a [`Simulator`] before it starts.
#[derive(Clone)]
#[must_use = "call `start` or `start_on_thread`"]
pub struct SimulatorBuilder {
    pub(crate) config: Config,
}

impl SimulatorBuilder {
    /// Decides ids, random durations and random faults. By default 0: every run is alike.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self.config.project_id = project_id(seed);
        self
    }

    /// The port on 127.0.0.1; 0, the default, lets the system choose a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.config.port = port;
        self
    }

    /// How jobs tell their times. By default [`TimeFormat::Millis`].
    pub fn times(mut self, times: TimeFormat) -> Self {
        self.config.times = times;
        self
    }

    /// How long every request waits before it is looked at. By default not at all.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.config.latency = latency;
        self
    }

    /// Whether requests are recorded, at some 130 bytes each. By default they are; counts, the
    /// most in flight and connections are kept in any case.
    pub fn record(mut self, record: bool) -> Self {
        self.config.record = record;
        self
    }

    /// The IAM user, in place of one made up; [`Simulator::user`] tells which.
    pub fn user(mut self, user: User) -> Self {
        self.config.user = user;
        self
    }

    /// After so many wrong passwords in a row IAM locks the user for 15 minutes. By default 5.
    pub fn login_attempts(mut self, attempts: u32) -> Self {
        self.config.login_attempts = attempts;
        self
    }

    /// How long tokens live that IAM issues. By default 24 hours, as in the real one.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.token_lifetime = lifetime;
        self
    }

    /// The key for signed requests, in place of one made up; [`Simulator::access_key`] tells which.
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.config.access_key = key;
        self
    }

    /// How long a firewall takes to be created. By default 300 ms.
    pub fn firewall_create(mut self, length: Duration) -> Self {
        self.config.firewall_create = length;
        self
    }

    /// How long a firewall takes to be deleted. By default 200 ms.
    pub fn firewall_delete(mut self, length: Duration) -> Self {
        self.config.firewall_delete = length;
        self
    }

    /// Whether the job of a deletion can be polled: no public source tells. By default it can.
    pub fn delete_jobs_exist(mut self, exist: bool) -> Self {
        self.config.delete_jobs_exist = exist;
        self
    }

    /// Starts the server on the current runtime.
    ///
    /// Not for a runtime whose clock is paused: it would jump to the next timer whenever it waits
    /// for a socket. [`start_on_thread`](Self::start_on_thread) is safe there.
    ///
    /// # Errors
    ///
    /// When the port cannot be had.
    ///
    /// # Cancel safety
    ///
    /// It never waits, so there is no half-way to be dropped at.
    pub async fn start(self) -> io::Result<Simulator> {
        let (simulator, server) = self.bind()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the server's one task; its connections live inside it"
        )]
        tokio::spawn(server);
        Ok(simulator)
    }

    /// Starts the server on a thread of its own, named `cfw-simulator`, with its own runtime, so
    /// that its CPU time and its clock are not the client's. Needs no runtime to be called.
    ///
    /// # Errors
    ///
    /// When the port, the thread or its runtime cannot be had.
    pub fn start_on_thread(self) -> io::Result<Simulator> {
        let (tell, told) = mpsc::sync_channel(1);
        // All of it over there: a runtime must not be dropped where another one is running, and
        // this may well be called inside one.
        let serve = move || {
            let started = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .and_then(|runtime| {
                    let context = runtime.enter();
                    let (simulator, server) = self.bind()?;
                    drop(context);
                    Ok((runtime, simulator, server))
                });
            match started {
                Ok((runtime, simulator, server)) => {
                    // The caller is waiting; if it were not, the handle would be dropped, and
                    // that stops the server.
                    let _ = tell.send(Ok(simulator));
                    runtime.block_on(server);
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        };
        thread::Builder::new().name("cfw-simulator".to_owned()).spawn(serve)?;
        told.recv().map_err(io::Error::other)?
    }

    fn bind(self) -> io::Result<(Simulator, impl Future<Output = ()> + Send + 'static)> {
        let listener = listen(self.config.port)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::new(self.config, endpoint));
        let (stop, stopped) = watch::channel(());
        let (ended, alive) = watch::channel(());
        let simulator = Simulator::new(shared.clone(), Server { stop, alive });
        let server = async move {
            run(listener, shared, stopped).await;
            drop(ended);
        };
        Ok((simulator, server))
    }
}

impl fmt::Debug for SimulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { seed, port, times, latency, .. } = &self.config;
        f.debug_struct("SimulatorBuilder")
            .field("seed", seed)
            .field("port", port)
            .field("times", times)
            .field("latency", latency)
            .finish_non_exhaustive()
    }
}

/// What is settled before the start and never changes.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) seed: u64,
    pub(crate) port: u16,
    pub(crate) times: TimeFormat,
    pub(crate) latency: Duration,
    pub(crate) record: bool,
    pub(crate) project_id: String,
    pub(crate) token: String,
    pub(crate) user: User,
    pub(crate) login_attempts: u32,
    pub(crate) token_lifetime: Duration,
    pub(crate) access_key: AccessKey,
    pub(crate) firewall_create: Duration,
    pub(crate) firewall_delete: Duration,
    pub(crate) delete_jobs_exist: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            port: 0,
            times: TimeFormat::default(),
            latency: Duration::ZERO,
            record: true,
            project_id: project_id(0),
            token: "simulated-token".to_owned(),
            user: User::new("simulated-user", "simulated-password"),
            login_attempts: 5,
            token_lifetime: Duration::from_secs(24 * 3600),
            access_key: AccessKey::new("SIMULATEDACCESSKEY00", "simulated-secret-key"),
            firewall_create: Duration::from_millis(300),
            firewall_delete: Duration::from_millis(200),
            delete_jobs_exist: true,
        }
    }
}

fn project_id(seed: u64) -> String {
    const PROJECT: u64 = 3;
    hex_id(seed, PROJECT, 0)
}
