//! Configurations of connectors that are refused, each by its rule.

use super::*;

fn good(kind: ConnectorKind) -> ConnectorConfig {
    let mut config = ConnectorConfig::new(kind, "client");
    config.client_secret_env = Some("SECRET".to_owned());
    let text = |url: &str| Some(url.to_owned());
    match kind {
        ConnectorKind::Oidc => config.issuer = text("https://id.example"),
        ConnectorKind::Oauth2 => {
            config.connector_id = text("https://o.example");
            config.authorization_endpoint = text("https://o.example/authorize");
            config.token_endpoint = text("https://o.example/token");
            config.userinfo_endpoint = text("https://o.example/me");
        }
        _ => {}
    }
    config
}

const ALL: [ConnectorKind; 6] = [
    ConnectorKind::Google,
    ConnectorKind::Github,
    ConnectorKind::Microsoft,
    ConnectorKind::Facebook,
    ConnectorKind::Oidc,
    ConnectorKind::Oauth2,
];

/// Changes a good connector of a type, and gives the error's name and what it names.
fn check(kind: ConnectorKind, change: impl FnOnce(&mut ConnectorConfig), expected: &str) {
    let mut config = good(kind);
    change(&mut config);
    let found = match config.check() {
        Ok(()) => "ok".to_owned(),
        Err(ConfigError::ConnectorName { .. }) => "name".to_owned(),
        Err(ConfigError::BadDomain { domain }) => format!("domain {domain}"),
        Err(ConfigError::ConnectorField { field, .. }) => format!("field {field}"),
        Err(ConfigError::ConnectorNeeds { field, .. }) => format!("needs {field}"),
        Err(ConfigError::ConnectorUrl { field, .. }) => format!("url {field}"),
        Err(ConfigError::ConnectorTenant { .. }) => "tenant".to_owned(),
        Err(ConfigError::ConnectorSecret { .. }) => "secret".to_owned(),
        Err(other) => format!("{other:?}"),
    };
    assert_eq!(found, expected, "{kind:?}");
}

#[test]
fn every_type_has_a_good_configuration() {
    for kind in ALL {
        check(kind, |_| {}, "ok");
    }
}

#[test]
fn connector_name() {
    use ConnectorKind::Google;
    check(Google, |c| c.name = Some("g-2".to_owned()), "ok");
    for name in [
        "",
        "Google",
        "a/b",
        "a b",
        "..",
        "email",
        "confirm",
        &"a".repeat(33),
    ] {
        check(Google, |c| c.name = Some(name.to_owned()), "name");
    }
}

#[test]
fn connector_field() {
    use ConnectorKind::{Facebook, Github, Google, Microsoft, Oauth2, Oidc};
    let text = || Some("https://x.example".to_owned());
    for kind in ALL {
        let only = |kinds: &[ConnectorKind], field: &str| {
            if kinds.contains(&kind) {
                "ok".to_owned()
            } else {
                format!("field {field}")
            }
        };
        let hosted = |c: &mut ConnectorConfig| c.hosted_domains.push("example.com".to_owned());
        check(kind, hosted, &only(&[Google], "hosted_domains"));
        let tenant = |c: &mut ConnectorConfig| {
            c.tenant = Some("9188040d-6c67-4c5b-b112-36a304b66dad".to_owned());
        };
        check(kind, tenant, &only(&[Microsoft], "tenant"));
        let loopback = |c: &mut ConnectorConfig| c.url = Some("http://127.0.0.1:1".to_owned());
        check(
            kind,
            loopback,
            &only(&[Google, Github, Microsoft, Facebook], "url"),
        );
        check(
            kind,
            |c| c.issuer = text(),
            &only(&[Oidc, Oauth2], "issuer"),
        );
        let origins = |c: &mut ConnectorConfig| c.key_origins.extend(text());
        check(kind, origins, &only(&[Oidc], "key_origins"));
        let scopes = |c: &mut ConnectorConfig| c.scopes.push("openid".to_owned());
        check(kind, scopes, &only(&[Oidc, Oauth2], "scopes"));
        check(kind, |c| c.pkce = Some(false), &only(&[Oauth2], "pkce"));
        let userinfo = |c: &mut ConnectorConfig| c.userinfo = Some(UserinfoNames::default());
        check(kind, userinfo, &only(&[Oauth2], "userinfo"));
        let trust = |c: &mut ConnectorConfig| c.trust_unverified_email = true;
        check(
            kind,
            trust,
            &only(&[Oidc, Oauth2], "trust_unverified_email"),
        );
        let token = |c: &mut ConnectorConfig| c.token_endpoint = text();
        check(kind, token, &only(&[Oauth2], "token_endpoint"));
    }
}

#[test]
fn connector_needs() {
    use ConnectorKind::{Google, Oauth2, Oidc};
    check(Google, |c| c.client_id.clear(), "needs client_id");
    check(Oidc, |c| c.issuer = None, "needs issuer");
    check(Oauth2, |c| c.connector_id = None, "needs connector_id");
    check(Oauth2, |c| c.token_endpoint = None, "needs token_endpoint");
    check(
        Oauth2,
        |c| c.userinfo_endpoint = None,
        "needs userinfo_endpoint",
    );
    let authorization = |c: &mut ConnectorConfig| c.authorization_endpoint = None;
    check(Oauth2, authorization, "needs authorization_endpoint");
}

