//! Timestamps of other implementations: what must verify, what must not, and why not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Failed, Trial};
use waxseal_crypto::Pem;
use waxseal_pki::timestamp::{
    TimestampAuthority, TimestampError, TimestampRequest, TimestampToken,
};

/// The files of the corpus, licence aside.
const FILES: usize = 21;

/// What is expected of one response.
enum Expected {
    /// It verifies, at this time.
    Time(&'static str),
    /// It is refused, for this reason.
    Error(fn(&TimestampError) -> bool),
}

use Expected::{Error, Time};

struct Case {
    name: &'static str,
    response: &'static str,
    chain: &'static str,
    message: &'static [u8],
    expected: Expected,
}

const fn case(
    name: &'static str,
    response: &'static str,
    chain: &'static str,
    message: &'static [u8],
    expected: Expected,
) -> Case {
    Case {
        name,
        response,
        chain,
        message,
        expected,
    }
}

const SIGSTAGE: &str = "sigstage/ts_chain.pem";
const TEST_TSA: &str = "test_tsa/ts_chain.pem";
const MOCK: &str = "sigstore.mock/ts_chain.pem";
const IDENTRUST: &str = "identrust/ts_chain.pem";
/// The message of the mock is the contents of this file.
const PAYLOAD: &[u8] = b"sigstore.mock/payload";

const CASES: &[Case] = &[
    case(
        "v_66_sha256",
        "sigstage/response-sha256.tsr",
        SIGSTAGE,
        b"hello",
        Time("2025-05-09T11:58:55Z"),
    ),
    case(
        "v_66_sha384",
        "sigstage/response-sha384.tsr",
        SIGSTAGE,
        b"hello",
        Time("2025-05-09T11:58:55Z"),
    ),
    case(
        "v_66_sha512",
        "sigstage/response-sha512.tsr",
        SIGSTAGE,
        b"hello",
        Time("2025-05-09T11:58:56Z"),
    ),
    case(
        "no_embedded_certificate",
        "sigstage/response-no-embedded-cert.tsr",
        SIGSTAGE,
        b"hello",
        Time("2025-06-18T08:13:02Z"),
    ),
    case(
        "v_62_the_signature_is_checked",
        "sigstage/response-invalid-signature.tsr",
        SIGSTAGE,
        b"hello",
        Error(|error| matches!(error, TimestampError::Signature)),
    ),
    case(
        "the_message_is_checked",
        "sigstage/response-sha256.tsr",
        SIGSTAGE,
        b"other",
        Error(|error| matches!(error, TimestampError::WrongMessage)),
    ),
    case(
        "of_another_authority",
        "sigstage/response-sha256.tsr",
        TEST_TSA,
        b"hello",
        Error(|error| matches!(error, TimestampError::UnknownSigner)),
    ),
    case(
        "intermediate_authority",
        "test_tsa/response.tsr",
        TEST_TSA,
        b"hello",
        Time("2024-10-08T15:40:32Z"),
    ),
    case(
        "of_another_authority_of_the_same_name",
        "test_tsa/other_response.tsr",
        TEST_TSA,
        b"hello",
        Error(|error| matches!(error, TimestampError::UnknownSigner)),
    ),
    case(
        "v_61_the_signer_is_the_one_named",
        "test_tsa/response-injected-certs.tsr",
        TEST_TSA,
        b"hello",
        Error(|error| matches!(error, TimestampError::AmbiguousSigner)),
    ),
    case(
        "v_60_the_chain_is_that_of_the_signer",
        "timestamp-authority/response-injected-certs.tsr",
        TEST_TSA,
        b"hello",
        Error(|error| matches!(error, TimestampError::AmbiguousSigner)),
    ),
    // The certificates have expired since; they were valid when the token was made.
    case(
        "v_65_the_chain_is_checked_at_the_time_of_the_token",
        "sigstore.mock/response-expired.tsr",
        MOCK,
        PAYLOAD,
        Time("2023-02-01T00:00:00Z"),
    ),
    // The root alone is trusted; signer and intermediate travel in the token, RSA throughout, and
    // the signing certificate is named by SHA-1.
    case(
        "root_alone_is_trusted",
        "identrust/issue-104.tsr",
        IDENTRUST,
        b"hello",
        Time("2025-03-11T08:52:08Z"),
    ),
];

/// Requests, and whether they carry a nonce and want certificates.
const REQUESTS: &[&str] = &[
    "sigstage/request.der",
    "test_tsa/request.der",
    "test_tsa/other_request.der",
];

fn chain(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    match std::str::from_utf8(&bytes) {
        Ok(text) => Pem::parse_many(text)
            .unwrap()
            .into_iter()
            .map(|block| block.der)
            .collect(),
        Err(_) => vec![bytes],
    }
}

fn check(folder: &Path, case: &Case) -> Result<(), Failed> {
    let provider = waxseal_crypto_aws_lc::provider();
    let authority = TimestampAuthority::new(provider, &chain(&folder.join(case.chain)))?;
    let token = TimestampToken::from_response(&std::fs::read(folder.join(case.response)).unwrap())?;
    let message = match case.message {
        PAYLOAD => std::fs::read(folder.join("sigstore.mock/payload")).unwrap(),
        message => message.to_vec(),
    };
    match (authority.verify(&token, &message), &case.expected) {
        (Ok(verified), Time(time)) if verified.time.to_string() == *time => Ok(()),
        (Err(error), Error(expected)) if expected(&error) => Ok(()),
        (found, _) => Err(format!("{found:?}").into()),
    }
}

fn check_request(path: &Path) -> Result<(), Failed> {
    let der = std::fs::read(path).unwrap();
    let request = TimestampRequest::parse(&der)?;
    if request.encode() == der && request.nonce.is_some() && request.certificates {
        Ok(())
    } else {
        Err(format!("{request:?}").into())
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| !path.ends_with("LICENSE"))
        .collect()
}

fn main() -> ExitCode {
    let expected = CASES.len() + REQUESTS.len() + 1;
    waxseal_tests_conformance::run("rfc3161", expected, |folder| {
        let mut trials = Vec::new();
        for case in CASES {
            let folder = folder.to_owned();
            trials.push(Trial::test(case.name, move || check(&folder, case)));
        }
        for request in REQUESTS {
            let path = folder.join(request);
            trials.push(Trial::test(*request, move || check_request(&path)));
        }
        let files = files(folder);
        trials.push(Trial::test("every file is known", move || {
            let known = |path: &Path| {
                let named = |name: &str| path.ends_with(name);
                path.ends_with("README.md")
                    || named("sigstore.mock/payload")
                    || REQUESTS.iter().any(|name| named(name))
                    || CASES
                        .iter()
                        .any(|case| named(case.response) || named(case.chain))
            };
            match files.iter().find(|path| !known(path)) {
                Some(path) => Err(format!("{} is not tested", path.display()).into()),
                None if files.len() == FILES => Ok(()),
                None => Err(format!("expected {FILES} files, found {}", files.len()).into()),
            }
        }));
        trials
    })
}
