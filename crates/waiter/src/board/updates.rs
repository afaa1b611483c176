//! What consumers hear. An update is made when it is asked for, from what its wait told last and what
//! is known now: a slow consumer finds no backlog (rule 11).

use std::task::{Poll, Waker};

use super::{Board, Time, WatchKey};
use crate::util::slab::NONE;
use crate::{JobView, Progress, Stats, Update, UpdateKind};

impl Board {
    /// The next piece of news for a watch; `None` once all its jobs have ended and nobody can add more.
    /// Gives back the waker of an earlier call that a pending one replaces.
    pub(crate) fn next_update(
        &mut self,
        watch: WatchKey,
        waker: &Waker,
    ) -> (Poll<Option<Update>>, Option<Waker>) {
        let Some(slot) = self.watch(watch) else { return (Poll::Ready(None), None) };
        while self.watches[slot].first_ready != NONE {
            let wait = self.watches[slot].first_ready;
            if let Some(update) = self.news(slot, wait) {
                return (Poll::Ready(Some(update)), None);
            }
            self.pop_ready(slot);
        }
        let entry = &mut self.watches[slot];
        if entry.first == NONE && entry.handles == 0 && entry.options.is_some() {
            return (Poll::Ready(None), None);
        }
        let is_known = entry.waker.as_ref().is_some_and(|known| known.will_wake(waker));
        let replaced = if is_known { None } else { entry.waker.replace(waker.clone()) };
        (Poll::Pending, replaced)
    }

    /// What a wait has to tell: a change, then trouble, then the end.
    fn news(&mut self, watch: u32, wait: u32) -> Option<Update> {
        if let Some(update) = self.end_of(watch, wait) {
            return Some(update);
        }
        let entry = &self.waits[wait];
        let job = &self.jobs[entry.job];
        if entry.last_reported != job.status {
            let (slot, status) = (entry.job, job.status);
            let (id, elapsed) = (job.id.clone(), self.last_success(slot).since(entry.started));
            let from = self.statuses.text(entry.last_reported);
            let to = self.state(slot)?;
            let told = self.statuses.share(status);
            let before = std::mem::replace(&mut self.waits[wait].last_reported, told);
            self.statuses.release(before);
            return Some(Update { id, elapsed, kind: UpdateKind::Changed { from, to } });
        }
        // What has passed by the time the consumer asks is no news.
        let owed = std::mem::replace(&mut self.waits[wait].owes_trouble, false);
        let entry = &self.waits[wait];
        let trouble = self.troubles.get(&entry.job).filter(|_| owed)?;
        let job = &self.jobs[entry.job];
        let (id, elapsed) = (job.id.clone(), job.ended.since(entry.started));
        Some(Update { id, elapsed, kind: UpdateKind::Trouble(trouble.error.clone()) })
    }

    /// What a wait that has ended has to tell: its last change, then its end.
    fn end_of(&mut self, watch: u32, wait: u32) -> Option<Update> {
        let outcome = self.ends.get(&wait)?;
        let report = outcome.as_ref().unwrap_or_else(|error| error.report());
        let (id, elapsed) = (report.id.clone(), report.elapsed);
        let told = self.waits[wait].last_reported;
        if let Some(state) = &report.state
            && !self.watches[watch].ends_only
            && !self.statuses.is(told, state)
        {
            let (from, to) = (self.statuses.text(told), state.clone());
            self.waits[wait].last_reported = self.statuses.acquire(&to);
            self.statuses.release(told);
            return Some(Update { id, elapsed, kind: UpdateKind::Changed { from, to } });
        }
        let outcome = self.ends.remove(&wait)?;
        self.pop_ready(watch);
        self.unlink_from_watch(wait);
        self.free_wait(wait);
        Some(Update { id, elapsed, kind: UpdateKind::Ended(outcome) })
    }

    /// The live jobs of a watch, in the order in which they were added.
    pub(crate) fn jobs(&mut self, now: Time, watch: WatchKey) -> Vec<JobView> {
        let now = self.tick(now);
        let Some(slot) = self.watch(watch) else { return Vec::new() };
        let mut views = Vec::new();
        let mut next = self.watches[slot].first;
        while next != NONE {
            let wait = &self.waits[next];
            if wait.job != NONE {
                let job = &self.jobs[wait.job];
                let in_flight = job.request != NONE;
                let free_at = if job.is_ready {
                    self.throttle.free_at()
                } else {
                    self.throttle.paused_until()
                };
                views.push(JobView {
                    report: self.report(next),
                    in_flight,
                    next_poll: (!in_flight && job.due != Time::NEVER)
                        .then(|| job.due.max(free_at).since(now)),
                    time_left: wait.deadline.since(now),
                    trouble: self.cause(wait.job),
                });
            }
            next = wait.next_in_watch;
        }
        views
    }

    /// How many jobs of a watch are where.
    pub(crate) fn progress(&self, watch: WatchKey) -> Progress {
        let Some(slot) = self.watch(watch) else { return Progress::default() };
        let watch = &self.watches[slot];
        Progress { waiting: watch.progress.waiting + watch.pending.ids.len(), ..watch.progress }
    }

    pub(crate) fn stats(&mut self, now: Time) -> Stats {
        let now = self.tick(now);
        Stats {
            in_flight: self.requests.len(),
            window: self.throttle.window(),
            watched: self.jobs.len(),
            paused: self.throttle.paused(),
            pause_left: self.throttle.paused_until().since(now),
            ..self.stats
        }
    }
}
