//! Settings from the environment and clouds.yaml.

use std::fmt;
use std::io;
use std::path::Path;

use crate::Credentials;

mod auth_type;
mod chosen;
#[cfg_attr(not(feature = "clouds-yaml"), path = "no_entry.rs")]
mod entry;
mod error;
#[cfg(feature = "clouds-yaml")]
mod file_error;
#[cfg(feature = "clouds-yaml")]
mod files;
mod keys;
mod place;
mod resolve;
mod sdk_file;
mod sources;
#[cfg(test)]
mod tests;
mod values;
#[cfg(feature = "clouds-yaml")]
mod yaml;

pub use error::SettingsError;
use keys::{Field, Source};
use sources::Sources;

/// Where the cloud is and how to sign in, as found in the environment or in clouds.yaml.
///
/// # Where values come from
///
/// | meaning | ours | entry in clouds.yaml | OpenStack, OTC | Huawei Terraform | Huawei SDK |
/// | --- | --- | --- | --- | --- | --- |
/// | endpoint of the firewall API | `CFW_ENDPOINT` | `cfw_endpoint_override`, `cfw_endpoint` (also `cfwv1_..` to `cfwv3_..`) | `OS_CFW_ENDPOINT_OVERRIDE`, `OS_CFW_ENDPOINT` | | |
/// | way to sign in | | `auth_type` | `OS_AUTH_TYPE` | | |
/// | token | `CFW_TOKEN` | `token` | `OS_TOKEN`, `OS_AUTH_TOKEN` | `HW_AUTH_TOKEN` | |
/// | access key | | `ak`, `access_key` | `OS_ACCESS_KEY`, `OS_AK` | `HW_ACCESS_KEY` | `HUAWEICLOUD_SDK_AK` |
/// | its secret | | `sk`, `secret_key` | `OS_SECRET_KEY`, `OS_SK` | `HW_SECRET_KEY` | `HUAWEICLOUD_SDK_SK` |
/// | its session | | `security_token` | `OS_SECURITY_TOKEN` | `HW_SECURITY_TOKEN` | `HUAWEICLOUD_SDK_SECURITY_TOKEN` |
/// | application credential | | `application_credential_id` or `_name`, `application_credential_secret` | `OS_APPLICATION_CREDENTIAL_ID` or `_NAME`, `OS_APPLICATION_CREDENTIAL_SECRET` | | |
/// | user | | `user_id`, `username` | `OS_USER_ID`, `OS_USERNAME` | `HW_USER_NAME` | |
/// | password | | `password` | `OS_PASSWORD` | `HW_USER_PASSWORD` | |
/// | one-time code | | `passcode` | `OS_PASSCODE` | | |
/// | domain of the user | | `user_domain_id`, `domain_id`, `user_domain_name`, `domain_name`, `project_domain_id` or `_name`, `default_domain_id` or `_name` | `OS_USER_DOMAIN_ID`, `OS_DOMAIN_ID`, `OS_USER_DOMAIN_NAME`, `OS_DOMAIN_NAME`, `OS_PROJECT_DOMAIN_ID` or `_NAME`, `OS_DEFAULT_DOMAIN_ID` or `_NAME` | `HW_DOMAIN_ID`, `HW_DOMAIN_NAME` | `HUAWEICLOUD_SDK_DOMAIN_ID` |
/// | project, by id | `CFW_PROJECT_ID` | `project_id`, `tenant_id` | `OS_PROJECT_ID`, `OS_TENANT_ID` | `HW_PROJECT_ID` | `HUAWEICLOUD_SDK_PROJECT_ID` |
/// | project, by name | | `project_name`, `tenant_name` | `OS_PROJECT_NAME`, `OS_TENANT_NAME` | `HW_PROJECT_NAME` | |
/// | URL of IAM | | `auth_url` | `OS_AUTH_URL` | `HW_AUTH_URL` | `HUAWEICLOUD_SDK_IAM_ENDPOINT` |
/// | region | | `regions`, `region_name` | `OS_REGION_NAME`, `OS_REGION` | `HW_REGION_NAME` | `HW_REGION_NAME` |
/// | domain of the cloud's hosts | | | | `HW_CLOUD` | |
/// | catalog interface | | `endpoint_type`, `interface` | `OS_ENDPOINT_TYPE`, `OS_INTERFACE` | | |
/// | TLS | `CFW_INSECURE`, `CFW_CACERT` | `verify`, `insecure`, `cacert`, `cert`, `key` | `OS_INSECURE`, `OS_CACERT`, `OS_CERT`, `OS_KEY` | `HW_INSECURE` | |
///
/// The first name in a cell that is set counts, and an empty value counts as unset. White space and byte order marks
/// around a value are dropped, except around a password. Control characters in a value are an error.
///
/// # Which credential counts
///
/// `CFW_TOKEN` counts first. Then the entry of clouds.yaml counts if `OS_CLOUD` is set, else the first family of
/// variables, from the left, whose credential is complete. Within a family, a complete password login precedes an
/// access key, because pipelines keep keys for object storage. `OS_AUTH_TYPE` and `auth_type` choose between several
/// credentials: `password`, `v3password`, `token`, `v3token`, `v3multifactor` and `v3applicationcredential`. Without
/// it, two of token, application credential and password are an error.
///
/// # What belongs to a credential
///
/// URL, region, project and certificates come from the source of the credential, so that no secret is sent to
/// another cloud. Variables of this crate (`CFW_*`) complete every source. The exceptions cannot misdirect a secret:
///
/// - Beside `OS_CLOUD`, `OS_PROJECT_*`, `OS_REGION_NAME` and `OS_INTERFACE` count as in the `openstack` command, if
///   the entry has an `auth_url` and `OS_AUTH_URL` is not another cloud's. The region must be one that the entry
///   lists.
/// - `CFW_TOKEN` is used where the entry, or the first family with a URL, region or project, says. Together with
///   `CFW_ENDPOINT` it uses no certificate settings of a family.
/// - `HUAWEICLOUD_SDK_*`, which has no region, takes it from `HW_REGION_NAME`. Without `HW_CLOUD` or a URL of IAM,
///   both stand for Huawei Cloud and no other. Without a key in
///   the variables, all is read from `$HUAWEICLOUD_SDK_CREDENTIALS_FILE`, else from `~/.huaweicloud/credentials`.
/// - The name of a project counts as a region, up to `_`, if that region is published (`eu-de_team`). An endpoint is
///   derived from it only if the URL of IAM is in the same cloud.
///
/// `AWS_*` is never read: such a key must not reach another cloud.
///
/// # clouds.yaml
///
/// With feature `clouds-yaml`, and only if `OS_CLOUD` is set. `$OS_CLIENT_CONFIG_FILE`, else the first `clouds.yaml`,
/// `.yml` or `.json` in `.`, `$XDG_CONFIG_HOME/openstack`, `~/.config/openstack`, `/etc/xdg/openstack` and
/// `/etc/openstack`. The same entry of secure.yaml (`$OS_CLIENT_SECURE_FILE`, else the same search) overrides it, but
/// one that is found in `.` must not say where the secrets of a file elsewhere go. `profile: NAME` supplies a vendor's
/// defaults, from clouds-public.yaml (`$OS_CLIENT_VENDOR_FILE`, else the same search without `.`) or built in: `otc`
/// and `otc-swiss`. Credentials may stand under `auth` or beside it. The values of the selected region, by default the
/// first, override those of the entry. Other keys are ignored, as in openstacksdk, except under `auth`, where an
/// unknown key is an error because it is likely a typing error.
///
/// ```
/// use cfw_api::Settings;
///
/// let settings = Settings::from_lookup(|name| match name {
///     "OS_TOKEN" => Some("MIIF...".to_owned()),
///     "OS_PROJECT_NAME" => Some("eu-de_team".to_owned()),
///     _ => None,
/// })?;
/// assert_eq!(settings.region(), Some("eu-de"));
/// # Ok::<(), cfw_api::SettingsError>(())
/// ```
#[derive(Clone)]
pub struct Settings {
    credentials: Credentials,
    /// The variable or key that the credential was read from.
    credential_name: String,
    endpoint: Option<String>,
    region: Option<Region>,
    project_id: Option<String>,
    project_name: Option<String>,
    auth_url: Option<String>,
    cloud_domain: Option<String>,
    interfaces: Vec<String>,
    insecure: bool,
    ca_file: Option<String>,
    client_cert: Option<String>,
    client_key: Option<String>,
    warnings: Vec<String>,
}

