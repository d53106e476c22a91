//! Every rule of a configuration, and the samples of the manual.

use super::*;

const MAIL: &str = "[smtp]\nhost = 'mail.example'\nfrom = 'id@example.com'\n";
const DOMAINS: &str = "allow_domains = ['example.com']\n";

/// Flags in the order listen, url, cert, key, proxy.
fn flags(listen: &str, url: &str, cert: &str, key: &str, proxy: bool) -> Flags {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Flags {
        listen: text(listen),
        url: text(url),
        tls_cert: text(cert).map(PathBuf::from),
        tls_key: text(key).map(PathBuf::from),
        behind_tls_proxy: proxy,
    }
}

fn settle(file: &str, flags: Flags) -> Result<Settings, ConfigError> {
    Config::from_toml(file).and_then(|config| config.settle(flags))
}

#[test]
fn defaults() {
    let settings = settle("", Flags::default()).unwrap();
    assert_eq!(settings.listen, "localhost:8383");
    assert_eq!(settings.url.as_str(), "http://localhost:8383");
    assert!(settings.smtp.is_none() && settings.tls.is_none() && !settings.behind_tls_proxy);
    assert_eq!(settings.log.filter, "warn");
}

#[test]
fn flags_win_over_the_file() {
    let file = "listen = 'localhost:1'\nurl = 'http://localhost:1'";
    assert_eq!(
        settle(file, Flags::default()).unwrap().listen,
        "localhost:1"
    );
    let settings = settle(
        file,
        flags("localhost:2", "http://localhost:2", "", "", false),
    )
    .unwrap();
    assert_eq!(
        (settings.listen.as_str(), settings.url.as_str()),
        ("localhost:2", "http://localhost:2")
    );
}

#[test]
fn the_url_follows_from_the_address() {
    let check = |flags: Flags, expected: &str| {
        let file = format!("{MAIL}{DOMAINS}");
        assert_eq!(settle(&file, flags).unwrap().url.as_str(), expected);
    };
    check(
        flags("127.0.0.1:9", "", "", "", false),
        "http://127.0.0.1:9",
    );
    check(flags("[::1]:9", "", "", "", false), "http://[::1]:9");
    check(
        flags("localhost:9", "", "c", "k", false),
        "https://localhost:9",
    );
    check(
        flags("192.0.2.1:443", "", "c", "k", false),
        "https://192.0.2.1",
    );
    check(
        flags("0.0.0.0:9", "https://a.example", "c", "k", false),
        "https://a.example",
    );
    check(
        flags("0.0.0.0:9", "https://a.example", "", "", true),
        "https://a.example",
    );
}

#[test]
fn malformed() {
    for file in [
        "listen",
        "lisen = 'localhost:1'",
        "[smtp]\nhost = 'x'\nfrom = 'y'\npassword = 'z'",
        "[tls]\ncert = 'c'",
        "[log]\nformat = 'xml'",
    ] {
        assert!(
            matches!(
                settle(file, Flags::default()),
                Err(ConfigError::Malformed(_))
            ),
            "{file}"
        );
    }
}

#[test]
fn url() {
    let refused = settle("url = 'https://a.example/b'", Flags::default());
    assert!(matches!(
        refused,
        Err(ConfigError::Url(InstanceUrlError::NotAnOrigin { .. }))
    ));
}

#[test]
fn bad_listen() {
    for listen in [
        "",
        "8383",
        "localhost",
        "localhost:99999",
        "sig.example.com:80",
        "127.0.0.1",
    ] {
        let file = format!("listen = '{listen}'");
        assert!(
            matches!(
                settle(&file, Flags::default()),
                Err(ConfigError::BadListen { .. })
            ),
            "{listen}"
        );
    }
}

#[test]
fn port_zero() {
    for listen in ["localhost:0", "127.0.0.1:0"] {
        let file = format!("listen = '{listen}'");
        assert!(matches!(
            settle(&file, Flags::default()),
            Err(ConfigError::PortZero { .. })
        ));
    }
}

#[test]
fn half_tls() {
    for (cert, key) in [("c", ""), ("", "k")] {
        let refused = settle("", flags("", "", cert, key, false));
        assert!(matches!(refused, Err(ConfigError::HalfTls)));
    }
}

#[test]
fn tls_twice() {
    let refused = settle("", flags("", "https://a.example", "c", "k", true));
    assert!(matches!(refused, Err(ConfigError::TlsTwice)));
}

#[test]
fn needs_tls() {
    for listen in ["0.0.0.0:8383", "192.0.2.1:80", "[::]:8383"] {
        let refused = settle("", flags(listen, "", "", "", false));
        assert!(
            matches!(refused, Err(ConfigError::NeedsTls { .. })),
            "{listen}"
        );
    }
}

#[test]
fn needs_url() {
    for flags in [
        flags("", "", "", "", true),
        flags("0.0.0.0:1", "", "c", "k", false),
    ] {
        assert!(matches!(settle(MAIL, flags), Err(ConfigError::NeedsUrl)));
    }
}

#[test]
fn wrong_scheme() {
    let check = |flags, scheme| {
        let refused = settle(MAIL, flags);
        assert!(
            matches!(refused, Err(ConfigError::WrongScheme { expected, .. }) if expected == scheme)
        );
    };
    check(flags("", "https://a.example", "", "", false), "http");
    check(flags("", "http://localhost:1", "c", "k", false), "https");
    check(flags("", "http://localhost:1", "", "", true), "https");
}

