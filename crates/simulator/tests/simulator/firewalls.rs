//! Firewalls, and jobs in the format of ECS.

use std::time::Duration;

use cfw_simulator::{Fault, Route, Simulator};
use serde_json::{Value, json};

use crate::support::{Answer, Client, ms, poll, sleep, status};

fn creation(charge_mode: &str) -> Value {
    json!({
        "name": "edge",
        "flavor": { "version": "Standard" },
        "charge_info": { "charge_mode": charge_mode },
    })
}

async fn call(
    sim: &Simulator,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let headers = [&[("X-Auth-Token", sim.token())], headers].concat();
    Client::connect(sim).await.call(method, path, &headers, body).await
}

async fn create(sim: &Simulator, headers: &[(&str, &str)], body: &Value) -> Answer {
    call(sim, "POST", &format!("/v2/{}/firewall", sim.project_id()), headers, &body.to_string())
        .await
}

async fn delete(sim: &Simulator, id: &str) -> Answer {
    call(sim, "DELETE", &format!("/v2/{}/firewall/{id}", sim.project_id()), &[], "").await
}

async fn get(sim: &Simulator, id: &str) -> Answer {
    let path =
        format!("/v1/{}/firewall/exist?service_type=0&fw_instance_id={id}", sim.project_id());
    call(sim, "GET", &path, &[], "").await
}

async fn state(sim: &Simulator, id: &str) -> Value {
    get(sim, id).await.json()["data"]["records"][0]["status"].take()
}

/// Starts a simulator whose firewall jobs end only by `finish` or `fail`.
async fn manual_jobs() -> Simulator {
    let long = Duration::from_secs(3600);
    Simulator::builder().firewall_create(long).firewall_delete(long).start().await.unwrap()
}

