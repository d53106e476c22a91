//! The bundle: put together, and verified before it leaves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use waxseal_crypto::{Digest, PublicKey};
use waxseal_formats::{
    Bundle, BundleVersion, Content, KeyMaterial, MessageDigest, Spelling, TransparencyLogEntry,
    VerificationMaterial,
};
use waxseal_verify::{Artifact, IdentityRule, ValidFor, VerificationPolicy, Verified};

use crate::log::wire_name;
use crate::payload::{Kind, envelope};
use crate::session::Material;
use crate::{Payload, Session, SigningError};

/// A bundle without its evidence.
pub(crate) struct Unlogged {
    key: KeyMaterial,
    content: Content,
}

pub(crate) fn assemble(
    material: &Material,
    public_key: &PublicKey,
    payload: &Payload,
    digest: &Digest,
    signature: &[u8],
) -> Unlogged {
    let key = match material {
        Material::Certificate { certificate, .. } => {
            KeyMaterial::Certificate(certificate.der().to_vec())
        }
        Material::Key => KeyMaterial::PublicKey {
            hint: STANDARD.encode(public_key.spki_sha256()),
        },
    };
    let content = match &payload.0 {
        Kind::Artifact(_) => Content::MessageSignature {
            digest: Some(MessageDigest {
                algorithm: wire_name(digest.algorithm()),
                digest: digest.as_bytes().to_vec(),
            }),
            signature: signature.to_vec(),
        },
        Kind::Statement { json, .. } => Content::Dsse(envelope(json, signature)),
    };
    Unlogged { key, content }
}

impl Unlogged {
    pub(crate) fn with(
        self,
        tlog_entries: Vec<TransparencyLogEntry>,
        timestamps: Vec<Vec<u8>>,
    ) -> Bundle {
        Bundle {
            version: BundleVersion::V03,
            spelling: Spelling::Suffix,
            material: VerificationMaterial {
                key: self.key,
                tlog_entries,
                timestamps,
            },
            content: self.content,
        }
    }
}

/// Verifies a finished bundle, as anybody would who expects exactly this signer.
pub(crate) fn verify(
    session: &Session<'_>,
    bundle: &Bundle,
    payload: &Payload,
    digest: &Digest,
) -> Result<Verified, SigningError> {
    let context = &session.context;
    let policy = match &session.material {
        Material::Certificate { identity, .. } => {
            let subject = identity
                .subjects
                .first()
                .map(|subject| subject.value.clone());
            let issuer = identity.issuer.clone().unwrap_or_default();
            VerificationPolicy::identity(IdentityRule::new(subject.unwrap_or_default(), issuer))
        }
        Material::Key => {
            let key = session.public_key().clone();
            VerificationPolicy::key(key, ValidFor::always())
        }
    };
    let policy = policy
        .sct_threshold(context.min_scts)
        .timestamp_threshold(1);
    let artifact = match &payload.0 {
        Kind::Artifact(_) => *digest,
        Kind::Statement { subject, .. } => *subject,
    };
    let artifact = Artifact::digest(artifact);
    context
        .verifier
        .verify(artifact, bundle, &policy, context.now())
        .map_err(|error| SigningError::Refused(Box::new(error)))
}
