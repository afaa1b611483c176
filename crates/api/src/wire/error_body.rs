//! Error bodies, in all the shapes that the service, the gateway, IAM and proxies send.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{repair::repaired, without_bom};
use crate::{clean::clean, times};

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
    /// Whether it is the throttling answer of an OpenStack service, `{"overLimit":{..}}`.
    pub(crate) is_over_limit: bool,
    /// The `retryAfter` of such an answer.
    pub(crate) retry_after: Option<Duration>,
}

impl ErrorBody {
    /// Parses any body. A body without structure becomes the text.
    ///
    /// The code decides what the answer means, so it is found however broken the rest of the body is.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let body = without_bom(body);
        let raw =
            || String::from_utf8_lossy(body.get(..RAW_TEXT).unwrap_or(body)).trim().to_owned();
        let root = first_value(body).or_else(|| first_value(repaired(body).as_bytes()));
        let Some(Value::Object(root)) = root else {
            return Self { text: raw(), ..Self::default() };
        };
        let request_id = root.get("request_id").and_then(scalar);
        let over_limit = root.get("overLimit").and_then(Value::as_object);
        let retry_after = over_limit
            .and_then(|inner| scalar(inner.get("retryAfter")?))
            .and_then(|seconds| times::pause_seconds(&seconds));
        let (code, text) = match coded(&root, DEPTH) {
            Some((code, text)) => (Some(code), text),
            None => (None, message(&root, DEPTH).unwrap_or_else(raw)),
        };
        Self { code, text, request_id, is_over_limit: over_limit.is_some(), retry_after }
    }
}

/// Parses the JSON value that a body begins with. Whatever follows it is ignored.
fn first_value(body: &[u8]) -> Option<Value> {
    Value::deserialize(&mut serde_json::Deserializer::from_slice(body)).ok()
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

/// Returns a text or a number as text, without white space around it. An empty text counts as absent.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(clean(text).to_owned()).filter(|text| !text.is_empty()),
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
        let deep = |depth| {
            let (open, close) = ("{\"a\":".repeat(depth), "}".repeat(depth));
            format!("{open}{{\"code\":\"x\",\"message\":\"m\"}}{close}")
        };
        let (deepest, too_deep) = (deep(4), deep(5));
        let rows: [(&str, Option<&str>, &str, Option<&str>); 26] = [
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
            (&deepest, Some("x"), "m", None),
            (&too_deep, None, &too_deep, None),
            (r#"{"errorMsg":"m"}"#, None, "m", None),
            (r#"{"error":{"errorMessage":"m"}}"#, None, "m", None),
        ];
        for (body, code, text, request_id) in rows {
            let expected = ErrorBody {
                code: code.map(str::to_owned),
                text: text.to_owned(),
                request_id: request_id.map(str::to_owned),
                ..ErrorBody::default()
            };
            assert_eq!(ErrorBody::parse(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn what_stands_beside_the_code_does_not_hide_it() {
        let deep = |open: &str, close: &str| {
            [open.repeat(100_000).as_bytes(), b"1", close.repeat(100_000).as_bytes()].concat()
        };
        let beside: [(&str, Vec<u8>); 16] = [
            ("text that is no UTF-8", b"\"\xff\xfe caf\xe9\"".to_vec()),
            ("a cut character", b"\"\xe2\x82\"".to_vec()),
            ("half a surrogate pair", br#""\ud83d""#.to_vec()),
            ("the other half", br#""\ude00 x \ud83d\u0041""#.to_vec()),
            ("an unknown escape", br#""C:\xy \q""#.to_vec()),
            ("a broken escape", br#""\u12""#.to_vec()),
            ("line breaks and controls", b"\"a\nb\x00\x1b[31m\"".to_vec()),
            ("a number that none holds", b"1e999".to_vec()),
            ("a negative one", b"-1e999".to_vec()),
            ("a long one", [b"9".repeat(500), b".5".to_vec()].concat()),
            ("no number", b"NaN".to_vec()),
            ("arrays without end", deep("[", "]")),
            ("objects without end", deep("{\"a\":", "}")),
            ("an array of all kinds", b"[1, \"\xff\", {\"code\": \"no\"}, null, true]".to_vec()),
            ("an object", br#"{"error_code":"CFW.00200016"}"#.to_vec()),
            ("nothing", b"null".to_vec()),
        ];
        for (name, value) in beside {
            for (head, tail) in [
                (&br#"{"error_code":"CFW.00100001","error_msg":"#[..], &b"}"[..]),
                (br#"{"error_msg":"#, br#","error_code":"CFW.00100001"}"#),
                (br#"{"x":"#, b",\"error_code\":\" CFW.00100001\\n\"} <!-- served by node 3 -->\0"),
                (b"\xef\xbb\xbf{\"error\":{\"x\":", br#","code":"CFW.00100001"}}"#),
            ] {
                let body = [head, &*value, tail].concat();
                let code = ErrorBody::parse(&body).code;
                // An object beside it is searched only if the code is not found before.
                assert_eq!(code.as_deref(), Some("CFW.00100001"), "{name}");
            }
        }
        // The text itself is kept as far as it can be read.
        let body = b"{\"error_code\":\"CFW.00200016\",\"error_msg\":\"caf\xe9 \\q \n shut\"}";
        assert_eq!(ErrorBody::parse(body).text, "caf\u{fffd} \\q   shut");
    }

    #[test]
    fn a_throttling_answer_in_the_form_of_openstack_is_known() {
        let parse = |body: &str| {
            let body = ErrorBody::parse(body.as_bytes());
            (body.is_over_limit, body.retry_after, body.text)
        };
        let seconds = Duration::from_secs;
        for (after, expected) in [
            (r#""1""#, Some(seconds(1))),
            ("7", Some(seconds(7))),
            ("0.5", Some(Duration::from_millis(500))),
            ("9999", Some(seconds(300))),
            ("0", None),
            ("-1", None),
            (r#""soon""#, None),
            ("null", None),
        ] {
            let body =
                format!(r#"{{"overLimit":{{"code":413,"message":"m","retryAfter":{after}}}}}"#);
            assert_eq!(parse(&body), (true, expected, "m".to_owned()), "{after}");
        }
        assert_eq!(
            parse(r#"{"badRequest":{"retryAfter":1,"message":"m"}}"#),
            (false, None, "m".into())
        );
        assert_eq!(parse(r#"{"overLimit":1,"message":"m"}"#), (false, None, "m".into()));
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
