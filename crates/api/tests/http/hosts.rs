//! To which hosts a secret is sent: clouds, logins and regions, as a proxy sees them.

#![cfg(feature = "rustls")]

use cfw_api::{Client, Settings, reqwest};

use crate::{common::id, proxy};

const PASSWORD: &str =
    "OS_USERNAME=u OS_PASSWORD=SENSITIVE-password OS_USER_DOMAIN_NAME=d OS_PROJECT_NAME=";
const TOKEN: &str = "OS_TOKEN=SENSITIVE-token OS_PROJECT_ID=p OS_PROJECT_NAME=";
const KEY: &str = "OS_ACCESS_KEY=AK OS_SECRET_KEY=SENSITIVE-key OS_PROJECT_ID=p OS_PROJECT_NAME=";
const APPLICATION: &str = "OS_APPLICATION_CREDENTIAL_ID=i OS_APPLICATION_CREDENTIAL_SECRET=SENSITIVE-app \
                           OS_AUTH_TYPE=v3applicationcredential OS_PROJECT_NAME=";

/// Clouds: the URL of IAM, and a catalog entry for each region and interface.
const OTC: &str = "http://iam.eu-de.otc.t-systems.com/v3";
const SWISS: &str = "http://iam-pub.eu-ch2.sc.otc.t-systems.com/v3";
const HUAWEI: &str = "http://iam.myhuaweicloud.com/v3";
const EUROPE: &str = "http://iam.eu-west-101.myhuaweicloud.eu/v3";
const ORANGE: &str = "http://iam.eu-west-0.prod-cloud-ocb.orange-business.com/v3";
const SBER: &str = "http://iam.ru-moscow-1.hc.sbercloud.ru/v3";
const PRIVATE: &str = "http://keystone.mycorp.example/v3";

fn entry(kind: &str, region: &str, interface: &str, host: &str) -> String {
    format!(
        r#"{{"type":"{kind}","endpoints":[{{"region":"{region}","interface":"{interface}","url":"http://{host}/v1/p-1"}}]}}"#
    )
}

/// Login, region or project, URL of IAM and catalog; the hosts that are contacted, and a part of the error.
type Row<'a> = (&'a str, &'a str, &'a str, &'a [String], &'a str, &'a str);

/// Returns the hosts that were contacted, and the error if there was one.
///
/// What was sent to them holds the secret, so that an empty list of hosts means something.
async fn contacted(variables: &str, catalog: &[String]) -> (String, String) {
    let lookup = |name: &str| {
        let mut pairs = variables.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    };
    let (url, record) = proxy::start(format!("[{}]", catalog.join(","))).await;
    let http = reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(&url).unwrap())
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .unwrap();
    let settings = match Settings::from_lookup(lookup) {
        Ok(settings) => settings,
        Err(error) => return (String::new(), error.to_string()),
    };
    let builder = Client::builder().settings(&settings).allow_plain_http(true).http_client(http);
    let error = match builder.build() {
        Err(error) => error.to_string(),
        Ok(client) => match client.list_job(&id()).await {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        },
    };
    let login = ["SENSITIVE-password", "SENSITIVE-app"];
    if let Some(secret) = login.into_iter().find(|secret| variables.contains(secret)) {
        assert!(record.sent().contains(secret), "{variables}");
    }
    (record.hosts(), error)
}