#[test]
fn connector_url() {
    use ConnectorKind::{Facebook, Github, Google, Microsoft, Oauth2, Oidc};
    let url = |url: &str| {
        let url = url.to_owned();
        move |c: &mut ConnectorConfig| c.url = Some(url)
    };
    check(Github, url("https://github.example.com"), "ok");
    check(Microsoft, url("https://login.microsoftonline.us"), "ok");
    // Nothing but tests needs another Google.
    check(Google, url("https://google.example"), "url url");
    check(Facebook, url("https://facebook.example"), "url url");
    for bad in [
        "",
        "github",
        "http://github.example",
        "https://u@x.example",
        "https://x#y",
    ] {
        check(Github, url(bad), "url connector_id");
        check(
            Oidc,
            |c| {
                c.connector_id = Some("https://c.example".to_owned());
                c.issuer = Some(bad.to_owned());
            },
            "url issuer",
        );
        check(
            Oauth2,
            |c| c.token_endpoint = Some(bad.to_owned()),
            "url token_endpoint",
        );
        check(
            Oidc,
            |c| c.key_origins.push(bad.to_owned()),
            "url key_origins",
        );
    }
}

#[test]
fn connector_tenant() {
    use ConnectorKind::Microsoft;
    for tenant in [
        "common",
        "example.com",
        "9188040D-6C67-4C5B-B112-36A304B66DAD",
        "",
        "../x",
    ] {
        check(Microsoft, |c| c.tenant = Some(tenant.to_owned()), "tenant");
    }
}

#[test]
fn connector_secret() {
    use ConnectorKind::{Google, Oidc};
    check(Google, |c| c.client_secret_env = None, "secret");
    check(
        Google,
        |c| c.client_secret_file = Some("x".into()),
        "secret",
    );
    // A public client with PKCE has none.
    check(Oidc, |c| c.client_secret_env = None, "ok");
    let inline = "type = \"google\"\nclient_id = \"x\"\nclient_secret = \"CANARYSECRET\"";
    assert!(toml_of(inline).is_err(), "secrets are not written inline");
}

fn toml_of(text: &str) -> Result<ConnectorConfig, serde_json::Error> {
    // The same serde rules as in a TOML file, without another dependency.
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    let object: serde_json::Map<_, _> = pairs
        .map(|(name, value)| (name.to_owned(), serde_json::from_str(value).unwrap()))
        .collect();
    serde_json::from_value(object.into())
}

#[test]
fn domains_of_a_connector() {
    use ConnectorKind::Google;
    check(Google, |c| c.allow_domains.push("*".to_owned()), "ok");
    check(
        Google,
        |c| c.allow_domains.push("*.example.com".to_owned()),
        "domain *.example.com",
    );
    check(Google, |c| c.deny_domains.push("*".to_owned()), "domain *");
    check(
        Google,
        |c| c.hosted_domains.push("Example.com".to_owned()),
        "domain Example.com",
    );
    let list = |domains: &[&str]| domains.iter().map(|d| (*d).to_owned()).collect::<Vec<_>>();
    let admits = |own: &[&str], broker: &[&str], denied: &[&str], own_denied: &[&str]| {
        let mut config = good(Google);
        config.allow_domains = list(own);
        config.deny_domains = list(own_denied);
        config.admits("example.com", &list(broker), &list(denied))
    };
    assert!(!admits(&[], &[], &[], &[]));
    assert!(admits(&[], &["example.com"], &[], &[]));
    assert!(admits(&["example.com"], &[], &[], &[]));
    assert!(admits(&["*"], &[], &[], &[]));
    assert!(!admits(&["other.com"], &["example.com"], &[], &[]));
    assert!(!admits(&["*"], &[], &["example.com"], &[]));
    assert!(!admits(&["*"], &[], &[], &["example.com"]));
    assert!(!admits(&["com", "sub.example.com"], &[], &[], &[]));
}

#[test]
fn names_of_connectors_are_those_of_the_public_instance() {
    let check = |kind, change: fn(&mut ConnectorConfig), expected: &str| {
        let mut config = good(kind);
        change(&mut config);
        assert_eq!(config.connector_id(), expected);
    };
    check(ConnectorKind::Google, |_| {}, "https://accounts.google.com");
    check(
        ConnectorKind::Github,
        |_| {},
        "https://github.com/login/oauth",
    );
    check(
        ConnectorKind::Microsoft,
        |_| {},
        "https://login.microsoftonline.com",
    );
    check(ConnectorKind::Facebook, |_| {}, "https://www.facebook.com");
    check(ConnectorKind::Oidc, |_| {}, "https://id.example");
    check(ConnectorKind::Oauth2, |_| {}, "https://o.example");
    // Another deployment proves other accounts, so it has another name.
    let enterprise = |c: &mut ConnectorConfig| c.url = Some("https://git.example/".to_owned());
    check(
        ConnectorKind::Github,
        enterprise,
        "https://git.example/login/oauth",
    );
    assert_eq!(
        good(ConnectorKind::Google).redirect_uri("https://id.example/auth"),
        "https://id.example/auth/callback/google"
    );
}
