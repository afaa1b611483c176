//! The settings and the start of a simulator.

use std::fmt;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use crate::http::server::{listen, run};
use crate::model::account::{AccessKey, User};
use crate::simulator::handle::{ServerHandle, Simulator};
use crate::state::config::{Config, TimeFormat};
use crate::state::shared::Shared;

/// The settings of a [`Simulator`] that is not started yet.
#[derive(Clone)]
#[must_use = "call `start` or `start_on_thread`"]
pub struct SimulatorBuilder {
    config: Config,
}

// These constructors are here so that `handle` does not import the builder.
impl Simulator {
    /// Returns a builder with default settings.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder { config: Config::default() }
    }

    /// Starts a simulator with default settings on the current runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if no port of 127.0.0.1 can be bound.
    ///
    /// # Cancel safety
    ///
    /// The future never waits.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }
}

impl SimulatorBuilder {
    /// Sets the seed of ids, random durations and random faults. By default it is 0, so that all
    /// runs draw the same.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.set_seed(seed);
        self
    }

    /// Sets the port on 127.0.0.1. By default it is 0, and the system chooses a free port.
    pub fn port(mut self, port: u16) -> Self {
        self.config.port = port;
        self
    }

    /// Sets the format of times in polls. By default it is [`TimeFormat::Millis`].
    pub fn times(mut self, times: TimeFormat) -> Self {
        self.config.times = times;
        self
    }

    /// Sets the delay of every request before it is processed. By default it is zero.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.config.latency = latency;
        self
    }

    /// Sets whether requests are recorded, with about 130 bytes each. By default they are. Requests
    /// and connections are counted in any case.
    pub fn record(mut self, record: bool) -> Self {
        self.config.record = record;
        self
    }

    /// Sets the IAM user. By default it is a fixed one, which [`Simulator::user`] returns.
    pub fn user(mut self, user: User) -> Self {
        self.config.user = user;
        self
    }

    /// Sets the number of wrong passwords in a row after which IAM locks the user for 15 minutes. By
    /// default it is 5.
    pub fn login_attempts(mut self, attempts: u32) -> Self {
        self.config.login_attempts = attempts;
        self
    }

    /// Sets the lifetime of the tokens that IAM issues. By default it is 24 hours, as in the real
    /// one.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.token_lifetime = lifetime;
        self
    }

    /// Sets the key of signed requests. By default it is a fixed one, which
    /// [`Simulator::access_key`] returns.
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.config.access_key = key;
        self
    }

    /// Sets the duration of jobs that create a firewall. By default it is 300 ms.
    pub fn firewall_create(mut self, duration: Duration) -> Self {
        self.config.firewall_create = duration;
        self
    }

    /// Sets the duration of jobs that delete a firewall. By default it is 200 ms.
    pub fn firewall_delete(mut self, duration: Duration) -> Self {
        self.config.firewall_delete = duration;
        self
    }

    /// Sets whether the job of a deletion can be polled, which no public source documents. By
    /// default it can.
    pub fn delete_jobs_exist(mut self, exist: bool) -> Self {
        self.config.delete_jobs_exist = exist;
        self
    }

    /// Starts the server on the current runtime.
    ///
    /// The runtime's clock must not be paused: it would jump to the next timer at each wait for a
    /// socket. [`start_on_thread`](Self::start_on_thread) does not depend on the caller's clock.
    ///
    /// # Errors
    ///
    /// Returns an error if the port cannot be bound.
    ///
    /// # Cancel safety
    ///
    /// The future never waits.
    pub async fn start(self) -> io::Result<Simulator> {
        let (simulator, server) = self.bind()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the only task of the server, which owns its connections"
        )]
        tokio::spawn(server);
        Ok(simulator)
    }

    /// Starts the server on a new thread named `cfw-simulator` with its own runtime, so that it
    /// shares neither CPU time nor clock with the client. The caller needs no runtime.
    ///
    /// # Errors
    ///
    /// Returns an error if the port cannot be bound, or the thread or its runtime not be created.
    pub fn start_on_thread(self) -> io::Result<Simulator> {
        let (started_tx, started_rx) = mpsc::sync_channel(1);
        // The runtime is created on the new thread, because it must not be dropped inside another
        // runtime, and the caller may be in one.
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
                    // The caller is waiting. Otherwise the handle is dropped, which stops the
                    // server.
                    let _ = started_tx.send(Ok(simulator));
                    runtime.block_on(server);
                }
                Err(error) => drop(started_tx.send(Err(error))),
            }
        };
        thread::Builder::new().name("cfw-simulator".to_owned()).spawn(serve)?;
        started_rx.recv().map_err(io::Error::other)?
    }

    fn bind(self) -> io::Result<(Simulator, impl Future<Output = ()> + Send + 'static)> {
        let listener = listen(self.config.port)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::new(self.config, endpoint));
        let (stop_tx, stop_rx) = watch::channel(());
        let (ended_tx, ended_rx) = watch::channel(());
        let handle = ServerHandle { stop: stop_tx, ended: ended_rx };
        let simulator = Simulator::new(shared.clone(), handle);
        let server = async move {
            run(listener, shared, stop_rx).await;
            drop(ended_tx);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_secrets() {
        let user = User::new("u", "SENSITIVE").with_totp("SENSITIVE");
        let key = AccessKey::new("SENSITIVE", "SENSITIVE").with_security_token("SENSITIVE");
        let builder = Simulator::builder().user(user).access_key(key);
        assert!(!format!("{builder:?}").contains("SENSITIVE"));
    }
}
