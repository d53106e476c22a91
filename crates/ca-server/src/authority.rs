//! The authority itself: its chain, checked once, and its signer, asked under limits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use waxseal_crypto::{KeyKind, Pem, PublicKey, Random, Signer, Time};
use waxseal_identity::{Identity, Principal};
use waxseal_issuing::{IssueError, LeafIssuer, LeafRequest, PreparedLeaf, Validity};
use waxseal_pki::{CaChain, Certificate, PathError, Purpose, Sct, SctList, SubjectAltName};

use crate::{Config, Context, StartError};

/// How long a leaf lives, exactly.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(600);

/// How long a signature may take, the wait for the signer included.
pub const SIGNING_DEADLINE: Duration = Duration::from_secs(10);

/// The numbers of the issuer's two extensions (1.3.6.1.4.1.57264.1.*N*), which are equal.
const ISSUER_CLAIMS: [u8; 2] = [1, 8];

/// Makes leaves.
pub(crate) struct Authority {
    issuer: LeafIssuer,
    signer: Arc<dyn Signer>,
    random: Arc<dyn Random>,
    signing: Semaphore,
}

/// Why the authority made no certificate. All of it is ours, but for [`IssueError::Name`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    /// The certificate was not made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The signer did not answer in [`SIGNING_DEADLINE`].
    #[error("the signer did not answer within {SIGNING_DEADLINE:?}")]
    SignerDeadline,
    /// What was made is no leaf of the chain: the signer signs with another key, or wrongly.
    #[error("the certificate that was made does not verify")]
    Unverifiable(#[source] PathError),
}

impl Authority {
    pub(crate) fn new(config: &Config, context: &Context) -> Result<Self, StartError> {
        let signer = Arc::clone(&context.signer);
        let issuer = LeafIssuer::new(context.provider, &*signer, config.chain.clone())?;
        check_profile(issuer.chain())?;
        Ok(Self {
            issuer,
            signer,
            random: Arc::clone(&context.random),
            signing: Semaphore::new(config.signing.max(1)),
        })
    }

    pub(crate) fn chain(&self) -> &CaChain {
        self.issuer.chain()
    }

    /// Whether a leaf that begins now would live inside the lives of all authorities.
    pub(crate) fn is_alive(&self, now: Time) -> bool {
        let Some(end) = now.checked_add(LEAF_LIFETIME) else {
            return false;
        };
        let alive =
            |authority: &Certificate| authority.is_valid_at(now) && authority.is_valid_at(end);
        self.chain().certificates().iter().all(alive)
    }

    /// The first moment at which some authority has ended.
    pub(crate) fn ends(&self) -> Option<Time> {
        self.chain()
            .certificates()
            .iter()
            .map(Certificate::not_after)
            .min()
    }

    /// Lays a leaf out for a principal and a key that they hold.
    pub(crate) fn prepare(
        &self,
        key: &PublicKey,
        principal: &Principal,
        now: Time,
    ) -> Result<PreparedLeaf, AuthorityError> {
        let name = match principal.identity() {
            Identity::Email(address) => SubjectAltName::Email(address.as_str().to_owned()),
            Identity::Uri(uri) => SubjectAltName::Uri(uri.clone()),
            _ => return Err(IssueError::Name.into()),
        };
        let own = ISSUER_CLAIMS.map(|number| (number, principal.issuer()));
        let others = principal
            .claims()
            .iter()
            .map(|(claim, text)| (claim.arc(), text.as_str()));
        let claims: Vec<_> = own.into_iter().chain(others).collect();
        let validity = Validity::starting(now, LEAF_LIFETIME)?;
        let request = LeafRequest::new(key, &name, &claims, validity);
        Ok(self.issuer.prepare(&request, &*self.random)?)
    }

    /// Signs the precertificate, for the log.
    pub(crate) async fn precertificate(
        &self,
        leaf: &PreparedLeaf,
    ) -> Result<Certificate, AuthorityError> {
        self.in_time(leaf.precertificate(&*self.signer)).await
    }

    /// Signs the certificate, with the one promise of the log in it. It verifies below the chain,
    /// or it does not leave.
    pub(crate) async fn certificate(
        &self,
        leaf: &PreparedLeaf,
        sct: Sct,
    ) -> Result<Certificate, AuthorityError> {
        let scts = SctList::new(vec![sct]).ok_or(IssueError::Scts)?;
        let certificate = self.in_time(leaf.certificate(&*self.signer, &scts)).await?;
        self.chain()
            .verify_leaf(&certificate, certificate.not_before())
            .map_err(AuthorityError::Unverifiable)?;
        Ok(certificate)
    }

    async fn in_time(
        &self,
        signature: impl Future<Output = Result<Certificate, IssueError>>,
    ) -> Result<Certificate, AuthorityError> {
        let signed = async {
            // The semaphore is never closed; were it, the signer would only be asked more often.
            let _turn = self.signing.acquire().await;
            signature.await
        };
        let signed = timeout(SIGNING_DEADLINE, signed).await;
        Ok(signed.map_err(|_| AuthorityError::SignerDeadline)??)
    }
}

/// What clients want of the chain beyond RFC 5280 (Fulcio's certificate specification).
fn check_profile(chain: &CaChain) -> Result<(), StartError> {
    let kind = chain.issuer_key().kind();
    if matches!(family(kind), Family::Other) {
        return Err(StartError::AuthorityKey { kind });
    }
    let certificates = chain.certificates();
    for (index, certificate) in certificates.iter().enumerate() {
        let found = certificate.subject().organizations().count();
        if found != 1 {
            return Err(StartError::Organization { index, found });
        }
        let kind = certificate.public_key().map(PublicKey::kind).ok();
        if kind.map(family) != Some(family(chain.issuer_key().kind())) {
            return Err(StartError::MixedFamilies {
                index: index.saturating_sub(1),
            });
        }
        let is_root = index + 1 == certificates.len();
        let restricted = certificate
            .extended_key_usage()
            .is_some_and(|usage| usage.purposes.contains(&Purpose::CodeSigning.oid()));
        if !is_root && !restricted {
            return Err(StartError::IntermediatePurpose { index });
        }
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Family {
    Ecdsa,
    Rsa,
    Other,
}

const fn family(kind: KeyKind) -> Family {
    match kind {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 => Family::Ecdsa,
        KeyKind::Rsa => Family::Rsa,
        _ => Family::Other,
    }
}

/// Certificates as the API shows them: PEM without the last line end.
pub(crate) fn pem<'a>(certificates: impl IntoIterator<Item = &'a Certificate>) -> Vec<String> {
    let text = |certificate: &Certificate| {
        let text = Pem::new("CERTIFICATE", certificate.der()).encode();
        text.trim_end().to_owned()
    };
    certificates.into_iter().map(text).collect()
}
