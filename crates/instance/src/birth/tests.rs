//! What an instance never changes, and what happens to a record that is not whole.
#![cfg(unix)]

use super::*;
use crate::{Config, Flags};

const MAIL: &str =
    "[smtp]\nhost = 'mail.example'\nfrom = 'id@example.com'\nallow_domains = ['example.com']\n";

fn settings(file: &str, listen: &str) -> Settings {
    let flags = Flags {
        listen: Some(listen.to_owned()),
        ..Flags::default()
    };
    Config::from_toml(file).unwrap().settle(flags).unwrap()
}

fn at(seconds: i64) -> Time {
    Time::from_unix(seconds).unwrap()
}

/// A directory that was born with these settings, and is started again with those.
fn check(first: &Settings, next: &Settings) -> Result<Birth, BirthError> {
    let outside = tempfile::tempdir().unwrap();
    let data = DataDir::open(&outside.path().join("data")).unwrap();
    let born = Birth::of(&data, first, at(1_767_225_600)).unwrap();
    assert!(!born.is_complete());
    let again = Birth::of(&data, next, at(1_800_000_000))?;
    assert_eq!(again, born);
    Ok(again)
}

#[test]
fn remembered() {
    let settings = settings("", "localhost:1");
    let birth = check(&settings, &settings).unwrap();
    assert_eq!(birth.url().as_str(), "http://localhost:1");
    assert_eq!(
        (birth.mail(), birth.born()),
        (Mail::Outbox, at(1_767_225_600))
    );
}

#[test]
fn url_changed() {
    let refused = check(&settings("", "localhost:1"), &settings("", "localhost:2"));
    let message = refused.as_ref().unwrap_err().to_string();
    assert!(message.contains("--url http://localhost:1"), "{message}");
    assert!(matches!(refused, Err(BirthError::UrlChanged { .. })));
    // The same machine by another name is another issuer.
    let refused = check(&settings("", "localhost:1"), &settings("", "127.0.0.1:1"));
    assert!(matches!(refused, Err(BirthError::UrlChanged { .. })));
}

#[test]
fn outbox_for_good() {
    let refused = check(&settings("", "localhost:1"), &settings(MAIL, "localhost:1"));
    assert!(matches!(refused, Err(BirthError::OutboxForGood)));
}

#[test]
fn smtp_for_good() {
    let refused = check(&settings(MAIL, "localhost:1"), &settings("", "localhost:1"));
    assert!(matches!(refused, Err(BirthError::SmtpForGood)));
}

#[test]
fn providers_alone_need_no_mail_and_may_get_some() {
    let providers = "behind_tls_proxy = true\nurl = 'https://a.example'\n[[connectors]]\n\
                     type = 'github'\nclient_id = 'x'\nclient_secret_env = 'S'\n\
                     allow_domains = ['*']\n";
    let alone = || settings(providers, "localhost:1");
    let mailed = || settings(&format!("{providers}{MAIL}"), "localhost:1");
    assert_eq!(check(&alone(), &mailed()).unwrap().mail(), Mail::None);
    // Mail that people relied on may go: then nobody logs in by it.
    assert_eq!(check(&mailed(), &alone()).unwrap().mail(), Mail::Smtp);
}

fn with_record(text: &str) -> Result<Birth, BirthError> {
    let outside = tempfile::tempdir().unwrap();
    let data = DataDir::open(&outside.path().join("data")).unwrap();
    data.create(Part::Keys, FILE, text.as_bytes()).unwrap();
    Birth::of(&data, &settings("", "localhost:1"), at(0))
}

#[test]
fn malformed() {
    let whole = |url: &str, mail: &str, born: &str| {
        format!("layout = 1\nurl = '{url}'\nmail = '{mail}'\nborn = '{born}'\nversion = '1'")
    };
    let (url, born) = ("http://localhost:1", "2026-01-01T00:00:00Z");
    assert!(with_record(&whole(url, "outbox", born)).is_ok());
    for text in [
        String::new(),
        "x".to_owned(),
        "layout = 1".to_owned(),
        whole("x", "outbox", born),
        whole(url, "dove", born),
        whole(url, "outbox", "once"),
        format!("{}\nnovelty = 1", whole(url, "outbox", born)),
    ] {
        assert!(
            matches!(with_record(&text), Err(BirthError::Malformed)),
            "{text}"
        );
    }
}

#[test]
fn unknown_layout() {
    let refused = with_record("layout = 2\nnovelty = true");
    assert!(matches!(
        refused,
        Err(BirthError::UnknownLayout { found: 2 })
    ));
}

#[test]
fn missing() {
    let outside = tempfile::tempdir().unwrap();
    let data = DataDir::open(&outside.path().join("data")).unwrap();
    data.create(Part::Keys, "log.key.pem", b"").unwrap();
    let refused = Birth::of(&data, &settings("", "localhost:1"), at(0));
    assert!(matches!(refused, Err(BirthError::Missing)));
}

#[test]
fn a_birth_that_was_cut_short_is_given_again() {
    let outside = tempfile::tempdir().unwrap();
    let data = DataDir::open(&outside.path().join("data")).unwrap();
    data.create(Part::Keys, ".birth.toml.draft", b"layo")
        .unwrap();
    Birth::of(&data, &settings("", "localhost:1"), at(0)).unwrap();
}

#[test]
fn data() {
    let outside = tempfile::tempdir().unwrap();
    let data = DataDir::open(&outside.path().join("data")).unwrap();
    std::fs::write(data.path().join("keys"), "").unwrap();
    let refused = Birth::of(&data, &settings("", "localhost:1"), at(0));
    assert!(matches!(refused, Err(BirthError::Data(_))));
}
