//! The request that creates a firewall. It is checked before it is sent and can be repeated.

use std::{
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
};

use serde_json::{Value, json};

use crate::ConfigError;

/// A request to create a firewall.
///
/// It carries a token that makes it idempotent: after a time-out send *this value* again, not a new one. (Open
/// Telekom Cloud documents the token. Huawei Cloud has removed it from its manual, so look for the firewall there
/// before sending again.)
///
/// ```
/// use cfw_api::CreateFirewall;
///
/// let request = CreateFirewall::builder("edge").tag("team", "net").build()?;
/// assert_eq!(request.client_token().len(), 32);
///
/// let error = CreateFirewall::builder("").build().unwrap_err();
/// assert_eq!(error.to_string(), r#"name "": is empty"#);
/// # Ok::<_, cfw_api::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateFirewall {
    body: Value,
    client_token: String,
}

impl CreateFirewall {
    /// Returns a builder. The default is a pay-per-use firewall of the professional edition.
    pub fn builder(name: impl Into<String>) -> CreateFirewallBuilder {
        CreateFirewallBuilder {
            name: name.into(),
            edition: Edition::Professional,
            pre_paid: None,
            enterprise_project_id: None,
            tags: Vec::new(),
            client_token: None,
        }
    }

    /// Returns the token that makes a repeated create idempotent, sent as `X-Client-Token`.
    pub fn client_token(&self) -> &str {
        &self.client_token
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        self.body.to_string().into_bytes()
    }
}

/// Settings of a [`CreateFirewall`]. Setters cannot fail; [`build`](Self::build) checks them all.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CreateFirewallBuilder {
    name: String,
    edition: Edition,
    pre_paid: Option<PrePaid>,
    enterprise_project_id: Option<String>,
    tags: Vec<(String, String)>,
    client_token: Option<String>,
}

/// The edition of a firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Edition {
    /// Only prepaid on Huawei Cloud. Not sold on Open Telekom Cloud, by its manual.
    Standard,
    /// The only edition that can be paid per use, by both manuals.
    Professional,
}

