//! Answers: the body shapes of CFW, of its gateway and of IAM, and bodies that misbehave.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use serde_json::json;

use crate::fault::Fault;
use crate::flight::Flight;

/// A complete answer, before any fault spoils it.
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

    fn text(status: u16, content_type: &'static str, body: &'static str) -> Self {
        let body = Bytes::from_static(body.as_bytes());
        Self { status, headers: Vec::new(), content_type, body }
    }

    /// CFW's own errors.
    pub(crate) fn cfw(status: u16, code: &str, msg: &str) -> Self {
        Self::json(status, &json!({ "error_code": code, "error_msg": msg }))
    }

    pub(crate) fn not_found() -> Self {
        Self::cfw(400, "CFW.00200005", "Object not found.")
    }

    /// The errors of the gateway in front of CFW.
    pub(crate) fn gateway(status: u16, code: &str, msg: &str, request_id: &str) -> Self {
        Self::json(
            status,
            &json!({ "error_msg": msg, "error_code": code, "request_id": request_id }),
        )
    }

    /// The gateway's refusal of credentials; `detail` tells why.
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

    /// Values that cannot be a header are left out.
    pub(crate) fn header(mut self, name: HeaderName, value: Option<&str>) -> Self {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            self.headers.push((name, value));
        }
        self
    }

    /// The answer of a fault that keeps the request from the service.
    pub(crate) fn instead(fault: &Fault, endpoint: &str, request_id: &str) -> Option<Self> {
        Some(match fault {
            Fault::Throttled { retry_after, quota } => {
                Self::throttled(quota.as_deref(), request_id)
                    .header(header::RETRY_AFTER, retry_after.as_deref())
            }
            Fault::Status(status) => Self::text(*status, "text/plain", ""),
            Fault::ServiceUnavailable { retry_after } => {
                Self::gateway(503, "APIGW.0610", "No backend available.", request_id)
                    .header(header::RETRY_AFTER, retry_after.as_deref())
            }
            Fault::Busy => Self::cfw(400, "CFW.00100001", "System busy. Try again later."),
            Fault::NotFound => Self::not_found(),
            Fault::Code { status, code, msg } => Self::cfw(*status, code, msg),
            Fault::Redirect => Self::text(307, "text/plain", "")
                .header(header::LOCATION, Some(&format!("{endpoint}/redirected"))),
            Fault::BadGatewayHtml => Self::text(
                502,
                "text/html",
                "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
            ),
            Fault::Reset
            | Fault::Slow(_)
            | Fault::Hang
            | Fault::CutBody
            | Fault::NotJson
            | Fault::EmptyBody
            | Fault::WrongId
            | Fault::UnknownStatus
            | Fault::Endless => return None,
        })
    }

    /// Dresses the answer for the wire. `flight` ends with the last byte of the body.
    pub(crate) fn into_response(
        self,
        fault: Option<&Fault>,
        request_id: (&'static str, &str),
        date: &HeaderValue,
        mut flight: Flight,
    ) -> Response<Body> {
        let status = StatusCode::from_u16(self.status)
            .ok()
            .filter(|status| !status.is_informational())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        flight.answer(status.as_u16());
        let (content_type, content) = match fault {
            Some(Fault::NotJson) => (
                "text/plain",
                Content::whole("upstream connect error or disconnect before headers".into()),
            ),
            Some(Fault::EmptyBody) => (self.content_type, Content::whole(Bytes::new())),
            Some(Fault::CutBody) => (self.content_type, Content::half(self.body)),
            Some(Fault::Endless) => (self.content_type, Content::Endless(Some(self.body))),
            _ => (self.content_type, Content::whole(self.body)),
        };
        let mut response = Response::new(Body::new(TrackedBody { content, _flight: flight }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::DATE, date.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Ok(id) = HeaderValue::from_str(request_id.1) {
            headers.insert(HeaderName::from_static(request_id.0), id);
        }
        headers.extend(self.headers);
        response
    }
}

/// A body that keeps its request in flight for as long as it is being sent.
struct TrackedBody {
    content: Content,
    _flight: Flight,
}

enum Content {
    Whole(Option<Bytes>),
    Half { part: Option<Bytes>, promised: u64, flushed: bool },
    Endless(Option<Bytes>),
}

impl Content {
    fn whole(body: Bytes) -> Self {
        Self::Whole(Some(body).filter(|body| !body.is_empty()))
    }

    fn half(body: Bytes) -> Self {
        let promised = u64::try_from(body.len()).unwrap_or(u64::MAX).max(1);
        Self::Half { part: Some(body.slice(..body.len() / 2)), promised, flushed: false }
    }
}

impl hyper::body::Body for TrackedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        const FILLER: &[u8] = &[b' '; 4096];
        Poll::Ready(match &mut self.get_mut().content {
            Content::Whole(body) => body.take().map(|body| Ok(Frame::data(body))),
            Content::Half { part, flushed, .. } => match part.take() {
                Some(part) => Some(Ok(Frame::data(part))),
                // hyper flushes when a body has nothing for now, and throws away what it holds
                // when a body fails: one turn without data lets the first half reach the client.
                None if !*flushed => {
                    *flushed = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof))),
            },
            Content::Endless(body) => {
                let filler = || Bytes::from_static(FILLER);
                // Without its closing brace the beginning cannot pass for a whole answer.
                let head = body.take().map(|body| body.slice(..body.len().saturating_sub(1)));
                Some(Ok(Frame::data(head.filter(|head| !head.is_empty()).unwrap_or_else(filler))))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(body) => SizeHint::with_exact(
                body.as_ref().map_or(0, |body| u64::try_from(body.len()).unwrap_or(0)),
            ),
            Content::Half { promised, .. } => SizeHint::with_exact(*promised),
            Content::Endless(_) => SizeHint::default(),
        }
    }
}
