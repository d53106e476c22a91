//! Tests of the whole crate: every profile and every refusal.

use super::*;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use waxseal_crypto::{LocalSigner, RandomError, SignatureAlgorithm, Time};
use waxseal_pki::{ChainError, CtEntry, CtLogKey, Sct, SctScheme};

use crate::{Subject, issue_intermediate, issue_root, issue_timestamp_signer};

const P256: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;
const P384: SignatureAlgorithm = SignatureAlgorithm::EcdsaP384Sha384;

/// Local signers are ready at once: one poll is enough.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a local signer waits for nothing"),
    }
}

/// Bytes that count up, to see where they go.
struct Counting;

impl Random for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        for (byte, n) in buffer.iter_mut().zip(0xe0..) {
            *byte = n;
        }
        Ok(())
    }
}

struct Broken;

impl Random for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
        Err(RandomError)
    }
}

fn provider() -> CryptoProvider {
    waxseal_crypto_aws_lc::provider()
}

fn fresh(algorithm: SignatureAlgorithm) -> Box<dyn LocalSigner> {
    provider()
        .signer(&provider().generate(algorithm).unwrap(), algorithm)
        .unwrap()
}

fn time(text: &str) -> Time {
    Time::parse_rfc3339(text).unwrap()
}

fn years(count: u64) -> Validity {
    let lifetime = Duration::from_secs(count * 365 * 86_400);
    Validity::starting(time("2026-01-01T00:00:00Z"), lifetime).unwrap()
}

fn minutes(from: &str) -> Validity {
    Validity::starting(time(from), Duration::from_secs(600)).unwrap()
}

const NOON: &str = "2026-06-01T12:00:00Z";
const ISSUER: &str = "https://accounts.google.com";

struct World {
    root_signer: Box<dyn LocalSigner>,
    signer: Box<dyn LocalSigner>,
    root: Certificate,
    intermediate: Certificate,
    issuer: LeafIssuer,
}

fn world() -> World {
    world_with(P384, P256)
}

fn world_with(root: SignatureAlgorithm, intermediate: SignatureAlgorithm) -> World {
    let (root_signer, signer) = (fresh(root), fresh(intermediate));
    let subject = Subject::new("root", "example.com");
    let root = now(issue_root(&*root_signer, &subject, years(10), &Counting)).unwrap();
    let intermediate = now(issue_intermediate(
        &root,
        &*root_signer,
        &Subject::new("intermediate", "example.com"),
        signer.public_key(),
        Purpose::CodeSigning,
        years(3),
        &Counting,
    ))
    .unwrap();
    let chain = vec![intermediate.clone(), root.clone()];
    let issuer = LeafIssuer::new(provider(), &*signer, chain).unwrap();
    World {
        root_signer,
        signer,
        root,
        intermediate,
        issuer,
    }
}

fn email() -> SubjectAltName {
    SubjectAltName::Email("alice@example.com".into())
}

const CLAIMS: &[(u8, &str)] = &[(8, ISSUER), (24, "subject"), (1, ISSUER), (9, "")];

impl World {
    fn prepare(&self, key: &PublicKey) -> PreparedLeaf {
        let request = LeafRequest::new(key, &EMAIL, CLAIMS, minutes(NOON));
        self.issuer.prepare(&request, &Counting).unwrap()
    }
}

static EMAIL: std::sync::LazyLock<SubjectAltName> = std::sync::LazyLock::new(email);

