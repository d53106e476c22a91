//! The artifact log, version 2: `hashedrekord` 0.0.2 and `dsse` 0.0.2 entries.

mod request;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use waxseal_crypto::{
    BoxFuture, CryptoProvider, Digest, HashAlgorithm, Input, SignatureAlgorithm, Time,
};
use waxseal_formats::entry::{HashedRekordV002, Signature, Verifier, VerifierKey};
use waxseal_formats::json::JsonError;
use waxseal_formats::log::{CreateEntryRequest, MAX_CREATE_ENTRY_REQUEST_BYTES};
use waxseal_formats::{FieldError, KeyDetails, MessageDigest};
use waxseal_serve::BoxError;
use waxseal_tlog::{EntryBundle, Hash, MAX_ENTRY_BYTES, Origin, leaf_hash};

pub use request::RequestError;
use request::{CheckedDsse, CheckedHashedRekord};

use crate::personality::{BundleKind, CheckError};
use crate::{Answer, DedupKey, Endpoint, Logged, Personality, Record, Refusal, Submission};

/// The write path (`dev.sigstore.rekor.v2.Rekor/CreateEntry`).
const ENDPOINTS: &[Endpoint] = &[Endpoint {
    path: "/api/v2/log/entries",
    max_body: MAX_CREATE_ENTRY_REQUEST_BYTES,
}];

const HASHED_REKORD: &str = "hashedrekord";
const DSSE: &str = "dsse";

/// The log of signatures over artifacts. It believes nobody: every signature is verified with the
/// key that comes with it, and a key is named as what it is (S-09). Certificates are only read for
/// their key: whether they are anybody's, verifiers decide.
#[derive(Debug, Clone, Copy)]
pub struct ArtifactLog {
    provider: CryptoProvider,
    takes_dsse: bool,
}

impl ArtifactLog {
    /// An artifact log. It takes both kinds of requests.
    pub const fn new(provider: CryptoProvider) -> Self {
        Self {
            provider,
            takes_dsse: true,
        }
    }

    /// One that takes `hashedRekordRequestV002` only, as rekor-tiles does since 2.3. Clients that
    /// still send `dsseRequestV002` (sigstore-js, sigstore-rust) are refused.
    #[must_use]
    pub const fn without_dsse(mut self) -> Self {
        self.takes_dsse = false;
        self
    }

    fn read(&self, body: &[u8]) -> Result<Box<dyn Submission>, Refusal> {
        let request = CreateEntryRequest::from_json(body);
        let request = request.map_err(|error| unread(error, body))?;
        match request {
            CreateEntryRequest::HashedRekord(request) => {
                let refused = |error: RequestError| error.refusal(HASHED_REKORD);
                let request = CheckedHashedRekord::new(request).map_err(refused)?;
                Ok(Box::new(HashedRekord {
                    provider: self.provider,
                    body: fit(request.body.encode_canonical()).map_err(refused)?,
                    request,
                }))
            }
            CreateEntryRequest::Dsse(_) if !self.takes_dsse => {
                Err(RequestError::DsseNotTaken.refusal(DSSE))
            }
            CreateEntryRequest::Dsse(request) => {
                let refused = |error: RequestError| error.refusal(DSSE);
                Ok(Box::new(Dsse {
                    provider: self.provider,
                    request: CheckedDsse::new(request).map_err(refused)?,
                    body: OnceLock::new(),
                }))
            }
            _ => Err(RequestError::UnknownKind.refusal(HASHED_REKORD)),
        }
    }

    fn make_genesis(&self, origin: &Origin) -> Result<HashedRekordV002, BoxError> {
        let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
        // The key is thrown away: nobody can ever make a second entry of it.
        let key = self.provider.generate(algorithm)?;
        let signer = self.provider.signer(&key, algorithm)?;
        let digest = Digest::of(HashAlgorithm::Sha256, origin.as_str().as_bytes());
        let signature = signer.sign_now(Input::Prehash(&digest))?;
        Ok(HashedRekordV002 {
            digest: MessageDigest {
                algorithm: waxseal_formats::HashAlgorithm::SHA2_256,
                digest: digest.as_bytes().to_vec(),
            },
            signature: Signature {
                content: signature,
                verifier: Verifier {
                    key: VerifierKey::PublicKey(signer.public_key().spki_der().to_vec()),
                    key_details: KeyDetails::new("PKIX_ECDSA_P256_SHA_256"),
                },
            },
        })
    }
}

