//! Tests of the file above.

use super::*;
use crate::element::{OCTET_STRING, encode};
use crate::testing::{Draft, Party, eku, email, extension, fresh, provider, sign, unknown};

fn sct() -> Sct {
    Sct::new(
        [7; 32],
        1_700_000_000_123,
        vec![0, 0, 5, 0, 0, 0, 0, 42],
        SctScheme::EcdsaSha256,
        vec![1, 2, 3],
    )
}

#[test]
fn round_trip() {
    let bytes = sct().encode().unwrap();
    assert_eq!(
        hex::encode(&bytes),
        format!(
            "00{}0000018bcfe5687b000800000500000000 2a04030003010203",
            "07".repeat(32)
        )
        .replace(' ', "")
    );
    assert_eq!(Sct::parse(&bytes), Ok(sct()));
    assert_eq!(
        sct().time().unwrap().to_string(),
        "2023-11-14T22:13:20.123Z"
    );
    let list = SctList::new(vec![sct(), sct()]).unwrap();
    assert_eq!(SctList::parse(&list.encode().unwrap()), Ok(list.clone()));
    assert_eq!(list.as_slice().len(), 2);
    assert_eq!(SctList::new(Vec::new()), None);
    assert_eq!(SctList::new(vec![sct(); MAX_SCTS + 1]), None);
}

#[test]
fn malformed() {
    let bytes = sct().encode().unwrap();
    for length in 0..bytes.len() {
        assert_eq!(Sct::parse(&bytes[..length]), Err(SctError::Malformed));
    }
    assert_eq!(
        Sct::parse(&[&bytes[..], &[0]].concat()),
        Err(SctError::Malformed)
    );
    for list in [
        &[][..],
        &[0],
        &[0, 0],
        &[0, 1, 0],
        &[0, 2, 0, 1],
        &[0, 0, 0],
    ] {
        assert_eq!(SctList::parse(list), Err(SctError::Malformed), "{list:?}");
    }
    let mut long = sct();
    long.signature = vec![0; 65_536];
    assert_eq!(long.encode(), None);
}

#[test]
fn unknown_version() {
    let mut bytes = sct().encode().unwrap();
    bytes[0] = 1;
    assert_eq!(
        Sct::parse(&bytes),
        Err(SctError::UnknownVersion { found: 1 })
    );
}

#[test]
fn unknown_scheme() {
    for found in [[4, 2], [2, 3], [8, 7], [5, 3], [4, 7]] {
        let mut bytes = sct().encode().unwrap();
        bytes[51..53].copy_from_slice(&found);
        assert_eq!(Sct::parse(&bytes), Err(SctError::UnknownScheme { found }));
    }
}

#[test]
fn too_many() {
    let one = sct().encode().unwrap();
    let mut list = Vec::new();
    for _ in 0..=MAX_SCTS {
        push_vector(&mut list, &one).unwrap();
    }
    let mut bytes = Vec::new();
    push_vector(&mut bytes, &list).unwrap();
    assert_eq!(SctList::parse(&bytes), Err(SctError::TooMany));
    assert!(SctList::new(vec![sct(); MAX_SCTS]).is_some());
}

struct Logged {
    log: CtLogKey,
    sct: Sct,
    certificate: Certificate,
    issuer: Party,
}

