//! The signer: certificates, signatures, bundles.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use waxseal_crypto::{
    Digest, HashAlgorithm as Hash, Input, KeyDetails, Pem, SignatureAlgorithm, Time, sha256,
};
use waxseal_crypto_aws_lc::OsRandom;
use waxseal_formats::entry::{Body, DsseV002, HashedRekordV002, Signature, Verifier, VerifierKey};
use waxseal_formats::{
    Bundle, BundleVersion, Content, DsseEnvelope, DsseSignature, HashAlgorithm, KeyMaterial,
    MessageDigest, Spelling, TransparencyLogEntry, VerificationMaterial,
};
use waxseal_issuing::{LeafRequest, Validity};
use waxseal_pki::{Certificate, CtEntry, Sct, SctList, SctScheme, SubjectAltName};

use super::{ALICE, Generation, ISSUER, Instance, Key, LogRecipe, at, key, ready};

/// What the certificate says.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The one subject alternative name.
    pub name: SubjectAltName,
    /// Claims by number; 1 and 8 are the issuer.
    pub claims: Vec<(u8, String)>,
    /// From when to when, in seconds after the beginning.
    pub valid: (i64, i64),
    /// When the CT log promised; nothing if there is no SCT.
    pub logged: Option<i64>,
    /// Bytes that are replaced by as many others before the log and the authority sign.
    pub patches: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes that are replaced after the log and before the authority signs.
    pub late_patches: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many SCTs of the one log.
    pub scts: usize,
}

impl Default for Leaf {
    fn default() -> Self {
        let issuer = || ISSUER.to_owned();
        Self {
            name: SubjectAltName::Email(ALICE.to_owned()),
            claims: vec![(1, issuer()), (8, issuer())],
            valid: (1000, 1600),
            logged: Some(1000),
            patches: Vec::new(),
            late_patches: Vec::new(),
            scts: 1,
        }
    }
}

/// What is signed, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// How.
    pub algorithm: SignatureAlgorithm,
    /// The artifact's bytes.
    pub artifact: Vec<u8>,
    /// The payload of an envelope that is signed instead, and its type.
    pub payload: Option<(String, Vec<u8>)>,
    /// The certificate; `None` signs with the key alone.
    pub leaf: Option<Leaf>,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            artifact: b"an artifact\n".to_vec(),
            payload: None,
            leaf: Some(Leaf::default()),
        }
    }
}

/// A signature, before there is any evidence of it.
pub struct Signed {
    /// The key.
    pub key: Key,
    /// The artifact's bytes.
    pub artifact: Vec<u8>,
    /// The certificate, DER.
    pub leaf: Option<Vec<u8>>,
    /// What goes into the bundle.
    pub content: Content,
}

impl Instance {
    /// Signs with a fresh key and, if there is to be one, a fresh certificate.
    pub fn sign(&self, order: Order) -> Signed {
        let key = key(order.algorithm);
        let leaf = order.leaf.as_ref().map(|leaf| self.issue(leaf, &key));
        sign_with(key, leaf, order)
    }

    /// Logs the body that an honest client makes of a signature: `hashedrekord` for artifacts,
    /// and of an envelope `dsse` (v1) or `hashedrekord` over its encoding (v2).
    pub fn log(&self, signed: &Signed, recipe: &LogRecipe) -> TransparencyLogEntry {
        let dsse = matches!(signed.content, Content::Dsse(_));
        let (kind, version) = match (recipe.generation, dsse) {
            (Generation::V1, false) => ("hashedrekord", "0.0.1"),
            (Generation::V1, true) => ("dsse", "0.0.1"),
            (Generation::V2, _) => ("hashedrekord", "0.0.2"),
        };
        self.log_body(kind, version, body(signed, kind, version), recipe)
    }

    fn issue(&self, leaf: &Leaf, key: &Key) -> Vec<u8> {
        let validity = Validity::new(at(leaf.valid.0), at(leaf.valid.1)).unwrap();
        let claims: Vec<_> = leaf
            .claims
            .iter()
            .map(|(n, value)| (*n, value.as_str()))
            .collect();
        let request = LeafRequest::new(key.public_key(), &leaf.name, &claims, validity);
        let prepared = self.ca.issuer.prepare(&request, &OsRandom).unwrap();
        let logged = patched(&prepared.log_input(), &leaf.patches);
        let Some(time) = leaf.logged else {
            return self.certify(&logged);
        };
        let sct = self.promise_certificate(&logged, at(time));
        let scts = SctList::new(vec![sct; leaf.scts]).unwrap();
        let certificate = ready(prepared.certificate(&*self.ca.key, &scts)).unwrap();
        let tbs = patched(certificate.tbs(), &leaf.patches);
        self.certify(&patched(&tbs, &leaf.late_patches))
    }