impl Personality for ArtifactLog {
    fn endpoints(&self) -> &'static [Endpoint] {
        ENDPOINTS
    }

    /// Readers ask below the root and below `/api/v2`.
    fn read_prefixes(&self) -> &'static [&'static str] {
        &["", "/api/v2"]
    }

    fn lookup_path(&self) -> Option<&'static str> {
        Some("/api/v2/log")
    }

    fn batch_path(&self) -> Option<&'static str> {
        Some("/api/v2/log/entries:batch")
    }

    fn key_of_leaf(&self, leaf_hash: &Hash) -> Option<DedupKey> {
        Some(*leaf_hash)
    }

    fn bundles(&self) -> BundleKind {
        BundleKind::Entries
    }

    fn genesis(
        &self,
        origin: &Origin,
    ) -> BoxFuture<'_, Result<Option<Box<dyn Submission>>, BoxError>> {
        let body = self.make_genesis(origin);
        Box::pin(async move {
            let first: Box<dyn Submission> = Box::new(Fixed {
                body: body?.encode_canonical(),
            });
            Ok(Some(first))
        })
    }

    fn parse(&self, _: usize, body: &Bytes) -> Result<Box<dyn Submission>, Refusal> {
        self.read(body)
    }

    fn key(&self, stored: &[u8]) -> Option<DedupKey> {
        Some(leaf_hash(stored))
    }

    fn leaf<'a>(&self, stored: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(stored))
    }

    fn encode_bundle(&self, stored: &[Vec<u8>]) -> Vec<u8> {
        let mut bundle = EntryBundle::new();
        for entry in stored {
            // `fit` has seen every entry, and the log never asks for more than 256.
            let _ = bundle.push(entry.clone());
        }
        bundle.encode()
    }

    fn decode_bundle(&self, bundle: &[u8], width: u16) -> Option<Vec<Vec<u8>>> {
        let bundle = EntryBundle::parse(bundle, width).ok()?;
        Some(bundle.entries().to_vec())
    }

    fn decode_entries(&self, bundle: &[u8], positions: Range<usize>) -> Option<Vec<Vec<u8>>> {
        let entries: Option<Vec<_>> = EntryBundle::split(bundle)
            .take(positions.end)
            .skip(positions.start)
            .map(|entry| entry.ok().map(<[u8]>::to_vec))
            .collect();
        entries.filter(|entries| entries.len() == positions.len())
    }

    fn answer<'a>(&'a self, logged: &'a Logged) -> BoxFuture<'a, Result<Answer, BoxError>> {
        Box::pin(async move {
            if logged.is_duplicate() && !logged.wants_entry() {
                return Ok(Answer::Duplicate);
            }
            let content_type = "application/json";
            let body = logged
                .entry(kind_of(logged.stored()), "0.0.2")?
                .to_json()
                .into_bytes();
            Ok(if logged.is_duplicate() {
                Answer::Document { content_type, body }
            } else {
                Answer::Created { content_type, body }
            })
        })
    }
}

/// The canonical body starts with its version and kind, keys being sorted.
fn kind_of(body: &[u8]) -> &'static str {
    if body.starts_with(br#"{"apiVersion":"0.0.2","kind":"dsse""#) {
        DSSE
    } else {
        HASHED_REKORD
    }
}

