//! Every shape of request and answer, read and written.

use super::*;

fn request(text: &str, expected: Result<SigningCertificateRequest, FieldError>) {
    assert_eq!(
        SigningCertificateRequest::from_json(text.as_bytes()),
        expected,
        "{text}"
    );
}

fn public_key(algorithm: &str) -> Option<RequestedKey> {
    Some(RequestedKey::PublicKey {
        algorithm: algorithm.into(),
        content: "PEM\n".into(),
        proof_of_possession: vec![1, 2, 3],
    })
}

#[test]
fn the_three_shapes_of_requests() {
    let token = Some(Secret::new("a.b.c".into()));
    let key = r#""publicKeyRequest":{"publicKey":{"algorithm":"ECDSA","content":"PEM\n"},"proofOfPossession":"AQID"}"#;
    request(
        &format!(r#"{{"credentials":{{"oidcIdentityToken":"a.b.c"}},{key}}}"#),
        Ok(SigningCertificateRequest {
            identity_token: token,
            key: public_key("ECDSA"),
        }),
    );
    request(
        &format!("{{{key},\"new\":[]}}"),
        Ok(SigningCertificateRequest {
            identity_token: None,
            key: public_key("ECDSA"),
        }),
    );
    request(
        r#"{"certificate_signing_request":"AQID"}"#,
        Ok(SigningCertificateRequest {
            identity_token: None,
            key: Some(RequestedKey::CertificateSigningRequest(vec![1, 2, 3])),
        }),
    );
    request(
        "{}",
        Ok(SigningCertificateRequest {
            identity_token: None,
            key: None,
        }),
    );
}

#[test]
fn algorithms_by_number() {
    for (written, name) in [
        ("1", "RSA_PSS"),
        ("2", "ECDSA"),
        ("3", "ED25519"),
        ("9", "9"),
        ("null", "PUBLIC_KEY_ALGORITHM_UNSPECIFIED"),
        ("\"ML_DSA\"", "ML_DSA"),
    ] {
        request(
            &format!(
                r#"{{"publicKeyRequest":{{"publicKey":{{"algorithm":{written},"content":"PEM\n"}},"proofOfPossession":"AQID"}}}}"#
            ),
            Ok(SigningCertificateRequest {
                identity_token: None,
                key: public_key(name),
            }),
        );
    }
}

#[test]
fn a_key_and_a_csr_exclude_each_other() {
    request(
        r#"{"certificateSigningRequest":"AQID","publicKeyRequest":{}}"#,
        Err(FieldError::Oneof {
            first: "publicKeyRequest",
            second: "certificateSigningRequest",
        }),
    );
}

#[test]
fn requests_survive_a_round_trip_and_hide_the_token() {
    for key in [
        public_key("ECDSA"),
        Some(RequestedKey::CertificateSigningRequest(b"PEM".to_vec())),
        None,
    ] {
        let made = SigningCertificateRequest {
            identity_token: Some(Secret::new("eyJ-secret".into())),
            key,
        };
        let text = made.to_json();
        assert!(!format!("{made:?}{text:?}").contains("eyJ"));
        request(text.expose(), Ok(made));
    }
}

#[test]
fn a_request_may_have_64_kib() {
    let text = |length: usize| {
        let fixed = r#"{"certificateSigningRequest":"AAAA"}"#;
        format!("{fixed}{}", " ".repeat(length - fixed.len()))
    };
    let limit = MAX_SIGNING_CERTIFICATE_REQUEST_BYTES;
    assert!(SigningCertificateRequest::from_json(text(limit).as_bytes()).is_ok());
    assert!(SigningCertificateRequest::from_json(text(limit + 1).as_bytes()).is_err());
}

#[test]
fn answers_survive_a_round_trip() {
    let chain = vec!["leaf".to_owned(), "root".to_owned()];
    for answer in [
        SigningCertificate::EmbeddedSct {
            chain: chain.clone(),
        },
        SigningCertificate::DetachedSct {
            chain: chain.clone(),
            sct: b"{}".to_vec(),
        },
    ] {
        assert_eq!(answer.chain(), chain);
        let text = answer.to_json();
        assert_eq!(SigningCertificate::from_json(text.as_bytes()), Ok(answer));
    }
    assert_eq!(
        SigningCertificate::from_json(b"{}"),
        Err(FieldError::Missing {
            field: "signedCertificateEmbeddedSct"
        })
    );
    let bundle = TrustBundle {
        chains: vec![chain, vec![]],
    };
    assert_eq!(
        TrustBundle::from_json(bundle.to_json().as_bytes()),
        Ok(bundle)
    );
}

#[test]
fn a_configuration_writes_every_field() {
    let issuer = |issuer| OidcIssuer {
        issuer,
        audience: "sigstore".into(),
        challenge_claim: "email".into(),
        spiffe_trust_domain: String::new(),
        issuer_type: "email".into(),
        subject_domain: String::new(),
        skip_email_verification: false,
    };
    let configuration = Configuration {
        issuers: vec![
            issuer(IssuerUrl::Exact("https://accounts.google.com".into())),
            issuer(IssuerUrl::Wildcard("https://*.test".into())),
        ],
    };
    let text = configuration.to_json();
    assert!(text.starts_with(
        r#"{"issuers":[{"issuerUrl":"https://accounts.google.com","audience":"sigstore","challengeClaim":"email","spiffeTrustDomain":"","issuerType":"email","subjectDomain":"","skipEmailVerification":false},{"wildcardIssuerUrl":"#
    ));
    assert_eq!(Configuration::from_json(text.as_bytes()), Ok(configuration));
}
