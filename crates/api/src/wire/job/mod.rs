//! The body of a job's status: what the manual says, what its examples show, and what servers send.
//!
//! Times are numbers or texts, and all fields but the status may be missing. A field of an unexpected type makes
//! a body unusable only if the answer depends on it.

use std::{borrow::Cow, fmt, time::SystemTime};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{BadBody, repair::repaired, without_bom};
use crate::{JobId, JobStatus, clean::clean, times};

/// The state of a job in a usable answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JobBody {
    pub(crate) status: JobStatus,
    pub(crate) begin_time: Option<SystemTime>,
    pub(crate) end_time: Option<SystemTime>,
    pub(crate) error_code: Option<String>,
    pub(crate) error_msg: Option<String>,
}

/// Parses the body of a 200. The error says what makes it unusable.
pub(crate) fn parse(asked: &JobId, body: &[u8]) -> Result<JobBody, BadBody> {
    let body = without_bom(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err("empty body".to_owned().into());
    }
    let error = match serde_json::from_slice(body) {
        Ok(envelope) => return job(asked, envelope),
        Err(error) => error,
    };
    // Few bodies come here: one field, such as the text of an error, is not as JSON wants it.
    match serde_json::from_str(&repaired(body)) {
        Ok(Envelope { data: Data::Object { status: Scalar::Text(text), .. }, .. })
            if text.contains(char::REPLACEMENT_CHARACTER) =>
        {
            Err("data.status: not UTF-8".to_owned().into())
        }
        Ok(envelope) => job(asked, envelope),
        // The parser's own message is not used, because it can quote the body.
        Err(_) => {
            let (line, column) = (error.line(), error.column());
            Err(format!("not JSON, or cut: line {line} column {column}").into())
        }
    }
}

fn job(asked: &JobId, envelope: Envelope<'_>) -> Result<JobBody, BadBody> {
    let data = match envelope.data {
        Data::Object { status, id, begin_time, end_time } => {
            match id {
                // Absent: the answer is to this request.
                Scalar::Null => (),
                Scalar::Text(id) if is_same_id(clean(&id), asked.as_str()) => (),
                Scalar::Integer(id) if id.to_string() == asked.as_str() => (),
                Scalar::Text(_) | Scalar::Integer(_) => {
                    return Err(BadBody::WrongJob(
                        "the answer is about another job (data.id)".to_owned(),
                    ));
                }
                other => {
                    return Err(
                        format!("data.id: expected a string, found {}", other.name()).into()
                    );
                }
            }
            match status {
                Scalar::Text(text) if clean(&text).is_empty() => {
                    return Err("data.status: empty".to_owned().into());
                }
                Scalar::Text(text) => {
                    (JobStatus::from(clean(&text)), begin_time.time(), end_time.time())
                }
                Scalar::Null => return Err("data.status: missing".to_owned().into()),
                other => {
                    return Err(
                        format!("data.status: expected a string, found {}", other.name()).into()
                    );
                }
            }
        }
        Data::Other("null") => return Err("data: missing".to_owned().into()),
        Data::Other(name) => return Err(format!("data: expected an object, found {name}").into()),
    };
    let (status, begin_time, end_time) = data;
    let (error_code, error_msg) = (envelope.error_code.text(), envelope.error_msg.text());
    Ok(JobBody { status, begin_time, end_time, error_code, error_msg })
}

/// Compares ids: UUIDs without case and dashes, because all their forms are in use, and others exactly.
pub(super) fn is_same_id(a: &str, b: &str) -> bool {
    a == b || uuid_digits(a).is_some_and(|a| uuid_digits(b).is_some_and(|b| a == b))
}

/// Returns the digits of a UUID with or without its dashes.
fn uuid_digits(text: &str) -> Option<String> {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let digits = match text.len() {
        32 => text.to_owned(),
        36 if DASHES.iter().all(|at| text.as_bytes().get(*at) == Some(&b'-')) => {
            text.replace('-', "")
        }
        _ => return None,
    };
    let is_uuid = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_uuid.then(|| digits.to_ascii_lowercase())
}

