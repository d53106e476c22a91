//! Who has been here, and who may not come: accounts and bans.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use waxseal_crypto::Digest;
use waxseal_identity::EmailAddress;

use crate::audit::Entry;
use crate::records::{Proven, read, write};
use crate::service::{Fault, Service};
use crate::{RecordKey, RecordKind, Slot, StoreError, transact};

/// How long an account is remembered after its last token.
pub(crate) const ACCOUNT_LIFE: Duration = Duration::from_secs(400 * 24 * 3600);

/// Somebody who has been given tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    pub(crate) identity: Proven,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) tokens: u64,
}

/// Somebody who may not log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BanRecord {
    pub(crate) target: String,
    pub(crate) reason: Option<String>,
    pub(crate) since: i64,
    pub(crate) until: Option<i64>,
}

/// Whom a ban is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum BanTarget {
    /// An address, through whatever connector, in whatever case and with whatever tag (`+tag`).
    Address(EmailAddress),
    /// An account: one person at one connector, whatever the address.
    Account(AccountId),
}

/// The name of an account: 128 bits in hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(String);

/// Not an address and not an account's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address, and not an account's id as \"users\" lists it")]
pub struct BanTargetError;

impl BanTarget {
    /// Parses an address or an account's id.
    ///
    /// # Errors
    /// [`BanTargetError`].
    pub fn parse(text: &str) -> Result<Self, BanTargetError> {
        if text.contains('@') {
            let address = EmailAddress::parse(text).map_err(|_| BanTargetError)?;
            return Ok(Self::Address(address.normalized()));
        }
        let is_hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if text.len() == 32 && text.bytes().all(is_hex) {
            return Ok(Self::Account(AccountId(text.to_owned())));
        }
        Err(BanTargetError)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Address(address) => address.as_str(),
            Self::Account(id) => id.as_str(),
        }
    }

    pub(crate) fn key(&self) -> RecordKey {
        match self {
            Self::Address(address) => ban_named(&address.as_str().to_ascii_lowercase()),
            Self::Account(id) => RecordKey::new(RecordKind::Ban, &[b"account", id.0.as_bytes()]),
        }
    }
}

impl TryFrom<String> for BanTarget {
    type Error = BanTargetError;

    fn try_from(text: String) -> Result<Self, BanTargetError> {
        Self::parse(&text)
    }
}

impl From<BanTarget> for String {
    fn from(target: BanTarget) -> Self {
        target.as_str().to_owned()
    }
}

impl AccountId {
    /// 32 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Just before the account's record, which comes next in a scan: the id is the first half of its
    /// digest. `None` for what is no id.
    pub(crate) fn before(&self) -> Option<RecordKey> {
        let half = u128::from_str_radix(&self.0, 16).ok()?;
        let mut digest = [0; 32];
        digest
            .first_chunk_mut()
            .map(|start| *start = half.to_be_bytes())?;
        Some(RecordKey::from_parts(RecordKind::Account, digest))
    }

    pub(crate) fn of(identity: &Proven) -> Self {
        let digest = Digest::from(*account_key(identity).as_bytes()).to_hex();
        Self(digest.get(..32).unwrap_or_default().to_owned())
    }
}

/// The key of an account: never the address alone, so that accounts of two connectors stay two.
fn account_key(identity: &Proven) -> RecordKey {
    let parts = [
        identity.connector_id.as_bytes(),
        identity.user_id.as_bytes(),
    ];
    RecordKey::new(RecordKind::Account, &parts)
}

fn ban_named(spelling: &str) -> RecordKey {
    RecordKey::new(RecordKind::Ban, &[b"address", spelling.as_bytes()])
}

/// Under which spellings a ban of an address may stand. Mail servers take `YOU@` and `you+x@` to
/// the mailbox of `you@`, so who is banned there could go on under as many names as he likes.
pub(crate) fn ban_spellings(address: &str) -> Vec<String> {
    let (lower, mailbox) = (address.to_ascii_lowercase(), mailbox(address));
    if lower == mailbox {
        vec![lower]
    } else {
        vec![lower, mailbox]
    }
}

/// The keys of bans that an address may be under.
pub(crate) fn bans_of_address(address: &str) -> Vec<RecordKey> {
    let spellings = ban_spellings(address);
    spellings.iter().map(|text| ban_named(text)).collect()
}

