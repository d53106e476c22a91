//! The trusted root, prepared once: keys parsed, fixed chains verified, windows read.

use waxseal_crypto::{
    CryptoProvider, KeyDetails, KeyError, KeyKind, PublicKey, SignatureError, Time, VerifyingKey,
};
use waxseal_formats::{TimeRange, Timestamp, TransparencyLogInstance, TrustedRoot};
use waxseal_pki::timestamp::TimestampAuthority;
use waxseal_pki::{CaChain, ChainError, CtLogKey, Purpose};
use waxseal_tlog::{KeyId, KeyName, LogKey, NameError, NoteKey, NoteKeyError, SignatureKind};

use crate::ValidFor;

/// A transparency log.
pub(crate) struct Log {
    /// `logId.keyId`, as entries name the log: SHA-256 of the key, or of the key and the log's name.
    pub(crate) id: Vec<u8>,
    /// The host of its address.
    pub(crate) origin: String,
    pub(crate) operator: String,
    pub(crate) valid_for: ValidFor,
    /// For inclusion promises; `None` of a log that makes none. Only version 1 logs do, and are
    /// called by the hash of their key: the id of a version 2 log has its name in it. (Of an ECDSA
    /// log both are the same, and it is given the benefit of the doubt.)
    pub(crate) promise_key: Option<Box<dyn VerifyingKey>>,
    v1: Vec<LogKey>,
    v2: Vec<LogKey>,
}

/// A certificate transparency log.
pub(crate) struct CtLog {
    pub(crate) key: CtLogKey,
    pub(crate) operator: String,
    pub(crate) valid_for: ValidFor,
}

/// A certificate authority.
pub(crate) struct CertificateAuthority {
    pub(crate) chain: CaChain,
    pub(crate) valid_for: ValidFor,
}

/// A timestamp authority.
pub(crate) struct Tsa {
    pub(crate) authority: TimestampAuthority,
    pub(crate) uri: String,
    pub(crate) operator: String,
    pub(crate) valid_for: ValidFor,
}

/// Everybody whom a trusted root trusts.
pub(crate) struct Authorities {
    pub(crate) logs: Vec<Log>,
    pub(crate) ct_logs: Vec<CtLog>,
    pub(crate) certificate: Vec<CertificateAuthority>,
    pub(crate) timestamp: Vec<Tsa>,
}

/// Why a trusted root cannot be used at all. Single entries that cannot be used are no such reason:
/// they are skipped, because a root that adds a new kind of key must not stop old verifiers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedRootError {
    /// Two transparency logs have the same id: which one an entry is of would depend on the order.
    #[error("two transparency logs have the same id, at {first:?} and {second:?}")]
    DuplicateLogId {
        /// The address of the one.
        first: String,
        /// The address of the other.
        second: String,
    },
    /// Two certificate transparency logs have the same key.
    #[error("two certificate transparency logs have the same key, at {first:?} and {second:?}")]
    DuplicateCtLogKey {
        /// The address of the one.
        first: String,
        /// The address of the other.
        second: String,
    },
}

/// An entry of the trusted root that is not used, and so trusted with nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// What it would be.
    pub role: Role,
    /// Its address, as the trusted root says.
    pub address: String,
    /// Why it is not used.
    pub reason: SkipReason,
}

/// What an entry of a trusted root is trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// A transparency log.
    Log,
    /// A certificate transparency log.
    CtLog,
    /// A certificate authority.
    CertificateAuthority,
    /// A timestamp authority.
    TimestampAuthority,
}

