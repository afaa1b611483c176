//! The accept loop and its sockets.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::pause;
use crate::routes::routes;
use crate::state::Shared;

/// A backlog that holds as many clients as a benchmark opens at once: a dropped SYN is only sent
/// again after a second.
const BACKLOG: u32 = 4096;

pub(crate) fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // So that a port can be used again at once, whatever connections it had a moment ago.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` is told or its sender is gone, then closes every connection.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<()>) {
    let router = routes(shared.clone());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, router.clone(), shared.clone()));
                }
                // Out of file descriptors, most likely: some will be closed soon.
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection");
                    pause(Duration::from_millis(5)).await;
                }
            },
        }
    }
    connections.shutdown().await;
}

/// What a request knows about its connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) number: u32,
    reset: Arc<AtomicBool>,
}

impl Connection {
    /// Ends the connection with a reset in place of the answer.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }
}

async fn converse(stream: TcpStream, router: Router, shared: Arc<Shared>) {
    let open = Open::new(shared);
    let connection = Connection { number: open.number, reset: Arc::default() };
    // Small answers must not wait for acknowledgements; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let socket = Socket { stream, connection: connection.clone() };
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        let answer = router.call(request);
        let connection = connection.clone();
        async move {
            let answer = answer.await.unwrap_or_else(|never: Infallible| match never {});
            if connection.is_reset() {
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            } else {
                Ok(answer)
            }
        }
    });
    let served = http1::Builder::new()
        .title_case_headers(true)
        .serve_connection(TokioIo::new(socket), service);
    if let Err(error) = served.await {
        tracing::trace!(connection = open.number, %error, "connection ended");
    }
}

/// Counts a connection for as long as it lives.
struct Open {
    shared: Arc<Shared>,
    number: u32,
}

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        let number = shared.lock().record.opened();
        Self { shared, number }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.lock().record.closed();
    }
}

/// A stream that can end in a reset: hyper, which owns it, would only ever close it in good order.
struct Socket {
    stream: TcpStream,
    connection: Connection,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.connection.is_reset() {
            // Closing a socket that does not linger sends RST in place of FIN.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
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
