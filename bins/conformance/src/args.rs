//! The command line as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    SignBundle(SignBundle),
    VerifyBundle(VerifyBundle),
}

/// `sign-bundle`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SignBundle {
    pub(crate) staging: bool,
    pub(crate) in_toto: bool,
    pub(crate) identity_token: String,
    pub(crate) bundle: PathBuf,
    pub(crate) trusted_root: Option<PathBuf>,
    pub(crate) signing_config: Option<PathBuf>,
    /// The file to sign, or the statement.
    pub(crate) artifact: PathBuf,
}

/// `verify-bundle`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VerifyBundle {
    pub(crate) staging: bool,
    pub(crate) bundle: PathBuf,
    pub(crate) signer: Signer,
    pub(crate) trusted_root: Option<PathBuf>,
    /// A path, or `sha256:` and a digest.
    pub(crate) artifact: OsString,
}

/// Who must have signed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Signer {
    Identity { identity: String, issuer: String },
    Key(PathBuf),
}

/// Why a command line is not of the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("unknown subcommand {0:?}, expected sign-bundle or verify-bundle")]
    Subcommand(OsString),
    #[error("unknown option {0:?}")]
    Option(String),
    #[error("{0} is missing, or has no value")]
    Missing(&'static str),
    #[error("the value of {0} is not UTF-8")]
    NotUtf8(&'static str),
    #[error("expected --key, or --certificate-identity with --certificate-oidc-issuer")]
    Signer,
    #[error("expected exactly one artifact")]
    Artifact,
}

/// Parses everything after the program's name. Options may stand in any order.
pub(crate) fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Command, ArgsError> {
    let subcommand = args.next().unwrap_or_default();
    let words = match subcommand.to_str() {
        Some("sign-bundle") => Words::read(args, SIGN)?,
        Some("verify-bundle") => Words::read(args, VERIFY)?,
        _ => return Err(ArgsError::Subcommand(subcommand)),
    };
    if subcommand == "sign-bundle" {
        sign_bundle(words)
    } else {
        verify_bundle(words)
    }
}

/// The options of a subcommand: switches, and those that take a value.
type Options = (&'static [&'static str], &'static [&'static str]);

const SIGN: Options = (
    &["--staging", "--in-toto"],
    &[
        "--identity-token",
        "--bundle",
        "--trusted-root",
        "--signing-config",
    ],
);
const VERIFY: Options = (
    &["--staging"],
    &[
        "--bundle",
        "--key",
        "--trusted-root",
        "--certificate-identity",
        "--certificate-oidc-issuer",
    ],
);

/// A command line, sorted.
#[derive(Default)]
struct Words {
    switches: BTreeSet<&'static str>,
    values: BTreeMap<&'static str, OsString>,
    artifacts: Vec<OsString>,
}

impl Words {
    fn read(
        mut args: impl Iterator<Item = OsString>,
        (switches, options): Options,
    ) -> Result<Self, ArgsError> {
        let mut words = Self::default();
        while let Some(arg) = args.next() {
            let text = arg.to_str().filter(|text| text.starts_with("--"));
            let Some(text) = text else {
                words.artifacts.push(arg);
                continue;
            };
            if let Some(switch) = switches.iter().find(|switch| **switch == text) {
                words.switches.insert(switch);
            } else if let Some(option) = options.iter().find(|option| **option == text) {
                let value = args.next().ok_or(ArgsError::Missing(option))?;
                words.values.insert(option, value);
            } else {
                return Err(ArgsError::Option(text.to_owned()));
            }
        }
        Ok(words)
    }

    fn path(&mut self, option: &'static str) -> Option<PathBuf> {
        self.values.remove(option).map(PathBuf::from)
    }

    fn required_path(&mut self, option: &'static str) -> Result<PathBuf, ArgsError> {
        self.path(option).ok_or(ArgsError::Missing(option))
    }

    fn text(&mut self, option: &'static str) -> Result<Option<String>, ArgsError> {
        let value = self.values.remove(option);
        value
            .map(|value| value.into_string().map_err(|_| ArgsError::NotUtf8(option)))
            .transpose()
    }

    fn artifact(&mut self) -> Result<OsString, ArgsError> {
        match (self.artifacts.pop(), self.artifacts.is_empty()) {
            (Some(artifact), true) => Ok(artifact),
            _ => Err(ArgsError::Artifact),
        }
    }
}

