//! The bodies of answers about firewalls.

use serde_json::Value;

use super::{job::is_same_id, repair::repaired, without_bom};
use crate::{Created, Firewall, FirewallId, FirewallStatus, JobId};

/// Parses the answer to a create.
pub(crate) fn created(body: &[u8]) -> Result<Created, String> {
    let body = object(body)?;
    let text = |key| body.get(key).and_then(id);
    let job_id =
        text("job_id").map(JobId::new).transpose().map_err(|error| format!("job_id: {error}"))?;
    let order_id = text("order_id");
    if job_id.is_none() && order_id.is_none() {
        return Err("neither job_id nor order_id".to_owned());
    }
    Ok(Created { job_id, order_id, request_id: None })
}

/// Parses the answer to a delete, which has its job id in another place than a create.
pub(crate) fn deleted(body: &[u8]) -> Result<JobId, String> {
    match object(body)?.get("data") {
        Some(Value::String(id)) => JobId::new(&**id).map_err(|error| format!("data: {error}")),
        Some(Value::Number(id)) => {
            JobId::new(id.to_string()).map_err(|error| format!("data: {error}"))
        }
        _ => Err("data: expected a job id".to_owned()),
    }
}

/// Finds a firewall among the records of an answer. An answer without a list is an error, not an absence.
pub(crate) fn find(asked: &FirewallId, body: &[u8]) -> Result<Option<Firewall>, String> {
    let body = object(body)?;
    let data = body.get("data").and_then(Value::as_object).ok_or("data: expected an object")?;
    let records = match (data.get("records"), data.get("total").and_then(Value::as_i64)) {
        (Some(Value::Array(records)), _) => &**records,
        (None | Some(Value::Null), Some(0)) => &[],
        _ => return Err("data.records: expected an array".to_owned()),
    };
    let is_asked = |record: &&Value| {
        let id = record.get("fw_instance_id").and_then(id);
        // Any id in another case, because an absence means that the firewall is gone.
        id.is_some_and(|id| {
            id.eq_ignore_ascii_case(asked.as_str()) || is_same_id(&id, asked.as_str())
        })
    };
    let Some(record) = records.iter().find(is_asked) else {
        return Ok(None);
    };
    let status = match record.get("status") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let status = status.ok_or("data.records[].status: expected an integer")?.into();
    let text = |key| record.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("name").or_else(|| text("fw_instance_name")).map(str::to_owned);
    let firewall = Firewall { id: asked.clone(), name, status };
    Ok(Some(firewall).filter(|firewall| firewall.status != FirewallStatus::Deleted))
}

/// Returns an id, which may be a number. An empty text counts as absent.
fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn object(body: &[u8]) -> Result<serde_json::Map<String, Value>, String> {
    let body = without_bom(body);
    let parsed = serde_json::from_slice(body);
    // One field, such as the name of a firewall, that is not as JSON wants it does not hide the others.
    match parsed.or_else(|_| serde_json::from_str(&repaired(body))) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err("not a JSON object, or cut".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_has_a_job_or_an_order_and_an_empty_text_is_neither() {
        let rows = [
            (r#"{"job_id":"j-1","order_id":"","data":{}}"#, Some("j-1"), None),
            (r#"{"job_id":"","order_id":"CS2403271050ZEM0L"}"#, None, Some("CS2403271050ZEM0L")),
            (r#"{"job_id":null,"order_id":"o"}"#, None, Some("o")),
            (r#"{"job_id":9007199254740993}"#, Some("9007199254740993"), None),
            ("\u{feff}{\"job_id\":\"j-1\"}", Some("j-1"), None),
        ];
        for (body, job_id, order_id) in rows {
            let created = created(body.as_bytes()).unwrap();
            assert_eq!(
                (created.job_id.as_ref().map(JobId::as_str), created.order_id.as_deref()),
                (job_id, order_id)
            );
        }
        for (body, fault) in [
            (r#"{"job_id":"","order_id":""}"#, "neither job_id nor order_id"),
            ("{}", "neither job_id nor order_id"),
            (r#"{"job_id":"a/b"}"#, r#"job_id: invalid job id "a/b": holds a '/'"#),
            ("", "not a JSON object, or cut"),
            ("[]", "not a JSON object, or cut"),
        ] {
            assert_eq!(created(body.as_bytes()).unwrap_err(), fault);
        }
    }

    #[test]
    fn a_delete_has_its_job_id_in_data() {
        assert_eq!(deleted(br#"{"data":"j-1"}"#).unwrap().as_str(), "j-1");
        assert_eq!(deleted(br#"{"data":17}"#).unwrap().as_str(), "17");
        for (body, fault) in [
            (r#"{"data":{"id":"j-1"}}"#, "data: expected a job id"),
            (r#"{"job_id":"j-1"}"#, "data: expected a job id"),
            (r#"{"data":""}"#, r#"data: invalid job id "": is empty"#),
        ] {
            assert_eq!(deleted(body.as_bytes()).unwrap_err(), fault);
        }
    }

    #[test]
    fn a_firewall_is_found_by_its_own_id_or_is_gone() {
        let asked = FirewallId::new("f-1").unwrap();
        let find = |body: &str| find(&asked, body.as_bytes());
        let there = |name: Option<&str>, status: i64| {
            Ok(Some(Firewall {
                id: asked.clone(),
                name: name.map(str::to_owned),
                status: status.into(),
            }))
        };
        let rows = [
            (
                r#"{"data":{"records":[{"fw_instance_id":"f-1","name":"n","status":2}]}}"#,
                there(Some("n"), 2),
            ),
            (
                r#"{"data":{"records":[{"fw_instance_id":"f-0"},{"fw_instance_id":"F-1","name":"","fw_instance_name":"m","status":"7"}]}}"#,
                there(Some("m"), 7),
            ),
            (r#"{"data":{"records":[{"fw_instance_id":"f-1","status":99}]}}"#, there(None, 99)),
            // Equal ids, and fields beside them that are not as JSON wants them.
            (
                r#"{"data":{"records":[{"fw_instance_id":"f-1","x":1e999,"name":"\ud800","status":2}]}}"#,
                there(Some("\u{fffd}"), 2),
            ),
            // Gone: deleted, not listed, or another firewall listed in its place.
            (r#"{"data":{"records":[{"fw_instance_id":"f-1","status":4}]}}"#, Ok(None)),
            (r#"{"data":{"records":[]}}"#, Ok(None)),
            (r#"{"data":{"records":[{"fw_instance_id":"f-0","status":2}]}}"#, Ok(None)),
            (r#"{"data":{"total":0,"records":null}}"#, Ok(None)),
            (r#"{"data":{"total":0}}"#, Ok(None)),
            // Without a list there is no proof of absence.
            ("{}", Err("data: expected an object".to_owned())),
            (r#"{"data":null}"#, Err("data: expected an object".to_owned())),
            (r#"{"data":{"total":1}}"#, Err("data.records: expected an array".to_owned())),
            (
                r#"{"data":{"records":[{"fw_instance_id":"f-1"}]}}"#,
                Err("data.records[].status: expected an integer".to_owned()),
            ),
            ("<html>", Err("not a JSON object, or cut".to_owned())),
        ];
        for (body, expected) in rows {
            assert_eq!(find(body), expected, "{body}");
        }
    }
}
