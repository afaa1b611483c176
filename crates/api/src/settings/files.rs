//! Finds clouds.yaml and the files beside it.

use std::io;
use std::path::{Path, PathBuf};

use super::error::{Problem, SettingsError};

/// The disk, and the variables that say where files are.
pub(super) struct Files<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) read: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl Files<'_> {
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// Returns the directories in openstacksdk's order.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        let xdg = self.variable("XDG_CONFIG_HOME").map(|dir| Path::new(&dir).join("openstack"));
        let home =
            self.variable("HOME").map(|dir| Path::new(&dir).join(".config").join("openstack"));
        let mut directories = vec![PathBuf::from(".")];
        directories.extend(xdg);
        directories.extend(home);
        directories.extend(["/etc/xdg/openstack", "/etc/openstack"].map(PathBuf::from));
        directories
    }

    /// Returns the first file called `stem`, or the one that `variable` names, with its content.
    ///
    /// A file that exists but cannot be read is an error, because the next file may belong to another account. A
    /// named file that does not exist is an error, too.
    pub(super) fn find(
        &self,
        stem: &str,
        variable: &'static str,
    ) -> Result<Option<(PathBuf, String)>, SettingsError> {
        if let Some(file) = self.variable(variable).map(PathBuf::from) {
            return match (self.read)(&file) {
                Ok(text) => Ok(Some((file, text))),
                Err(source) => {
                    Err(Problem::Unreadable { file, variable: Some(variable), source }.into())
                }
            };
        }
        // A profile is named like a vendor, so a file in the working directory must not say where that is.
        let is_vendor = variable == "OS_CLIENT_VENDOR_FILE";
        for directory in self.directories().into_iter().skip(usize::from(is_vendor)) {
            for extension in ["yaml", "yml", "json"] {
                let file = directory.join(format!("{stem}.{extension}"));
                match (self.read)(&file) {
                    Ok(text) => return Ok(Some((file, text))),
                    Err(error) if is_absent(&error) => {}
                    Err(source) => {
                        return Err(Problem::Unreadable { file, variable: None, source }.into());
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
