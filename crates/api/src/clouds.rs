//! The clouds whose endpoints follow a pattern, and the rule for deriving a host from it.
//!
//! A credential follows a derived host. So a host is derived only in a cloud that the user named: by the URL of IAM,
//! by the domain of the cloud, or by a region that one cloud alone has published.

/// A cloud with the endpoints `https://<service>.<region>.<domain>`.
#[derive(Debug)]
pub(crate) struct Cloud {
    domain: &'static str,
    regions: &'static [&'static str],
}

/// The regions in which the service is offered, by the vendors' SDKs and manuals. The Swiss cloud of T-Systems
/// (`eu-ch2`) is separate and has no published endpoint.
const CLOUDS: [Cloud; 3] = [
    Cloud { domain: "otc.t-systems.com", regions: &["eu-de", "eu-nl"] },
    Cloud { domain: "myhuaweicloud.eu", regions: &["eu-west-101"] },
    Cloud {
        domain: "myhuaweicloud.com",
        regions: &[
            "af-north-1",
            "af-south-1",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-southeast-3",
            "ap-southeast-4",
            "ap-southeast-5",
            "cn-east-2",
            "cn-east-3",
            "cn-east-4",
            "cn-east-5",
            "cn-north-11",
            "cn-north-12",
            "cn-north-4",
            "cn-north-9",
            "cn-south-1",
            "cn-south-2",
            "cn-south-4",
            "cn-southwest-2",
            "cn-southwest-3",
            "la-north-2",
            "la-south-2",
            "me-east-1",
            "my-kualalumpur-1",
            "ru-moscow-1",
            "sa-brazil-1",
            "tr-west-1",
        ],
    },
];

/// Returns the published region of this name, compared without case.
pub(crate) fn published(region: &str) -> Option<&'static str> {
    CLOUDS.iter().find_map(|cloud| cloud.region(region))
}

/// Whether `text` can be one label of a host name.
pub(crate) fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether `text` can be the domain of a cloud. A top-level domain is not one.
pub(crate) fn is_domain(text: &str) -> bool {
    text.contains('.') && text.split('.').all(is_label)
}

/// Whether a region is published by another cloud than Huawei's.
pub(crate) fn is_elsewhere_than_huawei(region: &str) -> bool {
    let cloud = CLOUDS.iter().find(|cloud| cloud.region(region).is_some());
    cloud.is_some_and(|cloud| !cloud.domain.starts_with("myhuaweicloud."))
}

/// What the user said about the cloud.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Named<'a> {
    /// A region that was set, not inferred.
    pub(crate) region: Option<&'a str>,
    /// The name of the project, which begins with a region in some clouds.
    pub(crate) project_name: Option<&'a str>,
    /// The host of IAM.
    pub(crate) auth_host: Option<&'a str>,
    /// Whether there is a URL of IAM, even one without a usable host.
    pub(crate) has_auth_url: bool,
    /// The domain of the cloud's hosts.
    pub(crate) domain: Option<&'a str>,
}

