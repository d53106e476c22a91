//! The verifier: authorities prepared once, then bundles, each checked in one documented order.

use std::io::Read;

use waxseal_crypto::{CryptoProvider, Digest, HashAlgorithm, SignatureError, Time};
use waxseal_formats::{Bundle, Content, Statement, TransparencyLogEntry, TrustedRoot};
use waxseal_pki::Certificate;

use crate::algorithm::SigningKey;
use crate::artifact::{Artifact, Message};
use crate::authorities::{Authorities, Log};
use crate::binding::{Binding, Bound};
use crate::inclusion::Evidence;
use crate::operators::Operators;
use crate::policy::SignerRule;
use crate::{
    Signer, Skipped, TrustedRootError, VerificationPolicy, Verified, VerifiedEntry, VerifiedTime,
    VerifyError, certificate, identity, inclusion, sct, statement, structure, time,
};

/// Verifies bundles against one trusted root.
///
/// Everything that does not depend on the bundle is done when it is made: keys are parsed and the
/// authorities' own chains are verified. No verdict about a bundle is ever kept.
///
/// All that a bundle brings must hold: an entry of a log, or a timestamp of an authority, that the
/// trusted root does not have is refused, not passed over. Only cosignatures of unknown witnesses
/// and SCTs of unknown logs are: the signer did not choose them.
pub struct Verifier {
    provider: CryptoProvider,
    pub(crate) authorities: Authorities,
    skipped: Vec<Skipped>,
}

/// Why an artifact that is read was not verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyReaderError {
    /// The artifact could not be read.
    #[error("the artifact could not be read")]
    Read(#[from] std::io::Error),
    /// The bundle was refused.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl Verifier {
    /// Prepares a trusted root. Entries that cannot be used, for example because their kind of key
    /// is not known, are skipped and listed by [`Self::skipped`].
    ///
    /// # Errors
    /// [`TrustedRootError`] if the root is ambiguous.
    pub fn new(provider: CryptoProvider, root: &TrustedRoot) -> Result<Self, TrustedRootError> {
        let (authorities, skipped) = Authorities::prepare(provider, root)?;
        Ok(Self {
            provider,
            authorities,
            skipped,
        })
    }

    /// The entries of the trusted root that are not used.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Verifies a bundle about an artifact. `now` only serves to refuse times in the future; what
    /// was valid is decided by the verified times of signing.
    ///
    /// # Errors
    /// [`VerifyError`]: the first rule that is broken, in the order of [`VerifyError::RULES`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the artifact is used up by its verdict"
    )]
    pub fn verify(
        &self,
        artifact: Artifact<'_>,
        bundle: &Bundle,
        policy: &VerificationPolicy,
        now: Time,
    ) -> Result<Verified, VerifyError> {
        let (leaf, signature) = structure::check(bundle, policy)?;
        let pae = pae_of(&bundle.content);
        let checked = Checked::new(self, bundle, leaf.as_ref(), signature, &pae, policy, now)?;
        checked.about(self.provider, &artifact, policy)
    }

    /// Verifies a bundle about an artifact that is read to its end, in constant memory, with the
    /// hashes that the bundle needs. It is read only if all the rest of the bundle holds.
    ///
    /// # Errors
    /// [`VerifyReaderError`].
    pub fn verify_reader(
        &self,
        reader: impl Read,
        bundle: &Bundle,
        policy: &VerificationPolicy,
        now: Time,
    ) -> Result<Verified, VerifyReaderError> {
        let (leaf, signature) = structure::check(bundle, policy)?;
        let pae = pae_of(&bundle.content);
        let checked = Checked::new(self, bundle, leaf.as_ref(), signature, &pae, policy, now)?;
        let artifact = Artifact::read(reader, &checked.hashes())?;
        Ok(checked.about(self.provider, &artifact, policy)?)
    }

    fn log_of(&self, entry: &TransparencyLogEntry) -> Result<&Log, VerifyError> {
        self.authorities
            .logs
            .iter()
            .find(|log| log.id == entry.log_id)
            .ok_or(VerifyError::LogUnknown {
                index: entry.log_index,
            })
    }

    /// Who signed, and with which key.
    fn check_signer<'a>(
        &self,
        leaf: Option<&'a Certificate>,
        policy: &'a VerificationPolicy,
        times: &[VerifiedTime],
        now: Time,
    ) -> Result<(Signer, SigningKey<'a>), VerifyError> {
        let Some(leaf) = leaf else {
            return check_key(policy, times, now);
        };
        let instants = times.iter().map(|verified| verified.time);
        let path = certificate::verify_path(&self.authorities.certificate, leaf, &instants)?;
        sct::check(&self.authorities.ct_logs, &path, policy.scts, now)?;
        let identity = certificate::identity_of(leaf)?;
        let identity_checked = match &policy.signer {
            SignerRule::Identities(rules) => {
                identity::check_any(rules, &identity)?;
                true
            }
            _ => false,
        };
        let key = leaf.public_key().map_err(|_| VerifyError::KeyUnsupported)?;
        let signer = Signer::Certificate {
            identity,
            identity_checked,
            certificate: leaf.der().to_vec(),
        };
        Ok((signer, SigningKey::new(key)))
    }
}

