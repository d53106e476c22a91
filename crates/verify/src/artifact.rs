//! What was signed: bytes, or digests of them.

use std::io::Read;

use waxseal_crypto::{Digest, HashAlgorithm, Hasher, Input, SignatureAlgorithm};

use crate::VerifyError;

/// Buffer of the streaming reader.
const CHUNK: usize = 64 * 1024;

/// The artifact: its bytes, or its digest. There is no empty artifact and no "any": a bundle is
/// always verified about something.
#[derive(Debug, Clone)]
pub struct Artifact<'a>(Source<'a>);

#[derive(Debug, Clone)]
enum Source<'a> {
    Bytes(&'a [u8]),
    Digests(Digests),
}

impl<'a> Artifact<'a> {
    /// An artifact that is in memory.
    pub const fn bytes(bytes: &'a [u8]) -> Self {
        Self(Source::Bytes(bytes))
    }

    /// An artifact of which only a digest is known. It serves where the signature was made over
    /// that digest, and for the subjects of statements.
    pub const fn digest(digest: Digest) -> Self {
        Self(Source::Digests(Digests::EMPTY.with(digest)))
    }

    /// Hashes a reader to its end, in constant memory, with each of the algorithms.
    pub(crate) fn read(
        mut reader: impl Read,
        algorithms: &[HashAlgorithm],
    ) -> std::io::Result<Self> {
        let mut hashers: Vec<Hasher> = algorithms.iter().copied().map(Hasher::new).collect();
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            for hasher in &mut hashers {
                hasher.update(buffer.get(..length).unwrap_or_default());
            }
        }
        let digests = hashers
            .into_iter()
            .fold(Digests::EMPTY, |all, hasher| all.with(hasher.finish()));
        Ok(Self(Source::Digests(digests)))
    }
}

/// At most one digest of each algorithm.
#[derive(Debug, Clone, Copy)]
struct Digests {
    sha256: Option<Digest>,
    sha384: Option<Digest>,
    sha512: Option<Digest>,
}

impl Digests {
    const EMPTY: Self = Self {
        sha256: None,
        sha384: None,
        sha512: None,
    };

    const fn with(mut self, digest: Digest) -> Self {
        match digest.algorithm() {
            HashAlgorithm::Sha384 => self.sha384 = Some(digest),
            HashAlgorithm::Sha512 => self.sha512 = Some(digest),
            _ => self.sha256 = Some(digest),
        }
        self
    }

    const fn of(&self, algorithm: HashAlgorithm) -> Option<Digest> {
        match algorithm {
            HashAlgorithm::Sha256 => self.sha256,
            HashAlgorithm::Sha384 => self.sha384,
            HashAlgorithm::Sha512 => self.sha512,
            _ => None,
        }
    }
}

/// A message whose digests are made when they are first asked for, and once.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    bytes: Option<&'a [u8]>,
    digests: Digests,
}

impl<'a> Message<'a> {
    pub(crate) const fn of_bytes(bytes: &'a [u8]) -> Self {
        Self {
            bytes: Some(bytes),
            digests: Digests::EMPTY,
        }
    }

    pub(crate) const fn of_artifact(artifact: &Artifact<'a>) -> Self {
        match &artifact.0 {
            Source::Bytes(bytes) => Self::of_bytes(bytes),
            Source::Digests(digests) => Self {
                bytes: None,
                digests: *digests,
            },
        }
    }

    /// The digest by one algorithm, if it is known or can be made.
    pub(crate) fn known_digest(&mut self, algorithm: HashAlgorithm) -> Option<Digest> {
        if let Some(known) = self.digests.of(algorithm) {
            return Some(known);
        }
        let digest = Digest::of(algorithm, self.bytes?);
        self.digests = self.digests.with(digest);
        Some(digest)
    }

    /// The digest by one algorithm.
    pub(crate) fn digest(&mut self, algorithm: HashAlgorithm) -> Result<Digest, VerifyError> {
        self.known_digest(algorithm)
            .ok_or(VerifyError::ArtifactDigestUnavailable { wanted: algorithm })
    }

    /// Some digest that is known already, the strongest customary one first.
    pub(crate) fn any_digest(&mut self) -> Option<Digest> {
        self.digests
            .sha256
            .or(self.digests.sha512)
            .or(self.digests.sha384)
            .or_else(|| self.known_digest(HashAlgorithm::Sha256))
    }

    /// Hands what an algorithm signs to `check`: the digest, or the message where there is no
    /// prehash.
    pub(crate) fn with_input<T>(
        &mut self,
        algorithm: SignatureAlgorithm,
        check: impl FnOnce(Input<'_>) -> T,
    ) -> Result<T, VerifyError> {
        match algorithm.prehash() {
            Some(hash) => {
                let digest = self.digest(hash)?;
                Ok(check(Input::Prehash(&digest)))
            }
            None => {
                let bytes = self.bytes.ok_or(VerifyError::ArtifactNeeded)?;
                Ok(check(Input::Message(bytes)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_hashed_like_its_bytes() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let all = [
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha384,
            HashAlgorithm::Sha512,
        ];
        let read = Artifact::read(bytes.as_slice(), &all).unwrap();
        for algorithm in all {
            assert_eq!(
                Message::of_artifact(&read).digest(algorithm).unwrap(),
                Digest::of(algorithm, &bytes)
            );
        }
    }

    #[test]
    fn artifact_digest_unavailable() {
        let artifact = Artifact::digest(Digest::of(HashAlgorithm::Sha256, b"x"));
        let mut message = Message::of_artifact(&artifact);
        assert!(message.digest(HashAlgorithm::Sha256).is_ok());
        let error = message.digest(HashAlgorithm::Sha512).unwrap_err();
        assert_eq!(error.code(), "artifact-digest-unavailable");
    }
}
