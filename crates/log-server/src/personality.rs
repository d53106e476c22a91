//! The joint for what a log holds: an artifact log, a CT log, whatever comes next.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use waxseal_crypto::{BoxFuture, Time};
use waxseal_formats::{self as formats, TransparencyLogEntry};
use waxseal_serve::BoxError;
use waxseal_tlog::{Hash, InclusionProof, NoteSigner, Origin, TILE_WIDTH};

use crate::shared::off_thread;
use crate::{DedupKey, Ledger, LedgerError, ObjectName};

/// What an entry is, and what is answered for it. The log calls `parse` and `check` many times at
/// once, and [`Submission::record`] in the order of the log.
pub trait Personality: Send + Sync + 'static {
    /// The paths that take submissions.
    fn endpoints(&self) -> &'static [Endpoint];

    /// The prefixes, without a trailing slash, under which the log is read; `""` is the root.
    fn read_prefixes(&self) -> &'static [&'static str];

    /// Below which path entries are looked up: `…/entries/{index}` and the like. `None`: nowhere.
    fn lookup_path(&self) -> Option<&'static str> {
        None
    }

    /// Where many submissions to the first endpoint are sent at once; `None`: nowhere.
    fn batch_path(&self) -> Option<&'static str> {
        None
    }

    /// The deduplication key of the entry that has this leaf hash, where the one follows from the
    /// other: such entries are found by their hash.
    fn key_of_leaf(&self, leaf_hash: &Hash) -> Option<DedupKey> {
        let _ = leaf_hash;
        None
    }

    /// Fixed answers, such as a CT log's roots.
    fn documents(&self) -> Vec<Document> {
        Vec::new()
    }

    /// Where bundles of entries lie: `tile/entries` or `tile/data`.
    fn bundles(&self) -> BundleKind;

    /// What the log is born with, so that no user's entry has index 0; `None` if nothing.
    ///
    /// # Errors
    /// A fault: the log is not born.
    fn genesis(
        &self,
        origin: &Origin,
    ) -> BoxFuture<'_, Result<Option<Box<dyn Submission>>, BoxError>>;

    /// Parses a request to the endpoint of that position. Cheap, and bounded by the endpoint's
    /// limit.
    ///
    /// # Errors
    /// The request is refused.
    fn parse(&self, endpoint: usize, body: &Bytes) -> Result<Box<dyn Submission>, Refusal>;

    /// The bytes whose hash is the leaf, from stored bytes; `None` if those are not what this
    /// personality stores.
    fn leaf<'a>(&self, stored: &'a [u8]) -> Option<Cow<'a, [u8]>>;

    /// The deduplication key of an entry, from its stored bytes: [`Submission::key`] of what it came
    /// from. `None` if those are not what this personality stores.
    fn key(&self, stored: &[u8]) -> Option<DedupKey>;

    /// The objects that an entry needs beside its bundle, such as its issuers.
    fn objects(&self, stored: &[u8]) -> Vec<ObjectName> {
        let _ = stored;
        Vec::new()
    }

    /// The bytes of a bundle.
    fn encode_bundle(&self, stored: &[Vec<u8>]) -> Vec<u8>;

    /// The stored bytes in a bundle of `width` entries; `None` if it is not one.
    fn decode_bundle(&self, bundle: &[u8], width: u16) -> Option<Vec<Vec<u8>>>;

    /// The stored bytes of some entries of a full bundle, by their positions in it: what is before
    /// them is skipped, what is behind them is not looked at. `None` if it is not a bundle as far as
    /// they go.
    fn decode_entries(&self, bundle: &[u8], positions: Range<usize>) -> Option<Vec<Vec<u8>>> {
        let mut entries = self.decode_bundle(bundle, TILE_WIDTH)?;
        entries.truncate(positions.end);
        let entries = entries.split_off(positions.start.min(entries.len()));
        (entries.len() == positions.len()).then_some(entries)
    }

    /// What is answered for an entry that is in the log.
    ///
    /// # Errors
    /// A fault.
    fn answer<'a>(&'a self, logged: &'a Logged) -> BoxFuture<'a, Result<Answer, BoxError>>;
}

