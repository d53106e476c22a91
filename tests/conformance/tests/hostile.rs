//! Attacks that no advisory has a number for, foreign bytes without end, and work without end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may panic, and needs no documentation"
)]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use waxseal_crypto::{Digest, HashAlgorithm, SignatureAlgorithm};
use waxseal_formats::{Bundle, Content, Statement};
use waxseal_tests_conformance::virtual_sigstore::{
    Case, Generation, Instance, LogRecipe, Order, PREDICATE, SIGNED, at, body, key, provider,
    statement,
};
use waxseal_tlog::{KeyName, NoteKey, SignatureKind, WitnessPolicy};
use waxseal_verify::{
    Artifact, ValidFor, VerificationPolicy, Verified, Verifier, VerifyError, VerifyReaderError,
};

static A: LazyLock<Instance> = LazyLock::new(|| Instance::new("operator a", "a.example"));

const V1: Generation = Generation::V1;
const V2: Generation = Generation::V2;

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

fn by_key(algorithm: SignatureAlgorithm) -> Order {
    Order {
        algorithm,
        leaf: None,
        ..Order::default()
    }
}

// ── rules that must not hold for want of something to hold against ──

#[test]
fn a_promise_does_not_stand_in_for_witnesses() {
    let name = KeyName::new("witness.example").unwrap();
    let kind = SignatureKind::CosignatureV1;
    let witness = key(SignatureAlgorithm::Ed25519);
    let witness = NoteKey::new(provider(), name, kind, witness.public_key()).unwrap();
    let policy = format!("witness w {}\nquorum w\n", witness.to_vkey());
    let witnesses = Arc::new(WitnessPolicy::parse(provider(), policy.as_bytes()).unwrap());
    for whole in [true, false] {
        let mut case = Case::v1(&A);
        case.policy = case.policy.clone().accept_promise();
        if whole {
            case.entry().inclusion_proof = None;
        } else {
            case.entry().inclusion_proof.as_mut().unwrap().checkpoint = None;
        }
        accepted(&case);
        case.policy = case.policy.clone().witnesses(Arc::clone(&witnesses));
        refused(&case, "witness-quorum");
    }
}

#[test]
fn a_key_window_holds_without_any_time() {
    let mut case = Case::with_entries(
        &A,
        A.sign(by_key(SignatureAlgorithm::EcdsaP256Sha256)),
        Vec::new(),
    );
    let public_key = case.signed.key.public_key().clone();
    let mut check = |start: Option<i64>, end: Option<i64>, expected: Result<(), &str>| {
        let window = ValidFor::new(start.map(at), end.map(at));
        case.policy = VerificationPolicy::key(public_key.clone(), window)
            .log_threshold(0)
            .time_threshold(0);
        let found = case.verify().map(drop);
        assert_eq!(found.map_err(|error| error.code()), expected);
    };
    check(None, None, Ok(()));
    // the present is at 2000: whoever asks for no time gets the key as it is now
    check(Some(1000), Some(2000), Ok(()));
    check(Some(1000), Some(1999), Err("key-expired"));
    check(Some(2001), None, Err("key-expired"));
}

#[test]
fn what_is_no_attestation_has_no_predicate_type() {
    let mut case = Case::v2(&A);
    for wanted in ["", PREDICATE] {
        case.policy = case.policy.clone().predicate_type(wanted);
        refused(&case, "predicate-type-mismatch");
    }
}

#[test]
fn a_version_2_log_vouches_for_no_time() {
    let signed = A.sign(Order::default());
    let recipe = LogRecipe::new(V2, at(SIGNED));
    let mut entry = A.log(&signed, &recipe);
    entry.integrated_time = at(SIGNED).unix_seconds();
    let mut case = Case::with_entries(&A, signed, vec![entry]);
    refused(&case, "time-missing");
    A.promise(case.entry());
    refused(&case, "promise-invalid");
    case.add_timestamp(SIGNED);
    refused(&case, "promise-invalid");
}

// ── the same artifact on every way in ──