fn error(change: impl FnOnce(&mut LeafRequest<'_>)) -> IssueError {
    let (world, key) = (world(), fresh(P256));
    let mut request = LeafRequest::new(key.public_key(), &EMAIL, CLAIMS, minutes(NOON));
    change(&mut request);
    world.issuer.prepare(&request, &Counting).unwrap_err()
}

fn logged(world: &World, leaf: &PreparedLeaf) -> (CtLogKey, SctList) {
    let log = fresh(P256);
    let key = CtLogKey::new(provider(), log.public_key()).unwrap();
    let tbs = leaf.log_input();
    let entry = CtEntry::Precertificate {
        issuer_key_hash: world.signer.public_key().spki_sha256(),
        tbs: &tbs,
    };
    let input = entry.signed_input(1_780_000_000_000, b"").unwrap();
    let signature = log
        .sign_now(waxseal_crypto::Input::Message(&input))
        .unwrap();
    let sct = Sct::new(
        *key.id(),
        1_780_000_000_000,
        Vec::new(),
        SctScheme::EcdsaSha256,
        signature,
    );
    (key, SctList::new(vec![sct]).unwrap())
}

#[test]
fn a_leaf_verifies_with_its_sct() {
    for (root, intermediate, leaf) in [
        (P384, P256, P256),
        (P384, P384, SignatureAlgorithm::EcdsaP521Sha512),
        (
            SignatureAlgorithm::Ed25519,
            SignatureAlgorithm::Ed25519,
            SignatureAlgorithm::Ed25519,
        ),
        (
            SignatureAlgorithm::RsaPkcs1Sha256,
            SignatureAlgorithm::RsaPkcs1Sha256,
            SignatureAlgorithm::RsaPkcs1Sha256,
        ),
        (
            SignatureAlgorithm::MlDsa65,
            SignatureAlgorithm::MlDsa65,
            SignatureAlgorithm::MlDsa44,
        ),
    ] {
        let world = world_with(root, intermediate);
        let key = fresh(leaf);
        let prepared = world.prepare(key.public_key());
        let precertificate = now(prepared.precertificate(&*world.signer)).unwrap();
        assert!(precertificate.is_precertificate());
        assert_eq!(
            tbs_without_poison(precertificate.tbs()),
            Ok(prepared.log_input())
        );
        let (log, list) = logged(&world, &prepared);
        let certificate = now(prepared.certificate(&*world.signer, &list)).unwrap();
        let path = world
            .issuer
            .chain()
            .verify_leaf(&certificate, time(NOON))
            .unwrap();
        let sct = &certificate.scts().unwrap().unwrap().as_slice()[0].clone();
        assert_eq!(
            sct.verify_embedded(&log, &certificate, path.issuer_key()),
            Ok(())
        );
        assert_eq!(certificate.public_key(), Ok(key.public_key()));
        assert_eq!(certificate.subject_alt_names(), [email()]);
        assert!(certificate.subject().is_empty());
        assert!(!certificate.is_ca());
        assert_eq!(certificate.sigstore_extension(1), Some(ISSUER));
        assert_eq!(certificate.sigstore_extension(8), Some(ISSUER));
        assert_eq!(
            certificate.sigstore_extension(9),
            None,
            "empty claims are left out"
        );
        assert_eq!(certificate.sigstore_extension(24), Some("subject"));
        assert_eq!(
            certificate.authority_key_id(),
            world.intermediate.subject_key_id()
        );
        let lived = certificate
            .not_after()
            .saturating_since(certificate.not_before());
        assert_eq!(lived, Duration::from_secs(600));
    }
}

/// The extensions of a leaf, byte by byte and in order.
#[test]
fn golden_extensions() {
    let (world, key) = (world(), fresh(P256));
    let prepared = world.prepare(key.public_key());
    let found: Vec<_> = prepared.extensions.iter().map(hex::encode).collect();
    let key_id = |key: &PublicKey| hex::encode(crate::profile::key_identifier(key));
    let expected = [
        "300e0603551d0f0101ff040403020780".to_owned(),
        "30130603551d25040c300a06082b06010505070303".to_owned(),
        format!("301d0603551d0e04160414{}", key_id(key.public_key())),
        format!("301f0603551d23041830168014{}", key_id(world.signer.public_key())),
        "301f0603551d110101ff041530138111616c696365406578616d706c652e636f6d".to_owned(),
        "3029060a2b0601040183bf300101041b68747470733a2f2f6163636f756e74732e676f6f676c652e636f6d"
            .to_owned(),
        "302b060a2b0601040183bf300108041d0c1b68747470733a2f2f6163636f756e74732e676f6f676c652e636f6d"
            .to_owned(),
        "3017060a2b0601040183bf30011804090c077375626a656374".to_owned(),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        hex::encode(poison()),
        "3013060a2b06010401d6790204030101ff04020500"
    );
}

#[test]
fn golden_names() {
    let check = |name: SubjectAltName, expected: &str| {
        assert_eq!(hex::encode(subject_alt_name(&name).unwrap()), expected);
    };
    let oid = oid_of(USER_NAME);
    check(
        SubjectAltName::OtherName {
            oid,
            value: "alice!example.com".into(),
        },
        "302f0603551d110101ff04253023a021060a2b0601040183bf300107a0130c11616c69636521\
         6578616d706c652e636f6d",
    );
    check(
        SubjectAltName::Uri("a:b".into()),
        "30110603551d110101ff040730058603613a62",
    );
}

#[test]
fn profiles_of_authorities() {
    let World {
        root, intermediate, ..
    } = world();
    assert_eq!(root.subject(), root.issuer());
    assert_eq!(
        root.subject().organizations().collect::<Vec<_>>(),
        ["example.com"]
    );
    assert_eq!(root.subject().common_name(), Some("root"));
    assert_eq!(root.basic_constraints().unwrap().path_len, None);
    assert!(root.extended_key_usage().is_none());
    let usage = root.key_usage().unwrap();
    assert!(usage.key_cert_sign && usage.crl_sign && !usage.digital_signature);
    assert_eq!(intermediate.basic_constraints().unwrap().path_len, Some(0));
    assert_eq!(intermediate.subject().organizations().count(), 1);
    let purposes = intermediate.extended_key_usage().unwrap();
    assert_eq!(
        (purposes.critical, &purposes.purposes[..]),
        (false, &[Purpose::CodeSigning.oid()][..])
    );
    assert_eq!(intermediate.authority_key_id(), root.subject_key_id());
    assert_eq!(root.authority_key_id(), None);
}

#[test]
fn serial_numbers_are_twenty_positive_octets() {
    let World { root, .. } = world();
    let expected: Vec<u8> = (0xe0..).take(20).collect::<Vec<u8>>();
    assert_eq!(root.serial()[1..], expected[1..]);
    assert_eq!(root.serial()[0], 0x60);
    assert_eq!(root.serial().len(), 20);
}

#[test]
fn signers_of_timestamps() {
    use waxseal_pki::timestamp::TimestampAuthority;
    let world = world();
    let key = fresh(P384);
    let subject = Subject::new("tsa", "example.com");
    let issue = |issuer: &Certificate, signer: &dyn Signer, validity| {
        now(issue_timestamp_signer(
            issuer,
            signer,
            &subject,
            key.public_key(),
            validity,
            &Counting,
        ))
    };
    let leaf = issue(&world.root, &*world.root_signer, years(9)).unwrap();
    let critical = "30160603551d250101ff040c300a06082b06010505070308";
    assert!(hex::encode(leaf.der()).contains(critical));
    let chain = [leaf.der(), world.root.der()];
    let authority = TimestampAuthority::new(provider(), &chain).unwrap();
    assert_eq!(authority.leaf(), Some(&leaf));
    let found = issue(&world.root, &*world.root_signer, years(11)).unwrap_err();
    assert!(matches!(
        found,
        IssueError::AuthorityExpires { index: 0, .. }
    ));
    let found = issue(&world.root, &*world.signer, years(1)).unwrap_err();
    assert!(matches!(found, IssueError::WrongSigner));
    let found = issue(&leaf, &*key, years(1)).unwrap_err();
    assert!(matches!(found, IssueError::NotAnAuthority));
}

/// rcgen, independently, writes the same TBSCertificate.
#[test]
fn rcgen_agrees() {
    struct Capture<'a>(&'a PublicKey, std::cell::RefCell<Vec<u8>>);
    impl rcgen::PublicKeyData for Capture<'_> {
        fn der_bytes(&self) -> &[u8] {
            self.0.key_bytes()
        }
        fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
            &rcgen::PKCS_ECDSA_P256_SHA256
        }
    }
    impl rcgen::SigningKey for Capture<'_> {
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
            message.clone_into(&mut self.1.borrow_mut());
            Ok(vec![0])
        }
    }
    let (world, key) = (world(), fresh(P256));
    let prepared = world.prepare(key.public_key());
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::OrganizationName, "example.com");
    name.push(rcgen::DnType::CommonName, "intermediate");
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = name;
    let issuer_key = Capture(world.signer.public_key(), Vec::new().into());
    let issuer = rcgen::Issuer::new(params, &issuer_key);
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serial_number = Some(rcgen::SerialNumber::from_slice(prepared.serial()));
    params.not_before = rcgen::date_time_ymd(2026, 6, 1) + Duration::from_secs(12 * 3600);
    params.not_after = params.not_before + Duration::from_secs(600);
    let precertificate = now(prepared.precertificate(&*world.signer)).unwrap();
    params.custom_extensions = precertificate
        .extensions()
        .map(|(oid, critical, value)| {
            let arcs: Vec<u64> = oid.arcs().map(u64::from).collect();
            let mut extension = rcgen::CustomExtension::from_oid_content(&arcs, value.to_vec());
            extension.set_criticality(critical);
            extension
        })
        .collect();
    let subject_key = Capture(key.public_key(), Vec::new().into());
    params.signed_by(&subject_key, &issuer).unwrap();
    assert_eq!(
        hex::encode(&*issuer_key.1.borrow()),
        hex::encode(precertificate.tbs())
    );
}

