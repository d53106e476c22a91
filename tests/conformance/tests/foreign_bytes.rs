//! No parser of foreign bytes panics, loops or hoards, whatever it is given (K-12, V-45, V-50): every
//! one of them reads mutations of good input, 3,000 from a fixed seed, and for a minute each where
//! `WAXSEAL_SOAK` is set.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may panic, and needs no documentation"
)]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use waxseal_crypto::{Pem, PublicKey, SignatureAlgorithm, Time};
use waxseal_formats::entry::Body;
use waxseal_formats::{
    Bundle, Content, SigningConfig, Statement, TransparencyLogEntry, TrustedRoot,
};
use waxseal_pki::timestamp::{TimestampRequest, TimestampToken};
use waxseal_pki::{Certificate, Csr, Sct, tbs_without_scts};
use waxseal_tests_conformance::virtual_sigstore::{
    Case, Generation, Instance, Order, PREDICATE, body, key, provider, statement,
};
use waxseal_tlog::{
    EntryBundle, KeyName, NoteKey, SignatureKind, SignedNote, TilePath, TlogProof, WitnessPolicy,
};
use waxseal_verify::{Artifact, Verifier};

static A: LazyLock<Instance> = LazyLock::new(|| Instance::new("operator a", "a.example"));

/// SplitMix64: good enough to mutate with, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap();
        usize::try_from(self.roll() % bound).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: &[u8] =
            b"\x00\x01\x02\x06\x1f\x30\x31\x7f\x80\x81\x82\x84\xa0\xa3\xff\"\\{}[],:0-9e.\n\t u";
        if self.roll().is_multiple_of(3) {
            TELLING[self.below(TELLING.len())]
        } else {
            self.roll().to_le_bytes()[0]
        }
    }
}

/// One to four changes: bytes set, cut, put in, a run said twice, a piece of another input.
fn mutated(dice: &mut Dice, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let start = dice.below(bytes.len() + 1);
        let end = (start + dice.below(40)).min(bytes.len());
        match dice.below(7) {
            0 | 1 if start < bytes.len() => bytes[start] = dice.byte(),
            2 => drop(bytes.drain(start..end)),
            3 => {
                let count = dice.below(8);
                let fresh: Vec<u8> = (0..count).map(|_| dice.byte()).collect();
                drop(bytes.splice(start..start, fresh));
            }
            4 => {
                let run = bytes[start..end].to_vec();
                drop(bytes.splice(end..end, run));
            }
            5 => {
                let from = dice.below(other.len() + 1);
                let to = (from + dice.below(200)).min(other.len());
                drop(bytes.splice(start..end, other[from..to].iter().copied()));
            }
            _ => bytes.truncate(start.max(bytes.len() / 2)),
        }
    }
    bytes
}

/// Reads mutations of the seeds, none of which may take long.
fn mutate(seeds: &[Vec<u8>], read: impl Fn(&[u8])) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the length of the test is told by the environment"
    )]
    let soak = std::env::var_os("WAXSEAL_SOAK").is_some();
    let begin = Instant::now();
    let mut dice = Dice(20_261_125);
    for seed in seeds {
        read(seed);
    }
    for count in 0_u64.. {
        let enough = if soak {
            begin.elapsed() >= Duration::from_mins(1)
        } else {
            count >= 3000
        };
        if enough {
            return;
        }
        let seed = &seeds[dice.below(seeds.len())];
        let other = &seeds[dice.below(seeds.len())];
        let bytes = mutated(&mut dice, seed, other);
        let started = Instant::now();
        read(&bytes);
        assert!(started.elapsed() < Duration::from_secs(2), "{bytes:02x?}");
    }
}

