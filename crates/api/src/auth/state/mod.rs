//! The state of the credentials, and what a call may do in it. Pure: no clock, no I/O.
//!
//! A *generation* is one token, or one correction of the clock that a key signs with. The rules:
//!
//! - A generation is unproven until the service accepts a request with it. Until then one request at a time
//!   carries it, the probe. Five hundred calls with a wrong key thus send one request and do not lock the key.
//! - A refused generation is replaced once, however many calls were refused with it, and is never sent again.
//! - The clock is corrected once, by at most a day. Otherwise a server could collect signatures for any time.
//! - Before any generation was accepted, two refusals in a row are final. One refusal of a generation that cannot be
//!   replaced is final, too.
//! - Credentials that were accepted once are refused for good only after [`Row::REFUSALS`] refusals in a row over
//!   [`Row::SPAN`], because one node of the gateway can refuse what the others accept. Between them rests [`Row::pause`],
//!   in which no request is sent, and each time one request carries the credentials. There are never more than five of them:
//!   more than five failures in a row lock a key. Renewals are judged alike.

mod row;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use secrecy::ExposeSecret;

use self::row::Row;
use super::{
    catalog::CatalogEndpoint,
    material::{AuthMaterial, ClockSkew, Generation},
    provider::RefreshReason,
};
use crate::{Class, Error, http::classify::Refusal};

/// How long before its expiry a token is renewed, or a tenth of its life if that is less: requests take time,
/// and the manual warns against tokens about to expire.
const MARGIN: Duration = Duration::from_secs(300);

/// How long the gateway locks a key after more than five failures. Each further failure restarts the time.
const LOCKOUT: Duration = Duration::from_secs(300);

/// The pause after a failed renewal that may be tried again. It doubles from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The largest correction of the clock. A server must not choose at which time this machine signs.
const MAX_SKEW: Duration = Duration::from_secs(24 * 60 * 60);

/// The result of a renewal.
pub(super) struct Renewed {
    pub(super) material: AuthMaterial,
    /// The time until it expires.
    pub(super) life: Option<Duration>,
    pub(super) project_id: Option<String>,
    pub(super) endpoint: CatalogEndpoint,
}

/// What a call does next.
pub(super) enum Decision {
    /// Send with this generation, as its probe if there is a ticket.
    Proceed { generation: Arc<Generation>, probe: Option<u64> },
    /// Start a renewal under this ticket, then decide again.
    Renew { ticket: u64, reason: RefreshReason },
    /// Wait for the end of another call's probe or of a renewal, then decide again.
    Wait,
    /// Fail without a request.
    Fail { error: Error, in_renewal: bool },
}