#[test]
fn validity() {
    let (early, late) = (time("2026-01-01T00:00:00.9Z"), time("2026-01-01T00:00:01Z"));
    assert!(matches!(
        Validity::new(late, early),
        Err(IssueError::Validity)
    ));
    let one = Validity::new(early, early).unwrap();
    assert_eq!(one.not_before(), one.not_after());
    assert_eq!(one.not_before().subsec_nanos(), 0);
    let end = time("9999-12-31T23:59:59Z");
    let found = Validity::starting(end, Duration::from_secs(1));
    assert!(matches!(found, Err(IssueError::Validity)));
}

#[test]
fn wrong_signer() {
    let world = world();
    let chain = vec![world.intermediate.clone(), world.root];
    let found = LeafIssuer::new(provider(), &*fresh(P256), chain).unwrap_err();
    assert!(matches!(found, IssueError::WrongSigner));
}

#[test]
fn unsupported_algorithm() {
    let signer = fresh(SignatureAlgorithm::Ed25519ph);
    let subject = Subject::new("root", "example.com");
    let found = now(issue_root(&*signer, &subject, years(1), &Counting)).unwrap_err();
    assert!(matches!(found, IssueError::UnsupportedAlgorithm { .. }));
}

#[test]
fn not_an_authority() {
    let (world, key) = (world(), fresh(P256));
    let prepared = world.prepare(key.public_key());
    let leaf = now(prepared.precertificate(&*world.signer)).unwrap();
    let found = now(issue_intermediate(
        &leaf,
        &*key,
        &Subject::new("x", "y"),
        key.public_key(),
        Purpose::CodeSigning,
        years(1),
        &Counting,
    ))
    .unwrap_err();
    assert!(matches!(found, IssueError::NotAnAuthority));
}

