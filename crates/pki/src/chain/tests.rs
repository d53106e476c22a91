//! Tests of the file above.

use super::*;
use crate::PathSearch;
use crate::element::encode;
use crate::testing::{Draft, Party, ca, eku, email, extension, provider, time, unknown, usage};
use waxseal_crypto::SignatureAlgorithm;

const NOON: &str = "2026-06-01T12:00:00Z";

struct World {
    root: Party,
    intermediate: Party,
    chain: Vec<Draft>,
    end: Draft,
}

fn world() -> World {
    let (root, intermediate, leaf) = (Party::new("root"), Party::new("ca"), Party::new("leaf"));
    let root_draft = Draft::new(&root, &root, &[ca(None), usage(0x06)]);
    let above = Draft::new(
        &root,
        &intermediate,
        &[ca(Some(0)), usage(0x06), eku(false, &[3])],
    );
    let end = Draft::new(
        &intermediate,
        &leaf,
        &[usage(0x80), eku(false, &[3]), email("a@b")],
    );
    World {
        root,
        intermediate,
        chain: vec![above, root_draft],
        end,
    }
}

impl World {
    fn ders(&self) -> Vec<Vec<u8>> {
        self.chain
            .iter()
            .map(|draft| draft.der(&self.root))
            .collect()
    }

    fn chain(&self) -> Result<CaChain, ChainError> {
        CaChain::new(provider(), &self.ders(), Purpose::CodeSigning)
    }

    fn verify(&self, at: &str) -> Result<(), PathError> {
        let leaf = self.end.certificate(&self.intermediate);
        let chain = self.chain().unwrap();
        let path = chain.verify_leaf(&leaf, time(at))?;
        assert_eq!(path.issuer_key(), self.intermediate.key());
        assert_eq!(path.leaf(), &leaf);
        assert_eq!(path.chain().certificates().len(), 2);
        Ok(())
    }
}

#[test]
fn a_leaf_verifies() {
    assert_eq!(world().verify(NOON), Ok(()));
    let world = world();
    let alone = CaChain::new(provider(), &world.ders()[1..], Purpose::CodeSigning).unwrap();
    let leaf = world.chain[0].certificate(&world.root);
    assert_eq!(
        alone.verify_leaf(&leaf, time(NOON)).unwrap_err(),
        PathError::CaUsedAsLeaf
    );
    assert_eq!(alone.purpose(), Purpose::CodeSigning);
}

#[test]
fn every_algorithm_signs_certificates() {
    for algorithm in [
        SignatureAlgorithm::EcdsaP384Sha384,
        SignatureAlgorithm::EcdsaP521Sha512,
        SignatureAlgorithm::Ed25519,
        SignatureAlgorithm::RsaPkcs1Sha256,
        SignatureAlgorithm::RsaPssSha256,
        SignatureAlgorithm::MlDsa65,
    ] {
        let mut world = world();
        world.root = Party::with("root", algorithm);
        world.intermediate = Party::with("ca", algorithm);
        world.chain[0].spki = world.intermediate.key().spki_der().to_vec();
        world.chain[1].spki = world.root.key().spki_der().to_vec();
        assert_eq!(world.verify(NOON), Ok(()), "{algorithm:?}");
    }
}

/// V-11: the leaf is valid, and an authority above it is not any more.
#[test]
fn v_11_every_certificate_of_the_path_is_valid_at_the_time() {
    for index in [0, 1] {
        let mut world = world();
        let draft = world.chain[index].clone();
        world.chain[index] = draft.dates("2026-01-01T00:00:00Z", "2026-05-31T00:00:00Z");
        assert_eq!(world.verify("2026-05-31T00:00:00.9Z"), Ok(()));
        let not_after = time("2026-05-31T00:00:00Z");
        let expected = PathError::Expired {
            depth: index + 1,
            not_after,
            time: time(NOON),
        };
        assert_eq!(world.verify(NOON), Err(expected));
    }
}

#[test]
fn further_times_are_checked_on_the_path() {
    let world = world();
    let (leaf, chain) = (
        world.end.certificate(&world.intermediate),
        world.chain().unwrap(),
    );
    let path = chain.verify_leaf(&leaf, time(NOON)).unwrap();
    assert_eq!(path.check_time(time("2026-12-31T23:59:59Z")), Ok(()));
    assert!(matches!(
        path.check_time(time("2027-01-01T00:00:00Z")),
        Err(PathError::Expired { depth: 0, .. })
    ));
}