#[tokio::test]
async fn rule_15_a_secret_goes_only_to_the_cloud_that_the_user_named() {
    let none: &[String] = &[entry("vpc", "eu-de", "public", "vpc.example")];
    let one = &[entry("cfw", "RegionOne", "public", "cfw.mycorp.example")];
    let internal = &[entry("cfwv3", "eu-de", "internal", "cfw.internal.example")];
    let two = &[
        entry("cfwv1", "eu-de", "public", "cfw.eu-de.example"),
        entry("cfwv1", "eu-nl", "public", "cfw.eu-nl.example"),
    ];
    let otc = "iam.eu-de.otc.t-systems.com";
    let both = "cfw.eu-de.otc.t-systems.com iam.eu-de.otc.t-systems.com";
    let rows: [Row<'_>; 46] = [
        // Open Telekom Cloud.
        (PASSWORD, "eu-de_team", OTC, none, both, ""),
        (PASSWORD, "eu-de_team OS_REGION_NAME=EU-DE", OTC, none, both, ""),
        (
            PASSWORD,
            "eu-nl",
            OTC,
            none,
            "cfw.eu-nl.otc.t-systems.com iam.eu-de.otc.t-systems.com",
            "",
        ),
        (
            PASSWORD,
            "eu-de OS_REGION_NAME=RegionOne",
            OTC,
            none,
            otc,
            "region RegionOne has no known endpoint",
        ),
        (
            PASSWORD,
            "eu-de OS_REGION_NAME=cn-north-4",
            OTC,
            none,
            otc,
            "no known endpoint in otc.t-systems.com",
        ),
        (
            PASSWORD,
            "x OS_REGION_NAME=EU-DE",
            OTC,
            two,
            "cfw.eu-de.example iam.eu-de.otc.t-systems.com",
            "",
        ),
        (PASSWORD, "eu-nl_x", OTC, two, "cfw.eu-nl.example iam.eu-de.otc.t-systems.com", ""),
        (PASSWORD, "team", OTC, two, otc, "cfw endpoints in several regions and none is set"),
        (PASSWORD, "x OS_REGION_NAME=eu-fr", OTC, two, otc, "no cfw endpoint for region eu-fr"),
        (PASSWORD, "eu-de OS_INTERFACE=internal", OTC, two, otc, "no internal cfw endpoint"),
        (PASSWORD, "eu-de", OTC, internal, otc, "no public cfw endpoint"),
        (
            PASSWORD,
            "eu-de OS_INTERFACE=internal",
            OTC,
            internal,
            "cfw.internal.example iam.eu-de.otc.t-systems.com",
            "",
        ),
        (APPLICATION, "eu-de", OTC, none, both, ""),
        (APPLICATION, "eu-de", OTC, two, "cfw.eu-de.example iam.eu-de.otc.t-systems.com", ""),
        (TOKEN, "eu-de", OTC, none, "cfw.eu-de.otc.t-systems.com", ""),
        (TOKEN, "x OS_REGION_NAME=EU-DE", OTC, none, "cfw.eu-de.otc.t-systems.com", ""),
        (
            TOKEN,
            "x OS_REGION_NAME=cn-north-4",
            OTC,
            none,
            "",
            "no known endpoint in otc.t-systems.com",
        ),
        (KEY, "eu-de", OTC, none, "cfw.eu-de.otc.t-systems.com", ""),
        // The Swiss cloud shares the end of the domain, and no more.
        (
            PASSWORD,
            "eu-ch2 OS_REGION_NAME=eu-de",
            SWISS,
            none,
            "iam-pub.eu-ch2.sc.otc.t-systems.com",
            "has no known endpoints",
        ),
        (TOKEN, "x OS_REGION_NAME=eu-de", SWISS, none, "", "has no known endpoints"),
        (KEY, "x OS_REGION_NAME=eu-ch2", SWISS, none, "", "has no known endpoints"),
        // Huawei Cloud.
        (
            PASSWORD,
            "cn-north-4",
            HUAWEI,
            none,
            "cfw.cn-north-4.myhuaweicloud.com iam.myhuaweicloud.com",
            "",
        ),
        (
            PASSWORD,
            "x OS_REGION_NAME=eu-west-101",
            HUAWEI,
            none,
            "iam.myhuaweicloud.com",
            "no known endpoint in myhuaweicloud.com",
        ),
        (PASSWORD, "my-project", HUAWEI, none, "iam.myhuaweicloud.com", "no region is set"),
        (
            KEY,
            "x OS_REGION_NAME=ap-southeast-1",
            HUAWEI,
            none,
            "cfw.ap-southeast-1.myhuaweicloud.com",
            "",
        ),
        (
            TOKEN,
            "x OS_REGION_NAME=eu-west-101",
            EUROPE,
            none,
            "cfw.eu-west-101.myhuaweicloud.eu",
            "",
        ),
        // Orange and SberCloud use region names of their own, or Huawei's.
        (
            PASSWORD,
            "x OS_REGION_NAME=eu-west-0",
            ORANGE,
            none,
            "iam.eu-west-0.prod-cloud-ocb.orange-business.com",
            "has no known endpoints",
        ),
        (TOKEN, "x OS_REGION_NAME=eu-west-0", ORANGE, none, "", "has no known endpoints"),
        (KEY, "eu-west-0", ORANGE, none, "", "has no known endpoints"),
        (
            PASSWORD,
            "x OS_REGION_NAME=ru-moscow-1",
            SBER,
            none,
            "iam.ru-moscow-1.hc.sbercloud.ru",
            "has no known endpoints",
        ),
        (TOKEN, "x OS_REGION_NAME=ru-moscow-1", SBER, none, "", "has no known endpoints"),
        (KEY, "ru-moscow-1_x", SBER, none, "", "has no known endpoints"),
        // A private OpenStack.
        (
            PASSWORD,
            "my-project",
            PRIVATE,
            none,
            "keystone.mycorp.example",
            "keystone.mycorp.example has no known endpoints",
        ),
        (PASSWORD, "my-project", PRIVATE, one, "cfw.mycorp.example keystone.mycorp.example", ""),
        (PASSWORD, "eu-de", PRIVATE, one, "cfw.mycorp.example keystone.mycorp.example", ""),
        (
            PASSWORD,
            "x OS_REGION_NAME=RegionOne",
            PRIVATE,
            one,
            "cfw.mycorp.example keystone.mycorp.example",
            "",
        ),
        (
            PASSWORD,
            "x OS_REGION_NAME=RegionOne",
            PRIVATE,
            none,
            "keystone.mycorp.example",
            "has no known endpoints",
        ),
        (
            PASSWORD,
            "x OS_REGION_NAME=eu-de",
            PRIVATE,
            none,
            "keystone.mycorp.example",
            "has no known endpoints",
        ),
        (
            PASSWORD,
            "x OS_REGION_NAME=eu-de",
            PRIVATE,
            one,
            "keystone.mycorp.example",
            "http://cfw.mycorp.example/ (RegionOne, public)",
        ),
        (TOKEN, "my-project", PRIVATE, none, "", "has no known endpoints"),
        (TOKEN, "x OS_REGION_NAME=eu-de", PRIVATE, none, "", "has no known endpoints"),
        (KEY, "x OS_REGION_NAME=eu-de", PRIVATE, none, "", "has no known endpoints"),
        (KEY, "x OS_REGION_NAME=eu-de", "not-a-url", none, "", "the URL of IAM cannot be used"),
        // Without a URL of IAM: a published region names its cloud, the name of a project does not.
        (TOKEN, "x OS_REGION_NAME=eu-nl", "", none, "cfw.eu-nl.otc.t-systems.com", ""),
        (TOKEN, "eu-de_team", "", none, "", "no region is set"),
        (KEY, "x OS_REGION_NAME=RegionOne", "", none, "", "region RegionOne has no known endpoint"),
    ];
    for (login, rest, auth_url, catalog, hosts, problem) in rows {
        let variables = format!("{login}{rest} OS_AUTH_URL={auth_url}");
        let (found, error) = contacted(&variables, catalog).await;
        assert_eq!(found, hosts, "{variables}: {error}");
        if problem.is_empty() {
            // Behind CONNECT the proxy answers nothing.
            assert!(error.is_empty() || error.contains("opens no tunnel"), "{variables}: {error}");
        } else {
            assert!(error.contains(problem), "{variables}: {error}");
            assert!(error.contains("endpoint"), "{variables}: {error}");
        }
    }
}

