//! `waxseal sign` and `waxseal attest`.

use std::path::PathBuf;

use clap::Args;

use super::login::LoginArgs;
use super::{OutputArgs, TrustArgs};

const SIGN_EXAMPLES: &str = "\
Examples:
  # opens the log-in page, or takes the CI job's identity
  waxseal sign app.tar.gz
  # one log-in and one certificate for all, one bundle each
  waxseal sign --instance waxseal-data *.tar.gz
  # log in at Google; over SSH, by a code to enter in any browser
  waxseal sign app.tar.gz --provider google
  waxseal sign app.tar.gz --identity-token @token.jwt
  waxseal sign app.tar.gz --key release.key

Exit codes: 0 signed · 1 internal · 2 usage · 3 an answer does not hold ·
  6 malformed · 7 trust root · 8 no identity · 9 a service is unavailable ·
  10 refused, such as to overwrite a bundle · 130 interrupted";

const ATTEST_EXAMPLES: &str = "\
Examples:
  waxseal attest app.tar.gz --predicate provenance.json --type slsa1
  waxseal attest --statement statement.json

Exit codes: as of waxseal sign";

/// Signs files as yourself, and writes a bundle beside each
#[derive(Debug, Args)]
#[command(after_help = SIGN_EXAMPLES)]
pub(crate) struct SignArgs {
    /// Files to sign
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) signer: SignerArgs,

    #[command(flatten)]
    pub(crate) bundle: BundleArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) services: ServiceArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Signs an in-toto statement about files, and writes a bundle beside each
#[derive(Debug, Args)]
#[command(after_help = ATTEST_EXAMPLES)]
pub(crate) struct AttestArgs {
    /// Files that the statement is about
    #[arg(required_unless_present = "statement", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Predicate, as JSON
    #[arg(
        long,
        value_name = "FILE",
        requires = "predicate_type",
        required_unless_present = "statement"
    )]
    pub(crate) predicate: Option<PathBuf>,

    /// Type of the predicate: a URI, or one of its short names
    #[arg(long = "type", value_name = "URI|NAME", requires = "predicate")]
    pub(crate) predicate_type: Option<String>,

    /// Whole statement, signed byte for byte as it is
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "predicate", "predicate_type"])]
    pub(crate) statement: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) signer: SignerArgs,

    #[command(flatten)]
    pub(crate) bundle: BundleArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) services: ServiceArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// As whom to sign.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Signer")]
pub(crate) struct SignerArgs {
    /// Private key (PKCS#8) to sign with, in place of an identity
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "identity_token", "no_ambient", "cache", "provider", "device", "no_browser",
    ])]
    pub(crate) key: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) login: LoginArgs,
}

/// Where bundles go.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Bundle")]
pub(crate) struct BundleArgs {
    /// Bundle of the one file [default: FILE.sigstore.json]
    #[arg(short = 'o', long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,

    /// Replace bundles that exist
    #[arg(long)]
    pub(crate) force: bool,
}

/// Where to go.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Services")]
pub(crate) struct ServiceArgs {
    /// Signing config to use instead of the instance's
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,

    /// Certificates (PEM) to trust for TLS beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Accept a certificate that no CT log has promised, from a CA that has none
    #[arg(long)]
    pub(crate) allow_no_sct: bool,
}
