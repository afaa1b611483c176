//! Gives each attempt what it needs to be let in, and learns from what became of it.

use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use reqwest::{
    Request,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret;
use tokio::{runtime::Handle, sync::Notify};

use super::{
    AccessKey, Credentials, Kind,
    generation::{Correction, Generation, Proof},
    header,
    iam::{Iam, Search},
    ledger::{Ask, Fresh, Ledger},
    provider::{self, Provide},
};
use crate::{
    Class, ConfigError, Error, ErrorKind,
    classify::Refusal,
    clock::within,
    endpoint::Endpoint,
    error::What,
    sign::{Body, SigningKey, Unsigned, sign},
    transport::Transport,
};

/// How long a renewal may take. It is not part of any attempt's time limit.
const RENEWAL_LIMIT: Duration = Duration::from_secs(10);

/// Beyond its limit, a holder that has not ended is one that nobody polls.
const SLACK: Duration = Duration::from_secs(1);

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const X_PROJECT_ID: &str = "x-project-id";
const X_SECURITY_TOKEN: &str = "x-security-token";
const X_SDK_DATE: &str = "x-sdk-date";

/// The credentials of a client, shared by all its clones.
pub(crate) struct Keeper(Arc<Inner>);

struct Inner {
    source: Source,
    ledger: Mutex<Ledger>,
    /// Told whenever a call that waits should ask again.
    changed: Notify,
    transport: Arc<Transport>,
}

enum Source {
    Fixed,
    Key(AccessKey),
    Password(Iam),
    Provider(provider::Shared),
}

/// The right to send one request, with what shows it. Dropping it says that nothing was learned.
pub(crate) struct Pass<'k> {
    keeper: &'k Inner,
    generation: Arc<Generation>,
    probe: Option<u64>,
}

impl Keeper {
    /// How long a call may wait for credentials that are being renewed.
    pub(crate) const LONGEST_RENEWAL: Duration =
        Duration::from_secs(RENEWAL_LIMIT.as_secs() + SLACK.as_secs());

    pub(crate) fn new(
        credentials: Credentials,
        transport: Arc<Transport>,
        search: Search,
    ) -> Result<Self, ConfigError> {
        let probe_limit = transport.request_timeout.saturating_add(SLACK);
        let renewable = || Ledger::renewable(probe_limit, RENEWAL_LIMIT + SLACK);
        let (source, ledger) = match credentials.0 {
            Kind::Token(secret) => {
                let proof = Proof::Token { header: header("token", &secret)?, secret };
                (Source::Fixed, Ledger::fixed(proof, probe_limit))
            }
            Kind::AccessKey(key) => {
                key.check()?;
                (
                    Source::Key(key),
                    Ledger::fixed(Proof::Key { clock: Correction::NONE }, probe_limit),
                )
            }
            Kind::Password(password) => {
                (Source::Password(Iam::new(password, search)?), renewable())
            }
            Kind::Provider(provider) => (Source::Provider(provider), renewable()),
        };
        Ok(Self(Arc::new(Inner {
            source,
            ledger: Mutex::new(ledger),
            changed: Notify::new(),
            transport,
        })))
    }

    /// Waits until a request may be sent. Takes no time unless a token is being obtained or tried out.
    pub(crate) async fn pass(&self, what: What<'_>) -> Result<Pass<'_>, Error> {
        if let Some(answer) = self.ask(what) {
            return answer;
        }
        let limit = self.0.transport.request_timeout.saturating_add(RENEWAL_LIMIT + SLACK);
        let asking = async {
            loop {
                // Made before the question, it hears of every change from now on.
                let changed = self.0.changed.notified();
                if let Some(answer) = self.ask(what) {
                    return answer;
                }
                changed.await;
            }
        };
        if let Some(answer) = within(limit, asking).await {
            return answer;
        }
        // Whoever holds things up without being polled has run out of time by now, and this call can take over.
        let late = || {
            Error::transient(what, ErrorKind::Timeout)
                .because("other calls are trying out the credentials")
        };
        self.ask(what).unwrap_or_else(|| Err(late()))
    }

    fn ask(&self, what: What<'_>) -> Option<Result<Pass<'_>, Error>> {
        let now = self.0.transport.clock.now();
        let mut ledger = self.0.lock();
        let (ticket, why, answer) = match ledger.ask(now) {
            Ask::Go { generation, probe } => {
                let pass = Pass { keeper: &self.0, generation, probe };
                match ledger.ask_ahead(now) {
                    None => return Some(Ok(pass)),
                    Some(ticket) => (ticket, Provide::Expiring, Some(Ok(pass))),
                }
            }
            Ask::Renew { ticket, why } => (ticket, why, None),
            Ask::Wait => return None,
            Ask::Fail { error, in_renewal } => {
                return Some(Err(if in_renewal {
                    error.within(what)
                } else {
                    error.again_in(what)
                }));
            }
        };
        drop(ledger);
        self.0.start_renewal(ticket, why);
        answer
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper(..)")
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews in a task of its own: the call that needs it first may be dropped, or held without being polled,
    /// and the others must not wait for it then.
    fn start_renewal(self: &Arc<Self>, ticket: u64, why: Provide) {
        tracing::debug!(?why, "renewing credentials");
        let broken_off = Error::transient(What::Token, ErrorKind::Provider).because("broken off");
        let mut renewal = Renewal { keeper: Arc::clone(self), ticket, outcome: Err(broken_off) };
        // Without a runtime the renewal ends here, broken off.
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(async move {
                let late = || Err(Error::transient(What::Token, ErrorKind::Timeout));
                renewal.outcome =
                    within(RENEWAL_LIMIT, renewal.keeper.obtain(why)).await.unwrap_or_else(late);
                drop(renewal);
            }));
        }
    }

    async fn obtain(&self, why: Provide) -> Result<Fresh, Error> {
        match &self.source {
            Source::Password(iam) => iam.token(&self.transport).await,
            Source::Provider(provider) => {
                let failed = |class, cause: Box<dyn StdError + Send + Sync>| {
                    Error::new(What::Token, ErrorKind::Provider, class).caused_by(cause)
                };
                let token = provider.token(why).await.map_err(|error| {
                    let transient = Class::Transient { retry_after: None };
                    failed(if error.is_fatal { Class::Fatal } else { transient }, error.cause)
                })?;
                let header = header("token", &token.secret)
                    .map_err(|error| failed(Class::Fatal, error.into()))?;
                let now = self.transport.clock.now();
                let life = token.expires_at.and_then(|end| end.duration_since(now).ok());
                Ok(Fresh { secret: token.secret, header, life, project_id: None, endpoint: None })
            }
            // Their ledger never asks for it.
            Source::Fixed | Source::Key(_) => {
                Err(Error::new(What::Token, ErrorKind::Request, Class::Fatal))
            }
        }
    }
}

/// A renewal in progress. However it ends, by panic or with its runtime, the ledger hears of it.
struct Renewal {
    keeper: Arc<Inner>,
    ticket: u64,
    outcome: Result<Fresh, Error>,
}

impl Drop for Renewal {
    fn drop(&mut self) {
        let taken = Error::transient(What::Token, ErrorKind::Provider);
        let outcome = std::mem::replace(&mut self.outcome, Err(taken));
        match &outcome {
            Ok(_) => tracing::debug!("credentials renewed"),
            Err(error) => tracing::debug!(%error, "credentials not renewed"),
        }
        let now = self.keeper.transport.clock.now();
        self.keeper.lock().renewed(now, self.ticket, outcome);
        self.keeper.changed.notify_waiters();
    }
}

impl Pass<'_> {
    /// The project that the token is for, if that is known.
    pub(crate) fn project_id(&self) -> Option<&str> {
        self.generation.project_id.as_deref()
    }