fn cases() -> Vec<Case<'static>> {
    let mut chain = Case::v1(&A);
    chain.bundle.version = waxseal_formats::BundleVersion::V01;
    chain.bundle.material.key = waxseal_formats::KeyMaterial::CertificateChain(vec![
        chain.signed.leaf.clone().unwrap(),
        A.ca_chain()[0].der().to_vec(),
    ]);
    vec![
        Case::v1(&A),
        Case::v2(&A),
        Case::attestation(&A, Generation::V1),
        Case::attestation(&A, Generation::V2),
        chain,
    ]
}

#[test]
fn bundles_and_their_verification() {
    let cases = cases();
    let case = &cases[0];
    let verifier = Verifier::new(provider(), &case.root).unwrap();
    let seeds: Vec<_> = cases
        .iter()
        .map(|case| case.bundle.to_json().into_bytes())
        .collect();
    mutate(&seeds, |bytes| {
        if let Ok(bundle) = Bundle::from_json(bytes) {
            let artifact = Artifact::bytes(&case.artifact);
            drop(verifier.verify(artifact, &bundle, &case.policy, case.now));
            assert_eq!(
                Bundle::from_json(bundle.to_json().as_bytes()).as_ref(),
                Ok(&bundle)
            );
        }
    });
}

#[test]
fn bundles_whose_der_is_foreign() {
    // past the text, straight into the bytes inside: certificate, timestamp, body, proof, checkpoint
    let cases = cases();
    let case = &cases[1];
    let verifier = Verifier::new(provider(), &case.root).unwrap();
    let entry = case.bundle.material.tlog_entries[0].clone();
    let checkpoint = entry.inclusion_proof.clone().unwrap().checkpoint.unwrap();
    let leaf = case.signed.leaf.clone().unwrap();
    let token = case.bundle.material.timestamps[0].clone();
    let seeds = [
        leaf,
        token,
        entry.canonicalized_body,
        checkpoint.into_bytes(),
        case.signed.signature().to_vec(),
    ];
    mutate(&seeds, |bytes| {
        for part in 0..5 {
            let mut bundle = case.bundle.clone();
            let entry = &mut bundle.material.tlog_entries[0];
            let proof = entry.inclusion_proof.as_mut().unwrap();
            match part {
                0 => {
                    bundle.material.key = waxseal_formats::KeyMaterial::Certificate(bytes.to_vec());
                }
                1 => bundle.material.timestamps[0] = bytes.to_vec(),
                2 => entry.canonicalized_body = bytes.to_vec(),
                3 => proof.checkpoint = Some(String::from_utf8_lossy(bytes).into_owned()),
                _ => {
                    bundle.content = Content::MessageSignature {
                        digest: None,
                        signature: bytes.to_vec(),
                    };
                }
            }
            let artifact = Artifact::bytes(&case.artifact);
            drop(verifier.verify(artifact, &bundle, &case.policy, case.now));
        }
    });
}

#[test]
fn trusted_roots_and_their_verifier() {
    let seeds = [
        Instance::trusted_root(&[&A]).to_json().into_bytes(),
        TrustedRoot::public_good().to_json().into_bytes(),
    ];
    mutate(&seeds, |bytes| {
        if let Ok(root) = TrustedRoot::from_json(bytes) {
            drop(Verifier::new(provider(), &root));
            assert_eq!(
                TrustedRoot::from_json(root.to_json().as_bytes()).as_ref(),
                Ok(&root)
            );
        }
    });
}

#[test]
fn signing_configs() {
    let seeds = [SigningConfig::public_good().to_json().into_bytes()];
    mutate(&seeds, |bytes| drop(SigningConfig::from_json(bytes)));
}

#[test]
fn bodies_of_entries() {
    let order = Order::default();
    let payload = Some(statement(&order.artifact, PREDICATE));
    let envelope = A.sign(Order { payload, ..order });
    let artifact = A.sign(Order::default());
    let kinds = [
        ("hashedrekord", "0.0.1", &artifact),
        ("hashedrekord", "0.0.2", &artifact),
        ("dsse", "0.0.1", &envelope),
        ("dsse", "0.0.2", &envelope),
        ("intoto", "0.0.1", &envelope),
        ("intoto", "0.0.2", &envelope),
    ];
    let seeds: Vec<_> = kinds
        .iter()
        .map(|(kind, version, signed)| body(signed, kind, version))
        .collect();
    mutate(&seeds, |bytes| {
        for (kind, version, _) in kinds {
            if let Ok(body) = Body::parse(kind, version, bytes) {
                drop(body.encode_canonical());
            }
        }
    });
}

