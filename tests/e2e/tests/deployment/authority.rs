//! A certificate authority that fails or lies: nothing is signed.

use std::sync::Arc;
use std::time::Duration;

use waxseal_ca_client::CertificateError;
use waxseal_crypto::Clock as _;
use waxseal_crypto_aws_lc::SystemClock;
use waxseal_identity::IdentityToken;
use waxseal_sign::SigningError;
use waxseal_tests_e2e::{Client, Deployment, Forgery, Liar, Lie, Scts, e2e, e2e_with_other, text};
use waxseal_transport::{Response, TransportError};
use waxseal_verify::VerifyError;

use crate::assert_error;
use crate::common::{ARTIFACT, CA, payload};

/// Asks for a certificate through a lie; after that nothing else may have been asked for.
async fn failed(deployment: &Deployment, token: IdentityToken, lie: Lie) -> SigningError {
    let client = Client::of(deployment);
    let liar = Liar::before(&deployment.transport).about(CA, lie);
    let session = client.context(&liar).certify(token).await;
    assert!(liar.asked().iter().all(|path| path == CA));
    session.err().expect("the lie was believed")
}

#[test]
fn certificate_authority() {
    e2e(async |deployment| {
        let token = deployment.log_in(&deployment.somebody()).await;
        let check = async |lie: Lie, expected: fn(&TransportError) -> bool| {
            assert_error!(
                failed(deployment, token.clone(), lie).await,
                SigningError::CertificateAuthority { source, .. } if expected(source)
            );
        };
        check(Lie::down(), |e| matches!(e, TransportError::Connect { .. })).await;
        check(Lie::slow(), |e| {
            matches!(e, TransportError::Deadline { .. })
        })
        .await;
        let endless = Lie::endless("application/json");
        check(endless, |e| matches!(e, TransportError::TooLarge { .. })).await;
    });
}

#[test]
fn certificate() {
    e2e(async |deployment| {
        let token = deployment.log_in(&deployment.somebody()).await;
        let check = async |lie: Lie, expected: fn(&CertificateError) -> bool| {
            assert_error!(
                failed(deployment, token.clone(), lie).await,
                SigningError::Certificate { source, .. } if expected(source)
            );
        };
        let json = |status, body: &'static str| Lie::answer(text(status, "application/json", body));
        check(json(500, "{}"), |e| {
            matches!(e, CertificateError::Failed { status: 500, .. })
        })
        .await;
        check(json(403, r#"{"code":7,"message":"not you"}"#), |e| {
            matches!(e, CertificateError::Refused { status: 403, message, .. }
                if message.as_str() == "not you")
        })
        .await;
        check(json(200, "{"), |e| {
            matches!(e, CertificateError::Malformed(_))
        })
        .await;
        let empty = r#"{"signedCertificateEmbeddedSct":{"chain":{"certificates":[]}}}"#;
        check(json(200, empty), |e| {
            matches!(e, CertificateError::Empty | CertificateError::Malformed(_))
        })
        .await;
        let not_pem = r#"{"signedCertificateEmbeddedSct":{"chain":{"certificates":["x"]}}}"#;
        check(json(200, not_pem), |e| {
            matches!(e, CertificateError::NotPem { index: 0 })
        })
        .await;
    });
}

/// A genuine certificate of the same person, for a key of an earlier session.
async fn genuine(deployment: &Deployment, token: IdentityToken) -> Response {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let record = Lie::alter(move |answer| {
        sender.send(answer.clone()).unwrap();
        answer
    });
    let client = Client::of(deployment);
    let liar = Liar::before(&deployment.transport).about(CA, record);
    client.context(&liar).certify(token).await.unwrap();
    receiver.recv().await.unwrap()
}

#[test]
fn certificate_for_another_key() {
    e2e(async |deployment| {
        let token = deployment.log_in(&deployment.somebody()).await;
        let earlier = genuine(deployment, token.clone()).await;
        let error = failed(deployment, token, Lie::answer(earlier)).await;
        assert_error!(
            error,
            SigningError::Certificate { source, .. }
                if matches!(**source, CertificateError::OtherKey)
        );
    });
}

/// What the authority would have issued.
fn honest(deployment: &Deployment, address: &str) -> Forgery {
    Forgery {
        keys: Arc::clone(&deployment.keys),
        name: address.to_owned(),
        issuer: deployment.instance.issuer(),
        from: SystemClock.now().truncated_to_second(),
        lifetime: Duration::from_secs(600),
        scts: Scts::Of(Arc::clone(&deployment.keys.ct)),
    }
}

