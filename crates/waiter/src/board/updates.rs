//! Updates. The board makes an update when a consumer asks for one, from the wait's last report and the job's present
//! state, so a slow consumer finds no backlog (rule 11).

use std::task::{Poll, Waker};
use std::time::Duration;

use super::jobs::{Job, Stage};
use super::waits::{PendingJob, Wait, Watch};
use super::{Board, SavedJob, Time, WaitOptions, WatchKey};
use crate::util::slab::Key;
use crate::{JobReport, JobState, JobView, Stats, Update, UpdateKind, WaitErrorKind};

/// Where a listing of a watch's jobs goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor(Position);

#[derive(Clone, Copy, Debug)]
enum Position {
    /// At the first wait whose generation is not before this one; `key` leads to it, if it was not removed.
    Wait { key: Key<Wait>, generation: u32 },
    /// At the first pending job whose serial number is not below this one.
    Pending(usize),
}

impl Board {
    /// Returns the next update for a watch; `None` once all its jobs have ended and no handle can add more.
    pub(crate) fn next_update(&mut self, watch: WatchKey) -> Poll<Option<Update>> {
        let Some(watch) = self.waits.find_watch(watch) else { return Poll::Ready(None) };
        while let Some(wait) = self.waits[watch].first_ready() {
            if let Some(update) = self.make_update(watch, wait) {
                return Poll::Ready(Some(update));
            }
            self.waits.pop_ready(watch);
        }
        if self.waits[watch].is_complete() { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Returns whether a watch wakes this consumer already.
    pub(crate) fn has_waker(&self, watch: WatchKey, waker: &Waker) -> bool {
        self.waits.find_watch(watch).is_some_and(|watch| self.waits[watch].has_waker(waker))
    }

    /// Sets the waker of a watch. Returns the one that it replaces.
    pub(crate) fn set_waker(&mut self, watch: WatchKey, waker: Waker) -> Option<Waker> {
        match self.waits.find_watch(watch) {
            Some(watch) => self.waits.set_waker(watch, waker),
            None => Some(waker),
        }
    }

    /// Makes the next update of a wait: a change, of the status or else of the detail, then a failure, then the end.
    fn make_update(&mut self, watch: Key<Watch>, key: Key<Wait>) -> Option<Update> {
        let wait = &self.waits[key];
        let Some(job) = wait.job else { return self.make_last_update(watch, key) };
        let (started, last_reported) = (wait.started, wait.last_reported);
        let status = self.jobs[job].status;
        // A wait that resumes another one may know a status before the first answer.
        if last_reported != status && status.is_some() {
            let to = self.jobs.state(job)?;
            let id = self.jobs[job].id.clone();
            let elapsed = self.waits.elapsed(key, self.jobs.observed(job).unwrap_or(started));
            let is_told = !self.jobs.reads_the_same(last_reported, status);
            let from = self.jobs.text(last_reported);
            let shared = self.jobs.share_status(status);
            self.jobs.release_status(last_reported);
            if let Some(wait) = self.waits.get_mut(key) {
                wait.last_reported = shared;
            }
            if is_told {
                self.waits.set_reported_detail(key, to.detail.clone());
                return Some(Update { id, elapsed, kind: UpdateKind::Changed { from, to } });
            }
        }
        if let Some(update) = self.make_progress(key, job, started) {
            return Some(update);
        }
        // A failure that has passed by the time the consumer asks is not reported.
        let reports_failure =
            self.waits.get_mut(key).map(|wait| std::mem::take(&mut wait.reports_failure));
        let error = self.jobs.cause(job).filter(|_| reports_failure == Some(true))?;
        let elapsed = self.waits.elapsed(key, self.jobs[job].last_answer);
        Some(Update { id: self.jobs[job].id.clone(), elapsed, kind: UpdateKind::Trouble(error) })
    }

    /// Makes an update of a detail that differs from the one heard last. What lay between is not reported (rule 11).
    fn make_progress(&mut self, key: Key<Wait>, job: Key<Job>, started: Time) -> Option<Update> {
        let detail = self.jobs.detail(job);
        if detail == self.waits.reported_detail(key) {
            return None;
        }
        let detail = detail.cloned();
        let state = self.jobs.state(job)?;
        self.waits.set_reported_detail(key, detail);
        let elapsed = self.waits.elapsed(key, self.jobs.observed(job).unwrap_or(started));
        let id = self.jobs[job].id.clone();
        Some(Update { id, elapsed, kind: UpdateKind::Progressed(state) })
    }

    /// Makes an update of a wait that has ended: its last change, then its end.
    fn make_last_update(&mut self, watch: Key<Watch>, key: Key<Wait>) -> Option<Update> {
        if !self.waits[watch].ends_only()
            && !self.waits[key].has_reported_end_state
            && let Some(update) = self.make_last_change(key)
        {
            return Some(update);
        }
        let outcome = self.waits.take_outcome(key)?;
        let report = outcome.as_ref().unwrap_or_else(|error| error.report());
        let (id, elapsed) = (report.id.clone(), report.elapsed);
        self.waits.pop_ready(watch);
        self.waits.remove(&mut self.jobs, key);
        Some(Update { id, elapsed, kind: UpdateKind::Ended(outcome) })
    }

    fn make_last_change(&mut self, key: Key<Wait>) -> Option<Update> {
        let wait = self.waits.get_mut(key)?;
        wait.has_reported_end_state = true;
        let from = self.jobs.text(wait.last_reported);
        let outcome = self.waits.outcome(key)?;
        let report = outcome.as_ref().unwrap_or_else(|error| error.report());
        let to = report.state.clone().filter(|state| from.as_ref() != Some(&state.status))?;
        let (id, elapsed) = (report.id.clone(), report.elapsed);
        Some(Update { id, elapsed, kind: UpdateKind::Changed { from, to } })
    }

    /// Lists up to `limit` live jobs of a watch, in the order in which they were added, and where to go on.
    pub(crate) fn jobs(
        &mut self,
        now: Time,
        watch: WatchKey,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> (Vec<JobView>, Option<Cursor>) {
        let now = self.tick(now);
        self.list(
            watch,
            (cursor, limit),
            |board, key| board.view(now, key),
            |job, options, elapsed| pending_view(job, options, elapsed, now),
        )
    }

    /// Lists what another process needs to go on, of up to `limit` jobs of a watch whose ends were not reported, in the order
    /// in which they were added, and where to go on.
    pub(crate) fn saved_jobs(
        &mut self,
        now: Time,
        watch: WatchKey,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> (Vec<SavedJob>, Option<Cursor>) {
        let now = self.tick(now);
        let save = |board: &mut Self, key| board.save(key);
        self.list(watch, (cursor, limit), save, |job, options, elapsed| {
            SavedJob::pending(job.id.clone(), options, elapsed, now)
        })
    }

    fn list<T>(
        &mut self,
        watch: WatchKey,
        (cursor, limit): (Option<Cursor>, usize),
        live: impl Fn(&mut Self, Key<Wait>) -> Option<T>,
        pending: impl Fn(&PendingJob, &WaitOptions, Duration) -> T,
    ) -> (Vec<T>, Option<Cursor>) {
        let Some(watch) = self.waits.find_watch(watch) else { return (Vec::new(), None) };
        let mut jobs = Vec::new();
        let position = match cursor.map(|cursor| cursor.0) {
            Some(Position::Pending(serial)) => serial,
            at => {
                let mut next = match at {
                    Some(Position::Wait { key, generation }) => {
                        self.waits.find_from(watch, key, generation)
                    }
                    Some(Position::Pending(_)) | None => self.waits[watch].first(),
                };
                for _ in 0..limit {
                    let Some(key) = next else { break };
                    jobs.extend(live(self, key));
                    next = self.waits.next_in_watch(key);
                }
                if let Some(key) = next {
                    let generation = self.waits[key].generation;
                    return (jobs, Some(Cursor(Position::Wait { key, generation })));
                }
                0
            }
        };
        let (own, started) = (self.waits[watch].options(), self.waits[watch].started());
        let elapsed = started.map_or(Duration::ZERO, |started| self.now.since(started));
        let mut rest = self.waits[watch].pending.iter_from(position);
        for (_, job) in rest.by_ref().take(limit) {
            jobs.push(pending(job, &own.for_job(job.options.as_deref()), elapsed));
        }
        let next = rest.next().map(|(at, _)| Cursor(Position::Pending(at)));
        (jobs, next)
    }

    fn save(&self, key: Key<Wait>) -> Option<SavedJob> {
        let wait = &self.waits[key];
        let JobReport { id, state, polls, .. } = match wait.job {
            Some(job) => self.report(key, job),
            // The next process finds the end again with its first poll.
            None => self.unreported(key)?,
        };
        // A change that was not reported is one for the next process. The last one may have been, and the end not.
        let wait = &self.waits[key];
        let has_heard = self.waits[wait.watch].ends_only() || wait.has_reported_end_state;
        let status = match has_heard {
            true => state.map(|state| (state.phase, state.status)),
            false => self.jobs.status(wait.last_reported),
        };
        let age = self.now.nanos_since(wait.started).saturating_add(self.waits.head_start(key).age);
        Some(SavedJob {
            id,
            kind: self.waits.kind(key).cloned(),
            age: Duration::from_nanos(age),
            elapsed: self.waits.elapsed(key, self.now),
            time_left: wait.deadline.since(self.now),
            is_overdue: wait.deadline <= wait.started,
            polls,
            status: status.filter(|(phase, _)| !phase.is_terminal()),
            times: self.waits.resumed(key).and_then(|known| known.times),
        })
    }

    /// Returns the report of a wait whose end was not reported yet, unless the job was removed, or is waited for again.
    fn unreported(&self, key: Key<Wait>) -> Option<JobReport> {
        let watch = self.waits[key].watch;
        let outcome = self.waits.outcome(key)?;
        if matches!(outcome, Err(error) if error.kind() == WaitErrorKind::Removed) {
            return None;
        }
        let report = outcome.as_ref().unwrap_or_else(|error| error.report());
        let job = self.jobs.find(report.id.as_str());
        let again = job.and_then(|job| self.waits.find(watch, job, &self.jobs[job]));
        again.is_none().then(|| report.clone())
    }

    /// Returns a live job of a watch.
    pub(crate) fn job(&mut self, now: Time, watch: WatchKey, id: &str) -> Option<JobView> {
        let now = self.tick(now);
        let watch = self.waits.find_watch(watch)?;
        if let Some(job) = self.waits[watch].pending.get(id) {
            let started = self.waits[watch].started();
            let elapsed = started.map_or(Duration::ZERO, |started| now.since(started));
            let options = self.waits[watch].options().for_job(job.options.as_deref());
            return Some(pending_view(job, &options, elapsed, now));
        }
        let job = self.jobs.find(id)?;
        let wait = self.waits.find(watch, job, &self.jobs[job])?;
        self.view(now, wait)
    }

    fn view(&mut self, now: Time, key: Key<Wait>) -> Option<JobView> {
        let eta = self.eta(now, key);
        let wait = &self.waits[key];
        let job_key = wait.job?;
        let job = &self.jobs[job_key];
        let free_at = match job.stage {
            Stage::Ready { .. } => self.throttle.free_at(now),
            Stage::Resting | Stage::InFlight(_) => self.throttle.paused_until(),
        };
        // The job's timer is for the schedule; the last polls of waits have timers of their own.
        let last_poll = if wait.wants_poll(job) { wait.last_poll() } else { Time::NEVER };
        let due = job.due.min(last_poll);
        let in_flight = job.is_in_flight();
        Some(JobView {
            report: self.report(key, job_key),
            in_flight,
            next_poll: (!in_flight && due != Time::NEVER).then(|| due.max(free_at).since(now)),
            time_left: wait.deadline.since(now),
            trouble: self.jobs.cause(job_key),
            eta,
        })
    }

    /// Returns what the board has done, and what it is doing.
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

fn pending_view(job: &PendingJob, options: &WaitOptions, elapsed: Duration, now: Time) -> JobView {
    let SavedJob { id, elapsed, time_left, polls, status, .. } =
        SavedJob::pending(job.id.clone(), options, elapsed, now);
    let state = status.map(|(phase, status)| JobState::new(phase, status));
    JobView {
        report: JobReport { id, state, polls, elapsed },
        in_flight: false,
        next_poll: None,
        time_left,
        trouble: None,
        eta: None,
    }
}
