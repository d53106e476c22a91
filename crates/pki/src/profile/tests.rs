//! Both sides of every rule.

use super::*;
use crate::element::encode;
use crate::testing::{Draft, Party, ca, eku, email, extension, unknown, usage};

fn id(last: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    extension(&[0x55, 0x1d, last], critical, value)
}

fn ski() -> Vec<u8> {
    id(0x0e, false, &[4, 1, 7])
}

fn aki() -> Vec<u8> {
    id(0x23, false, &[0x30, 3, 0x80, 1, 7])
}

fn dns(critical: bool, name: &str) -> Vec<u8> {
    id(0x11, critical, &encode(SEQUENCE, &[encode(0x82, &[name])]))
}

fn constraints(value: &[u8]) -> Vec<u8> {
    id(0x1e, true, value)
}

const DNS_ONLY: &[u8] = &[0x30, 7, 0xa0, 5, 0x30, 3, 0x82, 1, 0x61];

fn leaf(expected: Option<Rule>, change: impl FnOnce(&mut Draft)) {
    let party = Party::new("x");
    let mut draft = Draft::new(&party, &party, &[aki(), dns(false, "example.com")]);
    change(&mut draft);
    let found = check_leaf(&draft.certificate(&party), Purpose::ServerAuth);
    assert_eq!(found.err(), expected);
}

fn authority(expected: Option<Rule>, is_anchor: bool, change: impl FnOnce(&mut Draft)) {
    let party = Party::new("x");
    let mut draft = Draft::new(&party, &party, &[ca(None), ski(), aki()]);
    change(&mut draft);
    let found = check_authority(&draft.certificate(&party), is_anchor, Purpose::ServerAuth);
    assert_eq!(found.err(), expected);
}

fn with(more: Vec<u8>) -> impl FnOnce(&mut Draft) {
    move |draft| draft.extensions.push(more)
}

fn only(extensions: &[Vec<u8>]) -> impl FnOnce(&mut Draft) + use<> {
    let extensions = extensions.to_vec();
    move |draft| draft.extensions = extensions
}

#[test]
fn a_good_path_breaks_nothing() {
    leaf(None, |_| ());
    authority(None, true, |_| ());
    authority(None, false, |_| ());
    leaf(None, with(eku(false, &[1])));
}

#[test]
fn serial_number() {
    let rule = Some(Rule::SerialNumber);
    let serial = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        move |draft: &mut Draft| draft.serial = bytes
    };
    leaf(rule, serial(&[0]));
    leaf(rule, serial(&[0x80]));
    leaf(rule, serial(&[1; 21]));
    leaf(rule, serial(&[&[0][..], &[0xff; 21]].concat()));
    leaf(None, serial(&[1; 20]));
    leaf(None, serial(&[&[0][..], &[0xff; 20]].concat()));
    authority(rule, false, serial(&[0]));
    authority(None, true, serial(&[0]));
}

#[test]
fn key() {
    leaf(Some(Rule::Key), |draft| draft.spki = vec![0x30, 0]);
    authority(Some(Rule::Key), true, |draft| draft.spki = vec![0x30, 0]);
}

#[test]
fn subject() {
    authority(Some(Rule::Subject), true, |draft| {
        draft.subject = vec![0x30, 0]
    });
}

#[test]
fn critical_extension() {
    leaf(Some(Rule::CriticalExtension), with(unknown(true)));
    leaf(None, with(unknown(false)));
    authority(Some(Rule::CriticalExtension), true, with(unknown(true)));
}

#[test]
fn basic_constraints() {
    let rule = Some(Rule::BasicConstraints);
    authority(rule, true, only(&[ski(), aki()]));
    authority(
        rule,
        true,
        only(&[id(0x13, false, &[0x30, 3, 1, 1, 0xff]), ski(), aki()]),
    );
}

#[test]
fn key_usage() {
    leaf(Some(Rule::KeyUsage), with(usage(0x04)));
    leaf(None, with(usage(0x80)));
    authority(Some(Rule::KeyUsage), false, with(usage(0x80)));
    authority(None, false, with(usage(0x04)));
}

