use std::collections::HashMap;
use std::time::Duration;

/// The tokens in circulation, each with its expiry since the simulator's start, if it has one.
#[derive(Debug)]
pub(crate) struct Tokens {
    known: HashMap<String, Option<Duration>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    Unknown,
    Expired(Duration),
}

impl Tokens {
    /// With one token that never expires.
    pub(crate) fn new(token: String) -> Self {
        Self {
            known: HashMap::from([(token, None)]),
        }
    }

    pub(crate) fn check(&self, token: &str, now: Duration) -> Result<(), TokenFault> {
        match self.known.get(token) {
            None => Err(TokenFault::Unknown),
            Some(Some(expiry)) if *expiry <= now => Err(TokenFault::Expired(*expiry)),
            Some(_) => Ok(()),
        }
    }
}
