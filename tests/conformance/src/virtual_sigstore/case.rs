//! One verification, every part of which can be changed first.

use waxseal_crypto::{Digest, HashAlgorithm, Time};
use waxseal_formats::{Bundle, DsseEnvelope, TransparencyLogEntry, TrustedRoot};
use waxseal_verify::{
    Artifact, IdentityRule, ValidFor, VerificationPolicy, Verified, Verifier, VerifyError,
};

use super::{
    ALICE, Generation, ISSUER, Instance, LogRecipe, Order, Signed, at, provider, statement,
};

/// When things are signed, in seconds after the beginning: inside of the certificate's life.
pub const SIGNED: i64 = 1100;
/// The predicate type of statements.
pub const PREDICATE: &str = "https://example.com/predicate/v1";

/// One verification.
pub struct Case<'a> {
    /// The operator whose services were used.
    pub instance: &'a Instance,
    /// The signature.
    pub signed: Signed,
    /// The bundle.
    pub bundle: Bundle,
    /// Who is trusted.
    pub root: TrustedRoot,
    /// What is asked for.
    pub policy: VerificationPolicy,
    /// The artifact that is verified.
    pub artifact: Vec<u8>,
    /// The present.
    pub now: Time,
}

impl<'a> Case<'a> {
    /// A version 1 entry with promise and proof.
    pub fn v1(instance: &'a Instance) -> Self {
        Self::of(instance, Order::default(), Generation::V1)
    }

    /// A version 2 entry and a timestamp.
    pub fn v2(instance: &'a Instance) -> Self {
        Self::of(instance, Order::default(), Generation::V2)
    }

    /// An attestation.
    pub fn attestation(instance: &'a Instance, generation: Generation) -> Self {
        let order = Order::default();
        let payload = Some(statement(&order.artifact, PREDICATE));
        Self::of(instance, Order { payload, ..order }, generation)
    }

    /// An envelope with any payload.
    pub fn envelope(instance: &'a Instance, payload: &str) -> Self {
        let payload = Some((
            DsseEnvelope::IN_TOTO.to_owned(),
            payload.as_bytes().to_vec(),
        ));
        Self::of(
            instance,
            Order {
                payload,
                ..Order::default()
            },
            Generation::V2,
        )
    }

    /// A signature of an order, logged; of version 2 with a timestamp.
    pub fn of(instance: &'a Instance, order: Order, generation: Generation) -> Self {
        let signed = instance.sign(order);
        let entry = instance.log(&signed, &LogRecipe::new(generation, at(SIGNED)));
        let mut case = Self::with_entries(instance, signed, vec![entry]);
        if generation == Generation::V2 {
            case.add_timestamp(SIGNED);
        }
        case
    }

    /// A signature with these entries and no timestamp.
    pub fn with_entries(
        instance: &'a Instance,
        signed: Signed,
        entries: Vec<TransparencyLogEntry>,
    ) -> Self {
        let policy = if signed.leaf.is_some() {
            VerificationPolicy::identity(IdentityRule::new(ALICE, ISSUER))
        } else {
            VerificationPolicy::key(signed.key.public_key().clone(), ValidFor::always())
        };
        Self {
            bundle: signed.bundle(entries, Vec::new()),
            root: Instance::trusted_root(&[instance]),
            artifact: signed.artifact.clone(),
            now: at(2000),
            instance,
            signed,
            policy,
        }
    }

    /// Adds a timestamp of the signature.
    pub fn add_timestamp(&mut self, seconds: i64) {
        let token = self
            .instance
            .timestamp(self.signed.signature(), at(seconds));
        self.bundle.material.timestamps.push(token);
    }

    /// The first log entry.
    pub fn entry(&mut self) -> &mut TransparencyLogEntry {
        self.bundle.material.tlog_entries.first_mut().unwrap()
    }

    /// Logs another body in place of the first entry's own.
    pub fn relog(&mut self, body: Vec<u8>) {
        let generation = self.generation();
        let (kind, version) = (self.entry().kind.clone(), self.entry().version.clone());
        let recipe = LogRecipe::new(generation, at(SIGNED));
        *self.entry() = self.instance.log_body(&kind, &version, body, &recipe);
    }

    fn generation(&mut self) -> Generation {
        if self.entry().inclusion_promise.is_some() {
            Generation::V1
        } else {
            Generation::V2
        }
    }

    /// The verdict about the artifact's bytes, after the bundle went through its text.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self) -> Result<Verified, VerifyError> {
        self.verify_artifact(Artifact::bytes(&self.artifact))
    }

    /// The verdict about the artifact's SHA-256 digest.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify_digest(&self) -> Result<Verified, VerifyError> {
        let digest = Digest::of(HashAlgorithm::Sha256, &self.artifact);
        self.verify_artifact(Artifact::digest(digest))
    }

    /// The verdict.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify_artifact(&self, artifact: Artifact<'_>) -> Result<Verified, VerifyError> {
        let verifier = Verifier::new(provider(), &self.root).unwrap();
        verifier.verify(artifact, &self.bundle, &self.policy, self.now)
    }
}
