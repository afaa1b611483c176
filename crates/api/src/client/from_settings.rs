//! Applies settings from the environment and clouds.yaml to a builder.

use super::builder::ClientBuilder;
use crate::Settings;

impl ClientBuilder {
    /// Applies [`Settings`]: credentials, endpoint, project, region and certificates. Later setters override
    /// them.
    ///
    /// ```
    /// use cfw_api::{Client, Settings};
    ///
    /// let settings = Settings::from_lookup(|name| match name {
    ///     "CFW_ENDPOINT" => Some("http://127.0.0.1:8080".to_owned()),
    ///     "CFW_PROJECT_ID" => Some("0123456789abcdef0123456789abcdef".to_owned()),
    ///     "CFW_TOKEN" => Some("MIIF...".to_owned()),
    ///     _ => None,
    /// })?;
    /// let client = Client::builder().settings(&settings).build()?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn settings(mut self, settings: &Settings) -> Self {
        let take = |new: Option<&str>, old: &mut Option<String>| {
            if let Some(new) = new {
                *old = Some(new.to_owned());
            }
        };
        self.is_from_settings = true;
        take(settings.endpoint(), &mut self.endpoint);
        take(settings.named_region(), &mut self.region);
        take(settings.cloud_domain(), &mut self.cloud_domain);
        take(settings.auth_url(), &mut self.auth_url);
        take(settings.project_id(), &mut self.project_id);
        take(settings.project_name(), &mut self.project_name);
        if !settings.interfaces().is_empty() {
            self.interfaces = settings.interfaces().to_vec();
        }
        if let Some(path) = settings.ca_file() {
            self = self.ca_file(path);
        }
        if let Some(path) = settings.client_cert() {
            self = self.client_certificate(path, settings.client_key().map(Into::into));
        }
        if settings.insecure() {
            self = self.danger_accept_invalid_certs(true);
        }
        self.credentials(settings.credentials().clone())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::{Client, Credentials, IdOrName, Password, User, auth::Kind};

    fn builder(variables: &[(&str, &str)]) -> ClientBuilder {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Client::builder().settings(&Settings::from_lookup(lookup).unwrap())
    }

    #[test]
    fn every_kind_of_credential_is_taken_over() {
        let password = builder(&[
            ("OS_AUTH_URL", "http://127.0.0.1:1/v3"),
            ("OS_USERNAME", "u"),
            ("OS_USER_DOMAIN_NAME", "d"),
            ("OS_PASSWORD", "SENSITIVE"),
            ("OS_PASSCODE", "123456"),
            ("OS_PROJECT_NAME", "eu-de_team"),
        ]);
        let expected = Password::new(
            "http://127.0.0.1:1/v3",
            User::Name { name: "u".into(), domain: IdOrName::Name("d".into()) },
            "SENSITIVE",
            IdOrName::Name("eu-de_team".into()),
        );
        let Some(Credentials(Kind::Password(taken))) = &password.credentials else {
            panic!("no password")
        };
        assert_eq!(format!("{taken:?}"), format!("{expected:?}"));
        assert_eq!(password.project_name.as_deref(), Some("eu-de_team"));
        assert_eq!(password.region, None, "it was not set");
        password.build().unwrap();

        let key = [
            ("CFW_ENDPOINT", "http://127.0.0.1:1"),
            ("OS_ACCESS_KEY", "AK"),
            ("OS_SECRET_KEY", "SK"),
            ("OS_SECURITY_TOKEN", "ST"),
            ("OS_PROJECT_ID", "p"),
        ];
        let key = builder(&key);
        let Some(Credentials(Kind::AccessKey(taken))) = &key.credentials else { panic!("no key") };
        let parts = [Some(&taken.access), Some(&taken.secret), taken.security_token.as_ref()];
        assert_eq!(
            parts.map(|part| part.map(|part| part.expose_secret())),
            [Some("AK"), Some("SK"), Some("ST")]
        );
        key.build().unwrap();
    }

    #[test]
    fn what_is_missing_is_named_by_its_variable() {
        let key = [("OS_ACCESS_KEY", "AK"), ("OS_SECRET_KEY", "SK")];
        let rows = [
            (
                builder(&[("CFW_TOKEN", "t")]),
                "endpoint: is missing, and no region is set; set CFW_ENDPOINT",
            ),
            (
                builder(&[("CFW_TOKEN", "t"), ("CFW_ENDPOINT", "http://127.0.0.1:1")]),
                "project_id: is missing; set CFW_PROJECT_ID",
            ),
            (
                builder(&key).endpoint("http://127.0.0.1:1"),
                "project_id: is missing, and there is neither a project name nor a region to look it up by; \
                 set CFW_PROJECT_ID",
            ),
            (
                builder(&key).endpoint("http://127.0.0.1:1").project_name("team"),
                "project_id: is missing, and cannot be looked up without a URL of IAM: no region is set; \
                 set CFW_PROJECT_ID",
            ),
        ];
        for (builder, message) in rows {
            assert_eq!(builder.build().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn what_is_set_later_counts() {
        let token = [
            ("OS_TOKEN", "t"),
            ("OS_PROJECT_ID", "p"),
            ("OS_INTERFACE", "internal"),
            ("OS_REGION", "eu-de"),
        ];
        let builder = builder(&token).project_id("q");
        assert_eq!(
            (builder.project_id.as_deref(), &*builder.interfaces),
            (Some("q"), &["internal".to_owned()][..])
        );
        assert!(builder.endpoint("http://127.0.0.1:1").build().is_ok());
    }
}
