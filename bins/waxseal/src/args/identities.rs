//! Who may have signed: identities with their issuers, claims, a key, or anybody.
//!
//! The order on the command line matters (`--identity A --issuer X --identity B --issuer Y`), and
//! clap's derive keeps no order between options; so these are read by hand.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

const HEADING: &str = "Who signed (one is required)";

/// Who may have signed.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdentityArgs {
    /// The subjects, in the order they were typed.
    pub(crate) subjects: Vec<SubjectArg>,
    /// The issuers, in the order they were typed.
    pub(crate) issuers: Vec<String>,
    /// `NAME=VALUE`, exact.
    pub(crate) claims: Vec<String>,
    /// `NAME=PATTERN`.
    pub(crate) claim_globs: Vec<String>,
    /// A public key.
    pub(crate) key: Option<PathBuf>,
    /// The key's algorithm, by its name in the registry.
    pub(crate) key_details: Option<String>,
    /// Anybody.
    pub(crate) any_identity: bool,
}

/// One subject, and how it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubjectArg {
    /// How it is compared.
    pub(crate) how: Subject,
    /// The text.
    pub(crate) text: String,
}

/// How a subject is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Byte for byte.
    Exact,
    /// As a glob.
    Glob,
    /// As a regular expression of the whole.
    Regexp,
}

const SUBJECTS: [(&str, &str, Subject, &str); 3] = [
    (
        "identity",
        "ID",
        Subject::Exact,
        "Exactly this e-mail address, URI or user name; repeat for any of several",
    ),
    (
        "identity-glob",
        "GLOB",
        Subject::Glob,
        "A pattern: * stops at / and @",
    ),
    (
        "identity-regexp",
        "RE",
        Subject::Regexp,
        "A regular expression of the whole identity",
    ),
];

impl Args for IdentityArgs {
    fn augment_args(command: Command) -> Command {
        let option = |name: &'static str, value: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name(value)
                .help(help)
                .help_heading(HEADING)
                .action(ArgAction::Append)
        };
        let mut command = command;
        for (name, value, _, help) in SUBJECTS {
            command =
                command.arg(option(name, value, help).conflicts_with_all(["key", "any-identity"]));
        }
        command
            .arg(
                option(
                    "issuer",
                    "URL",
                    "Who vouches for the identity: once for all, or once for each",
                )
                .conflicts_with_all(["key", "any-identity"]),
            )
            .arg(
                option(
                    "claim",
                    "NAME=VALUE",
                    "Claim of the certificate, by name or OID, exactly",
                )
                .visible_alias("oid")
                .conflicts_with_all(["key", "any-identity"]),
            )
            .arg(
                option(
                    "claim-glob",
                    "NAME=GLOB",
                    "Claim of the certificate that matches a pattern",
                )
                .conflicts_with_all(["key", "any-identity"]),
            )
            .arg(
                option(
                    "key",
                    "FILE",
                    "Signed with this public key, and no certificate",
                )
                .action(ArgAction::Set)
                .value_parser(value_parser!(PathBuf))
                .conflicts_with("any-identity"),
            )
            .arg(
                option(
                    "key-details",
                    "NAME",
                    "The key's algorithm, such as PKIX_ED25519_PH",
                )
                .action(ArgAction::Set)
                .requires("key"),
            )
            .arg(
                Arg::new("any-identity")
                    .long("any-identity")
                    .help("Anybody: proves that somebody signed, and says who")
                    .help_heading(HEADING)
                    .action(ArgAction::SetTrue),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for IdentityArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let all = |name: &str| -> Vec<String> {
            matches
                .get_many::<String>(name)
                .unwrap_or_default()
                .cloned()
                .collect()
        };
        let mut subjects: Vec<(usize, SubjectArg)> = Vec::new();
        for (name, _, how, _) in SUBJECTS {
            let indices = matches.indices_of(name).into_iter().flatten();
            let texts = all(name).into_iter();
            subjects.extend(
                indices
                    .zip(texts)
                    .map(|(at, text)| (at, SubjectArg { how, text })),
            );
        }
        subjects.sort_by_key(|(at, _)| *at);
        let args = Self {
            subjects: subjects.into_iter().map(|(_, subject)| subject).collect(),
            issuers: all("issuer"),
            claims: all("claim"),
            claim_globs: all("claim-glob"),
            key: matches.get_one::<PathBuf>("key").cloned(),
            key_details: matches.get_one::<String>("key-details").cloned(),
            any_identity: matches.get_flag("any-identity"),
        };
        if args.says_nobody() {
            return Err(clap::Error::raw(
                ErrorKind::MissingRequiredArgument,
                "say who must have signed: --identity ID --issuer URL, or --key FILE \
                 (--any-identity to accept anybody)\n",
            ));
        }
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl IdentityArgs {
    const fn says_nobody(&self) -> bool {
        self.subjects.is_empty()
            && self.issuers.is_empty()
            && self.claims.is_empty()
            && self.claim_globs.is_empty()
            && self.key.is_none()
            && !self.any_identity
    }
}