    fn promise_certificate(&self, tbs: &[u8], time: Time) -> Sct {
        let entry = CtEntry::Precertificate {
            issuer_key_hash: self.ca.key.public_key().spki_sha256(),
            tbs,
        };
        let input = entry.signed_input(time.unix_millis(), &[]).unwrap();
        let signature = self.ct_log.sign_now(Input::Message(&input)).unwrap();
        let log_id = self.ct_log.public_key().spki_sha256();
        Sct::new(
            log_id,
            time.unix_millis(),
            Vec::new(),
            SctScheme::EcdsaSha256,
            signature,
        )
    }

    /// Signs a TBSCertificate, whatever it says.
    fn certify(&self, tbs: &[u8]) -> Vec<u8> {
        let signature = self.ca.key.sign_now(Input::Message(tbs)).unwrap();
        // ecdsa-with-SHA384
        let algorithm = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
        let bits = tlv(3, &[&[0], signature.as_slice()].concat());
        tlv(0x30, &[tbs, &algorithm, &bits].concat())
    }
}

/// Signs with a given key and certificate.
fn sign_with(key: Key, leaf: Option<Vec<u8>>, order: Order) -> Signed {
    let content = match order.payload {
        None => Content::MessageSignature {
            digest: Some(digest(&Digest::of(
                key.algorithm().prehash().unwrap_or(Hash::Sha256),
                &order.artifact,
            ))),
            signature: key.sign_now(Input::Message(&order.artifact)).unwrap(),
        },
        Some((payload_type, payload)) => {
            let mut envelope = DsseEnvelope {
                payload,
                payload_type,
                signatures: Vec::new(),
            };
            let sig = key.sign_now(Input::Message(&envelope.pae())).unwrap();
            envelope.signatures.push(DsseSignature {
                sig,
                keyid: String::new(),
            });
            Content::Dsse(envelope)
        }
    };
    Signed {
        key,
        artifact: order.artifact,
        leaf,
        content,
    }
}

impl Signed {
    /// The signature's bytes.
    pub fn signature(&self) -> &[u8] {
        match &self.content {
            Content::MessageSignature { signature, .. } => signature,
            Content::Dsse(envelope) => &envelope.signatures.first().unwrap().sig,
            _ => unreachable!("there are two kinds of content"),
        }
    }

    /// Signs the same again with the same key and certificate: ECDSA gives another signature.
    pub fn again(&self) -> Self {
        let payload = match &self.content {
            Content::Dsse(envelope) => {
                Some((envelope.payload_type.clone(), envelope.payload.clone()))
            }
            _ => None,
        };
        let order = Order {
            payload,
            artifact: self.artifact.clone(),
            ..Order::default()
        };
        sign_with(self.key.clone(), self.leaf.clone(), order)
    }

    /// The bundle, version 0.3.
    pub fn bundle(
        &self,
        tlog_entries: Vec<TransparencyLogEntry>,
        timestamps: Vec<Vec<u8>>,
    ) -> Bundle {
        let key = match &self.leaf {
            Some(leaf) => KeyMaterial::Certificate(leaf.clone()),
            None => KeyMaterial::PublicKey {
                hint: "a hint".to_owned(),
            },
        };
        Bundle {
            version: BundleVersion::V03,
            spelling: Spelling::default(),
            material: VerificationMaterial {
                key,
                tlog_entries,
                timestamps,
            },
            content: self.content.clone(),
        }
    }

    fn pem(&self) -> String {
        match &self.leaf {
            Some(leaf) => Pem::new("CERTIFICATE", leaf).encode(),
            None => self.key.public_key().to_pem(),
        }
    }

    fn verifier(&self) -> Verifier {
        let details = KeyDetails::of(self.key.public_key(), self.key.algorithm()).unwrap();
        Verifier {
            key: match &self.leaf {
                Some(leaf) => VerifierKey::Certificate(leaf.clone()),
                None => VerifierKey::PublicKey(self.key.public_key().spki_der().to_vec()),
            },
            key_details: waxseal_formats::KeyDetails::new(details.name),
        }
    }

    /// The certificate, parsed.
    pub fn certificate(&self) -> Option<Certificate> {
        self.leaf
            .clone()
            .map(|leaf| Certificate::parse(leaf).unwrap())
    }
}

