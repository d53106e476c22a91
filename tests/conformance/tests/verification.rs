//! What verifies, and every published weakness of a Sigstore verifier: what it accepted is refused.
//!
//! Names of tests begin with the id of the advisory in `docs/verification-rules.md`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may panic, and needs no documentation"
)]

use std::sync::{Arc, LazyLock};

use waxseal_crypto::{Digest, HashAlgorithm, KeyKind, SignatureAlgorithm};
use waxseal_formats::claims::ClaimName;
use waxseal_formats::{Bundle, BundleVersion, Content, DsseEnvelope, KeyDetails, KeyMaterial};
use waxseal_pki::SubjectAltName;
use waxseal_tests_conformance::virtual_sigstore::{
    ALICE, Case, Generation, ISSUER, Instance, Leaf, LogRecipe, Order, PREDICATE, SIGNED, at, body,
    key, provider, range, statement,
};
use waxseal_tlog::{KeyName, NoteSigner, SignatureKind, WitnessPolicy};
use waxseal_verify::{
    Artifact, ErrorClass, IdentityRule, Pattern, SkipReason, SubjectKind, TrustedRootError,
    ValidFor, VerificationPolicy, Verifier, VerifyReaderError,
};

static A: LazyLock<Instance> = LazyLock::new(|| Instance::new("operator a", "a.example"));
static B: LazyLock<Instance> = LazyLock::new(|| Instance::new("operator b", "b.example"));
/// Two instances whose operators are not named.
static C: LazyLock<Instance> = LazyLock::new(|| Instance::new("", "c.example"));
static D: LazyLock<Instance> = LazyLock::new(|| Instance::new("", "d.example"));

const V1: Generation = Generation::V1;
const V2: Generation = Generation::V2;
const GENERATIONS: [Generation; 2] = [V1, V2];

#[track_caller]
fn accepted(case: &Case<'_>) {
    if let Err(error) = case.verify() {
        panic!("{}: {error} ({error:?})", error.code());
    }
}

#[track_caller]
fn refused(case: &Case<'_>, code: &str) {
    match case.verify() {
        Ok(_) => panic!("verified, expected {code}"),
        Err(error) => assert_eq!(error.code(), code, "{error:?}"),
    }
}

/// A good case, before and after which the same is asked.
#[track_caller]
fn changed(mut case: Case<'static>, code: &str, change: impl FnOnce(&mut Case<'static>)) {
    accepted(&case);
    change(&mut case);
    refused(&case, code);
}

fn v1() -> Case<'static> {
    Case::v1(&A)
}

fn v2() -> Case<'static> {
    Case::v2(&A)
}

