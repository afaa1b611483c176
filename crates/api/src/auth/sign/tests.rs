//! The vendors' vectors, a second implementation, and what must not matter.

use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vector {
    name: String,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: String,
    access: String,
    secret: String,
    date: String,
    signed: String,
    canonical_sha256: Option<String>,
    signature: String,
}

#[test]
fn published_vectors_are_met() {
    let table = include_str!("../../../tests/data/sign/vectors.json");
    let vectors: Vec<Vector> = serde_json::from_str(table).unwrap();
    assert_eq!(vectors.len(), 7);
    for v in &vectors {
        let (query, headers) = (borrow(&v.query), borrow(&v.headers));
        let request = Unsigned {
            method: &v.method,
            path: &v.path,
            query: &query,
            headers: &headers,
            body: Body::Bytes(v.body.as_bytes()),
        };
        if let Some(expected) = &v.canonical_sha256 {
            let (canonical, _) = canonical_request(&request, &v.date);
            assert_eq!(hex(&Hash::hash(canonical.as_bytes())), *expected, "{}", v.name);
        }
        let when = v.date.parse::<Timestamp>().unwrap();
        let when = SystemTime::UNIX_EPOCH + Duration::from_secs(when.as_second().unsigned_abs());
        let key = SigningKey { access: &v.access, secret: &v.secret };
        let signed = sign(&request, key, when);
        assert_eq!(signed.date, v.date, "{}", v.name);
        let expected = format!(
            "SDK-HMAC-SHA256 Access={}, SignedHeaders={}, Signature={}",
            v.access, v.signed, v.signature
        );
        assert_eq!(signed.authorization, expected, "{}", v.name);
    }
}

#[test]
fn the_vendors_query_vector_is_met() {
    let query = [
        ("limit", "1"),
        ("enable", "true"),
        ("test", "一 (&=?!#%.*)"),
        ("path", "/tmp/123"),
        ("multi", "3"),
        ("multi", "1"),
        ("multi", "2"),
    ];
    let expected = "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Ftmp%2F123\
                    &test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29";
    assert_eq!(canonical_query(&query), expected);
}

#[test]
fn a_path_is_signed_the_same_however_it_was_sent() {
    for (sent, signed) in [
        ("", "/"),
        ("/", "/"),
        ("/v3/p/jobs/j", "/v3/p/jobs/j/"),
        ("/v3/p/jobs/j/", "/v3/p/jobs/j/"),
        ("/a(b)!/c", "/a%28b%29%21/c/"),
        ("/a%28b%29%21/c", "/a%28b%29%21/c/"),
        ("/%e4%b8%80/~", "/%E4%B8%80/~/"),
        ("//a", "//a/"),
        ("/%zz", "/%25zz/"),
    ] {
        assert_eq!(canonical_path(sent), signed, "{sent}");
    }
}

#[test]
fn an_unsigned_body_stands_literally_in_the_canonical_request() {
    let request =
        Unsigned { method: "POST", path: "/", query: &[], headers: &[], body: Body::Unsigned };
    let (canonical, _) = canonical_request(&request, "20060102T150405Z");
    assert_eq!(canonical, "POST\n/\n\nx-sdk-date:20060102T150405Z\n\nx-sdk-date\nUNSIGNED-PAYLOAD");
}

#[test]
fn a_clock_out_of_all_range_is_no_panic() {
    let request =
        Unsigned { method: "GET", path: "/", query: &[], headers: &[], body: Body::Unsigned };
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
    let signed = sign(&request, SigningKey { access: "AK", secret: "SK" }, far);
    assert_eq!(signed.date, "19700101T000000Z");
}

/// A request in the terms of the reference below: decoded everywhere.
#[derive(Clone, Debug)]
struct Case {
    method: String,
    segments: Vec<String>,
    lazy_path: bool,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    secret: String,
    seconds: u64,
}

