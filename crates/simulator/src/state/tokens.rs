//! The tokens of IAM.

use std::collections::HashMap;
use std::time::Duration;

use crate::util::random::hex_id;

/// The answer to a token that is not valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// 401 and `APIGW.0301`: "token expires, expires_at: ..." or "decrypt token fail".
    #[default]
    Unauthorized,
    /// 401 and `APIGW.0307`, "The token must be updated.", as after a change of permissions.
    MustUpdate,
    /// 403 and `{"message":"X-Auth-Token is invalid"}`, as some services of the cloud answer.
    Forbidden,
}

/// The issued tokens.
pub(crate) struct Tokens {
    issued: HashMap<String, Token>,
    pub(crate) refusal: TokenRefusal,
}

#[derive(Clone, Copy)]
struct Token {
    /// The time of expiry, since the start of the simulator. `None` if it never expires.
    expires: Option<Duration>,
    /// Valid for the project, not only for IAM itself.
    is_scoped: bool,
}

/// The reason why a token is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    Unknown,
    /// Expired at this time.
    Expired(Duration),
    Unscoped,
}

impl Tokens {
    /// Returns a set of one token, which does not expire until [`expire_all`](Self::expire_all).
    pub(crate) fn new(token: String) -> Self {
        let token_info = Token { expires: None, is_scoped: true };
        Self { issued: HashMap::from([(token, token_info)]), refusal: TokenRefusal::default() }
    }

    /// Issues a token of a realistic length, about 2 KB. `n` must be new for each token.
    pub(crate) fn issue(
        &mut self,
        seed: u64,
        n: u64,
        expires: Duration,
        is_scoped: bool,
    ) -> String {
        const TOKEN: u64 = 4;
        let mut token = format!("MII{n}");
        for part in 0..60 {
            token += &hex_id(seed, TOKEN, n * 60 + part);
        }
        self.issued.insert(token.clone(), Token { expires: Some(expires), is_scoped });
        token
    }

    pub(crate) fn revoke_all(&mut self) {
        self.issued.clear();
    }

    pub(crate) fn expire_all(&mut self, now: Duration) {
        self.issued.values_mut().for_each(|token| {
            token.expires = Some(token.expires.map_or(now, |expires| expires.min(now)));
        });
    }

    pub(crate) fn check(&self, token: &str, now: Duration) -> Result<(), TokenError> {
        match self.issued.get(token) {
            None => Err(TokenError::Unknown),
            Some(Token { expires: Some(at), .. }) if *at <= now => Err(TokenError::Expired(*at)),
            Some(Token { is_scoped: false, .. }) => Err(TokenError::Unscoped),
            Some(_) => Ok(()),
        }
    }
}
