//! What schedules cost, in virtual time: polls and lag under laws of durations that are known.

mod laws;
mod quota;
mod score;
mod shift;
mod svg;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cfw_waiter::learned::{Plan, paced};

use self::laws::{Law, Random};
use self::quota::Order;
use self::score::{HORIZON, Learner, Score, Static};
use self::svg::{Axis, Plot};
use crate::Failure;
use crate::meter::Reading;
use crate::table::{Table, print};

const PRICES: [f64; 3] = [1.0, 5.0, 20.0];
const PAST: [u32; 5] = [0, 3, 5, 20, 200];

/// Prints the tables, and writes the plots into the folder `docs`.
pub(crate) fn run(quick: bool) -> Result<(), Failure> {
    print(
        "## Schedules\n\nCost = c x polls + lag, in seconds per job, where c is what one poll is worth.",
    )?;
    for c in PRICES {
        costs(c, quick).print(&format!("Cost per job at c = {c}"))?;
    }
    lags(quick).print("Mean lag in seconds, at as many polls as every 10 s makes")?;
    words(quick).print("Jobs of about 200 s (lognormal, CV 0.3), 20 past jobs")?;
    shifts(quick)
        .print("Jobs of CV 0.3 that suddenly take another time, c = 1, after 200 past jobs")?;
    quotas(quick)?.print("Mean lag in seconds under a quota of 200 polls in 5 minutes")?;
    speed()?.print("Time of each step, with 256 past jobs")?;
    plots(quick)
}

/// Returns how many histories to take for this number of past jobs.
fn sets(past: u32, quick: bool) -> u64 {
    let sets = match past {
        0 => 1,
        1..=5 => 600,
        6..=20 => 200,
        _ => 20,
    };
    if quick { 1 + sets / 10 } else { sets }
}

/// The quantiles that stand for a law, as far as a wait lasts.
fn durations(law: &Law) -> Vec<f64> {
    law.durations(4_000).into_iter().map(|duration| duration.min(HORIZON)).collect()
}

fn costs(c: f64, quick: bool) -> Table {
    let head = ["law", "10 s", "x1.5, 1-15 s", "x2, 1-60 s", "x2, 0.1-10 s", "sqrt(2c mean)"];
    let learned = PAST.map(|n| format!("learned, {n}"));
    let head = head.into_iter().map(str::to_owned).chain(learned).chain(["optimum".to_owned()]);
    let mut table = Table::new(head);
    for law in laws::ALL {
        let durations = durations(&law);
        let mean = durations.iter().sum::<f64>() / durations.len() as f64;
        let statics = [
            Static::Fixed(10.0),
            Static::DEFAULT,
            Static::Growing(1.0, 2.0, 60.0),
            Static::Growing(0.1, 2.0, 10.0),
            Static::Fixed((2.0 * c * mean).sqrt()),
        ];
        let mut row = statics.map(|schedule| Score::of(schedule.polls(), &durations)).to_vec();
        row.extend(PAST.map(|n| score::learned(&law, c, n, sets(n, quick), &durations)));
        let costs = row.iter().map(|score| score.cost(c));
        // Its one poll comes at the end exactly, which no node of the grid is.
        let best = if law.name == laws::EXACT.name {
            c
        } else {
            score::optimum(&law, c, &durations).cost(c)
        };
        let cells = costs.chain([best]).map(|cost| format!("{cost:.1}"));
        table.row(std::iter::once(law.name.to_owned()).chain(cells));
    }
    table
}

fn lags(quick: bool) -> Table {
    let mut table = Table::new(["law", "polls per job", "every 10 s", "learned, 20", "optimum"]);
    for law in [laws::REGULAR, laws::TWO_MODES, laws::SPREAD, laws::MEMORYLESS, laws::UNIFORM] {
        let durations = durations(&law);
        let fixed = Score::of(Static::Fixed(10.0).polls(), &durations);
        let sets = if quick { 5 } else { 60 };
        let learned = score::lag_at(fixed.polls, |c| score::learned(&law, c, 20, sets, &durations));
        let best = score::lag_at(fixed.polls, |c| score::optimum(&law, c, &durations));
        let cells = [fixed.polls, fixed.lag, learned, best].map(|value| format!("{value:.2}"));
        table.row(std::iter::once(law.name.to_owned()).chain(cells));
    }
    table
}

