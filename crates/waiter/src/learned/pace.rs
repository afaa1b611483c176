//! A plan within bounds: never denser than a minimum interval, never sparser than a leash allows.

use std::sync::Arc;

use super::Plan;
use super::grid::LONGEST;

/// How sparse a plan may become: no delay exceeds the larger of some seconds and some part of the job's age.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leash {
    /// In seconds.
    pub absolute: f64,
    /// As a part of the job's age.
    pub relative: f64,
}

impl Leash {
    /// The leashes that are tried, the longest first.
    pub const ALL: [Self; 4] = [
        Self { absolute: 300.0, relative: 0.5 },
        Self { absolute: 60.0, relative: 0.5 },
        Self { absolute: 30.0, relative: 0.25 },
        Self { absolute: 15.0, relative: 0.15 },
    ];

    /// Returns this leash, then those of [`ALL`](Self::ALL), none of them longer than it, and then one that does not grow with
    /// the age: `steady`, the longest delay of the static schedule in seconds.
    ///
    /// Where polls are cheap, those of the static schedule do not add up to what a long delay may lose at a great age, and no
    /// other leash is allowed.
    pub fn up_to(longest: Self, steady: f64) -> impl Iterator<Item = Self> {
        let shortened = Self::ALL.map(|leash| Self {
            absolute: leash.absolute.min(longest.absolute),
            relative: leash.relative.min(longest.relative),
        });
        let steady = Self { absolute: steady.min(longest.absolute), relative: 0.0 };
        std::iter::once(longest).chain(shortened).chain([steady])
    }
}

/// A plan on a leash. Clones share its table.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// The table.
    pub plan: Arc<Plan>,
    /// How sparse it may become.
    pub leash: Leash,
    /// The shortest delay, in seconds.
    pub min_interval: f64,
    /// The longest delay, in seconds, whatever the leash allows.
    pub max_interval: f64,
}

impl Pace {
    /// Returns the delay after a poll at `age`, in seconds, without jitter.
    pub fn delay(&self, age: f64) -> f64 {
        self.jittered(age, 1.0)
    }

    /// Returns the delay after a poll at `age`, in seconds, times a factor as far as the bounds allow.
    pub fn jittered(&self, age: f64, factor: f64) -> f64 {
        let longest = self.leash.absolute.max(self.leash.relative * age).min(self.max_interval);
        // Nothing is known of durations beyond the grid.
        let planned = if age < LONGEST { self.plan.after(age) - age } else { longest };
        (planned * factor).min(longest).max(self.min_interval)
    }
}
