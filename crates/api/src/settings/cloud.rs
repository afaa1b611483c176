//! The entry of clouds.yaml that `OS_CLOUD` picks, with secure.yaml over it and a vendor's profile
//! under it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Problem, SettingsError};
use super::file_error::FileProblem;
use super::found::Found;
use super::yaml;

/// An entry, all files merged.
pub(super) struct Cloud {
    name: String,
    /// The file to send the user to for what is missing.
    file: PathBuf,
    values: BTreeMap<&'static str, Value>,
    default_region: Option<&'static str>,
}

struct Value {
    text: String,
    label: String,
}

impl Cloud {
    pub(super) fn get(&self, key: &'static str) -> Option<Found> {
        let value = self.values.get(key)?;
        Some(Found { value: value.text.clone(), name: key, label: value.label.clone() })
    }

    /// What to call keys that are not there yet, of which one is enough.
    pub(super) fn to_set(&self, keys: impl Iterator<Item = &'static str>) -> String {
        let keys: Vec<String> = keys.map(|key| format!("clouds.{}.{key}", self.name)).collect();
        format!("{} in {}", keys.join(" or "), self.file.display())
    }

    pub(super) fn default_region(&self) -> Option<&'static str> {
        self.default_region
    }

    pub(super) fn without_credential(&self) -> Problem {
        FileProblem::NoCredential {
            entry: format!("clouds.{} of {}", self.name, self.file.display()),
        }
        .into()
    }

    fn insert(
        &mut self,
        root: &str,
        name: &str,
        file: &Path,
        entry: BTreeMap<&'static str, String>,
    ) {
        for (key, text) in entry {
            self.values.insert(key, Value { text, label: label(root, name, key, file) });
        }
    }
}

/// The entry that `OS_CLOUD` names, if it names one.
pub(super) fn load(
    env: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Option<Cloud>, SettingsError> {
    let disk = Disk { env, read };
    let Some(name) = disk.variable("OS_CLOUD") else {
        return Ok(None);
    };
    let clouds = disk.find("clouds", "OS_CLIENT_CONFIG_FILE")?;
    let secure = disk.find("secure", "OS_CLIENT_SECURE_FILE")?;
    let Some((file, _)) = clouds.as_ref().or(secure.as_ref()) else {
        return Err(FileProblem::NoFile { name, searched: disk.directories() }.into());
    };

    let mut own = Cloud { name, file: file.clone(), values: BTreeMap::new(), default_region: None };
    let mut names = Vec::new();
    let mut is_known = false;
    for (file, text) in clouds.iter().chain(&secure) {
        let read = yaml::read(text, file, "clouds", &own.name)?;
        names.extend(read.names);
        if let Some(entry) = read.entry {
            is_known = true;
            own.insert("clouds", &own.name.clone(), file, entry);
        }
    }
    if !is_known {
        names.sort_unstable();
        names.dedup();
        return Err(FileProblem::UnknownCloud { name: own.name, file: own.file, names }.into());
    }
    match own.get("profile").or_else(|| own.get("cloud")) {
        Some(profile) => over_profile(own, profile, &disk).map(Some),
        None => Ok(Some(own)),
    }
}

/// Profiles that openstacksdk brings along: name, URL of IAM, default region.
const VENDORS: [(&str, &str, &str); 2] = [
    ("otc", "https://iam.%(region_name)s.otc.t-systems.com/v3", "eu-de"),
    ("otc-swiss", "https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3", "eu-ch2"),
];

/// Lays `own` over the profile it names, from clouds-public.yaml or built in.
fn over_profile(own: Cloud, profile: Found, disk: &Disk<'_>) -> Result<Cloud, SettingsError> {
    const ROOT: &str = "public-clouds";
    let mut names: Vec<String> = VENDORS.map(|(name, ..)| name.to_owned()).into();
    let mut base = Cloud { values: BTreeMap::new(), ..own };
    let mut is_known = false;

    if let Some((file, text)) = disk.find("clouds-public", "OS_CLIENT_VENDOR_FILE")? {
        let read = yaml::read(&text, &file, ROOT, &profile.value)?;
        names.extend(read.names);
        if let Some(entry) = read.entry {
            is_known = true;
            base.insert(ROOT, &profile.value, &file, entry);
        }
    }
    if let Some((name, url, region)) =
        VENDORS.into_iter().find(|(name, ..)| !is_known && *name == profile.value)
    {
        is_known = true;
        let label = format!("auth.auth_url of the built-in profile {name}");
        base.values.insert("auth.auth_url", Value { text: url.to_owned(), label });
        base.default_region = Some(region);
    }
    if !is_known {
        names.sort_unstable();
        names.dedup();
        return Err(FileProblem::UnknownProfile {
            label: profile.label,
            profile: profile.value,
            names,
        }
        .into());
    }
    base.values.extend(own.values);
    Ok(base)
}

fn label(root: &str, name: &str, key: &str, file: &Path) -> String {
    format!("{root}.{name}.{key} in {}", file.display())
}

/// The files, and the variables that say where they are.
struct Disk<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    read: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Disk<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// openstacksdk's search order.
    fn directories(&self) -> Vec<PathBuf> {
        let xdg = self.variable("XDG_CONFIG_HOME").map(|dir| Path::new(&dir).join("openstack"));
        let home =
            self.variable("HOME").map(|dir| Path::new(&dir).join(".config").join("openstack"));
        let mut directories = vec![PathBuf::from(".")];
        directories.extend(xdg);
        directories.extend(home);
        directories.extend(["/etc/xdg/openstack", "/etc/openstack"].map(PathBuf::from));
        directories
    }

    /// The first file called `stem`, or the one that `variable` names, with its content.
    ///
    /// A file that is there and cannot be read is an error: going on to the next could sign in to
    /// another account. So is a named file that is not there.
    fn find(
        &self,
        stem: &str,
        variable: &'static str,
    ) -> Result<Option<(PathBuf, String)>, SettingsError> {
        if let Some(file) = self.variable(variable).map(PathBuf::from) {
            return match (self.read)(&file) {
                Ok(text) => Ok(Some((file, text))),
                Err(source) => {
                    Err(FileProblem::Unreadable { file, variable: Some(variable), source }.into())
                }
            };
        }
        for directory in self.directories() {
            for extension in ["yaml", "yml", "json"] {
                let file = directory.join(format!("{stem}.{extension}"));
                match (self.read)(&file) {
                    Ok(text) => return Ok(Some((file, text))),
                    Err(error) if is_absent(&error) => {}
                    Err(source) => {
                        return Err(FileProblem::Unreadable { file, variable: None, source }.into());
                    }
                }
            }
        }
        Ok(None)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