    /// The service's URL, if it came with the token.
    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        self.generation.endpoint.as_ref()
    }

    /// What must not be shown of an answer to a request with this pass.
    pub(crate) fn secrets(&self) -> [&str; 3] {
        match (&self.generation.proof, &self.keeper.source) {
            (Proof::Token { secret, .. }, _) => [secret.expose_secret(), "", ""],
            (Proof::Key { .. }, Source::Key(key)) => [
                key.secret.expose_secret(),
                key.access.expose_secret(),
                key.security_token.as_ref().map_or("", |token| token.expose_secret()),
            ],
            (Proof::Key { .. }, _) => [""; 3],
        }
    }

    /// Puts the token or a new signature on a request that is complete but for it.
    pub(crate) fn put_on(
        &self,
        request: &mut Request,
        project_id: &str,
    ) -> Result<(), &'static str> {
        match (&self.generation.proof, &self.keeper.source) {
            (Proof::Token { header, .. }, _) => {
                request.headers_mut().insert(X_AUTH_TOKEN, header.clone());
                Ok(())
            }
            (Proof::Key { clock }, Source::Key(key)) => put_signature_on(
                request,
                key,
                project_id,
                clock.apply(self.keeper.transport.clock.now()),
            ),
            (Proof::Key { .. }, _) => Ok(()),
        }
    }

    /// The request was let in, whatever the answer.
    pub(crate) fn accepted(self) {
        self.keeper.lock().accepted(self.generation.number);
    }

    /// The request was refused. Returns the error for the caller, or nothing if it shall send once more
    /// with the next pass.
    pub(crate) fn refused(
        self,
        refusal: Refusal,
        server_time: Option<SystemTime>,
        error: &Error,
    ) -> Option<Error> {
        let now = self.keeper.transport.clock.now();
        self.keeper.lock().refused(now, self.generation.number, refusal, server_time, error)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // Also after an answer: then the probe is over already, and those who waited for it must hear so.
        if let Some(ticket) = self.probe {
            self.keeper.lock().unanswered(ticket);
            self.keeper.changed.notify_waiters();
        }
    }
}

fn put_signature_on(
    request: &mut Request,
    key: &AccessKey,
    project_id: &str,
    when: SystemTime,
) -> Result<(), &'static str> {
    if request.url().path().contains("%25") {
        return Err("an id with a '%' cannot be signed: signers disagree about it");
    }
    let (access, secret) = (key.access.expose_secret(), key.secret.expose_secret());
    let mut signed_headers = vec![(X_PROJECT_ID, project_id)];
    signed_headers
        .extend(key.security_token.as_ref().map(|token| (X_SECURITY_TOKEN, token.expose_secret())));
    let query: Vec<_> = request.url().query_pairs().collect();
    let query: Vec<_> = query.iter().map(|(name, value)| (&**name, &**value)).collect();
    let signed = sign(
        &Unsigned {
            method: request.method().as_str(),
            path: request.url().path(),
            query: &query,
            headers: &signed_headers,
            body: Body::Bytes(request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default()),
        },
        SigningKey { access, secret },
        when,
    );
    signed_headers
        .extend([(X_SDK_DATE, &*signed.date), (AUTHORIZATION.as_str(), &*signed.authorization)]);
    for (name, value) in signed_headers {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| "the project id holds characters that no header can carry")?;
        value.set_sensitive(true);
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
