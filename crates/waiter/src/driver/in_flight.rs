//! The futures of the requests in flight: a slot each, used again and again, so that a poll allocates nothing here and
//! an abort is one assignment.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use super::drivers::Driver;
use crate::board::{Answer, RequestId};
use crate::spans::PollSpan;
use crate::util::contain::{contain, contain_drop};
use crate::{JobState, SourceError};

/// The answers to requests. An answer is written there as soon as it is made, since it is large to hand on.
pub(crate) type Answers = Vec<Answered>;

/// The answer to a request.
pub(crate) struct Answered {
    pub(crate) request: RequestId,
    pub(crate) answer: Answer,
    /// Ends when the answer has been dealt with, so that what is logged of it is in the span.
    pub(crate) span: PollSpan,
}

/// Futures of one type, by the slot of their request.
///
/// Its driver holds the lock for each of its turns, so another driver that gets the lock knows that no request is making
/// progress. That one holds it only to take the futures out: their destructors are user code.
pub(crate) struct InFlightSet<F> {
    slots: Vec<Slot<F>>,
    driver: Arc<Driver>,
}

/// The in-flight set of a driver, whatever the type of its futures.
pub(crate) trait Revoke: Send + Sync {
    /// Drops all requests. Returns false, and does nothing, while the driver is in a turn.
    fn try_revoke(&self) -> bool;
}

struct Slot<F> {
    request: Option<RequestId>,
    future: Pin<Box<Option<F>>>,
    span: PollSpan,
    waker: Waker,
}

struct SlotWaker {
    slot: usize,
    driver: Arc<Driver>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A slot woken twice is polled twice, which futures must bear.
        self.driver.waker.notify_for(self.slot);
    }
}

impl<F: Send> Revoke for Mutex<InFlightSet<F>> {
    fn try_revoke(&self) -> bool {
        let Some(mut set) = try_lock(self) else { return false };
        let mut slots = std::mem::take(&mut set.slots);
        drop(set);
        slots.iter_mut().for_each(Slot::clear);
        true
    }
}

impl<F> InFlightSet<F> {
    pub(crate) fn new(driver: Arc<Driver>) -> Self {
        Self { slots: Vec::new(), driver }
    }

    /// Drops all futures. A panic in a destructor is contained.
    pub(crate) fn clear(&mut self) {
        self.slots.iter_mut().for_each(Slot::clear);
    }

    /// Drops a future, if it has not ended.
    pub(crate) fn abort(&mut self, request: RequestId) {
        if let Some(slot) =
            self.slots.get_mut(request.slot()).filter(|slot| slot.request == Some(request))
        {
            slot.clear();
        }
    }
}

impl<F> InFlightSet<F>
where
    F: Future<Output = Result<JobState, SourceError>>,
{
    /// Starts a future and polls it for the first time.
    pub(crate) fn start(
        &mut self,
        request: RequestId,
        future: F,
        span: PollSpan,
        answers: &mut Answers,
    ) {
        let at = request.slot();
        while self.slots.len() <= at {
            let waker = SlotWaker { slot: self.slots.len(), driver: Arc::clone(&self.driver) };
            self.slots.push(Slot {
                request: None,
                future: Box::pin(None),
                span: PollSpan::NONE,
                waker: Arc::new(waker).into(),
            });
        }
        if let Some(slot) = self.slots.get_mut(at) {
            slot.request = Some(request);
            slot.future.set(Some(future));
            slot.span = span;
            slot.poll(answers);
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
        let polled = self.span.run(|| contain(|| future.poll(&mut context)));
        let answer = match polled {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(told)) => Answer::Received(told),
            Err(message) => Answer::Panicked(message),
        };
        self.span.record_answer(&answer);
        let span = std::mem::take(&mut self.span);
        answers.push(Answered { request, answer, span });
        self.clear();
    }
}

impl<F> Slot<F> {
    /// Empties the slot. A panic in the future's destructor is contained.
    fn clear(&mut self) {
        self.request = None;
        let (future, span) = (&mut self.future, std::mem::take(&mut self.span));
        span.run(|| contain(|| future.set(None))).unwrap_or_default();
    }
}

/// Locks the set for its own driver's turn. None while another driver revokes it.
pub(crate) fn try_lock<F>(
    set: &Mutex<InFlightSet<F>>,
) -> Option<std::sync::MutexGuard<'_, InFlightSet<F>>> {
    match set.try_lock() {
        Ok(set) => Some(set),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Drops what is left of the requests when their driver ends.
pub(crate) fn clear_on_end<F>(set: &Mutex<InFlightSet<F>>) {
    let mut slots = std::mem::take(&mut set.lock().unwrap_or_else(PoisonError::into_inner).slots);
    slots.iter_mut().for_each(Slot::clear);
}

/// Drops answers, whose errors may have destructors that panic.
pub(crate) fn drop_answers(answers: &mut Answers) {
    while let Some(Answered { answer, .. }) = answers.pop() {
        match answer {
            // No code of the user's is in these.
            Answer::Received(Ok(state)) => drop(state),
            Answer::Panicked(message) => drop(message),
            Answer::Received(Err(error)) => contain_drop(error),
        }
    }
}
