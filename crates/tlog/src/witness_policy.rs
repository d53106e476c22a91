//! Which logs and which quorum of witnesses are trusted (c2sp.org/tlog-policy).

use std::collections::BTreeMap;

use waxseal_crypto::CryptoProvider;

use crate::checkpoint::parse_decimal;
use crate::{
    Checkpoint, CheckpointError, CheckpointTextError, LogKey, NoteKey, SignatureKind, SignedNote,
    VkeyError,
};

/// Longest policy file: the limits below, with post-quantum keys.
const MAX_POLICY_BYTES: usize = 512 * 1024;

/// Most logs, most witnesses, most groups; the specification recommends at least 32 of each.
const MAX_OF_EACH: usize = 128;

/// A policy: a checkpoint is trusted if one of its logs signed it and its quorum cosigned it.
#[derive(Debug)]
pub struct WitnessPolicy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    quorum: Quorum,
}

/// A `log` line.
#[derive(Debug)]
#[non_exhaustive]
pub struct PolicyLog {
    /// The log's key; the log's origin is the key's name.
    pub key: LogKey,
    /// Where to reach the log: opaque bytes.
    pub url: Option<Vec<u8>>,
}

/// A `witness` line.
#[derive(Debug)]
#[non_exhaustive]
pub struct PolicyWitness {
    /// The name inside the policy: opaque bytes, not the key's name.
    pub name: Vec<u8>,
    /// The witness's key.
    pub key: NoteKey,
    /// Where to submit checkpoints: opaque bytes.
    pub url: Option<Vec<u8>>,
}

/// A rule over witnesses (by position) that contribute to it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Quorum {
    None,
    Witness(usize),
    Group {
        threshold: usize,
        members: Vec<Self>,
    },
}

/// Why a text is not a policy. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyParseError {
    /// The file is longer than 512 KiB.
    #[error("the policy is too long")]
    TooLong,
    /// A control character other than tab and newline (§Character set).
    #[error("line {line} has a control character")]
    ControlCharacter {
        /// Which line.
        line: usize,
    },
    /// The last line has no newline (§Structure).
    #[error("the policy's last line has no newline")]
    Unterminated,
    /// A line with an unknown keyword, or too few or too many items.
    #[error("line {line} is malformed")]
    Malformed {
        /// Which line.
        line: usize,
    },
    /// A key that cannot be read.
    #[error("line {line} has a bad verifier key")]
    BadKey {
        /// Which line.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: VkeyError,
    },
    /// A log with a key for cosignatures over Ed25519, or a witness with a key that makes none.
    #[error("the key on line {line} does not sign what it should")]
    WrongKeyKind {
        /// Which line.
        line: usize,
    },
    /// The same public key twice among the logs, or twice among the witnesses.
    #[error("the key on line {line} was there before")]
    DuplicateKey {
        /// Which line.
        line: usize,
    },
    /// A name is defined twice, or is `none`.
    #[error("the name on line {line} is taken")]
    DuplicateName {
        /// Which line.
        line: usize,
    },
    /// A name that no earlier line defines.
    #[error("line {line} refers to a name that no earlier line defines")]
    UnknownName {
        /// Which line.
        line: usize,
    },
    /// A name that is already a member of a group (§Defining a witness group).
    #[error("line {line} lists a name that is already a member of a group")]
    MemberTwice {
        /// Which line.
        line: usize,
    },
    /// A threshold that is not within 1 and the number of members.
    #[error("line {line} has a threshold that is not between 1 and the number of members")]
    BadThreshold {
        /// Which line.
        line: usize,
    },
    /// No quorum line, or more than one.
    #[error("a policy has exactly one quorum line")]
    NotOneQuorum,
    /// More than 128 logs, witnesses or groups.
    #[error("a policy has at most {MAX_OF_EACH} logs, witnesses and groups each")]
    TooMany,
}

/// Why a checkpoint does not satisfy a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The note is not a checkpoint.
    #[error(transparent)]
    Text(#[from] CheckpointTextError),
    /// No log of the policy has the checkpoint's origin.
    #[error("the policy has no log of the checkpoint's origin")]
    UnknownLog,
    /// The checkpoint does not open.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The cosignatures do not make the quorum.
    #[error("the cosignatures do not make the quorum of the policy")]
    QuorumNotMet,
}

