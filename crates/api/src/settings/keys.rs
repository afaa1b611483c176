//! Which names carry which meaning in which source.

/// A family of variables, or the entry of clouds.yaml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Own,
    Cloud,
    OpenStack,
    Huawei,
    HuaweiSdk,
}

/// The meaning of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Endpoint,
    AuthType,
    AuthMethods,
    Token,
    Access,
    Secret,
    SecurityToken,
    User,
    Password,
    Passcode,
    UserDomain,
    ApplicationId,
    ApplicationSecret,
    ProjectId,
    ProjectName,
    AuthUrl,
    Region,
    CloudDomain,
    Interface,
    Insecure,
    CaFile,
    ClientCert,
    ClientKey,
}

#[cfg(feature = "clouds-yaml")]
impl Field {
    pub(super) const ALL: [Self; 23] = [
        Self::AuthUrl,
        Self::Token,
        Self::User,
        Self::Password,
        Self::Passcode,
        Self::UserDomain,
        Self::ApplicationId,
        Self::ApplicationSecret,
        Self::ProjectId,
        Self::ProjectName,
        Self::Access,
        Self::Secret,
        Self::SecurityToken,
        Self::AuthMethods,
        Self::Endpoint,
        Self::AuthType,
        Self::Region,
        Self::CloudDomain,
        Self::Interface,
        Self::Insecure,
        Self::CaFile,
        Self::ClientCert,
        Self::ClientKey,
    ];
}

/// Returns the names of a field in a source: the table that `Settings` documents. The first that is set counts.
///
/// In an entry of clouds.yaml most credentials may stand beside `auth` as well as in it. As in openstacksdk,
/// tokens, projects and domains beside `auth` override those in it, and all others do not.
pub(super) fn names(source: Source, field: Field) -> &'static [&'static str] {
    match source {
        Source::Own => own(field),
        Source::Cloud => cloud(field),
        Source::OpenStack => openstack(field),
        Source::Huawei => huawei(field),
        Source::HuaweiSdk => huawei_sdk(field),
    }
}

fn own(field: Field) -> &'static [&'static str] {
    match field {
        Field::Endpoint => &["CFW_ENDPOINT"],
        Field::Token => &["CFW_TOKEN"],
        Field::ProjectId => &["CFW_PROJECT_ID"],
        Field::CaFile => &["CFW_CACERT"],
        Field::Insecure => &["CFW_INSECURE"],
        _ => &[],
    }
}

fn cloud(field: Field) -> &'static [&'static str] {
    match field {
        Field::Endpoint => &[
            "cfw_endpoint_override",
            "cfw_endpoint",
            "cfwv3_endpoint_override",
            "cfwv3_endpoint",
            "cfwv2_endpoint_override",
            "cfwv2_endpoint",
            "cfwv1_endpoint_override",
            "cfwv1_endpoint",
        ],
        Field::AuthType => &["auth_type", "auth_plugin"],
        Field::AuthMethods => &["auth_methods", "auth.auth_methods"],
        Field::Token => &["token", "auth.token", "auth_token", "auth.auth_token"],
        Field::Access => &["auth.ak", "auth.access_key", "ak", "access_key"],
        Field::Secret => &["auth.sk", "auth.secret_key", "sk", "secret_key"],
        Field::SecurityToken => &["auth.security_token", "security_token"],
        Field::User => &["auth.user_id", "user_id", "auth.username", "username"],
        Field::Password => &["auth.password", "password"],
        Field::Passcode => &["passcode", "auth.passcode"],
        Field::UserDomain => &[
            "user_domain_id",
            "auth.user_domain_id",
            "domain_id",
            "auth.domain_id",
            "user_domain_name",
            "auth.user_domain_name",
            "domain_name",
            "auth.domain_name",
            "project_domain_id",
            "auth.project_domain_id",
            "project_domain_name",
            "auth.project_domain_name",
            "auth.default_domain_id",
            "default_domain_id",
            "auth.default_domain_name",
            "default_domain_name",
            "auth.default_domain",
            "default_domain",
        ],
        Field::ApplicationId => &[
            "auth.application_credential_id",
            "application_credential_id",
            "auth.application_credential_name",
            "application_credential_name",
        ],
        Field::ApplicationSecret => {
            &["auth.application_credential_secret", "application_credential_secret"]
        }
        Field::ProjectId => &["project_id", "auth.project_id", "tenant_id", "auth.tenant_id"],
        Field::ProjectName => {
            &["project_name", "auth.project_name", "tenant_name", "auth.tenant_name"]
        }
        Field::AuthUrl => &["auth.auth_url", "auth_url"],
        Field::Region => &["region_name"],
        Field::CloudDomain => &[],
        Field::Interface => &["endpoint_type", "interface"],
        Field::Insecure => &["verify", "insecure"],
        Field::CaFile => &["cacert"],
        Field::ClientCert => &["cert"],
        Field::ClientKey => &["key"],
    }
}