/// A signature of every algorithm that is accepted, each by the entry that can hold it.
fn of_every_algorithm() -> Vec<Case<'static>> {
    use SignatureAlgorithm as S;
    let mut cases = Vec::new();
    for algorithm in [
        S::EcdsaP256Sha256,
        S::EcdsaP384Sha384,
        S::EcdsaP521Sha512,
        S::Ed25519ph,
        S::RsaPkcs1Sha256,
        S::RsaPssSha256,
    ] {
        cases.push(Case::of(&A, by_key(algorithm), V2));
        let mut unlogged = Case::with_entries(&A, A.sign(by_key(algorithm)), Vec::new());
        unlogged.add_timestamp(SIGNED);
        unlogged.policy = unlogged.policy.clone().log_threshold(0);
        if let Content::MessageSignature { digest, .. } = &mut unlogged.bundle.content {
            *digest = None;
        }
        cases.push(unlogged);
    }
    for algorithm in [S::EcdsaP256Sha256, S::Ed25519, S::MlDsa44] {
        let order = by_key(algorithm);
        let payload = Some(statement(&order.artifact, PREDICATE));
        let signed = A.sign(Order { payload, ..order });
        let recipe = LogRecipe::new(V2, at(SIGNED));
        let entry = A.log_body("dsse", "0.0.2", body(&signed, "dsse", "0.0.2"), &recipe);
        let mut case = Case::with_entries(&A, signed, vec![entry]);
        case.add_timestamp(SIGNED);
        cases.push(case);
    }
    cases.extend([Case::v1(&A), Case::v2(&A), Case::attestation(&A, V1)]);
    cases
}

