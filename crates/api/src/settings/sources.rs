//! Which names carry which meaning in which source, and how to look them up.

use super::cloud::Cloud;
use super::found::Found;

/// A place that settings come from: a family of variables, or the entry of clouds.yaml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Own,
    Cloud,
    OpenStack,
    Huawei,
    HuaweiSdk,
}

/// A meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Endpoint,
    Token,
    Access,
    Secret,
    SecurityToken,
    User,
    Password,
    Passcode,
    UserDomain,
    ProjectId,
    ProjectName,
    AuthUrl,
    Region,
    CloudDomain,
    Interface,
    Insecure,
    CaFile,
}

/// All that can be read.
pub(super) struct Sources<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) cloud: Option<&'a Cloud>,
}

impl Sources<'_> {
    /// The sources of a credential, first to last.
    pub(super) fn in_order(&self) -> &'static [Source] {
        match self.cloud {
            Some(_) => &[Source::Own, Source::Cloud, Source::OpenStack],
            None => &[Source::Own, Source::OpenStack, Source::Huawei, Source::HuaweiSdk],
        }
    }

    /// Where the rest comes from if the credential is from `source`.
    pub(super) fn completing(&self, source: Source) -> &'static [Source] {
        match source {
            _ if self.cloud.is_some() => self.in_order(),
            Source::Own | Source::Cloud => self.in_order(),
            Source::OpenStack => &[Source::Own, Source::OpenStack],
            Source::Huawei => &[Source::Own, Source::Huawei, Source::OpenStack],
            Source::HuaweiSdk => {
                &[Source::Own, Source::HuaweiSdk, Source::Huawei, Source::OpenStack]
            }
        }
    }

    pub(super) fn get(&self, source: Source, field: Field) -> Option<Found> {
        names(source, field).iter().find_map(|&name| match source {
            Source::Cloud => self.cloud?.get(name),
            _ => {
                let value = (self.env)(name).filter(|value| !value.is_empty())?;
                Some(Found { value, name, label: name.to_owned() })
            }
        })
    }

    pub(super) fn first(&self, sources: &[Source], field: Field) -> Option<Found> {
        sources.iter().find_map(|&source| self.get(source, field))
    }

    /// What to set where one of `fields` is missing, in the words of `source`.
    pub(super) fn to_set(&self, source: Source, fields: &[Field]) -> String {
        let each = if fields.len() > 1 { 1 } else { 2 };
        let names = fields.iter().flat_map(|&field| names(source, field).iter().take(each));
        match self.cloud.filter(|_| source == Source::Cloud) {
            Some(cloud) => cloud.to_set(names.copied()),
            None => names.copied().collect::<Vec<_>>().join(" or "),
        }
    }
}

/// The table that `Settings` documents. The first that is set counts, and the first ones are suggested.
fn names(source: Source, field: Field) -> &'static [&'static str] {
    match source {
        Source::Own => match field {
            Field::Endpoint => &["CFW_ENDPOINT"],
            Field::Token => &["CFW_TOKEN"],
            Field::ProjectId => &["CFW_PROJECT_ID"],
            _ => &[],
        },
        Source::Cloud => match field {
            Field::Endpoint => &["cfw_endpoint_override"],
            Field::Token => &["auth.token"],
            Field::Access => &["auth.ak", "auth.access_key"],
            Field::Secret => &["auth.sk", "auth.secret_key"],
            Field::SecurityToken => &["auth.security_token"],
            Field::User => &["auth.user_id", "auth.username"],
            Field::Password => &["auth.password"],
            Field::Passcode => &["auth.passcode"],
            Field::UserDomain => &[
                "auth.user_domain_name",
                "auth.user_domain_id",
                "auth.project_domain_name",
                "auth.project_domain_id",
                "auth.domain_name",
                "auth.domain_id",
                "auth.default_domain_name",
                "auth.default_domain_id",
                "auth.default_domain",
            ],
            Field::ProjectId => &["auth.project_id", "auth.tenant_id"],
            Field::ProjectName => &["auth.project_name", "auth.tenant_name"],
            Field::AuthUrl => &["auth.auth_url"],
            Field::Region => &["region_name"],
            Field::CloudDomain => &[],
            Field::Interface => &["interface", "endpoint_type"],
            Field::Insecure => &["verify", "insecure"],
            Field::CaFile => &["cacert"],
        },
        Source::OpenStack => match field {
            Field::Endpoint | Field::CloudDomain => &[],
            Field::Token => &["OS_TOKEN", "OS_AUTH_TOKEN"],
            Field::Access => &["OS_ACCESS_KEY", "OS_AK"],
            Field::Secret => &["OS_SECRET_KEY", "OS_SK"],
            Field::SecurityToken => &["OS_SECURITY_TOKEN"],
            Field::User => &["OS_USER_ID", "OS_USERNAME"],
            Field::Password => &["OS_PASSWORD"],
            Field::Passcode => &["OS_PASSCODE"],
            Field::UserDomain => &[
                "OS_USER_DOMAIN_NAME",
                "OS_USER_DOMAIN_ID",
                "OS_PROJECT_DOMAIN_NAME",
                "OS_PROJECT_DOMAIN_ID",
                "OS_DOMAIN_NAME",
                "OS_DOMAIN_ID",
                "OS_DEFAULT_DOMAIN",
            ],
            Field::ProjectId => &["OS_PROJECT_ID", "OS_TENANT_ID"],
            Field::ProjectName => &["OS_PROJECT_NAME", "OS_TENANT_NAME"],
            Field::AuthUrl => &["OS_AUTH_URL"],
            Field::Region => &["OS_REGION_NAME", "OS_REGION"],
            Field::Interface => &["OS_INTERFACE", "OS_ENDPOINT_TYPE"],
            Field::Insecure => &["OS_INSECURE"],
            Field::CaFile => &["OS_CACERT"],
        },
        Source::Huawei => match field {
            Field::Token => &["HW_AUTH_TOKEN"],
            Field::Access => &["HW_ACCESS_KEY"],
            Field::Secret => &["HW_SECRET_KEY"],
            Field::SecurityToken => &["HW_SECURITY_TOKEN"],
            Field::User => &["HW_USER_NAME"],
            Field::Password => &["HW_USER_PASSWORD"],
            Field::UserDomain => &["HW_DOMAIN_NAME", "HW_DOMAIN_ID"],
            Field::ProjectId => &["HW_PROJECT_ID"],
            Field::ProjectName => &["HW_PROJECT_NAME"],
            Field::AuthUrl => &["HW_AUTH_URL"],
            Field::Region => &["HW_REGION_NAME"],
            Field::CloudDomain => &["HW_CLOUD"],
            Field::Insecure => &["HW_INSECURE"],
            Field::Endpoint | Field::Passcode | Field::Interface | Field::CaFile => &[],
        },
        Source::HuaweiSdk => match field {
            Field::Access => &["HUAWEICLOUD_SDK_AK"],
            Field::Secret => &["HUAWEICLOUD_SDK_SK"],
            Field::SecurityToken => &["HUAWEICLOUD_SDK_SECURITY_TOKEN"],
            Field::UserDomain => &["HUAWEICLOUD_SDK_DOMAIN_ID"],
            Field::ProjectId => &["HUAWEICLOUD_SDK_PROJECT_ID"],
            Field::AuthUrl => &["HUAWEICLOUD_SDK_IAM_ENDPOINT"],
            _ => &[],
        },
    }
}
