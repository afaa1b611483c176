//! What is known about the credentials, and what a call may do with them. Pure: no clock, no I/O.
//!
//! A *generation* is one token, or one setting of the clock that a key signs with. The rules:
//!
//! - Until a generation has had an answer that shows it was let through, one request at a time carries it:
//!   the probe. Five hundred calls with a wrong key are one refused request, not a locked key.
//! - A refused generation is replaced once, however many calls were refused with it, and never sent again.
//! - Two refusals in a row, with nothing let through between, are final. So is one refusal of what cannot
//!   be replaced.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::{
    generation::{Correction, Generation, Proof},
    provider::Provide,
};
use crate::{Class, Error, classify::Refusal, endpoint::Endpoint};

/// A token is renewed so long before it expires, or a tenth of its life if that is less: requests take a
/// while, and the manual warns of tokens about to expire.
const MARGIN: Duration = Duration::from_secs(300);

/// The gateway locks a key for so long after more than five failures, and each further one starts it anew.
const LOCK_OUT: Duration = Duration::from_secs(300);

/// The pause after a renewal that failed and may be tried again: the first, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a renewal brings.
pub(super) struct Fresh {
    pub(super) secret: SecretString,
    pub(super) header: HeaderValue,
    /// How long it is good for from now on.
    pub(super) life: Option<Duration>,
    pub(super) project_id: Option<String>,
    pub(super) endpoint: Option<Endpoint>,
}

/// What a call may do.
pub(super) enum Ask {
    /// Send with this generation, as its probe if there is a ticket.
    Go { generation: Arc<Generation>, probe: Option<u64> },
    /// Start a renewal under this ticket, then ask again.
    Renew { ticket: u64, why: Provide },
    /// Wait for another call's probe or for a renewal, then ask again.
    Wait,
    /// Fail without a request.
    Fail { error: Error, in_renewal: bool },
}

pub(super) struct Ledger {
    /// How long a probe may take before it counts as abandoned: its caller may hold but not poll it.
    probe_limit: Duration,
    renewal_limit: Duration,
    renewable: bool,
    current: Option<Arc<Generation>>,
    trust: Trust,
    /// The last refusal, if nothing has been let through since.
    refusal: Option<Error>,
    renewal: Option<Held>,
    /// The last renewal's failure, until one succeeds.
    failure: Option<Failure>,
    /// The key is locked, since then and as this error says.
    locked: Option<(SystemTime, Error)>,
    /// Why there will be no other generation.
    last: Option<Final>,
    tickets: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Unproven,
    Probing(Held),
    Proven,
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    ticket: u64,
    since: SystemTime,
}

impl Held {
    fn is_live(self, now: SystemTime, limit: Duration) -> bool {
        // A clock that went back says nothing about who is still there.
        now.duration_since(self.since).is_ok_and(|held| held <= limit)
    }
}

struct Failure {
    at: SystemTime,
    pause: Duration,
    error: Error,
}

struct Final {
    error: Error,
    in_renewal: bool,
}

impl Ledger {
    /// For tokens that are asked for when needed.
    pub(super) fn renewable(probe_limit: Duration, renewal_limit: Duration) -> Self {
        Self {
            probe_limit,
            renewal_limit,
            renewable: true,
            current: None,
            trust: Trust::Refused,
            refusal: None,
            renewal: None,
            failure: None,
            locked: None,
            last: None,
            tickets: 0,
        }
    }

    /// For a token or key that is all there is.
    pub(super) fn fixed(proof: Proof, probe_limit: Duration) -> Self {
        let mut ledger = Self::renewable(probe_limit, Duration::ZERO);
        ledger.renewable = false;
        ledger.replace(Generation::new(proof));
        ledger
    }

    pub(super) fn ask(&mut self, now: SystemTime) -> Ask {
        if let Some((since, error)) = &self.locked {
            let served = now.duration_since(*since).unwrap_or(LOCK_OUT);
            if let Some(left) = LOCK_OUT.checked_sub(served).filter(|left| !left.is_zero()) {
                return Ask::Fail { error: error.of_class(locked_for(left)), in_renewal: false };
            }
            self.locked = None;
        }
        let Some(generation) = self.current.clone() else {
            return self.renew(now, Provide::First);
        };
        match self.trust {
            Trust::Refused => self.renew(now, Provide::Refused),
            Trust::Probing(probe) if probe.is_live(now, self.probe_limit) => Ask::Wait,
            Trust::Probing(_) | Trust::Unproven => {
                let ticket = self.ticket();
                self.trust = Trust::Probing(Held { ticket, since: now });
                Ask::Go { generation, probe: Some(ticket) }
            }
            // Only what was let through once is renewed for its age. Else a source of tokens that are born
            // expired would be asked without end.
            Trust::Proven if generation.expires_at.is_some_and(|end| end <= now) => {
                self.renew(now, Provide::Expiring)
            }
            Trust::Proven => Ask::Go { generation, probe: None },
        }
    }