/// The policy's own key must have been valid at every verified time; where the policy asks for
/// none and none is there, it must be valid now.
fn check_key<'a>(
    policy: &'a VerificationPolicy,
    times: &[VerifiedTime],
    now: Time,
) -> Result<(Signer, SigningKey<'a>), VerifyError> {
    let SignerRule::Key {
        key,
        algorithm,
        valid_for,
    } = &policy.signer
    else {
        return Err(VerifyError::CertificateRequired);
    };
    let present = times.is_empty().then_some(now);
    let mut instants = times.iter().map(|verified| verified.time).chain(present);
    if let Some(time) = instants.find(|time| !valid_for.contains(*time)) {
        return Err(VerifyError::KeyExpired { time });
    }
    let signing = match algorithm {
        Some(algorithm) => SigningKey::only(key, *algorithm),
        None => SigningKey::new(key),
    };
    if signing.algorithms().is_empty() {
        return Err(VerifyError::KeyUnsupported);
    }
    Ok((
        Signer::Key {
            key: (**key).clone(),
        },
        signing,
    ))
}

fn pae_of(content: &Content) -> Vec<u8> {
    match content {
        Content::Dsse(envelope) => envelope.pae(),
        _ => Vec::new(),
    }
}

/// A bundle that holds, all but the artifact and the signature over it.
struct Checked<'a> {
    signer: Signer,
    times: Vec<VerifiedTime>,
    entries: Vec<VerifiedEntry>,
    statement: Option<Statement>,
    binding: Binding<'a>,
}

impl<'a> Checked<'a> {
    fn new(
        verifier: &Verifier,
        bundle: &'a Bundle,
        leaf: Option<&'a Certificate>,
        signature: &'a [u8],
        pae: &'a [u8],
        policy: &'a VerificationPolicy,
        now: Time,
    ) -> Result<Self, VerifyError> {
        let entries = &bundle.material.tlog_entries;

        let tokens = &bundle.material.timestamps;
        let mut times =
            time::verify_timestamps(&verifier.authorities.timestamp, tokens, signature)?;
        let mut logged = Vec::with_capacity(entries.len());
        for entry in entries {
            let log = verifier.log_of(entry)?;
            let promised = match &entry.inclusion_promise {
                Some(promise) => {
                    let verified = time::verify_promise(log, entry, promise)?;
                    let time = verified.time;
                    times.push(verified);
                    Some(time)
                }
                None => None,
            };
            logged.push(Logged {
                log,
                entry,
                promised,
            });
        }
        time::check_thresholds(&times, policy, leaf.is_some(), now)?;

        let (signer, key) = verifier.check_signer(leaf, policy, &times, now)?;

        let content = bound_content(&bundle.content, pae)?;
        let mut binding = Binding {
            leaf,
            key,
            signature,
            content,
        };
        for entry in entries {
            binding.bind(entry)?;
        }

        let entries = check_inclusion(&logged, &times, policy, now)?;

        let statement = match &bundle.content {
            Content::Dsse(envelope) => Some(statement::parse(envelope)?),
            _ => None,
        };
        Ok(Self {
            signer,
            times,
            entries,
            statement,
            binding,
        })
    }

