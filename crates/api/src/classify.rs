//! What an answer means to a caller: one table, in one order.
//!
//! The HTTP status alone does not tell. The service answers 400 for "system busy" and for "does not
//! exist", and the gateway in front of it answers 404 where the *URL* is wrong.

use std::{
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use crate::times;

/// What to do about an error: the same for everyone who polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// Passes by itself: try again later.
    Transient {
        /// How long the server asks to wait, at most five minutes.
        retry_after: Option<Duration>,
    },
    /// Too many requests. It concerns all requests of the caller, not this one alone.
    Throttled {
        /// How long the server asks to wait, at most five minutes.
        retry_after: Option<Duration>,
        /// The limit that was passed, where the server names it.
        quota: Option<Quota>,
    },
    /// The service knows no such thing, or not yet: jobs can appear late.
    NotFound,
    /// The credentials were refused for good: renewing them, where possible, did not help.
    Unauthorized,
    /// Trying again cannot help.
    Fatal,
}

/// A limit on requests: so many calls in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Quota {
    /// Calls allowed in one window.
    pub calls: NonZeroU32,
    /// The window, never zero.
    pub per: Duration,
}

/// What an answer that is not a success means, before retry hints are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Transient,
    Throttled,
    NotFound,
    Fatal,
    Refused(Refusal),
}

/// Why the credentials were refused, which decides whether others are worth a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing more is known: a token may have expired or been revoked.
    Token,
    /// The signature is too old or too new: the clocks differ.
    Clock,
    /// The key is wrong, unknown or signs wrongly. Repeating this locks the key.
    Key,
    /// The key is locked after too many failures; each further try keeps it so.
    LockedOut,
}

/// Classifies an answer by its HTTP status and the code and text of its body.
///
/// Mutations share it: what is transient for them alone (a running import, an expanding cluster) never
/// answers a poll. A 200 comes here only with an error code and is judged by that.
pub(crate) fn verdict(status: u16, code: Option<&str>, text: &str) -> Verdict {
    let code = code.map_or(Code::Other, Code::parse);
    let status = if (200..300).contains(&status) { code.usual_status() } else { status };

    if matches!(status, 401 | 403)
        && let Some(verdict) = by_text(text)
    {
        return verdict;
    }
    match (status, code) {
        (
            400,
            Code::Cfw(
                // Busy; a service behind it failed (twice); upgrade slots taken; the database failed.
                "00100001" | "00109003" | "00109004" | "00200023" | "00300001"
                // etcd: query, delete, save.
                | "00800001" | "00800002" | "00800003"
                // An import is in progress; the cluster is expanding.
                | "00900016" | "01100008",
            ),
        ) => Verdict::Transient,
        (400, Code::Cfw("00200005")) => Verdict::NotFound,
        // "API does not exist", a wrong path or an unpublished API: the endpoint is wrong, no job is lost.
        (404, Code::Gateway(_)) => Verdict::Fatal,
        // Configuration, which an older gateway reports with status 500.
        (500, Code::Gateway("0103" | "0104" | "0105" | "0106")) => Verdict::Fatal,
        (429, _) => Verdict::Throttled,
        (408 | 425 | 500..=599, _) => Verdict::Transient,
        (401, _) => Verdict::Refused(Refusal::Token),
        (404, _) => Verdict::NotFound,
        // Redirects, which are never followed, and every other 4xx. Among those: all codes of the service at
        // 400 that are not above, 403 with a gateway code, 405 (quota used up), 413.
        _ => Verdict::Fatal,
    }
}

impl Class {
    /// Adds what the answer says about *when* to the verdict.
    pub(crate) fn new(verdict: Verdict, retry_after: Option<Duration>, text: &str) -> Self {
        match verdict {
            Verdict::Transient => Self::Transient { retry_after },
            Verdict::Throttled => Self::Throttled { retry_after, quota: quota(text) },
            Verdict::NotFound => Self::NotFound,
            Verdict::Fatal => Self::Fatal,
            Verdict::Refused(_) => Self::Unauthorized,
        }
    }
}

