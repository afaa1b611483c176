//! What is booked of the polls that plans make: where jobs end, where waits leave them before, and where waits share them.

use std::sync::Arc;

use super::samples::{ended, history, learnt, policy, tell};
use super::script::*;
use super::world::*;
use crate::board::{Action, Answer, Role, WaitOptions};
use crate::learned::Account;
use crate::{JobState, Learned, Policy, Sample, Schedule};

/// A policy of which the fallback polls this rarely, in seconds: a plan for jobs of 100 s polls more often around that age.
fn sparse(fallback: u64) -> Policy {
    let fallback = Schedule::fixed(secs(fallback)).unwrap();
    let learned = Learned::new().fallback(fallback);
    Policy::new().schedule(Schedule::learned(learned).unwrap())
}

fn options(policy: &Policy, kind: Option<&str>, since: u64) -> WaitOptions {
    let kind = kind.map(Into::into);
    WaitOptions { kind, since: secs(since), ..WaitOptions::new(Arc::new(policy.clone())) }
}

/// Returns what was saved since it was asked last, in seconds; negative for a loss.
fn saved(world: &mut World, kind: &str) -> f64 {
    let news = world.board.take_learned();
    news.savings(kind, secs(1)).account(1.0).balance() - Account::new(1.0).balance()
}

/// A world whose source has had a good answer, with past jobs of about 100 s for each kind.
fn world(kinds: &[&str]) -> World {
    let mut world = World::new(budget());
    let mut all = crate::History::new();
    for kind in kinds {
        history().samples("default").for_each(|sample| all.record(*kind, sample));
    }
    world.board.set_history(all);
    world.script("other", Script::succeeds(500));
    world.watch(["other"], &Policy::new());
    world.run();
    world
}

/// Waits for a job that is polled after some time because a handle asks for it, with this answer.
fn answer(world: &mut World, id: &str, after_ms: u64, state: &JobState) {
    world.script(id, Script::never());
    world.watch([id], &policy());
    world.run_until(world.now.after(ms(after_ms)));
    let now = world.now;
    assert!(world.board.poke(now, id));
    world.board.handle_time(now);
    let Some(Action::Poll { request, .. }) = world.board.poll_action(now, Role::Leader) else {
        panic!("{id} is not polled");
    };
    world.board.handle_answer(now, request, &Answer::Received(Ok(state.clone())));
    world.run();
}

/// Whatever the server tells of a job, its polls were made, and its end was noticed as late as the plan does.
#[test]
fn a_loss_is_booked_though_no_duration_is_learnt_of_its_job() {
    let mut all = crate::History::new();
    // A plan polls first at 60 s, after a poll as early as the static schedule's: nothing was heard of the source. The first job
    // ended between 1 s and 30 s, maybe when the static schedule polls, at 2.5 s. The others took two seconds.
    for (id, begin, end, expected) in [
        ("job", 30_000, 30_000, 58.3),
        ("nightly", 1_000, 3_000, 58.3),
        ("nightly", 1_000, 3_000, 58.3),
    ] {
        let mut world = World::new(budget());
        // The last one is of an id and a begin that are known. Newer jobs keep the plan as it is.
        let mut history = if id == "nightly" { all.clone() } else { crate::History::new() };
        (0..5).for_each(|_| history.append(self::history()));
        world.board.set_history(history);
        answer(&mut world, id, 30_000, &ended(begin, end, end));
        let news = world.board.take_learned();
        let lost =
            Account::new(1.0).balance() - news.savings("default", secs(1)).account(1.0).balance();
        assert!((lost - expected).abs() < 1.0, "{id}: {lost}, not {expected}");
        news.samples("default").for_each(|sample| all.record("default", sample));
    }
    assert_eq!(all.samples("default").count(), 1);
}

/// However late the end is noticed.
#[test]
fn only_waits_that_began_with_their_job_or_soon_after_save_anything() {
    for (before, lag, saves) in
        [(1_900, 0, true), (2_100, 0, false), (1_900, 5_000, true), (2_100, 5_000, false)]
    {
        let mut world = world(&["default"]);
        world.run_until(at(10_000));
        tell(&mut world, "job", 100_000, |now| ended(10_000 - before, now - lag, now));
        let saved = saved(&mut world, "default");
        assert_eq!(saved > 1.0, saves, "{before} ms before, noticed after {lag} ms: {saved}");
    }
}

