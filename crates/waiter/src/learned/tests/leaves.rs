//! The account's bound where waits leave their jobs before those end, and where they begin late.

use std::time::Duration;

use super::account::Ledger;
use super::*;
use crate::learned::guard::{polls, worst, worst_of_leaving};
use crate::learned::{Account, History, Kind, Learned, Leaves, Sample};

const KIND: &str = "create";
const MIN: Duration = Duration::from_millis(500);
const TOLERANCE: f64 = 0.1;
/// The age at which the last wait leaves.
const LAST: f64 = 1_800.0;

/// Until when a job was polled: ages in seconds.
#[derive(Clone, Copy, Debug)]
enum Until {
    End(f64),
    /// It was last seen running, and then left.
    Left {
        seen: f64,
        left: f64,
    },
}

/// The polls of a wait that begins at an age: at once if the plan's first one is overdue.
fn polls_from(plan: &Planned, fallback: f64, from: f64) -> [Vec<f64>; 2] {
    let follow = |mut age: f64, delay: &dyn Fn(f64) -> f64| {
        let mut polls = Vec::new();
        while age <= LAST + 400.0 {
            if age > from || (age == from && from > 0.0) {
                polls.push(age);
            }
            age += delay(age);
        }
        polls
    };
    let planned = |age: f64| plan.delay(age, 0.5);
    let first = planned(0.0).map_or(0.0, |first| first.max(from));
    let of_plan = match planned(from) {
        Some(_) if from > 0.0 => follow(first, &|age| planned(age).unwrap_or(fallback)),
        _ => follow(from + planned(from).unwrap_or(fallback), &|age| {
            planned(age).unwrap_or(fallback)
        }),
    };
    [of_plan, follow(from + fallback, &|_| fallback)]
}

/// What is lost in truth with a job that ends at an age, or that was seen running at an age and left then.
fn loss([plan, fixed]: &[Vec<f64>; 2], until: Until, c: f64) -> f64 {
    let cost = |polls: &[f64]| match until {
        Until::End(end) => {
            let before = polls.iter().filter(|poll| **poll < end).count();
            c * (before + 1) as f64 + polls[before] - end
        }
        Until::Left { seen, .. } => c * polls.iter().filter(|poll| **poll <= seen).count() as f64,
    };
    cost(plan) - (1.0 + TOLERANCE) * cost(fixed)
}

struct Player {
    kind: Kind,
    settings: Arc<Learned>,
    fallback: f64,
    c: f64,
    now: u64,
    history: History,
    ledger: Ledger,
}

impl Player {
    fn new(c: f64, fallback: f64, durations: impl Iterator<Item = f64>) -> Self {
        let mut history = History::new();
        for duration in durations {
            history.record(KIND, Sample::ended(Duration::from_secs_f64(duration)));
        }
        let settings = Learned::new()
            .poll_cost(Duration::from_secs_f64(c))
            .fallback(Schedule::fixed(Duration::from_secs_f64(fallback)).unwrap());
        let kind = Kind::new(KIND, &history);
        let (settings, ledger) = (Arc::new(settings), Ledger::new());
        Self { kind, settings, fallback, c, now: 0, history, ledger }
    }

    /// Plays a job: `choose` says how it goes, by the polls of both schedules. Returns whether it was polled by a plan, and what
    /// was lost.
    fn play(&mut self, from: f64, choose: impl FnOnce(&[Vec<f64>; 2]) -> Until) -> (bool, f64) {
        self.now += 10;
        let plan =
            self.kind.plan(&self.settings, MIN, Duration::from_secs(self.now), &self.history);
        let polls = polls_from(&plan, self.fallback, from);
        let until = choose(&polls);
        let lost = loss(&polls, until, self.c);
        let polls_of = one_wait(&plan, from);
        let gain = match until {
            Until::End(end) => polls_of.gain(from, end, f64::INFINITY, self.c),
            Until::Left { seen, left } => {
                polls_of.gain_of_leaving(from, seen, Leaves { at: left, others: false }, self.c)
            }
        };
        assert!(
            gain <= 1e-6 - lost,
            "{gain} is booked where {lost} is lost: {until:?} from {from}"
        );
        self.kind.book(&self.settings, gain, &self.history);
        self.ledger.add(lost);
        (plan.is_learned(), lost)
    }
}

/// The poll of the plan after which a wait that leaves has lost most.
fn worst_leave(polls: &[Vec<f64>; 2], c: f64) -> Until {
    let left = |seen: f64| Until::Left { seen, left: seen + 0.01 };
    let ages = polls[0].iter().copied().filter(|age| *age <= LAST);
    let worst = ages.max_by(|a, b| loss(polls, left(*a), c).total_cmp(&loss(polls, left(*b), c)));
    left(worst.unwrap_or(0.0))
}