/// A signature that is logged by several instances, all of them trusted, with a timestamp of each.
fn logged_by(instances: &[&'static Instance], generation: Generation) -> Case<'static> {
    let signed = instances[0].sign(Order::default());
    let recipe = LogRecipe::new(generation, at(SIGNED));
    let entries = instances
        .iter()
        .map(|instance| instance.log(&signed, &recipe))
        .collect();
    let mut case = Case::with_entries(instances[0], signed, entries);
    case.root = Instance::trusted_root(instances);
    for instance in instances {
        let token = instance.timestamp(case.signed.signature(), at(SIGNED));
        case.bundle.material.timestamps.push(token);
    }
    case
}

// ── what verifies ──

#[test]
fn every_kind_of_entry_verifies() {
    let kinds = [
        ("hashedrekord", "0.0.1", false, V1),
        ("hashedrekord", "0.0.2", false, V2),
        ("hashedrekord", "0.0.1", true, V1),
        ("hashedrekord", "0.0.2", true, V2),
        ("dsse", "0.0.1", true, V1),
        ("dsse", "0.0.2", true, V2),
        ("intoto", "0.0.1", true, V1),
        ("intoto", "0.0.2", true, V1),
    ];
    for (kind, version, envelope, generation) in kinds {
        for with_certificate in [true, false] {
            let mut order = Order::default();
            if envelope {
                order.payload = Some(statement(&order.artifact, PREDICATE));
            }
            if !with_certificate {
                order.leaf = None;
            }
            let signed = A.sign(order);
            let recipe = LogRecipe::new(generation, at(SIGNED));
            let entry = A.log_body(kind, version, body(&signed, kind, version), &recipe);
            let mut case = Case::with_entries(&A, signed, vec![entry]);
            case.add_timestamp(SIGNED);
            accepted(&case);
            assert!(case.verify_digest().is_ok(), "{kind} {version}");
            // the binding of another signature by the same key is refused for each kind
            let other = case.signed.again();
            let entry = A.log_body(kind, version, body(&other, kind, version), &recipe);
            *case.entry() = entry;
            refused(&case, "entry-signature-mismatch");
        }
    }
}

#[test]
fn every_algorithm_verifies() {
    use SignatureAlgorithm as S;
    let logged = [
        S::EcdsaP256Sha256,
        S::EcdsaP384Sha384,
        S::EcdsaP521Sha512,
        S::Ed25519ph,
        S::RsaPkcs1Sha256,
        S::RsaPssSha256,
    ];
    for algorithm in logged {
        for leaf in [None, Some(Leaf::default())] {
            let order = Order {
                algorithm,
                leaf,
                ..Order::default()
            };
            accepted(&Case::of(&A, order, V2));
        }
    }
    for algorithm in [S::Ed25519, S::MlDsa44, S::MlDsa65, S::MlDsa87] {
        let order = Order {
            algorithm,
            leaf: None,
            ..Order::default()
        };
        let mut case = Case::with_entries(&A, A.sign(order.clone()), Vec::new());
        case.add_timestamp(SIGNED);
        case.policy = case.policy.clone().log_threshold(0);
        accepted(&case);
        // an envelope's payload is hashed by the entry itself, so that pure algorithms can be logged
        let payload = Some(statement(&order.artifact, PREDICATE));
        let signed = A.sign(Order { payload, ..order });
        let recipe = LogRecipe::new(V2, at(SIGNED));
        let entry = A.log_body("dsse", "0.0.2", body(&signed, "dsse", "0.0.2"), &recipe);
        let mut case = Case::with_entries(&A, signed, vec![entry]);
        case.add_timestamp(SIGNED);
        accepted(&case);
    }
}

#[test]
fn deprecated_pairs_with_sha_256_verify() {
    for algorithm in [
        SignatureAlgorithm::EcdsaP384Sha256,
        SignatureAlgorithm::EcdsaP521Sha256,
    ] {
        let order = Order {
            algorithm,
            leaf: None,
            ..Order::default()
        };
        let payload = Some(statement(&order.artifact, PREDICATE));
        // version 1 entries name the hash, those about envelopes do not
        accepted(&Case::of(&A, order.clone(), V1));
        accepted(&Case::of(&A, Order { payload, ..order }, V1));
    }
}

#[test]
fn a_result_says_who_when_and_where() {
    let mut leaf = Leaf {
        name: SubjectAltName::Uri("https://ci.example/job".into()),
        ..Leaf::default()
    };
    leaf.claims
        .push((12, "https://github.com/acme/app".to_owned()));
    let order = Order::default();
    let payload = Some(statement(&order.artifact, PREDICATE));
    let mut case = Case::of(
        &A,
        Order {
            leaf: Some(leaf),
            payload,
            ..order
        },
        V2,
    );
    let rule = IdentityRule::new("https://ci.example/job", ISSUER)
        .of_kind(SubjectKind::Uri)
        .claim(
            ClaimName::SourceRepositoryUri,
            Pattern::glob("https://github.com/acme/*").unwrap(),
        );
    case.policy = VerificationPolicy::identity(rule).predicate_type(PREDICATE);
    let verified = case.verify().unwrap();
    let identity = verified.identity().unwrap();
    assert_eq!(identity.subjects[0].value, "https://ci.example/job");
    assert_eq!(identity.issuer.as_deref(), Some(ISSUER));
    assert_eq!(verified.times()[0].time, at(SIGNED));
    assert_eq!(verified.log_entries()[0].origin, "v2.a.example");
    assert_eq!(verified.log_entries()[0].log_index, 5);
    assert_eq!(verified.log_entries()[0].tree_size, Some(11));
    assert_eq!(
        *verified.digest(),
        Digest::of(HashAlgorithm::Sha256, &case.artifact)
    );
    assert_eq!(
        verified.statement().unwrap().predicate.as_deref(),
        Some(r#"{"built": "here"}"#)
    );
    let json = serde_json::to_value(&verified).unwrap();
    assert_eq!(
        json["signer"]["identity"]["claims"]["sourceRepositoryURI"],
        "https://github.com/acme/app"
    );
    assert_eq!(json["signer"]["identityChecked"], true);
    assert_eq!(json["times"][0]["source"], "timestampAuthority");
    assert_eq!(json["logEntries"][0]["treeSize"], 11);
    assert_eq!(json["statement"]["predicate"]["built"], "here");
    case.policy = VerificationPolicy::any_identity();
    let json = serde_json::to_value(case.verify().unwrap()).unwrap();
    assert_eq!(json["signer"]["identityChecked"], false);
}

#[test]
fn a_user_name_is_an_identity() {
    let name = SubjectAltName::OtherName {
        oid: "1.3.6.1.4.1.57264.1.7".parse().unwrap(),
        value: "alice!example.com".to_owned(),
    };
    let leaf = Some(Leaf {
        name,
        ..Leaf::default()
    });
    let mut case = Case::of(
        &A,
        Order {
            leaf,
            ..Order::default()
        },
        V2,
    );
    let rule = || IdentityRule::new("alice!example.com", ISSUER);
    case.policy = VerificationPolicy::identity(rule().of_kind(SubjectKind::OtherName));
    accepted(&case);
    case.policy = VerificationPolicy::identity(rule().of_kind(SubjectKind::Email));
    refused(&case, "identity-mismatch");
}

#[test]
fn an_artifact_is_read_as_well_as_held() {
    for case in [v1(), v2(), Case::attestation(&A, V2)] {
        let verifier = Verifier::new(provider(), &case.root).unwrap();
        let read = |bytes: &[u8]| {
            verifier
                .verify_reader(bytes, &case.bundle, &case.policy, case.now)
                .is_ok()
        };
        assert!(read(&case.artifact));
        assert!(!read(b"another"));
    }
}

#[test]
fn both_providers_agree() {
    for case in [
        v1(),
        v2(),
        Case::attestation(&A, V1),
        Case::attestation(&A, V2),
    ] {
        let pure = Verifier::new(waxseal_crypto_rustcrypto::provider(), &case.root).unwrap();
        let artifact = Artifact::bytes(&case.artifact);
        assert!(
            pure.verify(artifact, &case.bundle, &case.policy, case.now)
                .is_ok()
        );
    }
}

#[test]
fn artifacts_of_every_hash_by_bytes_reader_and_digest() {
    use SignatureAlgorithm as S;
    for algorithm in [
        S::EcdsaP256Sha256,
        S::EcdsaP384Sha384,
        S::EcdsaP521Sha512,
        S::Ed25519ph,
    ] {
        for generation in GENERATIONS {
            let order = Order {
                algorithm,
                ..Order::default()
            };
            let case = Case::of(&A, order, generation);
            accepted(&case);
            let verifier = Verifier::new(provider(), &case.root).unwrap();
            let read =
                |bytes: &[u8]| verifier.verify_reader(bytes, &case.bundle, &case.policy, case.now);
            let hash = algorithm.prehash().unwrap();
            let digest = Digest::of(hash, &case.artifact);
            assert_eq!(*read(&case.artifact).unwrap().digest(), digest);
            assert!(read(b"another").is_err());
            let verified = case.verify_artifact(Artifact::digest(digest)).unwrap();
            assert_eq!(*verified.digest(), digest);
            let other = Artifact::digest(Digest::of(hash, b"another"));
            assert_eq!(
                case.verify_artifact(other).unwrap_err().code(),
                "artifact-mismatch"
            );
        }
    }
}

#[test]
fn an_artifact_is_read_only_if_the_rest_holds() {
    struct Unread;
    impl std::io::Read for Unread {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("read"))
        }
    }
    let verdict = |case: &Case<'_>| {
        let verifier = Verifier::new(provider(), &case.root).unwrap();
        verifier
            .verify_reader(Unread, &case.bundle, &case.policy, case.now)
            .unwrap_err()
    };
    let mut case = v2();
    assert!(matches!(verdict(&case), VerifyReaderError::Read(_)));
    case.bundle.material.timestamps.clear();
    assert!(matches!(verdict(&case), VerifyReaderError::Verify(_)));
}

