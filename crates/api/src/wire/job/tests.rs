use std::time::Duration;

use super::*;

const ID: &str = "cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f";

fn read(body: &[u8]) -> Result<JobBody, String> {
    parse(&JobId::new(ID).unwrap(), body).map_err(|bad_body| match bad_body {
        BadBody::Malformed(problem) | BadBody::WrongJob(problem) => problem,
    })
}

fn status(name: &str) -> JobBody {
    JobBody {
        status: name.into(),
        begin_time: None,
        end_time: None,
        error_code: None,
        error_msg: None,
    }
}

fn at(seconds: u64) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[test]
fn bodies_seen_or_documented_are_read() {
    let (begin, end) = (at(1_641_370_501), at(1_641_370_515));
    let rows: [(&[u8], JobBody); 6] = [
        (
            include_bytes!("../../../tests/data/manual_example.json"),
            JobBody { begin_time: begin, end_time: end, ..status("Success") },
        ),
        (
            include_bytes!("../../../tests/data/text_times.json"),
            JobBody { begin_time: begin, end_time: end, ..status("Success") },
        ),
        (
            include_bytes!("../../../tests/data/running_empty_end.json"),
            JobBody { begin_time: begin, ..status("Running") },
        ),
        (
            include_bytes!("../../../tests/data/failed_with_code.json"),
            JobBody {
                begin_time: begin,
                end_time: end,
                error_code: Some("CFW.00600003".to_owned()),
                error_msg: Some("no available flavor".to_owned()),
                ..status("Failed")
            },
        ),
        (include_bytes!("../../../tests/data/trace_id_variant.json"), status("Running")),
        (include_bytes!("../../../tests/data/byte_order_mark.json"), status("Running")),
    ];
    for (body, expected) in rows {
        assert_eq!(read(body).unwrap(), expected, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_odd_field_never_fails_a_poll() {
    let rows = [
        r#"{"data":{"status":"RUNNING"}}"#,
        r#"{"data":{"status":"running","id":null,"begin_time":null,"end_time":""}}"#,
        r#"{"data":{"status":"Running","id":"CD63A1C1-5AC5-4BD8-9D2E-1A2B3C4D5E6F"}}"#,
        r#"{"data":{"status":"Running","begin_time":"soon","end_time":-5}}"#,
        r#"{"data":{"status":"Running","begin_time":1e300,"end_time":{"at":[1,{"b":2}]}}}"#,
        r#"{"data":{"status":"Running","begin_time":[1],"end_time":true}}"#,
        r#"{"error_code":"","error_msg":null,"data":{"status":"Running"}}"#,
        r#"{"error_code":{"a":1},"error_msg":false,"data":{"status":"Running"}}"#,
        r#"{"data":{"status":"Running","progress":{"deep":[[]],"status":"Success"}},"x":[{}]}"#,
        r#"{"data":{"status":"Running","status":"Running"},"data":{"status":"Running"}}"#,
        r#"{"data":{"status":"Running\n","begin_time":1e999,"end_time":-1e999}}"#,
        r#"{"data":{"status":"\ufeff Running\r\n","id":" cd63a1c15ac54bd89d2e1a2b3c4d5e6f\n"}}"#,
        r#"{"data":{"status":"Running","begin_time":"\ud800","x":["\udfff \q",NaN]}}"#,
        "{\"data\":{\"status\":\"Running\n\",\"x\":\"a\u{1b}\tb\"}}",
        r#"{"d\u0061ta":{"st\u0061tus":"Runn\u0069ng"}}"#,
    ];
    for body in rows {
        assert_eq!(read(body.as_bytes()), Ok(status("Running")), "{body}");
    }
    let deep = [
        "{\"data\":{\"status\":\"Running\",\"x\":",
        &"[".repeat(100_000),
        &"]".repeat(100_000),
        "}}",
    ];
    assert_eq!(read(deep.concat().as_bytes()), Ok(status("Running")));
    // A text that is no UTF-8 is read as far as it can be, and does not hide the status.
    let text = read(b"{\"error_msg\":\"caf\xe9\",\"data\":{\"x\":\"\xff\",\"status\":\"Failed\",\"begin_time\":\"\xff\"}}");
    let expected = JobBody { error_msg: Some("caf\u{fffd}".to_owned()), ..status("Failed") };
    assert_eq!(text, Ok(expected));
    assert_eq!(
        read(br#"{"data":{"status":"Verifying"}}"#).unwrap().status,
        JobStatus::Other("Verifying".into())
    );
}

const TWO_STATUSES: &str = "data.status: expected a string, found two different values";

#[test]
fn an_unusable_body_is_a_fault_that_names_the_field() {
    let rows = [
        ("", "empty body"),
        ("  \r\n", "empty body"),
        ("\u{feff}", "empty body"),
        ("<html>", "not JSON, or cut: line 1 column 1"),
        ("null", "not JSON, or cut: line 1 column 4"),
        ("[]", "not JSON, or cut: line 1 column 0"),
        (r#"{"data":{"status":"Succ"#, "not JSON, or cut: line 1 column 23"),
        (r#"{"data":{"status":"Success"}} x"#, "not JSON, or cut: line 1 column 31"),
        ("{}", "data: missing"),
        (r#"{"data":null}"#, "data: missing"),
        (r#"{"data":"Success"}"#, "data: expected an object, found a string"),
        (r#"{"data":[{"status":"Success"}]}"#, "data: expected an object, found an array"),
        (r#"{"data":7}"#, "data: expected an object, found a number"),
        (r#"{"data":-7}"#, "data: expected an object, found a number"),
        (r#"{"data":7.5}"#, "data: expected an object, found a number"),
        (r#"{"data":true}"#, "data: expected an object, found a boolean"),
        (r#"{"data":{}}"#, "data.status: missing"),
        (r#"{"data":{"status":null}}"#, "data.status: missing"),
        (r#"{"data":{"status":""}}"#, "data.status: empty"),
        (r#"{"data":{"status":" "}}"#, "data.status: empty"),
        (r#"{"data":{"status":2}}"#, "data.status: expected a string, found a number"),
        (r#"{"data":{"status":true}}"#, "data.status: expected a string, found a boolean"),
        (r#"{"data":{"status":["Success"]}}"#, "data.status: expected a string, found an array"),
        (
            r#"{"data":{"status":{"phase":"Success"}}}"#,
            "data.status: expected a string, found an object",
        ),
        (
            r#"{"data":{"status":"Success","id":"other"}}"#,
            "the answer is about another job (data.id)",
        ),
        (r#"{"data":{"status":"Success","id":""}}"#, "the answer is about another job (data.id)"),
        (r#"{"data":{"status":"Success","id":7}}"#, "the answer is about another job (data.id)"),
        (
            r#"{"data":{"status":"Success","id":1e999}}"#,
            "data.id: expected a string, found a boolean",
        ),
        (r#"{"data":{"status":NaN}}"#, "data.status: expected a string, found a boolean"),
        (r#"{"data":{"status":"Success\ud800"}}"#, "data.status: not UTF-8"),
        (r#"{"x":"\q","data":{"status":"Success"}"#, "not JSON, or cut: line 1 column 8"),
        (r#"{"data":{"status":"Success","id":7.5}}"#, "data.id: expected a string, found a number"),
        // Parsers differ in which of two values they take.
        (r#"{"data":{"status":"Running","status":"Success"}}"#, TWO_STATUSES),
        (r#"{"data":{"status":"Success","status":null}}"#, TWO_STATUSES),
        (r#"{"data":{"status":null,"status":"Success"}}"#, TWO_STATUSES),
        (r#"{"data":{"status":"Success","status":"Failed","status":"Success"}}"#, TWO_STATUSES),
        (r#"{"data":{"status":"Success","st\u0061tus":"Failed","x":"\q"}}"#, TWO_STATUSES),
        (
            r#"{"data":{"status":"Running"},"data":{"status":"Success"}}"#,
            "data: expected an object, found two different values",
        ),
        (
            r#"{"data":{"status":"Success"},"data":null}"#,
            "data: expected an object, found two different values",
        ),
        (
            r#"{"data":{"id":"other","status":"Success","id":"cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f"}}"#,
            "data.id: expected a string, found two different values",
        ),
    ];
    for (body, fault) in rows {
        assert_eq!(read(body.as_bytes()).unwrap_err(), fault, "{body}");
    }
    assert!(read(b"{\"data\":{\"status\":\"\xff\"}}").is_err());
    assert!(read("{\"data\":".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn ids_are_compared_by_their_meaning() {
    for (asked, id, is_same) in [
        ("9007199254740993", "9007199254740993", true),
        ("9007199254740993", "9007199254740992", false),
        ("7", "7", true),
        ("07", "7", false),
        ("-7", "-7", true),
        ("cd63a1c15ac54bd89d2e1a2b3c4d5e6f", "\"CD63A1C1-5AC5-4BD8-9D2E-1A2B3C4D5E6F\"", true),
        ("cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f", "\"cd63a1c15ac54bd89d2e1a2b3c4d5e6f\"", true),
        ("cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f", "\"cd63a1c15ac54bd89d2e1a2b3c4d5e60\"", false),
        ("a-b", "\"ab\"", false),
        // Only UUIDs have several forms.
        ("CS2403271050ZEM0L", "\"cs2403271050zem0l\"", false),
        ("-cd63a1c15ac54bd89d2e1a2b3c4d5e6f", "\"cd63a1c15ac54bd89d2e1a2b3c4d5e6f\"", false),
        ("cd63a1c1-5ac5-4bd8-9d2e1a2b-3c4d5e6f", "\"cd63a1c15ac54bd89d2e1a2b3c4d5e6f\"", false),
        ("cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5-6f", "\"cd63a1c15ac54bd89d2e1a2b3c4d56f\"", false),
        ("4711", "4711.0", false),
        ("4711", "47.11e2", false),
        ("4711", "04711", false),
        ("4711", "\"04711\"", false),
        ("4711", "\"4711\"", true),
        ("4711", "\"４７１１\"", false),
    ] {
        let body = format!(r#"{{"data":{{"status":"Running","id":{id}}}}}"#);
        let read = parse(&JobId::new(asked).unwrap(), body.as_bytes());
        assert_eq!(read.is_ok(), is_same, "{asked} {id}: {read:?}");
    }
}
