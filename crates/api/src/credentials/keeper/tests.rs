use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::*;
use crate::{
    JobId,
    clock::Clock,
    http::{Http, Trust},
};

fn keeper(seconds: Arc<AtomicU64>) -> Keeper {
    let clock =
        Clock::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.load(SeqCst)));
    let transport = Transport {
        http: Http::for_urls(&[], false, Duration::from_secs(1), &Trust::default()).unwrap(),
        request_timeout: Duration::from_secs(10),
        user_agent: HeaderValue::from_static("test"),
        clock,
    };
    let search =
        Search { wanted: false, region: None, interface: String::new(), allow_plain_http: false };
    Keeper::new(Credentials::token("t"), Arc::new(transport), search).unwrap()
}

// No sockets here, so that the paused clock may run ahead.
#[tokio::test(start_paused = true)]
async fn a_probe_that_nobody_polls_holds_no_one_up_for_ever() {
    let seconds = Arc::new(AtomicU64::new(1_000));
    let (keeper, id) = (keeper(Arc::clone(&seconds)), JobId::new("j").unwrap());
    let what = What::ListJob(&id);
    let held = keeper.pass(what).await.unwrap();

    let error = keeper.pass(what).await.err().unwrap();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Timeout, true));

    seconds.fetch_add(20, SeqCst);
    let taken_over = keeper.pass(what).await.unwrap();
    drop(held);
    taken_over.accepted();
    keeper.pass(what).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_probe_go_on_when_it_ends() {
    let (keeper, id) = (keeper(Arc::new(AtomicU64::new(1_000))), JobId::new("j").unwrap());
    let what = What::ListJob(&id);
    // By an answer, or by the loss of whoever made it.
    let ends: [fn(Pass<'_>); 2] = [|pass| drop(pass), |pass| pass.accepted()];
    for end in ends {
        let probe = keeper.pass(what).await.unwrap();
        let ending = async { end(probe) };
        let (next, ()) = tokio::join!(keeper.pass(what), ending);
        drop(next.unwrap());
    }
    let (first, second) = (keeper.pass(what).await.unwrap(), keeper.pass(what).await.unwrap());
    assert_eq!((first.probe, second.probe), (None, None));
}