/// The payment of a prepaid firewall, and extensions of its edition. Huawei Cloud only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrePaid {
    period_type: &'static str,
    period_num: u32,
    auto_renew: bool,
    auto_pay: bool,
    extra: [(&'static str, Option<NonZeroU32>); 3],
}

impl PrePaid {
    /// Pays for 1 to 9 months.
    ///
    /// # Errors
    /// If the number is outside of that range.
    pub fn months(number: u32) -> Result<Self, ConfigError> {
        Self::new("month", number, 9)
    }

    /// Pays for 1 to 3 years.
    ///
    /// # Errors
    /// If the number is outside of that range.
    pub fn years(number: u32) -> Result<Self, ConfigError> {
        Self::new("year", number, 3)
    }

    fn new(period_type: &'static str, period_num: u32, most: u32) -> Result<Self, ConfigError> {
        if !(1..=most).contains(&period_num) {
            let problem = format!("must be 1 to {most} with period_type {period_type}");
            return Err(ConfigError::new("period_num", period_num.to_string(), problem));
        }
        let extra =
            [("extend_eip_count", None), ("extend_bandwidth", None), ("extend_vpc_count", None)];
        Ok(Self { period_type, period_num, auto_renew: false, auto_pay: false, extra })
    }

    /// Sets whether it is renewed at the end of the period. It is not by default.
    pub fn auto_renew(mut self, renew: bool) -> Self {
        self.auto_renew = renew;
        self
    }

    /// Sets whether the order is paid at once. By default it must be paid by hand.
    pub fn auto_pay(mut self, pay: bool) -> Self {
        self.auto_pay = pay;
        self
    }

    /// Adds public addresses to protect. None by default.
    pub fn extra_eips(self, number: u32) -> Self {
        self.extra("extend_eip_count", number)
    }

    /// Adds bandwidth, in Mbit/s. None by default.
    pub fn extra_bandwidth(self, mbits: u32) -> Self {
        self.extra("extend_bandwidth", mbits)
    }

    /// Adds VPCs to protect. None by default.
    pub fn extra_vpcs(self, number: u32) -> Self {
        self.extra("extend_vpc_count", number)
    }

    fn extra(mut self, name: &str, number: u32) -> Self {
        for (known, value) in &mut self.extra {
            if *known == name {
                *value = NonZeroU32::new(number);
            }
        }
        self
    }
}

impl CreateFirewallBuilder {
    /// Sets the edition. The default is professional.
    pub fn edition(mut self, edition: Edition) -> Self {
        self.edition = edition;
        self
    }

    /// Orders a prepaid firewall. Its create returns an order and no job.
    pub fn pre_paid(mut self, terms: PrePaid) -> Self {
        self.pre_paid = Some(terms);
        self
    }

    /// Sets the enterprise project. Not sent by default; `0` is the default project.
    pub fn enterprise_project_id(mut self, id: impl Into<String>) -> Self {
        self.enterprise_project_id = Some(id.into());
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// Sets the token that makes a repeated create idempotent: 32 hexadecimal digits, random by default. Set a
    /// stored token to repeat a create after a restart of the program.
    pub fn client_token(mut self, token: impl Into<String>) -> Self {
        self.client_token = Some(token.into());
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If a setting cannot be valid. The error names it and its value.
    pub fn build(self) -> Result<CreateFirewall, ConfigError> {
        check("name", &self.name)?;
        let mut body = json!({ "name": self.name, "flavor": {}, "charge_info": {} });
        let mut set = |pointer: &str, key: &str, value: Value| {
            if let Some(Value::Object(object)) = body.pointer_mut(pointer) {
                object.insert(key.to_owned(), value);
            }
        };
        let edition = match self.edition {
            Edition::Standard => "Standard",
            Edition::Professional => "Professional",
        };
        set("/flavor", "version", edition.into());
        // A pay-per-use create takes no more: Open Telekom Cloud wants the other fields blank.
        match self.pre_paid {
            None => set("/charge_info", "charge_mode", "postPaid".into()),
            Some(PrePaid { period_type, period_num, auto_renew, auto_pay, extra }) => {
                set("/charge_info", "charge_mode", "prePaid".into());
                set("/charge_info", "period_type", period_type.into());
                set("/charge_info", "period_num", period_num.into());
                set("/charge_info", "is_auto_renew", auto_renew.into());
                set("/charge_info", "is_auto_pay", auto_pay.into());
                for (name, number) in extra {
                    if let Some(number) = number {
                        set("/flavor", name, number.get().into());
                    }
                }
            }
        }
        if let Some(id) = self.enterprise_project_id {
            check("enterprise_project_id", &id)?;
            set("", "enterprise_project_id", id.into());
        }
        for (n, (key, _)) in self.tags.iter().enumerate() {
            check("tag key", key)?;
            if self.tags.iter().take(n).any(|(other, _)| other == key) {
                return Err(ConfigError::new("tag key", key, "is given twice"));
            }
        }
        if !self.tags.is_empty() {
            let tags: Value = self
                .tags
                .iter()
                .map(|(key, value)| json!({ "key": key, "value": value }))
                .collect();
            set("", "tags", tags);
        }
        let client_token = self.client_token.unwrap_or_else(random_token);
        if client_token.len() != 32 || !client_token.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ConfigError::new(
                "client_token",
                client_token,
                "must be 32 hexadecimal digits",
            ));
        }
        Ok(CreateFirewall { body, client_token })
    }
}

fn check(field: &'static str, text: &str) -> Result<(), ConfigError> {
    let problem = match text {
        "" => "is empty",
        _ if text.chars().any(char::is_control) => "holds a control character",
        _ => return Ok(()),
    };
    Err(ConfigError::new(field, text, problem))
}

/// A random UUID (version 4) without dashes. It must be unique, not secret, and the keys of std's hash maps
/// are unique.
fn random_token() -> String {
    let random = || RandomState::new().hash_one(());
    let (high, low) = (random(), random());
    format!("{:016x}{:016x}", high & !0xf000 | 0x4000, low & !(0b11 << 62) | 0b10 << 62)
}

#[cfg(test)]
mod tests;