fn sign_bundle(mut words: Words) -> Result<Command, ArgsError> {
    let token = "--identity-token";
    Ok(Command::SignBundle(SignBundle {
        staging: words.switches.contains("--staging"),
        in_toto: words.switches.contains("--in-toto"),
        identity_token: words.text(token)?.ok_or(ArgsError::Missing(token))?,
        bundle: words.required_path("--bundle")?,
        trusted_root: words.path("--trusted-root"),
        signing_config: words.path("--signing-config"),
        artifact: words.artifact()?.into(),
    }))
}

fn verify_bundle(mut words: Words) -> Result<Command, ArgsError> {
    let key = words.path("--key");
    let identity = words.text("--certificate-identity")?;
    let issuer = words.text("--certificate-oidc-issuer")?;
    let signer = match (key, identity, issuer) {
        (Some(key), None, None) => Signer::Key(key),
        (None, Some(identity), Some(issuer)) => Signer::Identity { identity, issuer },
        _ => return Err(ArgsError::Signer),
    };
    let artifact = words.artifact()?;
    Ok(Command::VerifyBundle(VerifyBundle {
        staging: words.switches.contains("--staging"),
        bundle: words.required_path("--bundle")?,
        signer,
        trusted_root: words.path("--trusted-root"),
        artifact,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &Result<Command, ArgsError>) {
        assert_eq!(
            &parse(line.split(' ').map(OsString::from)),
            expected,
            "{line}"
        );
    }

    fn command(signer: Signer, trusted_root: Option<&str>, staging: bool) -> Command {
        Command::VerifyBundle(VerifyBundle {
            staging,
            bundle: "b".into(),
            signer,
            trusted_root: trusted_root.map(PathBuf::from),
            artifact: "f".into(),
        })
    }

    #[test]
    fn both_forms_of_the_protocol() {
        let identity = || Signer::Identity {
            identity: "a".into(),
            issuer: "i".into(),
        };
        check(
            "verify-bundle --staging --bundle b --certificate-identity a --certificate-oidc-issuer i f",
            &Ok(command(identity(), None, true)),
        );
        check(
            "verify-bundle --bundle b --certificate-identity a --certificate-oidc-issuer i --trusted-root t f",
            &Ok(command(identity(), Some("t"), false)),
        );
        check(
            "verify-bundle --bundle b --key k --trusted-root t f",
            &Ok(command(Signer::Key("k".into()), Some("t"), false)),
        );
    }

    #[test]
    fn the_signing_half() {
        let expected = |staging, in_toto, files: bool| {
            Ok(Command::SignBundle(SignBundle {
                staging,
                in_toto,
                identity_token: "t".into(),
                bundle: "b".into(),
                trusted_root: files.then(|| "r".into()),
                signing_config: files.then(|| "s".into()),
                artifact: "f".into(),
            }))
        };
        check(
            "sign-bundle --identity-token t --bundle b f",
            &expected(false, false, false),
        );
        check(
            "sign-bundle --staging --in-toto --identity-token t --bundle b --trusted-root r \
             --signing-config s f",
            &expected(true, true, true),
        );
        check(
            "sign-bundle --bundle b f",
            &Err(ArgsError::Missing("--identity-token")),
        );
        check(
            "sign-bundle --key k",
            &Err(ArgsError::Option("--key".into())),
        );
    }

    #[test]
    fn other_lines_are_refused() {
        check("verify", &Err(ArgsError::Subcommand("verify".into())));
        check(
            "verify-bundle --bundle",
            &Err(ArgsError::Missing("--bundle")),
        );
        check(
            "verify-bundle --key k f",
            &Err(ArgsError::Missing("--bundle")),
        );
        check("verify-bundle --bundle b f", &Err(ArgsError::Signer));
        check(
            "verify-bundle --bundle b --certificate-identity a f",
            &Err(ArgsError::Signer),
        );
        check(
            "verify-bundle --bundle b --key k",
            &Err(ArgsError::Artifact),
        );
        check(
            "verify-bundle --bundle b --key k f g",
            &Err(ArgsError::Artifact),
        );
        check(
            "verify-bundle --offline",
            &Err(ArgsError::Option("--offline".into())),
        );
    }
}
