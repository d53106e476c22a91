//! A bundle made here: signed with a key, logged in a version 1 log of one entry, whose promise is
//! the time. So these tests need nobody's vectors.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use waxseal_crypto::{Digest, HashAlgorithm, Input, LocalSigner, SignatureAlgorithm, Signer, Time};
use waxseal_crypto_aws_lc::provider;
use waxseal_formats::{
    Bundle, BundleVersion, Content, HashAlgorithm as HashName, InclusionProof, KeyDetails,
    KeyMaterial, MessageDigest, PublicKey, Spelling, TransparencyLogEntry, TransparencyLogInstance,
    TrustedRoot, VerificationMaterial,
};
use waxseal_tlog::{KeyName, NoteSigner, SignedNote, leaf_hash};

/// When the entry was integrated.
pub(crate) const SIGNED_AT: i64 = 1_700_000_000;
/// The same, as text.
pub(crate) const SIGNED_AT_TEXT: &str = "2023-11-14T22:13:20Z";

/// A folder with `a`, `a.sigstore.json`, `key.pub`, `other.pub` and `root.json`.
pub(crate) struct Made {
    folder: TempDir,
    log: Arc<dyn LocalSigner>,
    key: Box<dyn LocalSigner>,
}

impl Made {
    /// Signs the artifact `hello`.
    pub(crate) fn new() -> Self {
        let made = Self {
            folder: tempfile::tempdir().unwrap(),
            log: signer(SignatureAlgorithm::EcdsaP256Sha256).into(),
            key: signer(SignatureAlgorithm::EcdsaP256Sha256),
        };
        made.write("a", b"hello");
        made.write("a.sigstore.json", made.bundle(b"hello").as_bytes());
        made.write("key.pub", made.key.public_key().to_pem().as_bytes());
        let other = signer(SignatureAlgorithm::EcdsaP256Sha256);
        made.write("other.pub", other.public_key().to_pem().as_bytes());
        made.write("root.json", made.trusted_root().as_bytes());
        made
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The digest of `hello` as an argument.
    pub(crate) fn digest() -> String {
        Digest::of(HashAlgorithm::Sha256, b"hello").to_string()
    }

    pub(crate) fn trusted_root(&self) -> String {
        let log = TransparencyLogInstance {
            base_url: "https://log.example".to_owned(),
            hash_algorithm: HashName::SHA2_256,
            public_key: PublicKey {
                raw_bytes: self.log.public_key().spki_der().to_vec(),
                key_details: KeyDetails::new("PKIX_ECDSA_P256_SHA_256"),
                valid_for: Some(waxseal_formats::TimeRange {
                    start: waxseal_formats::Timestamp::parse("2020-01-01T00:00:00Z"),
                    end: None,
                }),
            },
            log_id: self.log.public_key().spki_sha256().to_vec(),
            checkpoint_key_id: None,
            operator: "log.example".to_owned(),
        };
        TrustedRoot {
            tlogs: vec![log],
            ..TrustedRoot::default()
        }
        .to_json()
    }

    /// A bundle for an artifact.
    pub(crate) fn bundle(&self, artifact: &[u8]) -> String {
        let digest = Digest::of(HashAlgorithm::Sha256, artifact);
        let signature = self.key.sign_now(Input::Message(artifact)).unwrap();
        let body = format!(
            r#"{{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{{"data":{{"hash":{{"algorithm":"sha256","value":"{}"}}}},"signature":{{"content":"{}","publicKey":{{"content":"{}"}}}}}}}}"#,
            digest.to_hex(),
            STANDARD.encode(&signature),
            STANDARD.encode(self.key.public_key().to_pem()),
        );
        let root_hash = leaf_hash(body.as_bytes());
        let mut entry = TransparencyLogEntry {
            log_index: 0,
            log_id: self.log.public_key().spki_sha256().to_vec(),
            kind: "hashedrekord".to_owned(),
            version: "0.0.1".to_owned(),
            integrated_time: SIGNED_AT,
            inclusion_promise: None,
            inclusion_proof: Some(InclusionProof {
                log_index: 0,
                root_hash: root_hash.to_vec(),
                tree_size: 1,
                hashes: Vec::new(),
                checkpoint: Some(self.checkpoint(&root_hash)),
            }),
            canonicalized_body: body.into_bytes(),
        };
        let promise = self
            .log
            .sign_now(Input::Message(&entry.promise_payload()))
            .unwrap();
        entry.inclusion_promise = Some(promise);
        let bundle = Bundle {
            version: BundleVersion::V03,
            spelling: Spelling::Suffix,
            material: VerificationMaterial {
                key: KeyMaterial::PublicKey {
                    hint: String::new(),
                },
                tlog_entries: vec![entry],
                timestamps: Vec::new(),
            },
            content: Content::MessageSignature {
                digest: Some(MessageDigest {
                    algorithm: HashName::SHA2_256,
                    digest: digest.as_bytes().to_vec(),
                }),
                signature,
            },
        };
        bundle.to_json()
    }

    fn checkpoint(&self, root_hash: &[u8; 32]) -> String {
        let text = format!("log.example - 1\n1\n{}\n", STANDARD.encode(root_hash));
        let name = KeyName::new("log.example").unwrap();
        let log: Arc<dyn Signer> = self.log.clone();
        let signer = NoteSigner::of_v1_log(name, log).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let time = Time::from_unix(SIGNED_AT).unwrap();
        let line = runtime.block_on(signer.sign(&text, time)).unwrap();
        SignedNote::from_parts(&text, vec![line])
            .unwrap()
            .to_string()
    }
}

fn signer(algorithm: SignatureAlgorithm) -> Box<dyn LocalSigner> {
    let key = provider().generate(algorithm).unwrap();
    provider().signer(&key, algorithm).unwrap()
}
