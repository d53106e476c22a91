//! What the store holds, as JSON of our own.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use waxseal_crypto::Time;

use crate::Slot;

/// A log-in that is under way: what the client asked for, and how far the person has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) nonce: Option<String>,
    /// PKCE S256 challenge.
    pub(crate) code_challenge: String,
    pub(crate) login_hint: Option<String>,
    /// Digest of the browser's cookie.
    pub(crate) browser: [u8; 32],
    pub(crate) expires: i64,
    pub(crate) challenge: Option<Challenge>,
    /// The device that gets the outcome, by its digest; there is no redirect then.
    #[serde(default)]
    pub(crate) device: Option<[u8; 32]>,
    /// Whether the person has agreed that the device gets it.
    #[serde(default)]
    pub(crate) confirmed: bool,
    /// What a provider has said about the person.
    #[serde(default)]
    pub(crate) arrived: Option<Arrived>,
}

/// Who came back from a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Arrived {
    /// Somebody whose address is proven.
    Proven(Proven),
    /// The holder of an account, who has to confirm an address.
    Unproven(LinkedAccount),
}

impl Login {
    /// The account whose address a code confirms; without one the address is the whole identity.
    pub(crate) fn account(&self) -> Option<&LinkedAccount> {
        match &self.arrived {
            Some(Arrived::Unproven(account)) => Some(account),
            _ => None,
        }
    }
}

/// An account at a provider that vouches for no address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkedAccount {
    /// The connector's name in URLs.
    pub(crate) connector: String,
    pub(crate) connector_id: String,
    pub(crate) user_id: String,
}

/// A browser that was sent to a provider; its key is the `state` that it took along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AtProvider {
    /// The key of the log-in.
    pub(crate) login: [u8; 32],
    /// The connector's name in URLs.
    pub(crate) connector: String,
    pub(crate) expires: i64,
}

/// The address that the holder of an account has confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) email: String,
    pub(crate) since: i64,
}

/// How long an account stands for the address that its holder has confirmed. Mailboxes change hands:
/// who leaves a company keeps the account and loses the mailbox. One code a year asks little, and it
/// bounds how long that goes unseen where nobody tells the operator.
pub(crate) const LINK_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

impl Link {
    /// When it has to be confirmed anew, in seconds since the epoch.
    pub(crate) fn ends(&self) -> i64 {
        let life = i64::try_from(LINK_LIFE.as_secs()).unwrap_or(0);
        self.since.saturating_add(life)
    }

    /// Whether it counts. The record itself may live longer: once they were for good.
    pub(crate) fn stands(&self, now: Time) -> bool {
        now.unix_seconds() < self.ends()
    }
}

/// A device that waits for its person (RFC 8628).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) client_id: String,
    /// PKCE S256 challenge.
    pub(crate) code_challenge: String,
    /// From where it asked.
    pub(crate) peer: Option<String>,
    pub(crate) begun: i64,
    pub(crate) expires: i64,
    /// When it polled last.
    pub(crate) polled: Option<i64>,
    /// How long it has to wait between two polls.
    pub(crate) interval: i64,
    /// Where its person logs in, if it has said so.
    #[serde(default)]
    pub(crate) connector_id: Option<String>,
    /// Who that is, if it has said so: filled in, no more.
    #[serde(default)]
    pub(crate) login_hint: Option<String>,
    pub(crate) state: DeviceState,
}

/// How far a device has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DeviceState {
    Pending,
    Denied,
    Granted {
        identity: Proven,
        auth_time: i64,
    },
    /// It has its token; the record stays until it expires, to tell a replay.
    Used,
}

/// A code that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Challenge {
    /// The address in its normal form.
    pub(crate) address: String,
    /// Whether the code has twelve digits.
    #[serde(default)]
    pub(crate) is_long: bool,
    /// HMAC of the code under the code key.
    pub(crate) mac: [u8; 32],
    pub(crate) expires: i64,
    pub(crate) attempts_left: u32,
}

/// What an authorization code stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) code_challenge: String,
    pub(crate) nonce: Option<String>,
    pub(crate) identity: Proven,
    pub(crate) auth_time: i64,
    pub(crate) expires: i64,
    /// Set when the code is presented; the record stays until it expires, to tell a replay.
    pub(crate) used: bool,
}

/// An address that a connector has proven. Every connector ends in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proven {
    pub(crate) connector_id: String,
    pub(crate) user_id: String,
    pub(crate) email: String,
}

/// When records expire that stay for good: the last second that a `Time` holds.
pub(crate) const NEVER: i64 = 253_402_300_799;

/// Reads a slot; what does not parse is treated as absent, which refuses the request.
pub(crate) fn read<T: DeserializeOwned>(slot: Option<&Slot>) -> Option<T> {
    let (bytes, _) = slot?.record.as_ref()?;
    serde_json::from_slice(bytes).ok()
}

/// Writes a slot.
pub(crate) fn write<T: Serialize>(slot: Option<&mut Slot>, value: &T, expires: i64) {
    if let Some(slot) = slot
        && let (Ok(bytes), Ok(expires)) = (serde_json::to_vec(value), Time::from_unix(expires))
    {
        slot.record = Some((bytes, expires));
    }
}
