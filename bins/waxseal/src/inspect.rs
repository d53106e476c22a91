//! `waxseal inspect`: what is in a file, without a word on whether any of it is true but the
//! signatures of checkpoints, by keys that are given.

mod bundle;
mod certificate;
mod note;
mod signatures;
mod signing_config;
mod trusted_root;

use std::io::{Read as _, Write as _};
use std::path::Path;

use waxseal_crypto::{Pem, PublicKey};
use waxseal_formats::{Bundle, ClientTrustConfig, SigningConfig, TrustedRoot};

use crate::args::InspectArgs;
use crate::outcome::{Class, Failed, Failure};
use crate::shown::Shown;
use crate::terminal::visible;
use crate::verify::report;
use signatures::Signatures;

/// The largest file that is shown.
const MAX_FILE: u64 = 32 << 20;

/// Shows every file; a file that cannot be shown does not stop the next.
///
/// # Errors
/// The class of the first failure.
pub(crate) fn run(args: &InspectArgs) -> Result<(), Failed> {
    let keys = signatures::keys(&args.keys)?;
    let mut first = None;
    for path in &args.files {
        let name = path.display().to_string();
        let mut signatures = Signatures::new(&keys);
        let (shown, failure) = match inspect(path, &mut signatures) {
            Ok(shown) => (Some(shown), signatures.failure()),
            Err(failure) => (None, Some(failure)),
        };
        if let Some(failure) = &failure {
            first.get_or_insert(failure.class);
        }
        let told = if args.output.json {
            let object = Shown::fields([
                ("file", Shown::text(&name)),
                ("ok", Shown::Flag(failure.is_none())),
            ]);
            tell_json(&object.with_some("contents", shown), failure.as_ref())?
        } else {
            let shown = shown.filter(|_| !args.output.quiet);
            let title = if args.files.len() > 1 {
                format!("{}\n", visible(&name))
            } else {
                String::new()
            };
            let said = shown.map_or(Ok(()), |shown| say(&format!("{title}{}", shown.lines())));
            said.and_then(|()| failure.map_or(Ok(()), |failure| tell(&name, &failure)))
        };
        told.map_err(|error| report::unwritable(&error))?;
    }
    first.map_or(Ok(()), |class| Err(Failed::Said(class)))
}

fn say(text: &str) -> std::io::Result<()> {
    std::io::stdout().write_all(text.as_bytes())
}

fn tell(name: &str, failure: &Failure) -> std::io::Result<()> {
    std::io::stderr().write_all(report::failed(name, failure).as_bytes())
}

fn tell_json(object: &Shown, failure: Option<&Failure>) -> Result<std::io::Result<()>, Failure> {
    let mut line = serde_json::to_string(object).map_err(|error| {
        Failure::new(Class::Internal, "internal", "no JSON of it").because(&error)
    })?;
    if let Some(failure) = failure {
        // Behind its error the object ends.
        line.pop();
        line += &format!(",\"error\":{}}}", report::error(failure));
    }
    Ok(say(&format!("{line}\n")))
}

/// Reads one file and recognises what it is.
fn inspect(path: &Path, signatures: &mut Signatures<'_>) -> Result<Shown, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Class::Usage, "file-unreadable", "the file cannot be read").because(&error)
    };
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin()
            .take(MAX_FILE)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_FILE)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    recognise(&bytes, signatures)
}

/// By the first bytes: JSON, PEM, a signed note, DER.
fn recognise(bytes: &[u8], signatures: &mut Signatures<'_>) -> Result<Shown, Failure> {
    let text = std::str::from_utf8(bytes).ok();
    match (bytes.trim_ascii_start().first(), text) {
        (Some(b'{'), _) => json(bytes, signatures),
        (_, Some(text)) if text.contains("-----BEGIN ") => pem(text),
        (_, Some(text)) if text.contains("\n\u{2014} ") => note::shown(text, signatures),
        (Some(0x30), _) => der(bytes),
        _ => Err(unknown()),
    }
}

fn unknown() -> Failure {
    let known = "a bundle, trusted root, trust config, signing config, certificate, key, timestamp or checkpoint";
    Failure::new(
        Class::Malformed,
        "unrecognised",
        "this is nothing that can be shown",
    )
    .expected(known, "something else")
}

