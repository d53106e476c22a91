//! Tests of the file above.

use super::*;
use crate::element::{INTEGER, OCTET_STRING, SEQUENCE, encode};
use crate::testing::{
    Draft, Party, TokenDraft, ca, eku, provider, signed_attribute, tst_info, unknown,
};
use waxseal_crypto::HashAlgorithm;

struct World {
    root: Party,
    tsa: Party,
    root_draft: Draft,
    leaf: Draft,
    /// Whether the trusted root names the signer, or the authority above it alone.
    pinned: bool,
    change: fn(&mut TokenDraft, &Certificate),
    message: &'static [u8],
}

fn world() -> World {
    world_with(SignatureAlgorithm::EcdsaP256Sha256)
}

fn world_with(algorithm: SignatureAlgorithm) -> World {
    let (root, tsa) = (Party::new("tsa root"), Party::with("tsa", algorithm));
    let root_draft = Draft::new(&root, &root, &[ca(Some(0))]);
    let leaf = Draft::new(&root, &tsa, &[eku(true, &[8])]);
    let change = |_: &mut TokenDraft, _: &Certificate| ();
    World {
        root,
        tsa,
        root_draft,
        leaf,
        pinned: true,
        change,
        message: b"hello",
    }
}

impl World {
    /// Signing anew makes another certificate, so that one is made for both sides.
    fn certificate(&self) -> Certificate {
        self.leaf.certificate(&self.root)
    }

    fn authority(&self, leaf: &[u8]) -> Result<TimestampAuthority, AuthorityError> {
        let root = self.root_draft.der(&self.root);
        let chain = if self.pinned {
            vec![leaf, &root]
        } else {
            vec![&root[..]]
        };
        TimestampAuthority::new(provider(), &chain)
    }

    fn token(&self, certificate: &Certificate) -> TimestampToken {
        let mut draft = TokenDraft::new(certificate, &self.tsa);
        if !self.pinned {
            draft.certificates = Some(vec![certificate.der().to_vec()]);
        }
        (self.change)(&mut draft, certificate);
        TimestampToken::parse(&draft.der(&self.tsa)).unwrap()
    }

    fn verify(&self) -> Result<VerifiedTimestamp, TimestampError> {
        let certificate = self.certificate();
        let authority = self.authority(certificate.der()).unwrap();
        authority.verify(&self.token(&certificate), self.message)
    }
}

#[test]
fn tokens_verify() {
    for algorithm in [
        SignatureAlgorithm::EcdsaP256Sha256,
        SignatureAlgorithm::EcdsaP256Sha512,
        SignatureAlgorithm::EcdsaP384Sha256,
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::EcdsaP521Sha512,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::RsaPkcs1Sha256,
        SignatureAlgorithm::RsaPkcs1Sha512,
        SignatureAlgorithm::RsaPssSha256,
    ] {
        for pinned in [true, false] {
            let mut world = world_with(algorithm);
            world.pinned = pinned;
            let verified = world.verify().unwrap();
            assert_eq!(
                verified.to_string(),
                "2026-06-01T12:00:00Z",
                "{algorithm:?}"
            );
            assert_eq!(verified.serial, [9]);
        }
    }
    let world = world();
    let authority = world.authority(&world.leaf.der(&world.root)).unwrap();
    assert!(authority.leaf().is_some());
    assert_eq!(authority.chain().certificates().len(), 1);
}

#[test]
fn rsa_signers_may_name_their_key_type_only() {
    let mut world = world_with(SignatureAlgorithm::RsaPkcs1Sha384);
    world.change = |draft, _| {
        draft.algorithm = encode(
            SEQUENCE,
            &[rustls_pki_types::alg_id::RSA_ENCRYPTION.as_ref()],
        );
    };
    assert!(world.verify().is_ok());
}

mod authority_error {
    use super::*;

    fn error(change: impl FnOnce(&mut World)) -> AuthorityError {
        let mut world = world();
        change(&mut world);
        world.authority(&world.leaf.der(&world.root)).unwrap_err()
    }

    #[test]
    fn certificate() {
        let found = TimestampAuthority::new(provider(), &[b"nothing"]).unwrap_err();
        assert_eq!(
            found,
            AuthorityError::Certificate(CertificateError::Malformed)
        );
    }

