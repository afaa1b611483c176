//! Error bodies, in all the shapes that the service, the gateway, IAM and proxies send.

use serde_json::{Map, Value};

use super::without_bom;

/// How much of a body that is not JSON is kept as the error's text, before it is shortened for display.
const RAW_TEXT: usize = 4096;

/// The depth to which errors are searched.
const DEPTH: usize = 4;

/// The contents of an error body, not cleaned of secrets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ErrorBody {
    pub(crate) code: Option<String>,
    pub(crate) text: String,
    pub(crate) request_id: Option<String>,
}

impl ErrorBody {
    /// Parses any body. A body without structure becomes the text.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let body = without_bom(body);
        let raw =
            || String::from_utf8_lossy(body.get(..RAW_TEXT).unwrap_or(body)).trim().to_owned();
        let Ok(Value::Object(root)) = serde_json::from_slice(body) else {
            return Self { text: raw(), ..Self::default() };
        };
        let request_id = root.get("request_id").and_then(scalar);
        let (code, text) = match coded(&root, DEPTH) {
            Some((code, text)) => (Some(code), text),
            None => (None, message(&root, DEPTH).unwrap_or_else(raw)),
        };
        Self { code, text, request_id }
    }
}

fn coded(object: &Map<String, Value>, depth: usize) -> Option<(String, String)> {
    const NAMES: [(&str, &[&str]); 3] = [
        ("error_code", &["error_msg"]),
        ("errorCode", &["errorMsg", "errorMessage"]),
        ("code", &["message"]),
    ];
    for (code, texts) in NAMES {
        if let Some(code) = object.get(code).and_then(scalar) {
            let text = texts.iter().find_map(|name| object.get(*name).and_then(scalar));
            return Some((code, text.unwrap_or_default()));
        }
    }
    let depth = depth.checked_sub(1)?;
    object.values().filter_map(Value::as_object).find_map(|inner| coded(inner, depth))
}

fn message(object: &Map<String, Value>, depth: usize) -> Option<String> {
    let texts = ["error_msg", "errorMsg", "errorMessage", "message"];
    if let Some(text) = texts.iter().find_map(|name| object.get(*name).and_then(scalar)) {
        return Some(text);
    }
    let depth = depth.checked_sub(1)?;
    object.values().filter_map(Value::as_object).find_map(|inner| message(inner, depth))
}

/// Returns a text or a number as text. An empty text counts as absent.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_an_error_body_is_read() {
        let nested = format!(
            "{}{{\"code\":\"x\",\"message\":\"deep\"}}{}",
            "{\"a\":".repeat(9),
            "}".repeat(9)
        );
        let rows: [(&str, Option<&str>, &str, Option<&str>); 22] = [
            // 1: the service.
            (
                r#"{"error_code":"CFW.00200005","error_msg":"Object not found."}"#,
                Some("CFW.00200005"),
                "Object not found.",
                None,
            ),
            // 2: the gateway.
            (
                r#"{"error_msg":"m","error_code":"APIGW.0301","request_id":"0fb688fc"}"#,
                Some("APIGW.0301"),
                "m",
                Some("0fb688fc"),
            ),
            // 3: IAM, with and without its code.
            (
                r#"{"error":{"code":401,"message":"m","title":"Unauthorized"}}"#,
                Some("401"),
                "m",
                None,
            ),
            (r#"{"error":{"title":"Unauthorized","message":"m"}}"#, None, "m", None),
            // 4: ECS and others.
            (
                r#"{"error":{"code":"Ecs.0114","message":"m","details":[{"code":"x"}]}}"#,
                Some("Ecs.0114"),
                "m",
                None,
            ),
            // 5: the rest of the family.
            (r#"{"error":{"error_code":"X.1","error_msg":"m"}}"#, Some("X.1"), "m", None),
            (r#"{"code":"X.1","message":"m"}"#, Some("X.1"), "m", None),
            (r#"{"message":"X-Auth-Token is invalid"}"#, None, "X-Auth-Token is invalid", None),
            (r#"{"errorCode":"X.1","errorMsg":"m"}"#, Some("X.1"), "m", None),
            (r#"{"errorCode":"X.1","errorMessage":"m"}"#, Some("X.1"), "m", None),
            // 6: a wrapper of one key.
            (r#"{"badRequest":{"code":400,"message":"m"}}"#, Some("400"), "m", None),
            // 7: IAM 5.
            (
                r#"{"encoded_authorization_message":"e","error_code":"X.1","error_msg":"m","details":[]}"#,
                Some("X.1"),
                "m",
                None,
            ),
            // 8: proxies.
            ("<html>Bad gateway</html>\n", None, "<html>Bad gateway</html>", None),
            ("upstream timed out", None, "upstream timed out", None),
            ("", None, "", None),
            // 9: the same as 1, behind a byte order mark; the status is not looked at here.
            (
                "\u{feff}{\"error_code\":\"00100001\",\"error_msg\":\"busy\"}",
                Some("00100001"),
                "busy",
                None,
            ),
            // Odd ones: the order of precedence, empty and missing parts, no object, too deep.
            (
                r#"{"code":"b","message":"m","error_code":"a","error_msg":"n"}"#,
                Some("a"),
                "n",
                None,
            ),
            (r#"{"error_code":"","error_msg":"m"}"#, None, "m", None),
            (r#"{"error_code":"X.1","error_msg":null}"#, Some("X.1"), "", None),
            (r#"{"data":null,"outer":"m"}"#, None, r#"{"data":null,"outer":"m"}"#, None),
            (r#"["error_code"]"#, None, r#"["error_code"]"#, None),
            (&nested, None, &nested, None),
        ];
        for (body, code, text, request_id) in rows {
            let expected = ErrorBody {
                code: code.map(str::to_owned),
                text: text.to_owned(),
                request_id: request_id.map(str::to_owned),
            };
            assert_eq!(ErrorBody::parse(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn any_bytes_are_a_body() {
        assert_eq!(ErrorBody::parse(b"\xff\xfe").text, "\u{fffd}\u{fffd}");
        assert_eq!(ErrorBody::parse(&vec![b'x'; 1 << 20]).text.len(), RAW_TEXT);
        assert!(ErrorBody::parse("{\"a\":".repeat(100_000).as_bytes()).code.is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(body: Vec<u8>, text in "[{}\\[\\]\":,a-z0-9]{0,60}") {
            let id = crate::JobId::new("j").unwrap();
            for body in [&*body, text.as_bytes()] {
                ErrorBody::parse(body);
                let _ = crate::wire::job::parse(&id, body);
            }
        }
    }
}