fn read(case: &Case<'_>, artifact: &[u8]) -> Result<Verified, VerifyError> {
    let verifier = Verifier::new(provider(), &case.root).unwrap();
    match verifier.verify_reader(artifact, &case.bundle, &case.policy, case.now) {
        Ok(verified) => Ok(verified),
        Err(VerifyReaderError::Verify(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_and_bytes_give_the_same_verdict_and_result() {
    let verdict = |found: Result<Verified, VerifyError>| match found {
        Ok(verified) => serde_json::to_string(&verified).unwrap(),
        Err(error) => error.code().to_owned(),
    };
    for case in of_every_algorithm() {
        accepted(&case);
        assert_eq!(verdict(read(&case, &case.artifact)), verdict(case.verify()));
        let other = b"another artifact\n".as_slice();
        let by_bytes = case.verify_artifact(Artifact::bytes(other));
        assert!(by_bytes.is_err());
        let by_reader = verdict(read(&case, other));
        // a reader cannot try whole messages, and says so
        if by_reader != "artifact-needed" {
            assert_eq!(by_reader, verdict(by_bytes));
        }
    }
}

#[test]
fn a_key_that_signs_whole_messages_asks_for_the_artifact() {
    // Ed25519 keys sign messages or SHA-512 digests: of a digest alone, only the second can be
    // tried, and that it fails says nothing about the first.
    let signed = A.sign(by_key(SignatureAlgorithm::Ed25519));
    let mut case = Case::with_entries(&A, signed, Vec::new());
    case.add_timestamp(SIGNED);
    case.policy = case.policy.clone().log_threshold(0);
    accepted(&case);
    assert_eq!(
        read(&case, &case.artifact).unwrap_err().code(),
        "artifact-needed"
    );
    if let Content::MessageSignature { digest, .. } = &mut case.bundle.content {
        *digest = None;
    }
    let digest = Digest::of(HashAlgorithm::Sha512, &case.artifact);
    let by_digest = case.verify_artifact(Artifact::digest(digest));
    assert_eq!(by_digest.unwrap_err().code(), "artifact-needed");
}

#[test]
fn a_digest_of_another_hash_than_the_signed_one_is_no_wrong_signature() {
    let signed = A.sign(by_key(SignatureAlgorithm::EcdsaP384Sha384));
    let mut case = Case::with_entries(&A, signed, Vec::new());
    case.add_timestamp(SIGNED);
    case.policy = case.policy.clone().log_threshold(0);
    if let Content::MessageSignature { digest, .. } = &mut case.bundle.content {
        *digest = None;
    }
    accepted(&case);
    let error = case.verify_digest().unwrap_err();
    assert_eq!(error.code(), "artifact-digest-unavailable");
}

// ── one entry of a trusted root must not spoil the others ──

#[test]
fn a_log_without_a_log_id_goes_by_its_checkpoint_key() {
    let b = Instance::new("operator b", "b.example");
    for make in [Case::v1, Case::v2] {
        let mut case = make(&A);
        case.root = Instance::trusted_root(&[&A, &b]);
        for log in &mut case.root.tlogs {
            log.checkpoint_key_id = Some(std::mem::take(&mut log.log_id));
        }
        accepted(&case);
        // with neither id, a log is trusted with nothing, and the others as before
        let (mine, others) = case.root.tlogs.split_at_mut(2);
        others
            .iter_mut()
            .for_each(|log| log.checkpoint_key_id = None);
        assert!(!mine.is_empty() && !others.is_empty());
        accepted(&case);
        let verifier = Verifier::new(provider(), &case.root).unwrap();
        assert_eq!(verifier.skipped().len(), 2);
        case.root
            .tlogs
            .iter_mut()
            .for_each(|log| log.checkpoint_key_id = None);
        refused(&case, "log-unknown");
    }
}

// ── work that an attacker sets is bounded ──

/// Runs in a debug build on a busy machine; what is not bounded takes minutes.
#[track_caller]
fn quickly<T>(work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = work();
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    done
}

#[test]
fn p_25_five_thousand_entries() {
    let mut case = Case::v2(&A);
    let entry = case.entry().clone();
    case.bundle.material.tlog_entries = vec![entry; 5000];
    let json = case.bundle.to_json();
    quickly(|| assert!(Bundle::from_json(json.as_bytes()).is_err()));
    quickly(|| refused(&case, "too-many-entries"));
}

#[test]
fn k_12_deep_and_wide_documents() {
    let deep = "[".repeat(1 << 20);
    let keys: Vec<String> = (0..300_000).map(|n| format!("\"k{n}\":0")).collect();
    let wide = format!("{{{}}}", keys.join(","));
    let long = format!("{{\"mediaType\":\"{}\"}}", "x".repeat(20 << 20));
    for text in [deep, wide, long] {
        quickly(|| {
            assert!(Bundle::from_json(text.as_bytes()).is_err());
            assert!(Statement::from_json(text.as_bytes()).is_err());
        });
    }
}

#[test]
fn v_08_a_hundred_thousand_subjects() {
    let digest = Digest::of(HashAlgorithm::Sha256, b"an artifact\n").to_hex();
    let subject = format!(r#"{{"name":"a","digest":{{"sha256":"{digest}"}}}}"#);
    let subjects = vec![subject; 100_000].join(",");
    let payload = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{subjects}],"predicateType":"{PREDICATE}"}}"#
    );
    let case = Case::envelope(&A, &payload);
    quickly(|| refused(&case, "too-many-subjects"));
}

#[test]
fn large_payloads_are_hashed_once_for_all_entries() {
    let order = by_key(SignatureAlgorithm::EcdsaP256Sha256);
    let (payload_type, statement) = statement(&order.artifact, PREDICATE);
    let mut payload = statement;
    payload.resize(4 << 20, b' ');
    let signed = A.sign(Order {
        payload: Some((payload_type, payload)),
        ..order
    });
    let recipe = LogRecipe::new(V1, at(SIGNED));
    let body = body(&signed, "intoto", "0.0.1");
    let entry = A.log_body("intoto", "0.0.1", body, &recipe);
    let mut entries = vec![entry; 32];
    for (entry, index) in entries.iter_mut().zip(1..) {
        entry.log_index = index;
        A.promise(entry);
    }
    let mut case = Case::with_entries(&A, signed, entries);
    for _ in 0..32 {
        case.add_timestamp(SIGNED);
    }
    quickly(|| accepted(&case));
}

#[test]
fn a_signature_of_megabytes_is_hashed_once_for_all_timestamps() {
    let mut case = Case::v2(&A);
    let long = vec![7; 8 << 20];
    case.bundle.material.timestamps = (0..32).map(|_| A.timestamp(&long, at(SIGNED))).collect();
    if let Content::MessageSignature { signature, .. } = &mut case.bundle.content {
        *signature = long;
    }
    quickly(|| refused(&case, "entry-signature-mismatch"));
}
