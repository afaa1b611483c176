use super::*;

/// Reads variables of the form `NAME=value;NAME=value`.
fn proxies(variables: &str) -> Proxies {
    Proxies::read(|name| {
        let mut pairs = variables.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    })
}

fn proxy(variables: &str, url: &str) -> String {
    let url = Url::parse(url).unwrap();
    proxies(variables).proxy(&url).map_or_else(String::new, ToString::to_string)
}

#[test]
fn a_proxy_is_chosen_by_scheme() {
    let rows = [
        ("", "https://h", ""),
        ("ALL_PROXY=http://p:1", "https://h", "http://p:1/"),
        ("all_proxy=p:1", "http://h", "http://p:1/"),
        ("HTTPS_PROXY=https://s:2;ALL_PROXY=http://p:1", "https://h", "https://s:2/"),
        ("HTTPS_PROXY=https://s:2;ALL_PROXY=http://p:1", "http://h", "http://p:1/"),
        ("HTTPS_PROXY=http://s:2", "http://h", ""),
        ("HTTPS_PROXY=", "https://h", ""),
        ("HTTPS_PROXY=;https_proxy=http://s:2", "https://h", ""),
        ("HTTP_PROXY=http://p:1;REQUEST_METHOD=GET", "http://h", ""),
        ("HTTPS_PROXY= p:1 ", "https://h", "http://p:1/"),
        ("ALL_PROXY=http://p:1;no_proxy=h", "https://h", ""),
        ("ALL_PROXY=http://p:1;NO_PROXY=x;no_proxy=h", "https://h", "http://p:1/"),
    ];
    for (variables, url, expected) in rows {
        assert_eq!(proxy(variables, url), expected, "{variables} {url}");
    }
}

#[test]
fn exceptions_are_hosts_domains_networks_and_ports() {
    let rows = [
        ("*", "https://a.example", true),
        ("a.example", "https://a.example", true),
        ("a.example", "https://A.EXAMPLE.", true),
        ("A.Example.", "https://a.example", true),
        ("a.example", "https://b.a.example", true),
        ("a.example", "https://ba.example", false),
        ("a.example", "https://a.example.evil.example", false),
        (".a.example", "https://a.example", true),
        (".a.example", "https://b.a.example:8443", true),
        ("*.a.example", "https://c.b.a.example", true),
        ("*.a.example", "https://ba.example", false),
        ("a.example:443", "https://a.example", true),
        ("a.example:443", "https://a.example:8443", false),
        ("*.a.example:8443", "https://b.a.example:8443", true),
        ("x.example, a.example", "https://a.example", true),
        ("x.example a.example", "https://a.example", true),
        ("x.example,\ta.example\n", "https://a.example", true),
        ("10.0.0.1", "https://10.0.0.1", true),
        ("10.0.0.1:8443", "https://10.0.0.1", false),
        ("10.0.0.0/8", "https://10.200.3.4", true),
        ("10.0.0.0/8", "https://11.0.0.1", false),
        ("10.0.0.0/99", "https://10.0.0.1", false),
        ("0.0.0.0/0", "https://10.0.0.1", true),
        ("0.0.0.0/0", "https://a.example", false),
        ("fd00::/8", "https://[fd12::1]", true),
        ("fd00::/8", "https://[fe80::1]", false),
        ("fd00::1", "https://[fd00::1]:8443", true),
        ("[fd00::1]:443", "https://[fd00::1]", true),
        ("[fd00::1]:444", "https://[fd00::1]", false),
        ("a.example:http", "https://a.example", false),
        ("10.0.0.0/x", "https://10.0.0.1", false),
        ("1", "https://10.0.0.1", false),
        (",, ,", "https://a.example", false),
    ];
    for (except, url, is_direct) in rows {
        let variables = format!("ALL_PROXY=http://p:1;NO_PROXY={except}");
        assert_eq!(proxy(&variables, url).is_empty(), is_direct, "{except} {url}");
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_an_error_that_names_its_variable() {
    let rows = [
        (
            "ALL_PROXY=socks5h://u:SENSITIVE@127.0.0.1:1",
            "https://h",
            "ALL_PROXY: names a SOCKS proxy",
        ),
        ("https_proxy=SOCKS4://h", "https://h", "https_proxy: names a SOCKS proxy"),
        (
            "HTTPS_PROXY=ftp://u:SENSITIVE@h",
            "https://h",
            "HTTPS_PROXY: names a proxy that is neither",
        ),
        ("HTTPS_PROXY=http://u:SENSITIVE@:x", "https://h", "HTTPS_PROXY: is no URL of a proxy"),
        // What is not used does no harm.
        ("ALL_PROXY=socks5://h;HTTPS_PROXY=http://p:1", "https://h", ""),
        ("ALL_PROXY=socks5://h;NO_PROXY=h", "https://h", ""),
        ("HTTPS_PROXY= ", "https://h", ""),
    ];
    for (variables, url, expected) in rows {
        let proxies = proxies(variables);
        let problem = proxies.check(&Url::parse(url).unwrap());
        let text = problem.err().map_or_else(String::new, |error| error.to_string());
        assert!(text.starts_with(expected) && text.is_empty() == expected.is_empty(), "{text}");
        assert!(!format!("{text}{proxies:?}").contains("SENSITIVE"), "{text}");
    }
}