#[test]
fn chain() {
    let world = world();
    let found = LeafIssuer::new(provider(), &*world.signer, Vec::new()).unwrap_err();
    assert!(matches!(found, IssueError::Chain(ChainError::Empty)));
    let reversed = vec![world.root.clone(), world.intermediate.clone()];
    let found = LeafIssuer::new(provider(), &*world.root_signer, reversed).unwrap_err();
    assert!(matches!(found, IssueError::Chain(_)));
}

/// A leaf may end in the same second as an authority, and not in the next.
#[test]
fn authority_expires() {
    let World { intermediate, .. } = world();
    let end = intermediate.not_after();
    let from = end.checked_sub(Duration::from_secs(600)).unwrap();
    let exact = Validity::new(from, end).unwrap();
    let later = Validity::starting(from, Duration::from_secs(601)).unwrap();
    assert!(check_dates(std::slice::from_ref(&intermediate), exact).is_ok());
    let found = error(|request| request.validity = later);
    assert!(
        matches!(found, IssueError::AuthorityExpires { index: 0, not_after } if not_after == end)
    );
}

#[test]
fn authority_not_yet_valid() {
    let found = error(|request| request.validity = minutes("2025-12-31T23:59:59Z"));
    assert!(matches!(
        found,
        IssueError::AuthorityNotYetValid { index: 0, .. }
    ));
}

