//! The Certificate Transparency log: RFC 6962 submissions, static-ct-api reads.

mod chain;
mod issuers;
mod leaf;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use waxseal_crypto::{BoxFuture, CryptoProvider, Input, KeyKind, Signer, Time, sha256};
use waxseal_formats::ct::{AddChainRequest, MAX_ADD_CHAIN_BYTES, RootsAnswer, SctAnswer};
use waxseal_pki::{Certificate, CertificateError, MAX_LEAF_INDEX, leaf_index_extension};
use waxseal_serve::BoxError;
use waxseal_tlog::Origin;

pub use chain::ChainError;
use chain::{Accepted, Kind, Roots};
use issuers::Issuers;
use leaf::TileLeaf;

use crate::personality::{BundleKind, CheckError, Document};
use crate::{
    Answer, DedupKey, Endpoint, Logged, ObjectName, Objects, Personality, Record, Refusal,
    Submission,
};

/// The submission paths of RFC 6962 §4.1 and §4.2, in the order of [`Kind::of_endpoint`].
const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/ct/v1/add-chain",
        max_body: MAX_ADD_CHAIN_BYTES,
    },
    Endpoint {
        path: "/ct/v1/add-pre-chain",
        max_body: MAX_ADD_CHAIN_BYTES,
    },
];

/// A CT log for the certificates of a few authorities. It takes what chains to one of its roots
/// and is for code signing, whenever it is or was valid; and promises nothing that it has not
/// already done: an SCT is given for an entry that is in the tree.
pub struct CtLog {
    provider: CryptoProvider,
    signer: Arc<dyn Signer>,
    issuers: Arc<Issuers>,
    roots: Arc<Roots>,
}

/// Why a CT log cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CtConfigError {
    /// RFC 6962 §2.1.4 allows ECDSA on P-256, and RSA.
    #[error("a CT log signs with ECDSA P-256, not with a {found:?} key")]
    SignerKey {
        /// The kind of the signer's key.
        found: KeyKind,
    },
    /// A root is not a certificate.
    #[error("root {position} is not a certificate")]
    Root {
        /// Which one, from 0.
        position: usize,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// Without roots nothing is accepted.
    #[error("a CT log needs at least one accepted root")]
    NoRoot,
}

impl CtLog {
    /// A CT log that accepts certificates below these roots (DER). `signer` signs SCTs; it is the
    /// key of the log's checkpoint signer, too.
    ///
    /// # Errors
    /// [`CtConfigError`].
    pub fn new(
        provider: CryptoProvider,
        signer: Arc<dyn Signer>,
        objects: Arc<dyn Objects>,
        roots: &[Vec<u8>],
    ) -> Result<Self, CtConfigError> {
        let found = signer.public_key().kind();
        if found != KeyKind::P256 {
            return Err(CtConfigError::SignerKey { found });
        }
        if roots.is_empty() {
            return Err(CtConfigError::NoRoot);
        }
        let roots = roots
            .iter()
            .enumerate()
            .map(|(position, der)| {
                Certificate::parse(der.as_slice())
                    .map_err(|source| CtConfigError::Root { position, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            provider,
            signer,
            issuers: Arc::new(Issuers::new(objects)),
            roots: Arc::new(Roots(roots)),
        })
    }

    async fn sct(&self, logged: &Logged) -> Result<SctAnswer, BoxError> {
        let (leaf, rest) = TileLeaf::split(logged.stored()).ok_or("a stored entry is damaged")?;
        if !rest.is_empty() {
            return Err("a stored entry is damaged".into());
        }
        // What an SCT signs has the bytes of the tree's leaf, by the design of RFC 6962.
        let message = leaf.merkle_tree_leaf();
        let signature = self.signer.sign(Input::Message(&message)).await?;
        let length = u16::try_from(signature.len())?;
        // SHA-256 with ECDSA (RFC 5246 §7.4.1.4.1)
        let mut signed = vec![4, 3];
        signed.extend(length.to_be_bytes());
        signed.extend(signature);
        Ok(SctAnswer {
            id: self.signer.public_key().spki_sha256().to_vec(),
            timestamp: leaf.timestamp,
            extensions: leaf.extensions.to_vec(),
            signature: signed,
        })
    }
}

impl Personality for CtLog {
    fn endpoints(&self) -> &'static [Endpoint] {
        ENDPOINTS
    }

    fn read_prefixes(&self) -> &'static [&'static str] {
        &[""]
    }

    fn documents(&self) -> Vec<Document> {
        let certificates = self.roots.0.iter().map(|root| root.der().to_vec());
        let roots = RootsAnswer {
            certificates: certificates.collect(),
        };
        vec![Document {
            path: "/ct/v1/get-roots",
            content_type: "application/json",
            body: roots.to_json().into(),
        }]
    }

