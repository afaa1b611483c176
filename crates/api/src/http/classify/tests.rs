use super::{
    Classification::{Fatal, NotFound, Refused, Throttled, Transient, Unexpected},
    Refusal::{Clock, Key, LockedOut, Token},
    *,
};

const PASSES: Classification = Unexpected { can_pass: true };
const STAYS: Classification = Unexpected { can_pass: false };

fn body(code: Option<&str>, text: &str) -> ErrorBody {
    ErrorBody { code: code.map(str::to_owned), text: text.to_owned(), ..ErrorBody::default() }
}

#[test]
fn every_row_of_the_table() {
    let iam = "Incorrect IAM authentication information: ";
    let mut rows: Vec<(u16, Option<&str>, String, Classification)> = Vec::new();
    let mut add = |status, codes: &[&'static str], text: &str, classification| {
        if codes.is_empty() {
            rows.push((status, None, text.to_owned(), classification));
        }
        rows.extend(
            codes.iter().map(|code| (status, Some(*code), text.to_owned(), classification)),
        );
    };

    // The texts of 0301, 0307 and an invalid token, before everything else.
    for status in [401, 403] {
        for code in ["APIGW.0301", "APIG.0301", "APIC.0301"] {
            let code = &[code];
            add(
                status,
                code,
                &format!("{iam}token expires, expires_at: 2026-05-28T09:27:52Z"),
                Refused(Token),
            );
            add(status, code, &format!("{iam}decrypt token fail"), Refused(Token));
            add(status, code, &format!("{iam}x-auth-token not found"), Fatal);
            add(status, code, &format!("{iam}verify aksk signature fail"), Refused(Key));
            add(
                status,
                code,
                "verify aksk signature fail,canonicalRequest:PUT|token expires|authorization:SDK-HMAC-SHA256",
                Refused(Key),
            );
            add(
                status,
                code,
                &format!(
                    "{iam}calc aksk signature fail:signature expired, signature time:20260528T092752Z,server \
                     time:20260528T094410Z"
                ),
                Refused(Clock),
            );
            add(status, code, &format!("{iam}calc aksk signature fail:bad header"), Refused(Key));
            add(
                status,
                code,
                &format!("{iam}AK access failed to reach the limit,forbidden."),
                Refused(LockedOut),
            );
            add(
                status,
                code,
                &format!("{iam}Get secretKey failed,ak:AAA,err:ak not exist"),
                Refused(Key),
            );
        }
        add(status, &["APIGW.0307"], "The token must be updated.", Refused(Token));
        add(status, &[], "X-Auth-Token is invalid", Refused(Token));
        add(status, &["403"], "X-Auth-Token is invalid in the request", Refused(Token));
    }
    // These texts mean nothing elsewhere.
    add(400, &[], "X-Auth-Token is invalid", PASSES);
    add(503, &[], "token expires", Transient);

    // The service's codes, all at 400; a bare eight-digit code is the service's, too.
    for (code, bare) in [
        ("CFW.00100001", "00100001"),
        ("CFW.00109003", "00109003"),
        ("CFW.00109004", "00109004"),
        ("CFW.00200023", "00200023"),
        ("CFW.00300001", "00300001"),
        ("CFW.00800001", "00800001"),
        ("CFW.00800002", "00800002"),
        ("CFW.00800003", "00800003"),
        ("CFW.00900016", "00900016"),
        ("CFW.01100008", "01100008"),
    ] {
        add(400, &[code, bare], "", Transient);
        // The same as the body of a 200.
        add(200, &[code, bare], "", Transient);
    }
    add(400, &["CFW.00200005", "00200005"], "Object not found.", NotFound);
    add(200, &["CFW.00200005", "00200005"], "Object not found.", NotFound);
    let fatal = [
        "CFW.00200016",
        "CFW.0020016",
        "CFW.00200009",
        "CFW.00600003",
        "CFW.00200001",
        "CFW.00200004",
        "CFW.00200007",
        "CFW.00200010",
        "CFW.00200011",
        "CFW.00200013",
        "CFW.00200020",
        "CFW.00200022",
        "CFW.00200024",
        "CFW.00200025",
        "CFW.00200026",
        "CFW.00200027",
        "CFW.00200028",
        "CFW.00200030",
        "CFW.00200032",
        "CFW.00200036",
        "CFW.00200041",
        "CFW.00200110",
        "CFW.00400001",
        "CFW.00500002",
        "CFW.00700001",
        "CFW.00900020",
        "CFW.00900030",
        // Unknown ones, and digits with other zeros.
        "CFW.12345678",
        "CFW.0200005",
        "CFW.000200005",
    ];
    add(400, &fatal, "", Fatal);
    add(200, &fatal, "", Fatal);
    // Other families with the same digits, and digits of another length: not the service's word.
    let foreign = ["Ecs.00200005", "ECS.00100001", "cfw.00200005", "200005", "CFW"];
    add(400, &foreign, "", PASSES);
    add(200, &foreign, "", PASSES);

    // The gateway's codes.
    add(
        502,
        &["APIGW.0201", "APIG.0201", "APIGW.0610", "APIGW.0613"],
        "Backend unavailable.",
        Transient,
    );
    add(504, &["APIGW.0201", "APIC.0201"], "Backend timeout.", Transient);
    add(503, &["APIGW.0610", "APIGW.0613"], "", Transient);
    let backend = [
        "APIGW.0601",
        "APIGW.0605",
        "APIGW.0606",
        "APIGW.0608",
        "APIGW.0609",
        "APIGW.0611",
        "APIGW.0612",
        "APIG.0705",
    ];
    add(500, &backend, "", Transient);
    add(429, &["APIGW.0308", "APIG.0308"], "", Throttled);
    let unauthorized = ["APIGW.0301", "APIGW.0303", "APIGW.0305", "APIGW.0307", "APIG.0311"];
    add(401, &unauthorized, "", Refused(Token));
    let forbidden = [
        "APIGW.0302",
        "APIGW.0304",
        "APIGW.0306",
        "APIGW.0310",
        "APIGW.0401",
        "APIGW.0402",
        "APIGW.0404",
        "APIGW.0801",
        "APIG.0802",
    ];
    add(403, &forbidden, "", Fatal);
    add(
        404,
        &["APIGW.0101", "APIG.0101", "APIGW.0103", "APIGW.0999"],
        "The API does not exist",
        STAYS,
    );
    let bad = ["APIGW.0104", "APIGW.0105", "APIGW.0106", "APIGW.0201", "APIGW.0602", "APIGW.0607"];
    add(400, &bad, "", Fatal);
    add(500, &["APIG.0103"], "", STAYS);
    add(500, &["APIG.0104", "APIG.0105", "APIG.0106"], "", Fatal);
    for status in [413, 414, 494] {
        add(status, &["APIGW.0201"], "", Fatal);
    }
    add(405, &["APIGW.0501", "APIGW.0502"], "", Fatal);
    // The same as the body of a 200.
    add(200, &["APIGW.0308"], "", Throttled);
    add(200, &unauthorized, "", Refused(Token));
    add(200, &forbidden, "", Fatal);
    add(200, &backend, "", Transient);
    add(200, &["APIGW.0201", "APIGW.0610", "APIGW.0613"], "", Transient);
    add(200, &["APIGW.0101", "APIGW.0103"], "", STAYS);
    add(200, &["APIGW.0104", "APIGW.0602"], "", Fatal);
    add(200, &["401"], "", Refused(Token));
    add(200, &["503"], "", Transient);

    // The status alone, whatever code of another family stands beside it.
    for code in [&[][..], &["Ecs.0101"], &["400"], &["anything"]] {
        add(429, code, "", Throttled);
        for status in [408, 425, 500, 501, 502, 503, 504, 599] {
            add(status, code, "", Transient);
        }
        add(401, code, "", Refused(Token));
        add(404, code, "", NotFound);
        for status in [
            300, 301, 302, 307, 308, 399, 400, 402, 403, 406, 409, 410, 413, 418, 421, 451, 494,
            499, 600,
        ] {
            add(status, code, "<html>", PASSES);
        }
        add(405, code, "", STAYS);
    }
    for status in [402, 403, 405, 406, 409, 413, 421, 451, 499] {
        add(status, &["CFW.00200016", "00200016", "APIGW.0302"], "", Fatal);
    }
    // A code of the service with a status it is not documented for.
    add(404, &["CFW.00200005"], "", NotFound);
    add(500, &["CFW.00200016", "CFW.00200005"], "", Transient);
    add(403, &["CFW.00100001"], "", Fatal);

    for (status, code, text, expected) in rows {
        let body = body(code, &text);
        assert_eq!(classify(status, &body, false), expected, "{status} {code:?} {text:?}");
        // A request to wait changes the meaning of one status alone.
        let expected = if (status, expected) == (413, PASSES) { Throttled } else { expected };
        assert_eq!(classify(status, &body, true), expected, "{status} {code:?} {text:?}");
        let body = ErrorBody { is_over_limit: true, ..body };
        assert_eq!(classify(status, &body, false), expected, "{status} {code:?} {text:?}");
    }
}

