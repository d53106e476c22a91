//! Project Wycheproof through both providers: one trial per file and provider.
//!
//! Keys are read from their SubjectPublicKeyInfo, so that our parser is under test too. Each row
//! states how many tests its file has and how many of them are accepted; what we refuse although
//! Wycheproof calls it valid, or leaves it to us (`acceptable`), is listed in [`REFUSED`] with the
//! reason, and an entry that is accepted after all is a failure.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use waxseal_crypto::{
    CryptoProvider, Digest, Input, KeyKind, PublicKey, SignatureAlgorithm as Algorithm,
    SignatureError, ecdsa_der_from_fixed,
};
use wycheproof::ecdsa::TestName as Ecdsa;
use wycheproof::eddsa::TestName as Eddsa;
use wycheproof::mldsa_verify::TestName as MlDsa;
use wycheproof::rsa_pkcs1_verify::TestName as Pkcs1;
use wycheproof::rsa_pss_verify::TestName as Pss;

/// One file: its name, its text, how it is read, how many tests it has, how many are accepted.
struct File(
    &'static str,
    fn() -> &'static str,
    Algorithm,
    Form,
    usize,
    usize,
);

/// How a file's keys and signatures are read.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// As they are.
    Plain,
    /// Signatures as r‖s, through our conversion to DER.
    Fixed,
    /// Keys from `RSAPublicKey`: their SubjectPublicKeyInfo is of `id-RSASSA-PSS`, which the
    /// registry does not have.
    Pkcs1Key,
}

use Form::{Fixed, Pkcs1Key, Plain};

