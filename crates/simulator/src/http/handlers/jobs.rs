//! Polls: `GET /v3/{project_id}/jobs/{job_id}`, and the same jobs under `/v1` in the format of ECS.

use serde::Serialize;
use serde_json::{Value, json};

use crate::faults::fault::Fault;
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::state::config::TimeFormat;
use crate::state::shared::State;
use crate::util::clock::{format_ecs, format_manual};

#[derive(Serialize)]
struct ListJob<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_msg: Option<&'a str>,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: Value,
    status: &'a str,
    begin_time: Value,
    end_time: Value,
}

pub(crate) fn list_job(state: &State, call: &Call<'_>, id: &str) -> Answer {
    let Some(view) = state.jobs.view(id, call.now) else {
        return Answer::not_found();
    };
    let time = |at| format_time(call.shared.config.times, call.shared.unix_millis(state, at));
    Answer::json(
        200,
        &ListJob {
            error_code: view.error.map(|(code, _)| code),
            error_msg: view.error.map(|(_, msg)| msg),
            data: Data {
                id: match call.fault {
                    Some(Fault::WrongId) => "b7e5f1a0-0000-4000-a000-00000badcafe".into(),
                    Some(Fault::EqualId) => equal_id(id),
                    _ => id.into(),
                },
                status: if call.fault == Some(&Fault::UnknownStatus) {
                    "Paused"
                } else {
                    view.status
                },
                begin_time: time(view.begin),
                end_time: match view.end {
                    Some(end) => time(end),
                    None if call.shared.config.times == TimeFormat::Text => Value::from(""),
                    None => Value::Null,
                },
            },
        },
    )
}

/// Returns another form of an id, if it has one: a number, or a UUID in upper case and with its
/// dashes removed or added.
fn equal_id(id: &str) -> Value {
    if let Ok(number) = id.parse::<u64>()
        && number.to_string() == id
    {
        return number.into();
    }
    let digits: String = id.chars().filter(|char| *char != '-').collect();
    if digits.len() != 32 || !digits.chars().all(|char| char.is_ascii_hexdigit()) {
        return id.into();
    }
    let digits = digits.to_ascii_uppercase();
    if id.contains('-') {
        return digits.into();
    }
    let mut dashed = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if [8, 12, 16, 20].contains(&n) {
            dashed.push('-');
        }
        dashed.push(digit);
    }
    dashed.into()
}

fn format_time(format: TimeFormat, unix_millis: i64) -> Value {
    match format {
        TimeFormat::Millis => Value::from(unix_millis),
        TimeFormat::Text => Value::from(format_manual(unix_millis)),
    }
}

/// Returns a job in the format of the compute service.
pub(crate) fn ecs_job(state: &State, call: &Call<'_>, id: &str) -> Answer {
    let Some(view) = state.jobs.view(id, call.now) else {
        let error = json!({ "code": "Ecs.0114", "message": "The job does not exist." });
        return Answer::json(404, &json!({ "error": error }));
    };
    let time = |at| format_ecs(call.shared.unix_millis(state, at));
    Answer::json(
        200,
        &json!({
            "job_id": id,
            "job_type": "createServer",
            "status": match view.status {
                "Running" => "RUNNING",
                "Success" => "SUCCESS",
                "Failed" => "FAIL",
                other => other,
            },
            "begin_time": time(view.begin),
            "end_time": view.end.map_or_else(String::new, time),
            "error_code": view.error.map(|(code, _)| code),
            "fail_reason": view.error.map(|(_, msg)| msg),
            "entities": {},
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_uuids_have_another_form() {
        for (id, equal) in [
            ("4711", json!(4711)),
            ("04711", json!("04711")),
            ("cd63a1c15ac54bd89d2e1a2b3c4d5e6f", json!("CD63A1C1-5AC5-4BD8-9D2E-1A2B3C4D5E6F")),
            ("cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f", json!("CD63A1C15AC54BD89D2E1A2B3C4D5E6F")),
            ("my-job", json!("my-job")),
        ] {
            assert_eq!(equal_id(id), equal);
        }
    }
}
