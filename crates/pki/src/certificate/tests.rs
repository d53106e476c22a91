//! Tests of the file above.

use super::*;
use crate::element::{OID, encode};
use crate::testing::{Draft, Party, ca, email, extension, time, unknown, usage};

fn draft(extensions: &[Vec<u8>]) -> (Party, Draft) {
    let party = Party::new("root");
    let draft = Draft::new(&party, &party, extensions);
    (party, draft)
}

fn error(extensions: &[Vec<u8>]) -> CertificateError {
    let (party, draft) = draft(extensions);
    Certificate::parse(draft.der(&party)).unwrap_err()
}

fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new(text).unwrap()
}

#[test]
fn fields() {
    let (party, mut draft) = draft(&[ca(Some(3)), usage(0x04), email("a@example.com")]);
    draft.serial = vec![0x80];
    let der = draft.der(&party);
    let certificate = Certificate::parse(der.clone()).unwrap();
    assert_eq!(certificate.der(), der);
    assert_eq!(
        certificate.serial(),
        [0x80],
        "negative serial numbers are read"
    );
    assert_eq!(certificate.issuer(), certificate.subject());
    assert_eq!(certificate.subject().common_name(), Some("root"));
    assert_eq!(certificate.public_key(), Ok(party.key()));
    assert_eq!(certificate.spki_der(), party.key().spki_der());
    let provider = crate::testing::provider();
    assert_eq!(certificate.verify_signature(provider, party.key()), Ok(()));
    assert_eq!(
        certificate.verify_signature(provider, Party::new("other").key()),
        Err(SignatureError::Invalid)
    );
    assert!(certificate.is_ca());
    assert_eq!(certificate.basic_constraints().unwrap().path_len, Some(3));
    assert!(certificate.key_usage().unwrap().key_cert_sign);
    assert!(!certificate.key_usage().unwrap().digital_signature);
    let names = [SubjectAltName::Email("a@example.com".into())];
    assert_eq!(certificate.subject_alt_names(), names);
    assert!(certificate.is_subject_alt_name_critical());
    assert_eq!(certificate.extensions().count(), 3);
    assert_eq!(
        certificate.extension(oid("2.5.29.15")),
        Some(&[3, 2, 2, 4][..])
    );
    assert_eq!(certificate.extension(oid("2.5.29.14")), None);
    assert_eq!(certificate.scts(), Ok(None));
    assert!(format!("{certificate:?}").contains("a@example.com"));
}

#[test]
fn dates_include_both_ends() {
    let (party, draft) = draft(&[ca(None)]);
    let certificate = draft.certificate(&party);
    let check = |text: &str, expected| {
        assert_eq!(certificate.is_valid_at(time(text)), expected, "{text}");
    };
    check("2025-12-31T23:59:59.999Z", false);
    check("2026-01-01T00:00:00Z", true);
    check("2026-12-31T23:59:59Z", true);
    check("2026-12-31T23:59:59.999Z", true);
    check("2027-01-01T00:00:00Z", false);
}

#[test]
fn sigstore_extensions() {
    let arc = |number: u8| [&[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1], &[number][..]].concat();
    let v1 = extension(&arc(1), false, b"https://issuer");
    let v2 = extension(&arc(8), false, &encode(0x0c, &["https://issuer"]));
    let undefined = extension(&arc(99), false, &[0xff]);
    let (party, draft) = draft(&[v1, v2, undefined]);
    let certificate = draft.certificate(&party);
    assert_eq!(certificate.sigstore_extension(1), Some("https://issuer"));
    assert_eq!(certificate.sigstore_extension(8), Some("https://issuer"));
    assert_eq!(certificate.sigstore_extension(9), None);
    assert_eq!(certificate.sigstore_extension(99), None);
    assert_eq!(certificate.sigstore_extensions().count(), 2);
    for wrong in [
        extension(&arc(1), false, &[0xff]),
        extension(&arc(8), false, b"bare"),
        extension(&arc(8), false, &encode(0x0c, &[[0xff]])),
        extension(&arc(24), false, &encode(0x16, &["ia5"])),
    ] {
        let found = error(&[wrong]);
        assert!(
            matches!(found, CertificateError::MalformedExtension { .. }),
            "{found}"
        );
    }
}

#[test]
fn too_large() {
    let check = |length: usize, expected: CertificateError| {
        assert_eq!(Certificate::parse(vec![0; length]), Err(expected));
    };
    check(MAX_CERTIFICATE, CertificateError::Malformed);
    check(
        MAX_CERTIFICATE + 1,
        CertificateError::TooLarge {
            found: MAX_CERTIFICATE + 1,
        },
    );
}

