//! Both versions, what is shipped, and that what is written is read back.

use super::*;
use crate::Timestamp;

const TYPE: &str = r#""mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1""#;

fn check(members: &str, expected: Result<TrustedRoot, TrustedRootParseError>) {
    let text = format!("{{{members}}}");
    assert_eq!(TrustedRoot::from_json(text.as_bytes()), expected, "{text}");
}

fn range(start: Option<i64>, end: Option<i64>) -> Option<TimeRange> {
    let at = |seconds| Timestamp { seconds, nanos: 0 };
    Some(TimeRange {
        start: start.map(at),
        end: end.map(at),
    })
}

fn full() -> TrustedRoot {
    let log = TransparencyLogInstance {
        base_url: "https://log.test".into(),
        hash_algorithm: HashAlgorithm::SHA2_256,
        public_key: PublicKey {
            raw_bytes: vec![1, 2, 3],
            key_details: KeyDetails::new("PKIX_ED25519"),
            valid_for: range(Some(0), Some(1)),
        },
        log_id: vec![4],
        checkpoint_key_id: Some(vec![5, 6, 7, 8]),
        operator: "test".into(),
    };
    let authority = CertificateAuthority {
        organization: "o".into(),
        common_name: "cn".into(),
        uri: "https://ca.test".into(),
        cert_chain: vec![vec![1], vec![2]],
        valid_for: range(Some(-1), None),
        operator: String::new(),
    };
    TrustedRoot {
        version: TrustedRootVersion::V02,
        tlogs: vec![
            log.clone(),
            TransparencyLogInstance {
                log_id: vec![],
                checkpoint_key_id: None,
                public_key: PublicKey {
                    key_details: KeyDetails::new("FROM_THE_FUTURE"),
                    valid_for: None,
                    ..log.public_key.clone()
                },
                ..log.clone()
            },
        ],
        certificate_authorities: vec![authority.clone()],
        ctlogs: vec![log],
        timestamp_authorities: vec![
            CertificateAuthority {
                valid_for: range(None, Some(1)),
                ..authority.clone()
            },
            CertificateAuthority {
                valid_for: None,
                operator: "other".into(),
                ..authority
            },
        ],
    }
}

#[test]
fn round_trip() {
    for root in [
        TrustedRoot::default(),
        full(),
        TrustedRoot::public_good(),
        TrustedRoot::staging(),
    ] {
        let text = root.to_json();
        assert_eq!(TrustedRoot::from_json(text.as_bytes()), Ok(root.clone()));
        // And as gh reads it: one line.
        assert!(!text.contains('\n'));
    }
}

