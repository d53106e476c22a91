//! The log entry: digest, signature and verifier go out, an entry with its proof comes back.

use url::Url;
use waxseal_crypto::Digest;
use waxseal_formats::entry::{HashedRekordV002, Signature, Verifier, VerifierKey};
use waxseal_formats::log::{CreateEntryRequest, HashedRekordRequest};
use waxseal_formats::status::Status;
use waxseal_formats::{
    HashAlgorithm, KeyDetails, MAX_LOG_ENTRY_BYTES, MessageDigest, TransparencyLogEntry,
};
use waxseal_transport::{Excerpt, Request, Response, send_retrying};

use crate::endpoints::below;
use crate::{SigningContext, SigningError, recovery};

/// Logs that publish at intervals answer after as long as ten seconds; upstream asks for twenty.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(30);

/// What is logged.
pub(crate) struct Entry<'a> {
    pub(crate) digest: &'a Digest,
    pub(crate) signature: &'a [u8],
    pub(crate) key: VerifierKey,
    pub(crate) key_details: &'static str,
}

impl Entry<'_> {
    fn signature(&self) -> Signature {
        Signature {
            content: self.signature.to_vec(),
            verifier: Verifier {
                key: self.key.clone(),
                key_details: KeyDetails::new(self.key_details),
            },
        }
    }

    fn request(&self) -> CreateEntryRequest {
        CreateEntryRequest::HashedRekord(HashedRekordRequest {
            digest: self.digest.as_bytes().to_vec(),
            signature: self.signature(),
        })
    }

    /// The body that a log makes of the request, byte for byte.
    pub(crate) fn body(&self) -> Vec<u8> {
        let digest = MessageDigest {
            algorithm: wire_name(self.digest.algorithm()),
            digest: self.digest.as_bytes().to_vec(),
        };
        HashedRekordV002 {
            digest,
            signature: self.signature(),
        }
        .encode_canonical()
    }
}

pub(crate) fn wire_name(algorithm: waxseal_crypto::HashAlgorithm) -> HashAlgorithm {
    HashAlgorithm::new(match algorithm {
        waxseal_crypto::HashAlgorithm::Sha384 => "SHA2_384",
        waxseal_crypto::HashAlgorithm::Sha512 => "SHA2_512",
        _ => "SHA2_256",
    })
}

/// Logs an entry. That the log holds it already is success: then its proof is built from the
/// log's tiles.
pub(crate) async fn append(
    context: &SigningContext<'_>,
    log: &Url,
    entry: &Entry<'_>,
) -> Result<TransparencyLogEntry, SigningError> {
    let url = below(log, "api/v2/log/entries")
        .ok_or_else(|| SigningError::BadUrl { url: log.clone() })?;
    let request = Request::post(
        url,
        "application/json",
        entry.request().to_json().into_bytes(),
    )
    .with_header("Accept", "application/json")
    .with_max_response(MAX_LOG_ENTRY_BYTES)
    .with_deadline(DEADLINE);
    let answer = send_retrying(context.transport, request, &context.retry()?)
        .await
        .map_err(|source| SigningError::Log {
            url: log.clone(),
            source: Box::new(source),
        })?;
    let logged = match answer.status {
        200 | 201 => TransparencyLogEntry::from_json(&answer.body).map_err(|source| {
            SigningError::LogMalformed {
                url: log.clone(),
                source: Box::new(source),
            }
        })?,
        409 => recover(context, log, entry, &answer).await?,
        _ => return Err(refusal(log, &answer)),
    };
    // Another submission's entry, however genuine, is not ours (V-32).
    if logged.canonicalized_body == entry.body() {
        Ok(logged)
    } else {
        Err(SigningError::LogAnsweredAnotherEntry { url: log.clone() })
    }
}

async fn recover(
    context: &SigningContext<'_>,
    log: &Url,
    entry: &Entry<'_>,
    answer: &Response,
) -> Result<TransparencyLogEntry, SigningError> {
    let index = answer
        .headers
        .only("x-log-index")
        .and_then(|text| text.parse().ok());
    let index = index.ok_or_else(|| SigningError::LogConflictWithoutIndex { url: log.clone() })?;
    recovery::fetch_entry(context, log, index, &entry.body())
        .await
        .map_err(|source| SigningError::LogRecovery {
            url: log.clone(),
            index,
            source: Box::new(source),
        })
}

fn refusal(log: &Url, answer: &Response) -> SigningError {
    let message = match Status::from_json(&answer.body) {
        Ok(status) => Excerpt::of(status.message.as_bytes()),
        Err(_) => answer.excerpt(),
    };
    SigningError::LogRefused {
        url: log.clone(),
        status: answer.status,
        message,
    }
}