#[test]
fn a_forgery_that_is_wrong_in_nothing_is_believed() {
    e2e(async |deployment| {
        let address = deployment.somebody();
        let token = deployment.log_in(&address).await;
        let client = Client::of(deployment);
        let lie = honest(deployment, &address).lie();
        let liar = Liar::before(&deployment.transport).about(CA, lie);
        let session = client.context(&liar).certify(token).await.unwrap();
        session.sign(&payload(&session, ARTIFACT)).await.unwrap();
    });
}

#[test]
fn certificate_for_somebody_else_or_of_another_issuer() {
    e2e(async |deployment| {
        let address = deployment.somebody();
        let token = deployment.log_in(&address).await;
        let other_name = Forgery {
            name: "mallory@example.com".to_owned(),
            ..honest(deployment, &address)
        };
        let error = failed(deployment, token.clone(), other_name.lie()).await;
        assert_error!(
            error,
            SigningError::Certificate { source, .. }
                if matches!(&**source, CertificateError::OtherIdentity { expected, found }
                    if *expected == address && found.as_str() == "mallory@example.com")
        );
        let other_issuer = Forgery {
            issuer: "https://accounts.example.com".to_owned(),
            ..honest(deployment, &address)
        };
        let error = failed(deployment, token, other_issuer.lie()).await;
        assert_error!(
            error,
            SigningError::Certificate { source, .. }
                if matches!(**source, CertificateError::OtherIssuer { .. })
        );
    });
}

#[test]
fn certificate_refused() {
    e2e_with_other(async |deployment, other| {
        let address = deployment.somebody();
        let token = deployment.log_in(&address).await;
        let check = async |forgery: Forgery, expected: fn(&VerifyError) -> bool| {
            assert_error!(
                failed(deployment, token.clone(), forgery.lie()).await,
                SigningError::CertificateRefused { source, .. } if expected(source)
            );
        };
        let honest = || honest(deployment, &address);
        let own_log = || Arc::clone(&deployment.keys.ct);
        let wrong_sct = Forgery {
            scts: Scts::ForAnother(own_log()),
            ..honest()
        };
        check(wrong_sct, |e| matches!(e, VerifyError::SctInvalid)).await;
        let other_log = Forgery {
            scts: Scts::Of(Arc::clone(&other.keys.ct)),
            ..honest()
        };
        check(other_log, |e| matches!(e, VerifyError::SctLogUnknown)).await;
        let no_sct = Forgery {
            scts: Scts::None,
            ..honest()
        };
        check(no_sct, |e| matches!(e, VerifyError::SctMissing)).await;
        let other_authority = Forgery {
            keys: Arc::clone(&other.keys),
            ..honest()
        };
        check(other_authority, |e| {
            matches!(e, VerifyError::CertificateUntrusted)
        })
        .await;
        let from = |seconds_ago| {
            let now = SystemClock.now().truncated_to_second();
            now.checked_sub(Duration::from_secs(seconds_ago)).unwrap()
        };
        let expired = Forgery {
            from: from(100),
            lifetime: Duration::from_secs(90),
            ..honest()
        };
        check(expired, |e| {
            matches!(e, VerifyError::CertificateExpired { .. })
        })
        .await;
        let future = Forgery {
            from: SystemClock
                .now()
                .checked_add(Duration::from_secs(60))
                .unwrap(),
            ..honest()
        };
        check(future, |e| {
            matches!(e, VerifyError::CertificateExpired { .. })
        })
        .await;
        // From the past into the present, it holds: the check above is of its dates.
        let valid = Forgery {
            from: from(100),
            ..honest()
        };
        let liar = Liar::before(&deployment.transport).about(CA, valid.lie());
        let client = Client::of(deployment);
        client.context(&liar).certify(token.clone()).await.unwrap();
    });
}

#[test]
fn without_ct_log_only_when_told_so() {
    e2e(async |deployment| {
        let address = deployment.somebody();
        let token = deployment.log_in(&address).await;
        let no_sct = Forgery {
            scts: Scts::None,
            ..honest(deployment, &address)
        };
        let liar = Liar::before(&deployment.transport).about(CA, no_sct.lie());
        let client = Client {
            min_scts: 0,
            ..Client::of(deployment)
        };
        let session = client.context(&liar).certify(token).await.unwrap();
        let signed = session.sign(&payload(&session, ARTIFACT)).await.unwrap();
        let now = SystemClock.now();
        let verified =
            waxseal_tests_e2e::verify_artifact(deployment, ARTIFACT, &signed.bundle, &address, now);
        assert_error!(verified.unwrap_err(), VerifyError::SctMissing);
    });
}
