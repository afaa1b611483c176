use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use reqwest::header::HeaderValue;

use super::*;
use crate::{
    JobId,
    clock::Clock,
    http::{
        clients::{HttpClients, TlsOptions},
        io_runtime::IoRuntime,
    },
};

fn manager(seconds: Arc<AtomicU64>) -> CredentialManager {
    let clock =
        Clock::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(SeqCst)));
    let transport = Transport {
        clients: HttpClients::for_urls(
            &[],
            false,
            Duration::from_secs(1),
            &TlsOptions::default(),
            None,
        )
        .unwrap(),
        request_timeout: Duration::from_secs(10),
        is_timeout_set: false,
        user_agent: HeaderValue::from_static("test"),
        clock,
        io_runtime: IoRuntime::Caller,
    };
    let catalog_query = CatalogQuery {
        wanted: false,
        region: None,
        interfaces: Vec::new(),
        allow_plain_http: false,
    };
    CredentialManager::new(Credentials::token("t"), Arc::new(transport), catalog_query, None)
        .unwrap()
}

// No sockets here, so that the paused clock may run ahead.
#[tokio::test(start_paused = true)]
async fn a_probe_that_nobody_polls_blocks_no_call_for_ever() {
    let seconds = Arc::new(AtomicU64::new(1_000));
    let (manager, id) = (manager(Arc::clone(&seconds)), JobId::new("j").unwrap());
    let operation = Operation::ListJob(&id);
    let held = manager.acquire(operation).await.unwrap();

    let error = manager.acquire(operation).await.err().unwrap();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));

    seconds.fetch_add(20, SeqCst);
    let taken_over = manager.acquire(operation).await.unwrap();
    drop(held);
    taken_over.accepted();
    manager.acquire(operation).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_a_probe_continue_when_it_ends() {
    let (manager, id) = (manager(Arc::new(AtomicU64::new(1_000))), JobId::new("j").unwrap());
    let operation = Operation::ListJob(&id);
    // By an answer, or by the drop of the call.
    let ends: [fn(Lease<'_>); 2] = [|lease| drop(lease), |lease| lease.accepted()];
    for end in ends {
        let probe = manager.acquire(operation).await.unwrap();
        let ending = async { end(probe) };
        let (next, ()) = tokio::join!(manager.acquire(operation), ending);
        drop(next.unwrap());
    }
    let (first, second) =
        (manager.acquire(operation).await.unwrap(), manager.acquire(operation).await.unwrap());
    assert_eq!((first.probe, second.probe), (None, None));
}
