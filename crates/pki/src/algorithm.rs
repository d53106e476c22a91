//! AlgorithmIdentifiers on the wire ↔ the names that the rest of the workspace uses.

use rustls_pki_types::{AlgorithmIdentifier, alg_id};
use waxseal_crypto::{HashAlgorithm, KeyKind, SignatureAlgorithm};

use crate::element::{self, Cursor, Element, NotDer, SEQUENCE};

/// One algorithm, with the AlgorithmIdentifier contents of its keys and of its signatures
/// (RFC 5758 §3.2, RFC 4055 §3 and §5, RFC 8410 §3, RFC 9881 §2).
pub(crate) struct Row {
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) key: AlgorithmIdentifier,
    pub(crate) signature: AlgorithmIdentifier,
}

const fn row(
    algorithm: SignatureAlgorithm,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
) -> Row {
    Row {
        algorithm,
        key,
        signature,
    }
}

use SignatureAlgorithm as A;

/// Every algorithm that may sign a certificate or a token. Ed25519ph may not (RFC 8410 §3), and
/// nothing with SHA-1 or MD5 is here.
pub(crate) static TABLE: &[Row] = &[
    row(A::EcdsaP256Sha256, alg_id::ECDSA_P256, alg_id::ECDSA_SHA256),
    row(A::EcdsaP256Sha384, alg_id::ECDSA_P256, alg_id::ECDSA_SHA384),
    row(A::EcdsaP256Sha512, alg_id::ECDSA_P256, alg_id::ECDSA_SHA512),
    row(A::EcdsaP384Sha256, alg_id::ECDSA_P384, alg_id::ECDSA_SHA256),
    row(A::EcdsaP384Sha384, alg_id::ECDSA_P384, alg_id::ECDSA_SHA384),
    row(A::EcdsaP384Sha512, alg_id::ECDSA_P384, alg_id::ECDSA_SHA512),
    row(A::EcdsaP521Sha256, alg_id::ECDSA_P521, alg_id::ECDSA_SHA256),
    row(A::EcdsaP521Sha384, alg_id::ECDSA_P521, alg_id::ECDSA_SHA384),
    row(A::EcdsaP521Sha512, alg_id::ECDSA_P521, alg_id::ECDSA_SHA512),
    row(A::Ed25519, alg_id::ED25519, alg_id::ED25519),
    row(
        A::RsaPkcs1Sha256,
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PKCS1_SHA256,
    ),
    row(
        A::RsaPkcs1Sha384,
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PKCS1_SHA384,
    ),
    row(
        A::RsaPkcs1Sha512,
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PKCS1_SHA512,
    ),
    row(
        A::RsaPssSha256,
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PSS_SHA256,
    ),
    row(
        A::RsaPssSha384,
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PSS_SHA384,
    ),
    row(
        A::RsaPssSha512,
        alg_id::RSA_ENCRYPTION,
        alg_id::RSA_PSS_SHA512,
    ),
    row(A::MlDsa44, alg_id::ML_DSA_44, alg_id::ML_DSA_44),
    row(A::MlDsa65, alg_id::ML_DSA_65, alg_id::ML_DSA_65),
    row(A::MlDsa87, alg_id::ML_DSA_87, alg_id::ML_DSA_87),
];

/// The algorithm of a signature, from its AlgorithmIdentifier's contents and the signer's key.
pub(crate) fn of_signature(identifier: &[u8], key: KeyKind) -> Option<SignatureAlgorithm> {
    TABLE
        .iter()
        .find(|row| row.algorithm.key_kind() == key && row.signature.as_ref() == identifier)
        .map(|row| row.algorithm)
}