fn chain_error(change: impl FnOnce(&mut World)) -> ChainError {
    let mut world = world();
    change(&mut world);
    world.chain().unwrap_err()
}

mod chain_error {
    use super::*;

    #[test]
    fn empty() {
        assert_eq!(chain_error(|world| world.chain.clear()), ChainError::Empty);
    }

    #[test]
    fn too_long() {
        let found = chain_error(|world| world.chain = vec![world.chain[1].clone(); MAX_CHAIN + 1]);
        assert_eq!(
            found,
            ChainError::TooLong {
                found: MAX_CHAIN + 1
            }
        );
        let mut world = world();
        world.chain = vec![world.chain[1].clone(); MAX_CHAIN];
        assert!(world.chain().is_ok());
    }

    #[test]
    fn certificate() {
        let found = CaChain::new(provider(), &[b"nothing"], Purpose::CodeSigning).unwrap_err();
        let source = CertificateError::Malformed;
        assert_eq!(found, ChainError::Certificate { index: 0, source });
    }

    #[test]
    fn key() {
        let found = chain_error(|world| world.chain[1].spki = vec![0x30, 0]);
        assert_eq!(
            found,
            ChainError::Key {
                index: 1,
                source: KeyError::Malformed
            }
        );
    }

    #[test]
    fn not_ca() {
        let found = chain_error(|world| world.chain[0].extensions = vec![usage(0x06)]);
        assert_eq!(found, ChainError::NotCa { index: 0 });
    }

    #[test]
    fn key_usage() {
        let found = chain_error(|world| world.chain[0].extensions = vec![ca(None), usage(0x80)]);
        assert_eq!(found, ChainError::KeyUsage { index: 0 });
    }

    #[test]
    fn extended_key_usage() {
        let found =
            chain_error(|world| world.chain[0].extensions = vec![ca(None), eku(false, &[8])]);
        assert_eq!(found, ChainError::ExtendedKeyUsage { index: 0 });
    }

    #[test]
    fn unknown_critical_extension() {
        let found = chain_error(|world| world.chain[1].extensions = vec![ca(None), unknown(true)]);
        assert!(matches!(
            found,
            ChainError::UnknownCriticalExtension { index: 1, .. }
        ));
    }

    #[test]
    fn path_length() {
        let found = chain_error(|world| world.chain[1].extensions = vec![ca(Some(0))]);
        assert_eq!(found, ChainError::PathLength { index: 1 });
        let mut world = world();
        world.chain[1].extensions = vec![ca(Some(1))];
        assert!(world.chain().is_ok());
    }

    #[test]
    fn wrong_issuer() {
        let found = chain_error(|world| world.chain.reverse());
        assert_eq!(found, ChainError::WrongIssuer { index: 0 });
    }

    #[test]
    fn signature() {
        let world = world();
        let forged = world.chain[0].der(&Party::new("root"));
        let chain = [forged, world.chain[1].der(&world.root)];
        let found = CaChain::new(provider(), &chain, Purpose::CodeSigning).unwrap_err();
        assert_eq!(
            found,
            ChainError::Signature {
                index: 0,
                source: SignatureError::Invalid
            }
        );
    }
}

fn leaf_error(change: impl FnOnce(&mut World)) -> PathError {
    let mut world = world();
    change(&mut world);
    world.verify(NOON).unwrap_err()
}

fn with_extensions(extensions: Vec<Vec<u8>>) -> PathError {
    leaf_error(|world| world.end.extensions = extensions)
}

mod path_error {
    use super::*;

    #[test]
    fn unknown_issuer() {
        let found = leaf_error(|world| world.end.issuer = crate::testing::name("other"));
        assert_eq!(found, PathError::UnknownIssuer);
    }

    #[test]
    fn not_yet_valid() {
        let not_before = time("2026-06-01T12:00:01Z");
        let found = leaf_error(|world| world.end.not_before = not_before);
        assert_eq!(
            found,
            PathError::NotYetValid {
                depth: 0,
                not_before,
                time: time(NOON)
            }
        );
    }

    #[test]
    fn expired() {
        let not_after = time("2026-06-01T11:59:59Z");
        let found = leaf_error(|world| world.end.not_after = not_after);
        assert_eq!(
            found,
            PathError::Expired {
                depth: 0,
                not_after,
                time: time(NOON)
            }
        );
    }

    #[test]
    fn before_epoch() {
        let mut world = world();
        world.end.not_before = time("1960-01-01T00:00:00Z");
        assert_eq!(world.verify(NOON), Err(PathError::BeforeEpoch));
    }

