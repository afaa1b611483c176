//! Reads one entry out of a file in the form of clouds.yaml.
//!
//! Every value that is kept is read as text, whatever it looks like, so that `password: 0123`
//! keeps its zero. The parser's own messages quote the file, hence the password in it: they are
//! never shown, nor kept as a source. What is shown are places, keys we know, and our own words.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};
use serde_saphyr::Error as YamlError;

use super::error::SettingsError;
use super::file_error::FileProblem;

/// What the file says.
#[derive(Default)]
pub(super) struct File {
    /// The names of its entries, in the order of the file.
    pub(super) names: Vec<String>,
    /// The entry asked for: key (`region_name`, `auth.password`) and value.
    pub(super) entry: Option<BTreeMap<&'static str, String>>,
}

/// The keys of an entry that we read. `<service>_endpoint_override` is how openstacksdk names such.
const ENTRY_KEYS: [&str; 9] = [
    "profile",
    "cloud",
    "region_name",
    "interface",
    "endpoint_type",
    "verify",
    "insecure",
    "cacert",
    "cfw_endpoint_override",
];

/// The keys that may stand under `auth`. `system_scope` and `trust_id` are OpenStack's, and without
/// a meaning here.
const AUTH_KEYS: [&str; 26] = [
    "auth.auth_url",
    "auth.token",
    "auth.username",
    "auth.user_id",
    "auth.password",
    "auth.passcode",
    "auth.user_domain_name",
    "auth.user_domain_id",
    "auth.project_name",
    "auth.project_id",
    "auth.project_domain_name",
    "auth.project_domain_id",
    "auth.tenant_name",
    "auth.tenant_id",
    "auth.domain_name",
    "auth.domain_id",
    "auth.default_domain",
    "auth.default_domain_name",
    "auth.default_domain_id",
    "auth.ak",
    "auth.access_key",
    "auth.sk",
    "auth.secret_key",
    "auth.security_token",
    "auth.system_scope",
    "auth.trust_id",
];

/// Reads entry `name` under `root` (`clouds` or `public-clouds`) of `text`, the content of `file`.
pub(super) fn read(
    text: &str,
    file: &Path,
    root: &'static str,
    name: &str,
) -> Result<File, SettingsError> {
    let mut reader = Reader { root, name, path: Vec::new(), file: File::default(), unknown: None };
    // Snippets are pieces of the file: not even made.
    let options = serde_saphyr::options! { with_snippet: false };
    let result = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        Node { reader: &mut reader, level: Level::File }.deserialize(yaml)
    });
    match result {
        Ok(()) => Ok(reader.file),
        Err(error) => Err(FileProblem::Content {
            file: file.to_owned(),
            place: error.location().map(|place| (place.line(), place.column())),
            path: reader.path.join("."),
            what: reader.explain(&error),
        }
        .into()),
    }
}

/// How deep in the file we are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    File,
    Clouds,
    Entry,
    Auth,
    Value(&'static str),
    Ignored,
}

struct Reader<'a> {
    root: &'static str,
    name: &'a str,
    /// Where we are, in keys that can be shown: those we know, and the entry's name.
    path: Vec<String>,
    file: File,
    /// The key that stopped us, and the known key that is close to it.
    unknown: Option<Option<(String, &'static str)>>,
}

impl Reader<'_> {
    /// What stands under `key` of a mapping at `level`, or nothing if `key` must not be there.
    fn below(&mut self, level: Level, key: &str) -> Option<Level> {
        Some(match level {
            Level::File if key == self.root => Level::Clouds,
            Level::Clouds => {
                self.file.names.push(key.to_owned());
                if key != self.name {
                    return Some(Level::Ignored);
                }
                self.file.entry = Some(BTreeMap::new());
                Level::Entry
            }
            Level::Entry if key == "auth" => Level::Auth,
            Level::Entry => ENTRY_KEYS
                .into_iter()
                .find(|&known| known == key)
                .map_or(Level::Ignored, Level::Value),
            Level::Auth => {
                let known = AUTH_KEYS.into_iter().find(|known| bare(known) == key);
                if known.is_none() {
                    self.unknown = Some(closest(key).map(|known| (key.to_owned(), known)));
                }
                Level::Value(known?)
            }
            Level::File | Level::Value(_) | Level::Ignored => Level::Ignored,
        })
    }

    fn explain(&self, error: &YamlError) -> String {
        match (&self.unknown, error) {
            (_, YamlError::AliasError { error, .. }) => self.explain(error),
            (Some(Some((key, known))), _) => format!("unknown key {key}, did you mean {known}?"),
            // A key that resembles none may be anything, a misplaced password included.
            (Some(None), _) => {
                format!("unknown key; known are {}", AUTH_KEYS.map(bare).join(", "))
            }
            (None, YamlError::DuplicateMappingKey { .. }) => "a key occurs twice".to_owned(),
            (
                None,
                YamlError::Unexpected { .. }
                | YamlError::NullIntoString { .. }
                | YamlError::TaggedScalarCannotDeserializeIntoString { .. },
            ) => "not what belongs here: text for a key, keys with values for an entry or its auth".to_owned(),
            (None, YamlError::UnknownAnchor { .. }) => {
                "an alias without its anchor (quote a value that starts with *)".to_owned()
            }
            (None, YamlError::Budget { .. } | YamlError::AliasReplayLimitExceeded { .. }) => {
                "too large or too deep".to_owned()
            }
            (None, _) => "not valid YAML (quote a value that holds ': ' or ' #' or starts with a special character)".to_owned(),
        }
    }
}

struct Node<'a, 'b> {
    reader: &'a mut Reader<'b>,
    level: Level,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        match self.level {
            Level::Ignored => IgnoredAny::deserialize(yaml).map(|IgnoredAny| ()),
            _ => yaml.deserialize_option(self),
        }
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or keys with values")
    }

    /// `auth:` with nothing after it is no mistake, and a value of nothing is unset.
    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        match self.level {
            Level::Value(key) => {
                let value = String::deserialize(yaml)?;
                if let (false, Some(entry)) = (value.is_empty(), &mut self.reader.file.entry) {
                    entry.insert(key, value);
                }
                Ok(())
            }
            _ => yaml.deserialize_map(self),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Node { reader, level } = self;
        while let Some(key) = map.next_key::<String>()? {
            let below =
                reader.below(level, &key).ok_or_else(|| A::Error::unknown_field("", &[]))?;
            let shown = below != Level::Ignored;
            if shown {
                reader.path.push(key);
            }
            map.next_value_seed(Node { reader: &mut *reader, level: below })?;
            if shown {
                reader.path.pop();
            }
        }
        Ok(())
    }
}

fn bare(key: &'static str) -> &'static str {
    key.strip_prefix("auth.").unwrap_or(key)
}

/// The known key that `key` is a slip of: at most two edits away, and not a different word.
fn closest(key: &str) -> Option<&'static str> {
    let near = AUTH_KEYS.map(bare).into_iter().map(|known| (edits(key, known), known));
    near.filter(|&(edits, known)| edits <= 2 && edits * 2 < known.len())
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut row = vec![left];
        for (pair, &y) in above.windows(2).zip(&b) {
            let (diagonal, over) = (pair.first().unwrap_or(&left), pair.last().unwrap_or(&left));
            left = (left + 1).min(over + 1).min(diagonal + usize::from(x != y));
            row.push(left);
        }
        above = row;
    }
    above.last().copied().unwrap_or_default()
}