#[test]
fn statements_and_entries() {
    let entry = Case::v1(&A).entry().to_json().into_bytes();
    let seeds = [statement(b"x", PREDICATE).1, entry];
    mutate(&seeds, |bytes| {
        if let Ok(statement) = Statement::from_json(bytes) {
            let json = statement.to_json();
            assert_eq!(Statement::from_json(json.as_bytes()), Ok(statement));
        }
        drop(TransparencyLogEntry::from_json(bytes));
    });
}

#[test]
fn der() {
    let case = Case::v2(&A);
    let certificate = case.signed.certificate().unwrap();
    let digest = waxseal_crypto::Digest::from([7; 32]);
    let sct = certificate.scts().unwrap().unwrap().as_slice()[0].encode();
    let seeds = [
        certificate.der().to_vec(),
        A.ca_chain()[0].der().to_vec(),
        certificate.tbs().to_vec(),
        certificate.spki_der().to_vec(),
        case.bundle.material.timestamps[0].clone(),
        TimestampRequest::new(digest).encode(),
        sct.unwrap(),
    ];
    mutate(&seeds, |bytes| {
        if let Ok(certificate) = Certificate::parse(bytes) {
            drop(certificate.scts());
            drop(format!("{certificate:?}"));
            certificate.sigstore_extensions().for_each(drop);
            certificate.extensions().for_each(drop);
        }
        drop(Csr::parse(provider(), bytes));
        drop(PublicKey::from_spki_der(bytes));
        drop(TimestampToken::parse(bytes));
        drop(TimestampToken::from_response(bytes));
        drop(TimestampRequest::parse(bytes));
        drop(Sct::parse(bytes));
        drop(tbs_without_scts(bytes));
    });
}

#[test]
fn notes_keys_proofs_and_policies() {
    let mut case = Case::v2(&A);
    let checkpoint = case.entry().inclusion_proof.clone().unwrap().checkpoint;
    let signer = key(SignatureAlgorithm::Ed25519);
    let name = KeyName::new("witness.example").unwrap();
    let kind = SignatureKind::CosignatureV1;
    let vkey = NoteKey::new(provider(), name, kind, signer.public_key()).unwrap();
    let vkey = vkey.to_vkey();
    let policy = format!("witness w {vkey}\ngroup g any w\nquorum g\n");
    let proof = format!(
        "c2sp.org/tlog-proof@v1\nindex 3\n{}\n\n{}",
        "A".repeat(43) + "=",
        checkpoint.clone().unwrap()
    );
    let seeds = [
        checkpoint.unwrap().into_bytes(),
        vkey.into_bytes(),
        policy.into_bytes(),
        proof.into_bytes(),
        b"tile/entries/x001/x234/067.p/42".to_vec(),
        b"2026-11-25T01:02:03.5Z".to_vec(),
        Pem::new("PUBLIC KEY", b"a key").encode().into_bytes(),
    ];
    mutate(&seeds, |bytes| {
        drop(WitnessPolicy::parse(provider(), bytes));
        drop(EntryBundle::parse(bytes, 2));
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        if let Ok(note) = SignedNote::parse(text) {
            drop(note.unverified_checkpoint());
            assert_eq!(note.to_string(), text);
        }
        drop(NoteKey::from_vkey(provider(), text));
        drop(TlogProof::parse(text));
        assert!(
            TilePath::parse(text).is_ok_and(|path| path.to_string() == text)
                || TilePath::parse(text).is_err()
        );
        drop(Time::parse_rfc3339(text));
        drop(Pem::parse_many(text));
    });
}
