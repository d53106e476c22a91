//! A timestamp authority that fails or lies: nothing is logged.

use waxseal_crypto::{Digest, HashAlgorithm};
use waxseal_pki::timestamp::{PkiFailure, TimestampRequest, TimestampResponse};
use waxseal_sign::SigningError;
use waxseal_tests_e2e::{Deployment, Lie, e2e, e2e_with_other, text};
use waxseal_transport::{Request, TransportError};
use waxseal_verify::VerifyError;

use crate::assert_error;
use crate::common::{LOG, TSA, with_lie};

const REPLY: &str = "application/timestamp-reply";

async fn failed(deployment: &Deployment, lie: Lie) -> SigningError {
    let (error, liar) = with_lie(deployment, TSA, lie).await;
    assert!(
        !liar.asked().iter().any(|path| path == LOG),
        "logged: {error:?}"
    );
    error
}

/// The request with another query in it.
fn asking(change: fn(TimestampRequest) -> TimestampRequest) -> Lie {
    Lie::ask(move |mut request: Request| {
        let query = TimestampRequest::parse(&request.body).unwrap();
        request.body = change(query).encode();
        request
    })
}

#[test]
fn timestamp() {
    e2e(async |deployment| {
        let check = async |lie: Lie, expected: fn(&TransportError) -> bool| {
            let error = failed(deployment, lie).await;
            assert_error!(
                error,
                SigningError::Timestamp { source, .. } if expected(source)
            );
        };
        check(Lie::down(), |e| matches!(e, TransportError::Connect { .. })).await;
        check(Lie::slow(), |e| {
            matches!(e, TransportError::Deadline { .. })
        })
        .await;
        check(Lie::endless(REPLY), |e| {
            matches!(e, TransportError::TooLarge { .. })
        })
        .await;
        check(Lie::answer(text(500, "text/plain", "oh")), |e| {
            matches!(e, TransportError::UnexpectedStatus { found: 500, .. })
        })
        .await;
        check(Lie::answer(text(403, "text/plain", "no")), |e| {
            matches!(e, TransportError::UnexpectedStatus { found: 403, .. })
        })
        .await;
        let as_html = Lie::alter(|answer| text(answer.status, "text/html", answer.body));
        check(as_html, |e| {
            matches!(e, TransportError::UnexpectedContentType { .. })
        })
        .await;
        check(Lie::answer(text(307, REPLY, "")), |e| {
            matches!(
                e,
                TransportError::RedirectRefused { .. } | TransportError::UnexpectedStatus { .. }
            )
        })
        .await;
    });
}

#[test]
fn timestamp_malformed() {
    e2e(async |deployment| {
        let check = async |lie: Lie| {
            let error = failed(deployment, lie).await;
            assert_error!(error, SigningError::TimestampMalformed { .. });
        };
        check(Lie::answer(text(200, REPLY, ""))).await;
        check(Lie::answer(text(201, REPLY, "not DER"))).await;
        check(Lie::alter(|answer| {
            let half = answer.body[..answer.body.len() / 2].to_vec();
            text(answer.status, REPLY, half)
        }))
        .await;
    });
}

#[test]
fn timestamp_rejected() {
    e2e(async |deployment| {
        let no = TimestampResponse::encode_rejection(PkiFailure::BadAlgorithm, "no");
        let error = failed(deployment, Lie::answer(text(200, REPLY, no))).await;
        assert_error!(error, SigningError::TimestampRejected { .. });
    });
}

#[test]
fn timestamp_of_another_request() {
    e2e(async |deployment| {
        let other_nonce = asking(|query| query.with_nonce(b"12345678"));
        let error = failed(deployment, other_nonce).await;
        assert_error!(error, SigningError::TimestampOfAnotherRequest { .. });
        let no_nonce = asking(|mut query| {
            query.nonce = None;
            query
        });
        let error = failed(deployment, no_nonce).await;
        assert_error!(error, SigningError::TimestampOfAnotherRequest { .. });
    });
}

#[test]
fn timestamp_refused() {
    e2e_with_other(async |deployment, other| {
        let other_imprint = asking(|query| {
            let digest = Digest::of(HashAlgorithm::Sha256, b"other bytes");
            let nonce = query.nonce.unwrap();
            TimestampRequest::new(digest).with_nonce(&nonce)
        });
        let error = failed(deployment, other_imprint).await;
        assert_error!(
            error,
            SigningError::TimestampRefused { source, .. }
                if matches!(**source, VerifyError::TimestampImprintMismatch)
        );
        let other_authority = Lie::elsewhere(&other.transport, other.url());
        let error = failed(deployment, other_authority).await;
        assert_error!(
            error,
            SigningError::TimestampRefused { source, .. }
                if matches!(**source, VerifyError::TimestampAuthorityUnknown)
        );
        let flipped = Lie::alter(|answer| {
            let mut body = answer.body;
            *body.last_mut().unwrap() ^= 1;
            text(answer.status, REPLY, body)
        });
        let error = failed(deployment, flipped).await;
        assert_error!(
            error,
            SigningError::TimestampRefused { source, .. }
                if matches!(**source, VerifyError::TimestampInvalid { .. })
        );
    });
}