/// What is said of a body that is no request, as Go says it where it says it in words of its own.
fn unread(error: FieldError, body: &[u8]) -> Refusal {
    // JSON that breaks where it ends was cut off.
    let is_cut_off = matches!(
        error,
        FieldError::Json(JsonError::Malformed { offset }) if offset >= body.len()
    );
    let kind = if is_about_dsse(body) {
        DSSE
    } else {
        HASHED_REKORD
    };
    if body.is_empty() {
        // Nothing at all is a request without a field.
        let field = request::HASHED_REKORD;
        return RequestError::Field(FieldError::Missing { field }).refusal(kind);
    }
    let mut refusal = RequestError::Field(error).refusal(kind);
    if is_cut_off {
        refusal.message = format!("unexpected EOF: {}", refusal.message).into();
    }
    refusal
}

/// Which of the two kinds the text of a request names. Only wording depends on it.
fn is_about_dsse(body: &[u8]) -> bool {
    let names: [&[u8]; 2] = [b"\"dsseRequestV002\"", b"\"dsse_request_v002\""];
    names
        .iter()
        .any(|name| body.windows(name.len()).any(|window| window == *name))
}

fn fit(body: Vec<u8>) -> Result<Vec<u8>, RequestError> {
    if body.len() > MAX_ENTRY_BYTES {
        return Err(RequestError::EntryTooLong { length: body.len() });
    }
    Ok(body)
}

fn record(body: &[u8]) -> Record {
    Record {
        stored: body.to_vec(),
        beside: Vec::new(),
    }
}

struct HashedRekord {
    provider: CryptoProvider,
    request: CheckedHashedRekord,
    body: Vec<u8>,
}

impl Submission for HashedRekord {
    /// The leaf hash: entries are found by it.
    fn key(&self) -> DedupKey {
        leaf_hash(&self.body)
    }

    fn early_key(&self) -> Option<DedupKey> {
        Some(self.key())
    }

    fn cost(&self) -> u32 {
        self.request.cost()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), CheckError>> {
        let refused = |error: RequestError| CheckError::Refused(error.refusal(HASHED_REKORD));
        let verified = self.request.verify(self.provider);
        Box::pin(async move { verified.map_err(refused) })
    }

    fn record(&self, _: u64, _: Time) -> Option<Record> {
        Some(record(&self.body))
    }

    fn is_stored_as(&self, stored: &[u8]) -> bool {
        self.body == stored
    }
}

struct Dsse {
    provider: CryptoProvider,
    request: CheckedDsse,
    /// Which verifier goes with which signature is known once they are verified.
    body: OnceLock<Vec<u8>>,
}

impl Dsse {
    fn body(&self) -> &[u8] {
        self.body.get().map_or(&[], Vec::as_slice)
    }
}

impl Submission for Dsse {
    fn key(&self) -> DedupKey {
        leaf_hash(self.body())
    }

    fn cost(&self) -> u32 {
        self.request.cost()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), CheckError>> {
        Box::pin(async move {
            let request = self.request.clone();
            let provider = self.provider;
            // Up to a hundred verifications: not on a thread that others wait for.
            let verified = tokio::task::spawn_blocking(move || request.verify(provider)).await;
            let body = verified
                .map_err(|error| CheckError::Fault(error.into()))?
                .and_then(|body| fit(body.encode_canonical()))
                .map_err(|error| CheckError::Refused(error.refusal(DSSE)))?;
            self.body.get_or_init(|| body);
            Ok(())
        })
    }

    fn record(&self, _: u64, _: Time) -> Option<Record> {
        self.body.get().map(|body| record(body))
    }

    fn is_stored_as(&self, stored: &[u8]) -> bool {
        self.body() == stored
    }
}

/// An entry of the log's own making.
struct Fixed {
    body: Vec<u8>,
}

impl Submission for Fixed {
    fn key(&self) -> DedupKey {
        leaf_hash(&self.body)
    }

    fn check(&self) -> BoxFuture<'_, Result<(), CheckError>> {
        Box::pin(async { Ok(()) })
    }

    fn record(&self, _: u64, _: Time) -> Option<Record> {
        Some(record(&self.body))
    }

    fn is_stored_as(&self, stored: &[u8]) -> bool {
        self.body == stored
    }
}