/// The gain in the words of users: the same requests, or the same lag.
fn words(quick: bool) -> Table {
    let law = Law {
        name: "firewalls",
        quantile: |u| 2.0 * (laws::REGULAR.quantile)(u),
        survival: |t| (laws::REGULAR.survival)(t / 2.0),
    };
    let durations = durations(&law);
    let head =
        ["schedule", "polls", "lag, s", "learned: lag at as many polls", "polls at that lag"];
    let mut table = Table::new(head);
    let rows = [
        ("every 6 s", Static::Fixed(6.0)),
        ("every 10 s", Static::Fixed(10.0)),
        ("default: x1.5, 1 to 15 s", Static::DEFAULT),
    ];
    let sets = if quick { 5 } else { 60 };
    for (name, schedule) in rows {
        let fixed = Score::of(schedule.polls(), &durations);
        let learned = |c| score::learned(&law, c, 20, sets, &durations);
        let lag = score::lag_at(fixed.polls, learned);
        let polls = score::polls_at(fixed.lag, learned);
        let cells = [fixed.polls, fixed.lag, lag, polls].map(|value| format!("{value:.1}"));
        table.row(std::iter::once(name.to_owned()).chain(cells));
    }
    table
}

fn shifts(quick: bool) -> Table {
    let head = [
        "now take",
        "lost in all against static",
        "worst of the runs",
        "static",
        "after 5 jobs",
        "10",
        "20",
        "40",
    ];
    let mut table = Table::new(head.into_iter().chain(["optimum"]));
    for (name, factor) in [("a third of the time", 1.0 / 3.0), ("three times as long", 3.0)] {
        let shift = shift::play(&laws::REGULAR, factor, 1.0, if quick { 4 } else { 60 });
        let after = [5, 10, 20, 40].map(|n| shift.costs.get(n).copied().unwrap_or(f64::NAN));
        let cells = [shift.regret, shift.worst_regret, shift.fixed].into_iter().chain(after);
        let cells = cells.chain([shift.best]).map(|value| format!("{value:.1}"));
        table.row(std::iter::once(name.to_owned()).chain(cells));
    }
    table
}

fn quotas(quick: bool) -> Result<Table, Failure> {
    let head = ["law", "jobs alive", "x1.5, 1-15 s", "learned, longest due", "learned, by worth"];
    let mut table = Table::new(head);
    let seconds = if quick { 20_000 } else { 200_000 };
    for law in [laws::REGULAR, laws::TWO_MODES] {
        for alive in [15, 40] {
            let mut row = vec![law.name.to_owned(), format!("{alive}")];
            for order in Order::ALL {
                row.push(format!("{:.1}", quota::mean_lag(&law, alive, order, seconds)?));
            }
            table.row(row);
        }
    }
    Ok(table)
}

/// CPU time, of this thread alone, since nothing else runs in this process.
fn speed() -> Result<Table, Failure> {
    let mut random = Random(5);
    let mut learner = Learner::new(1.0);
    for _ in 0..256 {
        learner.learn(random.duration(&laws::REGULAR), None);
    }
    let mut table = Table::new(["step", "microseconds"]);
    let mut row = |name: &str, seconds: f64| {
        table.row([name.to_owned(), format!("{:.3}", seconds * 1e6)]);
    };
    let rebuild = time(200, || {
        learner.learn(random.duration(&laws::REGULAR), None);
        learner.pace()
    })?;
    row("a job ends: learn, law, plan, account and leash", rebuild);
    let learn = time(200, || learner.tracker.learn(random.duration(&laws::REGULAR)))?;
    row("of which to learn the duration", learn);
    let survival = learner.tracker.survival();
    row("of which the law", time(200, || learner.tracker.survival())?);
    row("of which the plan", time(200, || Plan::new(&survival, 1.0))?);
    let pace = learner.pace().ok_or("no plan was chosen")?;
    let mut age = 0.0;
    let look_up = time(2_000_000, || {
        age += 0.37 + pace.delay(age);
        if age > HORIZON {
            age = 0.0;
        }
    })?;
    row("a poll: look up the next one", look_up);
    for jobs in [1_000, 100_000] {
        for (order, name) in [(Order::LongestDue, "longest due"), (Order::Worth, "worth most")] {
            let poll = quota::cpu_per_poll(jobs, order)?;
            row(&format!("a poll, all of it, of the one {name} among {jobs} that are due"), poll);
        }
    }
    Ok(table)
}

