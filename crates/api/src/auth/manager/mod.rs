//! Authorizes each request, and updates the state of the credentials by its answer.

use std::{
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use reqwest::{Method, Request, header::HeaderName};
use secrecy::ExposeSecret;
use tokio::{runtime::Handle, sync::Notify};

use super::{
    catalog::{CatalogEndpoint, CatalogQuery},
    credentials::{AccessKey, Credentials, Kind, header},
    login::Login,
    material::{AuthMaterial, ClockSkew, Generation},
    project::ProjectQuery,
    provider::{RefreshReason, SharedProvider},
    sign_request::sign_request,
    state::{CredentialState, Decision, Renewed},
};
use crate::{
    Class, ConfigError, Error, ErrorKind,
    clock::within,
    error::Operation,
    http::{
        classify::{Classification, Refusal, server_time},
        transport::Transport,
    },
    wire::error_body::ErrorBody,
};

/// How long a renewal may take, apart from the time limit of requests.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long after its limit the holder of a probe or renewal counts as abandoned.
const GRACE_PERIOD: Duration = Duration::from_secs(1);

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The credentials of a client, shared by all its clones.
pub(crate) struct CredentialManager(Arc<Inner>);

struct Inner {
    source: Source,
    state: Mutex<CredentialState>,
    /// Notified when waiting calls should decide again.
    changed: Notify,
    transport: Arc<Transport>,
}

enum Source {
    Fixed,
    /// A key, and the project to look up unless its id is known.
    Key(AccessKey, Option<ProjectQuery>),
    Login(Box<Login>),
    Provider(SharedProvider),
}

/// The permission to send one request, with its credentials. Dropping it means that the request had no answer.
pub(crate) struct Lease<'k> {
    manager: &'k Inner,
    generation: Arc<Generation>,
    probe: Option<u64>,
}

impl CredentialManager {
    /// How long a call may wait for a renewal.
    pub(crate) const MAX_RENEWAL: Duration =
        Duration::from_secs(RENEWAL_TIMEOUT.as_secs() + GRACE_PERIOD.as_secs());

    pub(crate) fn new(
        credentials: Credentials,
        transport: Arc<Transport>,
        catalog_query: CatalogQuery,
        project_query: Option<ProjectQuery>,
    ) -> Result<Self, ConfigError> {
        let probe_limit = transport.request_timeout.saturating_add(GRACE_PERIOD);
        let renewable = || CredentialState::renewable(probe_limit, RENEWAL_TIMEOUT + GRACE_PERIOD);
        let (source, state) = match credentials.0 {
            Kind::Token(secret) => {
                let material = AuthMaterial::Token { header: header("token", &secret)?, secret };
                (Source::Fixed, CredentialState::fixed(material, probe_limit))
            }
            Kind::AccessKey(key) => {
                key.check()?;
                let state = match project_query {
                    Some(_) => CredentialState::key_with_lookup(
                        probe_limit,
                        RENEWAL_TIMEOUT + GRACE_PERIOD,
                    ),
                    None => CredentialState::fixed(
                        AuthMaterial::Key { clock: ClockSkew::NONE },
                        probe_limit,
                    ),
                };
                (Source::Key(key, project_query), state)
            }
            Kind::Password(password) => {
                let login = Login::with_password(password, catalog_query)?;
                (Source::Login(Box::new(login)), renewable())
            }
            Kind::Application(credential) => {
                let login = Login::with_application_credential(credential, catalog_query)?;
                (Source::Login(Box::new(login)), renewable())
            }
            Kind::Provider(provider) => (Source::Provider(provider), renewable()),
        };
        Ok(Self(Arc::new(Inner {
            source,
            state: Mutex::new(state),
            changed: Notify::new(),
            transport,
        })))
    }