#[test]
fn witnesses_make_the_quorum() {
    let witness = |name: &str| {
        let key = key(SignatureAlgorithm::Ed25519);
        NoteSigner::new(
            KeyName::new(name).unwrap(),
            SignatureKind::CosignatureV1,
            key,
        )
        .unwrap()
    };
    let witnesses = [
        witness("w1.example"),
        witness("w2.example"),
        witness("w3.example"),
    ];
    let vkey = |one: &NoteSigner| one.note_key(provider()).unwrap().to_vkey();
    let text: String = witnesses
        .iter()
        .enumerate()
        .map(|(number, one)| format!("witness w{number} {}\n", vkey(one)))
        .chain(["group two 2 w0 w1 w2\nquorum two\n".to_owned()])
        .collect();
    let quorum = Arc::new(WitnessPolicy::parse(provider(), text.as_bytes()).unwrap());
    let mut case = v2();
    case.policy = case.policy.clone().witnesses(quorum);
    refused(&case, "witness-quorum");
    Instance::cosign(case.entry(), &witnesses[0], at(SIGNED));
    refused(&case, "witness-quorum");
    // a stranger does not count, and the same witness does not count twice
    Instance::cosign(case.entry(), &witness("w2.example"), at(SIGNED));
    Instance::cosign(case.entry(), &witnesses[0], at(SIGNED + 1));
    refused(&case, "witness-quorum");
    Instance::cosign(case.entry(), &witnesses[2], at(SIGNED));
    accepted(&case);
}

#[test]
fn a_checkpoint_key_id_stands_in_for_the_log_id() {
    let mut case = v2();
    let id = case.root.tlogs[1].log_id.clone();
    case.root.tlogs[1].checkpoint_key_id = Some(vec![1, 2, 3, 4]);
    refused(&case, "checkpoint-signature-missing");
    case.root.tlogs[1].checkpoint_key_id = Some(id);
    accepted(&case);
    case.root.tlogs[1].checkpoint_key_id = Some(vec![1, 2, 3]);
    let verifier = Verifier::new(provider(), &case.root).unwrap();
    assert_eq!(verifier.skipped()[0].reason, SkipReason::ShortId);
}

#[test]
fn without_any_time_a_key_is_held_against_the_present() {
    let mut case = Case::of(
        &A,
        Order {
            leaf: None,
            ..Order::default()
        },
        V2,
    );
    case.bundle.material.timestamps.clear();
    refused(&case, "time-missing");
    case.policy = case.policy.clone().time_threshold(0);
    accepted(&case);
    case.root.tlogs[1].public_key.valid_for = Some(range(0, Some(1999)));
    refused(&case, "log-expired");
    // a certificate is never without a time
    let mut case = v2();
    case.bundle.material.timestamps.clear();
    case.policy = case.policy.clone().time_threshold(0);
    refused(&case, "time-missing");
}

// ── advisories and probes ──

#[test]
fn v_01_an_entry_of_another_bundle_by_the_same_signer() {
    for generation in GENERATIONS {
        let order = Order {
            artifact: b"another artifact".to_vec(),
            ..Order::default()
        };
        let mut other = Case::of(&A, order, generation);
        let mut case = Case::of(&A, Order::default(), generation);
        accepted(&other);
        *case.entry() = other.entry().clone();
        refused(&case, "entry-key-mismatch");
        let again = case.signed.again();
        *case.entry() = A.log(&again, &LogRecipe::new(generation, at(SIGNED)));
        refused(&case, "entry-signature-mismatch");
    }
}

#[test]
fn v_02_a_predicate_type_that_matches_nothing() {
    let mut case = Case::attestation(&A, V2);
    case.policy = case.policy.clone().predicate_type(PREDICATE);
    accepted(&case);
    case.policy = case
        .policy
        .clone()
        .predicate_type("https://slsa.dev/provenance/v1");
    refused(&case, "predicate-type-mismatch");
    // and no attestation at all
    let mut case = v2();
    case.policy = case.policy.clone().predicate_type(PREDICATE);
    refused(&case, "predicate-type-mismatch");
}