#[rustfmt::skip]
const FILES: &[File] = &[
    File("ecdsa_secp256r1_sha256", || Ecdsa::EcdsaSecp256r1Sha256.json_data(), Algorithm::EcdsaP256Sha256, Plain, 484, 174),
    File("ecdsa_secp256r1_sha512", || Ecdsa::EcdsaSecp256r1Sha512.json_data(), Algorithm::EcdsaP256Sha512, Plain, 554, 243),
    File("ecdsa_secp384r1_sha256", || Ecdsa::EcdsaSecp384r1Sha256.json_data(), Algorithm::EcdsaP384Sha256, Plain, 472, 162),
    File("ecdsa_secp384r1_sha384", || Ecdsa::EcdsaSecp384r1Sha384.json_data(), Algorithm::EcdsaP384Sha384, Plain, 504, 194),
    File("ecdsa_secp384r1_sha512", || Ecdsa::EcdsaSecp384r1Sha512.json_data(), Algorithm::EcdsaP384Sha512, Plain, 542, 231),
    File("ecdsa_secp521r1_sha512", || Ecdsa::EcdsaSecp521r1Sha512.json_data(), Algorithm::EcdsaP521Sha512, Plain, 542, 232),
    File("ecdsa_secp256r1_sha256_p1363", || Ecdsa::EcdsaSecp256r1Sha256P1363.json_data(), Algorithm::EcdsaP256Sha256, Fixed, 262, 173),
    File("ecdsa_secp256r1_sha512_p1363", || Ecdsa::EcdsaSecp256r1Sha512P1363.json_data(), Algorithm::EcdsaP256Sha512, Fixed, 332, 242),
    File("ecdsa_secp384r1_sha384_p1363", || Ecdsa::EcdsaSecp384r1Sha384P1363.json_data(), Algorithm::EcdsaP384Sha384, Fixed, 280, 193),
    File("ecdsa_secp384r1_sha512_p1363", || Ecdsa::EcdsaSecp384r1Sha512P1363.json_data(), Algorithm::EcdsaP384Sha512, Fixed, 318, 230),
    File("ecdsa_secp521r1_sha512_p1363", || Ecdsa::EcdsaSecp521r1Sha512P1363.json_data(), Algorithm::EcdsaP521Sha512, Fixed, 318, 231),
    File("ed25519", || Eddsa::Ed25519.json_data(), Algorithm::Ed25519, Plain, 151, 88),
    File("rsa_signature_2048_sha256", || Pkcs1::Rsa2048Sha256.json_data(), Algorithm::RsaPkcs1Sha256, Plain, 259, 7),
    File("rsa_signature_2048_sha384", || Pkcs1::Rsa2048Sha384.json_data(), Algorithm::RsaPkcs1Sha384, Plain, 258, 7),
    File("rsa_signature_2048_sha512", || Pkcs1::Rsa2048Sha512.json_data(), Algorithm::RsaPkcs1Sha512, Plain, 259, 7),
    File("rsa_signature_3072_sha256", || Pkcs1::Rsa3072Sha256.json_data(), Algorithm::RsaPkcs1Sha256, Plain, 259, 7),
    File("rsa_signature_3072_sha384", || Pkcs1::Rsa3072Sha384.json_data(), Algorithm::RsaPkcs1Sha384, Plain, 259, 7),
    File("rsa_signature_3072_sha512", || Pkcs1::Rsa3072Sha512.json_data(), Algorithm::RsaPkcs1Sha512, Plain, 260, 7),
    File("rsa_signature_4096_sha256", || Pkcs1::Rsa4096Sha256.json_data(), Algorithm::RsaPkcs1Sha256, Plain, 258, 7),
    File("rsa_signature_4096_sha384", || Pkcs1::Rsa4096Sha384.json_data(), Algorithm::RsaPkcs1Sha384, Plain, 259, 7),
    File("rsa_signature_4096_sha512", || Pkcs1::Rsa4096Sha512.json_data(), Algorithm::RsaPkcs1Sha512, Plain, 259, 7),
    File("rsa_signature_8192_sha256", || Pkcs1::Rsa8192Sha256.json_data(), Algorithm::RsaPkcs1Sha256, Plain, 258, 0),
    File("rsa_pss_2048_sha256_mgf1_32", || Pss::RsaPss2048Sha256Mgf1SaltLen32.json_data(), Algorithm::RsaPssSha256, Plain, 108, 63),
    File("rsa_pss_3072_sha256_mgf1_32", || Pss::RsaPss3072Sha256Mgf1SaltLen32.json_data(), Algorithm::RsaPssSha256, Plain, 108, 63),
    File("rsa_pss_4096_sha256_mgf1_32", || Pss::RsaPss4096Sha256Mgf1SaltLen32.json_data(), Algorithm::RsaPssSha256, Plain, 108, 63),
    File("rsa_pss_2048_sha384_mgf1_48", || Pss::RsaPss2048Sha384Mgf1SaltLen48.json_data(), Algorithm::RsaPssSha384, Plain, 141, 95),
    File("rsa_pss_4096_sha384_mgf1_48", || Pss::RsaPss4096Sha384Mgf1SaltLen48.json_data(), Algorithm::RsaPssSha384, Plain, 141, 95),
    File("rsa_pss_4096_sha512_mgf1_64", || Pss::RsaPss4096Sha512Mgf1SaltLen64.json_data(), Algorithm::RsaPssSha512, Plain, 179, 132),
    File("rsa_pss_4096_sha512_mgf1_32", || Pss::RsaPss4096Sha512Mgf1SaltLen32.json_data(), Algorithm::RsaPssSha512, Plain, 177, 0),
    File("rsa_pss_2048_sha256_mgf1_32_params", || Pss::RsaPss2048Sha256Mgf1SaltLen32WithParams.json_data(), Algorithm::RsaPssSha256, Plain, 108, 0),
    File("rsa_pss_2048_sha256_mgf1_32_params, inner keys", || Pss::RsaPss2048Sha256Mgf1SaltLen32WithParams.json_data(), Algorithm::RsaPssSha256, Pkcs1Key, 108, 63),
    File("rsa_pss_misc_params, SHA-256", || Pss::RsaPssmiscWithParams.json_data(), Algorithm::RsaPssSha256, Pkcs1Key, 150, 1),
    File("rsa_pss_misc_params, SHA-384", || Pss::RsaPssmiscWithParams.json_data(), Algorithm::RsaPssSha384, Pkcs1Key, 150, 1),
    File("rsa_pss_misc_params, SHA-512", || Pss::RsaPssmiscWithParams.json_data(), Algorithm::RsaPssSha512, Pkcs1Key, 150, 1),
    File("mldsa_44_verify", || MlDsa::MlDsa44Verify.json_data(), Algorithm::MlDsa44, Plain, 180, 75),
    File("mldsa_65_verify", || MlDsa::MlDsa65Verify.json_data(), Algorithm::MlDsa65, Plain, 210, 77),
    File("mldsa_87_verify", || MlDsa::MlDsa87Verify.json_data(), Algorithm::MlDsa87, Plain, 241, 69),
];

