//! Bundles, and what is inside them: text, certificate, timestamp, body, checkpoint, signature.

use std::sync::LazyLock;

use waxseal_formats::{Bundle, BundleVersion, Content, KeyMaterial};
use waxseal_verify::{Artifact, Verifier};

use crate::virtual_sigstore::{Case, Generation, Instance, provider};

static A: LazyLock<Instance> = LazyLock::new(|| Instance::new("operator a", "a.example"));

/// A case, and the verifier of its trusted root.
type Checked = (Case<'static>, Verifier);

fn checked(case: Case<'static>) -> Checked {
    let verifier = Verifier::new(provider(), &case.root).unwrap();
    (case, verifier)
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut chain = Case::v1(&A);
    chain.bundle.version = BundleVersion::V01;
    chain.bundle.material.key = KeyMaterial::CertificateChain(vec![
        chain.signed.leaf.clone().unwrap(),
        A.ca_chain().first().unwrap().der().to_vec(),
    ]);
    let cases = [
        Case::v1(&A),
        Case::v2(&A),
        Case::attestation(&A, Generation::V1),
        Case::attestation(&A, Generation::V2),
        chain,
    ];
    cases
        .iter()
        .map(|case| case.bundle.to_json().into_bytes())
        .collect()
}

pub(super) fn read(bytes: &[u8]) {
    static ALL: LazyLock<Checked> = LazyLock::new(|| checked(Case::v1(&A)));
    let (case, verifier) = &*ALL;
    let Ok(bundle) = Bundle::from_json(bytes) else {
        return;
    };
    let artifact = Artifact::bytes(&case.artifact);
    drop(verifier.verify(artifact, &bundle, &case.policy, case.now));
    let again = Bundle::from_json(bundle.to_json().as_bytes());
    assert_eq!(again.as_ref(), Ok(&bundle), "a bundle changed on its way");
}

/// The parts of one bundle, each after a byte that says which it is.
pub(super) fn part_seeds() -> Vec<Vec<u8>> {
    let mut case = Case::v2(&A);
    let entry = case.entry().clone();
    let checkpoint = entry.inclusion_proof.unwrap().checkpoint.unwrap();
    let parts = [
        case.signed.leaf.clone().unwrap(),
        case.bundle.material.timestamps.first().unwrap().clone(),
        entry.canonicalized_body,
        checkpoint.into_bytes(),
        case.signed.signature().to_vec(),
    ];
    parts
        .into_iter()
        .zip(0_u8..)
        .map(|(part, which)| std::iter::once(which).chain(part).collect())
        .collect()
}

/// Past the text, straight into the bytes inside.
pub(super) fn read_part(bytes: &[u8]) {
    static ALL: LazyLock<Checked> = LazyLock::new(|| checked(Case::v2(&A)));
    let (case, verifier) = &*ALL;
    let Some((which, part)) = bytes.split_first() else {
        return;
    };
    let part = part.to_vec();
    let mut bundle = case.bundle.clone();
    let entry = bundle.material.tlog_entries.first_mut().unwrap();
    match which % 5 {
        0 => bundle.material.key = KeyMaterial::Certificate(part),
        1 => bundle.material.timestamps = vec![part],
        2 => entry.canonicalized_body = part,
        3 => {
            let text = String::from_utf8_lossy(&part).into_owned();
            entry.inclusion_proof.as_mut().unwrap().checkpoint = Some(text);
        }
        _ => {
            bundle.content = Content::MessageSignature {
                digest: None,
                signature: part,
            };
        }
    }
    let artifact = Artifact::bytes(&case.artifact);
    drop(verifier.verify(artifact, &bundle, &case.policy, case.now));
}
