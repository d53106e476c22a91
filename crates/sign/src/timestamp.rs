//! The timestamp: a signature's digest goes out, a token over it comes back (RFC 3161).

use url::Url;
use waxseal_crypto::{Digest, HashAlgorithm};
use waxseal_pki::timestamp::{MAX_RESPONSE, TimestampRequest, TimestampResponse};
use waxseal_transport::{Request, Response, TransportError, send_retrying};

use crate::{SigningContext, SigningError};

/// Length of the nonce, in bytes.
const NONCE: usize = 8;

/// Takes a timestamp of a signature and checks it against the trusted root.
pub(crate) async fn obtain(
    context: &SigningContext<'_>,
    url: &Url,
    signature: &[u8],
) -> Result<Vec<u8>, SigningError> {
    let mut nonce = [0; NONCE];
    context.random.fill(&mut nonce)?;
    let digest = Digest::of(HashAlgorithm::Sha256, signature);
    let query = TimestampRequest::new(digest).with_nonce(&nonce);
    let failed = |source| SigningError::Timestamp {
        url: url.clone(),
        source: Box::new(source),
    };
    let answer = send_retrying(context.transport, encode(url, &query), &context.retry()?)
        .await
        .and_then(expect_reply)
        .map_err(failed)?;
    check(url, &query, &answer.body)?;
    context
        .verifier
        .verify_timestamp(&answer.body, signature)
        .map_err(|source| SigningError::TimestampRefused {
            url: url.clone(),
            source: Box::new(source),
        })?;
    Ok(answer.body)
}

fn encode(url: &Url, query: &TimestampRequest) -> Request {
    Request::post(url.clone(), "application/timestamp-query", query.encode())
        .with_header("Accept", "application/timestamp-reply")
        .with_max_response(MAX_RESPONSE)
}

/// Authorities answer 200, some 201.
fn expect_reply(answer: Response) -> Result<Response, TransportError> {
    answer
        .expect_status(&[200, 201])?
        .expect_content_type(&["application/timestamp-reply"])
}

/// The answer is a token for this query: granted, over our digest, with our nonce.
fn check(url: &Url, query: &TimestampRequest, answer: &[u8]) -> Result<(), SigningError> {
    let parsed =
        TimestampResponse::parse(answer).map_err(|source| SigningError::TimestampMalformed {
            url: url.clone(),
            source: Box::new(source),
        })?;
    match parsed {
        TimestampResponse::Granted(token) if token.info().nonce == query.nonce => Ok(()),
        TimestampResponse::Granted(_) => {
            Err(SigningError::TimestampOfAnotherRequest { url: url.clone() })
        }
        _ => Err(SigningError::TimestampRejected { url: url.clone() }),
    }
}