#[derive(Clone, Debug)]
struct Region {
    name: String,
    /// Whether it was set, and not inferred from the name of the project.
    is_named: bool,
}

impl Settings {
    /// Reads the environment of the process, and clouds.yaml if `OS_CLOUD` is set.
    ///
    /// A variable that is not UTF-8 counts as unset.
    ///
    /// # Errors
    ///
    /// If there is no credential, if two contradict each other, or if one is incomplete; if a file cannot be read or
    /// understood; if a value is invalid. The error names the variable, or the file and the key.
    pub fn from_env() -> Result<Self, SettingsError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables from `env`, such as a map in a test, or flags that override the environment. Otherwise the same
    /// as [`from_env`](Self::from_env).
    ///
    /// Files are read from disk. The home directory is `HOME`, as `env` returns it.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn from_lookup(env: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        Self::load(&env, &|path| std::fs::read_to_string(path))
    }

    /// Reads the entry `name` of clouds.yaml instead of the one that `OS_CLOUD` names. Otherwise the same as
    /// [`from_lookup`](Self::from_lookup).
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    #[cfg(feature = "clouds-yaml")]
    pub fn from_cloud(
        name: &str,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        Self::from_lookup(|variable| {
            if variable == "OS_CLOUD" { Some(name.to_owned()) } else { env(variable) }
        })
    }

    /// Returns the credentials.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns the URL of the firewall API, if it is set.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Returns the region, such as `eu-de`.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_ref().map(|region| region.name.as_str())
    }

    /// Returns the region unless it was inferred from the name of the project.
    pub(crate) fn named_region(&self) -> Option<&str> {
        self.region.as_ref().filter(|region| region.is_named).map(|region| region.name.as_str())
    }

    /// Returns the id of the project.
    #[must_use]
    pub fn project_id(&self) -> Option<&str> {
        self.project_id.as_deref()
    }

    /// Returns the name of the project, from the same place as its id.
    #[must_use]
    pub fn project_name(&self) -> Option<&str> {
        self.project_name.as_deref()
    }

    /// Returns the URL of IAM. It is set if the credential is a password or an application credential.
    #[must_use]
    pub fn auth_url(&self) -> Option<&str> {
        self.auth_url.as_deref()
    }

    /// Returns the domain of the cloud's hosts, such as `myhuaweicloud.eu`.
    #[must_use]
    pub fn cloud_domain(&self) -> Option<&str> {
        self.cloud_domain.as_deref()
    }

    /// Returns which of the catalog's endpoints to use, the preferred one first: `public`, `internal` or `admin`.
    #[must_use]
    pub fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    /// Returns whether to accept any certificate of the server.
    #[must_use]
    pub fn insecure(&self) -> bool {
        self.insecure
    }

    /// Returns the file of certificates to trust.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref().map(Path::new)
    }

    /// Returns the file of the client's certificate.
    #[must_use]
    pub fn client_cert(&self) -> Option<&Path> {
        self.client_cert.as_deref().map(Path::new)
    }

    /// Returns the file of the client certificate's key, if it is not in the file of the certificate.
    #[must_use]
    pub fn client_key(&self) -> Option<&Path> {
        self.client_key.as_deref().map(Path::new)
    }

    /// Returns what is likely a mistake in these settings, but does not prevent their use. No text holds a secret.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(crate) fn load(
        env: &dyn Fn(&str) -> Option<String>,
        read: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, SettingsError> {
        let mut entry = entry::load(env, read)?;
        if let Some(entry) = &mut entry {
            let before = Sources { env, entry: Some(entry), sdk_file: None };
            let wanted = before.get(Source::OpenStack, Field::Region)?;
            let auth_url = before.get(Source::OpenStack, Field::AuthUrl)?;
            // A region that the entry lists cannot misdirect, even if the entry has no URL.
            let is_listed = auth_url.is_none() && entry.lists_regions();
            let is_foreign = values::is_foreign(
                auth_url.as_ref(),
                before.get(Source::Cloud, Field::AuthUrl)?.as_ref(),
                wanted.as_ref(),
            );
            entry.select_region(wanted.filter(|_| is_listed || !is_foreign))?;
        }
        let resolve =
            |sdk_file| resolve::resolve(&Sources { env, entry: entry.as_ref(), sdk_file });
        if entry.is_some() {
            return resolve(None);
        }
        match sdk_file::load(env, read) {
            Ok(sdk_file) => resolve(sdk_file.as_ref()),
            // It matters only if nothing else signs in.
            Err(error) => resolve(None).map_err(|_| error),
        }
    }
}

/// Shows a URL that was not checked, because the credential does not need it.
fn shown(url: &str) -> &str {
    let is_plain = crate::url::parse(url)
        .is_ok_and(|url| url.has_host() && url.username().is_empty() && url.password().is_none());
    if is_plain { url } else { ".." }
}

/// Shows where the credential was found, and no part of it.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("credential", &format_args!("{} (redacted)", self.credential_name))
            .field("endpoint", &self.endpoint)
            .field("region", &self.region())
            .field("project_id", &self.project_id)
            .field("project_name", &self.project_name)
            .field("auth_url", &self.auth_url.as_deref().map(shown))
            .field("cloud_domain", &self.cloud_domain)
            .field("interfaces", &self.interfaces)
            .field("insecure", &self.insecure)
            .field("ca_file", &self.ca_file)
            .field("client_cert", &self.client_cert)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}