pub(super) struct CredentialState {
    /// When a probe counts as abandoned: its caller may hold it without polling it.
    probe_limit: Duration,
    renewal_limit: Duration,
    renewable: bool,
    current: Option<Arc<Generation>>,
    validity: Validity,
    /// Whether a request was ever accepted.
    is_proven: bool,
    /// The last refusal. `None` if a request was accepted since.
    refusal: Option<Error>,
    /// The refusals since a request was accepted.
    refusals: Option<Row>,
    /// Until when a refused generation rests.
    retry_at: Option<SystemTime>,
    renewal: Option<Hold>,
    /// The failure of the last renewal. `None` if it succeeded.
    failure: Option<Failure>,
    /// The refused or unexpected renewals since one succeeded.
    failures: Option<Row>,
    /// When the key was locked, and the error that reported it.
    locked: Option<(SystemTime, Error)>,
    /// Why no further generation will follow.
    final_error: Option<FinalError>,
    /// Whether the clock was corrected, which happens once.
    clock_corrected: bool,
    tickets: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Validity {
    Unproven,
    Probing(Hold),
    Proven,
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Hold {
    ticket: u64,
    since: SystemTime,
}

impl Hold {
    fn is_live(self, now: SystemTime, limit: Duration) -> bool {
        // If the clock went back, nothing is known: assume that the holder is gone.
        now.duration_since(self.since).is_ok_and(|held| held <= limit)
    }
}

struct Failure {
    at: SystemTime,
    pause: Duration,
    error: Error,
}

struct FinalError {
    error: Error,
    in_renewal: bool,
}

impl CredentialState {
    /// The class of an error for a key that was just locked.
    pub(super) const LOCKED: Class = Class::Throttled { retry_after: Some(LOCKOUT), quota: None };

    /// For tokens that are obtained when needed.
    pub(super) fn renewable(probe_limit: Duration, renewal_limit: Duration) -> Self {
        Self {
            probe_limit,
            renewal_limit,
            renewable: true,
            current: None,
            validity: Validity::Refused,
            is_proven: false,
            refusal: None,
            refusals: None,
            retry_at: None,
            renewal: None,
            failure: None,
            failures: None,
            locked: None,
            final_error: None,
            clock_corrected: false,
            tickets: 0,
        }
    }

    /// For a key whose project must be looked up before the first request.
    pub(super) fn key_with_lookup(probe_limit: Duration, renewal_limit: Duration) -> Self {
        Self { renewable: false, ..Self::renewable(probe_limit, renewal_limit) }
    }

    /// For a token or key that cannot be renewed.
    pub(super) fn fixed(material: AuthMaterial, probe_limit: Duration) -> Self {
        let mut state = Self::renewable(probe_limit, Duration::ZERO);
        state.renewable = false;
        state.replace(Generation::new(material));
        state
    }

    pub(super) fn decide(&mut self, now: SystemTime) -> Decision {
        if let Some((since, error)) = &self.locked {
            let served = now.duration_since(*since).unwrap_or(LOCKOUT);
            if let Some(left) = LOCKOUT.checked_sub(served).filter(|left| !left.is_zero()) {
                return Decision::Fail {
                    error: error.with_class(locked_for(left)),
                    in_renewal: false,
                };
            }
            self.locked = None;
        }
        let Some(generation) = self.current.clone() else {
            return self.renew(now, RefreshReason::First);
        };
        match self.validity {
            Validity::Refused => {
                if let Some((left, error)) = self.rest(now) {
                    return Decision::Fail { error: resting(&error, left), in_renewal: false };
                }
                if self.renewable || self.final_error.is_some() {
                    return self.renew(now, RefreshReason::Refused);
                }
                // The same once more, as a new generation: what is still to come of the old one counts no more.
                self.replace(Generation::clone(&generation));
                self.decide(now)
            }
            Validity::Probing(probe) if probe.is_live(now, self.probe_limit) => Decision::Wait,
            Validity::Probing(_) | Validity::Unproven => {
                let ticket = self.ticket();
                self.validity = Validity::Probing(Hold { ticket, since: now });
                Decision::Proceed { generation, probe: Some(ticket) }
            }
            // Only a proven token is renewed for its age. Otherwise a source whose tokens are already expired
            // would be called without end.
            Validity::Proven if generation.expires_at.is_some_and(|end| end <= now) => {
                self.renew(now, RefreshReason::Expiring)
            }
            Validity::Proven => Decision::Proceed { generation, probe: None },
        }
    }

    /// Returns how long the refused generation still rests, and why.
    fn rest(&self, now: SystemTime) -> Option<(Duration, Error)> {
        let left = self.retry_at?.duration_since(now).ok().filter(|left| !left.is_zero())?;
        // The clock went back: nothing is known.
        (left <= Row::SPAN).then_some((left, self.refusal.clone()?))
    }

    /// Starts a renewal while calls still use the current token. Returns the ticket, if one is due.
    pub(super) fn renew_ahead(&mut self, now: SystemTime) -> Option<u64> {
        let due = self
            .current
            .as_ref()
            .and_then(|generation| generation.renew_at)
            .is_some_and(|at| at <= now);
        if self.validity != Validity::Proven || !due {
            return None;
        }
        match self.renew(now, RefreshReason::Expiring) {
            Decision::Renew { ticket, .. } => Some(ticket),
            Decision::Proceed { .. } | Decision::Wait | Decision::Fail { .. } => None,
        }
    }

    fn renew(&mut self, now: SystemTime, reason: RefreshReason) -> Decision {
        if let Some(FinalError { error, in_renewal }) = &self.final_error {
            return Decision::Fail { error: error.clone(), in_renewal: *in_renewal };
        }
        if self.renewal.is_some_and(|held| held.is_live(now, self.renewal_limit)) {
            return Decision::Wait;
        }
        if let Some(Failure { at, pause, error }) = &self.failure
            && let Ok(passed) = now.duration_since(*at)
            && let Some(left) = pause.checked_sub(passed).filter(|left| !left.is_zero())
        {
            return Decision::Fail { error: not_renewed(error, left), in_renewal: true };
        }
        let ticket = self.ticket();
        self.renewal = Some(Hold { ticket, since: now });
        Decision::Renew { ticket, reason }
    }

    /// Records the outcome of a renewal. A renewal that was replaced by another is ignored.
    pub(super) fn renewed(
        &mut self,
        now: SystemTime,
        ticket: u64,
        outcome: Result<Renewed, Error>,
    ) {
        if self.renewal.is_none_or(|held| held.ticket != ticket) {
            return;
        }
        self.renewal = None;
        match outcome {
            Ok(renewed) => {
                (self.failure, self.failures) = (None, None);
                if let Some(error) = &self.refusal
                    && self.validity == Validity::Refused
                    && self.holds(&renewed.material)
                {
                    match self.refusals.filter(|_| self.is_proven) {
                        None => {
                            let error = error.clone();
                            self.final_error = Some(FinalError { error, in_renewal: false });
                            return;
                        }
                        // The refused token again, at once: it rests before it is sent again, and a newer one can come.
                        Some(row) if self.retry_at.is_none() => {
                            self.retry_at = now.checked_add(row.pause(now));
                            return;
                        }
                        Some(_) => (),
                    }
                }
                let Renewed { material, life, project_id, endpoint } = renewed;
                let until = |left: Duration| now.checked_add(left);
                self.replace(Generation {
                    renew_at: life
                        .and_then(|life| until(life.saturating_sub(MARGIN.min(life / 10)))),
                    expires_at: life.and_then(until),
                    project_id,
                    endpoint,
                    ..Generation::new(material)
                });
            }
            Err(error)
                if matches!(error.class(), Class::Unexpected { .. } | Class::Unauthorized) =>
            {
                let row = Row::after(self.failures, now);
                self.failures = Some(row);
                let can_pass = self.current.is_some()
                    || matches!(error.class(), Class::Unexpected { can_pass: true });
                if !can_pass || row.is_final(now) {
                    let error = match error.class() {
                        Class::Unexpected { .. } => error.with_class(Class::Fatal),
                        _ => error,
                    };
                    self.final_error = Some(FinalError { error, in_renewal: true });
                    return;
                }
                let error = error.with_class(Class::Transient { retry_after: None });
                self.failure = Some(Failure { at: now, pause: row.pause(now), error });
            }
            Err(error) if error.is_transient() => {
                let pause = self
                    .failure
                    .as_ref()
                    .map_or(FIRST_PAUSE, |failure| failure.pause.saturating_mul(2));
                let pause = error.retry_after().unwrap_or(pause.min(MAX_PAUSE));
                self.failure = Some(Failure { at: now, pause, error });
            }
            Err(error) => self.final_error = Some(FinalError { error, in_renewal: true }),
        }
    }

    /// Records that a request with generation `number` was accepted.
    pub(super) fn accepted(&mut self, number: u64) {
        if self.is_current(number) && self.validity != Validity::Refused {
            self.validity = Validity::Proven;
            self.is_proven = true;
            (self.refusal, self.refusals, self.retry_at) = (None, None, None);
        }
    }

    /// Records that a probe ended without an answer about the generation.
    pub(super) fn unanswered(&mut self, ticket: u64) {
        if let Validity::Probing(held) = self.validity
            && held.ticket == ticket
        {
            self.validity = Validity::Unproven;
        }
    }

    /// Records that a request with generation `number` was refused. Returns the error for the caller, or
    /// `None` if the caller acquires another generation and sends again.
    pub(super) fn refused(
        &mut self,
        now: SystemTime,
        number: u64,
        refusal: Refusal,
        server_time: Option<SystemTime>,
        error: &Error,
    ) -> Option<Error> {
        let signs = match &self.current {
            Some(current) if current.number == number => {
                matches!(current.material, AuthMaterial::Key { .. })
            }
            // The current generation is newer, or a newer one is being obtained.
            _ => return None,
        };
        if self.validity == Validity::Refused {
            return self.final_error.as_ref().map(|_| error.clone());
        }
        if signs && refusal == Refusal::LockedOut {
            // Any user of the key may have caused it. The key may be right, and no try can tell until the lock ends.
            self.validity = Validity::Unproven;
            self.locked = Some((now, error.clone()));
            return Some(error.with_class(Self::LOCKED));
        }
        let is_first = self.refusal.replace(error.clone()).is_none();
        self.validity = Validity::Refused;
        let row = Row::after(self.refusals, now);
        (self.refusals, self.retry_at) = (Some(row), None);
        if is_first && self.renewable {
            return None;
        }
        if is_first
            && signs
            && refusal == Refusal::Clock
            && let Some(clock) = server_time.and_then(|servers| self.correct_clock(now, servers))
        {
            let previous = self.current.as_deref();
            self.replace(Generation {
                project_id: previous.and_then(|generation| generation.project_id.clone()),
                ..Generation::new(AuthMaterial::Key { clock })
            });
            return None;
        }
        if self.is_proven && !row.is_final(now) {
            let pause = row.pause(now);
            self.retry_at = now.checked_add(pause);
            return Some(resting(error, pause));
        }
        self.final_error = Some(FinalError { error: error.clone(), in_renewal: false });
        Some(error.clone())
    }

    fn is_current(&self, number: u64) -> bool {
        self.current.as_ref().is_some_and(|current| current.number == number)
    }

    /// Returns the correction for a clock that the server has refused, once.
    pub(super) fn correct_clock(
        &mut self,
        now: SystemTime,
        servers: SystemTime,
    ) -> Option<ClockSkew> {
        let skew = ClockSkew::between(now, servers);
        if self.clock_corrected || skew.exceeds(MAX_SKEW) {
            tracing::debug!(?skew, "clock not corrected: it was before, or by more than a day");
            return None;
        }
        tracing::debug!(?skew, "clock corrected for signatures by the server's time");
        self.clock_corrected = true;
        Some(skew)
    }

    fn holds(&self, material: &AuthMaterial) -> bool {
        match (self.current.as_ref().map(|current| &current.material), material) {
            (
                Some(AuthMaterial::Token { secret: known, .. }),
                AuthMaterial::Token { secret, .. },
            ) => known.expose_secret() == secret.expose_secret(),
            _ => false,
        }
    }

    fn replace(&mut self, mut generation: Generation) {
        generation.number = self.ticket();
        self.validity = Validity::Unproven;
        self.current = Some(Arc::new(generation));
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }
}

/// Returns the error of a failure that passes, and before whose pause is over no request is sent.
fn resting(error: &Error, left: Duration) -> Error {
    error.with_class(Class::Transient { retry_after: Some(left) })
}

/// Returns the error of a renewal that may be tried again after `left`.
///
/// IAM throttles renewals, not the calls that need them, so the rate of these must not be lowered: the error is transient.
fn not_renewed(error: &Error, left: Duration) -> Error {
    match error.class() {
        Class::Throttled { .. } | Class::Transient { retry_after: Some(_) } => resting(error, left),
        _ => error.clone(),
    }
}

fn locked_for(left: Duration) -> Class {
    Class::Throttled { retry_after: Some(left), quota: None }
}

#[cfg(test)]
mod tests;
