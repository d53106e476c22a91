//! What ties a log entry to the bundle: kind, key or certificate, signature, digest.
//!
//! Without it, any entry of the log would vouch for any bundle (CVE-2022-23649, CVE-2026-22703).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use waxseal_crypto::{Digest, HashAlgorithm, KeyDetails, Pem, SignatureAlgorithm, sha256};
use waxseal_formats::entry::{Body, EntryError, Verifier, VerifierKey};
use waxseal_formats::{DsseEnvelope, MessageDigest, TransparencyLogEntry};
use waxseal_pki::Certificate;

use crate::VerifyError;
use crate::algorithm::SigningKey;
use crate::artifact::Message;
use crate::structure::digest_of;

/// The bundle, as far as its entries must agree with it.
pub(crate) struct Binding<'a> {
    pub(crate) leaf: Option<&'a Certificate>,
    pub(crate) key: SigningKey<'a>,
    pub(crate) signature: &'a [u8],
    pub(crate) content: Bound<'a>,
}

/// What was signed.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one, and it stays where it is"
)]
pub(crate) enum Bound<'a> {
    /// An artifact; the bundle may name its digest, and every entry does.
    Artifact { digests: Vec<Digest> },
    /// An envelope, its payload, its pre-authentication encoding, and the hashes of the forms in
    /// which clients submit it, as far as they were needed. Each is hashed once, however many
    /// entries name it.
    Envelope {
        envelope: &'a DsseEnvelope,
        payload: Message<'a>,
        pae: Message<'a>,
        submitted: Vec<[u8; 32]>,
    },
}

