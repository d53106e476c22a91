//! From what was typed to what is asked of the library.

use waxseal_crypto::{Clock as _, KeyDetails, Time};
use waxseal_crypto_aws_lc::{SystemClock, provider};
use waxseal_formats::claims::ClaimName;
use waxseal_verify::{IdentityRule, Pattern, ValidFor, VerificationPolicy, Verifier};

use crate::args::{IdentityArgs, Subject, SubjectArg, VerifyArgs};
use crate::keys::read_public_key;
use crate::outcome::{Class, Failure};
use crate::predicate::{predicate_type, short_names};
use crate::trust;

/// Everything that is the same for every artifact.
pub(crate) struct Plan {
    /// Prepared from the trusted root.
    pub(crate) verifier: Verifier,
    /// What is asked for.
    pub(crate) policy: VerificationPolicy,
    /// The present, or the time that was said.
    pub(crate) now: Time,
    /// Where the trusted root comes from.
    pub(crate) trust: String,
    /// What the person should know before any verdict.
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    /// Reads the files that the arguments name, and checks that the arguments fit together.
    ///
    /// # Errors
    /// [`Class::Usage`], or [`Class::TrustRoot`].
    pub(crate) fn of(args: &VerifyArgs) -> Result<Self, Failure> {
        if args.bundle.is_some() && args.artifacts.len() > 1 {
            return Err(Failure::usage(
                "--bundle is of one artifact, and there are several",
            ));
        }
        let from_stdin = args.artifacts.iter().filter(|text| *text == "-").count()
            + usize::from(
                args.bundle
                    .as_ref()
                    .is_some_and(|path| path.as_os_str() == "-"),
            );
        if from_stdin > 1 {
            return Err(Failure::usage("stdin can be read once"));
        }
        let now = match &args.evidence.at {
            None => SystemClock.now(),
            Some(text) => Time::parse_rfc3339(text).map_err(|error| {
                Failure::usage(format!("--at {text}: not a time"))
                    .because(&error)
                    .hint("such as 2026-11-20T14:02:11Z")
            })?,
        };
        let policy = policy(args)?;
        let trust = trust::load(&args.trust)?;
        let verifier = Verifier::new(provider(), &trust.root).map_err(|error| {
            let message = format!("the trusted root {} cannot be used", trust.source);
            Failure::new(Class::TrustRoot, "trusted-root-ambiguous", message).because(&error)
        })?;
        let mut warnings = Vec::new();
        if args.identity.any_identity {
            warnings.push("--any-identity: who signed is shown, and not checked".to_owned());
        }
        if args.evidence.allow_no_sct {
            warnings.push("--allow-no-sct: the certificate may be unknown to every log".to_owned());
        }
        if args.evidence.accept_promise {
            warnings.push("--accept-promise: the entry may never have been published".to_owned());
        }
        Ok(Self {
            verifier,
            policy,
            now,
            trust: trust.source,
            warnings,
        })
    }
}

fn policy(args: &VerifyArgs) -> Result<VerificationPolicy, Failure> {
    let evidence = &args.evidence;
    let mut policy = signer(&args.identity)?
        .log_threshold(usize::from(evidence.min_logs))
        .timestamp_threshold(usize::from(evidence.min_timestamps));
    if evidence.accept_promise {
        policy = policy.accept_promise();
    }
    if evidence.allow_no_sct {
        policy = policy.sct_threshold(0);
    }
    if let Some(word) = &evidence.predicate_type {
        let wanted = predicate_type(word).ok_or_else(|| {
            Failure::usage(format!("--type {word}: neither a URI nor a short name"))
                .expected(short_names(), word)
        })?;
        policy = policy.predicate_type(wanted);
    }
    Ok(policy)
}