    /// Waits until a request may be sent. Returns at once unless a token is being obtained or probed.
    pub(crate) async fn acquire(&self, operation: Operation<'_>) -> Result<Lease<'_>, Error> {
        if let Some(answer) = self.decide(operation) {
            return answer;
        }
        let limit = self.0.transport.request_timeout.saturating_add(RENEWAL_TIMEOUT + GRACE_PERIOD);
        let asking = async {
            loop {
                // Created before the decision, so that no change after it is missed.
                let changed = self.0.changed.notified();
                if let Some(answer) = self.decide(operation) {
                    return answer;
                }
                changed.await;
            }
        };
        if let Some(answer) = within(limit, asking).await {
            return answer;
        }
        // An abandoned probe or renewal is past its limit now, so this call can take over.
        let late = || {
            Error::transient(operation, ErrorKind::Timeout)
                .with_message("other calls are probing the credentials")
        };
        self.decide(operation).unwrap_or_else(|| Err(late()))
    }

    fn decide(&self, operation: Operation<'_>) -> Option<Result<Lease<'_>, Error>> {
        let now = self.0.transport.clock.now();
        let mut state = self.0.lock();
        let (ticket, reason, answer) = match state.decide(now) {
            Decision::Proceed { generation, probe } => {
                let lease = Lease { manager: &self.0, generation, probe };
                match state.renew_ahead(now) {
                    None => return Some(Ok(lease)),
                    Some(ticket) => (ticket, RefreshReason::Expiring, Some(Ok(lease))),
                }
            }
            Decision::Renew { ticket, reason } => (ticket, reason, None),
            Decision::Wait => return None,
            Decision::Fail { error, in_renewal } => {
                return Some(Err(if in_renewal {
                    error.within(operation)
                } else {
                    error.for_operation(operation)
                }));
            }
        };
        drop(state);
        self.0.start_renewal(ticket, reason);
        answer
    }
}

impl fmt::Debug for CredentialManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialManager(..)")
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, CredentialState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews in a separate task: the call that started it may be dropped, or held without being polled, while
    /// other calls wait for the renewal.
    fn start_renewal(self: &Arc<Self>, ticket: u64, reason: RefreshReason) {
        tracing::debug!(?reason, "renewing credentials");
        let broken_off =
            Error::transient(Operation::Token, ErrorKind::Provider).with_message("broken off");
        let mut renewal = Renewal { manager: Arc::clone(self), ticket, outcome: Err(broken_off) };
        // Without a runtime the renewal ends here, as broken off.
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(async move {
                let late = || Err(Error::transient(Operation::Token, ErrorKind::Timeout));
                renewal.outcome = within(RENEWAL_TIMEOUT, renewal.manager.renew(reason))
                    .await
                    .unwrap_or_else(late);
                drop(renewal);
            }));
        }
    }

    async fn renew(&self, reason: RefreshReason) -> Result<Renewed, Error> {
        match &self.source {
            Source::Login(login) => login.token(&self.transport).await,
            Source::Key(key, Some(query)) => self.look_up_project(key, query).await,
            Source::Provider(provider) => {
                let failed = |class, cause: Box<dyn StdError + Send + Sync>| {
                    Error::new(Operation::Token, ErrorKind::Provider, class).with_source(cause)
                };
                let token = provider.token(reason).await.map_err(|error| {
                    let transient = Class::Transient { retry_after: None };
                    failed(if error.is_fatal { Class::Fatal } else { transient }, error.cause)
                })?;
                let header = header("token", &token.secret)
                    .map_err(|error| failed(Class::Fatal, error.into()))?;
                let now = self.transport.clock.now();
                Ok(Renewed {
                    material: AuthMaterial::Token { secret: token.secret, header },
                    life: token.expires_at.and_then(|end| end.duration_since(now).ok()),
                    project_id: None,
                    endpoint: CatalogEndpoint::None,
                })
            }
            // Their state never decides to renew.
            Source::Fixed | Source::Key(_, None) => {
                Err(Error::new(Operation::Token, ErrorKind::Request, Class::Fatal))
            }
        }
    }

    /// Looks up a project by its name: once, and once more if the clock must be corrected.
    async fn look_up_project(
        &self,
        key: &AccessKey,
        query: &ProjectQuery,
    ) -> Result<Renewed, Error> {
        const OPERATION: Operation<'static> = Operation::Project;
        let mut clock = ClockSkew::NONE;
        let secrets = key.secrets();
        loop {
            let mut request = Request::new(Method::GET, query.url());
            let now = self.transport.clock.now();
            let fatal = || Error::new(OPERATION, ErrorKind::Request, Class::Fatal);
            sign_request(&mut request, key, None, clock.apply(now))
                .map_err(|problem| fatal().with_message(problem))?;
            let answer =
                self.transport.exchange(OPERATION, query.iam.url(), request, &secrets).await?;
            if answer.is_success() {
                let found = query.parse(&answer.body).map_err(|p| answer.unusable(OPERATION, p))?;
                return match found {
                    Ok(id) => Ok(Renewed {
                        material: AuthMaterial::Key { clock },
                        life: None,
                        project_id: Some(id),
                        endpoint: CatalogEndpoint::None,
                    }),
                    Err(problem) => Err(fatal().with_message(problem)),
                };
            }
            let body = ErrorBody::parse(&answer.body);
            let classification = answer.classify_iam(&body);
            if classification == Classification::Refused(Refusal::Clock)
                && let Some(servers) = server_time(&body.text).or(answer.answered)
                && let Some(corrected) = self.lock().correct_clock(now, servers)
            {
                clock = corrected;
                continue;
            }
            let error = answer.error(OPERATION, &body, classification, &secrets);
            return Err(match classification {
                Classification::Refused(Refusal::LockedOut) => {
                    error.with_class(CredentialState::LOCKED)
                }
                _ => error,
            });
        }
    }
}