impl Named<'_> {
    /// Returns the host of `service` in the named cloud. The error says why none can be derived.
    pub(crate) fn host(&self, service: &str) -> Result<String, String> {
        if let Some(domain) = self.domain {
            return self.host_in(service, domain);
        }
        let cloud_of_auth = self.auth_host.and_then(CloudOfHost::find);
        if self.has_auth_url && cloud_of_auth.is_none() {
            return Err(match self.auth_host {
                Some(host) => format!("the cloud of {host} has no known endpoints"),
                None => "the URL of IAM cannot be used".to_owned(),
            });
        }
        let (region, cloud) = match (self.region, cloud_of_auth) {
            (Some(region), None) => {
                let cloud = CLOUDS.iter().find(|cloud| cloud.region(region).is_some());
                (region, cloud.ok_or_else(|| format!("region {region} has no known endpoint"))?)
            }
            (Some(region), Some(found)) => (region, found.cloud),
            // The name of a project alone names no cloud: a private one may use the same name.
            (None, None) => {
                let of_project = self.project_name.and_then(region_of_project).and_then(published);
                return Err(match of_project {
                    Some(region) => format!(
                        "no region is set: the name of the project begins with {region}, which alone names no cloud"
                    ),
                    None => "no region is set".to_owned(),
                });
            }
            (None, Some(found)) => {
                let of_project = self
                    .project_name
                    .and_then(region_of_project)
                    .and_then(|r| found.cloud.region(r));
                let region = of_project.or(found.region).ok_or("no region is set")?;
                (region, found.cloud)
            }
        };
        let region = cloud
            .region(region)
            .ok_or_else(|| format!("region {region} has no known endpoint in {}", cloud.domain))?;
        Ok(format!("{service}.{region}.{}", cloud.domain))
    }

    /// Returns the region to select in a catalog, if one is named. A region in the name of a project counts only in
    /// a cloud that names projects so.
    pub(crate) fn catalog_region(&self) -> Option<String> {
        let of_project = || {
            let cloud = CloudOfHost::find(self.auth_host?)?.cloud;
            cloud.region(region_of_project(self.project_name?)?)
        };
        self.region.or_else(of_project).map(str::to_owned)
    }

    /// Returns the name of the project that each region has: the region's.
    pub(crate) fn region_of_project(&self) -> Option<String> {
        self.region.map(|region| published(region).unwrap_or(region).to_owned())
    }

    /// The user named the domain, so any region below it is in the named cloud.
    fn host_in(&self, service: &str, domain: &str) -> Result<String, String> {
        let domain = domain.to_ascii_lowercase();
        if self.has_auth_url
            && !self.auth_host.is_some_and(|host| {
                host.strip_suffix(&*domain).is_some_and(|rest| rest.ends_with('.'))
            })
        {
            return Err(format!("the URL of IAM is not in the domain {domain}"));
        }
        let of_project = || published(region_of_project(self.project_name?)?);
        let region = self.region.or_else(of_project).ok_or("no region is set")?;
        if !is_label(region) {
            return Err(format!("{region:?} is no name of a region"));
        }
        Ok(format!("{service}.{}.{domain}", region.to_ascii_lowercase()))
    }
}

/// A cloud, and the region if the host of IAM names one.
struct CloudOfHost {
    cloud: &'static Cloud,
    region: Option<&'static str>,
}

impl CloudOfHost {
    /// Finds the cloud of a host such as `iam.eu-de.otc.t-systems.com` or `iam.myhuaweicloud.com`. A longer host may
    /// be in another cloud: `iam-pub.eu-ch2.sc.otc.t-systems.com` is.
    fn find(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        CLOUDS.iter().find_map(|cloud| {
            let labels = host.strip_suffix(cloud.domain)?.strip_suffix('.')?;
            match labels.split_once('.') {
                None => Some(Self { cloud, region: None }),
                Some((_, region)) => {
                    let region = cloud.region(region)?;
                    Some(Self { cloud, region: Some(region) })
                }
            }
        })
    }
}

impl Cloud {
    fn region(&self, name: &str) -> Option<&'static str> {
        self.regions.iter().find(|region| region.eq_ignore_ascii_case(name)).copied()
    }
}