/// The RSASSA-PKCS1-v1_5 algorithm of a CMS signer that names its key type only (RFC 3370 §3.2).
pub(crate) fn of_rsa_key(identifier: &[u8], hash: HashAlgorithm) -> Option<SignatureAlgorithm> {
    if identifier != alg_id::RSA_ENCRYPTION.as_ref() {
        return None;
    }
    Some(match hash {
        HashAlgorithm::Sha256 => A::RsaPkcs1Sha256,
        HashAlgorithm::Sha384 => A::RsaPkcs1Sha384,
        HashAlgorithm::Sha512 => A::RsaPkcs1Sha512,
        _ => return None,
    })
}

/// The whole AlgorithmIdentifier of a signature, `None` for Ed25519ph.
pub(crate) fn signature_identifier(algorithm: SignatureAlgorithm) -> Option<Vec<u8>> {
    TABLE
        .iter()
        .find(|row| row.algorithm == algorithm)
        .map(|row| element::encode(SEQUENCE, &[row.signature.as_ref()]))
}

const SHA2: [(HashAlgorithm, &[u8]); 3] = [
    (
        HashAlgorithm::Sha256,
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
    ),
    (
        HashAlgorithm::Sha384,
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
    ),
    (
        HashAlgorithm::Sha512,
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
    ),
];

/// Reads the AlgorithmIdentifier of a digest: `Ok(None)` if it names no SHA-2 of ours. Parameters
/// are absent or NULL (RFC 5754 §2).
pub(crate) fn digest(identifier: &Element<'_>) -> Result<Option<HashAlgorithm>, NotDer> {
    let mut cursor = identifier.inside();
    let oid = cursor.expect(element::OID)?;
    let found = SHA2.iter().find(|(_, bytes)| *bytes == oid.value);
    let Some((algorithm, _)) = found else {
        return Ok(None);
    };
    if !cursor.is_empty() && !cursor.expect(element::NULL)?.value.is_empty() {
        return Err(NotDer);
    }
    cursor.finish()?;
    Ok(Some(*algorithm))
}

/// The AlgorithmIdentifier of a digest, with absent parameters (RFC 5754 §2).
pub(crate) fn digest_identifier(algorithm: HashAlgorithm) -> Vec<u8> {
    let oid = SHA2
        .iter()
        .find(|(hash, _)| *hash == algorithm)
        .map_or(&[][..], |(_, oid)| oid);
    element::encode(SEQUENCE, &[element::encode(element::OID, &[oid])])
}

/// Whether the contents of an AlgorithmIdentifier are one OID and at most one more element.
pub(crate) fn is_identifier(contents: &[u8]) -> bool {
    let mut cursor = Cursor::new(contents);
    cursor.expect(element::OID).is_ok()
        && (cursor.is_empty() || cursor.next().is_ok())
        && cursor.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_round_trip() {
        for row in TABLE {
            let whole = signature_identifier(row.algorithm).unwrap();
            let element = Element::only(&whole, SEQUENCE).unwrap();
            assert!(is_identifier(element.value));
            let found = of_signature(element.value, row.algorithm.key_kind());
            assert_eq!(found, Some(row.algorithm));
        }
        assert_eq!(signature_identifier(A::Ed25519ph), None);
    }

    #[test]
    fn digests_round_trip() {
        for (algorithm, oid) in SHA2 {
            let absent = digest_identifier(algorithm);
            let oid = element::encode(element::OID, &[oid]);
            let null = element::encode(SEQUENCE, &[&oid[..], &[5, 0]]);
            let other = element::encode(SEQUENCE, &[&oid[..], &[4, 0]]);
            let check = |bytes: &[u8], expected| {
                assert_eq!(digest(&Element::only(bytes, SEQUENCE).unwrap()), expected);
            };
            check(&absent, Ok(Some(algorithm)));
            check(&null, Ok(Some(algorithm)));
            check(&other, Err(NotDer));
        }
        let sha1 = element::encode(SEQUENCE, &[[6, 5, 0x2b, 0x0e, 3, 2, 0x1a]]);
        assert_eq!(digest(&Element::only(&sha1, SEQUENCE).unwrap()), Ok(None));
    }
}
