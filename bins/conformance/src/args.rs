//! The command line as plain data.

use std::ffi::OsString;
use std::path::PathBuf;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    VerifyBundle(VerifyBundle),
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
    #[error("unknown subcommand {0:?}, expected verify-bundle")]
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
    if subcommand != "verify-bundle" {
        return Err(ArgsError::Subcommand(subcommand));
    }
    let mut staging = false;
    let (mut bundle, mut identity, mut issuer) = (None, None, None);
    let (mut key, mut trusted_root) = (None, None);
    let mut artifacts = Vec::new();
    while let Some(arg) = args.next() {
        let mut value = |name| args.next().ok_or(ArgsError::Missing(name));
        match arg.to_str() {
            Some("--staging") => staging = true,
            Some("--bundle") => bundle = Some(value("--bundle")?),
            Some("--key") => key = Some(value("--key")?),
            Some("--trusted-root") => trusted_root = Some(value("--trusted-root")?),
            Some("--certificate-identity") => identity = Some(value("--certificate-identity")?),
            Some("--certificate-oidc-issuer") => issuer = Some(value("--certificate-oidc-issuer")?),
            Some(option) if option.starts_with("--") => {
                return Err(ArgsError::Option(option.to_owned()));
            }
            _ => artifacts.push(arg),
        }
    }
    let text = |name, value: OsString| value.into_string().map_err(|_| ArgsError::NotUtf8(name));
    let signer = match (key, identity, issuer) {
        (Some(key), None, None) => Signer::Key(key.into()),
        (None, Some(identity), Some(issuer)) => Signer::Identity {
            identity: text("--certificate-identity", identity)?,
            issuer: text("--certificate-oidc-issuer", issuer)?,
        },
        _ => return Err(ArgsError::Signer),
    };
    match (artifacts.pop(), artifacts.is_empty()) {
        (Some(artifact), true) => Ok(Command::VerifyBundle(VerifyBundle {
            staging,
            bundle: bundle.ok_or(ArgsError::Missing("--bundle"))?.into(),
            signer,
            trusted_root: trusted_root.map(PathBuf::from),
            artifact,
        })),
        _ => Err(ArgsError::Artifact),
    }
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