/// A request that was parsed.
pub trait Submission: Send + Sync {
    /// What makes another submission the same as this one: a hash over the whole entry.
    fn key(&self) -> DedupKey;

    /// The key again, if it is known before the check: a duplicate is then answered without one.
    fn early_key(&self) -> Option<DedupKey> {
        None
    }

    /// What the check costs, counted in verifications of an ECDSA signature on P-256. The log runs
    /// no more than a few of those at once.
    fn cost(&self) -> u32 {
        1
    }

    /// Checks signatures and credentials. The log bounds how many run at once; a check that costs
    /// more than a few signatures moves itself off the thread.
    ///
    /// # Errors
    /// [`CheckError`].
    fn check(&self) -> BoxFuture<'_, Result<(), CheckError>>;

    /// The entry at its place in the log; `None` if no entry can have that index or time.
    fn record(&self, index: u64, time: Time) -> Option<Record>;

    /// Whether stored bytes are this entry, wherever it stands (S-13: keys are not enough).
    fn is_stored_as(&self, stored: &[u8]) -> bool;
}

/// A path that takes submissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "personalities outside this crate make it"
)]
pub struct Endpoint {
    /// The path, with a leading slash.
    pub path: &'static str,
    /// The longest body, in bytes.
    pub max_body: usize,
}

/// A fixed answer.
#[derive(Debug, Clone)]
#[expect(
    clippy::exhaustive_structs,
    reason = "personalities outside this crate make it"
)]
pub struct Document {
    /// The path, with a leading slash.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub body: Bytes,
}

/// Which of the two layouts of entry bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "both layouts that C2SP knows")]
pub enum BundleKind {
    /// `tile/entries/…` (tlog-tiles).
    Entries,
    /// `tile/data/…` (static-ct-api).
    Data,
}

/// An entry at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "personalities outside this crate make it"
)]
pub struct Record {
    /// The bytes that the bundle holds; the leaf follows from them.
    pub stored: Vec<u8>,
    /// Data kept beside the leaf, for ever.
    pub beside: Vec<u8>,
}

/// The client's request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "personalities outside this crate make it"
)]
pub struct Refusal {
    /// What kind of refusal it is.
    pub kind: RefusalKind,
    /// Stable, upper case with underscores.
    pub reason: &'static str,
    /// For the client: safe to show.
    pub message: Cow<'static, str>,
    /// The field of the request that is wrong, if it is one; safe to show.
    pub field: Option<Cow<'static, str>>,
}

/// How a refusal is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalKind {
    /// The request is wrong: 400.
    Invalid,
    /// The credential is missing or not believed: 401.
    Unauthenticated,
    /// The entry is too large for the log: 413.
    TooLarge,
}

/// A submission did not pass its checks.
#[derive(Debug)]
#[non_exhaustive]
pub enum CheckError {
    /// The client's doing.
    Refused(Refusal),
    /// Ours.
    Fault(BoxError),
}

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "personalities outside this crate make it"
)]
pub enum Answer {
    /// 201 with a document.
    Created {
        /// Its media type.
        content_type: &'static str,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// 200 with a document.
    Document {
        /// Its media type.
        content_type: &'static str,
        /// Its bytes.
        body: Vec<u8>,
    },
    /// 409, the header `x-log-index`, and a problem body.
    Duplicate,
}

/// An entry in the log, and the evidence for it.
pub struct Logged {
    pub(crate) index: u64,
    pub(crate) is_duplicate: bool,
    pub(crate) stored: Vec<u8>,
    pub(crate) published: Arc<Published>,
    pub(crate) prover: Arc<dyn Prover>,
    pub(crate) log_id: [u8; 32],
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Whether the client asks for the entry itself, although it is there already.
    pub(crate) wants_entry: bool,
}

/// A committed and signed state of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Number of leaves.
    pub tree_size: u64,
    /// Root hash of the tree.
    pub root_hash: Hash,
    /// The signed checkpoint.
    pub checkpoint: String,
}

