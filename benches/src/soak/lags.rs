//! How long after its end a job's end was heard of: counts by size, which take the same room however many there are.

use std::time::Duration;

const STEP: Duration = Duration::from_millis(20);
const STEPS: usize = 600;

#[derive(Clone, Debug)]
pub(super) struct Lags([u32; STEPS]);

impl Default for Lags {
    fn default() -> Self {
        Self([0; STEPS])
    }
}

impl Lags {
    pub(super) fn add(&mut self, lag: Duration) {
        let step = usize::try_from(lag.as_millis() / STEP.as_millis()).unwrap_or(STEPS);
        if let Some(count) = self.0.get_mut(step.min(STEPS - 1)) {
            *count += 1;
        }
    }

    /// Returns the lag that a share of all do not exceed, rounded up.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let all: u64 = self.0.iter().copied().map(u64::from).sum();
        let mut sum = 0;
        let is_enough = |count: &u32| {
            sum += u64::from(*count);
            sum as f64 >= all as f64 * share
        };
        let step = self.0.iter().position(is_enough).unwrap_or(STEPS);
        STEP * u32::try_from(step + 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_lags_rounded_up() {
        let mut lags = Lags::default();
        for millis in 0..1_000 {
            lags.add(Duration::from_millis(millis));
        }
        assert_eq!(lags.quantile(0.5), Duration::from_millis(500));
        assert_eq!(lags.quantile(0.99), Duration::from_millis(1_000));
        lags.add(Duration::from_secs(3_600));
        assert_eq!(lags.quantile(1.0), Duration::from_secs(12));
    }
}