#[test]
fn a_wait_that_times_out_books_the_polls_of_its_plan() {
    let mut world = world(&["default"]);
    let mut sum = 0.0;
    for n in 0..10 {
        let id = format!("job-{n}");
        world.script(&id, Script::never());
        world.watch([id.as_str()], &sparse(60).timeout(secs(130)));
        world.run();
        sum += saved(&mut world, "default");
    }
    // Eight polls against two, and fewer when the kind has learnt that jobs take longer.
    assert!(sum < -10.0, "{sum}");
}

#[test]
fn polls_that_a_plan_saves_count_though_the_wait_for_them_leaves() {
    let mut world = world(&["default"]);
    world.script("job", Script::never());
    world.watch(["job"], &policy().timeout(secs(70)));
    world.run();
    // The static schedule makes nine polls until then, the plan one; and each a last one.
    let first = saved(&mut world, "default");
    assert!((first - (1.1 * 10.0 - 2.0)).abs() < 1e-6, "{first}");
    // What a wait saves counts that is there from the begin of the job.
    world.watch_with(["job"], options(&policy().timeout(secs(70)), None, 10));
    world.run();
    assert_eq!(saved(&mut world, "default"), 0.0);
    // The plan polls at 60 s, and a wait that leaves before the next poll may have missed an end that the static schedule sees.
    for (after, expected) in [(61, 1.1 * 8.0 - 1.0), (75, 0.0)] {
        let mut world = self::world(&["default"]);
        world.script("dropped", Script::never());
        let watch = world.watch(["dropped"], &policy());
        world.run_until(world.now.after(secs(after)));
        world.close(watch);
        let saved = saved(&mut world, "default");
        assert!((saved - expected).abs() < 1e-6, "{after}: {saved}");
    }
}

#[test]
fn the_polls_of_a_job_that_is_left_and_waited_for_again_are_booked_once() {
    let play = |cuts: &[u64]| {
        let mut world = world(&["default"]);
        let begin = world.now;
        world.script("job", Script::never());
        let mut before = 0;
        for cut in cuts {
            let policy = sparse(60).timeout(secs(cut - before));
            world.watch_with(["job"], options(&policy, None, before));
            world.run_until(begin.after(secs(*cut)));
            before = *cut;
        }
        saved(&mut world, "default")
    };
    let whole = play(&[250]);
    assert!(whole < -8.0, "{whole}");
    for cuts in [&[130, 250][..], &[30, 130, 250]] {
        let parts = play(cuts);
        // Each wait polls once more before it leaves, and each cut moves the polls of both schedules.
        assert!((parts - whole).abs() <= 2.5 * cuts.len() as f64, "{cuts:?}: {parts}, not {whole}");
    }
}

#[test]
fn what_waits_have_booked_that_left_others_is_not_booked_again() {
    let each_minute = Policy::new().schedule(Schedule::fixed(secs(60)).unwrap());
    let play = |cuts: &[u64]| {
        let mut world = world(&["default"]);
        let begin = world.now;
        world.script("job", Script::never());
        world.watch(["job"], &each_minute.clone().timeout(secs(600)));
        let mut before = 0;
        for cut in cuts {
            world.watch(["job"], &sparse(60).timeout(secs(cut - before)));
            world.run_until(begin.after(secs(*cut)));
            before = *cut;
        }
        assert!(world.board.waits.counts()[3] > 0, "it is kept how they polled");
        let lost = saved(&mut world, "default");
        world.run();
        assert_eq!(world.board.waits.counts()[3], 0, "with the job");
        lost
    };
    let whole = play(&[250]);
    assert!(whole < -8.0, "{whole}");
    for cuts in [&[130, 250][..], &[130, 190, 250]] {
        let parts = play(cuts);
        assert!((parts - whole).abs() <= 2.5 * cuts.len() as f64, "{cuts:?}: {parts}, not {whole}");
    }
}

