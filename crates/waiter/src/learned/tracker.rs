//! Two estimators, so that a kind whose jobs have changed is learnt anew.

use super::{Estimator, Survival};

/// By how much the younger estimator must have foretold the durations better, as a logarithm of the ratio of
/// likelihoods, to replace the older one. While the older one is right that happens less than once in 400 jobs (Lorden,
/// "Procedures for reacting to a change in distribution", 1971).
const EVIDENCE: f64 = 6.0;
/// How many jobs the younger estimator must have foretold before it may replace the older one. Some jobs in a row that are
/// unlike the others may be a few odd ones: two of them that took equally long are evidence enough by their likelihoods.
const FEWEST: usize = 4;

/// Learns how long the jobs of one kind take, and forgets what was before a change.
///
/// Memories of some tens of jobs regard jobs from before a change for as long. So a younger estimator, which knows only the
/// newest jobs, runs beside the one that counts. It begins anew whenever it has foretold the durations worse, and takes
/// over when it has foretold them much better.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    current: Estimator,
    younger: Estimator,
    /// How much better the younger one has foretold the durations since it began.
    evidence: f64,
}

impl Tracker {
    /// Makes a tracker that has seen no job.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the duration of a job that has ended, in seconds.
    pub fn learn(&mut self, seconds: f64) {
        let before = self.current.learn(seconds);
        self.evidence += self.younger.learn(seconds) - before;
        if self.evidence > EVIDENCE && self.younger.count_ended() >= FEWEST {
            self.current = std::mem::take(&mut self.younger);
            self.evidence = 0.0;
        } else if self.evidence <= 0.0 {
            self.younger = Estimator::new();
            self.evidence = 0.0;
        }
    }

    /// Takes how long a job ran at least whose end is not known, in seconds.
    pub fn learn_at_least(&mut self, seconds: f64) {
        self.current.learn_at_least(seconds);
        self.younger.learn_at_least(seconds);
    }

    /// Forgets that a job ran this long at least whose end was not known.
    pub(crate) fn forget_at_least(&mut self, seconds: f64) {
        self.current.forget_at_least(seconds);
        self.younger.forget_at_least(seconds);
    }

    /// Returns the law that the past jobs suggest.
    pub fn survival(&self) -> Survival {
        self.current.survival()
    }

    /// Returns how many past jobs count.
    pub fn len(&self) -> usize {
        self.current.len()
    }

    /// Returns how many past jobs with a known end count.
    pub fn count_ended(&self) -> usize {
        self.current.count_ended()
    }

    /// Returns whether no job counts.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }
}
