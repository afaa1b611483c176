//! The simulated service, in a process of its own, with trouble of its own.

use std::collections::VecDeque;
use std::io::{self, BufRead as _};
use std::thread;
use std::time::Duration;

use cfw_simulator::{AccessKey, Fault, JobScript, Simulator, User};

use super::ledger::{Fate, id};
use crate::Failure;
use crate::table::print;

pub(super) const USER: &str = "soak";
pub(super) const PASSWORD: &str = "soak-password";
pub(super) const ACCESS_KEY: &str = "soak-key";
pub(super) const SECRET_KEY: &str = "soak-secret";
/// The mean time that a job takes.
const MEAN: Duration = Duration::from_secs(10);
/// The jobs kept: more than live within the longest wait.
const KEPT: usize = 30_000;
const PAUSE: Duration = Duration::from_secs(2);

/// Prints where it listens. Each line, a number and a count, adds jobs; a line of its own says that they are there.
pub(crate) fn child() -> Result<(), Failure> {
    let sim = Simulator::builder()
        .seed(7)
        .record(false)
        .user(User::new(USER, PASSWORD))
        .access_key(AccessKey::new(ACCESS_KEY, SECRET_KEY))
        .start_on_thread()?;
    let user = sim.user().domain();
    print(&format!("{} {} {user} {}", sim.endpoint(), sim.project_id(), sim.project_name()))?;
    let troubled = sim.clone();
    // The thread ends with the process.
    thread::Builder::new().name("trouble".into()).spawn(move || make_trouble(&troubled))?;
    let mut kept = VecDeque::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (from, count) = line.split_once(' ').ok_or("a number and a count are wanted")?;
        let (from, count): (u64, u64) = (from.parse()?, count.parse()?);
        for number in from..from + count {
            let script = match Fate::of(number, false) {
                Fate::Never => JobScript::never(),
                Fate::Fails => JobScript::random(MEAN).failure_share(1.0),
                _ => JobScript::random(MEAN),
            };
            kept.push_back(sim.add_job(script.id(id(number).as_str())));
        }
        while kept.len() > KEPT {
            kept.pop_front().map(|old| sim.remove_job(&old));
        }
        print("added")?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the thread has nothing else to do")]
fn make_trouble(sim: &Simulator) -> ! {
    let everyday = || {
        let others = [
            Fault::NotFound,
            Fault::UnknownStatus,
            Fault::EqualId,
            Fault::Gzip,
            Fault::SlowBody(Duration::from_millis(100)),
        ];
        Fault::passing().into_iter().chain(others)
    };
    let throttled = Fault::Throttled {
        retry_after: Some("0.5".to_owned()),
        // Without it the rate would be halved each time, which hides what is sought here.
        quota: Some("limit:100000,time:1 second".to_owned()),
    };
    let resting = Fault::ServiceUnavailable { retry_after: Some("0.3".to_owned()) };
    let outage = Duration::from_millis(1_500);
    loop {
        sim.fail_randomly(0.1, everyday());
        let troubles: [&dyn Fn(); 11] = [
            &|| sim.fail_next(3, Fault::Hang),
            &|| sim.fail_next(2, Fault::DeadConnection),
            &|| sim.fail_next(1, throttled.clone()),
            &|| sim.fail_during(..outage, Fault::Reset),
            &|| sim.revoke_tokens(),
            &|| sim.fail_during(..outage, resting.clone()),
            &|| sim.fail_next(2, Fault::Endless),
            &|| sim.set_latency(Duration::from_millis(150)),
            &|| {
                sim.set_latency(Duration::ZERO);
                sim.fail_during(..outage, Fault::Hang);
            },
            &|| sim.expire_tokens(),
            &|| sim.fail_next(1, Fault::InterimFlood),
        ];
        for trouble in troubles {
            thread::sleep(PAUSE);
            trouble();
        }
        // Whatever was planned and not used up does not pile up.
        sim.clear_faults();
    }
}