#[derive(Default)]
struct Envelope<'a> {
    data: Data<'a>,
    error_code: Scalar<'a>,
    error_msg: Scalar<'a>,
}

#[derive(PartialEq)]
enum Data<'a> {
    Object { status: Scalar<'a>, id: Scalar<'a>, begin_time: Scalar<'a>, end_time: Scalar<'a> },
    Other(&'static str),
}

impl Default for Data<'_> {
    fn default() -> Self {
        Self::Other("null")
    }
}

/// Any JSON value, as much of it as a text or number field needs.
#[derive(Default, PartialEq)]
enum Scalar<'a> {
    #[default]
    Null,
    Text(Cow<'a, str>),
    /// An integer, exact where a float is not.
    Integer(i128),
    Number(f64),
    Other(&'static str),
}

/// Sets a field that decides the answer. One that is there twice with different values has neither of them: parsers
/// differ in which they take, so the sender may mean either.
fn set<T: PartialEq>(field: &mut Option<T>, value: T, ambiguous: T) {
    match field {
        Some(known) if *known != value => *known = ambiguous,
        Some(_) => (),
        None => *field = Some(value),
    }
}

/// The name of what a field has that is there twice with different values.
const TWO_VALUES: &str = "two different values";

impl Scalar<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "a string",
            Self::Integer(_) | Self::Number(_) => "a number",
            Self::Other(name) => name,
        }
    }

    /// Returns the time. A bad time is dropped, because it must never fail a poll.
    fn time(&self) -> Option<SystemTime> {
        match self {
            Self::Text(text) => times::from_text(text),
            // Times fit an f64 to the microsecond.
            Self::Integer(number) => times::from_number(*number as f64),
            Self::Number(number) => times::from_number(*number),
            Self::Null | Self::Other(_) => None,
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text.into_owned()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::Text(_) | Self::Null | Self::Other(_) => None,
        }
    }
}

/// The fields that are read in both objects.
enum Field {
    Data,
    ErrorCode,
    ErrorMsg,
    Id,
    Status,
    BeginTime,
    EndTime,
    Ignored,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl Visitor<'_> for Names {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Field, E> {
                Ok(match name {
                    "data" => Field::Data,
                    "error_code" => Field::ErrorCode,
                    "error_msg" => Field::ErrorMsg,
                    "id" => Field::Id,
                    "status" => Field::Status,
                    "begin_time" => Field::BeginTime,
                    "end_time" => Field::EndTime,
                    _ => Field::Ignored,
                })
            }
        }
        deserializer.deserialize_identifier(Names)
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope::default();
                let mut data = None;
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Data => {
                            set(&mut data, map.next_value()?, Data::Other(TWO_VALUES));
                        }
                        Field::ErrorCode => envelope.error_code = map.next_value()?,
                        Field::ErrorMsg => envelope.error_msg = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                envelope.data = data.unwrap_or_default();
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Visits of values that are neither text, number nor object. Only the name of their type is kept.
macro_rules! visit_others {
    ($wrap:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($wrap("a boolean"))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($wrap("an array"))
        }
    };
}

impl<'de> Deserialize<'de> for Data<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Data<'de>;
            visit_others!(Data::Other);

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Data::Other("null"))
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Data::Other("a string"))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Data::Other("a number"))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Data::Other("a number"))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Data::Other("a number"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut status, mut id) = (None, None);
                let (mut begin_time, mut end_time) = (Scalar::Null, Scalar::Null);
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Status => {
                            set(&mut status, map.next_value()?, Scalar::Other(TWO_VALUES));
                        }
                        Field::Id => set(&mut id, map.next_value()?, Scalar::Other(TWO_VALUES)),
                        Field::BeginTime => begin_time = map.next_value()?,
                        Field::EndTime => end_time = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                let (status, id) = (status.unwrap_or_default(), id.unwrap_or_default());
                Ok(Data::Object { status, id, begin_time, end_time })
            }
        }
        deserializer.deserialize_any(Fields)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;
            visit_others!(Scalar::Other);

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Scalar::Integer(number.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Integer(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("an object"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;
