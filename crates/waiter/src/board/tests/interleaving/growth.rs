//! What must stay small, however often the same is done to a job (rule 14).

use std::time::Duration;

use super::super::properties::id;
use super::super::world::*;
use super::Repeated;
use super::play::Play;
use crate::JobOptions;

/// How often the same is done: more often than the lists of the board may have entries.
const TIMES: usize = 120;
/// How many entries a list may have beside those in use, and those that came since it was looked at.
const SPARE: usize = 64 + 16;

impl Play {
    pub(super) fn repeat(&mut self, what: Repeated, job: usize) {
        for _ in 0..TIMES {
            self.tick();
            match what {
                Repeated::ShortWait => {
                    let at = self.wait(job, ms(40));
                    self.compare();
                    self.now = self.now.after(ms(32));
                    self.time();
                    self.compare();
                    self.close(at, 1);
                }
                Repeated::LeavingWait => {
                    let at = self.wait(job, secs(1_000));
                    self.close(at, 1);
                }
                Repeated::Poke => {
                    let is_wanted = !self.model.live_on(job).is_empty();
                    assert_eq!(self.board.poke(self.now, &id(job)), is_wanted);
                    if is_wanted {
                        self.model.poke(job);
                    }
                }
                Repeated::Pending => self.add_and_remove(job),
            }
            self.events += 1;
            self.compare();
        }
    }

    /// Opens a watch of one job.
    fn wait(&mut self, job: usize, timeout: Duration) -> usize {
        self.open(&[], job, [true, false, false]);
        let at = self.consumers.len() - 1;
        self.board.start(self.now, self.consumers[at].key);
        self.consumers[at].started = Some(self.now);
        self.add(at, job, Some(JobOptions::new().timeout(timeout)));
        at
    }

    /// Adds a job to the last watch that has not started, and removes it.
    fn add_and_remove(&mut self, job: usize) {
        let is_new = |at: &usize| {
            let consumer = &self.consumers[*at];
            consumer.started.is_none() && consumer.closed.is_none()
        };
        let at = (0..self.consumers.len()).rfind(is_new).unwrap_or_else(|| {
            self.open(&[], job, [false, false, false]);
            self.consumers.len() - 1
        });
        if !self.consumers[at].pending.iter().any(|(known, _)| *known == job) {
            self.add(at, job, None);
        }
        self.remove(at, job);
    }

    /// Checks that what has become stale does not outnumber what is in use.
    pub(super) fn check_growth(&mut self) {
        let board = &self.board;
        let (jobs, waits) = (self.model.jobs.len(), board.waits.live());
        let [polls, deadlines, ready, candidates] = board.agenda.lengths();
        let requests = self.model.in_flight.len();
        let lists = [
            ("timers of polls", polls, jobs),
            ("timers of waits", deadlines, waits),
            ("ready entries", ready, jobs),
            ("candidates", candidates, jobs),
            ("time limits of requests", board.requests.count_expiries(), requests),
            ("waits past their limit", board.reach.count_overdue(), 2 * waits),
        ];
        for (what, entries, used) in lists {
            assert!(entries <= 2 * used + SPARE, "{entries} {what} for {used}");
        }
        for consumer in self.consumers.iter().filter(|consumer| consumer.closed.is_none()) {
            let watch = board.waits.find_watch(consumer.key).expect("it is open");
            let places = board.waits[watch].pending.places();
            let most = 2 * consumer.pending.len() + SPARE;
            assert!(places <= most, "{places} places of pending jobs, and not {most}");
        }
        let notes = [
            (polls, "many timers of polls"),
            (deadlines, "many timers of waits"),
            (ready, "many ready entries"),
        ];
        for (entries, path) in notes {
            if entries > 60 {
                self.model.note(path);
            }
        }
    }
}
