//! Which chains a CT log takes (RFC 6962 §3.1), and the entry that becomes of one.

use waxseal_crypto::{CryptoProvider, KeyError, KeyKind, PublicKey, SignatureError};
use waxseal_formats::FieldError;
use waxseal_pki::{
    Certificate, CertificateError, ObjectIdentifier, Purpose, SpliceError, tbs_without_poison,
};

use super::leaf::{push_long, push_short};
use crate::Refusal;
use crate::personality::RefusalKind;

/// The purpose of a Precertificate Signing Certificate (RFC 6962 §3.1).
const PRECERTIFICATE_SIGNING: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.4");

/// Why a submitted chain is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The body is not the JSON of a request.
    #[error("malformed request: {0}")]
    Field(#[from] FieldError),
    /// One of the chain is not a certificate.
    #[error("certificate {position} of the chain: {source}")]
    Certificate {
        /// Which one, from 0.
        position: usize,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// A certificate with poison was sent to `add-chain` (RFC 6962 §4.1).
    #[error("a precertificate belongs to add-pre-chain")]
    Poisoned,
    /// A certificate without poison was sent to `add-pre-chain` (RFC 6962 §4.2).
    #[error("a certificate without poison belongs to add-chain")]
    NotPoisoned,
    /// The poison cannot be cut out.
    #[error(transparent)]
    Splice(#[from] SpliceError),
    /// The precertificate is signed by a certificate made for that alone (RFC 6962 §3.1), and not by
    /// the one that signs the certificate: the promise would be about another issuer's key, and fit
    /// no certificate.
    #[error(
        "the precertificate is signed by a Precertificate Signing Certificate, not by its issuer"
    )]
    PrecertificateSigner,
    /// The certificate is not for code signing: this log takes no others.
    #[error("the certificate is not for code signing")]
    NotForCodeSigning,
    /// The certificate is an authority's.
    #[error("the certificate is that of an authority")]
    IsAuthority,
    /// A certificate does not name the next as its issuer, or the next is no authority.
    #[error("certificate {position} of the chain is not issued by the next one")]
    NotIssuedByNext {
        /// Which one, from 0.
        position: usize,
    },
    /// A certificate's signature is not by the next one's key.
    #[error("certificate {position} of the chain is not signed by the next one: {source}")]
    Signature {
        /// Which one, from 0.
        position: usize,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// An authority's key cannot be read.
    #[error("certificate {position} of the chain has a bad key: {source}")]
    Key {
        /// Which one, from 0.
        position: usize,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The chain does not end in, or below, an accepted root.
    #[error("the chain does not end at an accepted root")]
    UnknownRoot,
}

impl ChainError {
    pub(super) fn refusal(&self) -> Refusal {
        let reason = match self {
            Self::Field(_) => "MALFORMED_REQUEST",
            Self::Certificate { .. } => "BAD_CERTIFICATE",
            Self::Poisoned => "POISONED",
            Self::NotPoisoned => "NOT_POISONED",
            Self::Splice(_) => "BAD_POISON",
            Self::PrecertificateSigner => "PRECERTIFICATE_SIGNER",
            Self::NotForCodeSigning => "NOT_FOR_CODE_SIGNING",
            Self::IsAuthority => "IS_AUTHORITY",
            Self::NotIssuedByNext { .. } => "NOT_ISSUED_BY_NEXT",
            Self::Signature { .. } => "BAD_SIGNATURE",
            Self::Key { .. } => "BAD_KEY",
            Self::UnknownRoot => "UNKNOWN_ROOT",
        };
        Refusal {
            kind: RefusalKind::Invalid,
            reason,
            message: self.to_string().into(),
            field: match self {
                Self::Field(error) => error.field().map(|field| field.to_owned().into()),
                _ => Some("chain".into()),
            },
        }
    }
}

/// The two kinds of submissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Certificate,
    Precertificate,
}

impl Kind {
    pub(super) const fn of_endpoint(position: usize) -> Self {
        if position == 0 {
            Self::Certificate
        } else {
            Self::Precertificate
        }
    }
}

/// The roots that a log accepts.
#[derive(Debug)]
pub(super) struct Roots(pub(super) Vec<Certificate>);

/// A chain that has the right shape; its signatures are not verified yet.
#[derive(Debug)]
pub(super) struct Accepted {
    kind: Kind,
    /// Leaf first, accepted root last.
    chain: Vec<Certificate>,
    /// What the log signs: the certificate, or the TBS without poison.
    signed: Vec<u8>,
}

impl Roots {
    pub(super) fn accept(&self, kind: Kind, chain: Vec<Vec<u8>>) -> Result<Accepted, ChainError> {
        let mut chain = chain
            .into_iter()
            .enumerate()
            .map(|(position, der)| {
                Certificate::parse(der)
                    .map_err(|source| ChainError::Certificate { position, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.complete(&mut chain)?;
        let Some(leaf) = chain.first() else {
            return Err(ChainError::UnknownRoot);
        };
        let signed = match (kind, leaf.is_precertificate()) {
            (Kind::Certificate, false) => leaf.der().to_vec(),
            (Kind::Precertificate, true) => tbs_without_poison(leaf.tbs())?,
            (Kind::Certificate, true) => return Err(ChainError::Poisoned),
            (Kind::Precertificate, false) => return Err(ChainError::NotPoisoned),
        };
        if leaf.is_ca() {
            return Err(ChainError::IsAuthority);
        }
        let signs_precertificates = |issuer: &Certificate| {
            let usage = issuer.extended_key_usage();
            usage.is_some_and(|usage| usage.purposes.contains(&PRECERTIFICATE_SIGNING))
        };
        if kind == Kind::Precertificate && chain.get(1).is_some_and(signs_precertificates) {
            return Err(ChainError::PrecertificateSigner);
        }
        let purpose = Purpose::CodeSigning.oid();
        let usage = leaf.extended_key_usage();
        if !usage.is_some_and(|usage| usage.purposes.contains(&purpose)) {
            return Err(ChainError::NotForCodeSigning);
        }
        for (position, pair) in chain.windows(2).enumerate() {
            let [child, parent] = pair else { continue };
            if child.issuer() != parent.subject() || !parent.is_ca() {
                return Err(ChainError::NotIssuedByNext { position });
            }
        }
        Ok(Accepted {
            kind,
            chain,
            signed,
        })
    }

    /// The last must be an accepted root, or name one as its issuer: that one is then added.
    fn complete(&self, chain: &mut Vec<Certificate>) -> Result<(), ChainError> {
        let Some(last) = chain.last() else {
            return Err(ChainError::UnknownRoot);
        };
        if chain.len() > 1 && self.0.iter().any(|root| root.der() == last.der()) {
            return Ok(());
        }
        let mut issuers = self.0.iter().filter(|root| root.subject() == last.issuer());
        let root = issuers.next().ok_or(ChainError::UnknownRoot)?.clone();
        chain.push(root);
        Ok(())
    }
}

impl Accepted {
    /// Verifies every signature of the chain. Dates do not matter: a log takes what is or was
    /// issued.
    pub(super) fn verify(&self, provider: CryptoProvider) -> Result<(), ChainError> {
        for (position, pair) in self.chain.windows(2).enumerate() {
            let [child, parent] = pair else { continue };
            let key = parent.public_key().map_err(|source| ChainError::Key {
                position: position + 1,
                source: source.clone(),
            })?;
            child
                .verify_signature(provider, key)
                .map_err(|source| ChainError::Signature { position, source })?;
        }
        Ok(())
    }

    /// What that costs, in verifications of P-256, by the keys that sign.
    pub(super) fn cost(&self) -> u32 {
        let keys = self.chain.iter().skip(1).map(Certificate::public_key);
        keys.map(|key| match key.map(PublicKey::kind) {
            Ok(KeyKind::P384) => 4,
            Ok(KeyKind::P521) => 6,
            Ok(KeyKind::Rsa) => 2,
            _ => 1,
        })
        .sum()
    }

    /// The certificates above the leaf.
    pub(super) fn issuers(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.iter().skip(1).map(Certificate::der)
    }

    /// Entry type and signed entry: what makes two submissions the same.
    pub(super) fn identity(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self.kind {
            Kind::Certificate => out.extend([0, 0]),
            Kind::Precertificate => {
                out.extend([0, 1]);
                // the key that signed the precertificate, which is the next one's
                let issuer = self.chain.get(1).map(Certificate::spki_der);
                out.extend(waxseal_crypto::sha256(issuer.unwrap_or_default()));
            }
        }
        // A request is far below 2^24 bytes.
        let _ = push_long(&mut out, &self.signed);
        out
    }

    /// The `TileLeaf`; `None` if something does not fit its length field.
    pub(super) fn tile_leaf(&self, timestamp: u64, extensions: &[u8]) -> Option<Vec<u8>> {
        let mut out = timestamp.to_be_bytes().to_vec();
        out.extend(self.identity());
        push_short(&mut out, extensions)?;
        if self.kind == Kind::Precertificate {
            push_long(&mut out, self.chain.first()?.der())?;
        }
        let fingerprints: Vec<_> = self.issuers().map(waxseal_crypto::sha256).collect();
        push_short(&mut out, &fingerprints.concat())?;
        Some(out)
    }
}
