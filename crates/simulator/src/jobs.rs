//! `GET /v3/{project_id}/jobs/{job_id}`.

use serde::Serialize;
use serde_json::Value;

use crate::answer::Answer;
use crate::clock::manual_text;
use crate::fault::Fault;
use crate::gateway::Call;
use crate::simulator::TimeFormat;
use crate::state::State;

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
    id: &'a str,
    status: &'a str,
    begin_time: Value,
    end_time: Value,
}

pub(crate) fn list_job(state: &State, call: &Call<'_>, id: &str) -> Answer {
    let Some(view) = state.view(id, call.now) else {
        return Answer::not_found();
    };
    let time = |at| time(call.shared.config.times, call.shared.unix_millis(state, at));
    Answer::json(
        200,
        &ListJob {
            error_code: view.error.map(|(code, _)| code),
            error_msg: view.error.map(|(_, msg)| msg),
            data: Data {
                id: if call.fault == Some(&Fault::WrongId) {
                    "b7e5f1a0-0000-4000-a000-00000badcafe"
                } else {
                    id
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

fn time(format: TimeFormat, unix_millis: i64) -> Value {
    match format {
        TimeFormat::Millis => Value::from(unix_millis),
        TimeFormat::Text => Value::from(manual_text(unix_millis)),
    }
}