#[test]
fn v_04_identity_counts_and_entries_must_be_readable() {
    for generation in GENERATIONS {
        let mut case = Case::of(&A, Order::default(), generation);
        case.policy =
            VerificationPolicy::identity(IdentityRule::new("mallory@evil.example", ISSUER));
        refused(&case, "identity-mismatch");
        let mut case = Case::of(&A, Order::default(), generation);
        case.relog(b"{".to_vec());
        refused(&case, "entry-malformed");
    }
}

#[test]
fn v_08_limits_come_first() {
    // nothing else about these is right, and still it is the count that is told
    let mut case = v2();
    case.root = waxseal_formats::TrustedRoot::default();
    let entry = case.entry().clone();
    case.bundle.material.tlog_entries = vec![entry.clone(); 32];
    refused(&case, "entry-duplicate");
    case.bundle.material.tlog_entries.push(entry);
    refused(&case, "too-many-entries");
}

#[test]
fn v_09_entries_are_bound_on_every_way_in() {
    for generation in GENERATIONS {
        for envelope in [false, true] {
            for certificate in [false, true] {
                for version in [BundleVersion::V01, BundleVersion::V02, BundleVersion::V03] {
                    let order = || {
                        let mut order = Order::default();
                        if envelope {
                            order.payload = Some(statement(&order.artifact, PREDICATE));
                        }
                        if !certificate {
                            order.leaf = None;
                        }
                        order
                    };
                    let mut case = Case::of(&A, order(), generation);
                    case.bundle.version = version;
                    accepted(&case);
                    *case.entry() = Case::of(&A, order(), generation).entry().clone();
                    refused(&case, "entry-key-mismatch");
                    assert_eq!(
                        case.verify_digest().unwrap_err().code(),
                        "entry-key-mismatch"
                    );
                }
            }
        }
    }
}

#[test]
fn v_10_another_valid_signature_over_the_same() {
    for generation in GENERATIONS {
        for payload in [None, Some(statement(&Order::default().artifact, PREDICATE))] {
            let mut case = Case::of(
                &A,
                Order {
                    payload,
                    ..Order::default()
                },
                generation,
            );
            accepted(&case);
            let again = case.signed.again();
            case.bundle.content = again.content.clone();
            let token = A.timestamp(again.signature(), at(SIGNED));
            case.bundle.material.timestamps = vec![token];
            refused(&case, "entry-signature-mismatch");
        }
    }
}

#[test]
fn v_11_an_intermediate_that_had_expired() {
    let brief = Instance::with_intermediate("brief", "brief.example", 1050);
    // the leaf outlives its issuer, as no honest authority lets it
    let patches = vec![(b"260101001720Z".to_vec(), b"260101002640Z".to_vec())];
    let leaf = Some(Leaf {
        valid: (1000, 1040),
        patches,
        ..Leaf::default()
    });
    let signed = brief.sign(Order {
        leaf,
        ..Order::default()
    });
    let entry = brief.log(&signed, &LogRecipe::new(V2, at(1045)));
    let mut case = Case::with_entries(&brief, signed, vec![entry]);
    case.add_timestamp(1050);
    accepted(&case);
    case.add_timestamp(1051);
    refused(&case, "certificate-expired");
}

#[test]
fn v_12_a_payload_that_is_no_statement() {
    for payload in [
        "not JSON",
        "{}",
        "[]",
        r#"{"_type":"https://in-toto.io/Statement/v2"}"#,
    ] {
        refused(&Case::envelope(&A, payload), "statement-malformed");
    }
}

#[test]
fn v_13_thresholds_count_operators() {
    let two = |mut case: Case<'static>| {
        case.policy = case.policy.clone().log_threshold(2);
        case
    };
    // two indices of one log
    let signed = A.sign(Order::default());
    let entry = |index| {
        A.log(
            &signed,
            &LogRecipe {
                index,
                ..LogRecipe::new(V2, at(SIGNED))
            },
        )
    };
    let entries = vec![entry(3), entry(4)];
    let mut case = Case::with_entries(&A, signed, entries);
    case.add_timestamp(SIGNED);
    accepted(&case);
    refused(&two(case), "log-threshold");
    // two logs of one operator
    let signed = A.sign(Order::default());
    let entries = GENERATIONS
        .map(|g| A.log(&signed, &LogRecipe::new(g, at(SIGNED))))
        .to_vec();
    let case = Case::with_entries(&A, signed, entries);
    accepted(&case);
    refused(&two(case), "log-threshold");
    // two operators
    accepted(&two(logged_by(&[&A, &B], V2)));
    // two of whom it is not known who they are
    refused(&two(logged_by(&[&C, &D], V2)), "log-threshold");
    accepted(&two(logged_by(&[&A, &C], V2)));
    // two SCTs of one log
    let leaf = Some(Leaf {
        scts: 2,
        ..Leaf::default()
    });
    let mut case = Case::of(
        &A,
        Order {
            leaf,
            ..Order::default()
        },
        V2,
    );
    accepted(&case);
    case.policy = case.policy.clone().sct_threshold(2);
    refused(&case, "sct-threshold");
}

