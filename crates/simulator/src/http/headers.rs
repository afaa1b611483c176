//! Access to request headers.

use axum::http::HeaderMap;

/// Returns the value of a header, unless it is missing or not visible ASCII.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
