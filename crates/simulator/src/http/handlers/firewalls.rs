//! The creation, deletion and query of firewalls.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::http::headers::header_text;
use crate::model::job::{JobPhase, JobScript};
use crate::state::firewalls::Firewall;
use crate::state::shared::State;
use crate::util::random::hex_id;

const CREATING: i32 = 0;
const DELETING: i32 = 1;
const RUNNING: i32 = 2;
const CREATION_FAILED: i32 = 6;
const DELETION_FAILED: i32 = 7;

/// `POST /v2/{project_id}/firewall`.
pub(crate) fn create_firewall(state: &mut State, call: &Call<'_>) -> Answer {
    let client_token = header_text(&call.parts.headers, "x-client-token");
    if let Some(answer) = client_token.and_then(|token| state.firewalls.creations.get(token)) {
        return Answer::json(200, answer);
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(call.body) else {
        return invalid("the body is not JSON");
    };
    let creation = match Creation::parse(&body) {
        Ok(creation) => creation,
        Err(field) => return invalid(field),
    };
    let answer = if creation.is_prepaid {
        const ORDER: u64 = 5;
        let number = hex_id(call.shared.config.seed, ORDER, state.next_id()).to_uppercase();
        let order_id = format!("CS{}", number.chars().take(15).collect::<String>());
        json!({ "order_id": order_id, "data": body.take() })
    } else {
        let script = JobScript::succeeds_after(call.shared.config.firewall_create);
        let id = state.add_job(call.shared.config.seed, call.now, script);
        state.firewalls.by_id.insert(id.clone(), creation.firewall);
        // Some real answers have an empty order id beside the job id. Clients must ignore it.
        json!({ "job_id": &*id, "order_id": "", "data": body.take() })
    };
    if let Some(token) = client_token {
        state.firewalls.creations.insert(token.to_owned(), answer.clone());
    }
    Answer::json(200, &answer)
}

/// `DELETE /v2/{project_id}/firewall/{id}`.
pub(crate) fn delete_firewall(state: &mut State, call: &Call<'_>, id: &str) -> Answer {
    match status(state, id, call.now) {
        None => return Answer::not_found(),
        Some(CREATING | DELETING) => {
            return Answer::cfw(400, "CFW.00200016", "instance status error");
        }
        Some(_) => {}
    }
    let config = &call.shared.config;
    let mut script = JobScript::succeeds_after(config.firewall_delete);
    if !config.delete_jobs_exist {
        script = script.appears_after(Duration::MAX);
    }
    let job = state.add_job(config.seed, call.now, script);
    if let Some(firewall) = state.firewalls.by_id.get_mut(id) {
        firewall.deleted_by = Some(job.clone());
    }
    Answer::json(200, &json!({ "data": &*job }))
}

/// `GET /v1/{project_id}/firewall/exist?fw_instance_id=`.
pub(crate) fn get_firewall(state: &mut State, call: &Call<'_>) -> Answer {
    let query = call.parts.uri.query().unwrap_or_default();
    let Some(id) = query.split('&').find_map(|pair| pair.strip_prefix("fw_instance_id=")) else {
        return invalid("fw_instance_id");
    };
    let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
    let known = status(state, &id, call.now).zip(state.firewalls.by_id.get(&*id));
    let Some((status, firewall)) = known else {
        return Answer::not_found();
    };
    let record = json!({
        "fw_instance_id": id,
        "name": firewall.name,
        "status": status,
        "enterprise_project_id": firewall.enterprise_project_id,
        "charge_mode": 1,
        "service_type": 0,
    });
    Answer::json(
        200,
        &json!({ "data": { "limit": 1, "offset": 0, "total": 1, "records": [record] } }),
    )
}

/// Returns `None` if the firewall does not exist or has been deleted.
fn status(state: &State, id: &str, now: Duration) -> Option<i32> {
    let firewall = state.firewalls.by_id.get(id)?;
    match &firewall.deleted_by {
        Some(job) => match state.jobs.phase(job, now) {
            Some(JobPhase::Running) => Some(DELETING),
            Some(JobPhase::Failed) => Some(DELETION_FAILED),
            Some(JobPhase::Succeeded) | None => None,
        },
        None => match state.jobs.phase(id, now) {
            Some(JobPhase::Running) => Some(CREATING),
            Some(JobPhase::Failed) => Some(CREATION_FAILED),
            Some(JobPhase::Succeeded) | None => Some(RUNNING),
        },
    }
}

fn invalid(field: &str) -> Answer {
    Answer::cfw(400, "CFW.00200001", &format!("Parameter error: {field}"))
}

struct Creation {
    firewall: Firewall,
    is_prepaid: bool,
}

impl Creation {
    /// The error is the name of the first invalid field.
    fn parse(body: &Value) -> Result<Self, &'static str> {
        let field = |pointer| body.pointer(pointer).and_then(Value::as_str);
        let name = field("/name").filter(|name| !name.is_empty()).ok_or("name")?;
        // Clients of Open Telekom Cloud send the version in lower case.
        field("/flavor/version")
            .filter(|version| {
                ["standard", "professional"].contains(&version.to_lowercase().as_str())
            })
            .ok_or("flavor.version")?;
        let is_prepaid = match field("/charge_info/charge_mode") {
            Some("postPaid") => false,
            Some("prePaid") => true,
            _ => return Err("charge_info.charge_mode"),
        };
        Ok(Self {
            firewall: Firewall {
                name: name.to_owned(),
                enterprise_project_id: field("/enterprise_project_id").unwrap_or("0").to_owned(),
                deleted_by: None,
            },
            is_prepaid,
        })
    }
}