#[test]
fn v_14_timestamps_of_one_authority_count_once() {
    let mut case = v2();
    case.add_timestamp(SIGNED + 1);
    accepted(&case);
    case.policy = case.policy.clone().timestamp_threshold(2);
    refused(&case, "timestamp-threshold");
    case.policy = case.policy.clone().timestamp_threshold(0).time_threshold(2);
    refused(&case, "time-missing");
    let mut case = logged_by(&[&A, &B], V2);
    case.policy = case.policy.clone().timestamp_threshold(2).time_threshold(2);
    accepted(&case);
    let mut case = logged_by(&[&C, &D], V2);
    case.policy = case.policy.clone().timestamp_threshold(2);
    refused(&case, "timestamp-threshold");
}

#[test]
fn v_15_a_managed_key_has_its_window() {
    let order = Order {
        leaf: None,
        ..Order::default()
    };
    for generation in GENERATIONS {
        let mut case = Case::of(&A, order.clone(), generation);
        let key = case.signed.key.public_key().clone();
        let mut check = |start: Option<i64>, end: Option<i64>, expected: bool| {
            let window = ValidFor::new(start.map(at), end.map(at));
            case.policy = VerificationPolicy::key(key.clone(), window);
            let found = case.verify().map(drop).map_err(|error| error.code());
            assert_eq!(found, if expected { Ok(()) } else { Err("key-expired") });
        };
        check(None, None, true);
        check(Some(SIGNED), Some(SIGNED), true);
        check(Some(SIGNED + 1), None, false);
        check(None, Some(SIGNED - 1), false);
        check(None, Some(SIGNED), true);
        check(Some(SIGNED), None, true);
    }
}

#[test]
fn v_17_a_statement_must_be_about_the_artifact() {
    let statement = |subjects: &str| {
        format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{subjects}],"predicateType":"{PREDICATE}"}}"#
        )
    };
    refused(&Case::envelope(&A, &statement("")), "statement-malformed");
    refused(
        &Case::envelope(
            &A,
            &statement(r#"{"name":"artifact","digest":{"md5":"00"}}"#),
        ),
        "subject-mismatch",
    );
    let payload = Some(("application/json".to_owned(), statement("").into_bytes()));
    let order = Order {
        payload,
        ..Order::default()
    };
    refused(&Case::of(&A, order, V2), "payload-type-unsupported");
}

#[test]
fn v_18_no_option_lets_a_wrong_signature_pass() {
    for options in 0..64_u8 {
        let on = |bit: u8| options & (1 << bit) != 0;
        let order = Order {
            leaf: on(0).then(Leaf::default),
            ..Order::default()
        };
        let mut case = Case::of(&A, order.clone(), if on(1) { V1 } else { V2 });
        let mut policy = case.policy.clone();
        if on(2) {
            policy = policy.log_threshold(0);
            case.bundle.material.tlog_entries.clear();
            case.add_timestamp(SIGNED + 1);
        }
        if on(3) {
            policy = policy.sct_threshold(0);
        }
        if on(4) {
            policy = policy.accept_promise();
        }
        if on(5) {
            policy = policy.time_threshold(0);
        }
        case.policy = policy;
        accepted(&case);
        let Content::MessageSignature { signature, .. } = &mut case.bundle.content else {
            panic!()
        };
        *signature = A.sign(order).signature().to_vec();
        case.bundle.material.timestamps.clear();
        let token = A.timestamp(&signature.clone(), at(SIGNED));
        case.bundle.material.timestamps.push(token);
        let code = case.verify().unwrap_err().code();
        assert!(
            ["signature-invalid", "entry-signature-mismatch"].contains(&code),
            "{options:06b}: {code}"
        );
    }
}

#[test]
fn v_19_integrated_time_counts_only_when_it_is_signed() {
    changed(v1(), "promise-invalid", |case| {
        case.policy = case.policy.clone().log_threshold(0);
        case.entry().integrated_time -= 1;
    });
    changed(v2(), "time-missing", |case| {
        case.bundle.material.timestamps.clear();
        case.entry().integrated_time = at(SIGNED).unix_seconds();
    });
}

#[test]
fn v_20_integrated_time_without_promise() {
    changed(v1(), "time-missing", |case| {
        case.entry().inclusion_promise = None
    });
}

#[test]
fn v_21_every_time_counts() {
    changed(v2(), "certificate-expired", |case| case.add_timestamp(999));
    changed(v2(), "certificate-expired", |case| case.add_timestamp(1601));
    changed(v1(), "certificate-expired", |case| case.add_timestamp(1601));
    let mut case = v2();
    case.add_timestamp(1000);
    case.add_timestamp(1600);
    accepted(&case);
}

#[test]
fn v_22_windows_of_the_trusted_root_are_closed() {
    for (generation, log) in [(V1, 0), (V2, 1)] {
        let mut case = Case::of(&A, Order::default(), generation);
        let mut check = |start, end, expected: Result<(), &str>| {
            case.root.tlogs[log].public_key.valid_for = Some(range(start, end));
            assert_eq!(
                case.verify().map(drop).map_err(|error| error.code()),
                expected
            );
        };
        check(SIGNED, Some(SIGNED), Ok(()));
        check(0, Some(SIGNED), Ok(()));
        check(0, Some(SIGNED - 1), Err("log-expired"));
        check(SIGNED + 1, None, Err("log-expired"));
        // without a start, a key is never valid
        for valid_for in [
            None,
            Some(waxseal_formats::TimeRange {
                start: None,
                end: None,
            }),
        ] {
            case.root.tlogs[log].public_key.valid_for = valid_for;
            refused(&case, "log-unknown");
            let verifier = Verifier::new(provider(), &case.root).unwrap();
            assert_eq!(verifier.skipped()[0].reason, SkipReason::NoStart);
        }
    }
}

