//! Each way in which a wait can end, as the service brings it about.

use cfw_simulator::{Fault, JobScript};
use cfw_waiter::{Phase, UnknownStatus, WaitErrorKind};
use futures_util::future::join_all;

use crate::support::{
    bad_end, brisk, brisk_policy, brisk_with, chain, client_with_token, finish_after, ms,
    simulator, story,
};

#[tokio::test]
async fn success_is_ok_and_reports_what_was_seen() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let waiter = brisk(&sim).build().unwrap();
    let (outcome, ()) = tokio::join!(waiter.wait_for_job(&id), finish_after(&sim, &id, 2));
    let report = outcome.unwrap();
    let state = report.state.unwrap();
    assert_eq!(
        (report.id.as_str(), state.phase, &*state.status),
        (&*id, Phase::Succeeded, "Success")
    );
    assert_eq!(report.polls as usize, sim.polls_of(&id).len());
    assert!(state.begin.unwrap() < state.end.unwrap());
}

#[tokio::test]
async fn a_failed_job_shows_the_services_reason() {
    let sim = simulator();
    let script = JobScript::fails_after(ms(30)).error("CFW.00600003", "no available flavor");
    let id = sim.add_job(script);
    let waiter = brisk(&sim).build().unwrap();
    let error = bad_end(waiter.wait_for_job(&id).await, WaitErrorKind::Failed);
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("job {id} failed with status Failed after ")),
        "{message}"
    );
    assert!(message.ends_with(": CFW.00600003: no available flavor"), "{message}");
    assert_eq!(error.report().state.as_ref().unwrap().phase, Phase::Failed);
}

#[tokio::test]
async fn a_failed_job_without_a_reason_says_that_there_is_none() {
    let sim = simulator();
    let id = sim.add_job(JobScript::fails_after(ms(0)));
    let waiter = brisk(&sim).build().unwrap();
    let error = bad_end(waiter.wait_for_job(&id).await, WaitErrorKind::Failed);
    assert!(error.to_string().contains("the service gave no reason"), "{error}");
}

#[tokio::test]
async fn a_deadline_tells_the_last_status_and_the_polls() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let waiter = brisk(&sim).build().unwrap();
    let error = bad_end(waiter.wait_for_job(&id).timeout(ms(2_000)).await, WaitErrorKind::TimedOut);
    let message = error.to_string();
    assert!(message.starts_with(&format!("job {id} still Running after ")), "{message}");
    assert!(message.contains("deadline 2s"), "{message}");
    assert!(message.contains("last status Running"), "{message}");
    assert_eq!(error.report().polls as usize, sim.polls_of(&id).len());
}

#[tokio::test]
async fn an_id_that_nobody_knows_is_lost_with_the_services_words() {
    let sim = simulator();
    let policy = brisk_policy().not_found_grace(ms(60));
    let waiter = brisk(&sim).policy(policy).build().unwrap();
    let error = bad_end(waiter.wait_for_job("unheard-of").await, WaitErrorKind::Lost);
    let cause = error.cause().unwrap();
    assert_eq!(cause.code(), Some("CFW.00200005"));
    assert!(cause.request_id().is_some());
    let polls = sim.polls_of("unheard-of");
    assert!(polls.len() >= 3, "{polls:?}");
    // The grace runs from the first such answer to the last one, as the waiter hears them: the record knows when they were sent.
    assert!(error.report().elapsed >= ms(60), "{polls:?}");
}

#[tokio::test]
async fn a_job_that_vanishes_is_lost_and_its_last_status_is_told() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let policy = brisk_policy().not_found_grace(ms(30));
    let waiter = brisk(&sim).policy(policy).build().unwrap();
    let mut watch = waiter.watch([&id]);
    assert!(watch.next().await.is_some(), "seen running");
    sim.remove_job(&id);
    assert_eq!(story(watch).await.last().unwrap(), "Lost");
}

#[tokio::test]
async fn a_refused_token_ends_every_wait_after_one_request() {
    let sim = simulator();
    let ids = sim.add_jobs(20, &JobScript::never());
    let waiter = brisk_with(client_with_token(&sim, "stale")).build().unwrap();
    let mut early = waiter.watch(&ids[..10]);
    let (early, late) = tokio::join!(
        async {
            let mut ends = Vec::new();
            while let Some(update) = early.next().await {
                ends.push(update);
            }
            ends
        },
        join_all(ids[10..].iter().map(|id| waiter.wait_for_job(id))),
    );
    assert_eq!(early.len(), 10);
    for outcome in late {
        let error = bad_end(outcome, WaitErrorKind::Refused);
        assert!(error.to_string().contains("APIGW.0301"), "{error}");
    }
    // The refusal is remembered: later waits do not even ask.
    bad_end(waiter.wait_for_job(&ids[0]).await, WaitErrorKind::Refused);
    assert_eq!((sim.counts().requests, sim.counts().refused), (1, 1));
}

