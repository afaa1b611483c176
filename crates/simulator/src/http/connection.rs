//! Connections and their faults.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const NORMAL: u8 = 0;
const RESET: u8 = 1;
const DEAD: u8 = 2;
const FLOODING: u8 = 3;

const INTERIM_ANSWER: &str = "HTTP/1.1 103 Early Hints\r\n\r\n";

/// The connection of a request, which is in the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) number: u32,
    mode: Arc<AtomicU8>,
}

impl Connection {
    pub(crate) fn new(number: u32) -> Self {
        Self { number, mode: Arc::new(AtomicU8::new(NORMAL)) }
    }

    /// Makes the connection end with a reset instead of the answer.
    pub(crate) fn reset(&self) {
        self.mode.store(RESET, Ordering::Relaxed);
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == RESET
    }

    /// Discards all that the client sends from now on, until the client closes the connection.
    pub(crate) fn kill(&self) {
        self.mode.store(DEAD, Ordering::Relaxed);
    }

    /// Sends interim answers from the next read on, until the client closes the connection.
    pub(crate) fn flood(&self) {
        self.mode.store(FLOODING, Ordering::Relaxed);
    }
}

/// A stream with the faults of its connection.
///
/// hyper owns the stream. It would only close it regularly, and cannot send interim answers.
pub(crate) struct FaultyStream {
    stream: TcpStream,
    connection: Connection,
    /// Many interim answers, while the connection floods.
    flood: Vec<u8>,
    /// The position in `flood` of the next byte to send.
    flood_position: usize,
}

impl FaultyStream {
    pub(crate) const fn new(stream: TcpStream, connection: Connection) -> Self {
        Self { stream, connection, flood: Vec::new(), flood_position: 0 }
    }

    /// Reads and discards. Becomes ready at the end of the stream.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 1024];
        loop {
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Sends interim answers until the socket is full, or Tokio's budget for the task is used up.
    fn poll_flood(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        const ANSWERS: usize = 4_000;
        if self.flood.is_empty() {
            self.flood = INTERIM_ANSWER.repeat(ANSWERS).into_bytes();
        }
        loop {
            let rest = self.flood.get(self.flood_position..).unwrap_or_default();
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest)) {
                Ok(sent) => {
                    self.flood_position = (self.flood_position + sent) % self.flood.len();
                }
                Err(error) => return Poll::Ready(error),
            }
        }
    }
}

impl Drop for FaultyStream {
    fn drop(&mut self) {
        if self.connection.is_reset() {
            // Closing a socket with a zero linger time sends RST instead of FIN. On failure the
            // client sees a regular end before the answer, which is a fault as well.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.connection.mode.load(Ordering::Relaxed) {
            DEAD => self.poll_discard(cx),
            // hyper reads while a request is in flight, to notice the end of the connection.
            FLOODING => match self.poll_discard(cx) {
                Poll::Pending => self.poll_flood(cx).map(Err),
                ended => ended,
            },
            _ => Pin::new(&mut self.stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