/// JSON by its media type.
fn json(bytes: &[u8], signatures: &mut Signatures<'_>) -> Result<Shown, Failure> {
    let malformed = |kind: &str, error: &dyn std::error::Error| {
        Failure::new(
            Class::Malformed,
            "malformed",
            format!("this {kind} is malformed"),
        )
        .because(error)
    };
    let media_type = crate::trust::media_type(bytes).unwrap_or_default();
    if media_type.contains("trustedroot") {
        let root =
            TrustedRoot::from_json(bytes).map_err(|error| malformed("trusted root", &error))?;
        Ok(trusted_root::shown(&root))
    } else if media_type.contains("clienttrustconfig") {
        let config = ClientTrustConfig::from_json(bytes)
            .map_err(|error| malformed("client trust config", &error))?;
        Ok(
            Shown::fields([("kind", Shown::text("client trust config"))])
                .with("trustedRoot", trusted_root::shown(&config.trusted_root))
                .with(
                    "signingConfig",
                    signing_config::shown(&config.signing_config),
                ),
        )
    } else if media_type.contains("signingconfig") {
        let config =
            SigningConfig::from_json(bytes).map_err(|error| malformed("signing config", &error))?;
        Ok(signing_config::shown(&config))
    } else {
        // What names no media type is most likely a bundle that is broken.
        let bundle = Bundle::from_json(bytes).map_err(|error| malformed("bundle", &error))?;
        Ok(bundle::shown(&bundle, signatures))
    }
}

fn pem(text: &str) -> Result<Shown, Failure> {
    let malformed = |error: &dyn std::error::Error| {
        Failure::new(Class::Malformed, "malformed", "this PEM file is malformed").because(error)
    };
    let blocks = Pem::parse_many(text).map_err(|error| malformed(&error))?;
    let mut all = Vec::with_capacity(blocks.len());
    for block in &blocks {
        all.push(match block.label.as_str() {
            "CERTIFICATE" => certificate::shown(&block.der).map_err(|error| malformed(&error))?,
            "PUBLIC KEY" => {
                key(&PublicKey::from_spki_der(&block.der).map_err(|error| malformed(&error))?)
            }
            // Of a private key nothing is shown.
            label => Shown::fields([("kind", Shown::text(label.to_lowercase()))]),
        });
    }
    match <[Shown; 1]>::try_from(all) {
        Ok([one]) => Ok(one),
        Err(all) => Ok(Shown::List(all)),
    }
}

fn der(bytes: &[u8]) -> Result<Shown, Failure> {
    if let Ok(shown) = certificate::shown(bytes) {
        return Ok(shown);
    }
    if let Ok(found) = PublicKey::from_spki_der(bytes) {
        return Ok(key(&found));
    }
    bundle::timestamp(bytes)
        .map(|shown| Shown::fields([("kind", Shown::text("timestamp"))]).with("timestamp", shown))
        .ok_or_else(unknown)
}

/// A public key: its kind, its length, and the hash by which logs are named.
fn key(key: &PublicKey) -> Shown {
    let bits = key.rsa_bits().and_then(|bits| i64::try_from(bits).ok());
    Shown::fields([
        ("kind", Shown::text("public key")),
        ("algorithm", Shown::text(format!("{:?}", key.kind()))),
    ])
    .with_some("bits", bits.map(Shown::Number))
    .with("sha256", Shown::hex(&key.spki_sha256()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_are_refused_and_not_guessed() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(
                recognise(bytes, &mut Signatures::default())
                    .unwrap_err()
                    .code,
                expected,
                "{bytes:?}"
            );
        };
        check(b"", "unrecognised");
        check(b"hello", "unrecognised");
        check(&[0x30, 0x03, 1, 2, 3], "unrecognised");
        check(&[0xff; 64], "unrecognised");
        check(b"{", "malformed");
        check(b"{}", "malformed");
        check(b"-----BEGIN CERTIFICATE-----\n", "malformed");
        check("x\n\u{2014} y z\n".as_bytes(), "malformed");
    }

    #[test]
    fn of_a_private_key_nothing_is_shown() {
        let pem = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        assert_eq!(
            recognise(pem.as_bytes(), &mut Signatures::default())
                .unwrap()
                .lines(),
            "kind: private key\n"
        );
    }
}