#[test]
fn v_23_the_kind_of_a_key_is_never_guessed() {
    let skipped = |details: &'static str, bytes: Vec<u8>| {
        let mut root = Instance::trusted_root(&[&A]);
        root.tlogs[1].public_key.key_details = KeyDetails::new(details);
        root.tlogs[1].public_key.raw_bytes = bytes;
        Verifier::new(provider(), &root).unwrap().skipped().to_vec()
    };
    let spki = Instance::trusted_root(&[&A]).tlogs[1]
        .public_key
        .raw_bytes
        .clone();
    assert!(skipped("PKIX_ED25519", spki.clone()).is_empty());
    assert_eq!(
        skipped("PKIX_ECDSA_P256_SHA_256", spki.clone())[0].reason,
        SkipReason::WrongKeyKind
    );
    let raw = spki[spki.len() - 32..].to_vec();
    assert!(matches!(
        skipped("PKIX_ED25519", raw)[0].reason,
        SkipReason::Key(_)
    ));
    assert_eq!(
        skipped("LMS_SHA256", spki)[0].reason,
        SkipReason::UnknownKeyDetails("LMS_SHA256".to_owned())
    );
}

#[test]
fn v_24_no_allowance_for_the_future() {
    for generation in GENERATIONS {
        let mut case = Case::of(&A, Order::default(), generation);
        case.now = at(SIGNED);
        accepted(&case);
        case.now = at(SIGNED - 1);
        refused(&case, "time-in-future");
    }
}

#[test]
fn v_27_windows_of_timestamp_authorities_are_their_own() {
    let mut case = v2();
    case.root = Instance::trusted_root(&[&A, &B]);
    accepted(&case);
    case.root.timestamp_authorities[0].valid_for = Some(range(0, Some(SIGNED - 1)));
    refused(&case, "timestamp-authority-expired");
    // an authority without certificates vouches for nothing
    case.root.timestamp_authorities[0].cert_chain.clear();
    refused(&case, "timestamp-authority-unknown");
}

#[test]
fn v_28_p_16_unknown_keys_are_skipped_and_double_ids_refused() {
    let mut case = v2();
    let mut unknown = case.root.tlogs[0].clone();
    unknown.log_id = vec![9; 32];
    unknown.public_key.key_details = KeyDetails::new("PKIX_SOMETHING_NEW");
    case.root.tlogs.insert(0, unknown);
    accepted(&case);
    let verifier = Verifier::new(provider(), &case.root).unwrap();
    assert_eq!(verifier.skipped().len(), 1);
    assert_eq!(verifier.skipped()[0].address, "https://v1.a.example");
    let twice = |change: fn(&mut waxseal_formats::TrustedRoot)| {
        let mut root = Instance::trusted_root(&[&A]);
        change(&mut root);
        Verifier::new(provider(), &root).map(drop).unwrap_err()
    };
    let error = twice(|root| root.tlogs.push(root.tlogs[0].clone()));
    assert!(matches!(error, TrustedRootError::DuplicateLogId { .. }));
    let error = twice(|root| root.ctlogs.push(root.ctlogs[0].clone()));
    assert!(matches!(error, TrustedRootError::DuplicateCtLogKey { .. }));
}

#[test]
fn v_30_the_issuer_of_an_sct_is_that_of_the_path() {
    // two authorities of one name
    let twin: &'static Instance = Box::leak(Box::new(Instance::new("operator a", "a.example")));
    for (instance, order) in [(&*A, [&*A, twin]), (twin, [&*A, twin]), (twin, [twin, &*A])] {
        let mut case = Case::v2(instance);
        let both = Instance::trusted_root(&order);
        case.root.certificate_authorities = both.certificate_authorities;
        accepted(&case);
    }
}

#[test]
fn v_31_p_04_a_media_type_gains_nothing() {
    for version in [BundleVersion::V01, BundleVersion::V02, BundleVersion::V03] {
        let mut case = v1();
        case.bundle.version = version;
        accepted(&case);
        case.entry().inclusion_proof = None;
        refused(&case, "inclusion-proof-missing");
        case.policy = case.policy.clone().accept_promise();
        let verified = case.verify().unwrap();
        assert_eq!(verified.log_entries()[0].tree_size, None);
    }
}

#[test]
fn v_34_every_part_of_a_proof_counts() {
    let mut case = v2();
    accepted(&case);
    let proof = case.entry().inclusion_proof.clone().unwrap();
    for hash in 0..proof.hashes.len() {
        for byte in 0..32 {
            case.entry().inclusion_proof.as_mut().unwrap().hashes[hash][byte] ^= 0x80;
            refused(&case, "inclusion-proof-invalid");
            *case.entry().inclusion_proof.as_mut().unwrap() = proof.clone();
        }
    }
    for size in [proof.tree_size - 1, proof.tree_size + 1, 0, i64::MAX] {
        case.entry().inclusion_proof.as_mut().unwrap().tree_size = size;
        let code = case.verify().unwrap_err().code();
        assert!(
            ["inclusion-proof-invalid", "checkpoint-mismatch"].contains(&code),
            "{size}: {code}"
        );
    }
}

#[test]
fn v_44_names_in_a_checkpoint_are_no_patterns() {
    for name in ["(.*)*x", "(", "[a-"] {
        changed(v2(), "checkpoint-signature-missing", |case| {
            let proof = case.entry().inclusion_proof.as_mut().unwrap();
            let text = proof.checkpoint.take().unwrap();
            proof.checkpoint = Some(text.replace("— v2.a.example", &format!("— {name}")));
        });
    }
    changed(v2(), "checkpoint-malformed", |case| {
        let proof = case.entry().inclusion_proof.as_mut().unwrap();
        let text = proof.checkpoint.take().unwrap();
        proof.checkpoint = Some(text.replace("\n11\n", "\nnotanumber\n"));
    });
}

