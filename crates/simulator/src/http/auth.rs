//! The gateway's check of tokens and signatures.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::headers::header_text;
use crate::http::signature::{Authorization, canonical_request, sign};
use crate::record::request::Credential;
use crate::state::shared::State;
use crate::state::tokens::{TokenError, TokenRefusal};
use crate::util::clock::{format_iam, format_sdk_date};

const SIGNATURE_VALID_MILLIS: u64 = 15 * 60 * 1000;
/// The failure in a row that locks a key.
const KEY_FAILURES: u32 = 6;
const KEY_LOCKOUT: Duration = Duration::from_secs(5 * 60);

/// Checks the credentials of a call. Returns the refusal if they are not valid.
pub(crate) fn authenticate(state: &mut State, call: &Call<'_>) -> (Credential, Option<Answer>) {
    let headers = &call.parts.headers;
    if let Some(token) = header_text(headers, "x-auth-token") {
        return match state.tokens.check(token, call.now) {
            Ok(()) => (Credential::Token, None),
            Err(error) => (Credential::RefusedToken, Some(refuse_token(state, call, error))),
        };
    }
    let refuse = |detail: &str| Some(Answer::unauthorized(detail, call.request_id));
    let Some(authorization) = header_text(headers, "authorization") else {
        return (Credential::Missing, refuse("x-auth-token not found"));
    };
    match check_signature(state, call, authorization) {
        Ok(()) => (Credential::Signature, None),
        Err(detail) => (Credential::RefusedSignature, refuse(&detail)),
    }
}

fn refuse_token(state: &State, call: &Call<'_>, error: TokenError) -> Answer {
    match (state.tokens.refusal, error) {
        (_, TokenError::Unscoped) => call.forbidden(),
        (TokenRefusal::MustUpdate, _) => {
            Answer::gateway(401, "APIGW.0307", "The token must be updated.", call.request_id)
        }
        (TokenRefusal::Forbidden, _) => {
            Answer::json(403, &json!({ "message": "X-Auth-Token is invalid" }))
        }
        (TokenRefusal::Unauthorized, TokenError::Unknown) => {
            Answer::unauthorized("decrypt token fail", call.request_id)
        }
        (TokenRefusal::Unauthorized, TokenError::Expired(at)) => {
            let at = format_iam(call.shared.unix_millis(state, at));
            Answer::unauthorized(&format!("token expires, expires_at: {at}"), call.request_id)
        }
    }
}

/// Checks an `Authorization` header, and locks its key after too many failures. The error is the
/// gateway's text.
fn check_signature(state: &mut State, call: &Call<'_>, header: &str) -> Result<(), String> {
    let unix_millis = call.shared.unix_millis(state, call.now);
    let Some(authorization) = Authorization::parse(header) else {
        return Err("decrypt token fail".to_owned());
    };
    let lockout = state.key_lockouts.entry(authorization.access.to_owned()).or_default();
    if lockout.is_locked(call.now) {
        return Err("AK access failed to reach the limit,forbidden.".to_owned());
    }
    let verified = verify_signature(call, header, &authorization, unix_millis);
    match verified {
        Ok(()) => lockout.record_success(),
        Err(_) => lockout.record_failure(KEY_FAILURES, call.now, KEY_LOCKOUT),
    }
    verified
}

fn verify_signature(
    call: &Call<'_>,
    header: &str,
    authorization: &Authorization<'_>,
    unix_millis: i64,
) -> Result<(), String> {
    let headers = &call.parts.headers;
    let key = &call.shared.config.access_key;
    // A temporary key without its security token is an unknown key.
    if authorization.access != key.access()
        || key
            .security_token()
            .is_some_and(|token| header_text(headers, "x-security-token") != Some(token))
    {
        return Err(format!("Get secretKey failed,ak:{},err:ak not exist", authorization.access));
    }
    let date = header_text(headers, "x-sdk-date").filter(|_| authorization.signs("x-sdk-date"));
    let signed_at = date.and_then(|date| {
        let time = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
        Some(TimeZone::UTC.to_timestamp(time).ok()?.as_millisecond())
    });
    let (Some(date), Some(signed_at)) = (date, signed_at) else {
        return Err(
            "calc aksk signature fail:no signed x-sdk-date of the form YYYYMMDDTHHMMSSZ".to_owned()
        );
    };
    if unix_millis.abs_diff(signed_at) > SIGNATURE_VALID_MILLIS {
        let server = format_sdk_date(unix_millis);
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
        // The real gateway echoes the request too, credentials included.
        let echo = canonical.replace('\n', "|");
        Err(format!("verify aksk signature fail,canonicalRequest:{echo}|authorization:{header}"))
    }
}
