//! Settings from where pipelines keep them: the environment and clouds.yaml.

use std::fmt;
use std::io;
use std::path::Path;

use secrecy::SecretString;

#[cfg_attr(not(feature = "clouds-yaml"), path = "no_cloud.rs")]
mod cloud;
mod error;
#[cfg(feature = "clouds-yaml")]
mod file_error;
mod found;
mod resolve;
mod sources;
#[cfg(test)]
mod tests;
#[cfg(feature = "clouds-yaml")]
mod yaml;

pub use error::SettingsError;

/// Where the cloud is and how to sign in, as found in the environment or in clouds.yaml.
///
/// # Where values come from
///
/// `CFW_*` variables come first; then the entry of clouds.yaml that `OS_CLOUD` picks, if it is set;
/// then the variables of the common tools. A variable that is set to nothing counts as unset.
///
/// | meaning | ours | entry in clouds.yaml | OpenStack, OTC | Huawei Terraform | Huawei SDK |
/// | --- | --- | --- | --- | --- | --- |
/// | endpoint of the firewall API | `CFW_ENDPOINT` | `cfw_endpoint_override` | | | |
/// | token | `CFW_TOKEN` | `auth.token` | `OS_TOKEN`, `OS_AUTH_TOKEN` | `HW_AUTH_TOKEN` | |
/// | access key | | `auth.ak`, `auth.access_key` | `OS_ACCESS_KEY`, `OS_AK` | `HW_ACCESS_KEY` | `HUAWEICLOUD_SDK_AK` |
/// | its secret | | `auth.sk`, `auth.secret_key` | `OS_SECRET_KEY`, `OS_SK` | `HW_SECRET_KEY` | `HUAWEICLOUD_SDK_SK` |
/// | its session | | `auth.security_token` | `OS_SECURITY_TOKEN` | `HW_SECURITY_TOKEN` | `HUAWEICLOUD_SDK_SECURITY_TOKEN` |
/// | user | | `auth.user_id`, `auth.username` | `OS_USER_ID`, `OS_USERNAME` | `HW_USER_NAME` | |
/// | password | | `auth.password` | `OS_PASSWORD` | `HW_USER_PASSWORD` | |
/// | one-time code | | `auth.passcode` | `OS_PASSCODE` | | |
/// | domain of the user | | `auth.user_domain_name`, `.project_domain_name`, `.domain_name`, `.default_domain_name`, each also `_id`; `.default_domain` | `OS_USER_DOMAIN_NAME`, `OS_PROJECT_DOMAIN_NAME`, `OS_DOMAIN_NAME`, each also `_ID`; `OS_DEFAULT_DOMAIN` | `HW_DOMAIN_NAME`, `HW_DOMAIN_ID` | `HUAWEICLOUD_SDK_DOMAIN_ID` |
/// | project, by id | `CFW_PROJECT_ID` | `auth.project_id`, `auth.tenant_id` | `OS_PROJECT_ID`, `OS_TENANT_ID` | `HW_PROJECT_ID` | `HUAWEICLOUD_SDK_PROJECT_ID` |
/// | project, by name | | `auth.project_name`, `auth.tenant_name` | `OS_PROJECT_NAME`, `OS_TENANT_NAME` | `HW_PROJECT_NAME` | |
/// | URL of IAM | | `auth.auth_url` | `OS_AUTH_URL` | `HW_AUTH_URL` | `HUAWEICLOUD_SDK_IAM_ENDPOINT` |
/// | region | | `region_name` | `OS_REGION_NAME`, `OS_REGION` | `HW_REGION_NAME` | |
/// | domain of the cloud's hosts | | | | `HW_CLOUD` | |
/// | catalog interface | | `interface`, `endpoint_type` | `OS_INTERFACE`, `OS_ENDPOINT_TYPE` | | |
/// | TLS | | `verify`, `insecure`; `cacert` | `OS_INSECURE`; `OS_CACERT` | `HW_INSECURE` | |
///
/// Within a cell the first that is set counts. The first column from the left that holds any
/// credential gives **the** credential: a token, else an access key, else a password. A token and a
/// password in one column contradict each other and are an error; an access key beside either is
/// not, because pipelines keep one for object storage. What belongs to the credential comes from
/// its own column, so that no secret meets another cloud's URL, with these conventions kept:
///
/// - an entry of clouds.yaml is completed from `OS_*`, and from nothing else;
/// - `HW_*` is completed from `OS_*`, as Huawei's Terraform provider does, and
///   `HUAWEICLOUD_SDK_*`, which has no region, from `HW_*` and `OS_*`;
/// - without a region, the project's name up to `_` is one, by the naming of Open Telekom Cloud
///   (`eu-de_team`).
///
/// `AWS_*` is never read: such a key must not reach another cloud.
///
/// # clouds.yaml
///
/// With feature `clouds-yaml`, and only if `OS_CLOUD` is set. `$OS_CLIENT_CONFIG_FILE`, else the
/// first `clouds.yaml`, `.yml` or `.json` in `.`, `$XDG_CONFIG_HOME/openstack`,
/// `~/.config/openstack`, `/etc/xdg/openstack` and `/etc/openstack`. The same entry of secure.yaml
/// (`$OS_CLIENT_SECURE_FILE`, else the same search) is laid over it. `profile: NAME` lays the entry
/// over a vendor's defaults, from clouds-public.yaml (`$OS_CLIENT_VENDOR_FILE`, else the same
/// search) or built in: `otc` and `otc-swiss`. Keys that are not in the table are ignored, as
/// openstacksdk does, but for those under `auth`, where an unknown key is most likely a typo and
/// therefore an error.
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
    auth: Auth,
    /// The variable or key that the credential was read from.
    auth_name: String,
    endpoint: Option<String>,
    region: Option<String>,
    project_id: Option<String>,
    project_name: Option<String>,
    auth_url: Option<String>,
    cloud_domain: Option<String>,
    interface: Option<String>,
    insecure: bool,
    ca_file: Option<String>,
}