/// The mailbox that an address most likely reaches: without case, and without a tag (RFC 5233).
/// For bans and limits alone; in tokens two spellings are two people.
pub(crate) fn mailbox(address: &str) -> String {
    let lower = address.to_ascii_lowercase();
    match lower.split_once('@') {
        Some((local, domain)) => match local.split_once('+') {
            Some((local, _)) if !local.is_empty() => format!("{local}@{domain}"),
            _ => lower,
        },
        None => lower,
    }
}

/// Whether a ban is there; the store leaves out those that have ended.
pub(crate) fn is_banned(slot: Option<&Slot>) -> bool {
    // A ban that does not parse is one.
    slot.is_some_and(|slot| slot.record.is_some())
}

/// The account, and every ban that it may be under.
fn keys_of(identity: &Proven) -> Vec<RecordKey> {
    let mut keys = vec![
        account_key(identity),
        BanTarget::Account(AccountId::of(identity)).key(),
    ];
    keys.extend(bans_of_address(&identity.email));
    keys
}

impl Service {
    /// Whether this person may not log in. The last word is [`Self::admit`]'s, which stands
    /// before every token.
    pub(crate) async fn is_banned(
        &self,
        identity: &Proven,
        peer: Option<IpAddr>,
    ) -> Result<bool, StoreError> {
        let judged = transact(
            &*self.context.store,
            keys_of(identity),
            self.now(),
            |slots| slots.iter().skip(1).any(|slot| is_banned(Some(slot))),
        );
        let banned = judged.await?;
        if banned {
            self.audit_account("banned", identity, None, peer);
        }
        Ok(banned)
    }

    /// Lets somebody have a token, and remembers that; false if a ban stands.
    pub(crate) async fn admit(
        &self,
        identity: &Proven,
        client: &str,
        peer: Option<IpAddr>,
    ) -> Result<bool, Fault> {
        let now = self.now();
        let kept = identity.clone();
        let admitted = transact(&*self.context.store, keys_of(identity), now, move |slots| {
            let Some((account, bans)) = slots.split_first_mut() else {
                return false;
            };
            if bans.iter().any(|ban| is_banned(Some(ban))) {
                return false;
            }
            let seconds = now.unix_seconds();
            let before: Option<AccountRecord> = read(Some(account));
            let record = AccountRecord {
                first: before.as_ref().map_or(seconds, |before| before.first),
                tokens: before.map_or(0, |before| before.tokens).saturating_add(1),
                last: seconds,
                identity: kept,
            };
            let end = now.checked_add(ACCOUNT_LIFE).unwrap_or(now);
            write(Some(account), &record, end.unix_seconds());
            true
        });
        let admitted = admitted.await?;
        let event = if admitted { "token_given" } else { "banned" };
        self.audit_account(event, identity, Some(client), peer);
        Ok(admitted)
    }

    fn audit_account(
        &self,
        event: &'static str,
        identity: &Proven,
        client: Option<&str>,
        peer: Option<IpAddr>,
    ) {
        self.record(&Entry {
            event,
            address: Some(&identity.email),
            account: Some(AccountId::of(identity).as_str()),
            connector: Some(&identity.connector_id),
            client,
            peer,
            by_operator: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ban_target() {
        let check = |text: &str, expected: Option<&str>| {
            let target = BanTarget::parse(text);
            assert_eq!(
                target.as_ref().ok().map(BanTarget::as_str),
                expected,
                "{text}"
            );
        };
        check("You@Example.COM", Some("You@example.com"));
        let id = "0123456789abcdef0123456789abcdef";
        check(id, Some(id));
        for bad in [
            "",
            "you",
            "you@",
            "a b@example.com",
            &id[1..],
            &id.to_uppercase(),
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn spellings_of_one_mailbox() {
        let check = |address: &str, expected: &str| assert_eq!(mailbox(address), expected);
        check("you@example.com", "you@example.com");
        check("YOU+a+b@example.com", "you@example.com");
        check("+you@example.com", "+you@example.com");
        check("", "");
        assert_eq!(ban_spellings("You@a.example"), ["you@a.example"]);
        assert_eq!(
            ban_spellings("You+X@a.example"),
            ["you+x@a.example", "you@a.example"]
        );
    }

    #[test]
    fn accounts_of_two_connectors_are_two() {
        let of = |connector: &str, user: &str| {
            AccountId::of(&Proven {
                connector_id: connector.to_owned(),
                user_id: user.to_owned(),
                email: "you@example.com".to_owned(),
            })
        };
        assert_ne!(of("a", "1"), of("b", "1"));
        assert_ne!(of("a", "1"), of("a", "2"));
        assert_ne!(of("ab", "1"), of("a", "b1"));
        assert_eq!(of("a", "1").as_str().len(), 32);
    }
}