impl WitnessPolicy {
    /// Parses a policy file.
    ///
    /// # Errors
    /// [`PolicyParseError`].
    pub fn parse(provider: CryptoProvider, file: &[u8]) -> Result<Self, PolicyParseError> {
        if file.len() > MAX_POLICY_BYTES {
            return Err(PolicyParseError::TooLong);
        }
        let Some(file) = file.strip_suffix(b"\n") else {
            return Err(PolicyParseError::Unterminated);
        };
        let mut parser = Parser {
            provider,
            logs: Vec::new(),
            witnesses: Vec::new(),
            groups: 0,
            names: BTreeMap::new(),
            quorum: None,
        };
        for (number, bytes) in file.split(|byte| *byte == b'\n').enumerate() {
            parser.line(number + 1, bytes)?;
        }
        Ok(Self {
            logs: parser.logs,
            witnesses: parser.witnesses,
            quorum: parser.quorum.ok_or(PolicyParseError::NotOneQuorum)?,
        })
    }

    /// The logs, in the order of the file.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses, in the order of the file.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether these witnesses, by position in [`Self::witnesses`], make the quorum.
    pub fn is_met_by(&self, cosigned: impl Fn(usize) -> bool) -> bool {
        self.quorum.is_met_by(&cosigned)
    }

    /// Opens a checkpoint of one of the policy's logs, and demands the quorum.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn open(&self, note: &SignedNote) -> Result<Checkpoint, PolicyError> {
        let text = note.unverified_checkpoint()?;
        let mut logs = self
            .logs
            .iter()
            .filter(|log| log.key.key.name().as_str() == text.origin().as_str())
            .peekable();
        if logs.peek().is_none() {
            return Err(PolicyError::UnknownLog);
        }
        // A log may be listed with several keys; the last failure is reported.
        let cosigners: Vec<_> = self.witnesses.iter().map(|witness| &witness.key).collect();
        let mut failure = CheckpointError::NotSignedByLog;
        for log in logs {
            match Checkpoint::open(note, &log.key, &cosigners) {
                Ok(checkpoint) => return self.demand_quorum(checkpoint),
                Err(error) => failure = error,
            }
        }
        Err(failure.into())
    }

    fn demand_quorum(&self, checkpoint: Checkpoint) -> Result<Checkpoint, PolicyError> {
        let cosigned = |witness| {
            checkpoint
                .cosignatures()
                .iter()
                .any(|cosignature| cosignature.cosigner == witness)
        };
        if self.is_met_by(cosigned) {
            Ok(checkpoint)
        } else {
            Err(PolicyError::QuorumNotMet)
        }
    }
}

impl Quorum {
    /// Groups refer to earlier lines only and every name is a member once, so this is a tree of at
    /// most [`MAX_OF_EACH`] groups.
    fn is_met_by(&self, cosigned: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::None => true,
            Self::Witness(witness) => cosigned(*witness),
            Self::Group { threshold, members } => {
                let met = members
                    .iter()
                    .filter(|member| member.is_met_by(cosigned))
                    .count();
                met >= *threshold
            }
        }
    }
}

struct Parser {
    provider: CryptoProvider,
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: usize,
    /// What a name means; a name that became a member of a group stays, but is used up.
    names: BTreeMap<Vec<u8>, Name>,
    quorum: Option<Quorum>,
}

struct Name {
    meaning: Quorum,
    is_member: bool,
}

