//! The requests in flight: a slot each, used again and again, so that a poll allocates nothing here and
//! an abort is one assignment.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::board::{Answer, RequestId};
use crate::driver::DriverWaker;
use crate::{JobState, SourceError};

/// What came of requests. An answer is put there as soon as it is made, since it is large to hand on.
pub(crate) type Answers = Vec<(RequestId, Answer)>;

/// Futures of one type, by the slot of their request.
pub(crate) struct InFlightSet<F> {
    slots: Vec<Slot<F>>,
    waker: Arc<DriverWaker>,
}

struct Slot<F> {
    request: Option<RequestId>,
    future: Pin<Box<Option<F>>>,
    waker: Waker,
}

struct SlotWaker {
    slot: usize,
    waker: Arc<DriverWaker>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A slot woken twice is polled twice, which futures must bear.
        self.waker.notify_for(self.slot);
    }
}

impl<F> InFlightSet<F>
where
    F: Future<Output = Result<JobState, SourceError>>,
{
    pub(crate) fn new(waker: Arc<DriverWaker>) -> Self {
        Self { slots: Vec::new(), waker }
    }

    /// Starts a future and polls it for the first time.
    pub(crate) fn start(&mut self, request: RequestId, future: F, answers: &mut Answers) {
        let at = request.slot();
        while self.slots.len() <= at {
            let waker = SlotWaker { slot: self.slots.len(), waker: Arc::clone(&self.waker) };
            self.slots.push(Slot {
                request: None,
                future: Box::pin(None),
                waker: Arc::new(waker).into(),
            });
        }
        if let Some(slot) = self.slots.get_mut(at) {
            slot.request = Some(request);
            slot.future.set(Some(future));
            slot.poll(answers);
        }
    }

    /// Drops a future, if it has not ended.
    pub(crate) fn abort(&mut self, request: RequestId) {
        if let Some(slot) =
            self.slots.get_mut(request.slot()).filter(|slot| slot.request == Some(request))
        {
            slot.clear();
        }
    }

    /// Polls the future in a slot, if it holds one.
    pub(crate) fn poll(&mut self, slot: usize, answers: &mut Answers) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.poll(answers);
        }
    }
}

impl<F> Slot<F>
where
    F: Future<Output = Result<JobState, SourceError>>,
{
    fn poll(&mut self, answers: &mut Answers) {
        let (Some(request), Some(future)) = (self.request, self.future.as_mut().as_pin_mut())
        else {
            return;
        };
        let mut context = Context::from_waker(&self.waker);
        // A source that panics has broken its own state only: the future is dropped and never polled again.
        match catch_unwind(AssertUnwindSafe(|| future.poll(&mut context))) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(told)) => answers.push((request, Answer::Told(told))),
            Err(panic) => answers.push((request, Answer::Panicked(text(&*panic)))),
        }
        self.clear();
    }
}

impl<F> Slot<F> {
    /// Empties the slot. A panic in the future's destructor is the source's affair, too.
    fn clear(&mut self) {
        self.request = None;
        let future = &mut self.future;
        drop(catch_unwind(AssertUnwindSafe(|| future.set(None))));
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
        .to_owned()
}
