#!/usr/bin/env python3
"""Records how openstacksdk resolves a corpus of configurations, for the test `settings::tests::openstacksdk`.

Run it with openstacksdk and keystoneauth1 installed, then review the difference:

    pip install openstacksdk && python3 record.py > recorded.json

It opens no connection. CI does not run it: it runs the Rust test over `recorded.json`.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import tempfile
import warnings

import yaml
from openstack.config import loader

URL = "https://iam.example/v3"
AUTH = {"auth_url": URL, "username": "u", "password": "p", "user_domain_name": "d", "project_name": "n"}
TOKEN = {"auth_url": URL, "token": "t"}
# `v3password` and its like want the domain of the project.
SCOPE = {"project_domain_name": "d"}
VENDOR = {"public-clouds": {"acme": {"region_name": "r-1", "auth": {"auth_url": "https://iam.{region_name}.acme.example"}}}}
CASES = []


def case(name, entry=None, env=None, secure=None, clouds=None, vendor=None):
    """Adds a case: an entry `c` and variables, or a whole file."""
    if clouds is None and entry is not None:
        clouds = yaml.safe_dump({"clouds": {"c": entry}}, sort_keys=False)
    variables = dict(env or {})
    if clouds is not None:
        variables.setdefault("OS_CLOUD", "c")
    CASES.append(
        {
            "name": name,
            "env": variables,
            "clouds": clouds,
            "secure": yaml.safe_dump(secure) if secure else None,
            "vendor": yaml.safe_dump(vendor) if vendor else None,
        }
    )


def entry(auth=None, without=(), **beside):
    auth = {**AUTH, **(auth or {})}
    return {"auth": {k: v for k, v in auth.items() if k not in without}, **beside}


def corpus():
    # Each key in `auth`, beside it, and in both.
    for key, value in [
        ("auth_url", "https://other.example/v3"),
        ("username", "other"),
        ("user_id", "other"),
        ("password", "other"),
        ("project_name", "other"),
        ("project_id", "other"),
        ("tenant_name", "other"),
        ("tenant_id", "other"),
        ("user_domain_name", "other"),
        ("user_domain_id", "other"),
        ("domain_name", "other"),
        ("domain_id", "other"),
        ("project_domain_name", "other"),
        ("project_domain_id", "other"),
        ("default_domain", "other"),
        ("default_domain_id", "other"),
        ("default_domain_name", "other"),
    ]:
        base = [key] if key in AUTH else []
        case(f"{key} in auth", entry({key: value}, without=[]))
        case(f"{key} beside auth", entry(without=base, **{key: value}))
        case(f"{key} in both", entry({key: "in"} if key != "auth_url" else {}, **{key: value}))
    for key in ["user_domain_name"]:
        case(f"no {key}", entry(without=[key]))
        case("domain_name instead", entry({"domain_name": "e"}, without=[key]))
        case("domain_id instead", entry({"domain_id": "e"}, without=[key]))
        case("default_domain_id instead", entry({"default_domain_id": "e"}, without=[key]))
        case("default_domain_name instead", entry({"default_domain_name": "e"}, without=[key]))
        case("project_domain_id instead", entry({"project_domain_id": "e"}, without=[key]))
    for key in ["auth_url", "username", "password", "project_name"]:
        case(f"no {key}", entry(without=[key]))
    case("dashes", {"auth": {"auth-url": URL, "username": "u", "password": "p", "user-domain-name": "d", "project-name": "n"}})
    case("all beside auth", dict(AUTH))
    case("text that looks like a number", entry({"password": "0123", "username": "1e3"}))
    case("numbers", clouds="clouds: {c: {auth: {auth_url: 'https://iam.example/v3', username: 1, password: 2, user_domain_name: 3, project_name: 4}}}")
    case("nothing", clouds="clouds: {c: {auth: {auth_url: 'https://iam.example/v3', username: u, password: p, user_domain_name: d, project_name: n, project_id: }}}")
    case("anchors", clouds="x: &d {auth_url: 'https://iam.example/v3', username: u, user_domain_name: d, project_name: n}\nclouds: {c: {auth: {<<: *d, password: p, username: own}}}")
    case("duplicate in another entry", clouds="clouds: {b: {region_name: a, region_name: b}, c: {auth: {auth_url: 'https://iam.example/v3', username: u, password: p, user_domain_name: d, project_name: n}}}")
    # Regions.
    regions = [
        {"name": "one", "values": {"auth": {"project_name": "first"}, "interface": "admin"}},
        {"name": "two", "values": {"project_name": "second", "verify": False}},
        "three",
    ]
    for name, given in [
        ("region_name", {"region_name": "one"}),
        ("regions", {"regions": regions}),
        ("regions of text", {"regions": ["one", "two"]}),
        ("region_name as a list", {"region_name": ["one", "two"]}),
        ("region_name with commas", {"region_name": "one,two"}),
        ("regions and region_name", {"regions": regions, "region_name": "two"}),
        ("no region", {}),
    ]:
        template = {"auth_url": "https://iam.{region_name}.example/v3"} if given else {}
        for wanted in [None, "two", "none"]:
            case(f"{name}, OS_REGION_NAME={wanted}", entry(template, **given), {"OS_REGION_NAME": wanted} if wanted else {})
    # Interfaces.
    for value in ["public", "internal", "admin", "publicURL", ["internal", "public"]]:
        case(f"interface {value}", entry(interface=value))
    case("endpoint_type", entry(endpoint_type="internalURL"))
    case("endpoint_type and interface", entry(endpoint_type="internalURL", interface="admin"))
    # TLS.
    for name, given in [
        ("verify true", {"verify": True}),
        ("verify false", {"verify": False}),
        ("verify 'false'", {"verify": "false"}),
        ("insecure true", {"insecure": True}),
        ("insecure false", {"insecure": False}),
        ("verify and insecure", {"verify": True, "insecure": True}),
        ("cacert", {"cacert": "/ca.pem"}),
        ("cacert at home", {"cacert": "~/ca.pem"}),
        ("cacert without verification", {"cacert": "/ca.pem", "verify": False}),
        ("cert", {"cert": "/c.pem"}),
        ("cert and key", {"cert": "/c.pem", "key": "/k.pem"}),
        ("cert and key at home", {"cert": "~/c.pem", "key": "~/k.pem"}),
    ]:
        case(name, entry(**given))
    # Ways to sign in.
    app = {"auth_url": URL, "application_credential_id": "ai", "application_credential_secret": "as"}
    named = {"auth_url": URL, "application_credential_name": "an", "application_credential_secret": "as", "username": "u", "user_domain_name": "d"}
    for auth_type in ["password", "v3password"]:
        case(f"type {auth_type}", entry(SCOPE, auth_type=auth_type))
        case(f"type {auth_type} beside a token", entry({"token": "t"}, auth_type=auth_type))
    for auth_type in ["token", "v3token"]:
        case(f"type {auth_type}", {"auth": {**TOKEN, "project_id": "i"}, "auth_type": auth_type})
        case(f"type {auth_type} beside a password", entry({"token": "t"}, auth_type=auth_type))
    case("token beside auth", {"auth": {"auth_url": URL}, "token": "t", "auth_type": "token"})
    case("token in both", {"auth": TOKEN, "token": "beside", "auth_type": "token"})
    case("type v3applicationcredential by id", {"auth": app, "auth_type": "v3applicationcredential"})
    case("type v3applicationcredential by name", {"auth": named, "auth_type": "v3applicationcredential"})
    case("type v3applicationcredential beside auth", {**app, "auth": {}, "auth_type": "v3applicationcredential"})
    case("type v3applicationcredential beside a password", {"auth": {**app, "password": "old"}, "auth_type": "v3applicationcredential"})
    case("type v3multifactor", entry({**SCOPE, "passcode": "123456"}, auth_type="v3multifactor", auth_methods=["v3password", "v3totp"]))
    for auth_type in ["v3oidcpassword", "v3samlpassword", "v3kerberos", "none", "nonsense"]:
        case(f"type {auth_type}", entry(auth_type=auth_type))
    # Endpoints.
    for key in ["cfw_endpoint_override", "cfw_endpoint", "cfw-endpoint-override"]:
        case(key, entry(**{key: "https://cfw.example"}))
    case("endpoint with a region", entry(cfw_endpoint_override="https://cfw.{region_name}.example", region_name="one"))
    case("two endpoints", entry(cfw_endpoint_override="https://a.example", cfw_endpoint="https://b.example"))
    # Profiles.
    project = {"username": "u", "password": "p", "user_domain_name": "d", "project_name": "n"}
    case("profile otc", {"profile": "otc", "auth": project})
    case("profile otc and a region", {"profile": "otc", "auth": project, "region_name": "eu-nl"})
    case("profile otc, OS_REGION_NAME", {"profile": "otc", "auth": project}, {"OS_REGION_NAME": "eu-nl"})
    case("profile otc, another region", {"profile": "otc", "auth": project}, {"OS_REGION_NAME": "eu-fr"})
    case("profile otc and a project of eu-nl", {"profile": "otc", "auth": {**project, "project_name": "eu-nl_x"}})
    case("profile otc-swiss", {"profile": "otc-swiss", "auth": project})
    case("cloud otc", {"cloud": "otc", "auth": project})
    case("profile from a file", {"profile": "acme", "auth": project}, vendor=VENDOR)
    case("profile from a file and a region", {"profile": "acme", "auth": project, "region_name": "r-2"}, vendor=VENDOR)
    case("unknown profile", entry(profile="nobody"))
    case("profile of its own name", entry(cloud="c"))
    # secure.yaml.
    case("secure password", entry(without=["password"]), secure={"clouds": {"c": {"auth": {"password": "s"}}}})
    case("secure overrides", entry(), secure={"clouds": {"c": {"auth": {"password": "s"}}}})
    case("secure beside auth", entry(without=["password"]), secure={"clouds": {"c": {"password": "s"}}})
    case("secure of another entry", entry(), secure={"clouds": {"d": {"auth": {"password": "s"}}}})
    # Another cloud's variables beside an entry.
    other = {
        "OS_AUTH_URL": "https://other.example/v3",
        "OS_USERNAME": "ou",
        "OS_PASSWORD": "op",
        "OS_USER_DOMAIN_NAME": "od",
        "OS_PROJECT_NAME": "on",
        "OS_INSECURE": "true",
        "OS_CACERT": "/other.pem",
        "OS_INTERFACE": "internal",
    }
    case("another cloud's variables", entry(), other)
    case("another cloud's variables and region", entry(region_name="one"), {**other, "OS_REGION_NAME": "elsewhere"})
    for name, value in other.items():
        case(f"{name} beside an entry", entry(), {name: value})
    case("OS_PROJECT_ID beside an entry", entry(), {"OS_PROJECT_ID": "oi"})
    case("OS_TOKEN beside an entry", entry(), {"OS_TOKEN": "ot"})
    # Variables alone.
    env = {f"OS_{key.upper()}": value for key, value in AUTH.items()}
    without = lambda *names: {k: v for k, v in env.items() if k not in names}
    case("variables", env=env)
    for name, given in [
        ("OS_USER_ID", {"OS_USER_ID": "i"}),
        ("OS_PROJECT_ID", {"OS_PROJECT_ID": "i"}),
        ("OS_TENANT_NAME", {"OS_TENANT_NAME": "t"}),
        ("OS_USER_DOMAIN_ID", {"OS_USER_DOMAIN_ID": "i"}),
        ("OS_REGION_NAME", {"OS_REGION_NAME": "r"}),
        ("OS_INTERFACE", {"OS_INTERFACE": "internal"}),
        ("OS_ENDPOINT_TYPE", {"OS_ENDPOINT_TYPE": "internalURL"}),
        ("OS_INSECURE", {"OS_INSECURE": "true"}),
        ("OS_CACERT", {"OS_CACERT": "/ca.pem"}),
        ("OS_CACERT at home", {"OS_CACERT": "~/ca.pem"}),
        ("OS_CERT and OS_KEY", {"OS_CERT": "/c.pem", "OS_KEY": "/k.pem"}),
        ("OS_CFW_ENDPOINT_OVERRIDE", {"OS_CFW_ENDPOINT_OVERRIDE": "https://cfw.example"}),
        ("OS_CFW_ENDPOINT", {"OS_CFW_ENDPOINT": "https://cfw.example"}),
        ("OS_AUTH_TYPE=v3password", {"OS_AUTH_TYPE": "v3password", "OS_PROJECT_DOMAIN_NAME": "d"}),
        ("OS_AUTH_TYPE=v3oidcpassword", {"OS_AUTH_TYPE": "v3oidcpassword"}),
        ("OS_AUTH_TYPE=v3token", {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": "t"}),
        ("OS_AUTH_TYPE=token", {"OS_AUTH_TYPE": "token", "OS_TOKEN": "t"}),
        ("OS_AUTH_URL with a region", {"OS_AUTH_URL": "https://iam.{region_name}.example", "OS_REGION_NAME": "r"}),
        ("OS_DOMAIN_NAME", {"OS_DOMAIN_NAME": "e"}),
        ("OS_PROJECT_DOMAIN_NAME", {"OS_PROJECT_DOMAIN_NAME": "e"}),
    ]:
        case(f"variables, {name}", env={**env, **given})
    case("variables, OS_TENANT_NAME instead", env={**without("OS_PROJECT_NAME"), "OS_TENANT_NAME": "t"})
    case("variables, OS_TENANT_ID instead", env={**without("OS_PROJECT_NAME"), "OS_TENANT_ID": "t"})
    case("variables, OS_DOMAIN_ID instead", env={**without("OS_USER_DOMAIN_NAME"), "OS_DOMAIN_ID": "e"})
    case("variables, OS_DEFAULT_DOMAIN_ID instead", env={**without("OS_USER_DOMAIN_NAME"), "OS_DEFAULT_DOMAIN_ID": "e"})
    case(
        "variables of an application credential",
        env={
            "OS_AUTH_URL": URL,
            "OS_AUTH_TYPE": "v3applicationcredential",
            "OS_APPLICATION_CREDENTIAL_ID": "ai",
            "OS_APPLICATION_CREDENTIAL_SECRET": "as",
        },
    )
    for missing in ["OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME"]:
        case(f"variables without {missing}", env=without(missing))


def id_or_name(identifier, name):
    return f"#{identifier}" if identifier else name or "-"


def login(region):
    """Returns the credential in one line, from the plugin that keystoneauth would use."""
    auth = region.config["auth"]
    auth_type = region.config["auth_type"]
    url = auth.get("auth_url")
    domain_id = auth.get("user_domain_id") or auth.get("default_domain_id")
    domain = id_or_name(domain_id, auth.get("user_domain_name") or auth.get("default_domain_name"))
    # The lookups of keystoneauth: an id precedes a name.
    if auth.get("user_domain_name") and not auth.get("user_domain_id"):
        domain = auth["user_domain_name"]
    user = f"#{auth['user_id']} in -" if auth.get("user_id") else f"{auth.get('username')} in {domain}"
    project = id_or_name(auth.get("project_id"), auth.get("project_name"))
    if auth_type in ("password", "v3password", "v3multifactor"):
        return f"password {auth.get('password')} of {user} for {project} at {url} code {auth.get('passcode', '-')}"
    if auth_type in ("token", "v3token"):
        return f"token {auth.get('token')}"
    if auth_type == "v3applicationcredential":
        name = id_or_name(auth.get("application_credential_id"), auth.get("application_credential_name"))
        owner = user if auth.get("application_credential_name") else "-"
        return f"application {name} {auth.get('application_credential_secret')} of {owner} at {url}"
    return f"type {auth_type}"


def resolve(given):
    """Returns what the loader of the openstack command makes of a case."""
    with tempfile.TemporaryDirectory() as directory:
        files = {}
        for name in ["clouds", "secure", "vendor"]:
            files[name] = [os.path.join(directory, f"{name}.yaml")]
            if given[name]:
                pathlib.Path(files[name][0]).write_text(given[name])
        os.environ.clear()
        os.environ.update(given["env"], HOME="/h")
        config = loader.OpenStackConfig(
            config_files=files["clouds"], secure_files=files["secure"], vendor_files=files["vendor"], app_name="record"
        )
        parser = argparse.ArgumentParser()
        config.register_argparse_arguments(parser, [])
        options, _ = parser.parse_known_args([])
        # The command takes these from variables. Its default for the interface must not hide the entry's.
        for name in ["region_name", "interface"] if given["clouds"] else []:
            setattr(options, f"os_{name}", os.environ.get(f"OS_{name.upper()}"))
        region = config.get_one(argparse=options)
        verify, cert = region.get_requests_verify_args()
        return {
            "login": login(region),
            "region": region.region_name or None,
            # keystoneauth drops the end of `publicURL` later.
            "interface": ",".join(i) if isinstance(i := region.get_interface(), list) else i.removesuffix("URL"),
            "insecure": verify is False,
            "cacert": verify if isinstance(verify, str) else None,
            "cert": ",".join(cert) if isinstance(cert, tuple) else cert,
            "endpoint": region.get_endpoint("cfw"),
        }


def main():
    warnings.simplefilter("ignore")
    corpus()
    names = [given["name"] for given in CASES]
    assert len(names) == len(set(names)), "names are unique"
    for given in CASES:
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                given["resolved"] = resolve(given)
        except (Exception, SystemExit) as error:
            given["resolved"] = {"error": type(error).__name__}
        for name in [name for name in ("clouds", "secure", "vendor") if not given[name]]:
            del given[name]
    print(json.dumps(CASES, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