impl Parser {
    fn line(&mut self, line: usize, bytes: &[u8]) -> Result<(), PolicyParseError> {
        if bytes
            .iter()
            .any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f)
        {
            return Err(PolicyParseError::ControlCharacter { line });
        }
        let items: Vec<_> = bytes
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|item| !item.is_empty())
            .collect();
        match items.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", vkey] => self.log(line, vkey, None),
            [b"log", vkey, url] => self.log(line, vkey, Some(url)),
            [b"witness", name, vkey] => self.witness(line, name, vkey, None),
            [b"witness", name, vkey, url] => self.witness(line, name, vkey, Some(url)),
            [b"group", name, threshold, members @ ..] if !members.is_empty() => {
                self.group(line, name, threshold, members)
            }
            [b"quorum", name] => self.quorum(line, name),
            _ => Err(PolicyParseError::Malformed { line }),
        }
    }

    fn log(
        &mut self,
        line: usize,
        vkey: &[u8],
        url: Option<&&[u8]>,
    ) -> Result<(), PolicyParseError> {
        let key = self.key(line, vkey)?;
        if key.kind() == SignatureKind::CosignatureV1 {
            return Err(PolicyParseError::WrongKeyKind { line });
        }
        let known = self.logs.iter().map(|log| &log.key.key);
        refuse_duplicate(line, &key, known)?;
        self.logs.push(PolicyLog {
            key: LogKey::new(key),
            url: url.map(|url| url.to_vec()),
        });
        limit(self.logs.len())
    }

    fn witness(
        &mut self,
        line: usize,
        name: &[u8],
        vkey: &[u8],
        url: Option<&&[u8]>,
    ) -> Result<(), PolicyParseError> {
        let key = self.key(line, vkey)?;
        if !key.kind().is_cosignature() {
            return Err(PolicyParseError::WrongKeyKind { line });
        }
        let known = self.witnesses.iter().map(|witness| &witness.key);
        refuse_duplicate(line, &key, known)?;
        self.define(line, name, Quorum::Witness(self.witnesses.len()))?;
        self.witnesses.push(PolicyWitness {
            name: name.to_vec(),
            key,
            url: url.map(|url| url.to_vec()),
        });
        limit(self.witnesses.len())
    }

    fn group(
        &mut self,
        line: usize,
        name: &[u8],
        threshold: &[u8],
        members: &[&[u8]],
    ) -> Result<(), PolicyParseError> {
        let threshold = match threshold {
            b"any" => 1,
            b"all" => members.len(),
            number => std::str::from_utf8(number)
                .ok()
                .and_then(parse_decimal)
                .and_then(|number| usize::try_from(number).ok())
                .ok_or(PolicyParseError::Malformed { line })?,
        };
        if threshold == 0 || threshold > members.len() {
            return Err(PolicyParseError::BadThreshold { line });
        }
        let mut meanings = Vec::new();
        for member in members {
            let member = self
                .names
                .get_mut(*member)
                .ok_or(PolicyParseError::UnknownName { line })?;
            if member.is_member {
                return Err(PolicyParseError::MemberTwice { line });
            }
            member.is_member = true;
            meanings.push(member.meaning.clone());
        }
        self.groups += 1;
        limit(self.groups)?;
        let members = meanings;
        self.define(line, name, Quorum::Group { threshold, members })
    }

    fn quorum(&mut self, line: usize, name: &[u8]) -> Result<(), PolicyParseError> {
        let quorum = match self.names.get(name) {
            Some(name) => name.meaning.clone(),
            None if name == b"none" => Quorum::None,
            None => return Err(PolicyParseError::UnknownName { line }),
        };
        match self.quorum.replace(quorum) {
            None => Ok(()),
            Some(_) => Err(PolicyParseError::NotOneQuorum),
        }
    }

    fn define(
        &mut self,
        line: usize,
        name: &[u8],
        meaning: Quorum,
    ) -> Result<(), PolicyParseError> {
        if name == b"none" || self.names.contains_key(name) {
            return Err(PolicyParseError::DuplicateName { line });
        }
        let name_of = Name {
            meaning,
            is_member: false,
        };
        self.names.insert(name.to_vec(), name_of);
        Ok(())
    }

    fn key(&self, line: usize, vkey: &[u8]) -> Result<NoteKey, PolicyParseError> {
        std::str::from_utf8(vkey)
            .map_err(|_| VkeyError::Malformed)
            .and_then(|vkey| NoteKey::from_vkey(self.provider, vkey))
            .map_err(|source| PolicyParseError::BadKey { line, source })
    }
}

/// The same public key is a duplicate even under another name, id or kind.
fn refuse_duplicate<'a>(
    line: usize,
    key: &NoteKey,
    mut known: impl Iterator<Item = &'a NoteKey>,
) -> Result<(), PolicyParseError> {
    if known.any(|other| other.public_key() == key.public_key()) {
        return Err(PolicyParseError::DuplicateKey { line });
    }
    Ok(())
}

const fn limit(count: usize) -> Result<(), PolicyParseError> {
    if count > MAX_OF_EACH {
        return Err(PolicyParseError::TooMany);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
