//! `SDK-HMAC-SHA256`, the signature that access keys (AK/SK) put on a request.
//!
//! Pure: the time is an argument, so a retry cannot reuse a signature by accident and a clock that
//! is off can be corrected by the caller. The gateway refuses signatures older than 15 minutes.

use std::time::SystemTime;

use hmac_sha256::{HMAC, Hash};
use jiff::Timestamp;
use percent_encoding::{percent_decode_str, percent_encode};

use crate::id::RESERVED;

#[cfg(test)]
mod tests;

const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// A request as far as the signature covers it.
pub(crate) struct Unsigned<'a> {
    pub(crate) method: &'a str,
    /// The path as it is sent, percent-encoded (`Url::path`). Each segment is decoded and encoded
    /// once, because the gateway signs `!` or `(` in a path as `%21` and `%28` however they came.
    /// Signers disagree about `/` and `%` inside a segment: keep both out of ids.
    pub(crate) path: &'a str,
    /// Decoded names and values, in any order.
    pub(crate) query: &'a [(&'a str, &'a str)],
    /// The headers to sign, in any order and case, each name once; `X-Sdk-Date` is added here. A
    /// signed `Host` must be the one sent, with its port if that is sent.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Body<'a>,
}

/// How the signature covers the body.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    /// Not at all; the request then carries `X-Sdk-Content-Sha256: UNSIGNED-PAYLOAD`.
    Unsigned,
}

/// An access key. Without `Debug`, as is [`Signed`]: neither can be printed.
#[derive(Clone, Copy)]
pub(crate) struct SigningKey<'a> {
    pub(crate) access: &'a str,
    pub(crate) secret: &'a str,
}

/// What to add to the request, for this one attempt.
pub(crate) struct Signed {
    /// The value of `Authorization`.
    pub(crate) authorization: String,
    /// The value of `X-Sdk-Date`.
    pub(crate) date: String,
}

/// Signs `request` with `key` as of `when`.
pub(crate) fn sign(request: &Unsigned<'_>, key: SigningKey<'_>, when: SystemTime) -> Signed {
    // A clock beyond the year 9999 gets the answer that any wrong clock gets: "signature expired".
    let date = Timestamp::try_from(when).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string();
    let (canonical, names) = canonical_request(request, &date);
    let to_sign = format!("{ALGORITHM}\n{date}\n{}", hex(&Hash::hash(canonical.as_bytes())));
    let signature = hex(&HMAC::mac(to_sign, key.secret));
    let authorization =
        format!("{ALGORITHM} Access={}, SignedHeaders={names}, Signature={signature}", key.access);
    Signed { authorization, date }
}

/// The canonical request and the names of the signed headers.
fn canonical_request(request: &Unsigned<'_>, date: &str) -> (String, String) {
    let mut headers: Vec<(String, &str)> = request
        .headers
        .iter()
        .map(|&(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    headers.push(("x-sdk-date".to_owned(), date));
    headers.sort_unstable();

    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let body = match request.body {
        Body::Bytes(bytes) => hex(&Hash::hash(bytes)),
        Body::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
    };
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{body}",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query),
    );
    (canonical, names)
}

/// The path with every segment encoded once, and with the closing slash that only the signature has.
fn canonical_path(path: &str) -> String {
    let mut canonical = String::with_capacity(path.len() + 1);
    for segment in path.split_inclusive('/') {
        let (name, slash) = segment.strip_suffix('/').map_or((segment, ""), |name| (name, "/"));
        let decoded: Vec<u8> = percent_decode_str(name).collect();
        canonical.extend(percent_encode(&decoded, RESERVED));
        canonical.push_str(slash);
    }
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// `name=value` joined by `&`, ordered by the decoded names, then by the decoded values.
fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut pairs = query.to_vec();
    pairs.sort_unstable();
    let encode = |text: &str| percent_encode(text.as_bytes(), RESERVED).to_string();
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let digits = [byte >> 4, byte & 0xf].map(u32::from);
        text.extend(digits.into_iter().filter_map(|digit| char::from_digit(digit, 16)));
    }
    text
}
