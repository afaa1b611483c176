//! Reads one entry of a file in the form of clouds.yaml.
//!
//! Every value is read as text, so that `password: 0123` keeps its zero. The parser's own messages quote the file and
//! any password in it, so they are neither shown nor kept as a source. Errors show places, known keys and texts of
//! this module.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_saphyr::Error as YamlError;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::auth_type::AuthType;
use super::error::SettingsError;
use super::file_error::FileProblem;
use super::keys::{Field, Source, names};

/// Values by key: `region_name`, `auth.password`. Lists are joined by commas.
pub(super) type Values = BTreeMap<&'static str, String>;

/// The contents of a file.
#[derive(Default)]
pub(super) struct File {
    /// The names of its entries, in the order of the file.
    pub(super) names: Vec<String>,
    /// The requested entry.
    pub(super) entry: Option<Entry>,
}

#[derive(Default)]
pub(super) struct Entry {
    pub(super) values: Values,
    /// The regions under `regions`, with their `values`.
    pub(super) regions: Vec<(String, Values)>,
}

/// Keys beside `auth` that choose a profile, and keys under `auth` without a meaning here.
const PROFILE_KEYS: [&str; 2] = ["profile", "cloud"];
const OTHER_AUTH_KEYS: [&str; 2] = ["auth.system_scope", "auth.trust_id"];

fn known_keys() -> impl Iterator<Item = &'static str> {
    Field::ALL.into_iter().flat_map(|field| names(Source::Cloud, field)).copied()
}

fn entry_key(key: &str) -> Option<&'static str> {
    known_keys().chain(PROFILE_KEYS).find(|known| *known == key)
}

/// Returns the keys that may stand under `auth`.
fn auth_keys() -> impl Iterator<Item = &'static str> {
    known_keys().chain(OTHER_AUTH_KEYS).filter(|key| key.starts_with("auth."))
}

