//! An entry of clouds.yaml, with secure.yaml over it and a vendor's profile under it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Problem, SettingsError};
use super::file_error::FileProblem;
use super::files::Files;
use super::keys::{Field, Source, names};
use super::sources::Found;
use super::yaml::{self, Values};
use crate::clouds::region_of_project;

/// An entry, all files merged.
pub(super) struct Entry {
    name: String,
    /// The file that messages about missing values name.
    file: PathBuf,
    values: BTreeMap<&'static str, Value>,
    regions: Vec<Region>,
    /// Whether the regions are those of a built-in profile.
    has_vendor_regions: bool,
    pub(super) warnings: Vec<String>,
}

struct Value {
    text: String,
    label: String,
}

/// A region of `regions:`, with the values that hold in it.
struct Region {
    name: String,
    values: BTreeMap<&'static str, Value>,
}

impl Entry {
    pub(super) fn get(&self, key: &'static str) -> Option<Found> {
        let value = self.values.get(key)?;
        Some(Found { value: value.text.clone(), name: key, label: value.label.clone() })
    }

    /// Returns the names of missing keys, one of which suffices.
    pub(super) fn to_set(&self, keys: impl Iterator<Item = &'static str>) -> String {
        let keys: Vec<String> = keys.map(|key| format!("clouds.{}.{key}", self.name)).collect();
        format!("{} in {}", keys.join(" or "), self.file.display())
    }

    pub(super) fn without_credential(&self) -> Problem {
        FileProblem::NoCredential {
            entry: format!("clouds.{} of {}", self.name, self.file.display()),
        }
        .into()
    }

    pub(super) fn lists_regions(&self) -> bool {
        !self.regions.is_empty() || self.values.contains_key("region_name")
    }

    /// Selects a region: the wanted one, which must be one of the entry's if it lists any, else the first. Values of
    /// the region override those of the entry.
    pub(super) fn select_region(&mut self, wanted: Option<Found>) -> Result<(), SettingsError> {
        let mut regions = std::mem::take(&mut self.regions);
        if regions.is_empty()
            && let Some(list) = self.get("region_name")
        {
            // Older files list regions in `region_name`, separated by commas.
            regions.extend(list.value.split(',').map(|name| Region {
                name: crate::clean::clean(name).to_owned(),
                values: BTreeMap::new(),
            }));
        }
        let name = match wanted {
            None => {
                let of_project = self.region_of_project(&regions);
                of_project.or_else(|| regions.first().map(|region| region.name.clone()))
            }
            Some(wanted) if regions.is_empty() => Some(wanted.value),
            Some(wanted) => {
                let known =
                    regions.iter().find(|region| region.name.eq_ignore_ascii_case(&wanted.value));
                let Some(known) = known else {
                    return Err(FileProblem::UnknownRegion {
                        label: wanted.label,
                        region: wanted.value,
                        entry: format!("clouds.{} of {}", self.name, self.file.display()),
                        names: regions.into_iter().map(|region| region.name).collect(),
                    }
                    .into());
                };
                Some(known.name.clone())
            }
        };
        let Some(name) = name else { return Ok(()) };
        if let Some(region) = regions.into_iter().find(|region| region.name == name) {
            self.values.extend(region.values);
        }
        let label = format!("the region of clouds.{} in {}", self.name, self.file.display());
        self.values.insert("region_name", Value { text: name, label });
        Ok(())
    }

    /// Returns the region in the name of the project, if the regions are those of a built-in profile.
    fn region_of_project(&self, regions: &[Region]) -> Option<String> {
        let names = names(Source::Cloud, Field::ProjectName);
        let project = names.iter().find_map(|name| self.get(name))?;
        let name = region_of_project(&project.value)?;
        let mut regions = regions.iter().filter(|_| self.has_vendor_regions);
        Some(regions.find(|region| region.name.eq_ignore_ascii_case(name))?.name.clone())
    }

    fn apply(&mut self, root: &str, name: &str, file: &Path, read: yaml::Entry) {
        let label = |key: &str| format!("{root}.{name}.{key} in {}", file.display());
        let values = |values: Values| {
            let values = values.into_iter();
            values.map(|(key, text)| (key, Value { text, label: label(key) })).collect()
        };
        if !read.regions.is_empty() {
            self.has_vendor_regions = false;
            self.regions = read
                .regions
                .into_iter()
                .map(|(name, of_region)| Region { name, values: values(of_region) })
                .collect();
        } else if read.values.contains_key("region_name") {
            // A region of the entry replaces the list of its profile.
            self.regions.clear();
        }
        let own: BTreeMap<_, _> = values(read.values);
        self.values.extend(own);
    }
}