#[test]
fn v_47_kind_and_version_must_be_those_of_the_body() {
    for (kind, version, code) in [
        ("hashedrekord", "0.0.1", "entry-malformed"),
        ("hashedrekord", "0.0.3", "entry-kind-unsupported"),
        ("dsse", "0.0.2", "entry-malformed"),
        ("", "", "entry-kind-unsupported"),
    ] {
        changed(v2(), code, |case| {
            case.entry().kind = kind.to_owned();
            case.entry().version = version.to_owned();
        });
    }
}

#[test]
fn v_48_a_logged_body_says_no_more_than_it_must() {
    for (from, to, code) in [
        (
            r#"{"apiVersion""#,
            r#"{"aaa":1,"apiVersion""#,
            "entry-malformed",
        ),
        (
            r#"{"apiVersion":"0.0.2","kind":"hashedrekord""#,
            r#"{"kind":"hashedrekord","apiVersion":"0.0.2""#,
            "entry-not-canonical",
        ),
        (r#""kind""#, r#" "kind""#, "entry-not-canonical"),
        (
            r#""kind":"hashedrekord""#,
            r#""kind":"hashedrekord","kind":"hashedrekord""#,
            "entry-malformed",
        ),
    ] {
        changed(v2(), code, |case| {
            let text = String::from_utf8(case.entry().canonicalized_body.clone()).unwrap();
            case.relog(text.replacen(from, to, 1).into_bytes());
        });
    }
}

#[test]
fn v_55_a_subject_with_sha_512_only() {
    let artifact = Order::default().artifact;
    let digest = Digest::of(HashAlgorithm::Sha512, &artifact).to_hex();
    let text = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v0.1","subject":[{{"name":"pkg:npm/x@1","digest":{{"sha512":"{digest}"}}}}],"predicateType":"{PREDICATE}"}}"#
    );
    let mut case = Case::envelope(&A, &text);
    accepted(&case);
    assert_eq!(
        case.verify_digest().unwrap_err().code(),
        "artifact-digest-unavailable"
    );
    let sha512 = Digest::of(HashAlgorithm::Sha512, &artifact);
    assert!(case.verify_artifact(Artifact::digest(sha512)).is_ok());
    case.artifact.push(0);
    refused(&case, "subject-mismatch");
}

#[test]
fn every_digest_of_a_subject_must_agree() {
    let artifact = Order::default().artifact;
    let good = Digest::of(HashAlgorithm::Sha256, &artifact).to_hex();
    let text = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"x","digest":{{"sha256":"{good}","sha512":"{}"}}}}],"predicateType":"{PREDICATE}"}}"#,
        "00".repeat(64)
    );
    refused(&Case::envelope(&A, &text), "subject-mismatch");
}

#[test]
fn p_01_p_02_a_log_key_that_was_retired_or_not_yet_valid() {
    changed(v2(), "log-expired", |case| {
        case.root.tlogs[1].public_key.valid_for = Some(range(0, Some(10)));
    });
    changed(v2(), "log-expired", |case| {
        case.root.tlogs[1].public_key.valid_for = Some(range(1500, None));
    });
}

#[test]
fn p_03_the_log_id_and_the_origin_are_bound() {
    changed(v2(), "log-unknown", |case| {
        case.entry().log_id = vec![0; 32]
    });
    // one trusted log's checkpoint does not serve another's entry
    let mut case = logged_by(&[&A, &B], V2);
    accepted(&case);
    let other = case.bundle.material.tlog_entries[1].log_id.clone();
    case.bundle.material.tlog_entries.truncate(1);
    case.entry().log_id = other;
    refused(&case, "checkpoint-signature-missing");
    // an origin that a version 1 log may write, but not for entries of version 2
    let mut case = v2();
    let mut recipe = LogRecipe::new(V2, at(SIGNED));
    recipe.origin = Some("v2.a.example - 17".to_owned());
    *case.entry() = A.log(&case.signed, &recipe);
    refused(&case, "checkpoint-origin-mismatch");
    let mut case = v1();
    let mut recipe = LogRecipe::new(V1, at(SIGNED));
    recipe.origin = Some("v1.a.example".to_owned());
    *case.entry() = A.log(&case.signed, &recipe);
    refused(&case, "checkpoint-origin-mismatch");
}

#[test]
fn p_05_p_20_evidence_must_be_there_and_hold() {
    changed(logged_by(&[&A, &B], V1), "entry-without-evidence", |case| {
        let entry = case.entry();
        entry.inclusion_proof = None;
        entry.inclusion_promise = None;
    });
    changed(v1(), "promise-invalid", |case| {
        case.entry().inclusion_promise = Some(vec![1, 2, 3]);
        case.entry()
            .inclusion_proof
            .as_mut()
            .unwrap()
            .hashes
            .clear();
    });
    changed(v1(), "inclusion-proof-invalid", |case| {
        case.entry()
            .inclusion_proof
            .as_mut()
            .unwrap()
            .hashes
            .clear();
    });
}

#[test]
fn p_06_duplicates() {
    changed(v1(), "entry-duplicate", |case| {
        let entry = case.entry().clone();
        case.bundle.material.tlog_entries.push(entry);
    });
}