#[test]
fn name() {
    for wrong in [
        SubjectAltName::Email("é@example.com".into()),
        SubjectAltName::Email(String::new()),
        SubjectAltName::Email("a b@example.com".into()),
        SubjectAltName::Uri("https://é".into()),
        SubjectAltName::Uri(String::new()),
        SubjectAltName::Dns("example.com".into()),
        SubjectAltName::Other { tag: 4 },
        SubjectAltName::OtherName {
            oid: oid_of("1.2.3"),
            value: "x".into(),
        },
        SubjectAltName::OtherName {
            oid: oid_of(USER_NAME),
            value: String::new(),
        },
    ] {
        assert!(
            matches!(subject_alt_name(&wrong), Err(IssueError::Name)),
            "{wrong:?}"
        );
    }
}

#[test]
fn issuer_claim() {
    for wrong in [
        &[][..],
        &[(1, ISSUER)],
        &[(8, ISSUER)],
        &[(1, ISSUER), (8, "https://other")],
        &[(1, ""), (8, "")],
    ] {
        let found = error(|request| request.claims = wrong);
        assert!(matches!(found, IssueError::IssuerClaim));
    }
}

#[test]
fn claim() {
    for (wrong, number) in [(0, 0), (7, 7), (25, 25), (8, 8)] {
        let claims = [(1, ISSUER), (8, ISSUER), (wrong, "x")];
        let found = super::claims(&claims).unwrap_err();
        assert!(matches!(found, IssueError::Claim { number: n } if n == number));
    }
}

#[test]
fn scts() {
    let (world, key) = (world(), fresh(P256));
    let prepared = world.prepare(key.public_key());
    let long = Sct::new(
        [0; 32],
        0,
        vec![0; 65_536],
        SctScheme::EcdsaSha256,
        Vec::new(),
    );
    let list = SctList::new(vec![long]).unwrap();
    let found = now(prepared.certificate(&*world.signer, &list)).unwrap_err();
    assert!(matches!(found, IssueError::Scts));
}

#[test]
fn random() {
    let (world, key) = (world(), fresh(P256));
    let request = LeafRequest::new(key.public_key(), &EMAIL, CLAIMS, minutes(NOON));
    let found = world.issuer.prepare(&request, &Broken).unwrap_err();
    assert!(matches!(found, IssueError::Random(RandomError)));
}

/// A signer that fails, or that answers with more than a certificate can hold.
struct Faulty<'a>(&'a dyn Signer, Option<usize>);

impl Signer for Faulty<'_> {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }
    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
    fn sign<'a>(
        &'a self,
        _: waxseal_crypto::Input<'a>,
    ) -> waxseal_crypto::BoxFuture<'a, Result<Vec<u8>, waxseal_crypto::SignError>> {
        let answer = match self.1 {
            Some(length) => Ok(vec![0; length]),
            None => Err(waxseal_crypto::SignError::Failed("pulled".into())),
        };
        Box::pin(std::future::ready(answer))
    }
}

#[test]
fn sign() {
    let (world, key) = (world(), fresh(P256));
    let prepared = world.prepare(key.public_key());
    let found = now(prepared.precertificate(&Faulty(&*world.signer, None))).unwrap_err();
    assert!(matches!(found, IssueError::Sign(_)));
}

#[test]
fn unfaithful() {
    let (world, key) = (world(), fresh(P256));
    let prepared = world.prepare(key.public_key());
    let found = now(prepared.precertificate(&Faulty(&*world.signer, Some(70_000)))).unwrap_err();
    assert!(matches!(found, IssueError::Unfaithful(Some(_))));
}