impl Binding<'_> {
    /// Checks that an entry is of this bundle and no other. What the entry says of the algorithm
    /// narrows the key's.
    pub(crate) fn bind(&mut self, entry: &TransparencyLogEntry) -> Result<(), VerifyError> {
        let index = entry.log_index;
        let body = Body::parse(&entry.kind, &entry.version, &entry.canonicalized_body).map_err(
            |error| match error {
                EntryError::UnsupportedKind { kind, version } => {
                    VerifyError::EntryKindUnsupported { kind, version }
                }
                _ => VerifyError::EntryMalformed { index },
            },
        )?;
        // What was logged must be what was read, to the byte: a log that took in more than that
        // could mean something else by it.
        if body
            .encode_canonical()
            .is_some_and(|canonical| canonical != entry.canonicalized_body)
        {
            return Err(VerifyError::EntryNotCanonical { index });
        }
        if !matches!(body, Body::HashedRekordV001(_) | Body::HashedRekordV002(_)) {
            self.envelope(index)?;
        }
        match &body {
            Body::HashedRekordV001(body) => {
                self.check_pem(&body.verifier_pem, index)?;
                self.check_signature(body.signature == self.signature, index)?;
                self.check_signed_digest(&body.digest, None, index)
            }
            Body::HashedRekordV002(body) => {
                self.check_verifier(&body.signature.verifier, index)?;
                self.check_signature(body.signature.content == self.signature, index)?;
                let algorithm = algorithm_of(&body.signature.verifier, index)?;
                self.check_signed_digest(&body.digest, Some(algorithm), index)
            }
            Body::DsseV001(body) => {
                let [signature] = body.signatures.as_slice() else {
                    return Err(VerifyError::EntrySignatureMismatch { index });
                };
                self.check_pem(&signature.verifier_pem, index)?;
                self.check_signature(signature.signature == self.signature, index)?;
                self.check_payload(&body.payload_hash, index)
            }
            Body::DsseV002(body) => {
                let [signature] = body.signatures.as_slice() else {
                    return Err(VerifyError::EntrySignatureMismatch { index });
                };
                self.check_verifier(&signature.verifier, index)?;
                self.check_signature(signature.content == self.signature, index)?;
                if !self
                    .key
                    .narrow_to(algorithm_of(&signature.verifier, index)?)
                {
                    return Err(VerifyError::EntryAlgorithmMismatch { index });
                }
                self.check_payload(&body.payload_hash, index)
            }
            Body::IntotoV001(body) => {
                self.check_pem(&body.verifier_pem, index)?;
                // The signature is in the entry only as part of the envelope that was submitted.
                let submitted = self.was_submitted_as(&body.envelope_hash, index)?;
                self.check_signature(submitted, index)?;
                match &body.payload_hash {
                    Some(hash) => self.check_payload(hash, index),
                    None => Ok(()),
                }
            }
            Body::IntotoV002(body) => {
                let [signature] = body.signatures.as_slice() else {
                    return Err(VerifyError::EntrySignatureMismatch { index });
                };
                self.check_pem(&signature.verifier_pem, index)?;
                self.check_signature(signature.is(self.signature), index)?;
                if body.payload_type != self.envelope(index)?.payload_type {
                    return Err(VerifyError::EntryContentMismatch { index });
                }
                self.check_payload(&body.payload_hash, index)
            }
            _ => Err(VerifyError::EntryMalformed { index }),
        }
    }

    /// Whether a hash is that of the envelope as clients of `intoto` 0.0.1 submitted it.
    fn was_submitted_as(&mut self, named: &MessageDigest, index: i64) -> Result<bool, VerifyError> {
        let Bound::Envelope {
            envelope,
            submitted,
            ..
        } = &mut self.content
        else {
            return Err(VerifyError::EntryContentMismatch { index });
        };
        let Some(expected) = digest_of(named) else {
            return Ok(false);
        };
        if expected.algorithm() != HashAlgorithm::Sha256 {
            return Ok(false);
        }
        if submitted.iter().any(|hash| hash == expected.as_bytes()) {
            return Ok(true);
        }
        while let Some(form) = submitted_form(submitted.len(), envelope) {
            let hash = sha256(form.as_bytes());
            submitted.push(hash);
            if hash == expected.as_bytes() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn envelope(&self, index: i64) -> Result<&DsseEnvelope, VerifyError> {
        match &self.content {
            Bound::Envelope { envelope, .. } => Ok(envelope),
            Bound::Artifact { .. } => Err(VerifyError::EntryContentMismatch { index }),
        }
    }

    /// A version 1 entry keeps a certificate or a key as PEM; of a chain, the first one signed.
    fn check_pem(&self, pem: &[u8], index: i64) -> Result<(), VerifyError> {
        let (label, der) = match self.leaf {
            Some(leaf) => ("CERTIFICATE", leaf.der()),
            None => ("PUBLIC KEY", self.key.key.spki_der()),
        };
        // As most clients write it: then there is nothing to decode.
        if Pem::encode_block(label, der).as_bytes() == pem {
            return Ok(());
        }
        let blocks = std::str::from_utf8(pem)
            .ok()
            .and_then(|text| Pem::parse_many(text).ok());
        let first = blocks.as_deref().and_then(<[Pem]>::first);
        let first = first.ok_or(VerifyError::EntryMalformed { index })?;
        if first.label == label && first.der == der {
            Ok(())
        } else {
            Err(VerifyError::EntryKeyMismatch { index })
        }
    }

    fn check_verifier(&self, verifier: &Verifier, index: i64) -> Result<(), VerifyError> {
        let same = match (self.leaf, &verifier.key) {
            (Some(leaf), VerifierKey::Certificate(der)) => der == leaf.der(),
            (None, VerifierKey::PublicKey(der)) => der == self.key.key.spki_der(),
            _ => false,
        };
        if same {
            Ok(())
        } else {
            Err(VerifyError::EntryKeyMismatch { index })
        }
    }

    const fn check_signature(&self, same: bool, index: i64) -> Result<(), VerifyError> {
        if same {
            Ok(())
        } else {
            Err(VerifyError::EntrySignatureMismatch { index })
        }
    }

    /// The digest of what was signed: the artifact, or the envelope's pre-authentication encoding.
    fn check_signed_digest(
        &mut self,
        named: &MessageDigest,
        algorithm: Option<SignatureAlgorithm>,
        index: i64,
    ) -> Result<(), VerifyError> {
        let digest = digest_of(named).ok_or(VerifyError::EntryMalformed { index })?;
        let fits = match algorithm {
            Some(algorithm) => {
                algorithm.prehash() == Some(digest.algorithm()) && self.key.narrow_to(algorithm)
            }
            None => self.key.narrow_to_hash(digest.algorithm()),
        };
        if !fits {
            return Err(VerifyError::EntryAlgorithmMismatch { index });
        }
        match &mut self.content {
            Bound::Artifact { digests } => {
                let conflict =
                    |known: &Digest| known.algorithm() == digest.algorithm() && *known != digest;
                if digests.iter().any(conflict) {
                    return Err(VerifyError::EntryDigestMismatch { index });
                }
                if !digests.contains(&digest) {
                    digests.push(digest);
                }
                Ok(())
            }
            Bound::Envelope { pae, .. } => {
                if pae.digest(digest.algorithm())? == digest {
                    Ok(())
                } else {
                    Err(VerifyError::EntryDigestMismatch { index })
                }
            }
        }
    }

    fn check_payload(&mut self, named: &MessageDigest, index: i64) -> Result<(), VerifyError> {
        let Bound::Envelope { payload, .. } = &mut self.content else {
            return Err(VerifyError::EntryContentMismatch { index });
        };
        let digest = digest_of(named).ok_or(VerifyError::EntryMalformed { index })?;
        if payload.digest(digest.algorithm())? == digest {
            Ok(())
        } else {
            Err(VerifyError::EntryDigestMismatch { index })
        }
    }
}

/// The algorithm that a version 2 entry names for its own key.
fn algorithm_of(verifier: &Verifier, index: i64) -> Result<SignatureAlgorithm, VerifyError> {
    KeyDetails::by_name(verifier.key_details.as_str())
        .map(|details| details.algorithm)
        .ok_or(VerifyError::EntryAlgorithmMismatch { index })
}

/// An envelope as clients of `intoto` 0.0.1 submitted it: JSON without white space, in the field
/// order of Go's or of the bundle's encoder, with or without an empty key id. No other form is
/// known; an entry of another one is refused.
fn submitted_form(form: usize, envelope: &DsseEnvelope) -> Option<String> {
    let [signature] = envelope.signatures.as_slice() else {
        return None;
    };
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let payload_type = text(&envelope.payload_type);
    let (sig, keyid) = (STANDARD.encode(&signature.sig), text(&signature.keyid));
    let signature = match form / 2 {
        0 => format!(r#"{{"keyid":{keyid},"sig":"{sig}"}}"#),
        1 => format!(r#"{{"sig":"{sig}","keyid":{keyid}}}"#),
        2 => format!(r#"{{"sig":"{sig}"}}"#),
        _ => return None,
    };
    let payload = STANDARD.encode(&envelope.payload);
    Some(if form.is_multiple_of(2) {
        format!(
            r#"{{"payloadType":{payload_type},"payload":"{payload}","signatures":[{signature}]}}"#
        )
    } else {
        format!(
            r#"{{"payload":"{payload}","payloadType":{payload_type},"signatures":[{signature}]}}"#
        )
    })
}
