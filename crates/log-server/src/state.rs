//! The state that every commit writes: enough to go on from.

use waxseal_crypto::{Time, sha256};
use waxseal_tlog::{Frontier, FrontierError, Origin};

/// The layout's version, the first byte.
const VERSION: u8 = 2;

/// The one before: no flags and no checksum. It is read, and never written.
const VERSION_1: u8 = 1;

/// The log takes no more entries.
const FROZEN: u8 = 1;

/// The stores are a copy of those that are written: nothing may be signed over them.
const COPY: u8 = 2;

/// Bytes of the checksum at the end: the beginning of a SHA-256 over all before it.
const CHECKSUM: usize = 8;

/// What the ledger keeps about the log as a whole: the bytes of [`Commit::state`](crate::Commit),
/// for programs that read or make a ledger without running its log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogState {
    /// The log's name: a ledger is not used for another log.
    pub origin: Origin,
    /// The tree.
    pub frontier: Frontier,
    /// Entries below this index are sealed; a multiple of 256.
    pub sealed: u64,
    /// No later entry has an earlier time, whatever the clock says.
    pub time: Time,
    /// Whether the log takes no more entries, for ever.
    pub is_frozen: bool,
    /// Whether this is a backup: another ledger may be ahead of it (D11).
    pub is_copy: bool,
}

/// Why bytes are not a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The bytes are of another version.
    #[error("the log's state is of version {found}, expected {VERSION}")]
    UnknownVersion {
        /// The first byte.
        found: u8,
    },
    /// The bytes are not those that were written (D8).
    #[error("the log's state is damaged")]
    Checksum,
    /// The bytes are cut off or make no sense.
    #[error("the log's state is malformed")]
    Malformed,
    /// The tree in it is malformed.
    #[error(transparent)]
    Frontier(#[from] FrontierError),
}

impl LogState {
    /// The state of an empty log.
    pub const fn new(origin: Origin) -> Self {
        Self {
            origin,
            frontier: Frontier::new(),
            sealed: 0,
            time: Time::UNIX_EPOCH,
            is_frozen: false,
            is_copy: false,
        }
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let origin = self.origin.as_str().as_bytes();
        // an origin has at most 255 bytes
        let length = u8::try_from(origin.len()).unwrap_or(u8::MAX);
        let frozen = if self.is_frozen { FROZEN } else { 0 };
        let copy = if self.is_copy { COPY } else { 0 };
        let mut bytes = vec![VERSION, frozen | copy, length];
        bytes.extend(origin);
        bytes.extend(self.sealed.to_be_bytes());
        bytes.extend(self.time.unix_millis().to_be_bytes());
        bytes.extend(self.frontier.encode());
        bytes.extend(checksum(&bytes));
        bytes
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`StateError`]: they are not a state.
    pub fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        let (version, rest) = bytes.split_first().ok_or(StateError::Malformed)?;
        let (flags, rest) = match *version {
            VERSION => {
                let (covered, found) = bytes
                    .split_last_chunk::<CHECKSUM>()
                    .ok_or(StateError::Malformed)?;
                if checksum(covered) != *found {
                    return Err(StateError::Checksum);
                }
                let [_, flags, rest @ ..] = covered else {
                    return Err(StateError::Malformed);
                };
                (*flags, rest)
            }
            VERSION_1 => (0, rest),
            found => return Err(StateError::UnknownVersion { found }),
        };
        if flags & !(FROZEN | COPY) != 0 {
            return Err(StateError::Malformed);
        }
        let (origin, rest) = split_origin(rest).ok_or(StateError::Malformed)?;
        let (sealed, rest) = rest.split_first_chunk::<8>().ok_or(StateError::Malformed)?;
        let (time, rest) = rest.split_first_chunk::<8>().ok_or(StateError::Malformed)?;
        let state = Self {
            origin,
            sealed: u64::from_be_bytes(*sealed),
            time: Time::from_unix_millis(u64::from_be_bytes(*time))
                .map_err(|_| StateError::Malformed)?,
            frontier: Frontier::parse(rest)?,
            is_frozen: flags & FROZEN != 0,
            is_copy: flags & COPY != 0,
        };
        if !state.sealed.is_multiple_of(256) || state.sealed > state.frontier.size() {
            return Err(StateError::Malformed);
        }
        Ok(state)
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let [a, b, c, d, e, f, g, h, ..] = sha256(bytes);
    [a, b, c, d, e, f, g, h]
}

fn split_origin(bytes: &[u8]) -> Option<(Origin, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (origin, rest) = rest.split_at_checked(usize::from(*length))?;
    let origin = Origin::new(std::str::from_utf8(origin).ok()?).ok()?;
    Some((origin, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> LogState {
        let mut state = LogState::new(Origin::new("log.example").unwrap());
        for leaf in 0..=255 {
            state.frontier.append(&[leaf; 32]).unwrap();
        }
        state.sealed = 256;
        state.time = Time::from_unix_millis(1_700_000_000_123).unwrap();
        state
    }

    /// Bytes with a fresh checksum.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.truncate(bytes.len() - CHECKSUM);
        bytes.extend(checksum(&bytes));
        bytes
    }

    #[test]
    fn survives_a_round_trip() {
        for (is_frozen, is_copy) in [(false, false), (true, false), (false, true), (true, true)] {
            let state = LogState {
                is_frozen,
                is_copy,
                ..state()
            };
            assert_eq!(LogState::parse(&state.encode()), Ok(state));
        }
    }

    #[test]
    fn reads_the_version_before() {
        let bytes = state().encode();
        let mut old = vec![VERSION_1];
        old.extend(&bytes[2..bytes.len() - CHECKSUM]);
        assert_eq!(LogState::parse(&old), Ok(state()));
    }

    #[test]
    fn unknown_version() {
        let mut bytes = state().encode();
        bytes[0] = 3;
        let error = StateError::UnknownVersion { found: 3 };
        assert_eq!(LogState::parse(&bytes), Err(error));
    }

    #[test]
    fn a_flipped_bit_fails_the_checksum() {
        let bytes = state().encode();
        for at in 1..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            assert_eq!(LogState::parse(&bytes), Err(StateError::Checksum), "{at}");
        }
    }

    #[test]
    fn malformed() {
        let bytes = state().encode();
        for cut in 0..bytes.len() {
            assert!(LogState::parse(&bytes[..cut]).is_err(), "{cut}");
        }
        for sealed in [255, 512] {
            let state = LogState { sealed, ..state() };
            assert_eq!(LogState::parse(&state.encode()), Err(StateError::Malformed));
        }
        let mut unknown_flag = state().encode();
        unknown_flag[1] = 4;
        assert_eq!(
            LogState::parse(&sealed(unknown_flag)),
            Err(StateError::Malformed)
        );
    }

    #[test]
    fn frontier() {
        let mut bytes = state().encode();
        bytes.push(0);
        assert!(matches!(
            LogState::parse(&sealed(bytes)),
            Err(StateError::Frontier(_))
        ));
    }
}