#[test]
fn every_version_in_every_spelling() {
    for (media_type, version) in [
        (
            "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            TrustedRootVersion::V01,
        ),
        (
            "application/vnd.dev.sigstore.trustedroot.v0.1+json",
            TrustedRootVersion::V01,
        ),
        (
            "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
            TrustedRootVersion::V02,
        ),
        (
            "application/vnd.dev.sigstore.trustedroot.v0.2+json",
            TrustedRootVersion::V02,
        ),
    ] {
        let root = TrustedRoot {
            version,
            ..TrustedRoot::default()
        };
        check(
            &format!(r#""mediaType":"{media_type}","new":{{}}"#),
            Ok(root),
        );
    }
}

#[test]
fn media_type() {
    for media_type in [
        "",
        "application/vnd.dev.sigstore.trustedroot.v0.3+json",
        "text/plain",
    ] {
        check(
            &format!(r#""mediaType":"{media_type}""#),
            Err(TrustedRootParseError::MediaType {
                media_type: media_type.into(),
            }),
        );
    }
}

#[test]
fn field() {
    let missing = |field| Err(TrustedRootParseError::Field(FieldError::Missing { field }));
    check(&format!(r#"{TYPE},"tlogs":[{{}}]"#), missing("publicKey"));
    check(
        &format!(r#"{TYPE},"ctlogs":[{{"publicKey":{{}}}}]"#),
        missing("rawBytes"),
    );
    check(
        &format!(r#"{TYPE},"certificateAuthorities":[{{}}]"#),
        missing("certChain"),
    );
    check(
        &format!(r#"{TYPE},"timestamp_authorities":[{{"cert_chain":{{"certificates":[{{}}]}}}}]"#),
        missing("rawBytes"),
    );
    check(
        &format!(
            r#"{TYPE},"tlogs":[{{"publicKey":{{"rawBytes":"AA==","validFor":{{"start":"x"}}}}}}]"#
        ),
        Err(TrustedRootParseError::Field(FieldError::Time {
            field: "start",
        })),
    );
    let list = vec!["{}"; MAX_INSTANCES + 1].join(",");
    let error = FieldError::TooMany {
        field: "ctlogs",
        count: 1025,
        limit: 1024,
    };
    check(&format!(r#"{TYPE},"ctlogs":[{list}]"#), Err(error.into()));
    let list = [r#"{"rawBytes":"AA=="}"#; MAX_AUTHORITY_CHAIN + 1].join(",");
    let error = FieldError::TooMany {
        field: "certificates",
        count: 11,
        limit: 10,
    };
    check(
        &format!(
            r#"{TYPE},"certificateAuthorities":[{{"certChain":{{"certificates":[{list}]}}}}]"#
        ),
        Err(error.into()),
    );
}

#[test]
fn the_shipped_roots_hold_what_they_should() {
    let public = TrustedRoot::public_good();
    assert_eq!(public.version, TrustedRootVersion::V01);
    assert!(
        public
            .tlogs
            .iter()
            .any(|log| log.base_url == "https://rekor.sigstore.dev")
    );
    assert!(
        public
            .tlogs
            .iter()
            .any(|log| log.base_url == "https://log2025-1.rekor.sigstore.dev")
    );
    let staging = TrustedRoot::staging();
    assert!(
        staging
            .tlogs
            .iter()
            .any(|log| log.base_url == "https://rekor.sigstage.dev")
    );
    for root in [public, staging] {
        assert!(!root.certificate_authorities.is_empty());
        assert!(!root.ctlogs.is_empty() && !root.timestamp_authorities.is_empty());
        for log in root.tlogs.iter().chain(&root.ctlogs) {
            assert!(
                log.public_key
                    .valid_for
                    .is_some_and(|range| range.start.is_some())
            );
            assert_eq!(log.log_id.len(), 32);
        }
    }
}

/// A second copy of each key, at every level, of all three client files.
#[test]
fn s_54_duplicate_keys_are_refused_at_every_level() {
    use crate::json::JsonError;
    use crate::{ClientTrustConfig, ClientTrustConfigError, SigningConfig};

    let text = ClientTrustConfig {
        trusted_root: full(),
        signing_config: SigningConfig::staging(),
    }
    .to_json();
    let keys: Vec<usize> = text.match_indices("\":").map(|(at, _)| at).collect();
    assert!(keys.len() > 100, "{}", keys.len());
    for at in keys {
        let start = text[..at].rfind('"').unwrap();
        let (before, after) = text.split_at(start);
        let twice = format!("{before}\"{}\":null,{after}", &text[start + 1..at]);
        assert!(
            matches!(
                ClientTrustConfig::from_json(twice.as_bytes()),
                Err(ClientTrustConfigError::Field(FieldError::Json(
                    JsonError::DuplicateKey { .. }
                )))
            ),
            "{twice}"
        );
    }
}

/// The table in `data/trust/README.md` against the files.
#[test]
fn the_shipped_files_are_those_that_the_readme_names() {
    use sha2::{Digest as _, Sha256};

    let readme = include_str!("../../data/trust/README.md");
    let files: [(&str, &[u8]); 4] = [
        (
            "public-good.trusted_root.json",
            include_bytes!("../../data/trust/public-good.trusted_root.json"),
        ),
        (
            "public-good.signing_config.json",
            include_bytes!("../../data/trust/public-good.signing_config.json"),
        ),
        (
            "staging.trusted_root.json",
            include_bytes!("../../data/trust/staging.trusted_root.json"),
        ),
        (
            "staging.signing_config.json",
            include_bytes!("../../data/trust/staging.signing_config.json"),
        ),
    ];
    for (name, bytes) in files {
        let digest: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert!(
            readme.contains(&format!("| `{name}` | `{digest}` |")),
            "{name}: {digest}"
        );
    }
}