fn time<T>(times: u32, mut work: impl FnMut() -> T) -> Result<f64, Failure> {
    let before = Reading::take()?.cpu;
    for _ in 0..times {
        std::hint::black_box(work());
    }
    Ok((Reading::take()?.cpu - before).as_secs_f64() / f64::from(times))
}

fn plots(quick: bool) -> Result<(), Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("learned-cost.svg"), cost_plot(quick).document())?;
    fs::write(folder.join("learned-polls.svg"), polls_plot().document())?;
    print("\nPlots: docs/learned-cost.svg, docs/learned-polls.svg")
}

/// The cost by the number of past jobs.
fn cost_plot(quick: bool) -> Plot {
    let marks = vec![0.0, 1.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0];
    let x = Axis { label: "past jobs", max: 200.0, marks: marks.clone(), is_log: true };
    let marks_y = vec![0.0, 5.0, 10.0, 15.0, 20.0];
    let y = Axis { label: "cost per job, s", max: 24.0, marks: marks_y, is_log: false };
    let mut plot = Plot::new("What a job costs (one poll is worth 1 s of delay)", x, y);
    let rows =
        [(laws::REGULAR, "#1f77b4"), (laws::TWO_MODES, "#d62728"), (laws::MEMORYLESS, "#2ca02c")];
    for (law, color) in rows {
        let durations = durations(&law);
        let learned = |past: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 200")]
            let n = past as u32;
            (past, score::learned(&law, 1.0, n, sets(n, quick), &durations).cost(1.0))
        };
        let points: Vec<_> = marks.iter().map(|&past| learned(past)).collect();
        plot.line(law.name, color, "", &points);
        let fixed = Score::of(Static::DEFAULT.polls(), &durations).cost(1.0);
        plot.dashes(color, "6 4", fixed);
        plot.dashes(color, "1 4", score::optimum(&law, 1.0, &durations).cost(1.0));
    }
    plot.note("dashed: x1.5 up to 15 s; dotted: the optimum");
    plot
}

/// When a job is polled, under the curve of how many still run.
fn polls_plot() -> Plot {
    let marks = (0..=8).map(|n| f64::from(n) * 50.0).collect();
    let x = Axis { label: "age of the job, s", max: 400.0, marks, is_log: false };
    let marks = vec![0.0, 0.5, 1.0];
    let y = Axis { label: "still running", max: 1.0, marks, is_log: false };
    let mut plot = Plot::new("Polls of a kind with two modes, after 20 jobs", x, y);
    let (mut learner, mut random) = (Learner::new(1.0), Random(2));
    for _ in 0..20 {
        let pace = learner.pace();
        learner.learn(random.duration(&laws::TWO_MODES), pace.as_ref());
    }
    let survival = learner.tracker.survival();
    let ages = (0..=800).map(|n| f64::from(n) / 2.0);
    let points: Vec<_> = ages.map(|age| (age, survival.probability(age))).collect();
    plot.line("learnt: still running", "#555555", "", &points);
    let until = |polls: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
        polls.take_while(|&age| age <= 400.0).collect()
    };
    if let Some(pace) = learner.pace() {
        let pace = Arc::new(pace);
        plot.ticks("polls, learned", "#d62728", 4.0, &until(&mut paced(&pace)));
    }
    plot.ticks("polls, x1.5 up to 15 s", "#1f77b4", 20.0, &until(&mut Static::DEFAULT.polls()));
    plot
}
