//! A whole Sigstore in memory, for tests that need bundles which no honest service makes: every
//! key is at hand, so that any part can be changed before it is signed.
//!
//! It writes bundles through the same crates as the servers do, and it never verifies.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "an instrument of tests: what fails here is a failed test"
)]

mod case;
mod logs;
mod signing;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use waxseal_crypto::{CryptoProvider, Input, LocalSigner, Random as _, SignatureAlgorithm, Time};
use waxseal_crypto_aws_lc::OsRandom;
use waxseal_formats::{
    CertificateAuthority, HashAlgorithm, KeyDetails, PublicKey, TimeRange, Timestamp,
    TransparencyLogInstance, TrustedRoot,
};
use waxseal_issuing::{
    LeafIssuer, Subject, Validity, issue_intermediate, issue_root, issue_timestamp_signer,
};
use waxseal_pki::timestamp::{Grant, TimestampRequest, TimestampResponse, TokenBuilder};
use waxseal_pki::{Certificate, Purpose};
use waxseal_tlog::{KeyName, NoteSigner, SignatureKind};

pub use case::{Case, PREDICATE, SIGNED};
pub use logs::{Generation, LogRecipe};
pub use signing::{Leaf, Order, Signed, body, patched, statement};

/// The first second of everything.
pub const BEGINNING: &str = "2026-01-01T00:00:00Z";
/// The one identity provider.
pub const ISSUER: &str = "https://idp.example/auth";
/// Who signs, unless something else is said.
pub const ALICE: &str = "alice@example.com";

/// One operator's services: CA, CT log, both generations of transparency log, TSA.
pub struct Instance {
    operator: String,
    host: String,
    ca: Ca,
    ct_log: Key,
    v1: NoteSigner,
    v1_key: Key,
    v2: NoteSigner,
    v2_key: Key,
    tsa: TokenBuilder,
    tsa_key: Key,
    tsa_chain: Vec<Certificate>,
}

/// A private key that signs at once.
pub type Key = Arc<dyn LocalSigner>;

struct Ca {
    key: Key,
    chain: Vec<Certificate>,
    issuer: LeafIssuer,
}

impl Instance {
    /// Services of an operator; its logs are called `v1.HOST` and `v2.HOST`.
    pub fn new(operator: &str, host: &str) -> Self {
        Self::with_intermediate(operator, host, 365 * 86_400)
    }

    /// The same, with an intermediate of the CA that ends so many seconds after the beginning.
    pub fn with_intermediate(operator: &str, host: &str, end: u64) -> Self {
        let p384 = SignatureAlgorithm::EcdsaP384Sha384;
        let p256 = SignatureAlgorithm::EcdsaP256Sha256;
        let (root_key, ca_key) = (key(p384), key(p384));
        let (tsa_root_key, tsa_key) = (key(p384), key(p384));
        let decade = lifetime(Duration::from_secs(10 * 365 * 86_400));
        let root = ready(issue_root(
            &*root_key,
            &Subject::new("root", host),
            decade,
            &OsRandom,
        ));
        let root = root.unwrap();
        let intermediate = ready(issue_intermediate(
            &root,
            &*root_key,
            &Subject::new("intermediate", host),
            ca_key.public_key(),
            Purpose::CodeSigning,
            lifetime(Duration::from_secs(end)),
            &OsRandom,
        ))
        .unwrap();
        let chain = vec![intermediate, root];
        let tsa_root = ready(issue_root(
            &*tsa_root_key,
            &Subject::new("tsa root", host),
            decade,
            &OsRandom,
        ))
        .unwrap();
        let tsa_leaf = ready(issue_timestamp_signer(
            &tsa_root,
            &*tsa_root_key,
            &Subject::new("tsa", host),
            tsa_key.public_key(),
            lifetime(Duration::from_secs(365 * 86_400)),
            &OsRandom,
        ))
        .unwrap();
        let policy = "1.3.6.1.4.1.57264.2".parse().unwrap();
        let (v1_key, v2_key) = (key(p256), key(SignatureAlgorithm::Ed25519));
        let name = |log: &str| KeyName::new(&format!("{log}.{host}")).unwrap();
        Self {
            operator: operator.to_owned(),
            host: host.to_owned(),
            ca: Ca {
                issuer: LeafIssuer::new(provider(), &*ca_key, chain.clone()).unwrap(),
                key: ca_key,
                chain,
            },
            ct_log: key(p256),
            v1: NoteSigner::of_v1_log(name("v1"), v1_key.clone()).unwrap(),
            v1_key,
            v2: NoteSigner::new(name("v2"), SignatureKind::Ed25519, v2_key.clone()).unwrap(),
            v2_key,
            tsa: TokenBuilder::new(&*tsa_key, tsa_leaf.clone(), Vec::new(), policy).unwrap(),
            tsa_key,
            tsa_chain: vec![tsa_leaf, tsa_root],
        }
    }