#[test]
fn malformed() {
    let (party, draft) = draft(&[ca(None)]);
    let der = draft.der(&party);
    for length in 0..der.len() {
        assert_eq!(
            Certificate::parse(&der[..length]),
            Err(CertificateError::Malformed)
        );
    }
    let trailing = [&der[..], &[0]].concat();
    assert_eq!(
        Certificate::parse(trailing),
        Err(CertificateError::Malformed)
    );
    assert_eq!(
        error(&[]),
        CertificateError::Malformed,
        "no empty list of extensions"
    );
    let explicit_false = encode(
        0x30,
        &[encode(OID, &[[0x2a, 3]]), vec![1, 1, 0], vec![4, 0]],
    );
    assert_eq!(error(&[explicit_false]), CertificateError::Malformed);
}

#[test]
fn no_bit_flip_panics() {
    let (party, draft) = draft(&[ca(None), email("a@b"), usage(0x80), unknown(true)]);
    let der = draft.der(&party);
    for index in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[index] ^= 1 << bit;
            if let Ok(certificate) = Certificate::parse(changed) {
                let _ = format!("{certificate:?}");
                let _ = certificate.scts();
                let _ = crate::tbs_without_scts(certificate.tbs());
            }
        }
    }
}

#[test]
fn algorithm_mismatch() {
    let (party, mut draft) = draft(&[ca(None)]);
    draft.inner_algorithm = algorithm::signature_identifier(SignatureAlgorithm::EcdsaP384Sha384);
    let found = Certificate::parse(draft.der(&party));
    assert_eq!(found, Err(CertificateError::AlgorithmMismatch));
}

#[test]
fn too_many_extensions() {
    let many = |count: u8| -> Vec<_> {
        (0..count)
            .map(|n| extension(&[0x2a, 3, n], false, &[]))
            .collect()
    };
    let (party, draft) = draft(&many(64));
    assert!(Certificate::parse(draft.der(&party)).is_ok());
    assert_eq!(error(&many(65)), CertificateError::TooManyExtensions);
}

#[test]
fn duplicate_extension() {
    let found = error(&[ca(None), unknown(false), ca(None)]);
    assert_eq!(
        found,
        CertificateError::DuplicateExtension {
            oid: oid("2.5.29.19")
        }
    );
}

#[test]
fn malformed_extension() {
    let check = |last: u8, value: &[u8]| {
        let found = error(&[extension(&[0x55, 0x1d, last], false, value)]);
        let oid = oid(&format!("2.5.29.{last}"));
        assert_eq!(
            found,
            CertificateError::MalformedExtension { oid },
            "{value:02x?}"
        );
    };
    check(14, &[]);
    check(15, &[3, 1, 0]);
    check(15, &[3, 2, 0, 0x80]);
    check(15, &[3, 2, 8, 0x80]);
    check(15, &[3, 4, 0, 1, 1, 1]);
    check(17, &[0x30, 0]);
    check(17, &[0x30, 3, 0x81, 1, 0xff]);
    check(17, &[0x30, 3, 0x89, 1, 0x41]);
    check(17, &[0x30, 2, 0xa0, 0]);
    check(19, &[0x30, 3, 1, 1, 1]);
    check(19, &[0x30, 3, 2, 1, 0xff]);
    check(37, &[0x30, 0]);
    check(37, &[0x30, 2, 5, 0]);
    check(35, &[0x31, 0]);
    let poison = extension(crate::extension::POISON, false, &[5, 0]);
    assert!(matches!(
        error(&[poison]),
        CertificateError::MalformedExtension { .. }
    ));
}

/// An independent parser reads the same out of the same bytes.
#[test]
fn x509_parser_agrees() {
    use x509_parser::prelude::FromDer as _;
    let (party, draft) = draft(&[ca(Some(1)), email("a@b"), usage(0x86), unknown(false)]);
    let ours = draft.certificate(&party);
    let (rest, theirs) = x509_parser::certificate::X509Certificate::from_der(ours.der()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(theirs.tbs_certificate.as_ref(), ours.tbs());
    assert_eq!(theirs.tbs_certificate.raw_serial(), ours.serial());
    assert_eq!(theirs.issuer().as_raw(), ours.issuer().der());
    assert_eq!(theirs.subject().as_raw(), ours.subject().der());
    assert_eq!(theirs.public_key().raw, ours.spki_der());
    assert_eq!(
        theirs.validity().not_before.timestamp(),
        ours.not_before().unix_seconds()
    );
    assert_eq!(
        theirs.validity().not_after.timestamp(),
        ours.not_after().unix_seconds()
    );
    assert_eq!(&*theirs.signature_value.data, ours.signature());
    for (theirs, (oid, critical, value)) in theirs.extensions().iter().zip(ours.extensions()) {
        assert_eq!(theirs.oid.as_bytes(), oid.as_bytes());
        assert_eq!(theirs.critical, critical);
        assert_eq!(theirs.value, value);
    }
}