/// Each price of a poll has an account of its own.
#[test]
fn each_price_of_a_kind_books_its_waits() {
    let fallback = || Schedule::fixed(secs(60)).unwrap();
    let learned = |price: u64| Learned::new().poll_cost(secs(price)).fallback(fallback());
    let policy = |price| Policy::new().schedule(Schedule::learned(learned(price)).unwrap());
    let mut world = world(&["default"]);
    let now = world.now.as_nanos() / 1_000_000;
    world.script("job", Script::succeeds(now + 300_000).clock(-now.cast_signed(), 0));
    world.watch(["job"], &policy(1).timeout(secs(130)));
    for price in [5, 2] {
        world.watch(["job"], &policy(price).timeout(secs(600)));
    }
    world.run_until(world.now.after(secs(200)));
    let balance = |news: &crate::History, price: u64| {
        let price_secs = price as f64;
        let first = Account::new(price_secs).balance();
        news.savings("default", secs(price)).account(price_secs).balance() - first
    };
    let news = world.board.take_learned();
    assert!(balance(&news, 1) < -4.0, "{news:?}");
    assert_eq!((balance(&news, 2), balance(&news, 5)), (0.0, 0.0), "their waits go on");
    assert_eq!(news.samples("default").count(), 0, "others of the kind go on");
    world.run();
    let news = world.board.take_learned();
    assert_eq!(balance(&news, 1), 0.0);
    assert!(balance(&news, 2) != 0.0 && balance(&news, 5) != 0.0, "{news:?}");
}

/// Nothing was heard of the source lately, or something was, or that changed while the first poll was planned.
#[test]
fn first_polls_are_booked_as_they_were_planned() {
    let saved = |is_silent: bool, is_planned_again: bool, ends: u64| {
        let mut world = world(&["default"]);
        if is_silent {
            world.run_until(at(300_000));
        }
        let now = world.now.as_nanos() / 1_000_000;
        world.script("job", Script::succeeds(now + ends).clock(-now.cast_signed(), 0));
        world.watch(["job"], &policy());
        if is_planned_again {
            let other = world.watch(["job"], &policy());
            world.run_until(world.now.after(ms(500)));
            world.remove(other, "job");
            // When the poll is due, the last good answer is long ago.
            world.run_until(at(59_000));
        }
        world.run();
        saved(&mut world, "default")
    };
    // The early poll sees the end, and that of the plan comes a minute later.
    let (early, planned) = (saved(true, false, 900), saved(false, false, 900));
    assert!((-1.0..1.0).contains(&early) && (-60.0..-56.0).contains(&planned), "{early} {planned}");
    let again = saved(false, true, 900);
    assert!((-60.0..-56.0).contains(&again), "{again}");
    // Of a longer job the early poll is one more, and which of both it was is not known.
    let (planned, again) = (saved(false, false, 100_000), saved(false, true, 100_000));
    assert!((0.9..2.0).contains(&(planned - again)), "{planned} {again}");
}

/// Where answers take long, the static schedule polls less often than it says.
#[test]
fn polls_that_slow_answers_leave_no_time_for_are_not_saved() {
    let saved = |latency: u64| {
        let mut world = world(&["default"]);
        for n in 0..=40 {
            let now = world.now.as_nanos() / 1_000_000;
            let (id, took) = (format!("job-{n}"), if n < 40 { 3_000 } else { 100_000 });
            let script = Script::succeeds(now + took).clock(-now.cast_signed(), 0);
            world.script(&id, Script { latency: ms(latency), ..script });
            world.board.take_learned();
            let policy = if n < 40 { Policy::new() } else { sparse(1) };
            world.watch([id.as_str()], &policy);
            if n == 0 {
                world.watch_with(["other"], options(&sparse(1), Some("delete"), 0));
            }
            world.run();
        }
        saved(&mut world, "default")
    };
    // A hundred polls, or fifty.
    let [quick, slow] = [1, 1_000].map(saved);
    assert!(quick > 90.0 && (40.0..60.0).contains(&slow), "{quick} {slow}");
}

#[test]
fn a_late_wait_books_what_it_loses_from_its_begin_on() {
    let mut world = world(&["default"]);
    // The age when the wait begins, and the one at the end.
    let mut play = |since: u64, end: u64| {
        let now = world.now.as_nanos() / 1_000_000;
        let id = format!("job-{end}");
        let script = Script::succeeds(now + end - since);
        world.script(&id, script.clock(since.cast_signed() - now.cast_signed(), 0));
        world.watch_with([id.as_str()], options(&policy(), None, since / 1_000));
        world.run();
        saved(&mut world, "default")
    };
    // One poll at once and one at 101.6 s, where the static schedule polls each 15 s: it saves, which is not booked.
    assert_eq!(play(60_000, 101_000), 0.0);
    // From 100 s on the plan polls each 2 to 5 s, and the static schedule once, at 115 s.
    let lost = -play(100_000, 114_900);
    assert!((3.0..10.0).contains(&lost), "{lost}");
}