/// The body of a log entry about a signature, of any of the six kinds.
pub fn body(signed: &Signed, kind: &str, version: &str) -> Vec<u8> {
    let signature = STANDARD.encode(signed.signature());
    let pem = STANDARD.encode(signed.pem());
    let hash = signed.key.algorithm().prehash().unwrap_or(Hash::Sha256);
    let signed_digest = match &signed.content {
        Content::Dsse(envelope) => Digest::of(hash, &envelope.pae()),
        _ => Digest::of(hash, &signed.artifact),
    };
    let v2_signature = || Signature {
        content: signed.signature().to_vec(),
        verifier: signed.verifier(),
    };
    let json = match (kind, version, &signed.content) {
        ("hashedrekord", "0.0.2", _) => {
            let body = HashedRekordV002 {
                digest: digest(&signed_digest),
                signature: v2_signature(),
            };
            return body.encode_canonical();
        }
        ("dsse", "0.0.2", Content::Dsse(envelope)) => {
            let payload_hash = digest(&Digest::of(Hash::Sha256, &envelope.payload));
            let body = DsseV002 {
                payload_hash,
                signatures: vec![v2_signature()],
            };
            return Body::DsseV002(body).encode_canonical().unwrap();
        }
        ("hashedrekord", "0.0.1", _) => format!(
            r#"{{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{{"data":{{"hash":{}}},"signature":{{"content":"{signature}","publicKey":{{"content":"{pem}"}}}}}}}}"#,
            hash_json(&signed_digest)
        ),
        ("dsse", "0.0.1", Content::Dsse(envelope)) => format!(
            r#"{{"apiVersion":"0.0.1","kind":"dsse","spec":{{"envelopeHash":{},"payloadHash":{},"signatures":[{{"signature":"{signature}","verifier":"{pem}"}}]}}}}"#,
            hash_json(&submitted(envelope)),
            hash_json(&Digest::of(Hash::Sha256, &envelope.payload))
        ),
        ("intoto", "0.0.1", Content::Dsse(envelope)) => format!(
            r#"{{"apiVersion":"0.0.1","kind":"intoto","spec":{{"content":{{"hash":{},"payloadHash":{}}},"publicKey":"{pem}"}}}}"#,
            hash_json(&submitted(envelope)),
            hash_json(&Digest::of(Hash::Sha256, &envelope.payload))
        ),
        ("intoto", "0.0.2", Content::Dsse(envelope)) => format!(
            r#"{{"apiVersion":"0.0.2","kind":"intoto","spec":{{"content":{{"envelope":{{"payloadType":"{}","signatures":[{{"publicKey":"{pem}","sig":"{}"}}]}},"hash":{},"payloadHash":{}}}}}}}"#,
            envelope.payload_type,
            STANDARD.encode(&signature),
            hash_json(&submitted(envelope)),
            hash_json(&Digest::of(Hash::Sha256, &envelope.payload))
        ),
        _ => unreachable!("no client makes a {kind} {version} of that"),
    };
    json.into_bytes()
}

/// The hash of an envelope as Go clients submit it.
fn submitted(envelope: &DsseEnvelope) -> Digest {
    let json = format!(
        r#"{{"payloadType":"{}","payload":"{}","signatures":[{{"keyid":"","sig":"{}"}}]}}"#,
        envelope.payload_type,
        STANDARD.encode(&envelope.payload),
        STANDARD.encode(&envelope.signatures.first().unwrap().sig)
    );
    Digest::from(sha256(json.as_bytes()))
}

/// An in-toto statement about an artifact, as payload and its type.
pub fn statement(artifact: &[u8], predicate_type: &str) -> (String, Vec<u8>) {
    let digest = Digest::of(Hash::Sha256, artifact).to_hex();
    let json = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"artifact","digest":{{"sha256":"{digest}"}}}}],"predicateType":"{predicate_type}","predicate":{{"built": "here"}}}}"#
    );
    (DsseEnvelope::IN_TOTO.to_owned(), json.into_bytes())
}

/// Replaces bytes by as many others; each must be there.
pub fn patched(bytes: &[u8], patches: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (from, to) in patches {
        assert_eq!(from.len(), to.len(), "lengths are part of the encoding");
        let found = bytes.windows(from.len()).position(|window| window == from);
        let start = found.unwrap();
        bytes.splice(start..start + from.len(), to.iter().copied());
    }
    bytes
}

fn digest(digest: &Digest) -> MessageDigest {
    MessageDigest {
        algorithm: match digest.algorithm() {
            Hash::Sha384 => HashAlgorithm::SHA2_384,
            Hash::Sha512 => HashAlgorithm::SHA2_512,
            _ => HashAlgorithm::SHA2_256,
        },
        digest: digest.as_bytes().to_vec(),
    }
}

fn hash_json(digest: &Digest) -> String {
    format!(
        r#"{{"algorithm":"{}","value":"{}"}}"#,
        digest.algorithm(),
        digest.to_hex()
    )
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut out = vec![tag];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 128 => out.push(short),
        (Ok(one), _) => out.extend([0x81, one]),
        (_, two) => {
            out.push(0x82);
            out.extend(two.unwrap().to_be_bytes());
        }
    }
    out.extend(contents);
    out
}