    fn bundles(&self) -> BundleKind {
        BundleKind::Data
    }

    fn genesis(&self, _: &Origin) -> BoxFuture<'_, Result<Option<Box<dyn Submission>>, BoxError>> {
        Box::pin(async { Ok(None) })
    }

    fn parse(&self, endpoint: usize, body: &Bytes) -> Result<Box<dyn Submission>, Refusal> {
        let accepted = AddChainRequest::from_json(body)
            .map_err(ChainError::from)
            .and_then(|request| {
                self.roots
                    .accept(Kind::of_endpoint(endpoint), request.chain)
            })
            .map_err(|error| error.refusal())?;
        Ok(Box::new(CtSubmission {
            provider: self.provider,
            issuers: Arc::clone(&self.issuers),
            accepted,
        }))
    }

    fn key(&self, stored: &[u8]) -> Option<DedupKey> {
        let (leaf, rest) = TileLeaf::split(stored)?;
        rest.is_empty().then(|| sha256(leaf.identity()))
    }

    fn objects(&self, stored: &[u8]) -> Vec<ObjectName> {
        let leaf = TileLeaf::split(stored).map(|(leaf, _)| leaf);
        let issuers = leaf.into_iter().flat_map(|leaf| leaf.fingerprints());
        issuers.map(|digest| ObjectName::Issuer(*digest)).collect()
    }

    fn leaf<'a>(&self, stored: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let (leaf, rest) = TileLeaf::split(stored)?;
        rest.is_empty().then(|| Cow::Owned(leaf.merkle_tree_leaf()))
    }

    fn encode_bundle(&self, stored: &[Vec<u8>]) -> Vec<u8> {
        stored.concat()
    }

    fn decode_bundle(&self, bundle: &[u8], width: u16) -> Option<Vec<Vec<u8>>> {
        let (stored, rest) = split_entries(bundle, 0..usize::from(width))?;
        rest.is_empty().then_some(stored)
    }

    fn decode_entries(&self, bundle: &[u8], positions: Range<usize>) -> Option<Vec<Vec<u8>>> {
        split_entries(bundle, positions).map(|(stored, _)| stored)
    }

    fn answer<'a>(&'a self, logged: &'a Logged) -> BoxFuture<'a, Result<Answer, BoxError>> {
        Box::pin(async move {
            // A duplicate gets the promise for its first entry: same time, same index (RFC 6962
            // §3).
            Ok(Answer::Document {
                content_type: "application/json",
                body: self.sct(logged).await?.to_json().into_bytes(),
            })
        })
    }
}

/// The entries at some positions, and what follows them.
fn split_entries(bundle: &[u8], positions: Range<usize>) -> Option<(Vec<Vec<u8>>, &[u8])> {
    let mut rest = bundle;
    let mut stored = Vec::new();
    for position in 0..positions.end {
        let (_, after) = TileLeaf::split(rest)?;
        let (entry, _) = rest.split_at_checked(rest.len() - after.len())?;
        if position >= positions.start {
            stored.push(entry.to_vec());
        }
        rest = after;
    }
    Some((stored, rest))
}

struct CtSubmission {
    provider: CryptoProvider,
    issuers: Arc<Issuers>,
    accepted: Accepted,
}

impl Submission for CtSubmission {
    fn key(&self) -> DedupKey {
        sha256(&self.accepted.identity())
    }

    fn early_key(&self) -> Option<DedupKey> {
        Some(self.key())
    }

    fn cost(&self) -> u32 {
        self.accepted.cost()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), CheckError>> {
        Box::pin(async move {
            self.accepted
                .verify(self.provider)
                .map_err(|error| CheckError::Refused(error.refusal()))?;
            // Every issuer that an entry names is there before the entry is (static-ct-api).
            let kept = self.issuers.keep(self.accepted.issuers()).await;
            kept.map_err(CheckError::Fault)
        })
    }

    fn record(&self, index: u64, time: Time) -> Option<Record> {
        // 40 bits (static-ct-api)
        let extensions = leaf_index_extension(index).filter(|_| index <= MAX_LEAF_INDEX)?;
        Some(Record {
            stored: self.accepted.tile_leaf(time.unix_millis(), &extensions)?,
            beside: Vec::new(),
        })
    }

    fn is_stored_as(&self, stored: &[u8]) -> bool {
        TileLeaf::split(stored).is_some_and(|(leaf, rest)| {
            rest.is_empty() && leaf.identity() == self.accepted.identity()
        })
    }
}

impl std::fmt::Debug for CtLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = STANDARD.encode(self.signer.public_key().spki_sha256());
        f.debug_tuple("CtLog").field(&id).finish()
    }
}
