//! Whether what a run held stayed flat: pure, so that it can be tested.

/// What one interval held in the middle of its samples.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Interval {
    pub(super) heap: f64,
    pub(super) resident: f64,
    pub(super) files: f64,
    pub(super) threads: f64,
    pub(super) tasks: f64,
    /// In milliseconds: the median lag over HTTP and in memory.
    pub(super) lag_http: f64,
    pub(super) lag_memory: f64,
    /// Jobs that ended in it.
    pub(super) ends: f64,
}

/// How much a quantity may grow between the first and the last third of a run.
struct Bound {
    name: &'static str,
    of: fn(&Interval) -> f64,
    /// A part of what there was, and so much more.
    part: f64,
    more: f64,
}

const MIB: f64 = 1_048_576.0;

/// The allocator keeps memory for threads that come and go, more and more slowly over a quarter of an hour, so resident memory
/// has room where the live heap has none. A busy machine changes how much is in flight, and so all of these, in both directions. A leak grows with the ends: of the
/// hundreds of thousands in ten minutes each needs to leave a few bytes only to be found.
const BOUNDS: [Bound; 7] = [
    Bound { name: "live heap", of: |at| at.heap, part: 0.05, more: 0.25 * MIB },
    Bound { name: "resident memory", of: |at| at.resident, part: 0.3, more: 8.0 * MIB },
    Bound { name: "open files", of: |at| at.files, part: 0.2, more: 10.0 },
    Bound { name: "threads", of: |at| at.threads, part: 0.2, more: 4.0 },
    Bound { name: "tasks", of: |at| at.tasks, part: 0.1, more: 20.0 },
    Bound { name: "median lag over HTTP", of: |at| at.lag_http, part: 0.25, more: 250.0 },
    Bound { name: "median lag in memory", of: |at| at.lag_memory, part: 0.25, more: 250.0 },
];

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) first: f64,
    pub(super) last: f64,
    pub(super) bound: f64,
}

impl Finding {
    pub(super) fn is_flat(&self) -> bool {
        self.last <= self.bound
    }
}

/// Compares the last third of the intervals with the first, without the quarter in which the run warms up. None if there
/// are too few.
pub(super) fn compare(intervals: &[Interval]) -> Option<Vec<Finding>> {
    let steady = intervals.get(intervals.len().div_ceil(4)..)?;
    let third = steady.len() / 3;
    let (first, last) = (steady.get(..third)?, steady.get(steady.len() - third..)?);
    let finding = |bound: &Bound| {
        let (first, last) = (middle(first, bound.of)?, middle(last, bound.of)?);
        let bound_at = first + first * bound.part + bound.more;
        Some(Finding { name: bound.name, first, last, bound: bound_at })
    };
    BOUNDS.iter().map(finding).collect()
}

/// Returns how many bytes each end left between these thirds.
pub(super) fn bytes_per_end(intervals: &[Interval], heap: &Finding) -> f64 {
    let warm = intervals.len().div_ceil(4);
    let steady = intervals.len() - warm;
    // From the middle of the first third to that of the last are two thirds.
    let ends: f64 = intervals.iter().skip(warm).map(|at| at.ends).sum();
    (heap.last - heap.first) / (ends * (steady - steady / 3) as f64 / steady as f64)
}

fn middle(intervals: &[Interval], of: fn(&Interval) -> f64) -> Option<f64> {
    (!intervals.is_empty()).then(|| crate::table::median(intervals.iter().map(of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty intervals, of which the first are smaller, and which rise and fall.
    fn steady() -> Vec<Interval> {
        let interval = |n: u32| {
            let warm = if n < 4 { 0.5 } else { 1.0 };
            let wave = warm * (1.0 + 0.02 * f64::from(n % 3));
            Interval {
                heap: 8.0 * MIB * wave,
                resident: 40.0 * MIB * wave,
                files: 60.0 * wave,
                threads: 20.0,
                tasks: 700.0 * wave,
                lag_http: 900.0 * wave,
                lag_memory: 400.0 * wave,
                ends: 30_000.0,
            }
        };
        (0..20).map(interval).collect()
    }

    #[test]
    fn a_steady_run_is_flat() {
        let findings = compare(&steady()).unwrap();
        assert_eq!(findings.len(), BOUNDS.len());
        assert!(findings.iter().all(Finding::is_flat), "{findings:?}");
        assert!(bytes_per_end(&steady(), &findings[0]).abs() < 1.0);
    }

    #[test]
    fn each_slope_is_found() {
        type Leak = fn(&mut Interval, f64);
        let leaks: [(&str, Leak); BOUNDS.len()] = [
            // Four bytes an end.
            ("live heap", |at, n| at.heap += n * at.ends * 4.0),
            ("resident memory", |at, n| at.resident += n * at.ends * 250.0),
            ("open files", |at, n| at.files += n * 8.0),
            ("threads", |at, n| at.threads += n * 4.0),
            ("tasks", |at, n| at.tasks += n * 40.0),
            ("median lag over HTTP", |at, n| at.lag_http += n * 150.0),
            ("median lag in memory", |at, n| at.lag_memory += n * 100.0),
        ];
        for (name, leak) in leaks {
            let mut intervals = steady();
            intervals.iter_mut().zip(0u32..).for_each(|(at, n)| leak(at, f64::from(n)));
            let findings = compare(&intervals).unwrap();
            let found: Vec<_> = findings.iter().filter(|at| !at.is_flat()).collect();
            assert!(matches!(found[..], [found] if found.name == name), "{name}: {found:?}");
        }
        let mut intervals = steady();
        intervals.iter_mut().zip(0u32..).for_each(|(at, n)| at.heap += f64::from(n) * at.ends);
        let bytes = bytes_per_end(&intervals, &compare(&intervals).unwrap()[0]);
        assert!((0.9..1.1).contains(&bytes), "{bytes}");
    }

    #[test]
    fn too_short_a_run_has_no_verdict() {
        assert_eq!(compare(&steady()[..3]), None);
        assert!(compare(&steady()[..4]).is_some());
    }
}