    /// The hashes of the artifact that are needed.
    fn hashes(&self) -> Vec<HashAlgorithm> {
        let mut all = match (&self.statement, &self.binding.content) {
            (Some(statement), _) => statement::hashes(statement),
            (None, Bound::Artifact { digests }) => {
                // What nothing names is told by its SHA-256 (`check_digests`).
                let unnamed = digests.is_empty().then_some(HashAlgorithm::Sha256);
                let named = digests.iter().map(Digest::algorithm).chain(unnamed);
                let signed = self
                    .binding
                    .key
                    .algorithms()
                    .iter()
                    .filter_map(|a| a.prehash());
                named.chain(signed).collect()
            }
            (None, Bound::Envelope { .. }) => Vec::new(),
        };
        if all.is_empty() {
            all.push(HashAlgorithm::Sha256);
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Checks what the bundle is about, and the signature: the last steps.
    fn about(
        mut self,
        provider: CryptoProvider,
        artifact: &Artifact<'_>,
        policy: &VerificationPolicy,
    ) -> Result<Verified, VerifyError> {
        let mut artifact = Message::of_artifact(artifact);
        let key = &self.binding.key;
        let signature = self.binding.signature;
        let digest = match &mut self.binding.content {
            Bound::Artifact { digests } => {
                let digest = check_digests(digests, &mut artifact)?;
                statement::check_predicate_type(None, policy)?;
                check_signature(provider, key, &mut artifact, signature)?;
                digest
            }
            Bound::Envelope { pae, .. } => {
                let statement = self
                    .statement
                    .as_ref()
                    .ok_or(VerifyError::SubjectMismatch)?;
                let digest = statement::find_subject(statement, &mut artifact)?;
                statement::check_predicate_type(Some(statement), policy)?;
                check_signature(provider, key, pae, signature)?;
                digest
            }
        };
        Ok(Verified::new(
            self.signer,
            digest,
            self.times,
            self.entries,
            self.statement,
        ))
    }
}

/// An entry, its log, and its integrated time if its promise verified.
struct Logged<'a> {
    log: &'a Log,
    entry: &'a TransparencyLogEntry,
    promised: Option<Time>,
}

fn bound_content<'a>(content: &'a Content, pae: &'a [u8]) -> Result<Bound<'a>, VerifyError> {
    match content {
        Content::Dsse(envelope) => Ok(Bound::Envelope {
            envelope,
            payload: Message::of_bytes(&envelope.payload),
            pae: Message::of_bytes(pae),
            submitted: Vec::new(),
        }),
        Content::MessageSignature { digest, .. } => {
            let named = digest
                .as_ref()
                .map(|named| structure::digest_of(named).ok_or(VerifyError::MessageDigestMalformed))
                .transpose()?;
            Ok(Bound::Artifact {
                digests: named.into_iter().collect(),
            })
        }
        _ => Err(VerifyError::SignatureCount { found: 0 }),
    }
}

/// Inclusion of every entry, then each log's window, then how many operators that makes.
fn check_inclusion(
    logged: &[Logged<'_>],
    times: &[VerifiedTime],
    policy: &VerificationPolicy,
    now: Time,
) -> Result<Vec<VerifiedEntry>, VerifyError> {
    let mut verified = Vec::with_capacity(logged.len());
    let mut operators = Operators::default();
    for Logged {
        log,
        entry,
        promised,
    } in logged
    {
        let evidence = Evidence::of(entry, promised.is_some());
        let tree_size = inclusion::verify(log, entry, evidence, policy)?;
        match promised {
            Some(time) => inclusion::check_window(log, std::iter::once(*time))?,
            None if times.is_empty() => inclusion::check_window(log, std::iter::once(now))?,
            None => inclusion::check_window(log, times.iter().map(|verified| verified.time))?,
        }
        operators.add(&log.operator);
        verified.push(VerifiedEntry {
            origin: log.origin.clone(),
            operator: log.operator.clone(),
            log_index: entry.log_index,
            kind: entry.kind.clone(),
            version: entry.version.clone(),
            tree_size,
        });
    }
    if operators.count() < policy.logs {
        return Err(VerifyError::LogThreshold {
            found: operators.count(),
            wanted: policy.logs,
        });
    }
    Ok(verified)
}

/// Every digest that the bundle or an entry names must be the artifact's. Gives the first of them,
/// or the artifact's own if none is named.
fn check_digests(digests: &[Digest], artifact: &mut Message<'_>) -> Result<Digest, VerifyError> {
    for found in digests {
        let expected = artifact.digest(found.algorithm())?;
        if expected != *found {
            return Err(VerifyError::ArtifactMismatch {
                expected: Box::new(expected),
                found: Box::new(*found),
            });
        }
    }
    let named = digests.first().copied();
    named
        .or_else(|| artifact.any_digest())
        .ok_or(VerifyError::ArtifactDigestUnavailable {
            wanted: HashAlgorithm::Sha256,
        })
}

/// The signature, by one of the algorithms that the key may have signed with. It is wrong only if
/// all of them could be tried: a digest says nothing about a signature over the whole message.
fn check_signature(
    provider: CryptoProvider,
    key: &SigningKey<'_>,
    message: &mut Message<'_>,
    signature: &[u8],
) -> Result<(), VerifyError> {
    let mut nearest = VerifyError::KeyUnsupported;
    let mut untried = None;
    for algorithm in key.algorithms() {
        let verdict = message.with_input(*algorithm, |input| {
            provider.verify(key.key, *algorithm, input, signature)
        });
        match verdict {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(SignatureError::Invalid)) => nearest = VerifyError::SignatureInvalid,
            Ok(Err(_)) => {}
            Err(error) => {
                untried.get_or_insert(error);
            }
        }
    }
    Err(untried.unwrap_or(nearest))
}
