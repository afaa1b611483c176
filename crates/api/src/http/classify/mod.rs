//! Classifies answers: one table, in one order.
//!
//! The HTTP status is not enough. The service answers 400 for "system busy" and for "does not
//! exist", and the gateway in front of it answers 404 where the *URL* is wrong.

use std::{
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use crate::{Class, Quota, times, wire::error_body::ErrorBody};

/// The meaning of an answer that is not a success, without retry hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Classification {
    Transient,
    Throttled,
    NotFound,
    Fatal,
    /// Not the service's own word. See [`Class::Unexpected`].
    Unexpected {
        can_pass: bool,
    },
    Refused(Refusal),
}

/// Why the credentials were refused. This decides whether new ones are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No reason that is known better: the token may have expired or been revoked.
    Token,
    /// The signature is too old or too new: the clocks differ.
    Clock,
    /// The key is wrong, unknown or signs wrongly. Repeating this locks the key.
    Key,
    /// The key is locked after too many failures. Each further try extends the lock.
    LockedOut,
}

/// Classifies an answer by its HTTP status, and the code and text of its body. `asks_to_wait` says whether the answer
/// has a `Retry-After`.
///
/// Mutations use the same table: codes that are transient only for them (a running import, an expanding cluster)
/// do not answer a poll. A 200 is classified only if its body has an error code, by that code.
///
/// The service's own word is a code of its family (`CFW.`, or eight digits) or of the gateway's, with a status that
/// goes with it. Only that ends a wait at once. Every other answer in the 300s and 400s can come from something in
/// between (a proxy, a balancer, a gateway node during a roll-out) and proves nothing alone.
pub(crate) fn classify(status: u16, body: &ErrorBody, asks_to_wait: bool) -> Classification {
    let text = &*body.text;
    let code = body.code.as_deref().map_or(Code::Other, Code::parse);
    let status = if (200..300).contains(&status) { code.usual_status() } else { status };

    if matches!(status, 401 | 403)
        && let Some(classification) = by_text(text)
    {
        return classification;
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
        ) => Classification::Transient,
        (400, Code::Cfw("00200005")) => Classification::NotFound,
        // "API does not exist", a wrong path or an unpublished API: the endpoint is wrong, or this node of the gateway
        // does not know the API yet. No job is lost. An older gateway reports it with status 500.
        (404, Code::Gateway(_)) | (500, Code::Gateway("0103")) => {
            Classification::Unexpected { can_pass: false }
        }
        // Configuration of the API behind the gateway, which an older gateway reports with status 500.
        (500, Code::Gateway("0104" | "0105" | "0106")) => Classification::Fatal,
        (429, _) => Classification::Throttled,
        (408 | 425 | 500..=599, _) => Classification::Transient,
        (401, _) => Classification::Refused(Refusal::Token),
        (404, _) => Classification::NotFound,
        // All codes of the service that are not above, 403 with a gateway code, 405 (quota used up), 413 (too large).
        (400..=499, Code::Cfw(_) | Code::Gateway(_)) => Classification::Fatal,
        // Throttling in the form of OpenStack.
        (413, _) if asks_to_wait || body.is_over_limit => Classification::Throttled,
        // Behind the right URL a GET is allowed.
        (405, _) => Classification::Unexpected { can_pass: false },
        // Redirects, which are never followed, and every other 4xx.
        _ => Classification::Unexpected { can_pass: true },
    }
}

/// Returns whether an error has a code of the service itself, not of the gateway or of something before it.
pub(crate) fn is_from_service(body: &ErrorBody) -> bool {
    body.code.as_deref().is_some_and(|code| matches!(Code::parse(code), Code::Cfw(_)))
}

impl Class {
    /// Adds the retry hints of an answer to its classification.
    pub(crate) fn new(
        classification: Classification,
        retry_after: Option<Duration>,
        text: &str,
    ) -> Self {
        match classification {
            Classification::Transient => Self::Transient { retry_after },
            Classification::Throttled => Self::Throttled { retry_after, quota: quota(text) },
            Classification::NotFound => Self::NotFound,
            Classification::Fatal => Self::Fatal,
            Classification::Unexpected { can_pass } => Self::Unexpected { can_pass },
            Classification::Refused(_) => Self::Unauthorized,
        }
    }
}

/// Classifies by text. The gateway uses one code (0301) for refusals that need opposite reactions.
fn by_text(text: &str) -> Option<Classification> {
    let text = text.to_ascii_lowercase();
    // Only the start is matched, because an echo of the request can follow.
    let said = text.trim_start();
    let said = said.strip_prefix("incorrect iam authentication information").unwrap_or(said);
    let said = said.trim_start_matches([':', ' ']);
    const MEANINGS: [(&str, Classification); 8] = [
        ("token expires", Classification::Refused(Refusal::Token)),
        ("decrypt token fail", Classification::Refused(Refusal::Token)),
        ("x-auth-token is invalid", Classification::Refused(Refusal::Token)),
        ("the token must be updated", Classification::Refused(Refusal::Token)),
        // The request had no token, so another token does not help.
        ("x-auth-token not found", Classification::Fatal),
        ("verify aksk signature fail", Classification::Refused(Refusal::Key)),
        ("get secretkey failed", Classification::Refused(Refusal::Key)),
        ("ak access failed to reach the limit", Classification::Refused(Refusal::LockedOut)),
    ];
    if said.starts_with("calc aksk signature fail") {
        let clock = said.contains("signature expired");
        return Some(Classification::Refused(if clock { Refusal::Clock } else { Refusal::Key }));
    }
    MEANINGS
        .iter()
        .find(|(start, _)| said.starts_with(start))
        .map(|(_, classification)| *classification)
}

/// Returns the server's time in the text of a refusal for the date of the signature:
/// `signature expired, signature time:20260528T092752Z,server time:20260528T094410Z`.
pub(crate) fn server_time(text: &str) -> Option<SystemTime> {
    let (_, time) = text.split_once("server time:")?;
    times::from_compact(time.trim_start().get(..16)?)
}

/// An error code. The family gives the digits their meaning.
#[derive(Clone, Copy)]
enum Code<'a> {
    Cfw(&'a str),
    Gateway(&'a str),
    /// A number in the range of HTTP statuses, as IAM sends it.
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

    /// Returns the status that belongs to the code, for errors in the body of a 200.
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

/// Returns the limit in the text of a throttling answer: `policy user over ratelimit,limit:200,time:5 minute`.
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