#[tokio::test]
async fn rule_15_no_spelling_of_a_host_or_region_moves_a_secret() {
    // URL of IAM and region; the hosts that are contacted. OTC's hosts are the only ones that may stand for OTC.
    let rows = [
        ("http://IAM.EU-DE.OTC.T-SYSTEMS.COM/v3", "eu-de", "cfw.eu-de.otc.t-systems.com"),
        ("http://iam.eu-de.otc.t-systems.com:8443/v3", "eu-de", "cfw.eu-de.otc.t-systems.com"),
        // The full stop of an absolute name, homographs, suffixes and prefixes name no known cloud.
        ("http://iam.eu-de.otc.t-systems.com./v3", "eu-de", ""),
        ("http://iam.eu-de.otc.t\u{2011}systems.com/v3", "eu-de", ""),
        ("http://iam.eu-de.\u{43e}tc.t-systems.com/v3", "eu-de", ""),
        ("http://iam.eu-de.otc.t-systems.com.evil.example/v3", "eu-de", ""),
        ("http://eviliam-otc.t-systems.com/v3", "eu-de", ""),
        ("http://evil.example/otc.t-systems.com/v3", "eu-de", ""),
        ("http://evil.example/?.otc.t-systems.com", "eu-de", ""),
        ("http://evil.example\\.otc.t-systems.com/v3", "eu-de", ""),
        ("http://iam.eu-de.otc.t-systems.com@evil.example/", "eu-de", ""),
        ("http://iam.eu-de.otc.t-systems.com:x@evil.example/", "eu-de", ""),
        ("http://evil.example@iam.eu-de.otc.t-systems.com/", "eu-de", ""),
        ("http://[2001:db8::1]/v3", "eu-de", ""),
        ("http://10.0.0.1/v3", "eu-de", ""),
        // Regions become a part of a host only if they are published, or one label of a named domain.
        (OTC, "eu-de.evil.example", ""),
        (OTC, "evil.example/", ""),
        (OTC, "x@evil.example", ""),
        (OTC, "eu-de%2eevil", ""),
        (OTC, "..", ""),
        ("", "evil.example/", ""),
        ("http://{region_name}.otc.t-systems.com/v3", "evil.example/", ""),
        ("http://iam.{region_name}.otc.t-systems.com/v3", "x@evil.example:80", ""),
        ("http://iam.%(region_name)s.otc.t-systems.com/v3", "evil.example#", ""),
        ("http://iam.{region_name}.otc.t-systems.com/v3", "eu-nl", "cfw.eu-nl.otc.t-systems.com"),
    ];
    for (auth_url, region, hosts) in rows {
        for login in [TOKEN, KEY] {
            let variables = format!("{login}x OS_REGION_NAME={region} OS_AUTH_URL={auth_url}");
            let (found, error) = contacted(&variables, &[]).await;
            assert_eq!(found, hosts, "{variables}: {error}");
            assert!(!error.contains("SENSITIVE"), "{error}");
        }
    }
    for region in ["evil.example/", "x@evil.example", "a.b", "%2f", "-", "a#"] {
        for rest in [
            format!(
                "OS_CFW_ENDPOINT_OVERRIDE=http://cfw.{{region_name}}.cloud.example OS_REGION_NAME={region}"
            ),
            format!(
                "HW_AUTH_TOKEN=SENSITIVE HW_CLOUD=cloud.example HW_REGION_NAME={region} HW_PROJECT_ID=p"
            ),
        ] {
            let login = if rest.contains("HW_") { "" } else { TOKEN };
            let (found, error) = contacted(&format!("{login}x {rest}"), &[]).await;
            assert_eq!(found, "", "{rest}: {error}");
            assert!(error.contains("region"), "{rest}: {error}");
        }
    }
    for domain in
        ["evil.example/", "x@evil.example", "com", "evil.example.", "a..b", "evil.example:1"]
    {
        let variables = format!(
            "HW_AUTH_TOKEN=SENSITIVE HW_CLOUD={domain} HW_REGION_NAME=eu-de HW_PROJECT_ID=p"
        );
        let (found, error) = contacted(&variables, &[]).await;
        assert_eq!(found, "", "{domain}: {error}");
        assert!(error.contains("cloud_domain"), "{domain}: {error}");
    }
}