    #[test]
    fn precertificate() {
        let poison = extension(crate::extension::POISON, true, &[5, 0]);
        let found = with_extensions(vec![eku(false, &[3]), email("a@b"), poison]);
        assert_eq!(found, PathError::Precertificate);
    }

    #[test]
    fn ca_used_as_leaf() {
        assert_eq!(
            with_extensions(vec![eku(false, &[3]), ca(None)]),
            PathError::CaUsedAsLeaf
        );
    }

    #[test]
    fn unknown_critical_extension() {
        let found = with_extensions(vec![eku(false, &[3]), unknown(true)]);
        assert!(matches!(found, PathError::UnknownCriticalExtension { .. }));
        let mut world = world();
        world.end.extensions.push(unknown(false));
        assert_eq!(world.verify(NOON), Ok(()));
    }

    #[test]
    fn key_usage() {
        let found = with_extensions(vec![eku(false, &[3]), usage(0x40)]);
        assert_eq!(found, PathError::KeyUsage);
        let mut world = world();
        world.end.extensions = vec![eku(false, &[3])];
        assert_eq!(world.verify(NOON), Ok(()), "keyUsage may be absent");
    }

    #[test]
    fn extended_key_usage() {
        assert_eq!(
            with_extensions(vec![eku(false, &[8])]),
            PathError::ExtendedKeyUsage
        );
        assert_eq!(
            with_extensions(vec![usage(0x80)]),
            PathError::ExtendedKeyUsage
        );
        let mut world = world();
        world.end.extensions = vec![eku(false, &[8, 3])];
        assert_eq!(world.verify(NOON), Ok(()));
    }

    fn constraints(permitted: bool, base: &[u8]) -> Vec<u8> {
        let subtree = encode(SEQUENCE, &[base]);
        let tag = if permitted { 0xa0 } else { 0xa1 };
        let value = encode(SEQUENCE, &[encode(tag, &[subtree])]);
        extension(&[0x55, 0x1d, 0x1e], true, &value)
    }

    /// K-08: constraints that cannot be checked refuse, and those of every authority count.
    #[test]
    fn name_constraint() {
        let dns = encode(0x82, &["example.com"]);
        let uri = encode(0x86, &["example.com"]);
        let address = encode(0x81, &["b"]);
        for index in [0, 1] {
            let check = |constraint: Vec<u8>, expected: Result<(), PathError>| {
                let mut world = world();
                world.chain[index].extensions.push(constraint);
                assert_eq!(world.verify(NOON), expected, "authority {index}");
            };
            check(constraints(true, &dns), Ok(()));
            check(constraints(false, &uri), Ok(()));
            check(constraints(true, &address), Err(PathError::NameConstraint));
            check(constraints(false, &address), Err(PathError::NameConstraint));
            let mut world = world();
            world.chain[index].extensions.push(constraints(true, &uri));
            let name = encode(0x86, &["https://example.com/x"]);
            world.end.extensions[2] =
                extension(&[0x55, 0x1d, 0x11], true, &encode(SEQUENCE, &[name]));
            assert_eq!(world.verify(NOON), Err(PathError::NameConstraint));
        }
    }

    #[test]
    fn signature() {
        let mut world = world();
        let chain = world.chain().unwrap();
        world.intermediate = Party::new("ca");
        let forged = world.end.certificate(&world.intermediate);
        assert_eq!(
            chain.verify_leaf(&forged, time(NOON)).unwrap_err(),
            PathError::Signature
        );
    }

    #[test]
    fn unsupported_algorithm() {
        let world = world();
        let chain = world.chain().unwrap();
        let other = Party::with("ca", SignatureAlgorithm::Ed25519);
        let forged = world.end.certificate(&other);
        let found = chain.verify_leaf(&forged, time(NOON)).unwrap_err();
        assert_eq!(found, PathError::UnsupportedAlgorithm);
    }

    #[test]
    fn refused() {
        // A serial number of zero is one of the things that webpki has its own view of; an empty
        // extension that it reads is another.
        let crl = extension(&[0x55, 0x1d, 0x1f], false, &[]);
        let found = with_extensions(vec![eku(false, &[3]), crl]);
        assert!(matches!(found, PathError::Refused(_)), "{found}");
    }