    /// V-27: an authority with an empty chain is none.
    #[test]
    fn chain() {
        let found = TimestampAuthority::new::<&[u8]>(provider(), &[]).unwrap_err();
        assert_eq!(found, AuthorityError::Chain(ChainError::Empty));
        let world = world();
        let found = TimestampAuthority::new(provider(), &[world.leaf.der(&world.root)]);
        assert_eq!(found.unwrap_err(), AuthorityError::Chain(ChainError::Empty));
    }

    #[test]
    fn leaf() {
        let found = error(|world| world.leaf.issuer = crate::testing::name("other"));
        assert_eq!(found, AuthorityError::Leaf(PathError::UnknownIssuer));
        let found = error(|world| world.leaf.extensions.push(unknown(true)));
        assert!(matches!(found, AuthorityError::Leaf(_)));
    }

    /// V-66: critical, and for timestamps alone.
    #[test]
    fn extended_key_usage() {
        for wrong in [
            eku(false, &[8]),
            eku(true, &[8, 3]),
            eku(true, &[3]),
            unknown(false),
        ] {
            let found = error(|world| world.leaf.extensions = vec![wrong]);
            assert_eq!(found, AuthorityError::ExtendedKeyUsage);
        }
    }

    #[test]
    fn key() {
        let found = error(|world| world.leaf.spki = vec![0x30, 0]);
        assert_eq!(found, AuthorityError::Key(KeyError::Malformed));
    }
}

mod timestamp_error {
    use super::*;

    fn error(change: impl Fn(&mut World)) -> TimestampError {
        let mut world = world();
        change(&mut world);
        world.verify().unwrap_err()
    }

    fn both(change: impl Fn(&mut World)) -> TimestampError {
        let pinned = error(&change);
        let embedded = error(|world| {
            world.pinned = false;
            change(world);
        });
        assert_eq!(pinned, embedded);
        pinned
    }

    #[test]
    fn wrong_message() {
        assert_eq!(
            both(|world| world.message = b"other"),
            TimestampError::WrongMessage
        );
    }

    /// V-60, V-61: a second certificate that might be the signer's.
    #[test]
    fn ambiguous_signer() {
        let found = both(|world| {
            world.change = |draft, certificate| {
                let stranger = Party::new("spoofed");
                let other = Draft::new(&stranger, &stranger, &[eku(true, &[8])]);
                draft.certificates = Some(vec![other.der(&stranger), certificate.der().to_vec()]);
            };
        });
        assert_eq!(found, TimestampError::AmbiguousSigner);
        let mut world = world();
        world.change = |draft, certificate| {
            let stranger = Party::new("an authority");
            let other = Draft::new(&stranger, &stranger, &[ca(None)]);
            draft.certificates = Some(vec![other.der(&stranger), certificate.der().to_vec()]);
        };
        assert!(world.verify().is_ok(), "authorities may travel along");
    }

    #[test]
    fn unknown_signer() {
        let found = both(|world| {
            world.change = |draft, certificate| {
                let serial = encode(INTEGER, &[[8]]);
                draft.sid = encode(SEQUENCE, &[certificate.issuer().der(), &serial]);
            };
        });
        assert_eq!(found, TimestampError::UnknownSigner);
        let found = error(|world| {
            world.pinned = false;
            world.change = |draft, _| draft.certificates = None;
        });
        assert_eq!(found, TimestampError::UnknownSigner);
    }

    /// V-61: the token of one authority is not that of another, though its certificates say so.
    #[test]
    fn v_61_a_token_of_another_authority() {
        for (pinned, expected) in [
            (true, TimestampError::WrongSigningCertificate),
            (false, TimestampError::Path(PathError::Signature)),
        ] {
            let (mut ours, mut theirs) = (world(), world());
            ours.pinned = pinned;
            theirs.pinned = pinned;
            let authority = ours.authority(ours.certificate().der()).unwrap();
            let token = theirs.token(&theirs.certificate());
            assert_eq!(authority.verify(&token, b"hello"), Err(expected));
        }
    }

    #[test]
    fn wrong_signing_certificate() {
        let found = both(|world| {
            world.change = |draft, _| {
                let id = encode(SEQUENCE, &[encode(OCTET_STRING, &[[7; 32]])]);
                let value = encode(SEQUENCE, &[encode(SEQUENCE, &[id])]);
                draft.attributes.as_mut().unwrap()[2] =
                    signed_attribute("1.2.840.113549.1.9.16.2.47", &value);
            };
        });
        assert_eq!(found, TimestampError::WrongSigningCertificate);
    }