/// Loads the entry that `OS_CLOUD` names, if it is set.
pub(super) fn load(
    env: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Option<Entry>, SettingsError> {
    let files = Files { env, read };
    let Some(name) = files.variable("OS_CLOUD") else {
        return Ok(None);
    };
    let name = crate::clean::clean(&name).to_owned();
    let clouds = files.find("clouds", "OS_CLIENT_CONFIG_FILE")?;
    let secure = files.find("secure", "OS_CLIENT_SECURE_FILE")?;
    let Some((file, _)) = clouds.as_ref().or(secure.as_ref()) else {
        return Err(FileProblem::NoFile { name, searched: files.directories() }.into());
    };
    let mut entry = Entry {
        name: name.clone(),
        file: file.clone(),
        values: BTreeMap::new(),
        regions: Vec::new(),
        has_vendor_regions: false,
        warnings: Vec::new(),
    };
    let (mut names, mut layers) = (Vec::new(), Vec::new());
    for (file, text) in clouds.iter().chain(&secure) {
        let read = yaml::read(text, file, "clouds", &name)?;
        names.extend(read.names);
        layers.extend(read.entry.map(|layer| (file, layer)));
    }
    if let (Some((clouds, _)), [_, (secure, layer)]) = (&clouds, &layers[..])
        && files.variable("OS_CLIENT_SECURE_FILE").is_none()
        && is_in_working_directory(secure)
        && !is_in_working_directory(clouds)
        && let Some(key) = layer.pointing_key()
    {
        let label = format!("clouds.{name}.{key} in {}", secure.display());
        return Err(FileProblem::Misdirects { label, file: clouds.clone() }.into());
    }
    if layers.is_empty() {
        names.sort_unstable();
        names.dedup();
        return Err(FileProblem::UnknownCloud { name, file: file.clone(), names }.into());
    }
    // secure.yaml is read last, so its profile overrides that of clouds.yaml.
    let profile = ["profile", "cloud"].into_iter().find_map(|key| {
        let mut layers = layers.iter().rev();
        layers.find_map(|(file, layer)| Some((key, *file, layer.values.get(key)?.clone())))
    });
    if let Some((key, file, profile)) = profile {
        let label = format!("clouds.{name}.{key} in {}", file.display());
        entry.apply_profile(&files, profile, label)?;
    }
    for (file, layer) in layers {
        entry.apply("clouds", &name, file, layer);
    }
    Ok(Some(entry))
}

fn is_in_working_directory(file: &Path) -> bool {
    file.parent().is_none_or(|directory| directory == Path::new("") || directory == Path::new("."))
}

impl yaml::Entry {
    /// Returns a key that says where secrets go, if there is any.
    fn pointing_key(&self) -> Option<&'static str> {
        const FIELDS: [Field; 4] =
            [Field::AuthUrl, Field::Endpoint, Field::Insecure, Field::CaFile];
        let names = FIELDS.iter().flat_map(|&field| names(Source::Cloud, field)).copied();
        let key = names.chain(["profile", "cloud"]).find(|key| self.values.contains_key(key));
        key.or_else(|| (!self.regions.is_empty()).then_some("regions"))
    }
}

/// The profiles of openstacksdk: name, URL of IAM, regions.
const VENDORS: [(&str, &str, &[&str]); 2] = [
    ("otc", "https://iam.{region_name}.otc.t-systems.com/v3", &["eu-de", "eu-nl"]),
    ("otc-swiss", "https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3", &["eu-ch2"]),
];

impl Entry {
    /// Applies the profile that the entry names, from clouds-public.yaml or built in.
    fn apply_profile(
        &mut self,
        files: &Files<'_>,
        profile: String,
        label: String,
    ) -> Result<(), SettingsError> {
        const ROOT: &str = "public-clouds";
        let mut names: Vec<String> = VENDORS.map(|(name, ..)| name.to_owned()).into();
        if let Some((file, text)) = files.find("clouds-public", "OS_CLIENT_VENDOR_FILE")? {
            let read = yaml::read(&text, &file, ROOT, &profile)?;
            names.extend(read.names);
            if let Some(entry) = read.entry {
                self.apply(ROOT, &profile, &file, entry);
                return Ok(());
            }
        }
        if let Some((name, url, regions)) = VENDORS.into_iter().find(|(name, ..)| *name == profile)
        {
            let label = format!("auth.auth_url of the built-in profile {name}");
            self.values.insert("auth.auth_url", Value { text: url.to_owned(), label });
            self.has_vendor_regions = true;
            self.regions.extend(
                regions
                    .iter()
                    .map(|name| Region { name: (*name).to_owned(), values: BTreeMap::new() }),
            );
            return Ok(());
        }
        if profile == self.name {
            self.warnings.push(format!(
                "{label} names the entry itself and no profile, so it has no effect: remove it"
            ));
            return Ok(());
        }
        names.sort_unstable();
        names.dedup();
        Err(FileProblem::UnknownProfile { label, profile, names }.into())
    }
}
