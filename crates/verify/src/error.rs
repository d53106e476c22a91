//! Why a bundle was refused: one variant per rule, in the one order in which the rules are reached.
//!
//! The order of the variants *is* the order of the checks. Where several candidates are tried
//! (authorities for a timestamp, identities of a policy) and all fail, the failure that is last in
//! this order is reported: it belongs to the candidate that came nearest.

use waxseal_crypto::{Digest, HashAlgorithm, Time};

/// What kind of failure a rule stands for; command-line exit codes are made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// The input is malformed, or uses a feature that is not supported.
    Malformed,
    /// A digest, signature, proof, certificate or time does not hold.
    Cryptographic,
    /// Everything holds, but it is not what the policy asks for.
    Policy,
    /// The bundle names an authority that the trusted root does not have.
    TrustRoot,
}

/// One rule of verification, as it is listed in [`VerifyError::RULES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Stable name, such as `subject-mismatch`.
    pub code: &'static str,
    /// What kind of failure it is.
    pub class: ErrorClass,
}

macro_rules! rules {
    ($(
        $(#[$meta:meta])*
        $code:literal $class:ident $name:ident $({
            $( $(#[$field_meta:meta])* $field:ident : $type:ty, )*
        })?
    )*) => {
        /// The rule that a bundle breaks. Later variants are checked later.
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum VerifyError {
            $( $(#[$meta])* $name $({ $( $(#[$field_meta])* $field : $type, )* })?, )*
        }

        impl VerifyError {
            /// Every rule, in the order of the checks.
            pub const RULES: &'static [Rule] = &[
                $( Rule { code: $code, class: ErrorClass::$class }, )*
            ];

            /// The stable name of the rule.
            pub const fn code(&self) -> &'static str {
                match self {
                    $( Self::$name $({ $( $field: _, )* })? => $code, )*
                }
            }

            /// What kind of failure it is.
            pub const fn class(&self) -> ErrorClass {
                match self {
                    $( Self::$name $({ $( $field: _, )* })? => ErrorClass::$class, )*
                }
            }
        }
    };
}

rules! {
    // ── structure and limits: nothing is computed before these hold ──

    /// More log entries than the limit (GHSA-cq38-jh5f-37mq).
    #[error("the bundle has {found} log entries, at most {limit} are looked at")]
    "too-many-entries" Malformed TooManyEntries {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    }
    /// More timestamps than the limit (GHSA-cq38-jh5f-37mq).
    #[error("the bundle has {found} timestamps, at most {limit} are looked at")]
    "too-many-timestamps" Malformed TooManyTimestamps {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    }
    /// More certificates than the limit.
    #[error("the bundle has {found} certificates, at most {limit} are looked at")]
    "too-many-certificates" Malformed TooManyCertificates {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    }
    /// The certificate chain is empty (bundle format: the leaf comes first).
    #[error("the bundle's certificate chain is empty")]
    "certificate-missing" Malformed CertificateMissing
    /// The policy names identities, and the bundle was signed with a key and no certificate.
    #[error("signed with a key that has no certificate: verify it with that public key")]
    "certificate-required" Policy CertificateRequired
    /// The policy names a key, and the bundle was signed with a certificate.
    #[error("signed with a certificate: verify it with an identity, not with a key")]
    "key-required" Policy KeyRequired
    /// A certificate of the bundle is not one that can be read (RFC 5280 §4.1).
    #[error("a certificate in the bundle is malformed")]
    "certificate-malformed" Malformed CertificateMalformed {
        /// What is wrong with it.
        source: waxseal_pki::CertificateError,
    }
    /// The chain holds a self-issued certificate: roots are trusted out of band only
    /// (client specification §4.6, bundle format `X509CertificateChain`).
    #[error("the bundle's certificate chain contains a root certificate")]
    "root-certificate-in-bundle" Malformed RootCertificateInBundle
    /// An envelope has not exactly one signature: with several, checks could look at different
    /// ones (client specification §4.4).
    #[error("the envelope has {found} signatures, expected exactly one")]
    "signature-count" Malformed SignatureCount {
        /// How many there are.
        found: usize,
    }
    /// A log index below zero.
    #[error("log index {found} is negative")]
    "log-index-negative" Malformed LogIndexNegative {
        /// The index.
        found: i64,
    }
    /// The same log entry twice.
    #[error("log entry {index} is in the bundle twice")]
    "entry-duplicate" Malformed EntryDuplicate {
        /// The log index of both.
        index: i64,
    }
    /// The same timestamp token twice.
    #[error("the same timestamp is in the bundle twice")]
    "timestamp-duplicate" Malformed TimestampDuplicate
    /// A log entry has neither an inclusion proof nor a promise.
    #[error("log entry {index} has neither an inclusion proof nor a promise")]
    "entry-without-evidence" Malformed EntryWithoutEvidence {
        /// Its log index.
        index: i64,
    }
    /// A log entry has a promise but no proof, and the policy does not accept promises.
    #[error("log entry {index} has no inclusion proof, and a promise alone is not accepted")]
    "inclusion-proof-missing" Policy InclusionProofMissing {
        /// Its log index.
        index: i64,
    }

    // ── time evidence ──

    /// A timestamp is not an RFC 3161 response or token.
    #[error("a timestamp is malformed")]
    "timestamp-malformed" Malformed TimestampMalformed {
        /// What is wrong with it.
        source: waxseal_pki::timestamp::ResponseError,
    }
    /// No timestamp authority of the trusted root made the token.
    #[error("a timestamp was made by an authority that the trusted root does not have")]
    "timestamp-authority-unknown" TrustRoot TimestampAuthorityUnknown
    /// The token was made for other bytes than the bundle's signature (RFC 3161 §2.4.2).
    #[error("a timestamp was made for another signature than the bundle's")]
    "timestamp-imprint-mismatch" Cryptographic TimestampImprintMismatch
    /// The token's signature, attributes or certificates do not hold (RFC 3161, RFC 5652 §5).
    #[error("a timestamp is not validly signed by its authority")]
    "timestamp-invalid" Cryptographic TimestampInvalid {
        /// What is wrong with it.
        source: waxseal_pki::timestamp::TimestampError,
    }
    /// The token's time is outside the validity of its authority: a certificate's, or that of the
    /// trusted root.
    #[error("a timestamp of {time} is outside its authority's validity")]
    "timestamp-authority-expired" Cryptographic TimestampAuthorityExpired {
        /// The token's time.
        time: Time,
    }
    /// No log of the trusted root has the id that an entry or its checkpoint names.
    #[error("log entry {index} is of a log that the trusted root does not have")]
    "log-unknown" TrustRoot LogUnknown {
        /// Its log index.
        index: i64,
    }
    /// An integrated time that is no time.
    #[error("the integrated time {found} is out of range")]
    "integrated-time-invalid" Malformed IntegratedTimeInvalid {
        /// Seconds since the epoch.
        found: i64,
    }
    /// The signed entry timestamp does not verify (Rekor v1), or is by a log that makes none (v2).
    #[error("the inclusion promise of log entry {index} is not validly signed")]
    "promise-invalid" Cryptographic PromiseInvalid {
        /// Its log index.
        index: i64,
    }
    /// A verified time is later than the present (no allowance for clock skew: it would let an
    /// authority issue future times).
    #[error("the signature's time {time} is in the future (it is {now} now)")]
    "time-in-future" Cryptographic TimeInFuture {
        /// The verified time.
        time: Time,
        /// The present, as the caller says.
        now: Time,
    }
    /// Too few operators vouch for the time of signing; the integrated time of an entry counts
    /// only with its promise (client specification §4.6).
    #[error("{found} of {wanted} sources of verified time: a timestamp or an inclusion promise is needed")]
    "time-missing" Cryptographic TimeMissing {
        /// Operators that count.
        found: usize,
        /// Operators that the policy wants.
        wanted: usize,
    }
    /// Too few timestamp authorities, counted by operator.
    #[error("{found} of {wanted} timestamp authorities")]
    "timestamp-threshold" Policy TimestampThreshold {
        /// Operators that count.
        found: usize,
        /// Operators that the policy wants.
        wanted: usize,
    }

    // ── the certificate's path, at every verified time ──

    /// No authority of the trusted root issued the certificate (RFC 5280 §6).
    #[error("the certificate was not issued by an authority of the trusted root")]
    "certificate-untrusted" Cryptographic CertificateUntrusted
    /// The certificate may not sign code (RFC 5280 §4.2.1.12), or breaks another rule of its path.
    #[error("the certificate may not be used for signing")]
    "certificate-unsuitable" Cryptographic CertificateUnsuitable {
        /// The rule of RFC 5280 that it breaks.
        source: waxseal_pki::PathError,
    }
    /// The trusted root did not trust the authority at a verified time.
    #[error("the certificate's authority was not trusted at {time}")]
    "certificate-authority-expired" Cryptographic CertificateAuthorityExpired {
        /// The verified time.
        time: Time,
    }
    /// A certificate of the path was not valid at a verified time (hybrid model, client
    /// specification §4.3: every certificate, at every time).
    #[error("the certificate was not valid at {time}, when the signature was made")]
    "certificate-expired" Cryptographic CertificateExpired {
        /// The verified time.
        time: Time,
    }

    // ── certificate transparency ──

    /// The certificate has no embedded SCT.
    #[error("the certificate has no signed certificate timestamp")]
    "sct-missing" Cryptographic SctMissing
    /// The list of SCTs is malformed (RFC 6962 §3.3), or too long.
    #[error("the certificate's list of signed certificate timestamps is malformed")]
    "sct-malformed" Malformed SctMalformed
    /// No CT log of the trusted root made any of the SCTs.
    #[error("the certificate was logged by no certificate transparency log of the trusted root")]
    "sct-log-unknown" TrustRoot SctLogUnknown
    /// An SCT is of the future (RFC 6962 §5.2).
    #[error("the certificate was logged at {time}, in the future (it is {now} now)")]
    "sct-in-future" Cryptographic SctInFuture {
        /// The SCT's time.
        time: Time,
        /// The present, as the caller says.
        now: Time,
    }
    /// The CT log's key was not valid when it made the SCT.
    #[error("the certificate transparency log was not trusted at {time}")]
    "sct-log-expired" Cryptographic SctLogExpired {
        /// The SCT's time.
        time: Time,
    }
    /// The SCT's signature does not verify (RFC 6962 §3.2).
    #[error("a signed certificate timestamp does not verify")]
    "sct-invalid" Cryptographic SctInvalid
    /// Too few CT logs, counted by operator.
    #[error("{found} of {wanted} certificate transparency logs")]
    "sct-threshold" Policy SctThreshold {
        /// Operators that count.
        found: usize,
        /// Operators that the policy wants.
        wanted: usize,
    }

    // ── who signed ──

    /// The two issuer extensions (…57264.1.1 and .8) disagree.
    #[error("the certificate names two issuers: {old:?} and {new:?}")]
    "issuer-conflict" Cryptographic IssuerConflict {
        /// The value of …1.1.
        old: String,
        /// The value of …1.8.
        new: String,
    }
    /// The certificate's subject is none of those that the policy accepts.
    #[error("signed by {found:?}, expected {expected:?}")]
    "identity-mismatch" Policy IdentityMismatch {
        /// What the policy accepts.
        expected: String,
        /// The certificate's subjects.
        found: Vec<String>,
    }
    /// The identity provider is not the one that the policy wants.
    #[error("the identity was vouched for by {found:?}, expected {expected:?}")]
    "issuer-mismatch" Policy IssuerMismatch {
        /// What the policy accepts.
        expected: String,
        /// The certificate's issuer claim, empty if there is none.
        found: String,
    }
    /// A claim is not what the policy wants.
    #[error("the claim {claim} is {found:?}, expected {expected:?}")]
    "claim-mismatch" Policy ClaimMismatch {
        /// The claim's name.
        claim: &'static str,
        /// What the policy accepts.
        expected: String,
        /// The certificate's value, if there is one.
        found: Option<String>,
    }
    /// A verified time is outside of the validity that the policy gives the key.
    #[error("the key was not valid at {time}, when the signature was made")]
    "key-expired" Cryptographic KeyExpired {
        /// The verified time.
        time: Time,
    }
    /// No algorithm of the registry fits the key, or the provider does not have it.
    #[error("signatures of this kind of key are not supported")]
    "key-unsupported" Malformed KeyUnsupported

    // ── the log entry's body, and what binds it to the bundle ──

    /// The digest in the bundle is malformed or of an unknown algorithm.
    #[error("the bundle's message digest is malformed")]
    "message-digest-malformed" Malformed MessageDigestMalformed
    /// The entry is of a kind or version that is not supported.
    #[error("log entries of kind {kind:?} {version:?} are not supported")]
    "entry-kind-unsupported" Malformed EntryKindUnsupported {
        /// The kind that the bundle names.
        kind: String,
        /// Its version.
        version: String,
    }
    /// The body is not of the kind and version that the bundle names, or is malformed.
    #[error("the body of log entry {index} is malformed")]
    "entry-malformed" Malformed EntryMalformed {
        /// Its log index.
        index: i64,
    }
    /// A 0.0.2 body is not the canonical encoding of what it says: what was logged is not what
    /// was checked.
    #[error("the body of log entry {index} is not in canonical form")]
    "entry-not-canonical" Cryptographic EntryNotCanonical {
        /// Its log index.
        index: i64,
    }
    /// The entry is of a kind that cannot hold this bundle's content.
    #[error("log entry {index} does not hold the kind of content that is in the bundle")]
    "entry-content-mismatch" Cryptographic EntryContentMismatch {
        /// Its log index.
        index: i64,
    }
    /// The entry holds another key or certificate than the bundle.
    #[error("log entry {index} is of another key or certificate")]
    "entry-key-mismatch" Cryptographic EntryKeyMismatch {
        /// Its log index.
        index: i64,
    }
    /// The entry holds another signature than the bundle.
    #[error("log entry {index} is of another signature")]
    "entry-signature-mismatch" Cryptographic EntrySignatureMismatch {
        /// Its log index.
        index: i64,
    }
    /// The entry names a hash or algorithm that does not go with the key.
    #[error("log entry {index} names an algorithm that does not go with the key")]
    "entry-algorithm-mismatch" Cryptographic EntryAlgorithmMismatch {
        /// Its log index.
        index: i64,
    }
    /// The entry holds the digest of another artifact, envelope or payload.
    #[error("log entry {index} is of another artifact")]
    "entry-digest-mismatch" Cryptographic EntryDigestMismatch {
        /// Its log index.
        index: i64,
    }

    // ── inclusion in the log ──

    /// Nothing binds the entry's index: it differs from the proof's, and no promise covers it.
    #[error("log entry {entry} has a proof for index {proof}")]
    "log-index-mismatch" Cryptographic LogIndexMismatch {
        /// The entry's index.
        entry: i64,
        /// The proof's index.
        proof: i64,
    }
    /// The inclusion proof does not lead to the root (RFC 9162 §2.1.3.2).
    #[error("the inclusion proof of log entry {index} does not hold")]
    "inclusion-proof-invalid" Cryptographic InclusionProofInvalid {
        /// Its log index.
        index: i64,
    }
    /// The inclusion proof has no checkpoint, so nobody signed its root.
    #[error("the inclusion proof of log entry {index} has no checkpoint")]
    "checkpoint-missing" Policy CheckpointMissing {
        /// Its log index.
        index: i64,
    }
    /// The checkpoint is not a signed note with a tree size and a root (C2SP tlog-checkpoint).
    #[error("the checkpoint of log entry {index} is malformed")]
    "checkpoint-malformed" Malformed CheckpointMalformed {
        /// Its log index.
        index: i64,
    }
    /// No line of the checkpoint is signed by the log that the entry is of.
    #[error("the checkpoint of log entry {index} is not signed by its log")]
    "checkpoint-signature-missing" Cryptographic CheckpointSignatureMissing {
        /// Its log index.
        index: i64,
    }
    /// The log's signature on the checkpoint does not verify.
    #[error("the checkpoint of log entry {index} is not validly signed")]
    "checkpoint-invalid" Cryptographic CheckpointInvalid {
        /// Its log index.
        index: i64,
    }
    /// The checkpoint's first line is not the log's name.
    #[error("the checkpoint of log entry {index} is of another log: {found:?}")]
    "checkpoint-origin-mismatch" Cryptographic CheckpointOriginMismatch {
        /// Its log index.
        index: i64,
        /// The checkpoint's origin.
        found: String,
    }
    /// The proof's root hash or tree size is not the checkpoint's.
    #[error("the checkpoint of log entry {index} is of another tree than its proof")]
    "checkpoint-mismatch" Cryptographic CheckpointMismatch {
        /// Its log index.
        index: i64,
    }
    /// Too few of the policy's witnesses cosigned the checkpoint (C2SP tlog-policy).
    #[error("the checkpoint of log entry {index} has not the witnesses that the policy wants")]
    "witness-quorum" Policy WitnessQuorum {
        /// Its log index.
        index: i64,
    }
    /// The log's key was not valid at a verified time (client specification §6).
    #[error("the log {log:?} was not trusted at {time}")]
    "log-expired" Cryptographic LogExpired {
        /// The log's name.
        log: String,
        /// The verified time.
        time: Time,
    }
    /// Too few logs, counted by operator.
    #[error("{found} of {wanted} transparency logs")]
    "log-threshold" Policy LogThreshold {
        /// Operators that count.
        found: usize,
        /// Operators that the policy wants.
        wanted: usize,
    }

    // ── what was signed ──

    /// The envelope's payload is not an in-toto statement (client specification §4.5).
    #[error("the payload is of type {found:?}, expected an in-toto statement")]
    "payload-type-unsupported" Malformed PayloadTypeUnsupported {
        /// The envelope's `payloadType`.
        found: String,
    }
    /// The payload is not a well-formed in-toto statement of a known `_type`.
    #[error("the payload is not a well-formed in-toto statement")]
    "statement-malformed" Malformed StatementMalformed {
        /// What is wrong with it.
        source: waxseal_formats::StatementError,
    }
    /// More subjects than the limit (GHSA-cq38-jh5f-37mq).
    #[error("the statement has {found} subjects, at most {limit} are looked at")]
    "too-many-subjects" Malformed TooManySubjects {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    }
    /// More digests in one subject than the limit (GHSA-cq38-jh5f-37mq).
    #[error("a subject of the statement has {found} digests, at most {limit} are looked at")]
    "too-many-digests" Malformed TooManyDigests {
        /// How many there are.
        found: usize,
        /// The limit.
        limit: usize,
    }
    /// The bundle's own digest is not the artifact's.
    #[error("the bundle is of {found}, and the artifact is {expected}")]
    "artifact-mismatch" Cryptographic ArtifactMismatch {
        /// The artifact's digest.
        expected: Box<Digest>,
        /// The digest in the bundle.
        found: Box<Digest>,
    }
    /// The artifact is not among the statement's subjects; a statement without subjects is about
    /// nothing.
    #[error("the statement is not about this artifact")]
    "subject-mismatch" Cryptographic SubjectMismatch
    /// The artifact was given as a digest of another algorithm than the one that was signed.
    #[error("the signature needs the artifact's {wanted} digest, and only another was given")]
    "artifact-digest-unavailable" Malformed ArtifactDigestUnavailable {
        /// The hash that is needed.
        wanted: HashAlgorithm,
    }
    /// The predicate is of another type than the policy wants.
    #[error("the predicate is of type {found:?}, expected {expected:?}")]
    "predicate-type-mismatch" Policy PredicateTypeMismatch {
        /// The type that the policy wants.
        expected: String,
        /// The statement's `predicateType`, empty if the bundle is no attestation.
        found: String,
    }
    /// The key signs whole messages (pure Ed25519, ML-DSA), and a digest was given.
    #[error("this kind of key signs whole messages: give the artifact, not its digest")]
    "artifact-needed" Malformed ArtifactNeeded
    /// The signature over the artifact or envelope does not verify (client specification §4.5).
    #[error("the signature does not verify")]
    "signature-invalid" Cryptographic SignatureInvalid
}

impl VerifyError {
    /// The position of the rule in [`Self::RULES`].
    pub fn rank(&self) -> usize {
        let code = self.code();
        Self::RULES
            .iter()
            .position(|rule| rule.code == code)
            .unwrap_or(Self::RULES.len())
    }

    /// Of two failed candidates, the failure of the one that came further.
    pub(crate) fn later(self, other: Self) -> Self {
        if other.rank() >= self.rank() {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_kebab_case() {
        for (index, rule) in VerifyError::RULES.iter().enumerate() {
            let first = VerifyError::RULES.iter().position(|r| r.code == rule.code);
            assert_eq!(first, Some(index), "{}", rule.code);
            assert!(
                rule.code
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-')
            );
        }
    }

    #[test]
    fn the_later_failure_wins() {
        let check = |a: VerifyError, b: VerifyError, expected| {
            assert_eq!(a.later(b).code(), expected);
        };
        let early = || VerifyError::TimestampAuthorityUnknown;
        let late = || VerifyError::TimestampImprintMismatch;
        check(early(), late(), "timestamp-imprint-mismatch");
        check(late(), early(), "timestamp-imprint-mismatch");
    }
}