/// The gateway gives one code (0301) to refusals that need opposite reactions; only the text tells them apart.
fn by_text(text: &str) -> Option<Verdict> {
    let text = text.to_ascii_lowercase();
    // Texts are matched at their start, because what follows can be an echo of the request.
    let said = text.trim_start();
    let said = said.strip_prefix("incorrect iam authentication information").unwrap_or(said);
    let said = said.trim_start_matches([':', ' ']);
    const MEANINGS: [(&str, Verdict); 8] = [
        ("token expires", Verdict::Refused(Refusal::Token)),
        ("decrypt token fail", Verdict::Refused(Refusal::Token)),
        ("x-auth-token is invalid", Verdict::Refused(Refusal::Token)),
        ("the token must be updated", Verdict::Refused(Refusal::Token)),
        // We forgot to send it: no other token will help.
        ("x-auth-token not found", Verdict::Fatal),
        ("verify aksk signature fail", Verdict::Refused(Refusal::Key)),
        ("get secretkey failed", Verdict::Refused(Refusal::Key)),
        ("ak access failed to reach the limit", Verdict::Refused(Refusal::LockedOut)),
    ];
    if said.starts_with("calc aksk signature fail") {
        let clock = said.contains("signature expired");
        return Some(Verdict::Refused(if clock { Refusal::Clock } else { Refusal::Key }));
    }
    MEANINGS.iter().find(|(start, _)| said.starts_with(start)).map(|(_, verdict)| *verdict)
}

/// The server's clock, in the text of a refusal for its date:
/// `signature expired, signature time:20260528T092752Z,server time:20260528T094410Z`.
pub(crate) fn server_time(text: &str) -> Option<SystemTime> {
    let (_, time) = text.split_once("server time:")?;
    times::from_compact(time.trim_start().get(..16)?)
}

/// An error code, by the family that gives its digits a meaning.
#[derive(Clone, Copy)]
enum Code<'a> {
    Cfw(&'a str),
    Gateway(&'a str),
    /// A number in the range of HTTP statuses, as IAM writes it.
    Status(u16),
    Other,
}

impl<'a> Code<'a> {
    fn parse(code: &'a str) -> Self {
        match code.split_once('.') {
            Some(("CFW", digits)) => Self::Cfw(digits),
            Some(("APIGW" | "APIG" | "APIC", digits)) => Self::Gateway(digits),
            Some(_) => Self::Other,
            None if code.len() == 8 && code.bytes().all(|b| b.is_ascii_digit()) => Self::Cfw(code),
            None => match code.parse() {
                Ok(status @ 400..=599) => Self::Status(status),
                _ => Self::Other,
            },
        }
    }

    /// The status that belongs to the code, for bodies of errors that come with status 200.
    fn usual_status(self) -> u16 {
        match self {
            Self::Status(status) => status,
            Self::Gateway("0301" | "0303" | "0305" | "0307" | "0311") => 401,
            Self::Gateway(
                "0302" | "0304" | "0306" | "0310" | "0401" | "0402" | "0404" | "0801" | "0802",
            ) => 403,
            Self::Gateway("0101" | "0103") => 404,
            Self::Gateway("0308") => 429,
            Self::Gateway("0201" | "0610" | "0613") => 503,
            Self::Gateway(
                "0601" | "0605" | "0606" | "0608" | "0609" | "0611" | "0612" | "0705",
            ) => 500,
            Self::Gateway(_) | Self::Cfw(_) | Self::Other => 400,
        }
    }
}

/// The limit in a throttling answer's text: `policy user over ratelimit,limit:200,time:5 minute`.
fn quota(text: &str) -> Option<Quota> {
    let text = text.to_ascii_lowercase();
    text.match_indices("limit:").find_map(|(at, name)| {
        let (calls, rest) = number(text.get(at + name.len()..)?)?;
        let rest = rest.trim_start().strip_prefix(',')?.trim_start();
        let (count, unit) = number(rest.strip_prefix("time:").unwrap_or(rest))?;
        const UNITS: [(&str, u64); 4] =
            [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];
        let (_, seconds) = UNITS.iter().find(|(name, _)| unit.trim_start().starts_with(name))?;
        let per = Duration::from_secs(seconds.checked_mul(count.into())?);
        Some(Quota { calls: NonZeroU32::new(calls)?, per }).filter(|quota| !quota.per.is_zero())
    })
}

fn number(text: &str) -> Option<(u32, &str)> {
    let text = text.trim_start();
    let (digits, rest) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests;