/// A renewal in progress. Its drop records the outcome, also after a panic or the end of the runtime.
struct Renewal {
    manager: Arc<Inner>,
    ticket: u64,
    outcome: Result<Renewed, Error>,
}

impl Drop for Renewal {
    fn drop(&mut self) {
        let taken = Error::transient(Operation::Token, ErrorKind::Provider);
        let outcome = std::mem::replace(&mut self.outcome, Err(taken));
        match &outcome {
            Ok(_) => tracing::debug!("credentials renewed"),
            Err(error) => tracing::debug!(%error, "credentials not renewed"),
        }
        let now = self.manager.transport.clock.now();
        self.manager.lock().renewed(now, self.ticket, outcome);
        self.manager.changed.notify_waiters();
    }
}

impl Lease<'_> {
    /// Returns the token's project, if known.
    pub(crate) fn project_id(&self) -> Option<&str> {
        self.generation.project_id.as_deref()
    }

    /// Returns what the token's catalog says about the service.
    pub(crate) fn endpoint(&self) -> &CatalogEndpoint {
        &self.generation.endpoint
    }

    /// Returns the secrets that an answer to a request with this lease may echo. A gateway may serve IAM as well, so
    /// these include what the login sent.
    pub(crate) fn secrets(&self) -> [&str; 3] {
        match (&self.generation.material, &self.manager.source) {
            (AuthMaterial::Token { secret, .. }, Source::Login(login)) => {
                let [first, second] = login.secrets();
                [secret.expose_secret(), first, second]
            }
            (AuthMaterial::Token { secret, .. }, _) => [secret.expose_secret(), "", ""],
            (AuthMaterial::Key { .. }, Source::Key(key, _)) => key.secrets(),
            (AuthMaterial::Key { .. }, _) => [""; 3],
        }
    }

    /// Adds the token or a new signature to a request that is otherwise complete.
    pub(crate) fn authorize(
        &self,
        request: &mut Request,
        project_id: &str,
    ) -> Result<(), &'static str> {
        match (&self.generation.material, &self.manager.source) {
            (AuthMaterial::Token { header, .. }, _) => {
                request.headers_mut().insert(X_AUTH_TOKEN, header.clone());
                Ok(())
            }
            (AuthMaterial::Key { clock }, Source::Key(key, _)) => {
                let when = clock.apply(self.manager.transport.clock.now());
                sign_request(request, key, Some(project_id), when)
            }
            (AuthMaterial::Key { .. }, _) => Ok(()),
        }
    }

    /// Records that the credentials were accepted, whatever the answer says otherwise.
    pub(crate) fn accepted(self) {
        self.manager.lock().accepted(self.generation.number);
    }

    /// Records that the credentials were refused. Returns the error for the caller, or `None` if the caller
    /// sends once more with another lease.
    pub(crate) fn refused(
        self,
        refusal: Refusal,
        server_time: Option<SystemTime>,
        error: &Error,
    ) -> Option<Error> {
        let now = self.manager.transport.clock.now();
        self.manager.lock().refused(now, self.generation.number, refusal, server_time, error)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // Also after an answer, when the probe has ended: the waiting calls must decide again.
        if let Some(ticket) = self.probe {
            self.manager.lock().unanswered(ticket);
            self.manager.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