fn anything(random: &mut Random, from: f64) -> Until {
    let age = from + random.duration().min(LAST - from);
    match random.below(3) {
        0 => Until::End(age),
        1 => Until::Left { seen: age, left: age },
        _ => Until::Left { seen: age, left: age + random.duration() },
    }
}

#[test]
fn waits_that_leave_never_break_the_bound() {
    let mut random = Random(15);
    let (mut fallbacks, mut losses) = (0, 0);
    for history in 0..60 {
        let c = [0.3, 1.0, 5.0, 20.0][history % 4];
        let fallback = [15.0, 60.0, 300.0][history % 3];
        let (middle, spread) = ([30.0, 100.0, 400.0][random.below(3)], random.next());
        let durations = (0..20).map(|_| middle * (spread * (random.next() - 0.5)).exp());
        let mut player = Player::new(c, fallback, durations.collect::<Vec<_>>().into_iter());
        for _ in 0..60 {
            let is_greedy = random.below(3) > 0;
            let (is_learned, lost) = player.play(0.0, |polls| match is_greedy {
                true => worst_leave(polls, c),
                false => anything(&mut random, 0.0),
            });
            fallbacks += u64::from(!is_learned);
            losses += u64::from(lost > 0.0);
        }
        player.ledger.check(Account::new(c), 1e-3);
    }
    assert!(fallbacks > 100 && losses > 150, "{fallbacks} {losses}");
}

/// A plan was allowed by what it can lose from the begin of a job on. One wait that begins later may lose more, once: then the
/// account is in debt.
#[test]
fn waits_that_begin_late_lose_no_more_than_one_of_them_can() {
    let mut random = Random(16);
    let mut losses = 0;
    for history in 0..40 {
        let c = [1.0, 5.0][history % 2];
        let middle = [30.0, 100.0, 400.0][random.below(3)];
        let durations = (0..20).map(|_| middle * (0.3 * (random.next() - 0.5)).exp());
        let mut player = Player::new(c, 60.0, durations.collect::<Vec<_>>().into_iter());
        let mut largest = 0.0_f64;
        for _ in 0..60 {
            let from = if random.below(4) == 0 { 0.0 } else { middle * (0.5 + random.next()) };
            let is_greedy = random.below(3) > 0;
            let (_, lost) = player.play(from, |polls| match is_greedy {
                true => worst_leave(polls, c),
                false => anything(&mut random, from),
            });
            largest = largest.max(lost);
            losses += u64::from(lost > 0.0);
        }
        player.ledger.check(Account::new(c), largest);
    }
    assert!(losses > 50, "{losses}");
}

#[test]
fn what_a_plan_can_lose_covers_waits_that_leave() {
    let every = |interval: f64| polls(move |_, _| interval);
    // At 1,000 s both see an end at once, by 100 polls and by 10. A wait that leaves just before may have made 100 and 9: a poll
    // comes early by jitter.
    let losses = |plan, fixed| {
        [
            worst(every(plan), every(fixed), 1_000.0, 1.0),
            worst_of_leaving(every(plan), every(fixed), 1_000.0, 1.0),
        ]
    };
    let [ended, left] = losses(10.0, 100.0);
    assert!((ended - (100.0 - 1.1 * 10.0)).abs() < 1e-9, "{ended}");
    assert!((left - (100.0 - 1.1 * 9.0)).abs() < 1e-9, "{left}");
    // The plan's first poll, a little early.
    assert_eq!(losses(100.0, 100.0)[1], 1.0);
    assert_eq!(losses(100.0, 10.0)[1], 0.0);
    // A plan that polls each second for a day: it loses most by a wait that leaves before a poll of the fallback.
    let (second, day, c) = (Duration::from_secs(1), 86_400.0_f64, 20.0);
    let settings = Learned::new()
        .poll_cost(Duration::from_secs(20))
        .max_interval(second)
        .fallback(Schedule::exponential(second, 2.0, Duration::from_secs(16)).unwrap());
    let mut kind = Kind::new(KIND, &History::new());
    kind.learn(Sample::ended(Duration::from_secs(100)));
    let explanation = kind.explain(&Arc::new(settings), second, &History::new());
    let mut fixed = polls(|age, _| (1.0 + age).min(16.0)).peekable();
    let (mut made, mut age, mut most) = (0.0, 0.0, 0.0_f64);
    while age < day {
        age += 1.0;
        while fixed.next_if(|poll| *poll <= age).is_some() {
            made += 1.0;
        }
        most = most.max(c * (age - (1.0 + TOLERANCE) * made));
    }
    let stated = explanation.worst_loss.unwrap();
    assert!((stated - most).abs() < 0.15 * c, "{stated}, not {most}");
}