    /// K-07: an attacker's intermediates cannot make the search long.
    #[test]
    fn budget_exceeded() {
        let (root, same) = (Party::new("root"), Party::new("ca"));
        let intermediates: Vec<_> = (0..40u8)
            .map(|index| {
                let mut draft = Draft::new(&same, &Party::new("ca"), &[ca(None)]);
                draft.serial = vec![1, index];
                draft.der(&same)
            })
            .collect();
        let intermediates: Vec<&[u8]> = intermediates.iter().map(Vec::as_slice).collect();
        let ski = extension(&[0x55, 0x1d, 0x0e], false, &[4, 1, 7]);
        let aki = extension(&[0x55, 0x1d, 0x23], false, &[0x30, 3, 0x80, 1, 7]);
        let leaf = Draft::new(&same, &Party::new("leaf"), &[eku(false, &[3]), aki]).der(&same);
        let search = |anchor: &Party| {
            let anchor = Draft::new(&root, anchor, &[ca(None), ski.clone()]).der(&root);
            let purpose = Purpose::CodeSigning;
            let anchors = [&anchor[..]];
            let search = PathSearch::new(provider(), &anchors, &intermediates, time(NOON), purpose);
            search.find(&leaf).map(|path| path.len())
        };
        assert_eq!(search(&same), Ok(1));
        assert_eq!(search(&Party::new("ca")), Err(PathError::BudgetExceeded));
    }
}

/// Paths that are looked for, through an intermediate that is not trusted.
mod search {
    use super::*;

    struct Found {
        root: Vec<u8>,
        intermediate: Vec<u8>,
        leaf: Vec<u8>,
    }

    fn id(last: u8, value: &[u8]) -> Vec<u8> {
        extension(&[0x55, 0x1d, last], false, value)
    }

    fn made(change: impl FnOnce(&mut Draft, &mut Draft, &mut Draft)) -> Found {
        let (root, above, leaf) = (Party::new("root"), Party::new("ca"), Party::new("leaf"));
        let (ski, aki) = (id(0x0e, &[4, 1, 7]), id(0x23, &[0x30, 3, 0x80, 1, 7]));
        let mut first = Draft::new(&root, &root, &[ca(None), ski.clone()]);
        let mut second = Draft::new(&root, &above, &[ca(None), ski, aki.clone()]);
        let host = encode(SEQUENCE, &[encode(0x82, &["example.com"])]);
        let mut third = Draft::new(&above, &leaf, &[aki, id(0x11, &host)]);
        change(&mut first, &mut second, &mut third);
        Found {
            root: first.der(&root),
            intermediate: second.der(&root),
            leaf: third.der(&above),
        }
    }

    impl Found {
        fn find(&self, host: Option<&str>, limit: Option<usize>) -> Result<usize, PathError> {
            let (anchors, between) = ([&self.root[..]], [&self.intermediate[..]]);
            let (time, purpose) = (time(NOON), Purpose::ServerAuth);
            let mut search = PathSearch::new(provider(), &anchors, &between, time, purpose);
            search.max_intermediates = limit;
            let found = match host {
                Some(host) => search.find_for_host(&self.leaf, host),
                None => search.find(&self.leaf),
            };
            found.map(|path| path.len())
        }
    }

    #[test]
    fn a_path_is_found() {
        let found = made(|_, _, _| ());
        assert_eq!(found.find(None, None), Ok(2));
        assert_eq!(found.find(Some("example.com"), Some(1)), Ok(2));
    }

    #[test]
    fn wrong_host() {
        let found = made(|_, _, _| ());
        for host in ["example.org", "127.0.0.1", "", "a b"] {
            assert_eq!(
                found.find(Some(host), None),
                Err(PathError::WrongHost),
                "{host}"
            );
        }
    }

    #[test]
    fn profile() {
        use crate::Rule;
        let found = made(|_, second, _| second.extensions.truncate(2));
        let rule = Rule::AuthorityKeyIdentifier;
        assert_eq!(
            found.find(None, None),
            Err(PathError::Profile { depth: 1, rule })
        );
        let found = made(|_, _, _| ());
        let rule = Rule::TooManyIntermediates;
        assert_eq!(
            found.find(None, Some(0)),
            Err(PathError::Profile { depth: 2, rule })
        );
    }

    #[test]
    fn anchors_expire_too() {
        let found = made(|first, _, _| first.not_after = time("2026-05-01T00:00:00Z"));
        assert!(matches!(
            found.find(None, None),
            Err(PathError::Expired { depth: 2, .. })
        ));
    }

    #[test]
    fn certificate() {
        let mut found = made(|_, _, _| ());
        found.leaf.truncate(9);
        let expected = PathError::Certificate(CertificateError::Malformed);
        assert_eq!(found.find(None, None), Err(expected));
    }
}
