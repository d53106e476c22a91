//! Which algorithms a key may have signed with.

use waxseal_crypto::{HashAlgorithm, KeyKind, PublicKey, SignatureAlgorithm};

/// The algorithms of Sigstore's registry that fit a kind of key: the current one first, then the
/// deprecated pair with SHA-256 that older clients made, and for Ed25519 both of its modes. Where
/// a log entry names the hash or the algorithm, it narrows the list; each of them alone binds the
/// whole message, so trying two proves no less.
pub(crate) const fn candidates(kind: KeyKind) -> &'static [SignatureAlgorithm] {
    use SignatureAlgorithm as A;
    match kind {
        KeyKind::P256 => &[A::EcdsaP256Sha256],
        KeyKind::P384 => &[A::EcdsaP384Sha384, A::EcdsaP384Sha256],
        KeyKind::P521 => &[A::EcdsaP521Sha512, A::EcdsaP521Sha256],
        KeyKind::Ed25519 => &[A::Ed25519, A::Ed25519ph],
        KeyKind::Rsa => &[A::RsaPkcs1Sha256, A::RsaPssSha256],
        KeyKind::MlDsa44 => &[A::MlDsa44],
        KeyKind::MlDsa65 => &[A::MlDsa65],
        KeyKind::MlDsa87 => &[A::MlDsa87],
        _ => &[],
    }
}

/// The signing key of a bundle, and what is known of its algorithm.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey<'a> {
    pub(crate) key: &'a PublicKey,
    algorithms: Vec<SignatureAlgorithm>,
}

impl<'a> SigningKey<'a> {
    pub(crate) fn new(key: &'a PublicKey) -> Self {
        Self {
            key,
            algorithms: candidates(key.kind()).to_vec(),
        }
    }

    /// Exactly one algorithm, as a policy says; nothing is left if it does not fit the key.
    pub(crate) fn only(key: &'a PublicKey, algorithm: SignatureAlgorithm) -> Self {
        Self {
            key,
            algorithms: if algorithm.key_kind() == key.kind() {
                vec![algorithm]
            } else {
                Vec::new()
            },
        }
    }

    /// Keeps the one algorithm that a log entry names; `false` if it is not among those left.
    pub(crate) fn narrow_to(&mut self, algorithm: SignatureAlgorithm) -> bool {
        self.algorithms.retain(|known| *known == algorithm);
        !self.algorithms.is_empty()
    }

    /// Keeps the algorithms over one hash, as a `hashedrekord` entry names it; `false` if none is
    /// left. Such an entry is of a digest, so that algorithms without a prehash drop out.
    pub(crate) fn narrow_to_hash(&mut self, hash: HashAlgorithm) -> bool {
        self.algorithms
            .retain(|known| known.prehash() == Some(hash));
        !self.algorithms.is_empty()
    }

    pub(crate) fn algorithms(&self) -> &[SignatureAlgorithm] {
        &self.algorithms
    }
}
