//! `waxseal verify`.

use std::path::PathBuf;

use clap::Args;

use super::{IdentityArgs, OutputArgs, TrustArgs};

const EXAMPLES: &str = "\
Examples:
  waxseal verify app.tar.gz --identity you@example.com \\
      --issuer https://accounts.google.com
  waxseal verify app.tar.gz --identity-glob \\
      'https://github.com/acme/app/.github/workflows/*@refs/tags/v*' \\
      --issuer https://token.actions.githubusercontent.com
  waxseal verify sha256:9f86d081… --bundle app.sigstore.json --key release.pub
  waxseal verify app.tar.gz --instance waxseal-data --identity you@example.com \\
      --issuer http://localhost:8383/auth

Exit codes: 0 verified · 1 internal · 2 usage · 3 does not hold ·
  4 not who or what was asked for · 5 no bundle found ·
  6 malformed or unsupported · 7 trust root";

/// Checks who signed a file, and when
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Files to verify, `-` for stdin, or digests as `sha256:HEX`
    #[arg(required = true, value_name = "FILE|sha256:HEX")]
    pub(crate) artifacts: Vec<String>,

    /// Bundle of the one artifact [default: FILE.sigstore.json, FILE.sigstore, FILE.sigstore.jsonl]
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How much evidence is asked for, and at what time.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct EvidenceArgs {
    /// Log operators that must have logged the signature
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) min_logs: u8,

    /// Timestamp authorities that must have stamped it
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) min_timestamps: u8,

    /// Accept a v1 log's promise in place of its proof
    #[arg(long)]
    pub(crate) accept_promise: bool,

    /// Accept a certificate that no CT log has promised to log
    #[arg(long)]
    pub(crate) allow_no_sct: bool,

    /// Ask for an attestation with this predicate type: a URI, or a short name such as slsa1
    #[arg(long = "type", value_name = "URI")]
    pub(crate) predicate_type: Option<String>,

    /// Verify as of this time (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,

    /// Open no socket (this command never does; said for scripts that rely on it)
    #[arg(long)]
    pub(crate) offline: bool,
}