async fn created(sim: &Simulator) -> String {
    create(sim, &[], &creation("postPaid")).await.json()["job_id"].as_str().unwrap().to_owned()
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error_code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_firewall_is_created_used_and_deleted() {
    let sim = manual_jobs().await;
    let answer = create(&sim, &[], &creation("postPaid")).await;
    assert_eq!((answer.status, &answer.json()["data"]), (200, &creation("postPaid")));
    assert_eq!(answer.json()["order_id"], "");
    let id = answer.json()["job_id"].as_str().unwrap().to_owned();
    assert_eq!((status(&sim, &id).await.as_str(), state(&sim, &id).await), ("Running", json!(0)));
    assert!(sim.finish(&id));
    assert_eq!((status(&sim, &id).await.as_str(), state(&sim, &id).await), ("Success", json!(2)));
    let record = &get(&sim, &id).await.json()["data"]["records"][0];
    assert_eq!((&record["fw_instance_id"], &record["name"]), (&json!(id), &json!("edge")));
    let deletion = delete(&sim, &id).await.json();
    let job = deletion["data"].as_str().unwrap();
    assert_ne!(job, id);
    assert_eq!((status(&sim, job).await.as_str(), state(&sim, &id).await), ("Running", json!(1)));
    assert!(sim.finish(job));
    assert_eq!(status(&sim, job).await, "Success");
    assert_eq!(code(&get(&sim, &id).await), (400, "CFW.00200005".to_owned()));
    assert_eq!(code(&delete(&sim, &id).await), (400, "CFW.00200005".to_owned()));
    let counts = sim.counts();
    assert_eq!((counts.creates, counts.deletes, counts.firewalls), (1, 2, 5));
}

#[tokio::test]
async fn creation_and_deletion_take_the_configured_time() {
    let sim =
        Simulator::builder().firewall_create(ms(10)).firewall_delete(ms(20)).start().await.unwrap();
    let id = created(&sim).await;
    sleep(ms(11)).await;
    let job = delete(&sim, &id).await.json()["data"].as_str().unwrap().to_owned();
    sleep(ms(21)).await;
    for (job, length) in [(&id, 10), (&job, 20)] {
        let data = poll(&sim, job).await.json()["data"].take();
        let took = data["end_time"].as_i64().unwrap() - data["begin_time"].as_i64().unwrap();
        assert!((length..=length + 1).contains(&took), "{took} ms");
    }
}

#[tokio::test]
async fn a_prepaid_firewall_is_an_order() {
    let sim = Simulator::start().await.unwrap();
    let body = create(&sim, &[], &creation("prePaid")).await.json();
    let order = body["order_id"].as_str().unwrap();
    assert!(order.starts_with("CS") && order.len() == "CS2403271050ZEM0L".len(), "{order}");
    assert_eq!(body.get("job_id"), None);
}

#[tokio::test]
async fn a_repeated_client_token_repeats_the_answer() {
    let sim = Simulator::start().await.unwrap();
    let mine = [("X-Client-Token", "mine")];
    let first = create(&sim, &mine, &creation("postPaid")).await.json();
    assert_eq!(create(&sim, &mine, &creation("postPaid")).await.json(), first);
    let other = create(&sim, &[("X-Client-Token", "other")], &creation("postPaid")).await.json();
    assert_ne!(other["job_id"], first["job_id"]);
}

#[tokio::test]
async fn a_reset_creation_took_place_and_a_refused_one_did_not() {
    for (fault, happened) in [(Fault::Reset, "first"), (Fault::Busy, "second")] {
        let sim = manual_jobs().await;
        sim.fail_next_on(Route::CreateFirewall, 1, fault);
        let path = format!("/v2/{}/firewall", sim.project_id());
        let mine = ("X-Client-Token", "mine");
        let named = |name: &str| {
            let mut body = creation("postPaid");
            body["name"] = json!(name);
            body
        };
        let mut client = Client::connect(&sim).await;
        let headers = [("X-Auth-Token", sim.token()), mine];
        client.send("POST", &path, &headers, &named("first").to_string()).await;
        assert!(client.receive().await.map_or(true, |answer| answer.status == 400));
        let again = create(&sim, &[mine], &named("second")).await.json();
        assert_eq!(again["data"]["name"], happened);
    }
}

#[tokio::test]
async fn an_invalid_creation_names_the_field() {
    let sim = Simulator::start().await.unwrap();
    for (pointer, value, field) in [
        ("/name", json!(""), "name"),
        ("/flavor", json!({}), "flavor.version"),
        ("/flavor/version", json!("Deluxe"), "flavor.version"),
        ("/charge_info/charge_mode", json!("free"), "charge_info.charge_mode"),
    ] {
        let mut body = creation("postPaid");
        *body.pointer_mut(pointer).unwrap() = value;
        let answer = create(&sim, &[], &body).await;
        let msg = format!("Parameter error: {field}");
        let expected = json!({ "error_code": "CFW.00200001", "error_msg": msg });
        assert_eq!((answer.status, answer.json()), (400, expected));
    }
    let path = format!("/v2/{}/firewall", sim.project_id());
    assert_eq!(call(&sim, "POST", &path, &[], "{").await.status, 400);
    let path = format!("/v1/{}/firewall/exist", sim.project_id());
    assert_eq!(code(&call(&sim, "GET", &path, &[], "").await), (400, "CFW.00200001".to_owned()));
}

#[tokio::test]
async fn a_firewall_has_the_state_of_its_jobs() {
    let sim = manual_jobs().await;
    let id = created(&sim).await;
    assert_eq!(code(&delete(&sim, &id).await), (400, "CFW.00200016".to_owned()), "still creating");
    assert!(sim.fail(&id));
    assert_eq!(state(&sim, &id).await, 6);
    let job = delete(&sim, &id).await.json()["data"].as_str().unwrap().to_owned();
    assert_eq!(
        code(&delete(&sim, &id).await),
        (400, "CFW.00200016".to_owned()),
        "already deleting"
    );
    assert!(sim.fail(&job));
    assert_eq!(state(&sim, &id).await, 7);
    assert_eq!(delete(&sim, &id).await.status, 200, "once more");
}

#[tokio::test]
async fn the_job_of_a_deletion_can_be_missing() {
    let sim = Simulator::builder()
        .firewall_create(ms(0))
        .firewall_delete(Duration::from_secs(3600))
        .delete_jobs_exist(false)
        .start()
        .await
        .unwrap();
    let id = created(&sim).await;
    let job = delete(&sim, &id).await.json()["data"].as_str().unwrap().to_owned();
    assert_eq!(state(&sim, &id).await, 1);
    assert_eq!(code(&poll(&sim, &job).await), (400, "CFW.00200005".to_owned()));
    assert!(sim.finish(&job));
    assert_eq!(get(&sim, &id).await.status, 400);
    assert_eq!(poll(&sim, &job).await.status, 400);
}

#[tokio::test]
async fn jobs_can_be_read_in_the_format_of_ecs() {
    let sim = manual_jobs().await;
    let id = created(&sim).await;
    let path = format!("/v1/{}/jobs/{id}", sim.project_id());
    let running = call(&sim, "GET", &path, &[], "").await.json();
    assert_eq!((&running["job_id"], &running["status"]), (&json!(id), &json!("RUNNING")));
    assert_eq!((&running["end_time"], &running["fail_reason"]), (&json!(""), &json!(null)));
    assert_eq!(running["begin_time"].as_str().unwrap().len(), "2021-07-21T06:53:00.431Z".len());
    assert!(sim.finish(&id));
    assert_eq!(call(&sim, "GET", &path, &[], "").await.json()["status"], "SUCCESS");
    let path = format!("/v1/{}/jobs/unknown", sim.project_id());
    assert_eq!(call(&sim, "GET", &path, &[], "").await.status, 404);
}