/// Returns the region in the name of a project, by the convention of Open Telekom Cloud: `eu-de`, `eu-de_team`.
pub(crate) fn region_of_project(name: &str) -> Option<&str> {
    name.split('_').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// region, project, auth host, domain; the host, or a part of the reason.
    type Row = (
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        Result<&'static str, &'static str>,
    );

    #[test]
    fn a_host_is_derived_in_the_named_cloud_only() {
        const OTC: &str = "iam.eu-de.otc.t-systems.com";
        const HW: &str = "iam.myhuaweicloud.com";
        let rows: [Row; 34] = [
            // A published region alone names its cloud.
            ("eu-de", "", "", "", Ok("cfw.eu-de.otc.t-systems.com")),
            ("EU-DE", "", "", "", Ok("cfw.eu-de.otc.t-systems.com")),
            ("eu-west-101", "", "", "", Ok("cfw.eu-west-101.myhuaweicloud.eu")),
            ("cn-north-4", "", "", "", Ok("cfw.cn-north-4.myhuaweicloud.com")),
            // Other regions do not.
            ("RegionOne", "", "", "", Err("region RegionOne has no known endpoint")),
            ("eu-west-0", "", "", "", Err("region eu-west-0 has no known endpoint")),
            ("eu-ch2", "", "", "", Err("region eu-ch2 has no known endpoint")),
            ("", "eu-de_team", "", "", Err("begins with eu-de, which alone names no cloud")),
            ("", "", "", "", Err("no region")),
            // The URL of IAM names the cloud, and perhaps the region.
            ("eu-nl", "", OTC, "", Ok("cfw.eu-nl.otc.t-systems.com")),
            ("EU-DE", "", OTC, "", Ok("cfw.eu-de.otc.t-systems.com")),
            ("", "eu-nl_team", OTC, "", Ok("cfw.eu-nl.otc.t-systems.com")),
            ("", "EU-NL_team", OTC, "", Ok("cfw.eu-nl.otc.t-systems.com")),
            ("", "my-project", OTC, "", Ok("cfw.eu-de.otc.t-systems.com")),
            ("", "cn-north-4", OTC, "", Ok("cfw.eu-de.otc.t-systems.com")),
            ("", "", "IAM.EU-DE.OTC.T-SYSTEMS.COM", "", Ok("cfw.eu-de.otc.t-systems.com")),
            ("", "cn-north-4", HW, "", Ok("cfw.cn-north-4.myhuaweicloud.com")),
            ("", "", HW, "", Err("no region")),
            ("", "eu-de", HW, "", Err("no region")),
            // A region of another cloud is not in the named one.
            ("cn-north-4", "", OTC, "", Err("no known endpoint in otc.t-systems.com")),
            ("eu-de", "", HW, "", Err("no known endpoint in myhuaweicloud.com")),
            ("eu-west-101", "", HW, "", Err("no known endpoint in myhuaweicloud.com")),
            // Clouds without a pattern, and hosts that only look like a known cloud's.
            (
                "eu-de",
                "",
                "keystone.mycorp.example",
                "",
                Err("keystone.mycorp.example has no known"),
            ),
            (
                "eu-de",
                "",
                "iam.eu-de.otc.t-systems.com.evil.example",
                "",
                Err("no known endpoints"),
            ),
            ("eu-de", "", "evilotc.t-systems.com", "", Err("no known endpoints")),
            ("eu-de", "", "iam-pub.eu-ch2.sc.otc.t-systems.com", "", Err("no known endpoints")),
            ("ru-moscow-1", "", "iam.ru-moscow-1.hc.sbercloud.ru", "", Err("no known endpoints")),
            (
                "eu-west-0",
                "",
                "iam.eu-west-0.prod-cloud-ocb.orange-business.com",
                "",
                Err("no known endpoints"),
            ),
            ("eu-de", "", "127.0.0.1", "", Err("127.0.0.1 has no known")),
            // A domain that the user named.
            (
                "eu-west-0",
                "",
                "",
                "prod-cloud-ocb.orange-business.com",
                Ok("cfw.eu-west-0.prod-cloud-ocb.orange-business.com"),
            ),
            (
                "eu-west-0",
                "",
                "iam.eu-west-0.prod-cloud-ocb.orange-business.com",
                "prod-cloud-ocb.orange-business.com",
                Ok("cfw.eu-west-0.prod-cloud-ocb.orange-business.com"),
            ),
            ("eu-de", "", OTC, "myhuaweicloud.com", Err("not in the domain myhuaweicloud.com")),
            ("eu-de", "", "evilcloud.example", "cloud.example", Err("not in the domain")),
            ("a.b", "", "", "cloud.example", Err("no name of a region")),
        ];
        for (region, project, auth, domain, expected) in rows {
            let set = |text: &'static str| Some(text).filter(|text| !text.is_empty());
            let named = Named {
                region: set(region),
                project_name: set(project),
                auth_host: set(auth),
                has_auth_url: !auth.is_empty(),
                domain: set(domain),
            };
            match (named.host("cfw"), expected) {
                (Ok(host), Ok(expected)) => assert_eq!(host, expected, "{named:?}"),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{named:?}: {reason}"),
                (found, _) => panic!("{named:?}: {found:?}"),
            }
        }
        let unusable = Named { region: Some("eu-de"), has_auth_url: true, ..Named::default() };
        assert!(unusable.host("cfw").is_err());
        for (domain, expected) in [
            ("cloud.example", true),
            ("com", false),
            ("", false),
            (".com", false),
            ("a..b", false),
            ("a b.c", false),
        ] {
            assert_eq!(is_domain(domain), expected, "{domain}");
        }
    }
}
