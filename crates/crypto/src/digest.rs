//! SHA-2 digests (FIPS 180-4), in one call or by streaming.

use std::fmt;

use sha2::Digest as _;

/// The hash functions that Sigstore signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl HashAlgorithm {
    /// Length of the digest in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "the length of a digest is never zero"
    )]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Lower-case name as in `sha256:HEX` and in in-toto digest sets.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm of that lower-case name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|a| a.name() == name)
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A digest and the algorithm that made it; its length always fits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: HashAlgorithm,
    bytes: [u8; 64],
}

/// A digest of the wrong length for its algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{algorithm} digest has {found} bytes, expected {}", algorithm.len())]
pub struct DigestLengthError {
    /// The algorithm that was named.
    pub algorithm: HashAlgorithm,
    /// How many bytes there were.
    pub found: usize,
}

impl Digest {
    /// Hashes `data` in one call.
    pub fn of(algorithm: HashAlgorithm, data: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(data);
        hasher.finish()
    }

    /// Wraps bytes that are already a digest.
    ///
    /// # Errors
    /// [`DigestLengthError`] if the length is not that of the algorithm.
    pub fn new(algorithm: HashAlgorithm, digest: &[u8]) -> Result<Self, DigestLengthError> {
        let mut bytes = [0; 64];
        match bytes.get_mut(..digest.len()) {
            Some(target) if digest.len() == algorithm.len() => target.copy_from_slice(digest),
            _ => {
                return Err(DigestLengthError {
                    algorithm,
                    found: digest.len(),
                });
            }
        }
        Ok(Self { algorithm, bytes })
    }

    /// The algorithm that made it.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The digest, 32, 48 or 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.algorithm.len()).unwrap_or_default()
    }

    /// Lower-case hexadecimal.
    pub fn to_hex(&self) -> String {
        use fmt::Write as _;
        self.as_bytes()
            .iter()
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

impl From<[u8; 32]> for Digest {
    /// A SHA-256 digest.
    fn from(digest: [u8; 32]) -> Self {
        let mut bytes = [0; 64];
        let (head, _) = bytes.split_at_mut(32);
        head.copy_from_slice(&digest);
        Self {
            algorithm: HashAlgorithm::Sha256,
            bytes,
        }
    }
}

impl fmt::Display for Digest {
    /// `sha256:` and lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A digest in the making: constant memory, any number of updates.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Starts a digest.
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self(match algorithm {
            HashAlgorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            HashAlgorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            HashAlgorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(data),
            State::Sha384(state) => state.update(data),
            State::Sha512(state) => state.update(data),
        }
    }

    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 64];
        let algorithm = match self.0 {
            State::Sha256(state) => fill(&mut bytes, &state.finalize(), HashAlgorithm::Sha256),
            State::Sha384(state) => fill(&mut bytes, &state.finalize(), HashAlgorithm::Sha384),
            State::Sha512(state) => fill(&mut bytes, &state.finalize(), HashAlgorithm::Sha512),
        };
        Digest { algorithm, bytes }
    }
}

fn fill(target: &mut [u8; 64], digest: &[u8], algorithm: HashAlgorithm) -> HashAlgorithm {
    for (to, from) in target.iter_mut().zip(digest) {
        *to = *from;
    }
    algorithm
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// SHA-256 of `data`, as a bare array: Merkle nodes and key ids are made of it.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(data).into()
}

/// SHA-256 of all `parts`, one after the other.
pub fn sha256_of(parts: &[&[u8]]) -> [u8; 32] {
    let hasher = sha2::Sha256::new();
    let hasher = parts
        .iter()
        .fold(hasher, |hasher, part| hasher.chain_update(part));
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let check = |algorithm, expected| {
            assert_eq!(Digest::of(algorithm, b"abc").to_string(), expected);
        };
        check(
            HashAlgorithm::Sha256,
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        );
        check(
            HashAlgorithm::Sha384,
            "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
        );
        check(
            HashAlgorithm::Sha512,
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        );
    }

    #[test]
    fn digest_length_error() {
        for algorithm in [
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha384,
            HashAlgorithm::Sha512,
        ] {
            for length in [0, algorithm.len() - 1, algorithm.len() + 1, 65] {
                let error = Digest::new(algorithm, &vec![0; length]).unwrap_err();
                assert_eq!(
                    error,
                    DigestLengthError {
                        algorithm,
                        found: length
                    }
                );
            }
            assert!(Digest::new(algorithm, &vec![7; algorithm.len()]).is_ok());
        }
    }

    #[test]
    fn streaming_equals_one_call() {
        let data: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for algorithm in [
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha384,
            HashAlgorithm::Sha512,
        ] {
            let mut hasher = Hasher::new(algorithm);
            data.chunks(77).for_each(|chunk| hasher.update(chunk));
            assert_eq!(hasher.finish(), Digest::of(algorithm, &data));
        }
    }
}
