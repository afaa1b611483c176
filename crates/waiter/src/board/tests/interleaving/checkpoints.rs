//! Checkpoints: what is saved of a watch, and how another one goes on.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::properties::id;
use super::model::Saved;
use super::play::Play;
use crate::options::Resumed;
use crate::{Checkpoint, JobOptions};

impl Play {
    /// Lets the time of a resumed wait run from now on, if that is wanted, and else from when its watch starts.
    pub(super) fn count_from_now(&self, resumed: &mut Option<Arc<Resumed>>, is_wanted: bool) {
        if let Some(resumed) = resumed.as_mut().filter(|_| is_wanted) {
            Arc::make_mut(resumed).at = Some(self.now);
        }
    }

    fn wall_clock(&self) -> SystemTime {
        let epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000);
        epoch + self.now.since_epoch()
    }

    /// Drops a watch and goes on from its checkpoint with another one.
    pub(super) fn resume(&mut self, at: usize, options: usize, dead: Duration) {
        let key = self.consumers[at].key;
        let (mut saved, mut next) = self.board.saved_jobs(self.now, key, None, 2);
        while next.is_some() {
            let (more, cursor) = self.board.saved_jobs(self.now, key, next, 2);
            saved.extend(more);
            next = cursor;
        }
        let checkpoint = Checkpoint::new(saved, self.wall_clock());
        let mut expected = self.saved(at);
        let ends_only = self.consumers[at].ends_only;
        self.close(at, usize::MAX);
        self.now = self.now.after(dead);
        self.tick();
        self.open(&[], options, [ends_only, false, false]);
        let to = self.consumers.len() - 1;
        self.model.note("a watch that resumes from a checkpoint");
        for saved in &checkpoint.jobs {
            let mut options = JobOptions::resumed(saved, self.wall_clock());
            options.resume_at(self.now);
            let found = expected.iter().position(|known| {
                id(known.job) == saved.id.as_str() && known.is_left_in(&options, dead)
            });
            let found = found
                .unwrap_or_else(|| panic!("{saved:?} is none of {expected:?}, {dead:?} later"));
            let known = expected.remove(found);
            known.paths().for_each(|path| self.model.note(path));
            let is_new =
                self.board.add(self.now, self.consumers[to].key, saved.id.clone(), Some(options));
            let pending = &mut self.consumers[to].pending;
            // Two ends of one job that were not reported are one job to wait for.
            assert_eq!(is_new, !pending.iter().any(|(job, _)| *job == known.job));
            if is_new {
                pending.push((known.job, Some(known.resume(self.now, dead))));
            }
        }
        assert!(expected.is_empty(), "not saved: {expected:?}");
    }

    /// Returns what a checkpoint of a watch has to hold.
    fn saved(&self, at: usize) -> Vec<Saved> {
        let consumer = &self.consumers[at];
        let is_pending = |job| consumer.pending.iter().any(|(pending, _)| *pending == job);
        let mut saved = self.model.saved(at, consumer.ends_only, is_pending);
        for (job, own) in &consumer.pending {
            let options = self.options_of(at, own.as_ref());
            let since = options.resumed.as_ref().and_then(|known| known.at).or(consumer.started);
            let passed = since.map_or(Duration::ZERO, |since| self.now.since(since));
            saved.push(Saved::pending(*job, &options, passed));
        }
        saved
    }
}