fn bare(key: &'static str) -> &'static str {
    key.strip_prefix("auth.").unwrap_or(key)
}

/// Reads entry `name` under `root` (`clouds` or `public-clouds`) of `text`, the content of `file`.
pub(super) fn read(
    text: &str,
    file: &Path,
    root: &'static str,
    name: &str,
) -> Result<File, SettingsError> {
    let strict = run(text, file, root, name, false);
    if strict.is_err()
        // The keys under `auth` depend on the type, so an unsupported type is the better explanation.
        && let Ok(lenient) = run(text, file, root, name, true)
        && let Some(entry) = lenient.entry
        && let Some(auth_type) = entry.values.get("auth_type").or_else(|| entry.values.get("auth_plugin"))
    {
        AuthType::parse(auth_type, &format!("{root}.{name}.auth_type in {}", file.display()))?;
    }
    strict
}

fn run(
    text: &str,
    file: &Path,
    root: &'static str,
    name: &str,
    is_lenient: bool,
) -> Result<File, SettingsError> {
    let mut reader = Reader {
        root,
        name,
        is_lenient,
        path: Vec::new(),
        file: File::default(),
        in_region: false,
        mistake: None,
    };
    let options = serde_saphyr::options! {
        // Snippets are parts of the file.
        with_snippet: false,
        // A key that occurs twice in another entry does not matter. Those of this entry are checked below.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // Many aliases of few anchors are ordinary. What aliases expand to is limited in any case.
        budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false },
    };
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

/// The place of a node in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    File,
    Clouds,
    Entry,
    Auth,
    Regions,
    /// An item of `regions`: a name, or a name and values.
    Region,
    RegionName,
    RegionValues,
    Value(&'static str),
    Ignored,
}

/// A mistake that this module detects, not the parser.
enum Mistake {
    UnknownKey(Option<(String, &'static str)>),
    Duplicate,
}

struct Reader<'a> {
    root: &'static str,
    name: &'a str,
    /// Whether unknown keys under `auth` are ignored.
    is_lenient: bool,
    /// The path in keys that may be shown: known ones, and the entry's name.
    path: Vec<String>,
    file: File,
    /// Whether values belong to the last region.
    in_region: bool,
    mistake: Option<Mistake>,
}

impl Reader<'_> {
    /// Returns the level below `key` of a mapping at `level`, or `None` if the key is a mistake.
    fn below(&mut self, level: Level, key: &str) -> Option<Level> {
        // As in openstacksdk, keys may be written with dashes.
        let normal = key.replace('-', "_");
        Some(match level {
            Level::File if key == self.root => Level::Clouds,
            Level::Clouds => {
                self.file.names.push(key.to_owned());
                if key != self.name {
                    return Some(Level::Ignored);
                }
                self.file.entry = Some(Entry::default());
                Level::Entry
            }
            Level::Entry | Level::RegionValues if normal == "auth" => Level::Auth,
            Level::Entry if normal == "regions" => Level::Regions,
            Level::Entry | Level::RegionValues => {
                entry_key(&normal).map_or(Level::Ignored, Level::Value)
            }
            Level::Region if normal == "name" => Level::RegionName,
            Level::Region if normal == "values" => Level::RegionValues,
            Level::Auth => {
                let known = auth_keys().find(|known| bare(known) == normal);
                if known.is_none() && self.is_lenient {
                    return Some(Level::Ignored);
                }
                if known.is_none() {
                    let close = closest(&normal).map(|known| (key.to_owned(), known));
                    self.mistake = Some(Mistake::UnknownKey(close));
                }
                Level::Value(known?)
            }
            Level::File
            | Level::Regions
            | Level::Region
            | Level::RegionName
            | Level::Value(_)
            | Level::Ignored => Level::Ignored,
        })
    }

    fn add(&mut self, key: &'static str, value: String) {
        let Some(entry) = &mut self.file.entry else { return };
        let values = match entry.regions.last_mut() {
            Some((_, values)) if self.in_region => values,
            _ => &mut entry.values,
        };
        if !value.is_empty() {
            values.insert(key, value);
        }
    }

    fn name_region(&mut self, name: String) {
        if let Some((region, _)) =
            self.file.entry.as_mut().and_then(|entry| entry.regions.last_mut())
        {
            *region = name;
        }
    }

    fn explain(&self, error: &YamlError) -> String {
        match (&self.mistake, error) {
            (_, YamlError::AliasError { error, .. }) => self.explain(error),
            (Some(Mistake::UnknownKey(Some((key, known)))), _) => {
                format!("unknown key {key}, did you mean {known}?")
            }
            // A key that resembles none may be anything, also a misplaced password.
            (Some(Mistake::UnknownKey(None)), _) => {
                format!("unknown key; known are {}", auth_keys().map(bare).collect::<Vec<_>>().join(", "))
            }
            (Some(Mistake::Duplicate), _) | (None, YamlError::DuplicateMappingKey { .. }) => {
                "a key occurs twice".to_owned()
            }
            (
                None,
                YamlError::Unexpected { .. }
                | YamlError::NullIntoString { .. }
                | YamlError::TaggedScalarCannotDeserializeIntoString { .. }
                | YamlError::SerdeInvalidType { .. },
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

/// The keys whose value may be a list.
const LISTS: [&str; 4] = ["interface", "region_name", "auth_methods", "auth.auth_methods"];

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

    /// `auth:` without a value is no mistake, and an empty value counts as unset.
    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        match self.level {
            Level::Value(key) if LISTS.contains(&key) => yaml.deserialize_any(self),
            Level::Value(key) => {
                let value = String::deserialize(yaml)?;
                self.reader.add(key, value);
                Ok(())
            }
            Level::RegionName => {
                let name = String::deserialize(yaml)?;
                self.reader.name_region(name);
                Ok(())
            }
            Level::Regions => yaml.deserialize_seq(self),
            Level::Region => yaml.deserialize_any(self),
            _ => yaml.deserialize_map(self),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self.level {
            Level::Value(key) => self.reader.add(key, text.to_owned()),
            Level::Region => self.reader.name_region(text.to_owned()),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Str(""), &self)),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Node { reader, level } = self;
        match level {
            Level::Value(key) => {
                let mut values = Vec::new();
                while let Some(value) = items.next_element::<String>()? {
                    values.push(value);
                }
                reader.add(key, values.join(","));
            }
            Level::Regions => loop {
                if let Some(entry) = &mut reader.file.entry {
                    entry.regions.push((String::new(), Values::new()));
                }
                reader.in_region = true;
                let item = Node { reader: &mut *reader, level: Level::Region };
                let more = items.next_element_seed(item)?.is_some();
                reader.in_region = false;
                if !more {
                    if let Some(entry) = &mut reader.file.entry {
                        entry.regions.pop();
                        entry.regions.retain(|(name, _)| !name.is_empty());
                    }
                    break;
                }
            },
            _ => {
                return Err(A::Error::invalid_type(
                    serde::de::Unexpected::Seq,
                    &"keys with values",
                ));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Node { reader, level } = self;
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let below =
                reader.below(level, &key).ok_or_else(|| A::Error::unknown_field("", &[]))?;
            let is_known = below != Level::Ignored;
            if is_known && !seen.insert(key.clone()) {
                reader.mistake = Some(Mistake::Duplicate);
                return Err(A::Error::unknown_field("", &[]));
            }
            if is_known {
                reader.path.push(key);
            }
            map.next_value_seed(Node { reader: &mut *reader, level: below })?;
            if is_known {
                reader.path.pop();
            }
        }
        Ok(())
    }
}

/// Returns the known key that `key` is a typing error of: at most two edits away, and not a different word.
fn closest(key: &str) -> Option<&'static str> {
    let near = auth_keys().map(bare).map(|known| (edits(key, known), known));
    near.filter(|&(edits, known)| edits <= 2 && edits * 2 < known.len())
        .min()
        .map(|(_, known)| known)
}

/// Returns the Levenshtein distance.
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
