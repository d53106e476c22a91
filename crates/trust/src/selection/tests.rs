//! Each rule of the selection, and the public configs.

use super::*;

const NOW: i64 = 1000;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

/// `url` from `start` on, of operator `operator`.
fn service(url: &str, version: u32, operator: &str, start: i64) -> Service {
    Service {
        url: url.into(),
        major_api_version: version,
        valid_for: Some(TimeRange {
            start: at(start),
            end: None,
        }),
        operator: operator.into(),
    }
}

/// A config whose logs are these, with a timestamp authority.
fn config(logs: Vec<Service>, selector: ServiceSelector) -> SigningConfig {
    SigningConfig {
        log_urls: logs,
        log_config: Some(selector),
        tsa_urls: vec![service("tsa", 1, "a", 0)],
        tsa_config: Some(ServiceSelector::Any),
        ..SigningConfig::default()
    }
}

fn services(config: &SigningConfig) -> Services<'_> {
    let both = Versions {
        transparency_log: &[1, 2],
        ..Versions::CURRENT
    };
    Services::new(config, both, Time::from_unix(NOW).unwrap())
}

fn check(config: &SigningConfig, expected: Result<&[&str], SelectError>) {
    let found = services(config).evidence();
    let urls = found.map(|found| found.logs.iter().map(|log| &*log.url).collect::<Vec<_>>());
    assert_eq!(
        urls.as_deref().map_err(|error| *error),
        expected,
        "{config:?}"
    );
}

fn logs() -> Vec<Service> {
    vec![
        service("a1", 1, "a", 10),
        service("a2", 2, "a", 5),
        service("b1", 1, "b", 30),
        service("b1-newer", 1, "b", 40),
        service("c2-newer", 2, "c", 7),
    ]
}

#[test]
fn one_per_operator_highest_version_first_then_newest() {
    check(
        &config(logs(), ServiceSelector::All),
        Ok(&["c2-newer", "a2", "b1-newer"]),
    );
    check(&config(logs(), ServiceSelector::Any), Ok(&["c2-newer"]));
    check(
        &config(logs(), ServiceSelector::Exact(2)),
        Ok(&["c2-newer", "a2"]),
    );
    check(
        &config(logs(), ServiceSelector::Exact(3)),
        Ok(&["c2-newer", "a2", "b1-newer"]),
    );
}

#[test]
fn among_equals_the_first_of_the_config() {
    let equal = vec![
        service("x", 2, "a", 0),
        service("y", 2, "b", 0),
        service("z", 2, "a", 0),
    ];
    check(&config(equal.clone(), ServiceSelector::Any), Ok(&["x"]));
    check(&config(equal, ServiceSelector::All), Ok(&["x", "y"]));
}

#[test]
fn services_without_operator_count_as_one() {
    let nameless = vec![
        service("x", 2, "", 0),
        service("y", 2, "", 1),
        service("z", 2, "a", 0),
    ];
    check(&config(nameless, ServiceSelector::All), Ok(&["y", "z"]));
}

#[test]
fn validity_has_inclusive_ends() {
    for (start, end, usable) in [
        (at(NOW), at(NOW), true),
        (at(NOW + 1), None, false),
        (at(0), at(NOW - 1), false),
        (at(0), None, true),
        (None, None, false),
        (None, at(NOW), false),
    ] {
        let mut log = service("x", 2, "a", 0);
        log.valid_for = Some(TimeRange { start, end });
        let none = SelectError::NoneUsable {
            kind: ServiceKind::TransparencyLog,
            offered: 1,
        };
        let expected = if usable { Ok(&["x"][..]) } else { Err(none) };
        check(&config(vec![log], ServiceSelector::Any), expected);
    }
}

#[test]
fn none_usable() {
    let none = |kind, offered| Err(SelectError::NoneUsable { kind, offered });
    let log = ServiceKind::TransparencyLog;
    let future = vec![service("x", 3, "a", 0)];
    check(&config(future.clone(), ServiceSelector::All), none(log, 1));
    check(&config(future, ServiceSelector::Any), none(log, 1));
    check(&config(vec![], ServiceSelector::Any), none(log, 0));
    let mut undated = vec![service("x", 2, "a", 0)];
    undated[0].valid_for = None;
    check(&config(undated, ServiceSelector::Any), none(log, 1));
    let empty = SigningConfig::default();
    assert_eq!(
        services(&empty).certificate_authority(),
        Err(SelectError::NoneUsable {
            kind: ServiceKind::CertificateAuthority,
            offered: 0
        })
    );
    assert_eq!(
        services(&empty).identity_provider(),
        Err(SelectError::NoneUsable {
            kind: ServiceKind::IdentityProvider,
            offered: 0
        })
    );
}

#[test]
fn not_enough_operators() {
    for (wanted, offered) in [(4, logs()), (u32::MAX, logs()), (1, vec![])] {
        let found = if offered.is_empty() { 0 } else { 3 };
        let kind = ServiceKind::TransparencyLog;
        let error = SelectError::NotEnoughOperators {
            kind,
            wanted,
            found,
        };
        check(&config(offered, ServiceSelector::Exact(wanted)), Err(error));
    }
}

#[test]
fn selector_missing() {
    let mut config = config(logs(), ServiceSelector::Any);
    config.log_config = None;
    let error = SelectError::SelectorMissing {
        kind: ServiceKind::TransparencyLog,
    };
    check(&config, Err(error));
}

#[test]
fn timestamp_authority_needed() {
    let mut config = config(logs(), ServiceSelector::Any);
    config.tsa_urls.clear();
    config.tsa_config = None;
    check(&config, Err(SelectError::TimestampAuthorityNeeded));
    config.log_urls = vec![service("v1", 1, "a", 0)];
    check(&config, Ok(&["v1"]));
    config.log_urls.clear();
    config.log_config = None;
    check(&config, Ok(&[]));
}

#[test]
fn exactly_one_certificate_authority_and_identity_provider() {
    let list = vec![
        service("old", 1, "a", 0),
        service("new", 1, "b", 1),
        service("future", 1, "c", NOW + 1),
        service("other version", 2, "d", 2),
    ];
    let config = SigningConfig {
        ca_urls: list.clone(),
        oidc_urls: list,
        ..SigningConfig::default()
    };
    assert_eq!(
        services(&config).certificate_authority().unwrap().url,
        "new"
    );
    assert_eq!(services(&config).identity_provider().unwrap().url, "new");
}

#[test]
fn the_public_instance_has_no_log_of_version_2_in_its_default_config() {
    let config = SigningConfig::public_good();
    let now = Time::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let current = Services::new(&config, Versions::CURRENT, now);
    assert_eq!(
        current.identity_provider().unwrap().url,
        "https://oauth2.sigstore.dev/auth"
    );
    assert_eq!(
        current.evidence(),
        Err(SelectError::NoneUsable {
            kind: ServiceKind::TransparencyLog,
            offered: 1
        })
    );
    let both = Versions {
        transparency_log: &[1, 2],
        ..Versions::CURRENT
    };
    let evidence = Services::new(&config, both, now).evidence().unwrap();
    assert_eq!(evidence.logs[0].url, "https://rekor.sigstore.dev");
}
