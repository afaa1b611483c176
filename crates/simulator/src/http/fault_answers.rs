//! The answers of faults that answer instead of the service.

use axum::http::{StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::faults::fault::{EchoEncoding, Fault};
use crate::http::answer::Answer;
use crate::http::call::Call;
use crate::model::route::Route;

/// Returns the answer of a fault that answers instead of the service. Returns `None` for other
/// faults.
pub(crate) fn fault_answer(fault: &Fault, call: &Call<'_>) -> Option<Answer> {
    Some(match fault {
        Fault::Throttled { retry_after, quota } => {
            Answer::throttled(quota.as_deref(), call.request_id)
                .header(header::RETRY_AFTER, retry_after.as_deref())
        }
        Fault::Status(status) => Answer::text(*status, "text/plain", ""),
        Fault::ServiceUnavailable { retry_after } => {
            Answer::gateway(503, "APIGW.0610", "No backend available.", call.request_id)
                .header(header::RETRY_AFTER, retry_after.as_deref())
        }
        Fault::Busy => Answer::cfw(400, "CFW.00100001", "System busy. Try again later."),
        Fault::NotFound => Answer::not_found(),
        Fault::Code { status, code, msg } => Answer::cfw(*status, code, msg),
        Fault::GatewayCode { status, code, msg } => {
            Answer::gateway(*status, code, msg, call.request_id)
        }
        Fault::OverLimit { retry_after } => over_limit(retry_after.as_deref()),
        Fault::Redirect => {
            let location = format!("{}/redirected", call.shared.endpoint);
            Answer::text(307, "text/plain", "").header(header::LOCATION, Some(&location))
        }
        Fault::BadGatewayHtml => html(502),
        Fault::Html(status) => html(*status),
        Fault::Echo(encoding) => echo(*encoding, call),
        Fault::Reset
        | Fault::Slow(_)
        | Fault::SlowBody(_)
        | Fault::Hang
        | Fault::InterimFlood
        | Fault::DeadConnection
        | Fault::CutBody
        | Fault::NotJson
        | Fault::EmptyBody
        | Fault::WrongId
        | Fault::EqualId
        | Fault::Gzip
        | Fault::UnknownStatus
        | Fault::Endless => return None,
    })
}

fn html(status: u16) -> Answer {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let title = format!("{status} {}", reason.unwrap_or("Error"));
    let page =
        format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>");
    Answer::text(status, "text/html", page)
}

fn over_limit(retry_after: Option<&str>) -> Answer {
    let mut error = json!({ "code": 413, "message": "This request was rate-limited." });
    if let (Some(error), Some(time)) = (error.as_object_mut(), retry_after) {
        error.insert("retryAfter".to_owned(), time.into());
    }
    Answer::json(413, &json!({ "overLimit": error })).header(header::RETRY_AFTER, retry_after)
}

/// Returns an answer that contains the request, as some gateways and proxies send it.
fn echo(encoding: EchoEncoding, call: &Call<'_>) -> Answer {
    let text = request_text(call);
    match encoding {
        EchoEncoding::Plain => Answer::text(400, "text/plain", text),
        EchoEncoding::Json if call.route == Route::Token => Answer::iam(400, "Bad Request", &text),
        EchoEncoding::Json => Answer::cfw(400, "CFW.00200001", &text),
        EchoEncoding::Html => {
            let escaped = text
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;")
                .replace('\'', "&#39;");
            Answer::text(
                400,
                "text/html",
                format!("<html><body><pre>{escaped}</pre></body></html>"),
            )
        }
        EchoEncoding::Percent => {
            let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
            Answer::text(400, "text/plain", encoded)
        }
    }
}

fn request_text(call: &Call<'_>) -> String {
    let mut text = format!("{} {}\n", call.parts.method, call.parts.uri);
    for (name, value) in &call.parts.headers {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    text + "\n" + &String::from_utf8_lossy(call.body)
}