#[tokio::test]
async fn the_project_of_a_key_is_looked_up_in_its_own_cloud() {
    let rows = [
        (
            "HW_ACCESS_KEY=AK HW_SECRET_KEY=SENSITIVE HW_REGION_NAME=cn-north-4",
            "iam.cn-north-4.myhuaweicloud.com",
            "opens no tunnel",
        ),
        (
            "OS_ACCESS_KEY=AK OS_SECRET_KEY=SENSITIVE OS_TENANT_NAME=eu-de_team OS_AUTH_URL=http://iam.eu-de.otc.t-systems.com/v3",
            "cfw.eu-de.otc.t-systems.com iam.eu-de.otc.t-systems.com",
            "opens no tunnel",
        ),
        (
            "OS_ACCESS_KEY=AK OS_SECRET_KEY=SENSITIVE OS_TENANT_NAME=team OS_AUTH_URL=http://keystone.mycorp.example CFW_ENDPOINT=http://cfw.mycorp.example",
            "cfw.mycorp.example keystone.mycorp.example",
            "",
        ),
        // HW_ with HW_, OS_ with OS_.
        (
            "HW_ACCESS_KEY=AK HW_SECRET_KEY=SENSITIVE OS_REGION_NAME=eu-de OS_AUTH_URL=http://iam.eu-de.otc.t-systems.com/v3",
            "",
            "endpoint: is missing",
        ),
        (
            "OS_ACCESS_KEY=AK OS_SECRET_KEY=SENSITIVE CFW_ENDPOINT=http://cfw.mycorp.example",
            "",
            "project_id: is missing, and there is neither a project name nor a region",
        ),
        (
            "OS_ACCESS_KEY=AK OS_SECRET_KEY=SENSITIVE OS_PROJECT_NAME=team CFW_ENDPOINT=http://cfw.mycorp.example",
            "",
            "cannot be looked up without a URL of IAM",
        ),
    ];
    for (variables, hosts, problem) in rows {
        let (found, error) = contacted(variables, &[]).await;
        assert_eq!(found, hosts, "{variables}: {error}");
        assert!(error.contains(problem) && (!problem.is_empty() || error.is_empty()), "{error}");
    }
}

