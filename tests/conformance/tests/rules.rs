//! Every rule of verification is broken by a bundle of its own, and by nothing before it; together
//! they are all the rules that there are.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may panic, and needs no documentation"
)]

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use waxseal_crypto::{Digest, HashAlgorithm, SignatureAlgorithm};
use waxseal_formats::claims::ClaimName;
use waxseal_formats::{Content, DsseSignature, KeyMaterial};
use waxseal_tests_conformance::virtual_sigstore::{
    ALICE, Case, Generation, ISSUER, Instance, Leaf, LogRecipe, Order, PREDICATE, SIGNED, at, key,
    provider, range,
};
use waxseal_tlog::{KeyName, NoteKey, SignatureKind, WitnessPolicy};
use waxseal_verify::{IdentityRule, Pattern, ValidFor, VerificationPolicy, Verified, VerifyError};

static A: LazyLock<Instance> = LazyLock::new(|| Instance::new("operator a", "a.example"));
static B: LazyLock<Instance> = LazyLock::new(|| Instance::new("operator b", "b.example"));

type Verdict = Result<Verified, VerifyError>;

macro_rules! rules {
    ($( $name:ident $case:expr; )*) => {
        const CASES: &[(&str, fn() -> Verdict)] = &[$( (stringify!($name), $case), )*];

        $(
            #[test]
            fn $name() {
                let expected = stringify!($name).replace('_', "-");
                match $case() {
                    Ok(_) => panic!("verified, expected {expected}"),
                    Err(error) => assert_eq!(error.code(), expected, "{error}: {error:?}"),
                }
            }
        )*
    };
}

fn v1() -> Case<'static> {
    Case::v1(&A)
}

fn v2() -> Case<'static> {
    Case::v2(&A)
}

fn attestation() -> Case<'static> {
    Case::attestation(&A, Generation::V2)
}

/// A change to a good case, and its verdict.
fn changed(mut case: Case<'static>, change: impl FnOnce(&mut Case<'static>)) -> Verdict {
    assert!(
        case.verify().is_ok(),
        "good before the change: {:?}",
        case.verify().err()
    );
    change(&mut case);
    case.verify()
}

fn with_leaf(leaf: Leaf) -> Case<'static> {
    let order = Order {
        leaf: Some(leaf),
        ..Order::default()
    };
    Case::of(&A, order, Generation::V2)
}

fn key_case(algorithm: SignatureAlgorithm) -> Case<'static> {
    let order = Order {
        algorithm,
        leaf: None,
        ..Order::default()
    };
    Case::of(&A, order, Generation::V2)
}