/// The credential. Without `Debug`, because some of its parts are plain text.
#[derive(Clone)]
pub(crate) enum Auth {
    Token(SecretString),
    AccessKey { access: String, secret: SecretString, security_token: Option<SecretString> },
    Password(PasswordAuth),
}

/// What IAM needs for a token.
#[derive(Clone)]
pub(crate) struct PasswordAuth {
    pub(crate) auth_url: String,
    pub(crate) user: IdOrName,
    /// Always there if the user is known by name, which is unique in its domain only.
    pub(crate) user_domain: Option<IdOrName>,
    pub(crate) password: SecretString,
    pub(crate) passcode: Option<SecretString>,
    pub(crate) project: IdOrName,
}

/// IAM takes either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IdOrName {
    Id(String),
    Name(String),
}

impl Settings {
    /// Reads the environment of the process, and clouds.yaml if `OS_CLOUD` is set.
    ///
    /// A variable that is not UTF-8 counts as unset.
    ///
    /// # Errors
    ///
    /// If there is no credential, two that contradict each other, or half of one; if a file cannot
    /// be read or understood; if a value is not what it must be. The error names the variable, or
    /// the file and the key.
    pub fn from_env() -> Result<Self, SettingsError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with variables that `env` gives: a map of a test, or flags
    /// laid over the environment.
    ///
    /// Files are read from disk, if `OS_CLOUD` is given. Home is `HOME`, as `env` gives it.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    pub fn from_lookup(env: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        Self::load(&env, &|path| std::fs::read_to_string(path))
    }

    /// As [`from_lookup`](Self::from_lookup), with the entry `name` of clouds.yaml in place of the
    /// one that `OS_CLOUD` picks.
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

    /// URL of the firewall API, if it is given outright.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The region, such as `eu-de`.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Id of the project.
    #[must_use]
    pub fn project_id(&self) -> Option<&str> {
        self.project_id.as_deref()
    }

    /// Name of the project, from the same place as its id.
    #[must_use]
    pub fn project_name(&self) -> Option<&str> {
        self.project_name.as_deref()
    }

    /// URL of IAM. Always there if the credential is a password.
    #[must_use]
    pub fn auth_url(&self) -> Option<&str> {
        self.auth_url.as_deref()
    }

    /// Domain of the cloud's hosts, such as `myhuaweicloud.eu`.
    #[must_use]
    pub fn cloud_domain(&self) -> Option<&str> {
        self.cloud_domain.as_deref()
    }

    /// Which of the catalog's endpoints to take: `public`, `internal` or `admin`.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// Whether the server's certificate is to be taken unchecked.
    #[must_use]
    pub fn insecure(&self) -> bool {
        self.insecure
    }

    /// File of certificates to trust.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref().map(Path::new)
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }

    fn load(
        env: &dyn Fn(&str) -> Option<String>,
        read: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<Self, SettingsError> {
        let cloud = cloud::load(env, read)?;
        resolve::resolve(&sources::Sources { env, cloud: cloud.as_ref() })
    }
}

/// Shows where the credential was found, and nothing of it.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("credential", &format_args!("{} (redacted)", self.auth_name))
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("project_id", &self.project_id)
            .field("project_name", &self.project_name)
            .field("auth_url", &self.auth_url)
            .field("cloud_domain", &self.cloud_domain)
            .field("interface", &self.interface)
            .field("insecure", &self.insecure)
            .field("ca_file", &self.ca_file)
            .finish()
    }
}
