//! Answers to polls.

use std::time::Duration;

use cfw_simulator::{JobScript, Simulator, TimeFormat};
use serde_json::json;

use crate::support::{Client, job_path, ms, poll, sleep, status};

#[tokio::test]
async fn a_job_runs_and_ends() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    let running = poll(&sim, &id).await.json();
    assert_eq!(running["data"]["status"], "Running");
    assert_eq!(running["data"]["end_time"], json!(null));
    assert!(sim.finish(&id));
    let done = poll(&sim, &id).await.json();
    assert_eq!(done["data"]["status"], "Success");
    assert_eq!(done["data"]["id"], json!(id));
    assert_eq!(done["data"]["begin_time"], running["data"]["begin_time"]);
    assert_eq!(done.as_object().unwrap().len(), 1, "nothing beside data: {done}");
}

#[tokio::test]
async fn a_job_ends_on_time_without_polls() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::succeeds_after(ms(30)));
    sleep(ms(40)).await;
    let data = poll(&sim, &id).await.json()["data"].take();
    assert_eq!(data["status"], "Success");
    let took = data["end_time"].as_i64().unwrap() - data["begin_time"].as_i64().unwrap();
    assert!((30..=31).contains(&took), "{took} ms");
}

#[tokio::test]
async fn a_failed_job_has_its_error_beside_data() {
    let sim = Simulator::start().await.unwrap();
    let id =
        sim.add_job(JobScript::fails_after(ms(0)).error("CFW.00600003", "no available flavor"));
    let body = poll(&sim, &id).await.json();
    assert_eq!(body["error_code"], "CFW.00600003");
    assert_eq!(body["error_msg"], "no available flavor");
    assert_eq!(body["data"]["status"], "Failed");
}

#[tokio::test]
async fn an_answer_has_the_headers_of_the_gateway() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    let (first, second) = (poll(&sim, &id).await, poll(&sim, &id).await);
    assert_eq!(first.header("Content-Type"), Some("application/json"));
    assert!(first.header("Date").unwrap().ends_with(" GMT"), "{first:?}");
    assert_eq!(first.header("X-Request-Id").unwrap().len(), 32);
    assert_ne!(first.header("X-Request-Id"), second.header("X-Request-Id"));
}

#[tokio::test]
async fn times_can_be_text_as_in_the_manual() {
    let sim = Simulator::builder().times(TimeFormat::Text).start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    let running = poll(&sim, &id).await.json();
    let begin = running["data"]["begin_time"].as_str().unwrap();
    assert!(begin.ends_with("+0800") && begin.len() == "2023-10-26T10:30:00+0800".len(), "{begin}");
    assert_eq!(running["data"]["end_time"], "");
    assert!(sim.finish(&id));
    let done = poll(&sim, &id).await.json();
    assert!(done["data"]["end_time"].as_str().unwrap().ends_with("+0800"), "{done}");
}

#[tokio::test]
async fn an_unknown_job_is_not_found() {
    let sim = Simulator::start().await.unwrap();
    let answer = poll(&sim, "unknown").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json(),
        json!({"error_code": "CFW.00200005", "error_msg": "Object not found."})
    );
}

#[tokio::test]
async fn a_job_can_appear_late() {
    let sim = Simulator::start().await.unwrap();
    let before = sim.now();
    let id = sim.add_job(JobScript::never().appears_after(ms(20)));
    while poll(&sim, &id).await.status != 200 {}
    assert!(sim.polls_of(&id).pop().unwrap().answered.unwrap() >= before + ms(20));
    let never = sim.add_job(JobScript::never().appears_after(Duration::MAX));
    assert_eq!(poll(&sim, &never).await.json()["error_code"], "CFW.00200005");
}

#[tokio::test]
async fn a_job_can_have_an_undocumented_status() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never().status_at(ms(0), "Paused"));
    assert_eq!(status(&sim, &id).await, "Paused");
}

#[tokio::test]
async fn jobs_can_be_ended_and_removed() {
    let sim = Simulator::start().await.unwrap();
    let [good, bad] = [(); 2].map(|()| sim.add_job(JobScript::never()));
    assert!(sim.finish(&good) && sim.fail(&bad));
    assert!(!sim.fail(&good), "it has ended");
    assert!(!sim.finish("unknown"));
    assert_eq!(status(&sim, &good).await, "Success");
    assert_eq!(status(&sim, &bad).await, "Failed");
    assert!(sim.remove_job(&good));
    assert!(!sim.remove_job(&good), "it is gone");
    assert_eq!(poll(&sim, &good).await.status, 400);
}

#[tokio::test]
async fn ids_are_opaque_and_percent_decoded() {
    let sim = Simulator::start().await.unwrap();
    sim.add_job(JobScript::never().id("a b/ü"));
    let body = poll(&sim, "a%20b%2F%C3%BC").await.json();
    assert_eq!(body["data"]["id"], "a b/ü");
}

#[tokio::test]
async fn ids_depend_on_the_seed() {
    let ids = |seed| async move {
        let sim = Simulator::builder().seed(seed).start().await.unwrap();
        (sim.project_id().to_owned(), sim.add_jobs(3, &JobScript::never().id("not this")))
    };
    assert_eq!(ids(7).await, ids(7).await);
    let ((project, jobs), (other_project, other_jobs)) = (ids(7).await, ids(8).await);
    assert_ne!(project, other_project);
    assert!(jobs.iter().all(|id| !other_jobs.contains(id)));
}

#[tokio::test]
async fn unknown_paths_and_methods_get_the_gateways_404() {
    let sim = Simulator::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let job = job_path(&sim, "%ff");
    let known = job_path(&sim, "a");
    for (method, path) in
        [("GET", "/"), ("GET", "/v3/x"), ("PUT", known.as_str()), ("GET", job.as_str())]
    {
        let answer = client.call(method, path, &[], "").await;
        assert_eq!(answer.status, 404, "{method} {path}");
        let body = answer.json();
        assert_eq!(body["error_code"], "APIGW.0101");
        assert_eq!(body["request_id"].as_str(), answer.header("X-Request-Id"));
    }
}

#[tokio::test]
async fn credentials_and_project_are_checked() {
    let sim = Simulator::start().await.unwrap();
    let id = sim.add_job(JobScript::never());
    let mut client = Client::connect(&sim).await;
    let path = job_path(&sim, &id);
    let token = [("X-Auth-Token", sim.token())];
    let elsewhere = format!("/v3/{}/jobs/{id}", "0".repeat(32));
    let prefix = "Incorrect IAM authentication information: ";
    for (path, headers, status, code, msg) in [
        (&path, [].as_slice(), 401, "APIGW.0301", format!("{prefix}x-auth-token not found")),
        (
            &path,
            &[("X-Auth-Token", "bad")],
            401,
            "APIGW.0301",
            format!("{prefix}decrypt token fail"),
        ),
        (
            &elsewhere,
            &token,
            403,
            "APIGW.0302",
            "The IAM user is not allowed to access the API of this project".into(),
        ),
    ] {
        let answer = client.call("GET", path, headers, "").await;
        assert_eq!(answer.status, status);
        let request_id = answer.header("X-Request-Id").unwrap();
        assert_eq!(
            answer.json(),
            json!({"error_msg": msg, "error_code": code, "request_id": request_id})
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let sim = Simulator::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let answer = client.call("GET", &job_path(&sim, "a"), &[], &"x".repeat((1 << 20) + 1)).await;
    assert_eq!((answer.status, &answer.json()["error_code"]), (413, &json!("APIGW.0201")));
    assert_eq!(sim.requests()[0].status, Some(413));
}