/// Replaces text in the body of the first entry and logs that, so that only its meaning is wrong.
fn rewritten(case: &mut Case<'static>, from: &str, to: &str) {
    let text = String::from_utf8(case.entry().canonicalized_body.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    case.relog(text.replace(from, to).into_bytes());
}

fn rechecked(case: &mut Case<'static>, change: impl FnOnce(&str) -> String) {
    let proof = case.entry().inclusion_proof.as_mut().unwrap();
    proof.checkpoint = Some(change(proof.checkpoint.as_deref().unwrap()));
}

fn chain_of(case: &Case<'static>, others: impl IntoIterator<Item = Vec<u8>>) -> KeyMaterial {
    let leaf = case.signed.leaf.clone().unwrap();
    KeyMaterial::CertificateChain(std::iter::once(leaf).chain(others).collect())
}

rules! {
    too_many_entries || changed(v2(), |case| {
        let entry = case.entry().clone();
        case.bundle.material.tlog_entries = vec![entry; 33];
    });
    too_many_timestamps || changed(v2(), |case| {
        case.bundle.material.timestamps = vec![vec![1]; 33];
    });
    too_many_certificates || changed(v2(), |case| {
        let intermediate = A.ca_chain()[0].der().to_vec();
        case.bundle.material.key = chain_of(case, vec![intermediate; 10]);
    });
    certificate_missing || changed(v2(), |case| {
        case.bundle.material.key = KeyMaterial::CertificateChain(Vec::new());
    });
    certificate_required || changed(key_case(SignatureAlgorithm::EcdsaP256Sha256), |case| {
        case.policy = VerificationPolicy::any_identity();
    });
    key_required || changed(v2(), |case| {
        let key = case.signed.key.public_key().clone();
        case.policy = VerificationPolicy::key(key, ValidFor::always());
    });
    certificate_malformed || changed(v2(), |case| {
        let mut leaf = case.signed.leaf.clone().unwrap();
        leaf.pop();
        case.bundle.material.key = KeyMaterial::Certificate(leaf);
    });
    root_certificate_in_bundle || changed(v2(), |case| {
        let chain = A.ca_chain().iter().map(|one| one.der().to_vec());
        case.bundle.material.key = chain_of(case, chain);
    });
    signature_count || changed(attestation(), |case| {
        let Content::Dsse(envelope) = &mut case.bundle.content else { panic!() };
        envelope.signatures.push(DsseSignature::default());
    });
    log_index_negative || changed(v2(), |case| case.entry().log_index = -1);
    entry_duplicate || changed(v2(), |case| {
        let entry = case.entry().clone();
        case.bundle.material.tlog_entries.push(entry);
    });
    timestamp_duplicate || changed(v2(), |case| {
        let token = case.bundle.material.timestamps[0].clone();
        case.bundle.material.timestamps.push(token);
    });
    entry_without_evidence || changed(v2(), |case| case.entry().inclusion_proof = None);
    inclusion_proof_missing || changed(v1(), |case| case.entry().inclusion_proof = None);

    timestamp_malformed || changed(v2(), |case| {
        case.bundle.material.timestamps[0].push(0);
    });
    timestamp_authority_unknown || changed(v2(), |case| {
        case.bundle.material.timestamps[0] = B.timestamp(case.signed.signature(), at(SIGNED));
    });
    timestamp_imprint_mismatch || changed(v2(), |case| {
        case.bundle.material.timestamps[0] = A.timestamp(b"something else", at(SIGNED));
    });
    timestamp_invalid || changed(v2(), |case| {
        *case.bundle.material.timestamps[0].last_mut().unwrap() ^= 1;
    });
    timestamp_authority_expired || changed(v2(), |case| {
        case.root.timestamp_authorities[0].valid_for = Some(range(0, Some(SIGNED - 1)));
    });
    log_unknown || changed(v2(), |case| {
        *case.entry() = B.log(&case.signed, &LogRecipe::new(Generation::V2, at(SIGNED)));
    });
    integrated_time_invalid || changed(v1(), |case| case.entry().integrated_time = i64::MAX);
    promise_invalid || changed(v1(), |case| case.entry().integrated_time += 1);
    time_in_future || changed(v2(), |case| case.now = at(SIGNED - 1));
    time_missing || changed(v2(), |case| case.bundle.material.timestamps.clear());
    timestamp_threshold || changed(v1(), |case| {
        case.policy = case.policy.clone().timestamp_threshold(1);
    });

    certificate_untrusted || changed(v2(), |case| {
        case.root.certificate_authorities = Instance::trusted_root(&[&B]).certificate_authorities;
    });
    certificate_unsuitable || {
        let purpose = |last| vec![0x2b, 6, 1, 5, 5, 7, 3, last];
        let patches = vec![(purpose(3), purpose(4))];
        with_leaf(Leaf { patches, ..Leaf::default() }).verify()
    };
    certificate_authority_expired || changed(v2(), |case| {
        case.root.certificate_authorities[0].valid_for = Some(range(SIGNED + 1, None));
    });
    certificate_expired || changed(v2(), |case| case.add_timestamp(1601));

    sct_missing || with_leaf(Leaf { logged: None, ..Leaf::default() }).verify();
    sct_malformed || {
        let id = A.ct_log_id();
        let version = |byte: u8| [&[byte], id.as_slice()].concat();
        let late_patches = vec![(version(0), version(1))];
        with_leaf(Leaf { late_patches, ..Leaf::default() }).verify()
    };
    sct_log_unknown || changed(v2(), |case| case.root.ctlogs.clear());
    sct_in_future || with_leaf(Leaf { logged: Some(2001), ..Leaf::default() }).verify();
    sct_log_expired || changed(v2(), |case| {
        case.root.ctlogs[0].public_key.valid_for = Some(range(0, Some(999)));
    });
    sct_invalid || {
        let late_patches = vec![(ALICE.as_bytes().to_vec(), b"malice@example.co".to_vec())];
        with_leaf(Leaf { late_patches, ..Leaf::default() }).verify()
    };
    sct_threshold || changed(v2(), |case| case.policy = case.policy.clone().sct_threshold(2));

    issuer_conflict || {
        // the second issuer extension is the one that is a UTF8String
        let text = |issuer: &str| {
            [&[0x0c, u8::try_from(issuer.len()).unwrap()], issuer.as_bytes()].concat()
        };
        let patches = vec![(text(ISSUER), text("https://evil.example/aut"))];
        with_leaf(Leaf { patches, ..Leaf::default() }).verify()
    };
    identity_mismatch || changed(v2(), |case| {
        case.policy = VerificationPolicy::identity(IdentityRule::new("bob@example.com", ISSUER));
    });
    issuer_mismatch || changed(v2(), |case| {
        case.policy = VerificationPolicy::identity(IdentityRule::new(ALICE, "https://evil.example"));
    });
    claim_mismatch || changed(v2(), |case| {
        let rule = IdentityRule::new(ALICE, ISSUER)
            .claim(ClaimName::SourceRepositoryUri, Pattern::exact("https://github.com/acme/app"));
        case.policy = VerificationPolicy::identity(rule);
    });
    key_expired || changed(key_case(SignatureAlgorithm::EcdsaP256Sha256), |case| {
        let key = case.signed.key.public_key().clone();
        let window = ValidFor::new(None, Some(at(SIGNED - 1)));
        case.policy = VerificationPolicy::key(key, window);
    });
    key_unsupported || changed(key_case(SignatureAlgorithm::EcdsaP256Sha256), |case| {
        case.policy = case.policy.clone().signed_with(SignatureAlgorithm::MlDsa65);
    });

    message_digest_malformed || changed(v2(), |case| {
        let Content::MessageSignature { digest: Some(digest), .. } = &mut case.bundle.content else {
            panic!()
        };
        digest.digest.pop();
    });
    entry_kind_unsupported || changed(v1(), |case| {
        let body = case.entry().canonicalized_body.clone();
        *case.entry() =
            A.log_body("rekord", "0.0.1", body, &LogRecipe::new(Generation::V1, at(SIGNED)));
    });
    entry_malformed || changed(v2(), |case| case.relog(b"not JSON".to_vec()));
    entry_not_canonical || changed(v2(), |case| {
        rewritten(case, r#""kind":"hashedrekord""#, r#""kind": "hashedrekord""#);
    });
    entry_content_mismatch || {
        // an artifact's signature, in an entry about an envelope
        let mut case = v1();
        let mut other = Case::attestation(&A, Generation::V1).signed;
        other.key = case.signed.key.clone();
        other.leaf = case.signed.leaf.clone();
        if let Content::Dsse(envelope) = &mut other.content {
            envelope.signatures[0].sig = case.signed.signature().to_vec();
        }
        *case.entry() = A.log(&other, &LogRecipe::new(Generation::V1, at(SIGNED)));
        case.verify()
    };
    entry_key_mismatch || changed(v2(), |case| *case.entry() = v2().entry().clone());
    entry_signature_mismatch || changed(v2(), |case| {
        *case.entry() =
            A.log(&case.signed.again(), &LogRecipe::new(Generation::V2, at(SIGNED)));
    });
    entry_algorithm_mismatch || changed(v2(), |case| {
        rewritten(case, "PKIX_ECDSA_P256_SHA_256", "PKIX_ECDSA_P384_SHA_384");
    });
    entry_digest_mismatch || changed(v2(), |case| {
        let base64 = |bytes: &[u8]| {
            STANDARD.encode(Digest::of(HashAlgorithm::Sha256, bytes).as_bytes())
        };
        let own = base64(&case.artifact);
        rewritten(case, &own, &base64(b"another artifact"));
    });

    log_index_mismatch || changed(v2(), |case| case.entry().log_index += 1);
    inclusion_proof_invalid || changed(v2(), |case| {
        case.entry().inclusion_proof.as_mut().unwrap().hashes[1][7] ^= 1;
    });
    checkpoint_missing || changed(v2(), |case| {
        case.entry().inclusion_proof.as_mut().unwrap().checkpoint = None;
    });
    checkpoint_malformed || changed(v2(), |case| rechecked(case, |_| "not a note".to_owned()));
    checkpoint_signature_missing || changed(v2(), |case| {
        let proof = case.entry().inclusion_proof.as_ref().unwrap();
        let text = proof.checkpoint.as_ref().unwrap().split("\n\n").next().unwrap();
        let text = format!("{text}\n");
        B.replace_checkpoint(case.entry(), Generation::V2, &text);
    });
    checkpoint_invalid || changed(v2(), |case| {
        rechecked(case, |text| text.replacen("\n\n", "\nan extension\n\n", 1));
    });
    checkpoint_origin_mismatch || changed(v2(), |case| {
        let mut recipe = LogRecipe::new(Generation::V2, at(SIGNED));
        recipe.origin = Some("elsewhere.example".to_owned());
        *case.entry() = A.log(&case.signed, &recipe);
    });
    checkpoint_mismatch || changed(v2(), |case| {
        let name = A.log_name(Generation::V2);
        let root_hash = STANDARD.encode([7; 32]);
        A.replace_checkpoint(case.entry(), Generation::V2, &format!("{name}\n11\n{root_hash}\n"));
    });
    witness_quorum || changed(v2(), |case| {
        case.policy = case.policy.clone().witnesses(Arc::new(one_witness()));
    });
    log_expired || changed(v2(), |case| {
        case.root.tlogs[1].public_key.valid_for = Some(range(0, Some(SIGNED - 1)));
    });
    log_threshold || changed(v2(), |case| case.policy = case.policy.clone().log_threshold(2));

    payload_type_unsupported || {
        let payload = Some(("text/plain".to_owned(), b"hello".to_vec()));
        Case::of(&A, Order { payload, ..Order::default() }, Generation::V2).verify()
    };
    statement_malformed || Case::envelope(&A, "{}").verify();
    too_many_subjects || {
        let subject = format!(r#"{{"name":"x","digest":{{"sha256":"{}"}}}}"#, "00".repeat(32));
        Case::envelope(&A, &statement_of(&vec![subject; 1025].join(","))).verify()
    };
    too_many_digests || {
        let digests: Vec<_> = (0..33).map(|n| format!(r#""hash{n}":"00""#)).collect();
        let subject = format!(r#"{{"name":"x","digest":{{{}}}}}"#, digests.join(","));
        Case::envelope(&A, &statement_of(&subject)).verify()
    };
    artifact_mismatch || changed(v2(), |case| case.artifact.push(0));
    subject_mismatch || changed(attestation(), |case| case.artifact.push(0));
    artifact_digest_unavailable || {
        let order = Order { algorithm: SignatureAlgorithm::EcdsaP384Sha384, ..Order::default() };
        Case::of(&A, order, Generation::V2).verify_digest()
    };
    predicate_type_mismatch || changed(attestation(), |case| {
        case.policy = case.policy.clone().predicate_type("https://example.com/other");
    });
    artifact_needed || {
        let mut case = unlogged(SignatureAlgorithm::MlDsa65);
        assert!(case.verify().is_ok());
        case.artifact = b"an artifact\n".to_vec();
        case.verify_digest()
    };
    signature_invalid || {
        // everything agrees on a signature that is another key's
        let mut case = v2();
        let Content::MessageSignature { signature, .. } = &mut case.signed.content else { panic!() };
        *signature = A.sign(Order::default()).signature().to_vec();
        let entry = A.log(&case.signed, &LogRecipe::new(Generation::V2, at(SIGNED)));
        let mut case = Case::with_entries(&A, case.signed, vec![entry]);
        case.add_timestamp(SIGNED);
        case.verify()
    };
}

/// A key's signature with a timestamp and no log entry.
fn unlogged(algorithm: SignatureAlgorithm) -> Case<'static> {
    let signed = A.sign(Order {
        algorithm,
        leaf: None,
        ..Order::default()
    });
    let mut case = Case::with_entries(&A, signed, Vec::new());
    case.add_timestamp(SIGNED);
    case.policy = case.policy.log_threshold(0);
    case
}

fn one_witness() -> WitnessPolicy {
    let witness = key(SignatureAlgorithm::Ed25519);
    let name = KeyName::new("witness.example").unwrap();
    let kind = SignatureKind::CosignatureV1;
    let vkey = NoteKey::new(provider(), name, kind, witness.public_key()).unwrap();
    let vkey = vkey.to_vkey();
    let text = format!("witness w {vkey}\nquorum w\n");
    WitnessPolicy::parse(provider(), text.as_bytes()).unwrap()
}

fn statement_of(subjects: &str) -> String {
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{subjects}],"predicateType":"{PREDICATE}","predicate":{{}}}}"#
    )
}

#[test]
fn every_rule_has_a_case() {
    let rules: Vec<_> = VerifyError::RULES
        .iter()
        .map(|rule| rule.code.replace('-', "_"))
        .collect();
    let cases: Vec<_> = CASES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(cases, rules, "in the order of the checks");
}