pub(crate) trait Prover: Send + Sync {
    fn prove(&self, index: u64, tree_size: u64) -> Result<InclusionProof, BoxError>;
}

impl Logged {
    /// The entry's place.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Whether it was in the log before.
    pub const fn is_duplicate(&self) -> bool {
        self.is_duplicate
    }

    /// Whether the client asks for the whole entry where it is a duplicate (`Prefer:
    /// return=representation`, RFC 7240), or has looked it up.
    pub const fn wants_entry(&self) -> bool {
        self.wants_entry
    }

    /// The data kept beside the leaf ([`Record::beside`]); empty if there is none.
    ///
    /// # Errors
    /// A fault: the ledger cannot be read.
    pub async fn beside(&self) -> Result<Vec<u8>, LedgerError> {
        let (ledger, index) = (Arc::clone(&self.ledger), self.index);
        off_thread(async move { ledger.read_beside(index).await })
            .await
            .map_err(LedgerError::Failed)?
    }

    /// The stored bytes.
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// The checkpoint that covers it.
    pub fn published(&self) -> &Published {
        &self.published
    }

    /// The untruncated key id of the log's first signer ([`NoteSigner::log_id`]).
    pub const fn log_id(&self) -> &[u8; 32] {
        &self.log_id
    }

    /// The entry as Rekor's API answers it, with its proof and the checkpoint.
    ///
    /// # Errors
    /// A fault: the tree's hashes cannot be read.
    pub fn entry(&self, kind: &str, version: &str) -> Result<TransparencyLogEntry, BoxError> {
        let (proof, published) = (self.prove()?, self.published());
        let log_index = i64::try_from(self.index())?;
        Ok(TransparencyLogEntry {
            log_index,
            log_id: self.log_id().to_vec(),
            kind: kind.to_owned(),
            version: version.to_owned(),
            integrated_time: 0,
            inclusion_promise: None,
            inclusion_proof: Some(formats::InclusionProof {
                log_index,
                root_hash: published.root_hash.to_vec(),
                tree_size: i64::try_from(published.tree_size)?,
                hashes: proof.hashes.iter().map(|hash| hash.to_vec()).collect(),
                checkpoint: Some(published.checkpoint.clone()),
            }),
            canonicalized_body: self.stored().to_vec(),
        })
    }

    /// The proof that the published tree has it.
    ///
    /// # Errors
    /// A fault: the tree's hashes cannot be read.
    pub fn prove(&self) -> Result<InclusionProof, BoxError> {
        self.prover.prove(self.index, self.published.tree_size)
    }
}

impl std::fmt::Debug for Logged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logged")
            .field("index", &self.index)
            .field("is_duplicate", &self.is_duplicate)
            .finish_non_exhaustive()
    }
}

/// The first signer is the log's own.
pub(crate) fn log_id(signers: &[NoteSigner]) -> [u8; 32] {
    signers.first().map_or([0; 32], NoteSigner::log_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Words;

    #[test]
    fn entries_are_those_of_all_positions_or_none() {
        let stored: Vec<Vec<u8>> = (0..=u8::MAX).map(|n| vec![n]).collect();
        let bundle = Words.encode_bundle(&stored);
        let check = |positions: Range<usize>, expected: Option<&[Vec<u8>]>| {
            let found = Words.decode_entries(&bundle, positions.clone());
            assert_eq!(found.as_deref(), expected, "{positions:?}");
        };
        check(0..256, Some(&stored));
        check(3..5, Some(&stored[3..5]));
        check(255..256, Some(&stored[255..]));
        check(256..256, Some(&[]));
        check(255..257, None);
        check(256..257, None);
        check(300..302, None);
        assert_eq!(Words.decode_entries(&bundle[1..], 0..1), None);
    }
}