#[test]
fn outbox_not_loopback() {
    for flags in [
        flags("", "https://a.example", "", "", true),
        flags("", "https://localhost", "", "", true),
        flags("", "https://a.example", "c", "k", false),
        flags("0.0.0.0:1", "https://localhost:1", "c", "k", false),
    ] {
        assert!(matches!(
            settle("", flags),
            Err(ConfigError::OutboxNotLoopback)
        ));
    }
    assert!(settle("", flags("localhost:1", "", "c", "k", false)).is_ok());
}

const GOOGLE: &str = "[[connectors]]\ntype = 'google'\nclient_id = 'x'\n\
                      client_secret_env = 'S'\nallow_domains = ['example.com']\n";

#[test]
fn with_a_provider_an_instance_needs_no_mail() {
    let flags = || flags("", "https://a.example", "", "", true);
    let settings = settle(GOOGLE, flags()).unwrap();
    assert!(!settings.outbox);
    let broker = settings.broker_config();
    assert!(matches!(broker.mail, MailConfig::None));
    assert_eq!(broker.connectors.len(), 1);
    assert!(broker.public_log && broker.behind_proxy);
    // On this machine the outbox stays, unless it is switched off.
    let here = settle(GOOGLE, Flags::default()).unwrap();
    assert!(here.outbox && here.email_login);
    let off = settle(&format!("email_login = false\n{GOOGLE}"), Flags::default()).unwrap();
    assert!(!off.broker_config().email_login);
}

#[test]
fn broker() {
    let check = |file: &str| {
        assert!(
            matches!(settle(file, Flags::default()), Err(ConfigError::Broker(_))),
            "{file}"
        );
    };
    check("email_login = false\n");
    check(&format!("{GOOGLE}{GOOGLE}"));
    check(&format!("{GOOGLE}tenant = 'x'\n"));
    check(&GOOGLE.replace("client_secret_env = 'S'\n", ""));
    check(&GOOGLE.replace("allow_domains = ['example.com']\n", ""));
    for malformed in ["client_secret = 'inline'", "typo = 1"] {
        let file = format!("{GOOGLE}{malformed}\n");
        let found = settle(&file, Flags::default());
        assert!(matches!(found, Err(ConfigError::Malformed(_))), "{file}");
    }
}

#[test]
fn no_allowed_domains() {
    assert!(matches!(
        settle(MAIL, Flags::default()),
        Err(ConfigError::NoAllowedDomains)
    ));
    assert!(settle(&format!("{MAIL}{DOMAINS}"), Flags::default()).is_ok());
}

#[test]
fn what_a_first_start_leaves_is_read_by_the_next() {
    let check = |flags: Flags| {
        let file = format!("{MAIL}{DOMAINS}");
        let first = settle(&file, flags).unwrap();
        let next = settle(&format!("{}\n{file}", first.to_toml()), Flags::default()).unwrap();
        assert_eq!((&next.listen, &next.url), (&first.listen, &first.url));
        assert_eq!(
            (&next.tls, next.behind_tls_proxy),
            (&first.tls, first.behind_tls_proxy)
        );
    };
    check(Flags::default());
    check(flags("0.0.0.0:1", "https://a.example", "", "", true));
    check(flags(
        "0.0.0.0:1",
        "https://a.example",
        "it's \"c\"",
        "k\\",
        false,
    ));
}

#[test]
fn the_samples_of_the_manual() {
    let check = |file: &str, expected: &str| {
        let settings = settle(file, Flags::default()).unwrap();
        assert_eq!(settings.url.as_str(), expected);
        settings
    };
    let local = include_str!("../../../../docs/operate/samples/localhost.toml");
    check(local, "http://localhost:8383");
    let proxy = include_str!("../../../../docs/operate/samples/proxy.toml");
    let proxy = check(proxy, "https://sig.example.com");
    assert_eq!(proxy.log.format, Format::Json);
    let smtp = proxy.smtp_config().unwrap();
    assert_eq!((smtp.port, smtp.tls), (Some(587), SmtpTls::Starttls));
    let tls = include_str!("../../../../docs/operate/samples/tls.toml");
    assert!(check(tls, "https://sig.example.com").tls.is_some());
    let providers = include_str!("../../../../docs/operate/samples/providers.toml");
    let providers = check(providers, "https://sig.example.com");
    let names = providers.connectors.iter().map(|c| c.name().to_owned());
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "google",
            "github",
            "microsoft",
            "facebook",
            "staff",
            "forge"
        ]
    );
    let witnesses = include_str!("../../../../docs/operate/samples/witnesses.toml");
    let witnesses = check(witnesses, "https://sig.example.com").transparency_log;
    assert_eq!(witnesses.witness_mode, crate::WitnessMode::FailClosed);
    assert!(witnesses.witness_policy.is_some());
    let broker = include_str!("../../../../docs/operate/samples/broker.toml");
    let broker = check(broker, "https://id.example.com");
    assert_eq!(broker.token_exchange.len(), 1);
    assert_eq!(broker.broker_config().check(), Ok(()));
}
