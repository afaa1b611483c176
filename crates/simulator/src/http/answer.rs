//! Answers in the formats of CFW, of its gateway and of IAM.

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::faults::fault::Fault;
use crate::http::body::{Content, TrackedBody};
use crate::state::in_flight::InFlight;

/// A complete answer, before a fault corrupts it.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    content_type: &'static str,
    body: Bytes,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { status, headers: Vec::new(), content_type: "application/json", body: body.into() }
    }

    pub(crate) fn text(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), content_type, body: body.into() }
    }

    /// Returns an error of CFW itself.
    pub(crate) fn cfw(status: u16, code: &str, msg: &str) -> Self {
        Self::json(status, &json!({ "error_code": code, "error_msg": msg }))
    }

    pub(crate) fn not_found() -> Self {
        Self::cfw(400, "CFW.00200005", "Object not found.")
    }

    /// Returns an error of the gateway in front of CFW.
    pub(crate) fn gateway(status: u16, code: &str, msg: &str, request_id: &str) -> Self {
        Self::json(
            status,
            &json!({ "error_msg": msg, "error_code": code, "request_id": request_id }),
        )
    }

    /// Returns an error of IAM.
    pub(crate) fn iam(status: u16, title: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({ "error": { "code": status, "message": message, "title": title } }),
        )
    }

    /// Returns the gateway's refusal of credentials, with the reason in `detail`.
    pub(crate) fn unauthorized(detail: &str, request_id: &str) -> Self {
        let msg = format!("Incorrect IAM authentication information: {detail}");
        Self::gateway(401, "APIGW.0301", &msg, request_id)
    }

    pub(crate) fn throttled(quota: Option<&str>, request_id: &str) -> Self {
        let mut msg =
            "The throttling threshold has been reached: policy user over ratelimit".to_owned();
        if let Some(quota) = quota {
            msg.push(',');
            msg.push_str(quota);
        }
        Self::gateway(429, "APIGW.0308", &msg, request_id)
    }

    /// Adds a header, unless the value is missing or is not valid in a header.
    pub(crate) fn header(mut self, name: HeaderName, value: Option<&str>) -> Self {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            self.headers.push((name, value));
        }
        self
    }

    /// Converts the answer to a response. `in_flight` ends with the last byte of the body.
    pub(crate) fn into_response(
        self,
        fault: Option<&Fault>,
        request_id: (&'static str, &str),
        date: &HeaderValue,
        mut in_flight: InFlight,
    ) -> Response<Body> {
        let status = StatusCode::from_u16(self.status)
            .ok()
            .filter(|status| !status.is_informational())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        in_flight.set_status(status.as_u16());
        let (content_type, content) = match fault {
            Some(Fault::NotJson) => (
                "text/plain",
                Content::whole("upstream connect error or disconnect before headers".into()),
            ),
            Some(Fault::EmptyBody) => (self.content_type, Content::whole(Bytes::new())),
            Some(Fault::SlowBody(delay)) => {
                (self.content_type, Content::delayed(self.body, *delay))
            }
            Some(Fault::Gzip) => (self.content_type, Content::whole(gzip(&self.body).into())),
            Some(Fault::CutBody) => (self.content_type, Content::half(self.body)),
            Some(Fault::Endless) => (self.content_type, Content::endless(self.body)),
            _ => (self.content_type, Content::whole(self.body)),
        };
        let mut response = Response::new(Body::new(TrackedBody::new(content, in_flight)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::DATE, date.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Ok(id) = HeaderValue::from_str(request_id.1) {
            headers.insert(HeaderName::from_static(request_id.0), id);
        }
        if fault == Some(&Fault::Gzip) {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.extend(self.headers);
        response
    }
}

/// Returns `data` in the gzip format (RFC 1952), stored and not compressed.
fn gzip(data: &[u8]) -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut out = HEADER.to_vec();
    let mut chunks = data.chunks(u16::MAX.into()).peekable();
    if data.is_empty() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out.push(u8::from(chunks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(chunk);
    }
    out.extend(crc32(data).to_le_bytes());
    // The length modulo 2^32.
    out.extend(data.len().to_le_bytes().into_iter().chain([0; 4]).take(4));
    out
}

fn crc32(data: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let crc = data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 }
        })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_what_other_programs_read() {
        // The check value of the algorithm, and the output of `gzip -1` would differ only in its compression.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let expected = [
            &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 2, 0, 0xfd, 0xff][..],
            b"{}",
            &[0x43, 0xbf, 0xa6, 0xa3, 2, 0, 0, 0],
        ];
        assert_eq!(gzip(b"{}"), expected.concat());
        let long = gzip(&vec![b'x'; 100_000]);
        assert_eq!(long.len(), 100_000 + 10 + 5 + 5 + 8);
        assert_eq!((long[10], long[10 + 5 + 65_535]), (0, 1), "only the last block is final");
    }
}
