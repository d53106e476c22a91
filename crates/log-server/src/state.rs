//! The state that every commit writes: enough to go on from.

use waxseal_crypto::Time;
use waxseal_tlog::{Frontier, FrontierError, Origin};

/// The layout's version, the first byte.
const VERSION: u8 = 1;

/// What the ledger keeps about the log as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogState {
    /// The log's name: a ledger is not used for another log.
    pub(crate) origin: Origin,
    /// The tree.
    pub(crate) frontier: Frontier,
    /// Entries below this index are sealed; a multiple of 256.
    pub(crate) sealed: u64,
    /// No later entry has an earlier time, whatever the clock says.
    pub(crate) time: Time,
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
    /// The bytes are cut off or make no sense.
    #[error("the log's state is malformed")]
    Malformed,
    /// The tree in it is malformed.
    #[error(transparent)]
    Frontier(#[from] FrontierError),
}

impl LogState {
    pub(crate) const fn new(origin: Origin) -> Self {
        Self {
            origin,
            frontier: Frontier::new(),
            sealed: 0,
            time: Time::UNIX_EPOCH,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let origin = self.origin.as_str().as_bytes();
        // an origin has at most 255 bytes
        let length = u8::try_from(origin.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![VERSION, length];
        bytes.extend(origin);
        bytes.extend(self.sealed.to_be_bytes());
        bytes.extend(self.time.unix_millis().to_be_bytes());
        bytes.extend(self.frontier.encode());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, StateError> {
        let (version, rest) = bytes.split_first().ok_or(StateError::Malformed)?;
        if *version != VERSION {
            return Err(StateError::UnknownVersion { found: *version });
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
        };
        if !state.sealed.is_multiple_of(256) || state.sealed > state.frontier.size() {
            return Err(StateError::Malformed);
        }
        Ok(state)
    }
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

    #[test]
    fn survives_a_round_trip() {
        assert_eq!(LogState::parse(&state().encode()), Ok(state()));
    }

    #[test]
    fn unknown_version() {
        let mut bytes = state().encode();
        bytes[0] = 2;
        let error = StateError::UnknownVersion { found: 2 };
        assert_eq!(LogState::parse(&bytes), Err(error));
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
    }

    #[test]
    fn frontier() {
        let mut bytes = state().encode();
        bytes.push(0);
        assert!(matches!(
            LogState::parse(&bytes),
            Err(StateError::Frontier(_))
        ));
    }
}