#[test]
fn a_throttled_answer_names_its_quota() {
    let quota_of = |calls, per| {
        Some(Quota { calls: NonZeroU32::new(calls).unwrap(), per: Duration::from_secs(per) })
    };
    let full = "The throttling threshold has been reached: policy user over ratelimit,limit:10,time:1 minute";
    let rows = [
        (full, quota_of(10, 60)),
        ("policy ip over ratelimit,limit:200,time:5 minute", quota_of(200, 300)),
        ("policy banana over ratelimit,limit:2000,time:1 second", quota_of(2000, 1)),
        ("policy api over ratelimit, limit: 30, 2 hours", quota_of(30, 7200)),
        ("limit:5,time:1 day.", quota_of(5, 86_400)),
        ("Limit:5,Time:1 Minute", quota_of(5, 60)),
        ("limit:x,limit:7,time:5 second", quota_of(7, 5)),
        ("limit:0,time:1 minute", None),
        ("limit:10,time:0 minute", None),
        ("limit:99999999999,time:1 minute", None),
        ("limit:10,time:1 fortnight", None),
        ("limit:10", None),
        ("limit:-10,time:1 minute", None),
        ("", None),
    ];
    for (text, expected) in rows {
        assert_eq!(quota(text), expected, "{text:?}");
        let class = Class::new(Throttled, Some(Duration::from_secs(7)), text);
        assert_eq!(
            class,
            Class::Throttled { retry_after: Some(Duration::from_secs(7)), quota: expected }
        );
    }
}