    /// A trusted root that trusts all of these.
    pub fn trusted_root(instances: &[&Self]) -> TrustedRoot {
        let mut root = TrustedRoot::default();
        for instance in instances {
            let tlogs = [
                instance.log_row("v1", &instance.v1_key, instance.v1_id()),
                instance.log_row("v2", &instance.v2_key, instance.v2.log_id().to_vec()),
            ];
            root.tlogs.extend(tlogs);
            let ct_id = instance.ct_log.public_key().spki_sha256().to_vec();
            root.ctlogs
                .push(instance.log_row("ct", &instance.ct_log, ct_id));
            root.certificate_authorities
                .push(instance.authority("ca", &instance.ca.chain));
            root.timestamp_authorities
                .push(instance.authority("tsa", &instance.tsa_chain));
        }
        root
    }

    /// The name of a log: the first line of its checkpoints, or what it begins with.
    pub fn log_name(&self, generation: Generation) -> &KeyName {
        match generation {
            Generation::V1 => self.v1.name(),
            Generation::V2 => self.v2.name(),
        }
    }

    /// A timestamp response over bytes, without the authority's certificate.
    pub fn timestamp(&self, message: &[u8], time: Time) -> Vec<u8> {
        let digest = waxseal_crypto::Digest::of(waxseal_crypto::HashAlgorithm::Sha256, message);
        let mut serial = [0; 20];
        OsRandom.fill(&mut serial).unwrap();
        let request = TimestampRequest::new(digest);
        let token = self.tsa.prepare(&request, Grant::new(time, serial));
        let signature = self.tsa_key.sign_now(Input::Message(token.signing_input()));
        TimestampResponse::encode_granted(&token.finish(&signature.unwrap()))
    }

    /// The certificates of the CA: intermediate and root.
    pub fn ca_chain(&self) -> &[Certificate] {
        &self.ca.chain
    }

    /// The CT log's id.
    pub fn ct_log_id(&self) -> [u8; 32] {
        self.ct_log.public_key().spki_sha256()
    }

    fn v1_id(&self) -> Vec<u8> {
        self.v1_key.public_key().spki_sha256().to_vec()
    }

    fn log_row(&self, name: &str, key: &Key, log_id: Vec<u8>) -> TransparencyLogInstance {
        let details = waxseal_crypto::KeyDetails::of(key.public_key(), key.algorithm()).unwrap();
        TransparencyLogInstance {
            base_url: format!("https://{name}.{}", self.host),
            hash_algorithm: HashAlgorithm::SHA2_256,
            public_key: PublicKey {
                raw_bytes: key.public_key().spki_der().to_vec(),
                key_details: KeyDetails::new(details.name),
                valid_for: Some(since_the_beginning()),
            },
            log_id,
            checkpoint_key_id: None,
            operator: self.operator.clone(),
        }
    }

    fn authority(&self, name: &str, chain: &[Certificate]) -> CertificateAuthority {
        CertificateAuthority {
            organization: self.host.clone(),
            common_name: name.to_owned(),
            uri: format!("https://{name}.{}", self.host),
            cert_chain: chain.iter().map(|one| one.der().to_vec()).collect(),
            valid_for: Some(since_the_beginning()),
            operator: self.operator.clone(),
        }
    }
}

/// The provider that everything is signed with.
pub fn provider() -> CryptoProvider {
    waxseal_crypto_aws_lc::provider()
}

/// A fresh key.
pub fn key(algorithm: SignatureAlgorithm) -> Key {
    let key = provider().generate(algorithm).unwrap();
    Arc::from(provider().signer(&key, algorithm).unwrap())
}

/// Seconds after [`BEGINNING`].
pub fn at(seconds: i64) -> Time {
    let beginning = Time::parse_rfc3339(BEGINNING).unwrap();
    Time::from_unix(beginning.unix_seconds() + seconds).unwrap()
}

/// A range of a trusted root, in seconds after [`BEGINNING`].
pub fn range(start: i64, end: Option<i64>) -> TimeRange {
    let timestamp = |seconds| Timestamp {
        seconds: at(seconds).unix_seconds(),
        nanos: 0,
    };
    TimeRange {
        start: Some(timestamp(start)),
        end: end.map(timestamp),
    }
}

fn since_the_beginning() -> TimeRange {
    range(0, None)
}

fn lifetime(lifetime: Duration) -> Validity {
    Validity::starting(at(0), lifetime).unwrap()
}

/// The result of a future that does not wait: keys in this process sign at once.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("local signers do not wait"),
    }
}
