#![expect(clippy::disallowed_methods, reason = "virtual time, and tasks in place of hyper's")]

use std::sync::Mutex;

use tokio::{sync::oneshot, task::JoinHandle};

use super::*;

/// A connector whose connections are there when the test says so.
#[derive(Clone, Default)]
struct Wires {
    asked: Arc<Mutex<Vec<oneshot::Sender<()>>>>,
}

impl Wires {
    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn open(&self, number: usize) {
        let (dead, _) = oneshot::channel();
        let wire = std::mem::replace(&mut self.asked.lock().unwrap()[number], dead);
        wire.send(()).unwrap();
    }
}

impl Service<()> for Wires {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let (wire, opened) = oneshot::channel();
        self.asked.lock().unwrap().push(wire);
        Box::pin(async move { Ok(opened.await?) })
    }
}

struct World {
    wires: Wires,
    limiter: ConnectionLimiter,
    connector: LimitedConnector<Wires>,
}

impl World {
    /// Many connections were opened, and how many are still open is unknown.
    fn new() -> Self {
        let (wires, limiter) = (Wires::default(), ConnectionLimiter::new(Duration::from_secs(5)));
        limiter.counts().connections = 100;
        let connector = limiter.layer(wires.clone());
        Self { wires, limiter, connector }
    }

    /// Lets a request open a connection.
    fn connect(&mut self) -> JoinHandle<Result<(), BoxError>> {
        let (connecting, limiter) = (self.connector.call(()), self.limiter.clone());
        tokio::spawn(async move { limiter.start_request().send(connecting).await })
    }

    /// Starts to connect in a request, which then finds another connection. Gives what hyper goes on with, and the
    /// next request's.
    async fn leave_behind(&mut self) -> [JoinHandle<Result<(), BoxError>>; 2] {
        let mut connecting = self.connector.call(());
        let begun = self.wires.asked() + 1;
        let limiter = self.limiter.clone();
        let active_request = limiter.start_request();
        let until_begun = poll_fn(|cx| {
            assert!(connecting.as_mut().poll(cx).is_pending());
            if self.wires.asked() == begun { Poll::Ready(()) } else { Poll::Pending }
        });
        active_request.send(until_begun).await;
        drop(active_request);
        let orphaned = tokio::spawn(connecting);
        task::yield_now().await;
        [orphaned, self.connect()]
    }
}

/// Lets time pass. The clock is paused, and jumps to whatever is next.
async fn pass(millis: u64) {
    time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn as_many_as_there_are_requests_are_opened_at_once() {
    let mut world = World::new();
    world.limiter.counts().connections = 0;
    let _all = [world.connect(), world.connect(), world.connect()];
    task::yield_now().await;
    assert_eq!(world.wires.asked(), 3);
    // One fails, and the next request may have its place.
    world.wires.asked.lock().unwrap().remove(0);
    pass(0).await;
    let _next = world.connect();
    task::yield_now().await;
    assert_eq!(world.wires.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn beyond_that_one_waits_for_a_moment_in_which_nothing_ends() {
    let mut world = World::new();
    let limiter = world.limiter.clone();
    let other = limiter.start_request();
    let second = world.connect();
    pass(1).await;
    // Its connection may be on its way back to the pool.
    drop(other);
    pass(2).await;
    assert_eq!(world.wires.asked(), 0);
    pass(2).await;
    assert_eq!(world.wires.asked(), 1);
    // Now it is known again how many there are: no more than there are requests.
    let _third = world.connect();
    task::yield_now().await;
    assert_eq!(world.wires.asked(), 2);
    world.wires.open(0);
    second.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_counts_after_its_request_has_ended() {
    let mut world = World::new();
    world.limiter.counts().connections = 0;
    let first = world.connect();
    task::yield_now().await;
    world.wires.open(0);
    first.await.unwrap().unwrap();
    let _second = world.connect();
    pass(1).await;
    assert_eq!(world.wires.asked(), 1);
    pass(2).await;
    assert_eq!(world.wires.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_found_another_opens_none() {
    let mut world = World::new();
    let mut connecting = world.connector.call(());
    let polled = poll_fn(|cx| Poll::Ready(connecting.as_mut().poll(cx).is_pending()));
    assert!(world.limiter.start_request().send(polled).await);
    // hyper goes on with it in a task of its own.
    let error = tokio::spawn(connecting).await.unwrap().unwrap_err();
    assert!(error.is::<NotNeeded>(), "{error}");
    assert_eq!(world.wires.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_left_behind_is_waited_for_until_it_can_be_used() {
    let mut world = World::new();
    let [orphaned, next] = world.leave_behind().await;
    pass(99).await;
    assert_eq!(world.wires.asked(), 1);
    world.wires.open(0);
    orphaned.await.unwrap().unwrap();
    pass(2).await;
    assert_eq!(world.wires.asked(), 1, "it is not in the pool yet");
    pass(4).await;
    assert_eq!(world.wires.asked(), 2);
    world.wires.open(1);
    next.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_left_behind_that_fails_blocks_no_request() {
    let mut world = World::new();
    let [orphaned, _next] = world.leave_behind().await;
    world.wires.asked.lock().unwrap().clear();
    orphaned.await.unwrap().unwrap_err();
    pass(5).await;
    assert_eq!(world.wires.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_has_a_limit() {
    let mut world = World::new();
    let [_hanging, _next] = world.leave_behind().await;
    pass(249).await;
    assert_eq!(world.wires.asked(), 1);
    pass(2).await;
    assert_eq!(world.wires.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_the_longest_wait_it_is_still_unknown_how_many_are_open() {
    let mut world = World::new();
    let [_hanging, _next] = world.leave_behind().await;
    pass(251).await;
    assert_eq!(world.wires.asked(), 2);
    // So the one after it waits as well.
    let _third = world.connect();
    pass(249).await;
    assert_eq!(world.wires.asked(), 2);
    pass(2).await;
    assert_eq!(world.wires.asked(), 3);
}

/// A busy machine runs nothing for a while, and then one after the other the tasks that bring a connection to a request.
async fn is_brought_after(world: &mut World, millis: u64) -> bool {
    let (bring, brought) = oneshot::channel();
    let (connecting, limiter) = (world.connector.call(()), world.limiter.clone());
    let request = tokio::spawn(async move {
        let first = async {
            tokio::select! { biased; _ = brought => true, _ = connecting => false }
        };
        limiter.start_request().send(first).await
    });
    tokio::spawn(async move {
        pass(millis).await;
        // Some of them are tasks of the connections, and some those of the caller.
        for _ in 0..12 {
            task::yield_now().await;
        }
        bring.send(()).unwrap();
    });
    request.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_busy_machine_opens_none_before_it_has_run_what_brings_one_back() {
    let mut world = World::new();
    assert!(is_brought_after(&mut world, 2).await);
    assert_eq!(world.wires.asked(), 0);
    // Nor after the longest wait.
    world.limiter.counts().orphans = 1;
    assert!(is_brought_after(&mut world, 250).await);
    assert_eq!(world.wires.asked(), 0);
}

#[test]
fn waiting_leaves_most_of_a_short_time_for_connecting() {
    assert_eq!(
        ConnectionLimiter::new(Duration::from_millis(100)).max_wait,
        Duration::from_millis(25)
    );
    assert_eq!(ConnectionLimiter::new(Duration::MAX).max_wait, MAX_WAIT);
}
