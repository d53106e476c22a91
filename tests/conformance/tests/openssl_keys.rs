//! OpenSSL reads our private keys, and we read OpenSSL's; each verifies what the other signs.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use waxseal_crypto::{CryptoProvider, Input, PrivateKey, PublicKey, SignatureAlgorithm};

/// An algorithm, and how OpenSSL calls its keys and its way to sign.
struct Case {
    algorithm: SignatureAlgorithm,
    genpkey: &'static [&'static str],
    sign: &'static [&'static str],
}

const EC: [&str; 3] = ["-algorithm", "EC", "-pkeyopt"];
const PSS: &[&str] = &[
    "-rawin",
    "-digest",
    "sha256",
    "-pkeyopt",
    "rsa_padding_mode:pss",
    "-pkeyopt",
    "rsa_pss_saltlen:digest",
];

const CASES: [Case; 6] = [
    Case {
        algorithm: SignatureAlgorithm::EcdsaP256Sha256,
        genpkey: &[EC[0], EC[1], EC[2], "ec_paramgen_curve:P-256"],
        sign: &["-rawin", "-digest", "sha256"],
    },
    Case {
        algorithm: SignatureAlgorithm::EcdsaP384Sha384,
        genpkey: &[EC[0], EC[1], EC[2], "ec_paramgen_curve:P-384"],
        sign: &["-rawin", "-digest", "sha384"],
    },
    Case {
        algorithm: SignatureAlgorithm::EcdsaP521Sha256,
        genpkey: &[EC[0], EC[1], EC[2], "ec_paramgen_curve:P-521"],
        sign: &["-rawin", "-digest", "sha256"],
    },
    Case {
        algorithm: SignatureAlgorithm::Ed25519,
        genpkey: &["-algorithm", "ED25519"],
        sign: &["-rawin"],
    },
    Case {
        algorithm: SignatureAlgorithm::RsaPkcs1Sha256,
        genpkey: &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
        sign: &["-rawin", "-digest", "sha256"],
    },
    Case {
        algorithm: SignatureAlgorithm::RsaPssSha256,
        genpkey: &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        sign: PSS,
    },
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    if openssl(&["version"], b"").is_err() {
        trials.push(waxseal_tests_conformance::missing("the command openssl"));
    } else {
        for case in &CASES {
            for provider in [
                waxseal_crypto_aws_lc::provider(),
                waxseal_crypto_rustcrypto::provider(),
            ] {
                let name = format!("{:?}, {}", case.algorithm, provider.name());
                trials.push(Trial::test(name, move || check(case, provider)));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

const MESSAGE: &[u8] = b"from one to the other";

fn check(case: &Case, provider: CryptoProvider) -> Result<(), Failed> {
    let genpkey = [&["genpkey"], case.genpkey].concat();
    let foreign = String::from_utf8(openssl(&genpkey, b"")?).unwrap();
    let foreign = PrivateKey::from_pem(&foreign)?;
    // The pure-Rust provider makes no RSA keys; it still verifies what OpenSSL signs.
    let keys = std::iter::once(foreign).chain(provider.generate(case.algorithm));
    for key in keys {
        let public = openssl(&["pkey", "-pubout"], key.to_pem().as_bytes())?;
        let public = PublicKey::from_pem(&String::from_utf8(public).unwrap())?;
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let write = |name: &str, bytes: &[u8]| std::fs::write(Path::new(&path(name)), bytes);
        write("key", key.to_pem().as_bytes())?;
        write("public", public.to_pem().as_bytes())?;
        write("message", MESSAGE)?;

        let (secret, message, theirs, ours) =
            (path("key"), path("message"), path("theirs"), path("ours"));
        let common = ["pkeyutl", "-in", &message];
        let sign = ["-sign", "-inkey", &secret, "-out", &theirs];
        openssl(&[&common[..], &sign, case.sign].concat(), b"")?;
        let signature = std::fs::read(&theirs)?;
        provider.verify(&public, case.algorithm, Input::Message(MESSAGE), &signature)?;

        let Ok(signer) = provider.signer(&key, case.algorithm) else {
            assert_eq!(provider.name(), "rustcrypto");
            assert!(public.rsa_bits().is_some());
            continue;
        };
        assert_eq!(signer.public_key(), &public);
        write("ours", &signer.sign_now(Input::Message(MESSAGE))?)?;
        let pem = path("public");
        let verify = ["-verify", "-pubin", "-inkey", &pem, "-sigfile", &ours];
        openssl(&[&common[..], &verify, case.sign].concat(), b"")?;
    }
    Ok(())
}

fn openssl(arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().unwrap().write_all(input)?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        let reason = String::from_utf8_lossy(&output.stderr);
        Err(format!("openssl {}: {reason}", arguments.join(" ")).into())
    }
}