/// Who may have signed.
fn signer(args: &IdentityArgs) -> Result<VerificationPolicy, Failure> {
    if args.any_identity {
        return Ok(VerificationPolicy::any_identity());
    }
    if let Some(path) = &args.key {
        let policy = VerificationPolicy::key(read_public_key(path)?, ValidFor::always());
        let Some(name) = &args.key_details else {
            return Ok(policy);
        };
        let details = KeyDetails::by_name(name)
            .ok_or_else(|| Failure::usage(format!("--key-details {name}: not in the registry")))?;
        return Ok(policy.signed_with(details.algorithm));
    }
    let mut rules = rules(args)?.into_iter();
    let nobody = || Failure::usage("say who must have signed: --identity ID --issuer URL");
    let first = VerificationPolicy::identity(rules.next().ok_or_else(nobody)?);
    Ok(rules.fold(first, VerificationPolicy::or))
}

/// One rule for each identity, every claim in each of them.
fn rules(args: &IdentityArgs) -> Result<Vec<IdentityRule>, Failure> {
    let mut claims = Vec::new();
    for text in &args.claims {
        let (name, value) = claim("--claim", text)?;
        claims.push((name, Pattern::exact(value)));
    }
    for text in &args.claim_globs {
        let (name, value) = claim("--claim-glob", text)?;
        claims.push((name, pattern(Subject::Glob, value)?));
    }
    let rules: Vec<IdentityRule> = match (args.subjects.as_slice(), args.issuers.as_slice()) {
        (_, []) => {
            return Err(Failure::usage("an identity is somebody's word: say whose, with --issuer URL")
                .hint("such as https://accounts.google.com, or https://token.actions.githubusercontent.com"));
        }
        ([], issuers) if claims.is_empty() => {
            let message = format!(
                "--issuer {} alone would accept everybody there",
                issuers.join(", ")
            );
            return Err(Failure::usage(message).hint("--identity ID, or --claim NAME=VALUE"));
        }
        ([], issuers) => issuers
            .iter()
            .map(|issuer| IdentityRule::any_subject_of(Pattern::exact(issuer)))
            .collect(),
        (subjects, [issuer]) => {
            let rules: Result<_, _> = subjects
                .iter()
                .map(|subject| rule(subject, issuer))
                .collect();
            rules?
        }
        (subjects, issuers) if subjects.len() == issuers.len() => {
            let pairs = subjects.iter().zip(issuers);
            let rules: Result<_, _> = pairs
                .map(|(subject, issuer)| rule(subject, issuer))
                .collect();
            rules?
        }
        (subjects, issuers) => {
            let message = format!(
                "{} identities and {} issuers: give one issuer for all, or one for each in their order",
                subjects.len(),
                issuers.len()
            );
            return Err(Failure::usage(message));
        }
    };
    let with_claims = |rule: IdentityRule| {
        claims
            .iter()
            .fold(rule, |rule, (name, value)| rule.claim(*name, value.clone()))
    };
    Ok(rules.into_iter().map(with_claims).collect())
}

fn rule(subject: &SubjectArg, issuer: &str) -> Result<IdentityRule, Failure> {
    Ok(IdentityRule::matching(
        pattern(subject.how, &subject.text)?,
        Pattern::exact(issuer),
    ))
}

fn pattern(how: Subject, text: &str) -> Result<Pattern, Failure> {
    let pattern = match how {
        Subject::Exact => Ok(Pattern::exact(text)),
        Subject::Glob => Pattern::glob(text),
        Subject::Regexp => Pattern::regex(text),
    };
    pattern.map_err(|error| Failure::usage(format!("{text}: not a pattern")).because(&error))
}

/// `NAME=VALUE`, the name in words or as an OID.
fn claim<'a>(option: &str, text: &'a str) -> Result<(ClaimName, &'a str), Failure> {
    const ARC: &str = "1.3.6.1.4.1.57264.1.";
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Failure::usage(format!("{option} {text}: expected NAME=VALUE")))?;
    let found = match name.strip_prefix(ARC) {
        Some(number) => number.parse().ok().and_then(ClaimName::by_arc),
        None => ClaimName::by_name(name),
    };
    let names = || {
        ClaimName::all()
            .map(ClaimName::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found = found.ok_or_else(|| {
        Failure::usage(format!("{option} {name}: no such claim")).expected(names(), name)
    })?;
    Ok((found, value))
}
