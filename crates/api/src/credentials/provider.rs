//! Tokens from a user's own source.

use std::{error::Error as StdError, fmt, future::Future, pin::Pin, sync::Arc, time::SystemTime};

use secrecy::SecretString;

/// A source of tokens: a broker, a file that something else refreshes, another login method.
///
/// It is asked by one caller at a time, on behalf of all, and has ten seconds to answer.
///
/// ```
/// use cfw_api::{Credentials, Provide, Token, TokenError, TokenProvider};
///
/// struct Broker;
///
/// impl TokenProvider for Broker {
///     async fn token(&self, why: Provide) -> Result<Token, TokenError> {
///         if why == Provide::Refused {
///             // What a cache holds is not worth a try.
///         }
///         Ok(Token::new("a token from the broker"))
///     }
/// }
///
/// let credentials = Credentials::provider(Broker);
/// ```
pub trait TokenProvider: Send + Sync + 'static {
    /// Gives a token for the client's project.
    ///
    /// # Errors
    /// [`TokenError::transient`], which `?` makes of any error, lets later calls ask again;
    /// [`TokenError::fatal`] is remembered, and later calls fail without asking.
    ///
    /// # Cancel safety
    /// The future is not dropped when the call that started it is, only after ten seconds or with the runtime.
    fn token(&self, why: Provide) -> impl Future<Output = Result<Token, TokenError>> + Send;
}

impl<P: TokenProvider> TokenProvider for Arc<P> {
    fn token(&self, why: Provide) -> impl Future<Output = Result<Token, TokenError>> + Send {
        (**self).token(why)
    }
}

/// Why a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provide {
    /// There is none yet.
    First,
    /// The one before expires soon, or has expired.
    Expiring,
    /// The service has refused the one before. Returning the same again ends the client's calls.
    Refused,
}

/// A token and how long it is good for.
#[derive(Clone)]
pub struct Token {
    pub(super) secret: SecretString,
    pub(super) expires_at: Option<SystemTime>,
}

impl Token {
    /// A token that is used until it is refused. White space around it is dropped.
    pub fn new(token: impl Into<String>) -> Self {
        Self { secret: token.into().trim().into(), expires_at: None }
    }

    /// Has another token asked for before this time, by this machine's clock: 5 minutes earlier, or a tenth
    /// of the time left if that is less.
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

/// Why a [`TokenProvider`] has no token. Its message, and those of its causes, are shown to users as they
/// are: keep secrets out of them.
pub struct TokenError {
    pub(super) cause: Box<dyn StdError + Send + Sync>,
    pub(super) is_fatal: bool,
}

impl TokenError {
    /// Asking again later may help.
    pub fn transient(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: cause.into(), is_fatal: false }
    }

    /// Asking again cannot help.
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

/// For `?`; this is why it is no error type itself.
impl<E: StdError + Send + Sync + 'static> From<E> for TokenError {
    fn from(error: E) -> Self {
        Self::transient(error)
    }
}

/// A provider whose type is forgotten, so that no type parameter spreads through the client.
#[derive(Clone)]
pub(crate) struct Shared(Arc<dyn Erased>);

pub(super) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Token, TokenError>> + Send + 'a>>;

trait Erased: Send + Sync {
    fn token(&self, why: Provide) -> Answer<'_>;
}

impl<P: TokenProvider> Erased for P {
    fn token(&self, why: Provide) -> Answer<'_> {
        Box::pin(TokenProvider::token(self, why))
    }
}

impl Shared {
    pub(super) fn new(provider: impl TokenProvider) -> Self {
        Self(Arc::new(provider))
    }

    pub(super) fn token(&self, why: Provide) -> Answer<'_> {
        self.0.token(why)
    }
}
