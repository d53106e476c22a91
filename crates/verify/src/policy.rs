//! What the caller asks of a bundle. There is no default: who may have signed is always said.

use std::sync::Arc;

use waxseal_crypto::{PublicKey, SignatureAlgorithm};
use waxseal_tlog::WitnessPolicy;

use crate::{IdentityRule, ValidFor};

/// What a bundle must prove to be accepted.
///
/// Whatever is asked for, a policy always wants one log entry with an inclusion proof under a
/// signed checkpoint, one verified time and, of a certificate, one SCT; the thresholds say how
/// many *operators* must vouch. Authorities of the trusted root that name no operator count
/// together as one: nothing says that they are apart.
#[derive(Debug, Clone)]
pub struct VerificationPolicy {
    pub(crate) signer: SignerRule,
    pub(crate) logs: usize,
    pub(crate) times: usize,
    pub(crate) timestamps: usize,
    pub(crate) scts: usize,
    pub(crate) accept_promise: bool,
    pub(crate) witnesses: Option<Arc<WitnessPolicy>>,
    pub(crate) predicate_type: Option<String>,
}

/// Who may have signed.
#[derive(Debug, Clone)]
pub(crate) enum SignerRule {
    AnyIdentity,
    /// At least one; any of them suffices.
    Identities(Vec<IdentityRule>),
    Key {
        key: Box<PublicKey>,
        algorithm: Option<SignatureAlgorithm>,
        valid_for: ValidFor,
    },
}

impl VerificationPolicy {
    /// Signed with a certificate of this identity.
    pub fn identity(rule: IdentityRule) -> Self {
        Self::new(SignerRule::Identities(vec![rule]))
    }

    /// Signed with a certificate of *any* identity: proves that somebody signed, and when, but
    /// not who. The result names the identity, so that the caller can decide.
    pub const fn any_identity() -> Self {
        Self::new(SignerRule::AnyIdentity)
    }

    /// Signed with this key, within its window of validity at every verified time (without one,
    /// under [`Self::time_threshold`] zero: at present). The key's algorithm is the one of
    /// Sigstore's registry for its kind.
    pub fn key(key: PublicKey, valid_for: ValidFor) -> Self {
        Self::new(SignerRule::Key {
            key: Box::new(key),
            algorithm: None,
            valid_for,
        })
    }

    const fn new(signer: SignerRule) -> Self {
        Self {
            signer,
            logs: 1,
            times: 1,
            timestamps: 0,
            scts: 1,
            accept_promise: false,
            witnesses: None,
            predicate_type: None,
        }
    }

    /// Or signed by this identity. Widens a policy made by [`Self::identity`]; a policy for a key
    /// or for any identity stays what it is.
    #[must_use]
    pub fn or(mut self, rule: IdentityRule) -> Self {
        if let SignerRule::Identities(rules) = &mut self.signer {
            rules.push(rule);
        }
        self
    }

    /// The one algorithm that a key signs with, for keys that fit several (RSA, Ed25519). A policy
    /// for identities stays what it is.
    #[must_use]
    pub const fn signed_with(mut self, wanted: SignatureAlgorithm) -> Self {
        if let SignerRule::Key { algorithm, .. } = &mut self.signer {
            *algorithm = Some(wanted);
        }
        self
    }

    /// How many log operators must have logged the signature; zero asks for none, and entries that
    /// are there are verified all the same. Default: one.
    #[must_use]
    pub const fn log_threshold(mut self, operators: usize) -> Self {
        self.logs = operators;
        self
    }

    /// How many operators, of logs or timestamp authorities, must vouch for the time. Default:
    /// one, and of a certificate never fewer.
    #[must_use]
    pub const fn time_threshold(mut self, operators: usize) -> Self {
        self.times = operators;
        self
    }

    /// How many operators of timestamp authorities must have signed a timestamp. Default: none,
    /// because a v1 log's promise is a time as well.
    #[must_use]
    pub const fn timestamp_threshold(mut self, operators: usize) -> Self {
        self.timestamps = operators;
        self
    }

    /// How many operators of CT logs must have logged the certificate; zero asks for none.
    /// Default: one.
    #[must_use]
    pub const fn sct_threshold(mut self, operators: usize) -> Self {
        self.scts = operators;
        self
    }

    /// Lets an inclusion *promise* (a v1 log's signed entry timestamp) stand in for the proof. It
    /// is no evidence that the entry was ever published.
    #[must_use]
    pub const fn accept_promise(mut self) -> Self {
        self.accept_promise = true;
        self
    }

    /// Asks for a quorum of witnesses on the checkpoint of every entry; a promise that is accepted
    /// in place of a proof has no witnesses.
    #[must_use]
    pub fn witnesses(mut self, quorum: Arc<WitnessPolicy>) -> Self {
        self.witnesses = Some(quorum);
        self
    }

    /// Asks for an in-toto statement whose predicate has exactly this type.
    #[must_use]
    pub fn predicate_type(mut self, wanted: impl Into<String>) -> Self {
        self.predicate_type = Some(wanted.into());
        self
    }
}