/// All tests of all rows, so that a row that vanishes is seen.
const TESTS: usize = 9606;

const MISSING_NULL: &str = "the DigestInfo lacks its NULL (RFC 8017 §9.2 note 1)";
const SMALL_EXPONENT: &str = "the public exponent is 3";
const LONG_MODULUS: &str = "the modulus has 8192 bits";
const OTHER_SALT: &str = "the salt is not as long as the hash";
const PSS_KEY: &str = "the key is of id-RSASSA-PSS";
const OTHER_PARAMETERS: &str = "the hashes or the salt are not the algorithm's";
const CONTEXT: &str = "the context is not empty";

/// Numbers of tests in one file.
enum Numbers {
    These(&'static [usize]),
    AllBut(&'static [usize]),
}

use Numbers::{AllBut, These};

/// Tests that are `valid` or `acceptable` and that we refuse.
#[rustfmt::skip]
const REFUSED: &[(&str, Numbers, &str)] = &[
    ("rsa_signature_2048_sha256", These(&[8]), MISSING_NULL),
    ("rsa_signature_2048_sha256", These(&[258, 259]), SMALL_EXPONENT),
    ("rsa_signature_2048_sha384", These(&[8]), MISSING_NULL),
    ("rsa_signature_2048_sha512", These(&[8]), MISSING_NULL),
    ("rsa_signature_2048_sha512", These(&[259]), SMALL_EXPONENT),
    ("rsa_signature_3072_sha256", These(&[8]), MISSING_NULL),
    ("rsa_signature_3072_sha256", These(&[259]), SMALL_EXPONENT),
    ("rsa_signature_3072_sha384", These(&[8]), MISSING_NULL),
    ("rsa_signature_3072_sha512", These(&[8]), MISSING_NULL),
    ("rsa_signature_3072_sha512", These(&[260]), SMALL_EXPONENT),
    ("rsa_signature_4096_sha256", These(&[8]), MISSING_NULL),
    ("rsa_signature_4096_sha384", These(&[8]), MISSING_NULL),
    ("rsa_signature_4096_sha512", These(&[8]), MISSING_NULL),
    ("rsa_signature_8192_sha256", AllBut(&[]), LONG_MODULUS),
    ("rsa_pss_4096_sha512_mgf1_32", AllBut(&[]), OTHER_SALT),
    ("rsa_pss_2048_sha256_mgf1_32_params", AllBut(&[]), PSS_KEY),
    ("rsa_pss_misc_params, SHA-256", AllBut(&[76]), OTHER_PARAMETERS),
    ("rsa_pss_misc_params, SHA-384", AllBut(&[113]), OTHER_PARAMETERS),
    ("rsa_pss_misc_params, SHA-512", AllBut(&[150]), OTHER_PARAMETERS),
    ("mldsa_44_verify", These(&[3, 4]), CONTEXT),
    ("mldsa_65_verify", These(&[3, 4]), CONTEXT),
    ("mldsa_87_verify", These(&[3, 4]), CONTEXT),
];

fn reason_to_refuse(file: &str, test: usize) -> Option<&'static str> {
    let entry = REFUSED.iter().find(|(name, numbers, _)| {
        *name == file
            && match numbers {
                These(numbers) => numbers.contains(&test),
                AllBut(numbers) => !numbers.contains(&test),
            }
    });
    entry.map(|(_, _, reason)| *reason)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    public_key_der: String,
    public_key_asn: Option<String>,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    tc_id: usize,
    comment: String,
    msg: String,
    sig: String,
    result: String,
}

fn main() -> ExitCode {
    let mut trials = vec![Trial::test("the count of tests", || {
        let found: usize = FILES.iter().map(|file| file.4).sum();
        let unknown = REFUSED
            .iter()
            .find(|(name, ..)| !FILES.iter().any(|file| file.0 == *name));
        match unknown {
            Some((name, ..)) => Err(format!("no file {name}").into()),
            None if found == TESTS => Ok(()),
            None => Err(format!("expected {TESTS} tests, found {found}").into()),
        }
    })];
    for file in FILES {
        for provider in [
            waxseal_crypto_aws_lc::provider(),
            waxseal_crypto_rustcrypto::provider(),
        ] {
            let name = format!("{}, {}", file.0, provider.name());
            trials.push(Trial::test(name, move || check(file, provider)));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn check(file: &File, provider: CryptoProvider) -> Result<(), Failed> {
    let File(name, text, algorithm, form, tests, accepted) = *file;
    let set: Set = serde_json::from_str(text()).unwrap();
    let mut wrong = Vec::new();
    let mut found = (0, 0);
    for group in &set.test_groups {
        let key = public_key(group, algorithm.key_kind(), form);
        for test in &group.tests {
            let accepts = key
                .as_ref()
                .is_some_and(|key| accepts(provider, key, algorithm, form, test));
            found = (found.0 + 1, found.1 + usize::from(accepts));
            let reason = reason_to_refuse(name, test.tc_id);
            if accepts != (test.result != "invalid" && reason.is_none()) {
                let Test {
                    tc_id,
                    result,
                    comment,
                    ..
                } = test;
                wrong.push(format!("{tc_id} {result} {comment}; {reason:?}"));
            }
        }
    }
    if !wrong.is_empty() {
        return Err(format!("decided otherwise than expected:\n{}", wrong.join("\n")).into());
    }
    if (set.number_of_tests, found) != (tests, (tests, accepted)) {
        return Err(format!("expected {tests} tests, {accepted} accepted, found {found:?}").into());
    }
    Ok(())
}

fn public_key(group: &Group, kind: KeyKind, form: Form) -> Option<PublicKey> {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let key = if form == Pkcs1Key {
        PublicKey::from_key_bytes(kind, &bytes(group.public_key_asn.as_deref().unwrap()))
    } else {
        PublicKey::from_spki_der(&bytes(&group.public_key_der))
    };
    key.ok()
}

/// Whether a signature is accepted: at once, by a prepared key, and over the digest, all alike.
fn accepts(
    provider: CryptoProvider,
    key: &PublicKey,
    algorithm: Algorithm,
    form: Form,
    test: &Test,
) -> bool {
    let message = hex::decode(&test.msg).unwrap();
    let signature = hex::decode(&test.sig).unwrap();
    let signature = if form == Fixed {
        match ecdsa_der_from_fixed(key.kind(), &signature) {
            Ok(signature) => signature,
            Err(_) => return false,
        }
    } else {
        signature
    };
    let verify = |input| provider.verify(key, algorithm, input, &signature);
    let verdict = verify(Input::Message(&message));
    if let Ok(prepared) = provider.verifying_key(key, algorithm) {
        assert_eq!(
            prepared.verify(Input::Message(&message), &signature),
            verdict
        );
    }
    if let Some(hash) = algorithm.prehash() {
        let digest = Digest::of(hash, &message);
        assert_eq!(verify(Input::Prehash(&digest)), verdict);
    }
    assert!(matches!(
        verdict,
        Ok(()) | Err(SignatureError::Invalid | SignatureError::InvalidKey)
    ));
    verdict.is_ok()
}
