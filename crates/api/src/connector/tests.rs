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
    thrift: Thrift,
    connector: Thrifty<Wires>,
}

impl World {
    /// In which many connections were opened, and nobody knows how many there are still.
    fn new() -> Self {
        let (wires, thrift) = (Wires::default(), Thrift::new(Duration::from_secs(5)));
        thrift.traffic().connections = 100;
        let connector = thrift.layer(wires.clone());
        Self { wires, thrift, connector }
    }

    /// Lets a request open a connection.
    fn connect(&mut self) -> JoinHandle<Result<(), BoxError>> {
        let (connecting, thrift) = (self.connector.call(()), self.thrift.clone());
        tokio::spawn(async move { thrift.begin().send(connecting).await })
    }

    /// Starts to connect in a request, which then finds another connection. Gives what hyper goes on with, and the
    /// next request's.
    async fn leave_behind(&mut self) -> [JoinHandle<Result<(), BoxError>>; 2] {
        let mut connecting = self.connector.call(());
        let begun = self.wires.asked() + 1;
        let thrift = self.thrift.clone();
        let in_request = thrift.begin();
        let until_begun = poll_fn(|cx| {
            assert!(connecting.as_mut().poll(cx).is_pending());
            if self.wires.asked() == begun { Poll::Ready(()) } else { Poll::Pending }
        });
        in_request.send(until_begun).await;
        drop(in_request);
        let stray = tokio::spawn(connecting);
        tokio::task::yield_now().await;
        [stray, self.connect()]
    }
}

/// The clock is paused, and jumps to whatever is next.
async fn pass(millis: u64) {
    time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn as_many_as_there_are_requests_are_opened_at_once() {
    let mut world = World::new();
    world.thrift.traffic().connections = 0;
    let _all = [world.connect(), world.connect(), world.connect()];
    tokio::task::yield_now().await;
    assert_eq!(world.wires.asked(), 3);
    // One fails, and the next request may have its place.
    world.wires.asked.lock().unwrap().remove(0);
    pass(0).await;
    let _next = world.connect();
    tokio::task::yield_now().await;
    assert_eq!(world.wires.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn beyond_that_one_waits_for_a_moment_in_which_nothing_ends() {
    let mut world = World::new();
    let thrift = world.thrift.clone();
    let other = thrift.begin();
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
    tokio::task::yield_now().await;
    assert_eq!(world.wires.asked(), 2);
    world.wires.open(0);
    second.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_counts_after_its_request_has_ended() {
    let mut world = World::new();
    world.thrift.traffic().connections = 0;
    let first = world.connect();
    tokio::task::yield_now().await;
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
    assert!(world.thrift.begin().send(polled).await);
    // hyper goes on with it in a task of its own.
    let error = tokio::spawn(connecting).await.unwrap().unwrap_err();
    assert!(error.is::<Unneeded>(), "{error}");
    assert_eq!(world.wires.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_left_behind_is_waited_for_until_it_can_be_used() {
    let mut world = World::new();
    let [stray, next] = world.leave_behind().await;
    pass(99).await;
    assert_eq!(world.wires.asked(), 1);
    world.wires.open(0);
    stray.await.unwrap().unwrap();
    pass(2).await;
    assert_eq!(world.wires.asked(), 1, "it is not in the pool yet");
    pass(4).await;
    assert_eq!(world.wires.asked(), 2);
    world.wires.open(1);
    next.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_left_behind_that_fails_holds_nobody_up() {
    let mut world = World::new();
    let [stray, _next] = world.leave_behind().await;
    world.wires.asked.lock().unwrap().clear();
    stray.await.unwrap().unwrap_err();
    pass(5).await;
    assert_eq!(world.wires.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let mut world = World::new();
    let [_hanging, _next] = world.leave_behind().await;
    pass(249).await;
    assert_eq!(world.wires.asked(), 1);
    pass(2).await;
    assert_eq!(world.wires.asked(), 2);
}

#[test]
fn patience_leaves_most_of_a_short_time_for_connecting() {
    assert_eq!(Thrift::new(Duration::from_millis(100)).patience, Duration::from_millis(25));
    assert_eq!(Thrift::new(Duration::MAX).patience, PATIENCE);
}