#[tokio::test]
async fn a_malformed_id_is_fatal_without_a_request() {
    let sim = simulator();
    let waiter = brisk(&sim).build().unwrap();
    for id in ["", "a/b", "..", "new\nline"] {
        let error = bad_end(waiter.wait_for_job(id).await, WaitErrorKind::Fatal);
        assert!(chain(&error).contains("invalid job id"), "{}", chain(&error));
    }
    assert_eq!(sim.counts().requests, 0);
}

#[tokio::test]
async fn a_fatal_answer_ends_its_own_job_alone() {
    let sim = simulator();
    let ids = sim.add_jobs(2, &JobScript::succeeds_after(ms(40)));
    sim.fail_polls(&ids[0], [Fault::code(400, "CFW.00200001", "Parameter error")]);
    let waiter = brisk(&sim).build().unwrap();
    let (bad, good) = tokio::join!(waiter.wait_for_job(&ids[0]), waiter.wait_for_job(&ids[1]));
    let error = bad_end(bad, WaitErrorKind::Fatal);
    assert!(error.to_string().contains("CFW.00200001: Parameter error"), "{error}");
    assert_eq!(sim.polls_of(&ids[0]).len(), 1);
    good.unwrap();
}

#[tokio::test]
async fn a_wrong_path_is_fatal_and_not_a_lost_job() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let client = cfw_api::Client::builder()
        .endpoint(format!("{}/wrong", sim.endpoint()))
        .project_id(sim.project_id())
        .credentials(cfw_api::Credentials::token(sim.token()))
        .build()
        .unwrap();
    let waiter = brisk_with(client).build().unwrap();
    let error = bad_end(waiter.wait_for_job(&id).await, WaitErrorKind::Fatal);
    assert!(error.to_string().contains("APIGW.0101"), "{error}");
    assert_eq!(sim.counts().requests, 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_one_ends_no_wait() {
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(0)));
    sim.fail_next(1, Fault::Redirect);
    let waiter = brisk(&sim).build().unwrap();
    assert_eq!(waiter.wait_for_job(&id).await.unwrap().polls, 2);
    assert_eq!((sim.counts().requests, sim.counts().other), (2, 0));
}

#[tokio::test]
async fn an_unknown_status_is_told_and_waited_on() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    let at_once = Fault::Slow(ms(0));
    sim.fail_polls(&id, [at_once, Fault::UnknownStatus, Fault::UnknownStatus]);
    let waiter = brisk(&sim).build().unwrap();
    let watch = waiter.watch([&id]);
    let (told, ()) = tokio::join!(story(watch), finish_after(&sim, &id, 4));
    let changes = ["Running", "Running -> Paused", "Paused -> Running", "Running -> Success"];
    assert_eq!(told, [&changes[..], &["succeeded"]].concat());
}

#[tokio::test]
async fn an_unknown_status_ends_the_wait_where_the_policy_says_so() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never().status_at(ms(0), "Paused"));
    let policy = brisk_policy().unknown_status(UnknownStatus::Fail);
    let waiter = brisk(&sim).policy(policy).build().unwrap();
    let error = bad_end(waiter.wait_for_job(&id).await, WaitErrorKind::UnknownStatus);
    assert!(error.to_string().contains("unknown status Paused"), "{error}");
    assert_eq!(sim.polls_of(&id).len(), 1);
}

#[tokio::test]
async fn a_limit_of_failures_ends_the_wait_at_that_failure() {
    let sim = simulator();
    let id = sim.add_job(JobScript::never());
    sim.fail_during(.., Fault::BadGatewayHtml);
    let policy = brisk_policy().failures_in_a_row(3);
    let waiter = brisk(&sim).policy(policy).build().unwrap();
    let error = bad_end(waiter.wait_for_job(&id).await, WaitErrorKind::TooManyFailures);
    assert!(error.to_string().contains("transient failure: HTTP 502: "), "{error}");
    assert_eq!(sim.polls_of(&id).len(), 3);
}