#[test]
fn subject_key_identifier() {
    let rule = Some(Rule::SubjectKeyIdentifier);
    authority(rule, false, only(&[ca(None), aki()]));
    authority(
        rule,
        true,
        only(&[ca(None), id(0x0e, true, &[4, 1, 7]), aki()]),
    );
}

#[test]
fn authority_key_identifier() {
    let rule = Some(Rule::AuthorityKeyIdentifier);
    leaf(rule, only(&[dns(false, "a")]));
    leaf(
        rule,
        only(&[id(0x23, true, &[0x30, 3, 0x80, 1, 7]), dns(false, "a")]),
    );
    authority(rule, false, only(&[ca(None), ski()]));
    authority(None, true, only(&[ca(None), ski()]));
    // A root names its own key, and nothing else.
    let names = |value: &[u8]| only(&[ca(None), ski(), id(0x23, false, value)]);
    authority(rule, true, names(&[0x30, 3, 0x80, 1, 8]));
    authority(rule, true, names(&[0x30, 0]));
    authority(rule, true, names(&[0x30, 6, 0x80, 1, 7, 0x82, 1, 1]));
    authority(None, false, names(&[0x30, 3, 0x80, 1, 8]));
    authority(rule, false, names(&[0x30, 0]));
}

#[test]
fn name_constraints() {
    let rule = Some(Rule::NameConstraints);
    leaf(rule, with(constraints(DNS_ONLY)));
    authority(None, false, with(constraints(DNS_ONLY)));
    authority(rule, false, with(constraints(&[0x30, 0])));
    let dotted = &[0x30, 8, 0xa0, 6, 0x30, 4, 0x82, 2, b'.', b'a'];
    authority(rule, false, with(constraints(dotted)));
    authority(rule, false, with(constraints(&[0x30, 4, 0xa0, 0, 0xa1, 0])));
    authority(rule, false, with(constraints(&[0x30, 4, 5, 0, 5, 0])));
    authority(rule, false, with(constraints(&[0x30, 1, 0xa0])));
}

#[test]
fn policy_constraints() {
    leaf(
        Some(Rule::PolicyConstraints),
        with(id(0x24, false, &[0x30, 0])),
    );
}

#[test]
fn authority_information_access() {
    let access = |value: &[u8]| with(extension(&[0x2b, 6, 1, 5, 5, 7, 1, 1], false, value));
    let rule = Some(Rule::AuthorityInformationAccess);
    leaf(rule, access(b"nothing"));
    leaf(rule, access(&[0x30, 0]));
    leaf(rule, access(&[0x30, 7, 0x30, 5, 6, 1, 0x2a, 5, 0]));
    leaf(None, access(&[0x30, 8, 0x30, 6, 6, 1, 0x2a, 0x86, 1, 0x61]));
}

#[test]
fn subject_alt_name() {
    let rule = Some(Rule::SubjectAltName);
    leaf(rule, only(&[aki(), dns(true, "a")]));
    leaf(rule, |draft| draft.subject = vec![0x30, 0]);
    leaf(None, |draft| {
        draft.subject = vec![0x30, 0];
        draft.extensions = vec![aki(), dns(true, "a")];
    });
    let party = Party::new("x");
    let client = Draft::new(&party, &party, &[aki(), email("a@b")]).certificate(&party);
    assert_eq!(check_leaf(&client, Purpose::ClientAuth), Ok(()));
}

#[test]
fn dns_name() {
    leaf(Some(Rule::DnsName), only(&[aki(), dns(false, "a_b")]));
}

#[test]
fn extended_key_usage() {
    let rule = Some(Rule::ExtendedKeyUsage);
    leaf(rule, with(eku(true, &[1])));
    leaf(
        rule,
        with(id(0x25, false, &[0x30, 6, 6, 4, 0x55, 0x1d, 0x25, 0])),
    );
    authority(rule, true, with(eku(false, &[1])));
    authority(None, false, with(eku(false, &[1])));
}