fn openstack(field: Field) -> &'static [&'static str] {
    match field {
        Field::Endpoint => &[
            "OS_CFW_ENDPOINT_OVERRIDE",
            "OS_CFW_ENDPOINT",
            "OS_CFWV3_ENDPOINT_OVERRIDE",
            "OS_CFWV2_ENDPOINT_OVERRIDE",
            "OS_CFWV1_ENDPOINT_OVERRIDE",
        ],
        Field::AuthType => &["OS_AUTH_TYPE", "OS_AUTH_PLUGIN"],
        Field::AuthMethods => &["OS_AUTH_METHODS"],
        Field::Token => &["OS_TOKEN", "OS_AUTH_TOKEN"],
        Field::Access => &["OS_ACCESS_KEY", "OS_AK"],
        Field::Secret => &["OS_SECRET_KEY", "OS_SK"],
        Field::SecurityToken => &["OS_SECURITY_TOKEN"],
        Field::User => &["OS_USER_ID", "OS_USERNAME"],
        Field::Password => &["OS_PASSWORD"],
        Field::Passcode => &["OS_PASSCODE"],
        Field::UserDomain => &[
            "OS_USER_DOMAIN_ID",
            "OS_DOMAIN_ID",
            "OS_USER_DOMAIN_NAME",
            "OS_DOMAIN_NAME",
            "OS_PROJECT_DOMAIN_ID",
            "OS_PROJECT_DOMAIN_NAME",
            "OS_DEFAULT_DOMAIN_ID",
            "OS_DEFAULT_DOMAIN_NAME",
            "OS_DEFAULT_DOMAIN",
        ],
        Field::ApplicationId => &["OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_NAME"],
        Field::ApplicationSecret => &["OS_APPLICATION_CREDENTIAL_SECRET"],
        Field::ProjectId => &["OS_PROJECT_ID", "OS_TENANT_ID"],
        Field::ProjectName => &["OS_PROJECT_NAME", "OS_TENANT_NAME"],
        Field::AuthUrl => &["OS_AUTH_URL"],
        Field::Region => &["OS_REGION_NAME", "OS_REGION"],
        Field::CloudDomain => &[],
        Field::Interface => &["OS_ENDPOINT_TYPE", "OS_INTERFACE"],
        Field::Insecure => &["OS_INSECURE"],
        Field::CaFile => &["OS_CACERT"],
        Field::ClientCert => &["OS_CERT"],
        Field::ClientKey => &["OS_KEY"],
    }
}

fn huawei(field: Field) -> &'static [&'static str] {
    match field {
        Field::Token => &["HW_AUTH_TOKEN"],
        Field::Access => &["HW_ACCESS_KEY"],
        Field::Secret => &["HW_SECRET_KEY"],
        Field::SecurityToken => &["HW_SECURITY_TOKEN"],
        Field::User => &["HW_USER_NAME"],
        Field::Password => &["HW_USER_PASSWORD"],
        Field::UserDomain => &["HW_DOMAIN_ID", "HW_DOMAIN_NAME"],
        Field::ProjectId => &["HW_PROJECT_ID"],
        Field::ProjectName => &["HW_PROJECT_NAME"],
        Field::AuthUrl => &["HW_AUTH_URL"],
        Field::Region => &["HW_REGION_NAME"],
        Field::CloudDomain => &["HW_CLOUD"],
        Field::Insecure => &["HW_INSECURE"],
        _ => &[],
    }
}

fn huawei_sdk(field: Field) -> &'static [&'static str] {
    match field {
        Field::Access => &["HUAWEICLOUD_SDK_AK"],
        Field::Secret => &["HUAWEICLOUD_SDK_SK"],
        Field::SecurityToken => &["HUAWEICLOUD_SDK_SECURITY_TOKEN"],
        Field::UserDomain => &["HUAWEICLOUD_SDK_DOMAIN_ID"],
        Field::ProjectId => &["HUAWEICLOUD_SDK_PROJECT_ID"],
        Field::AuthUrl => &["HUAWEICLOUD_SDK_IAM_ENDPOINT"],
        _ => &[],
    }
}

/// The keys of the SDK's credentials file and the variables that they stand for.
pub(super) const SDK_FILE_KEYS: [(&str, &str); 5] = [
    ("ak", "HUAWEICLOUD_SDK_AK"),
    ("sk", "HUAWEICLOUD_SDK_SK"),
    ("security_token", "HUAWEICLOUD_SDK_SECURITY_TOKEN"),
    ("project_id", "HUAWEICLOUD_SDK_PROJECT_ID"),
    ("iam_endpoint", "HUAWEICLOUD_SDK_IAM_ENDPOINT"),
];