/// Why an entry of a trusted root is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SkipReason {
    /// A kind of key or signature that is not known.
    #[error("unknown key details {0:?}")]
    UnknownKeyDetails(String),
    /// The key is malformed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key is not of the kind that its details say.
    #[error("the key is not of the kind that its details say")]
    WrongKeyKind,
    /// The provider does not have the algorithm, or refuses the key.
    #[error(transparent)]
    Provider(#[from] SignatureError),
    /// The log's key does not open checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] NoteKeyError),
    /// The log's address has no host that could be a name.
    #[error("the log's address gives it no name")]
    Name(#[source] NameError),
    /// The log's id is shorter than the four bytes of a key id.
    #[error("the log's id is too short")]
    ShortId,
    /// The start of validity is missing: such a key is never valid (`TimeRange`).
    #[error("the validity has no start")]
    NoStart,
    /// A time of the validity is out of range.
    #[error("the validity is out of range")]
    BadValidity,
    /// The chain of certificates is empty, or does not verify.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The timestamp authority's certificates do not verify.
    #[error(transparent)]
    TimestampAuthority(#[from] waxseal_pki::timestamp::AuthorityError),
}

impl Log {
    /// The keys that checkpoints of this log may be signed with, for entries of either generation.
    pub(crate) fn checkpoint_keys(&self, v2: bool) -> impl Iterator<Item = &LogKey> {
        if v2 { self.v2.iter() } else { self.v1.iter() }
    }
}

impl Authorities {
    /// Prepares every entry that can be used; the others are returned beside.
    pub(crate) fn prepare(
        provider: CryptoProvider,
        root: &TrustedRoot,
    ) -> Result<(Self, Vec<Skipped>), TrustedRootError> {
        let mut skipped = Vec::new();
        let logs = usable(&root.tlogs, Role::Log, &mut skipped, |log| {
            log_of(provider, log)
        });
        check_distinct(
            &logs,
            |log| &log.id,
            |first, second| TrustedRootError::DuplicateLogId { first, second },
        )?;
        let ct_logs = usable(&root.ctlogs, Role::CtLog, &mut skipped, |log| {
            ct_log_of(provider, log)
        });
        check_distinct(
            &ct_logs,
            |log| log.key.id(),
            |first, second| TrustedRootError::DuplicateCtLogKey { first, second },
        )?;
        let certificate = usable(
            &root.certificate_authorities,
            Role::CertificateAuthority,
            &mut skipped,
            |authority| {
                Ok(CertificateAuthority {
                    valid_for: window(authority.valid_for.as_ref())?,
                    chain: CaChain::new(provider, &authority.cert_chain, Purpose::CodeSigning)?,
                })
            },
        );
        let timestamp = usable(
            &root.timestamp_authorities,
            Role::TimestampAuthority,
            &mut skipped,
            |authority| {
                Ok(Tsa {
                    valid_for: window(authority.valid_for.as_ref())?,
                    authority: TimestampAuthority::new(provider, &authority.cert_chain)?,
                    uri: authority.uri.clone(),
                    operator: authority.operator.clone(),
                })
            },
        );
        let authorities = Self {
            logs: without_addresses(logs),
            ct_logs: without_addresses(ct_logs),
            certificate: without_addresses(certificate),
            timestamp: without_addresses(timestamp),
        };
        Ok((authorities, skipped))
    }
}

/// An entry of the trusted root that has an address.
trait Addressed {
    fn address(&self) -> &str;
}

impl Addressed for TransparencyLogInstance {
    fn address(&self) -> &str {
        &self.base_url
    }
}

impl Addressed for waxseal_formats::CertificateAuthority {
    fn address(&self) -> &str {
        &self.uri
    }
}

fn without_addresses<T>(entries: Vec<(String, T)>) -> Vec<T> {
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn usable<E: Addressed, T>(
    entries: &[E],
    role: Role,
    skipped: &mut Vec<Skipped>,
    prepare: impl Fn(&E) -> Result<T, SkipReason>,
) -> Vec<(String, T)> {
    let mut prepared = Vec::new();
    for entry in entries {
        let address = entry.address().to_owned();
        match prepare(entry) {
            Ok(one) => prepared.push((address, one)),
            Err(reason) => skipped.push(Skipped {
                role,
                address,
                reason,
            }),
        }
    }
    prepared
}

fn check_distinct<T, K: PartialEq + ?Sized>(
    entries: &[(String, T)],
    key: impl Fn(&T) -> &K,
    error: impl Fn(String, String) -> TrustedRootError,
) -> Result<(), TrustedRootError> {
    for (index, (address, entry)) in entries.iter().enumerate() {
        let earlier = entries
            .iter()
            .take(index)
            .find(|(_, other)| key(other) == key(entry));
        if let Some((first, _)) = earlier {
            return Err(error(first.clone(), address.clone()));
        }
    }
    Ok(())
}

fn log_of(provider: CryptoProvider, log: &TransparencyLogInstance) -> Result<Log, SkipReason> {
    let (key, details) = key_of(log)?;
    let names = names_of(&log.base_url)?;
    let checkpoint_id = log.checkpoint_key_id.as_deref().unwrap_or(&log.log_id);
    let key_id = KeyId::from_prefix(checkpoint_id).ok_or(SkipReason::ShortId)?;
    // Either of the two ids stands for the other where a trusted root gives one alone.
    let id = match log.log_id.as_slice() {
        [] => checkpoint_id,
        id => id,
    };
    let promise_key = provider.verifying_key(&key, details.algorithm)?;
    let note_key = |name: &KeyName| {
        let kind = SignatureKind::of_log(&key)?;
        Ok::<_, SkipReason>(NoteKey::new(provider, name.clone(), kind, &key)?.with_key_id(key_id))
    };
    Ok(Log {
        id: id.to_vec(),
        origin: names.host.as_str().to_owned(),
        operator: log.operator.clone(),
        valid_for: window(log.public_key.valid_for.as_ref())?,
        promise_key: (id == key.spki_sha256()).then_some(promise_key),
        v1: names
            .with_port
            .iter()
            .chain([&names.host])
            .map(|name| note_key(name).map(LogKey::v1))
            .collect::<Result<_, _>>()?,
        v2: vec![LogKey::new(note_key(&names.host)?)],
    })
}

fn ct_log_of(provider: CryptoProvider, log: &TransparencyLogInstance) -> Result<CtLog, SkipReason> {
    let (key, _) = key_of(log)?;
    Ok(CtLog {
        key: CtLogKey::new(provider, &key)?,
        operator: log.operator.clone(),
        valid_for: window(log.public_key.valid_for.as_ref())?,
    })
}

/// The key, in the form that its details say: a SubjectPublicKeyInfo, or for the two oldest kinds a
/// bare `RSAPublicKey`. The kind is never guessed from the bytes (TOB-SIGSTORE-6).
fn key_of(log: &TransparencyLogInstance) -> Result<(PublicKey, &'static KeyDetails), SkipReason> {
    let name = log.public_key.key_details.as_str();
    let details =
        KeyDetails::by_name(name).ok_or_else(|| SkipReason::UnknownKeyDetails(name.to_owned()))?;
    let bytes = &log.public_key.raw_bytes;
    let key = if name.starts_with("PKCS1_") {
        PublicKey::from_key_bytes(KeyKind::Rsa, bytes)?
    } else {
        PublicKey::from_spki_der(bytes)?
    };
    if !details.fits(&key) {
        return Err(SkipReason::WrongKeyKind);
    }
    Ok((key, details))
}

/// The names that a log signs checkpoints with: the host of its address, and for version 1 logs on
/// a port of their own also `host:port`.
struct Names {
    host: KeyName,
    with_port: Option<KeyName>,
}

fn names_of(base_url: &str) -> Result<Names, SkipReason> {
    let rest = base_url
        .split_once("://")
        .map_or(base_url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    };
    let name = |text: &str| KeyName::new(text).map_err(SkipReason::Name);
    Ok(Names {
        host: name(host)?,
        with_port: (authority != host).then(|| name(authority)).transpose()?,
    })
}

fn window(range: Option<&TimeRange>) -> Result<ValidFor, SkipReason> {
    let time = |at: Timestamp| Time::new(at.seconds, at.nanos).map_err(|_| SkipReason::BadValidity);
    let range = range.ok_or(SkipReason::NoStart)?;
    let start = range.start.ok_or(SkipReason::NoStart)?;
    Ok(ValidFor::new(
        Some(time(start)?),
        range.end.map(time).transpose()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_hosts() {
        let check = |url: &str, host: &str, with_port: Option<&str>| {
            let names = names_of(url).unwrap();
            assert_eq!(names.host.as_str(), host);
            assert_eq!(names.with_port.as_ref().map(KeyName::as_str), with_port);
        };
        check("https://rekor.sigstore.dev", "rekor.sigstore.dev", None);
        check("https://rekor.sigstore.dev/", "rekor.sigstore.dev", None);
        check("http://localhost:8000", "localhost", Some("localhost:8000"));
        check(
            "http://localhost:8000/log?x#y",
            "localhost",
            Some("localhost:8000"),
        );
        check("http://[::1]:8000/log", "::1", Some("[::1]:8000"));
        check("rekor.example", "rekor.example", None);
    }

    #[test]
    fn a_log_without_a_host_has_no_name() {
        for url in ["", "https://", "https:///x", "https://a b/"] {
            assert!(matches!(names_of(url), Err(SkipReason::Name(_))), "{url}");
        }
    }
}