    /// V-66: critical, and for timestamps alone.
    #[test]
    fn extended_key_usage() {
        for wrong in [eku(false, &[8]), eku(true, &[8, 3]), eku(true, &[3])] {
            let found = error(|world| {
                world.pinned = false;
                world.leaf.extensions = vec![wrong.clone()];
            });
            assert_eq!(found, TimestampError::ExtendedKeyUsage);
        }
    }

    /// V-65: signer and authorities must be valid at the token's time, not at any other.
    #[test]
    fn v_65_path() {
        let at = |from: &'static str, to: &'static str| {
            both(|world| world.leaf = world.leaf.clone().dates(from, to))
        };
        let found = at("2026-01-01T00:00:00Z", "2026-06-01T11:59:59Z");
        assert!(matches!(
            found,
            TimestampError::Path(PathError::Expired { depth: 0, .. })
        ));
        let found = at("2026-06-01T12:00:01Z", "2026-12-01T00:00:00Z");
        assert!(matches!(
            found,
            TimestampError::Path(PathError::NotYetValid { depth: 0, .. })
        ));
        let found = both(|world| {
            let draft = world.root_draft.clone();
            world.root_draft = draft.dates("2026-01-01T00:00:00Z", "2026-06-01T11:59:59Z");
        });
        assert!(matches!(
            found,
            TimestampError::Path(PathError::Expired { depth: 1, .. })
        ));
    }

    #[test]
    fn path() {
        v_65_path();
    }

    #[test]
    fn key() {
        let found = error(|world| {
            world.pinned = false;
            world.leaf.spki = vec![0x30, 0];
        });
        // webpki reads keys of leaves no further than their frame.
        assert!(
            matches!(found, TimestampError::Key(_) | TimestampError::Path(_)),
            "{found}"
        );
    }

    #[test]
    fn content_digest() {
        let found = both(|world| {
            world.change = |draft, _| draft.content = tst_info(&[vec![1, 1, 0xff]]);
        });
        assert_eq!(found, TimestampError::ContentDigest);
    }

    /// V-66: the hash of the signature is the signer's hash, and the algorithm is the key's.
    #[test]
    fn unsupported_algorithm() {
        for algorithm in [
            SignatureAlgorithm::EcdsaP256Sha512,
            SignatureAlgorithm::Ed25519,
        ] {
            let world = world();
            let certificate = world.certificate();
            let mut draft = TokenDraft::new(&certificate, &world.tsa);
            draft.algorithm = algorithm::signature_identifier(algorithm).unwrap();
            let token = TimestampToken::parse(&draft.der(&world.tsa)).unwrap();
            let authority = world.authority(certificate.der()).unwrap();
            let found = authority.verify(&token, b"hello");
            assert_eq!(found, Err(TimestampError::UnsupportedAlgorithm));
        }
        let rsa = both(|world| {
            world.change = |draft, _| {
                draft.algorithm = encode(
                    SEQUENCE,
                    &[rustls_pki_types::alg_id::RSA_ENCRYPTION.as_ref()],
                );
            };
        });
        assert_eq!(rsa, TimestampError::UnsupportedAlgorithm);
    }

    /// V-62: the signature itself is checked.
    #[test]
    fn signature() {
        let found = both(|world| world.change = |draft, _| draft.spoil = true);
        assert_eq!(found, TimestampError::Signature);
    }
}

/// Any change of a signed byte is noticed.
#[test]
fn every_bit_of_the_signed_part_counts() {
    let world = world();
    let certificate = world.certificate();
    let authority = world.authority(certificate.der()).unwrap();
    let token = world.token(&certificate);
    let good = authority.verify(&token, b"hello").unwrap();
    let mut accepted = 0;
    for index in 0..token.der().len() {
        let mut changed = token.der().to_vec();
        changed[index] ^= 1;
        if let Ok(token) = TimestampToken::parse(&changed)
            && let Ok(verified) = authority.verify(&token, b"hello")
        {
            assert_eq!(verified, good, "byte {index}");
            accepted += 1;
        }
    }
    // Hints that are not signed: digestAlgorithms alone.
    assert!(accepted <= 16, "{accepted}");
    let other = Digest::of(HashAlgorithm::Sha512, b"hello");
    let found = authority.verify_digest(&token, &other);
    assert_eq!(found, Err(TimestampError::WrongMessage));
}
