use std::collections::HashMap;
use std::time::Duration;

use crate::answer::Answer;
use crate::clock::iso;
use crate::gateway::Call;
use crate::random::hex_id;
use crate::state::State;

/// How a token that is not valid is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// 401 and `APIGW.0301`: "token expires, expires_at: ..." or "decrypt token fail".
    #[default]
    Unauthorized,
    /// 401 and `APIGW.0307`, "The token must be updated.", as after a change of permissions.
    MustUpdate,
    /// 403 and `{"message":"X-Auth-Token is invalid"}`, as some services of the cloud do.
    Forbidden,
}

/// The tokens in circulation.
pub(crate) struct Tokens {
    known: HashMap<String, Token>,
    pub(crate) refusal: TokenRefusal,
}

#[derive(Clone, Copy)]
struct Token {
    /// Since the start of the simulator.
    expires: Option<Duration>,
    /// Good for the project, not only for IAM itself.
    scoped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    Unknown,
    Expired(Duration),
    Unscoped,
}

impl Tokens {
    /// With one token that never expires by itself.
    pub(crate) fn new(token: String) -> Self {
        let fixed = Token { expires: None, scoped: true };
        Self { known: HashMap::from([(token, fixed)]), refusal: TokenRefusal::default() }
    }

    /// A new token of the usual length: kilobytes.
    pub(crate) fn issue(&mut self, seed: u64, n: u64, expires: Duration, scoped: bool) -> String {
        const TOKEN: u64 = 4;
        let mut token = format!("MII{n}");
        for part in 0..60 {
            token += &hex_id(seed, TOKEN, n * 60 + part);
        }
        self.known.insert(token.clone(), Token { expires: Some(expires), scoped });
        token
    }

    pub(crate) fn revoke(&mut self) {
        self.known.clear();
    }

    pub(crate) fn expire(&mut self, now: Duration) {
        self.known.values_mut().for_each(|token| {
            token.expires = Some(token.expires.map_or(now, |expires| expires.min(now)));
        });
    }

    pub(crate) fn check(&self, token: &str, now: Duration) -> Result<(), TokenFault> {
        match self.known.get(token) {
            None => Err(TokenFault::Unknown),
            Some(Token { expires: Some(at), .. }) if *at <= now => Err(TokenFault::Expired(*at)),
            Some(Token { scoped: false, .. }) => Err(TokenFault::Unscoped),
            Some(_) => Ok(()),
        }
    }
}

/// Words for a token that is not valid.
pub(crate) fn refuse(state: &State, call: &Call<'_>, fault: TokenFault) -> Answer {
    match (state.tokens.refusal, fault) {
        (_, TokenFault::Unscoped) => call.forbidden(),
        (TokenRefusal::MustUpdate, _) => {
            Answer::gateway(401, "APIGW.0307", "The token must be updated.", call.request_id)
        }
        (TokenRefusal::Forbidden, _) => {
            Answer::json(403, &serde_json::json!({ "message": "X-Auth-Token is invalid" }))
        }
        (TokenRefusal::Unauthorized, TokenFault::Unknown) => {
            Answer::unauthorized("decrypt token fail", call.request_id)
        }
        (TokenRefusal::Unauthorized, TokenFault::Expired(at)) => {
            let at = iso(call.shared.unix_millis(state, at));
            Answer::unauthorized(&format!("token expires, expires_at: {at}"), call.request_id)
        }
    }
}
