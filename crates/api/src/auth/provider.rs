//! Tokens from a source that the application provides.

use std::{error::Error as StdError, fmt, future::Future, pin::Pin, sync::Arc, time::SystemTime};

use secrecy::SecretString;

use crate::clean::clean;

/// A source of tokens: a broker, a file that another program refreshes, another login method.
///
/// It is called once for all waiting calls, and has ten seconds to answer.
///
/// ```
/// use cfw_api::{Credentials, RefreshReason, Token, TokenError, TokenProvider};
///
/// struct Broker;
///
/// impl TokenProvider for Broker {
///     async fn token(&self, reason: RefreshReason) -> Result<Token, TokenError> {
///         if reason == RefreshReason::Refused {
///             // Skip any cache: its token is the one that was refused.
///         }
///         Ok(Token::new("a token from the broker"))
///     }
/// }
///
/// let credentials = Credentials::provider(Broker);
/// ```
pub trait TokenProvider: Send + Sync + 'static {
    /// Returns a token for the client's project.
    ///
    /// # Errors
    /// [`TokenError::transient`], which `?` makes of any error, lets later calls try again.
    /// [`TokenError::fatal`] is remembered, and later calls fail without trying.
    ///
    /// # Cancel safety
    /// The future outlives the call that started it. It is dropped after ten seconds or with the runtime.
    fn token(
        &self,
        reason: RefreshReason,
    ) -> impl Future<Output = Result<Token, TokenError>> + Send;
}

impl<P: TokenProvider> TokenProvider for Arc<P> {
    fn token(
        &self,
        reason: RefreshReason,
    ) -> impl Future<Output = Result<Token, TokenError>> + Send {
        (**self).token(reason)
    }
}

/// Why a token is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshReason {
    /// The client has none yet.
    First,
    /// The previous token expires soon, or has expired.
    Expiring,
    /// The service has refused the previous token. Returning the same token again ends the client's calls.
    Refused,
}

/// A token and its expiry.
#[derive(Clone)]
pub struct Token {
    pub(super) secret: SecretString,
    pub(super) expires_at: Option<SystemTime>,
}

impl Token {
    /// Makes a token that is used until it is refused. White space around it is dropped.
    pub fn new(token: impl Into<String>) -> Self {
        Self { secret: clean(&token.into()).into(), expires_at: None }
    }

    /// Sets the expiry, by this machine's clock. Another token is requested 5 minutes earlier, or a tenth of
    /// the remaining time earlier if that is less.
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expires_at = Some(time);
        self
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Why a [`TokenProvider`] returned no token. Its message and those of its causes are shown to users
/// unchanged: keep secrets out of them.
pub struct TokenError {
    pub(super) cause: Box<dyn StdError + Send + Sync>,
    pub(super) is_fatal: bool,
}

impl TokenError {
    /// Makes an error after which later calls try again.
    pub fn transient(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: cause.into(), is_fatal: false }
    }

    /// Makes an error after which no call tries again.
    pub fn fatal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: cause.into(), is_fatal: true }
    }
}

impl fmt::Debug for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenError")
            .field("cause", &self.cause)
            .field("is_fatal", &self.is_fatal)
            .finish()
    }
}

/// For `?`. An error type could not have this conversion, so `TokenError` is none.
impl<E: StdError + Send + Sync + 'static> From<E> for TokenError {
    fn from(error: E) -> Self {
        Self::transient(error)
    }
}

/// A type-erased provider, so that the client needs no type parameter.
#[derive(Clone)]
pub(crate) struct SharedProvider(Arc<dyn DynProvider>);

pub(super) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send + 'a>>;

trait DynProvider: Send + Sync {
    fn token(&self, reason: RefreshReason) -> Answer<'_>;
}

impl<P: TokenProvider> DynProvider for P {
    fn token(&self, reason: RefreshReason) -> Answer<'_> {
        Box::pin(TokenProvider::token(self, reason))
    }
}

impl SharedProvider {
    pub(super) fn new(provider: impl TokenProvider) -> Self {
        Self(Arc::new(provider))
    }

    pub(super) fn token(&self, reason: RefreshReason) -> Answer<'_> {
        self.0.token(reason)
    }
}