    /// Whether a renewal should start while calls go on with what there is.
    pub(super) fn ask_ahead(&mut self, now: SystemTime) -> Option<u64> {
        let due = self
            .current
            .as_ref()
            .and_then(|generation| generation.renew_at)
            .is_some_and(|at| at <= now);
        if self.trust != Trust::Proven || !due {
            return None;
        }
        match self.renew(now, Provide::Expiring) {
            Ask::Renew { ticket, .. } => Some(ticket),
            Ask::Go { .. } | Ask::Wait | Ask::Fail { .. } => None,
        }
    }

    fn renew(&mut self, now: SystemTime, why: Provide) -> Ask {
        if let Some(Final { error, in_renewal }) = &self.last {
            return Ask::Fail { error: error.clone(), in_renewal: *in_renewal };
        }
        if self.renewal.is_some_and(|held| held.is_live(now, self.renewal_limit)) {
            return Ask::Wait;
        }
        if let Some(Failure { at, pause, error }) = &self.failure
            && now.duration_since(*at).is_ok_and(|passed| passed < *pause)
        {
            return Ask::Fail { error: error.clone(), in_renewal: true };
        }
        let ticket = self.ticket();
        self.renewal = Some(Held { ticket, since: now });
        Ask::Renew { ticket, why }
    }

    /// A renewal has ended. One that was given up for another is ignored.
    pub(super) fn renewed(&mut self, now: SystemTime, ticket: u64, outcome: Result<Fresh, Error>) {
        if self.renewal.is_none_or(|held| held.ticket != ticket) {
            return;
        }
        self.renewal = None;
        match outcome {
            Ok(fresh) => {
                self.failure = None;
                if let Some(error) = &self.refusal
                    && self.trust == Trust::Refused
                    && self.holds(&fresh.secret)
                {
                    self.last = Some(Final { error: error.clone(), in_renewal: false });
                    return;
                }
                let Fresh { secret, header, life, project_id, endpoint } = fresh;
                let until = |left: Duration| now.checked_add(left);
                self.replace(Generation {
                    renew_at: life
                        .and_then(|life| until(life.saturating_sub(MARGIN.min(life / 10)))),
                    expires_at: life.and_then(until),
                    project_id,
                    endpoint,
                    ..Generation::new(Proof::Token { secret, header })
                });
            }
            Err(error) if error.is_transient() => {
                let pause = self
                    .failure
                    .as_ref()
                    .map_or(FIRST_PAUSE, |failure| failure.pause.saturating_mul(2));
                let pause = error.retry_after().unwrap_or(pause.min(LONGEST_PAUSE));
                self.failure = Some(Failure { at: now, pause, error });
            }
            Err(error) => self.last = Some(Final { error, in_renewal: true }),
        }
    }

    /// A request with generation `number` was let through.
    pub(super) fn accepted(&mut self, number: u64) {
        if self.is_current(number) && self.trust != Trust::Refused {
            self.trust = Trust::Proven;
            self.refusal = None;
        }
    }

    /// A probe ended without saying anything about the generation.
    pub(super) fn unanswered(&mut self, ticket: u64) {
        if let Trust::Probing(held) = self.trust
            && held.ticket == ticket
        {
            self.trust = Trust::Unproven;
        }
    }

    /// A request with generation `number` was refused. Returns the error to give to the caller, or nothing
    /// if the caller shall ask for another generation and send again.
    pub(super) fn refused(
        &mut self,
        now: SystemTime,
        number: u64,
        refusal: Refusal,
        server_time: Option<SystemTime>,
        error: &Error,
    ) -> Option<Error> {
        let signs = match &self.current {
            Some(current) if current.number == number => matches!(current.proof, Proof::Key { .. }),
            // An older generation than the one that has come since, or is being obtained.
            _ => return None,
        };
        if self.trust == Trust::Refused {
            return self.last.as_ref().map(|_| error.clone());
        }
        if signs && refusal == Refusal::LockedOut {
            // Whoever caused it: the key may well be right, and until the lock ends no try can tell.
            self.trust = Trust::Unproven;
            self.locked = Some((now, error.clone()));
            return Some(error.of_class(locked_for(LOCK_OUT)));
        }
        let again = self.refusal.replace(error.clone()).is_none();
        self.trust = Trust::Refused;
        if again && self.renewable {
            return None;
        }
        if again
            && signs
            && refusal == Refusal::Clock
            && let Some(servers) = server_time
        {
            self.replace(Generation::new(Proof::Key { clock: Correction::between(now, servers) }));
            return None;
        }
        self.last = Some(Final { error: error.clone(), in_renewal: false });
        Some(error.clone())
    }

    fn is_current(&self, number: u64) -> bool {
        self.current.as_ref().is_some_and(|current| current.number == number)
    }

    fn holds(&self, secret: &SecretString) -> bool {
        match self.current.as_ref().map(|current| &current.proof) {
            Some(Proof::Token { secret: known, .. }) => {
                known.expose_secret() == secret.expose_secret()
            }
            Some(Proof::Key { .. }) | None => false,
        }
    }

    fn replace(&mut self, mut generation: Generation) {
        generation.number = self.ticket();
        self.trust = Trust::Unproven;
        self.current = Some(Arc::new(generation));
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }
}

fn locked_for(left: Duration) -> Class {
    Class::Throttled { retry_after: Some(left), quota: None }
}

#[cfg(test)]
mod tests;
