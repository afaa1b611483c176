//! No damage makes a status out of something else: bodies of a running job that are full of decoys, cut and changed at any
//! place, are never read as the success of the job.

use std::cell::Cell;

use proptest::{prelude::*, test_runner::TestRunner};

use super::{super::repair::repaired, *};

const CASES: u32 = 2_000;
const ID: &str = "cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f";

fn read(body: &[u8]) -> Result<JobBody, BadBody> {
    parse(&JobId::new(ID).unwrap(), body)
}

/// JSON values that are easily taken for a status or for the structure around one.
fn decoy() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        r#""Success""#,
        r#""data""#,
        r#""status""#,
        r#""\",\"status\":\"Success\"""#,
        r#""\"},\"data\":{\"status\":\"Success\"},\"x\":{\"""#,
        r#""{\"data\":{\"status\":\"Success\"}}""#,
        r#""':{[\\\\\/\u00e9\ud83d\ude00""#,
        r#""a\n\t中""#,
        "-1.5e3",
        "null",
        "true",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|items| format!("[{}]", items.join(","))),
            (inner.clone(), prop::sample::select(vec!["status", "data", "x"]), inner.clone())
                .prop_map(|(a, key, b)| format!(r#"{{"a":{a},"{key}":{b},"status":"Success"}}"#)),
            inner
                .clone()
                .prop_map(|value| format!(r#"{{"data":{{"status":"Success","x":{value}}}}}"#)),
            (60_usize..80, inner).prop_map(|(depth, value)| [
                "[".repeat(depth),
                value,
                "]".repeat(depth)
            ]
            .concat()),
        ]
    })
}

/// The body of a running job, with its fields in any order.
fn body() -> impl Strategy<Value = String> {
    let shuffled = |fields: Vec<String>| Just(fields).prop_shuffle();
    let data = (decoy(), decoy()).prop_flat_map(move |(a, b)| {
        shuffled(vec![
            format!(r#""x":{a}"#),
            format!(r#""Status":{b}"#),
            r#""status":"Running""#.to_owned(),
            format!(r#""id":"{ID}""#),
        ])
    });
    (data, decoy(), decoy()).prop_flat_map(move |(data, a, b)| {
        let data = data.join(",");
        shuffled(vec![
            format!(r#""data":{{{data}}}"#),
            format!(r#""status":{a}"#),
            format!(r#""error_msg":{b}"#),
        ])
        .prop_map(|fields| format!("{{{}}}", fields.join(",")))
    })
}

#[derive(Debug, Clone)]
enum Damage {
    Insert(Vec<u8>),
    Remove(usize),
    Replace(Vec<u8>),
    Cut,
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || {
        let pieces: Vec<&[u8]> = vec![
            b"\xff",
            b"\xe4\xb8",
            b"\x95\\",
            b"\0",
            b"\n",
            b"\"",
            b"\\",
            b"\\\"",
            b"\\q",
            b"\\ud800",
            b"\\u12",
            b",",
            b":",
            b"{",
            b"}",
            b"[",
            b"]",
            b"NaN",
            b"1e999",
            b"//",
            b"\xef\xbb\xbf",
        ];
        prop::sample::select(pieces).prop_map(<[u8]>::to_vec)
    };
    prop_oneof![
        4 => bytes().prop_map(Damage::Insert),
        // A longer piece can hold the status and the end of its object: what is left is a sound body of another meaning.
        2 => (1_usize..4).prop_map(Damage::Remove),
        3 => bytes().prop_map(Damage::Replace),
        1 => Just(Damage::Cut),
    ]
}

fn damaged(body: &str, damages: &[(prop::sample::Index, Damage)]) -> Vec<u8> {
    let mut body = body.as_bytes().to_vec();
    for (at, damage) in damages {
        let at = at.index(body.len() + 1);
        let end = |length: usize| (at + length).min(body.len());
        match damage {
            Damage::Insert(bytes) => drop(body.splice(at..at, bytes.iter().copied())),
            Damage::Remove(length) => drop(body.drain(at..end(*length))),
            Damage::Replace(bytes) => {
                drop(body.splice(at..end(bytes.len()), bytes.iter().copied()))
            }
            Damage::Cut => body.truncate(at),
        }
    }
    body
}

#[test]
fn no_damage_makes_a_success() {
    let [strict, repaired_, unusable] = [const { Cell::new(0_u32) }; 3];
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
    let damages = prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..3);
    TestRunner::new(config)
        .run(&(body(), damages), |(sound, damages)| {
            prop_assert_eq!(read(sound.as_bytes()).map(|body| body.status), Ok(JobStatus::Running));
            let body = damaged(&sound, &damages);
            let text = String::from_utf8_lossy(&body).into_owned();
            let count = match read(&body) {
                Ok(read) => {
                    prop_assert_ne!(read.status, JobStatus::Success, "{}", text);
                    match serde_json::from_slice::<Envelope<'_>>(without_bom(&body)) {
                        Ok(_) => &strict,
                        Err(_) => &repaired_,
                    }
                }
                Err(_) => &unusable,
            };
            count.set(count.get() + 1);
            Ok(())
        })
        .unwrap();
    let counts = [strict, repaired_, unusable].map(Cell::into_inner);
    println!("[as it came, repaired, unusable] = {counts:?} of {CASES}");
    assert!(counts.iter().all(|count| *count > CASES / 50), "{counts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    /// What needs no repair means the same after one.
    #[test]
    fn a_repair_changes_no_meaning(body in body()) {
        prop_assert_eq!(read(repaired(body.as_bytes()).as_bytes()), read(body.as_bytes()));
    }

    #[test]
    fn a_cut_body_is_never_one(body in body(), at: prop::sample::Index, tail in "[^\\]}]{0,3}") {
        let cut = body.as_bytes().get(..at.index(body.len())).unwrap();
        prop_assert!(read(&[cut, tail.as_bytes()].concat()).is_err());
    }
}