#[test]
fn p_07_a_root_in_the_chain() {
    changed(v1(), "root-certificate-in-bundle", |case| {
        let leaf = case.signed.leaf.clone().unwrap();
        let root = A.ca_chain()[1].der().to_vec();
        case.bundle.material.key = KeyMaterial::CertificateChain(vec![leaf, root]);
    });
    // an intermediate may travel along, and plays no part
    let mut case = v1();
    let leaf = case.signed.leaf.clone().unwrap();
    let intermediate = B.ca_chain()[0].der().to_vec();
    case.bundle.material.key = KeyMaterial::CertificateChain(vec![leaf, intermediate]);
    accepted(&case);
}

#[test]
fn p_09_a_proof_without_checkpoint_counts_as_a_promise_only() {
    let mut case = v1();
    case.entry().inclusion_proof.as_mut().unwrap().checkpoint = None;
    refused(&case, "checkpoint-missing");
    case.policy = case.policy.clone().accept_promise();
    accepted(&case);
    case.entry().inclusion_proof.as_mut().unwrap().hashes[0][0] ^= 1;
    refused(&case, "inclusion-proof-invalid");
}

#[test]
fn p_11_p_12_p_14_a_bundle_as_protojson_writes_it() {
    let case = v2();
    let json = case.bundle.to_json();
    let other = json
        .replace("verificationMaterial", "verification_material")
        .replace("tlogEntries", "tlog_entries")
        .replace(r#""SHA2_256""#, "1")
        .replacen('{', r#"{"aFieldOfTomorrow":{"x":[1]},"#, 1);
    let read = Bundle::from_json(other.as_bytes()).unwrap();
    assert_eq!(read, case.bundle);
}

#[test]
fn p_19_the_integrated_time_is_signed() {
    changed(v1(), "promise-invalid", |case| {
        case.entry().integrated_time -= 1
    });
    changed(v1(), "promise-invalid", |case| case.entry().log_index -= 1);
}

#[test]
fn errors_have_the_class_of_their_exit_code() {
    let class = |case: &Case<'_>| case.verify().unwrap_err().class();
    let mut case = v2();
    case.policy = VerificationPolicy::identity(IdentityRule::new("bob@example.com", ISSUER));
    assert_eq!(class(&case), ErrorClass::Policy);
    let mut case = v2();
    case.artifact.push(0);
    assert_eq!(class(&case), ErrorClass::Cryptographic);
    let mut case = v2();
    case.root.tlogs.clear();
    assert_eq!(class(&case), ErrorClass::TrustRoot);
    let mut case = v2();
    case.relog(Vec::new());
    assert_eq!(class(&case), ErrorClass::Malformed);
}

#[test]
fn ed25519_and_rsa_keys_take_the_algorithm_that_the_policy_names() {
    let order = Order {
        algorithm: SignatureAlgorithm::RsaPssSha256,
        leaf: None,
        ..Order::default()
    };
    let mut case = Case::of(&A, order, V2);
    assert_eq!(case.signed.key.public_key().kind(), KeyKind::Rsa);
    accepted(&case);
    case.policy = case
        .policy
        .clone()
        .signed_with(SignatureAlgorithm::RsaPkcs1Sha256);
    refused(&case, "entry-algorithm-mismatch");
    case.policy = case
        .policy
        .clone()
        .signed_with(SignatureAlgorithm::RsaPssSha256);
    accepted(&case);
}

#[test]
fn any_of_several_identities() {
    let mut case = v2();
    let bob = IdentityRule::new("bob@example.com", ISSUER);
    case.policy = VerificationPolicy::identity(bob.clone()).or(IdentityRule::new(ALICE, ISSUER));
    accepted(&case);
    case.policy = VerificationPolicy::identity(bob);
    refused(&case, "identity-mismatch");
}

#[test]
fn an_envelope_is_not_its_payload() {
    assert_eq!(DsseEnvelope::IN_TOTO, "application/vnd.in-toto+json");
    // the artifact of an attestation is its subject, not the statement itself
    let mut case = Case::attestation(&A, V2);
    let Content::Dsse(envelope) = &case.bundle.content else {
        panic!()
    };
    case.artifact = envelope.payload.clone();
    refused(&case, "subject-mismatch");
}

#[test]
fn the_table_of_rules_names_every_id_and_only_tests_that_exist() {
    let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = include_str!("../../../docs/verification-rules.md");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| id "))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let ids: Vec<_> = rows.iter().map(|row| row[0].to_owned()).collect();
    let clauses = (1..=26).map(|n| format!("V{n}"));
    let forms = (1..=7).map(|n| format!("F{n}"));
    // there is no V-59
    let advisories = (1..=68).filter(|n| *n != 59).map(|n| format!("V-{n:02}"));
    let probes = [1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 14, 16, 19, 20, 25].map(|n| format!("p{n:02}"));
    let expected: Vec<_> = clauses
        .chain(forms)
        .chain(advisories)
        .chain(probes)
        .collect();
    assert_eq!(ids, expected);
    let mut tests = 0;
    for row in rows {
        assert_eq!(row.len(), 3, "{row:?}");
        let words: Vec<_> = row[2].split('`').skip(1).step_by(2).collect();
        for pair in words.windows(2).filter(|pair| pair[0].ends_with(".rs")) {
            let text = std::fs::read_to_string(workspace.join(pair[0])).unwrap();
            let (function, rule) = (format!("fn {}(", pair[1]), format!("    {} ||", pair[1]));
            assert!(
                text.contains(&function) || text.contains(&rule),
                "{row:?}: {}",
                pair[1]
            );
            tests += 1;
        }
    }
    assert!(tests > 90, "{tests}");
}
