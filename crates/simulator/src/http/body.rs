//! Response bodies, complete or corrupted by a fault.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::state::in_flight::InFlight;
use crate::util::clock::sleep;

/// A body that keeps its request in flight until it has been sent.
pub(crate) struct TrackedBody {
    content: Content,
    _in_flight: InFlight,
}

impl TrackedBody {
    pub(crate) const fn new(content: Content, in_flight: InFlight) -> Self {
        Self { content, _in_flight: in_flight }
    }
}

pub(crate) enum Content {
    /// `None` once sent, or if the body is empty.
    Whole(Option<Bytes>),
    /// `body` is `None` once sent.
    Delayed { delay: Pin<Box<dyn Future<Output = ()> + Send>>, body: Option<Bytes> },
    /// `part` is `None` once sent. `length` is the length that the headers announce.
    Half { part: Option<Bytes>, length: u64, is_flushed: bool },
    /// Holds the start of the body, `None` once sent.
    Endless(Option<Bytes>),
}

impl Content {
    pub(crate) fn whole(body: Bytes) -> Self {
        Self::Whole(Some(body).filter(|body| !body.is_empty()))
    }

    pub(crate) fn delayed(body: Bytes, delay: Duration) -> Self {
        Self::Delayed { delay: Box::pin(sleep(delay)), body: Some(body) }
    }

    pub(crate) fn half(body: Bytes) -> Self {
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX).max(1);
        Self::Half { part: Some(body.slice(..body.len() / 2)), length, is_flushed: false }
    }

    pub(crate) fn endless(body: Bytes) -> Self {
        // Without its closing brace the start cannot be taken for a complete answer.
        let start = body.slice(..body.len().saturating_sub(1));
        Self::Endless(Some(start).filter(|start| !start.is_empty()))
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        const FILLER: &[u8] = &[b' '; 4096];
        Poll::Ready(match &mut self.get_mut().content {
            Content::Whole(body) => body.take().map(|body| Ok(Frame::data(body))),
            Content::Delayed { delay, body } => {
                if body.is_some() {
                    ready!(delay.as_mut().poll(cx));
                }
                body.take().map(|body| Ok(Frame::data(body)))
            }
            Content::Half { part, is_flushed, .. } => match part.take() {
                Some(part) => Some(Ok(Frame::data(part))),
                // hyper flushes when a body is pending, and drops its buffer when a body fails.
                // One pending turn in between lets the first half reach the client.
                None if !*is_flushed => {
                    *is_flushed = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof))),
            },
            Content::Endless(start) => {
                let filler = || Bytes::from_static(FILLER);
                Some(Ok(Frame::data(start.take().unwrap_or_else(filler))))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(body) | Content::Delayed { body, .. } => SizeHint::with_exact(
                body.as_ref().map_or(0, |body| u64::try_from(body.len()).unwrap_or(0)),
            ),
            Content::Half { length, .. } => SizeHint::with_exact(*length),
            Content::Endless(_) => SizeHint::default(),
        }
    }
}