/// A row of the table in the documentation of [`Class`].
struct Row<'a> {
    statuses: Vec<std::ops::RangeInclusive<u16>>,
    codes: Vec<&'a str>,
    class: &'a str,
}

fn documented_rows() -> Vec<Row<'static>> {
    let number = |text: &str| text.parse::<u16>().unwrap();
    let source = include_str!("../../error/class.rs");
    let lines = source.lines().filter_map(|line| line.strip_prefix("/// | "));
    lines
        .skip(2)
        .map(|line| {
            let [statuses, codes, class] =
                *line.trim_end_matches(" |").split(" | ").collect::<Vec<_>>()
            else {
                panic!("not three columns: {line}")
            };
            let range = |text: &str| match text.split_once(" to ") {
                Some((first, last)) => number(first)..=number(last),
                None => number(text)..=number(text),
            };
            Row {
                statuses: statuses.split(", ").map(range).collect(),
                codes: codes.split(", ").map(|code| code.trim_matches('`')).collect(),
                class: class.trim_matches('`'),
            }
        })
        .collect()
}

#[test]
fn the_documentation_of_the_classes_is_this_table() {
    let rows = documented_rows();
    assert_eq!(rows.len(), 14);
    let documented = rows.iter().flat_map(|row| row.codes.iter().copied());
    let others = [
        "none",
        "CFW.00200016",
        "CFW.99999999",
        "00100001",
        "00200005",
        "APIG.0103",
        "APIC.0104",
        "APIGW.0301",
        "APIGW.0999",
        "Ecs.00100001",
        "400",
        "413",
        "X",
    ];
    let mut uses = vec![0; rows.len()];
    for code in documented.chain(others).filter(|code| !code.contains('*') && *code != "any") {
        let is_code = !["none", "Retry-After", "overLimit"].contains(&code);
        let answer = ErrorBody {
            is_over_limit: code == "overLimit",
            ..body(Some(code).filter(|_| is_code), "")
        };
        let family = match code.split_once('.') {
            Some(("APIG" | "APIC", digits)) => format!("APIGW.{digits}"),
            None if code.len() == 8 => format!("CFW.{code}"),
            _ => code.to_owned(),
        };
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => family.starts_with(start),
            None => pattern == "any" || pattern == family,
        };
        for status in 300..600 {
            let row = rows.iter().position(|row| {
                row.statuses.iter().any(|range| range.contains(&status))
                    && row.codes.iter().any(|pattern| fits(pattern))
            });
            let row = row.unwrap_or_else(|| panic!("no row for {status} {code}"));
            uses[row] += 1;
            let class = Class::new(classify(status, &answer, code == "Retry-After"), None, "");
            let class = format!("{class:?}");
            let name = class.split(" { retry_after").next().unwrap();
            assert_eq!(name, rows[row].class, "{status} {code}");
        }
    }
    assert!(uses.iter().all(|uses| *uses > 0), "{uses:?}");
}
