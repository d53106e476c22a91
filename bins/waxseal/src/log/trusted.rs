//! Whose signature a log's checkpoint must have.

use std::path::Path;

use waxseal_crypto::{KeyKind, PublicKey};
use waxseal_crypto_aws_lc::provider;
use waxseal_formats::{TransparencyLogInstance, TrustedRoot};
use waxseal_tlog::{
    BundleFormat, Checkpoint, CheckpointError, KeyId, KeyName, LogKey, NoteKey, PolicyError,
    SignatureKind, SignedNote, WitnessPolicy,
};

use crate::args::FsckArgs;
use crate::keys::read_public_key;
use crate::outcome::{Class, Failure};
use crate::trust;

/// The longest file with a verifier key, or a witness policy.
const MAX_TEXT: u64 = 1 << 20;

/// A checkpoint whose log is trusted.
pub(crate) struct Opened {
    pub(crate) checkpoint: Checkpoint,
    /// What the log's bundles are: RFC 6962 logs sign in a way of their own.
    pub(crate) format: BundleFormat,
    /// How many witnesses of the policy have cosigned.
    pub(crate) cosigned: usize,
}

/// Opens a checkpoint with the keys that the arguments name.
///
/// # Errors
/// [`Class::TrustRoot`] if no key fits, [`Class::Cryptographic`] if a signature does not hold,
/// [`Class::Malformed`] if it is not a checkpoint, [`Class::Policy`] without a quorum.
pub(crate) fn open(args: &FsckArgs, bytes: &[u8]) -> Result<Opened, Failure> {
    let malformed = |error: &dyn std::error::Error| {
        let message = "the checkpoint is malformed";
        Failure::new(Class::Malformed, "checkpoint-malformed", message).because(error)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(&error))?;
    let note = SignedNote::parse(text).map_err(|error| malformed(&error))?;
    let claimed = note
        .unverified_checkpoint()
        .map_err(|error| malformed(&error))?;
    let origin = claimed.origin().as_str();
    let keys = match &args.key {
        Some(path) => keys_of_file(path, origin)?,
        None => keys_of_root(&trust::load(&args.trust)?.root, origin),
    };
    let mut failure = CheckpointError::NotSignedByLog;
    for key in &keys {
        match Checkpoint::open(&note, key, &[]) {
            Ok(checkpoint) => {
                let format = match key.key.kind() {
                    SignatureKind::Rfc6962 => BundleFormat::Data,
                    _ => BundleFormat::Entries,
                };
                let cosigned = demand_quorum(args.witness_policy.as_deref(), &note)?;
                return Ok(Opened {
                    checkpoint,
                    format,
                    cosigned,
                });
            }
            Err(CheckpointError::Open(waxseal_tlog::OpenError::NoKnownSignature)) => {}
            Err(error) => failure = error,
        }
    }
    if failure == CheckpointError::NotSignedByLog {
        let message = format!("no key that is trusted has signed the checkpoint of {origin}");
        return Err(Failure::new(Class::TrustRoot, "log-key-unknown", message)
            .hint("--key FILE, --instance DIR, --trusted-root FILE"));
    }
    let message = format!("the checkpoint of {origin} does not hold");
    Err(Failure::new(Class::Cryptographic, "checkpoint-invalid", message).because(&failure))
}

/// How many witnesses have cosigned, if a policy is given and it is satisfied.
fn demand_quorum(policy: Option<&Path>, note: &SignedNote) -> Result<usize, Failure> {
    let Some(path) = policy else { return Ok(0) };
    let bytes = read_text(path)?;
    let policy = WitnessPolicy::parse(provider(), &bytes).map_err(|error| {
        let message = format!("the witness policy {} cannot be used", path.display());
        Failure::new(Class::Usage, "witness-policy-malformed", message).because(&error)
    })?;
    let met = policy.open(note).map_err(|error| {
        let (class, code) = match error {
            PolicyError::QuorumNotMet => (Class::Policy, "quorum-missing"),
            PolicyError::UnknownLog => (Class::Policy, "log-not-in-policy"),
            _ => (Class::Cryptographic, "checkpoint-invalid"),
        };
        Failure::new(class, code, error.to_string()).led_by(&error)
    })?;
    Ok(met.cosignatures().len())
}

/// The key of a file, under the name that the checkpoint claims: what it signs names the log.
fn keys_of_file(path: &Path, origin: &str) -> Result<Vec<LogKey>, Failure> {
    let bytes = read_text(path)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    let is_vkey = !text.contains("-----BEGIN") && !text.contains('\n') && text.contains('+');
    if is_vkey && let Ok(key) = NoteKey::from_vkey(provider(), text) {
        return Ok(vec![LogKey::new(key)]);
    }
    let key = read_public_key(path)?;
    let keys = kinds(&key)
        .filter_map(|kind| note_key(origin, kind, &key))
        .map(LogKey::new)
        .collect();
    Ok(keys)
}

/// The kinds of signature that such a key makes for a log.
fn kinds(key: &PublicKey) -> impl Iterator<Item = SignatureKind> + use<> {
    let ct = matches!(key.kind(), KeyKind::P256 | KeyKind::Rsa).then_some(SignatureKind::Rfc6962);
    SignatureKind::of_log(key).ok().into_iter().chain(ct)
}

/// The keys of a trusted root's logs of this name: the address without its scheme, or its host.
fn keys_of_root(root: &TrustedRoot, origin: &str) -> Vec<LogKey> {
    let of = |log: &TransparencyLogInstance, is_ct: bool| {
        let rest = log.base_url.split_once("://").map_or("", |(_, rest)| rest);
        let address = rest.trim_end_matches('/');
        let host = address.split(['/', ':']).next().unwrap_or_default();
        if origin != address && origin != host {
            return None;
        }
        let key = PublicKey::from_spki_der(&log.public_key.raw_bytes).ok()?;
        let kind = if is_ct {
            SignatureKind::Rfc6962
        } else {
            SignatureKind::of_log(&key).ok()?
        };
        let made = note_key(origin, kind, &key)?;
        let id = log.checkpoint_key_id.as_deref();
        let id = id.filter(|_| !is_ct).and_then(KeyId::from_prefix);
        Some(LogKey::new(match id {
            Some(id) => made.with_key_id(id),
            None => made,
        }))
    };
    let logs = root.tlogs.iter().filter_map(|log| of(log, false));
    let ct = root.ctlogs.iter().filter_map(|log| of(log, true));
    logs.chain(ct).collect()
}

fn note_key(name: &str, kind: SignatureKind, key: &PublicKey) -> Option<NoteKey> {
    NoteKey::new(provider(), KeyName::new(name).ok()?, kind, key).ok()
}

fn read_text(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| {
        Failure::usage(format!("{} cannot be read", path.display())).because(&error)
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_TEXT)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}