/// A certificate with an SCT between other extensions, as an authority and a log make it.
fn logged(algorithm: SignatureAlgorithm) -> Logged {
    let (issuer, leaf, signer) = (Party::new("ca"), Party::new("leaf"), fresh(algorithm));
    let log = CtLogKey::new(provider(), signer.public_key()).unwrap();
    let poison = extension(crate::extension::POISON, true, &[5, 0]);
    let mut draft = Draft::new(&issuer, &leaf, &[eku(false, &[3]), email("a@b"), poison]);
    draft.extensions.push(unknown(false));
    let precertificate = draft.certificate(&issuer);
    let tbs = crate::tbs_without_poison(precertificate.tbs()).unwrap();
    let hash = issuer.key().spki_sha256();
    let entry = CtEntry::Precertificate {
        issuer_key_hash: hash,
        tbs: &tbs,
    };
    let mut sct = sct();
    sct.log_id = *log.id();
    sct.scheme = log.scheme;
    let input = entry.signed_input(sct.timestamp, &sct.extensions).unwrap();
    sct.signature = sign(&*signer, &input);
    let list = SctList::new(vec![sct.clone()]).unwrap().encode().unwrap();
    draft.extensions[2] = extension(
        crate::extension::SCT_LIST,
        false,
        &encode(OCTET_STRING, &[list]),
    );
    let certificate = draft.certificate(&issuer);
    assert_eq!(
        certificate.scts().unwrap().unwrap().as_slice(),
        std::slice::from_ref(&sct)
    );
    Logged {
        log,
        sct,
        certificate,
        issuer,
    }
}

#[test]
fn an_embedded_sct_verifies() {
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP384Sha256,
        SignatureAlgorithm::RsaPkcs1Sha256,
    ] {
        let Logged {
            log,
            sct,
            certificate,
            issuer,
        } = logged(algorithm);
        assert_eq!(
            sct.verify_embedded(&log, &certificate, issuer.key()),
            Ok(())
        );
        for change in [
            |sct: &mut Sct| sct.timestamp += 1,
            |sct: &mut Sct| sct.extensions.clear(),
            |sct: &mut Sct| sct.signature.clear(),
        ] {
            let mut changed = sct.clone();
            change(&mut changed);
            let found = changed.verify_embedded(&log, &certificate, issuer.key());
            assert_eq!(found, Err(SctError::Signature(SignatureError::Invalid)));
        }
    }
}

/// V-30: two authorities share a name; only the key that signed the certificate counts.
#[test]
fn v_30_the_issuer_key_comes_from_the_path() {
    let Logged {
        log,
        sct,
        certificate,
        ..
    } = logged(crate::testing::P256);
    let namesake = Party::new("ca");
    let found = sct.verify_embedded(&log, &certificate, namesake.key());
    assert_eq!(found, Err(SctError::Signature(SignatureError::Invalid)));
}

#[test]
fn wrong_log() {
    let Logged {
        sct,
        certificate,
        issuer,
        ..
    } = logged(crate::testing::P256);
    let other = CtLogKey::new(provider(), Party::new("log").key()).unwrap();
    let found = sct.verify_embedded(&other, &certificate, issuer.key());
    assert_eq!(found, Err(SctError::WrongLog));
}

#[test]
fn wrong_key() {
    let Logged {
        log,
        mut sct,
        certificate,
        issuer,
    } = logged(crate::testing::P256);
    sct.scheme = SctScheme::RsaSha256;
    let found = sct.verify_embedded(&log, &certificate, issuer.key());
    assert_eq!(found, Err(SctError::WrongKey));
    let ed25519 = fresh(SignatureAlgorithm::Ed25519);
    let found = CtLogKey::new(provider(), ed25519.public_key()).unwrap_err();
    assert_eq!(found, SignatureError::WrongKeyKind);
}

#[test]
fn splice() {
    let Logged {
        log, sct, issuer, ..
    } = logged(crate::testing::P256);
    let without = Draft::new(&issuer, &issuer, &[email("a@b")]).certificate(&issuer);
    let found = sct.verify_embedded(&log, &without, issuer.key());
    assert_eq!(found, Err(SctError::Splice(SpliceError::Missing)));
}

#[test]
fn signature() {
    let Logged {
        log,
        mut sct,
        certificate,
        issuer,
    } = logged(crate::testing::P256);
    sct.signature = vec![0x30, 6, 2, 1, 1, 2, 1, 1];
    let found = sct.verify_embedded(&log, &certificate, issuer.key());
    assert_eq!(found, Err(SctError::Signature(SignatureError::Invalid)));
    let whole = CtEntry::Certificate(certificate.der());
    assert!(matches!(
        sct.verify(&log, &whole),
        Err(SctError::Signature(_))
    ));
}
