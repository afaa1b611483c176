//! Signs a request with an access key.

use std::time::SystemTime;

use reqwest::{
    Request, Url,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret;

use super::{
    credentials::AccessKey,
    sign::{Body, SigningKey, Unsigned, sign},
};

const HOST: &str = "host";
const X_PROJECT_ID: &str = "x-project-id";
const X_SECURITY_TOKEN: &str = "x-security-token";
const X_SDK_DATE: &str = "x-sdk-date";

/// The headers of a signed request: the four that are added here, `Accept`, `Cache-Control`, `Content-Type` and `User-Agent`.
const MAX_HEADERS: usize = 8;

/// Adds a signature as of `when` to a request that is otherwise complete.
pub(super) fn sign_request(
    request: &mut Request,
    key: &AccessKey,
    project_id: Option<&str>,
    when: SystemTime,
) -> Result<(), &'static str> {
    if request.url().path().contains("%25") {
        return Err("an id with a '%' cannot be signed: signers disagree about it");
    }
    let (access, secret) = (key.access.expose_secret(), key.secret.expose_secret());
    let host = host(request.url()).ok_or("the endpoint has no host")?;
    let mut headers = Vec::new();
    headers.extend(project_id.map(|id| (X_PROJECT_ID, id)));
    headers
        .extend(key.security_token.as_ref().map(|token| (X_SECURITY_TOKEN, token.expose_secret())));
    // With the host signed, a signature is useless for any other server.
    let signed_headers: Vec<_> = headers.iter().copied().chain([(HOST, &*host)]).collect();
    let query: Vec<_> = request.url().query_pairs().collect();
    let query: Vec<_> = query.iter().map(|(name, value)| (&**name, &**value)).collect();
    let signed = sign(
        &Unsigned {
            method: request.method().as_str(),
            path: request.url().path(),
            query: &query,
            headers: &signed_headers,
            body: Body::Bytes(request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default()),
        },
        SigningKey { access, secret },
        when,
    );
    headers.extend([(X_SDK_DATE, &*signed.date), (AUTHORIZATION.as_str(), &*signed.authorization)]);
    // With the unsigned ones: one allocation for all.
    request.headers_mut().reserve(MAX_HEADERS);
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| "the project id holds characters that no header can carry")?;
        value.set_sensitive(true);
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Ok(())
}

/// Returns the `Host` header that hyper sends for a URL: with the port unless it is the scheme's.
fn host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}
