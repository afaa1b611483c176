//! The requests in flight: a slot each, used again and again, so that a poll allocates nothing here and
//! an abort is one assignment.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::board::{Answer, Ticket};
use crate::driver::Bell;
use crate::{JobState, SourceError};

/// What came of requests. An answer is put there as soon as it is made, since it is large to hand on.
pub(crate) type Answers = Vec<(Ticket, Answer)>;

/// Futures of one type, by the slot of their ticket.
pub(crate) struct Flights<F> {
    slots: Vec<Slot<F>>,
    bell: Arc<Bell>,
}

struct Slot<F> {
    ticket: Option<Ticket>,
    future: Pin<Box<Option<F>>>,
    waker: Waker,
}

struct SlotWaker {
    slot: usize,
    bell: Arc<Bell>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A slot woken twice is polled twice, which futures must bear.
        self.bell.ring_for(self.slot);
    }
}

impl<F> Flights<F>
where
    F: Future<Output = Result<JobState, SourceError>>,
{
    pub(crate) fn new(bell: Arc<Bell>) -> Self {
        Self { slots: Vec::new(), bell }
    }

    /// Starts a future and polls it for the first time.
    pub(crate) fn start(&mut self, ticket: Ticket, future: F, answers: &mut Answers) {
        let at = ticket.slot();
        while self.slots.len() <= at {
            let waker = SlotWaker { slot: self.slots.len(), bell: Arc::clone(&self.bell) };
            self.slots.push(Slot {
                ticket: None,
                future: Box::pin(None),
                waker: Arc::new(waker).into(),
            });
        }
        if let Some(slot) = self.slots.get_mut(at) {
            slot.ticket = Some(ticket);
            slot.future.set(Some(future));
            slot.poll(answers);
        }
    }

    /// Drops a future, if it has not ended.
    pub(crate) fn abort(&mut self, ticket: Ticket) {
        if let Some(slot) =
            self.slots.get_mut(ticket.slot()).filter(|slot| slot.ticket == Some(ticket))
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
        let (Some(ticket), Some(future)) = (self.ticket, self.future.as_mut().as_pin_mut()) else {
            return;
        };
        let mut context = Context::from_waker(&self.waker);
        // A source that panics has broken its own state only: the future is dropped and never polled again.
        match catch_unwind(AssertUnwindSafe(|| future.poll(&mut context))) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(told)) => answers.push((ticket, Answer::Told(told))),
            Err(panic) => answers.push((ticket, Answer::Panicked(text(&*panic)))),
        }
        self.clear();
    }
}

impl<F> Slot<F> {
    /// Empties the slot. A panic in the future's destructor is the source's affair, too.
    fn clear(&mut self) {
        self.ticket = None;
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