#[test]
fn each_kind_of_a_job_learns_and_books_its_end() {
    let mut world = world(&["create", "delete"]);
    let now = world.now.as_nanos() / 1_000_000;
    world.script("job", Script::succeeds(now + 100_000).clock(-now.cast_signed(), 0));
    for kind in ["create", "delete", "create"] {
        world.watch_with(["job"], options(&policy(), Some(kind), 0));
    }
    world.run();
    let news = world.board.take_learned();
    for kind in ["create", "delete"] {
        let samples: Vec<Sample> = news.samples(kind).collect();
        let [sample] = samples[..] else { panic!("{kind}: {samples:?}") };
        assert_eq!((sample.is_at_least(), sample.duration()), (false, secs(100)), "{kind}");
        let balance = news.savings(kind, secs(1)).account(1.0).balance();
        // Twelve polls of the static schedule and 7.1 s, against two of the plan and 1.6 s: once, though a kind has two waits.
        let saved = balance - Account::new(1.0).balance();
        assert!((saved - (1.1 * 19.1 - 3.6)).abs() < 2.0, "{kind}: {saved}");
    }
}

#[test]
fn the_last_wait_of_an_account_books_the_polls_though_others_stay() {
    let each_minute = Policy::new().schedule(Schedule::fixed(secs(60)).unwrap());
    let each_second = Policy::new().schedule(Schedule::fixed(secs(1)).unwrap());
    for (stays, kind, lost) in [
        // Eight polls against two; and as many against as many.
        (&each_minute, None, 5.8),
        (&sparse(60), Some("delete"), 5.8),
        (&each_second, None, 0.0),
    ] {
        let mut world = world(&["create", "delete"]);
        world.script("job", Script::never());
        world.watch_with(["job"], options(&sparse(60).timeout(secs(130)), Some("create"), 0));
        world.watch_with(["job"], options(&stays.clone().timeout(secs(600)), kind, 0));
        world.run_until(world.now.after(secs(300)));
        let news = world.board.take_learned();
        let booked = 70.0 - news.savings("create", secs(1)).account(1.0).balance();
        assert!((booked - lost).abs() < 1.5, "{booked}, not {lost}");
        let [sample] = news.samples("create").collect::<Vec<_>>()[..] else { panic!("{news:?}") };
        assert!(sample.is_at_least() && sample.duration() >= secs(110), "{sample:?}");
        assert_eq!(news.samples("delete").count(), 0, "its wait goes on");
    }
}

#[test]
fn a_job_whose_older_wait_has_left_is_learnt_and_booked_from_its_begin() {
    for tells_times in [false, true] {
        let mut world = world(&["default"]);
        let begin = world.now;
        let ms = begin.as_nanos() / 1_000_000;
        let script = Script::succeeds(ms + 100_000);
        world.script("job", if tells_times { script.clock(-ms.cast_signed(), 0) } else { script });
        world.watch(["job"], &policy().timeout(secs(80)));
        world.run_until(begin.after(secs(50)));
        world.watch(["job"], &policy());
        world.run_until(begin.after(secs(81)));
        assert!(world.board.take_learned().is_empty(), "another wait of its kind goes on");
        world.run();
        let news = world.board.take_learned();
        let saved = news.savings("default", secs(1)).account(1.0).balance() - 70.0;
        let [sample] = news.samples("default").collect::<Vec<_>>()[..] else { panic!("{news:?}") };
        assert!(!sample.is_at_least(), "{sample:?}");
        assert!((secs(79)..secs(112)).contains(&sample.duration()), "{sample:?}");
        assert!((1.0..25.0).contains(&saved), "{saved}");
    }
}

#[test]
fn a_wait_that_cannot_know_the_begin_learns_a_lower_bound() {
    let hours = |hours: u64| hours * 3_600;
    // It began 25 hours before the wait, which is more than is believed of the server alone, and ends after 30.
    let began = 25 * 3_600_000;
    for (misstated, since, expected) in
        [(0, 0, true), (-60_000, 0, true), (0, hours(25), false), (-60_000, hours(25), false)]
    {
        let mut world = World::new(budget());
        let script = Script::succeeds(5 * 3_600_000).clock(began, 0);
        world.script("job", script.misstates_once_ended([misstated, 0]));
        let policy = policy().timeout(secs(hours(10)));
        world.watch_with(["job"], options(&policy, None, since));
        world.run();
        let [(duration, is_at_least)] = learnt(&mut world)[..] else { panic!("{misstated}") };
        assert_eq!(is_at_least, expected, "{misstated} {since}: {duration}");
        let known = (hours(5) + since) as f64;
        assert!((known - 20.0..known + 20.0).contains(&duration), "{misstated}: {duration}");
    }
}