#[tokio::test]
async fn catalogs_with_odd_entries_are_read() {
    let good = entry("cfwv2", "eu-de", "public", "cfw.good.example");
    let bad = [
        r#"{"type":"cfw","endpoints":[{"region":"eu-de","interface":"public"}]}"#.to_owned(),
        r#"{"type":"cfw","endpoints":[{"region":"eu-de","interface":"public","url":7}]}"#.to_owned(),
        entry("cfw", "eu-de", "public", "user:SENSITIVE@h"),
        r#"{"type":"cfw","endpoints":[{"region":"eu-de","interface":"public","url":"ftp://h"}]}"#.to_owned(),
        r#"{"type":"cfw","endpoints":[{"region":"eu-de","interface":"public","url":"cfw.example"}]}"#.to_owned(),
        entry("cfw", "eu-de", "public", "127.0.0.1:9"),
        r#"{"type":"cfw","endpoints":null}"#.to_owned(),
        "7".to_owned(),
    ];
    let variables = format!("{PASSWORD}eu-de OS_AUTH_URL={OTC}");
    for bad in bad {
        let (hosts, error) = contacted(&variables, &[bad.clone(), good.clone()]).await;
        assert_eq!(hosts, "cfw.good.example iam.eu-de.otc.t-systems.com", "{bad}: {error}");
        let (hosts, error) = contacted(&variables, std::slice::from_ref(&bad)).await;
        assert!(!error.contains("SENSITIVE"), "{error}");
        if bad.contains("null") || bad == "7" {
            assert_eq!(hosts, "cfw.eu-de.otc.t-systems.com iam.eu-de.otc.t-systems.com", "{bad}");
        } else {
            assert_eq!(hosts, "iam.eu-de.otc.t-systems.com", "{bad}");
            assert!(error.contains("catalog") && error.contains("skipped"), "{error}");
        }
    }
    // A region that echoes the login is not shown.
    let echo = entry("cfw", "SENSITIVE-password", "public", "cfw.echo.example");
    let (_, error) = contacted(&format!("{variables} OS_REGION_NAME=eu-de"), &[echo]).await;
    assert!(error.contains("[redacted]") && !error.contains("SENSITIVE"), "{error}");
    for kind in ["cfw", "cfwv1", "cfwv2", "cfwv3"] {
        let (hosts, _) =
            contacted(&variables, &[entry(kind, "EU-DE", "public", "cfw.any.example")]).await;
        assert_eq!(hosts, "cfw.any.example iam.eu-de.otc.t-systems.com", "{kind}");
    }
}
