//! Public keys in files: PEM or DER, SubjectPublicKeyInfo or PKCS#1.

use std::io::Read as _;
use std::path::Path;

use waxseal_crypto::{KeyKind, Pem, PublicKey};

use crate::outcome::{Class, Failure};

/// The largest key file that is read: ML-DSA-87 in PEM takes 4 KiB.
const MAX_FILE: u64 = 64 << 10;

/// Reads a public key.
///
/// # Errors
/// [`Class::Usage`] if the file cannot be read or holds something else; [`Class::Malformed`] if the key
/// in it is not one.
pub(crate) fn read_public_key(path: &Path) -> Result<PublicKey, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::usage(format!("the key {} cannot be read", path.display())).because(&error)
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    parse(&bytes).map_err(|mut failure| {
        failure.message = format!("{}: {}", path.display(), failure.message);
        failure
    })
}

fn parse(bytes: &[u8]) -> Result<PublicKey, Failure> {
    let malformed = |error: &dyn std::error::Error| {
        Failure::new(Class::Malformed, "key-malformed", "not a public key").because(error)
    };
    let Some(text) = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.contains("-----BEGIN "))
    else {
        return PublicKey::from_spki_der(bytes).map_err(|error| malformed(&error));
    };
    let pem = Pem::parse(text).map_err(|error| malformed(&error))?;
    match pem.label.as_str() {
        "PUBLIC KEY" => PublicKey::from_spki_der(&pem.der).map_err(|error| malformed(&error)),
        "RSA PUBLIC KEY" => {
            PublicKey::from_key_bytes(KeyKind::Rsa, &pem.der).map_err(|error| malformed(&error))
        }
        "CERTIFICATE" => Err(
            Failure::usage("a certificate, where a public key is wanted")
                .hint("--identity and --issuer verify a certificate by who it names"),
        ),
        label if label.contains("PRIVATE KEY") => Err(Failure::usage(
            "a private key, where a public key is wanted",
        )
        .hint("openssl pkey -in KEY -pubout")),
        label => Err(
            Failure::new(Class::Malformed, "key-malformed", "not a public key")
                .expected("PUBLIC KEY", label),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<KeyKind, Class>) {
        let found = parse(text.as_bytes());
        assert_eq!(
            found.map(|key| key.kind()).map_err(|failure| failure.class),
            expected,
            "{text}"
        );
    }

    #[test]
    fn key_files_say_what_they_are() {
        // An Ed25519 SubjectPublicKeyInfo (RFC 8410 §10.1).
        let spki = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        let pem = |label: &str, base64: &str| {
            format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
        };
        check(&pem("PUBLIC KEY", spki), Ok(KeyKind::Ed25519));
        check(&pem("PUBLIC KEY", "AAAA"), Err(Class::Malformed));
        check(&pem("RSA PUBLIC KEY", "AAAA"), Err(Class::Malformed));
        check(&pem("PRIVATE KEY", "AAAA"), Err(Class::Usage));
        check(
            &pem("ENCRYPTED SIGSTORE PRIVATE KEY", "AAAA"),
            Err(Class::Usage),
        );
        check(&pem("CERTIFICATE", "AAAA"), Err(Class::Usage));
        check(&pem("SOMETHING", "AAAA"), Err(Class::Malformed));
        check("hello", Err(Class::Malformed));
    }
}
