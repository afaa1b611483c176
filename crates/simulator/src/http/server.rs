//! The listener, the accept loop and its connections.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::connection::{Connection, FaultyStream};
use crate::http::routes::routes;
use crate::state::shared::Shared;
use crate::util::clock::sleep;

/// Holds as many connections as a benchmark opens at once. A client whose SYN is dropped tries
/// again only after a second.
const BACKLOG: u32 = 4096;

/// The pause after a failed accept, most likely for lack of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(5);

pub(crate) fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Allows a port to be used again while its old connections are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

/// Serves until `stop` changes or its sender is dropped, then closes all connections.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<()>) {
    let router = routes(shared.clone());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, router.clone(), shared.clone()));
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection");
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
        }
    }
    connections.shutdown().await;
}

async fn serve_connection(stream: TcpStream, router: Router, shared: Arc<Shared>) {
    let open = OpenConnection::new(shared);
    let connection = Connection::new(open.number);
    // Without this option answers are only slower.
    let _ = stream.set_nodelay(true);
    let stream = FaultyStream::new(stream, connection.clone());
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        let response = router.call(request);
        let connection = connection.clone();
        async move {
            let response = response.await.unwrap_or_else(|never: Infallible| match never {});
            if connection.is_reset() {
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            } else {
                Ok(response)
            }
        }
    });
    let served = http1::Builder::new()
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::trace!(connection = open.number, %error, "connection ended");
    }
}

/// Counts a connection as open until it is dropped.
struct OpenConnection {
    shared: Arc<Shared>,
    number: u32,
}

impl OpenConnection {
    fn new(shared: Arc<Shared>) -> Self {
        let number = shared.lock().log.open_connection();
        Self { shared, number }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.shared.lock().log.close_connection();
    }
}
