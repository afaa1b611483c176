//! Access keys: who signed, how often it failed, and what the gateway says to it.

use std::collections::HashMap;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::accounts::AccessKey;
use crate::clock::compact;
use crate::gateway::{Call, text};
use crate::signature::{Authorization, canonical_request, sign};

const VALID_FOR_MILLIS: u64 = 15 * 60 * 1000;
const LOCKED_FOR: Duration = Duration::from_secs(5 * 60);
/// One failure more in a row locks the key.
const FAILURES: u32 = 5;

/// The failures of each key, known or not.
#[derive(Default)]
pub(crate) struct Keys {
    failures: HashMap<String, Failures>,
}

#[derive(Default)]
struct Failures {
    in_a_row: u32,
    locked_until: Option<Duration>,
}

impl Keys {
    /// Checks the signature in the `Authorization` header; the error is the gateway's text.
    pub(crate) fn check(
        &mut self,
        call: &Call<'_>,
        header: &str,
        unix_millis: i64,
    ) -> Result<(), String> {
        let Some(authorization) = Authorization::parse(header) else {
            return Err("decrypt token fail".to_owned());
        };
        let failures = self.failures.entry(authorization.access.to_owned()).or_default();
        if failures.locked_until.is_some_and(|end| call.now < end) {
            return Err("AK access failed to reach the limit,forbidden.".to_owned());
        }
        let checked = verify(call, header, &authorization, unix_millis);
        *failures = match checked {
            Ok(()) => Failures::default(),
            Err(_) if failures.in_a_row >= FAILURES => {
                Failures { in_a_row: 0, locked_until: Some(call.now.saturating_add(LOCKED_FOR)) }
            }
            Err(_) => Failures { in_a_row: failures.in_a_row + 1, locked_until: None },
        };
        checked
    }
}

fn verify(
    call: &Call<'_>,
    header: &str,
    authorization: &Authorization<'_>,
    unix_millis: i64,
) -> Result<(), String> {
    let headers = &call.parts.headers;
    let key: &AccessKey = &call.shared.config.access_key;
    // A temporary key is found by its security token, or not at all.
    if authorization.access != key.access()
        || key
            .security_token()
            .is_some_and(|token| text(headers, "x-security-token") != Some(token))
    {
        return Err(format!("Get secretKey failed,ak:{},err:ak not exist", authorization.access));
    }
    let date = text(headers, "x-sdk-date").filter(|_| authorization.signs("x-sdk-date"));
    let signed_at = date.and_then(|date| {
        let time = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
        Some(TimeZone::UTC.to_timestamp(time).ok()?.as_millisecond())
    });
    let (Some(date), Some(signed_at)) = (date, signed_at) else {
        return Err(
            "calc aksk signature fail:no signed x-sdk-date of the form YYYYMMDDTHHMMSSZ".to_owned()
        );
    };
    if unix_millis.abs_diff(signed_at) > VALID_FOR_MILLIS {
        let server = compact(unix_millis);
        return Err(format!(
            "calc aksk signature fail:signature expired, signature time:{date},server time:{server}"
        ));
    }
    let Some(canonical) = canonical_request(call.parts, call.body, authorization.signed_headers)
    else {
        return Err("calc aksk signature fail:a signed header is missing".to_owned());
    };
    if sign(key.secret(), date, &canonical) == authorization.signature {
        Ok(())
    } else {
        // The real gateway echoes what it was sent, credentials and all.
        let echo = canonical.replace('\n', "|");
        Err(format!("verify aksk signature fail,canonicalRequest:{echo}|authorization:{header}"))
    }
}