impl Case {
    fn signature(&self) -> String {
        let path: String = self.segments.iter().map(|s| format!("/{}", self.sent(s))).collect();
        let (query, headers) = (borrow(&self.query), borrow(&self.headers));
        let request = Unsigned {
            method: &self.method,
            path: &path,
            query: &query,
            headers: &headers,
            body: Body::Bytes(&self.body),
        };
        let when = SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds);
        sign(&request, SigningKey { access: "AK", secret: &self.secret }, when).authorization
    }

    /// A segment as an HTTP client might send it: all encoded, or only what must be, in lower case.
    fn sent(&self, segment: &str) -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b);
        let keep = |b: u8| if self.lazy_path { plain(b) } else { false };
        segment
            .bytes()
            .map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02x}") })
            .collect()
    }

    /// The specification once more, by other means: naive strings, HMAC out of its definition.
    fn reference(&self) -> String {
        let date = reference_date(self.seconds);
        let mut text = self.method.clone() + "\n/";
        for segment in &self.segments {
            text += &reference_encode(segment);
            text += "/";
        }
        // No segment at all is the root; an empty last one has brought its slash already.
        if text.ends_with("//") {
            text.pop();
        }
        text += "\n";
        let mut query = self.query.clone();
        query.sort();
        for (n, (name, value)) in query.iter().enumerate() {
            text += if n == 0 { "" } else { "&" };
            text += &(reference_encode(name) + "=" + &reference_encode(value));
        }
        text += "\n";
        let mut headers =
            std::collections::BTreeMap::from([("x-sdk-date".to_owned(), date.clone())]);
        for (name, value) in &self.headers {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        for (name, value) in &headers {
            text += &(name.clone() + ":" + value + "\n");
        }
        let names = headers.keys().cloned().collect::<Vec<_>>().join(";");
        text += &("\n".to_owned() + &names + "\n" + &reference_hex(Hash::hash(&self.body)));
        let string =
            format!("SDK-HMAC-SHA256\n{date}\n{}", reference_hex(Hash::hash(text.as_bytes())));

        let mut key = if self.secret.len() > 64 {
            Hash::hash(self.secret.as_bytes()).to_vec()
        } else {
            self.secret.as_bytes().to_vec()
        };
        key.resize(64, 0);
        let pad = |with: u8, message: &[u8]| {
            let mut bytes: Vec<u8> = key.iter().map(|k| k ^ with).collect();
            bytes.extend_from_slice(message);
            Hash::hash(&bytes)
        };
        let mac = reference_hex(pad(0x5c, &pad(0x36, string.as_bytes())));
        format!("SDK-HMAC-SHA256 Access=AK, SignedHeaders={names}, Signature={mac}")
    }
}

fn reference_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

fn reference_hex(bytes: [u8; 32]) -> String {
    let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The civil date by counting years and months off the days.
fn reference_date(seconds: u64) -> String {
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!(
        "{year}{month:02}{:02}T{:02}{:02}{:02}Z",
        days + 1,
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

fn borrow(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn cases() -> impl Strategy<Value = Case> {
    // Few letters, so that equal names, prefixes and reserved characters meet often.
    let text = || prop_oneof!["[ab ~%/?&=+!*'()é一-]{0,4}", "\\PC{0,8}"];
    let header = ("[A-Ca-c_-]{1,4}", "[ -~]{0,8}");
    let headers = prop::collection::btree_map(header.0, header.1, 0..4);
    (
        (
            prop_oneof!["GET", "POST", "DELETE", "PUT"],
            prop::collection::vec(text(), 0..5),
            any::<bool>(),
        ),
        prop::collection::vec((text(), text()), 0..6),
        headers,
        prop::collection::vec(any::<u8>(), 0..80),
        ("\\PC{0,80}", 0_u64..253_402_300_800),
    )
        .prop_map(
            |((method, segments, lazy_path), query, headers, body, (secret, seconds))| {
                let mut names = std::collections::BTreeSet::new();
                let headers =
                    headers.into_iter().filter(|(name, _)| names.insert(name.to_lowercase()));
                let headers = headers.collect();
                Case { method, segments, lazy_path, query, headers, body, secret, seconds }
            },
        )
}

type Change = fn(&mut Case, &str);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_second_implementation_agrees(case in cases()) {
        prop_assert_eq!(case.signature(), case.reference());
    }

    /// Order and case that HTTP does not care about do not reach the signature; all else does.
    #[test]
    fn each_part_counts_and_nothing_else(case in cases(), extra in "[a-z]{1,3}") {
        let signature = case.signature();
        let mut same = case.clone();
        same.query.reverse();
        same.headers.reverse();
        for (name, value) in &mut same.headers {
            *name = name.to_ascii_uppercase();
            *value = format!(" {value}\t");
        }
        prop_assert_eq!(same.signature(), signature.clone());

        let changes: [(&str, Change); 8] = [
            ("method", |c, _| c.method.push('X')),
            ("path", |c, x| c.segments.push(x.to_owned())),
            ("query name", |c, x| c.query.push((x.to_owned(), String::new()))),
            ("query value", |c, x| match c.query.first_mut() {
                Some((_, value)) => value.push_str(x),
                None => c.query.push((String::new(), x.to_owned())),
            }),
            ("header", |c, x| c.headers.push((format!("x-{x}"), String::new()))),
            ("body", |c, x| c.body.extend_from_slice(x.as_bytes())),
            ("secret", |c, x| c.secret.push_str(x)),
            ("time", |c, _| c.seconds ^= 1),
        ];
        for (part, change) in changes {
            let mut other = case.clone();
            change(&mut other, &extra);
            prop_assert_ne!(other.signature(), signature.clone(), "{} does not count", part);
        }
    }
}
