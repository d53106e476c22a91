//! What an operator sees and does: accounts, log-ins under way, bans.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use waxseal_crypto::{Clock, Time};

use crate::account::{AccountId, AccountRecord, BanRecord, BanTarget, ban_spellings};
use crate::audit::{AuditLog, Entry};
use crate::connector::provider::link_of;
use crate::login::LOGIN_LIFE;
use crate::records::{Arrived, Link, Login, NEVER, Proven, read, write};
use crate::{Found, RecordKey, RecordKind, Store, StoreError, transact};

mod order;

pub use order::{MAX_ORDER, Order, OrderDone, OrderError};

/// How many records are read at once.
const PAGE: usize = 500;

/// The broker's records in an operator's hands. It needs no server; where one runs on the same
/// store, each change counts from the next step of a log-in on.
pub struct Administration {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    audit: Arc<dyn AuditLog>,
}

/// Somebody who has been given tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// Its id, for bans and in audit lines.
    pub id: String,
    /// The address.
    pub email: String,
    /// Where it was proven: the issuer in certificates.
    pub connector_id: String,
    /// Its name there.
    pub user_id: String,
    /// Seconds since the epoch of the first token.
    pub first: i64,
    /// Of the last one.
    pub last: i64,
    /// How many there were.
    pub tokens: u64,
    /// Whether a ban stands, of the account or of its address.
    pub banned: bool,
    /// Seconds since the epoch until when the account stands for the address, because its holder
    /// has confirmed it by a code; `None` where the provider, or a mail, proves it each time.
    #[serde(default)]
    pub confirmed_until: Option<i64>,
}

/// A log-in under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoginSession {
    /// The client.
    pub client_id: String,
    /// Where its answer goes.
    pub answer: AnswerWay,
    /// The address that a code was sent for, if one was.
    pub email: Option<String>,
    /// Seconds since the epoch when it began.
    pub begun: i64,
    /// When it ends.
    pub expires: i64,
}

/// Where the answer to a log-in goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AnswerWay {
    /// To a port of the person's machine.
    Loopback,
    /// To a page, from which the person copies it.
    Copied,
    /// To a device that waits for it.
    Device,
}

impl AnswerWay {
    /// As lists show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Copied => "copied",
            Self::Device => "device",
        }
    }
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ban {
    /// An address, or an account's id.
    pub target: String,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Seconds since the epoch when it began.
    pub since: i64,
    /// When it ends; `None` for never.
    pub until: Option<i64>,
}

impl Administration {
    /// The records of a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, audit: Arc<dyn AuditLog>) -> Self {
        Self {
            store,
            clock,
            audit,
        }
    }

    /// Who has been given tokens in the last 400 days, the latest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn users(&self) -> Result<Vec<Account>, StoreError> {
        let bans = self.bans().await?;
        let targets = bans.iter().map(|ban| ban.target.to_ascii_lowercase());
        let targets: Vec<_> = targets.collect();
        let is_banned = |names: &[String]| names.iter().any(|name| targets.contains(name));
        let mut links = BTreeMap::new();
        for found in self.all(RecordKind::Link).await? {
            if let Some(link) = self.link_in(&found) {
                links.insert(found.key, link.ends());
            }
        }
        let mut accounts = Vec::new();
        for found in self.all(RecordKind::Account).await? {
            let Ok(record) = serde_json::from_slice::<AccountRecord>(&found.bytes) else {
                continue;
            };
            let id = AccountId::of(&record.identity).as_str().to_owned();
            let link = link_of(&record.identity.connector_id, &record.identity.user_id);
            accounts.push(Account {
                confirmed_until: links.get(&link).copied(),
                banned: is_banned(std::slice::from_ref(&id))
                    || is_banned(&ban_spellings(&record.identity.email)),
                id,
                email: record.identity.email,
                connector_id: record.identity.connector_id,
                user_id: record.identity.user_id,
                first: record.first,
                last: record.last,
                tokens: record.tokens,
            });
        }
        accounts.sort_by_key(|account| std::cmp::Reverse(account.last));
        Ok(accounts)
    }

    /// Log-ins under way, the latest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions(&self) -> Result<Vec<LoginSession>, StoreError> {
        let life = i64::try_from(LOGIN_LIFE.as_secs()).unwrap_or(0);
        let mut sessions = Vec::new();
        for found in self.all(RecordKind::Login).await? {
            let Ok(login) = serde_json::from_slice::<Login>(&found.bytes) else {
                continue;
            };
            let answer = if login.device.is_some() {
                AnswerWay::Device
            } else if login.redirect_uri == waxseal_identity::OUT_OF_BAND {
                AnswerWay::Copied
            } else {
                AnswerWay::Loopback
            };
            sessions.push(LoginSession {
                client_id: login.client_id,
                answer,
                email: login.challenge.map(|challenge| challenge.address),
                begun: login.expires.saturating_sub(life),
                expires: login.expires,
            });
        }
        sessions.sort_by_key(|session| std::cmp::Reverse(session.begun));
        Ok(sessions)
    }

    /// Ends every log-in under way, and voids every code that was given and not used; how many
    /// records there were. Tokens that were given live on, for five minutes at most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_sessions(&self) -> Result<u64, StoreError> {
        use RecordKind::{Device, Grant, Login, UserCode};
        let mut ended = 0;
        for kind in [Login, Grant, Device, UserCode] {
            for found in self.all(kind).await? {
                self.remove(found).await?;
                ended += 1;
            }
        }
        self.note("sessions_ended", None);
        Ok(ended)
    }

    /// Bans that stand, the latest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bans(&self) -> Result<Vec<Ban>, StoreError> {
        let found = self.all(RecordKind::Ban).await?;
        let records = found
            .iter()
            .filter_map(|found| serde_json::from_slice::<BanRecord>(&found.bytes).ok());
        let mut bans: Vec<_> = records
            .map(|record| Ban {
                target: record.target,
                reason: record.reason,
                since: record.since,
                until: record.until,
            })
            .collect();
        bans.sort_by_key(|ban| std::cmp::Reverse(ban.since));
        Ok(bans)
    }

    /// Bans somebody, until then or for good, and ends what log-ins they have begun. Accounts that
    /// have confirmed the address stand for it no more, also after the ban: by then the mailbox may
    /// be somebody else's. Whoever had a ban has this one now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ban(
        &self,
        target: &BanTarget,
        reason: Option<&str>,
        until: Option<Time>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let record = BanRecord {
            target: target.as_str().to_owned(),
            reason: reason.map(str::to_owned),
            since: now.unix_seconds(),
            until: until.map(Time::unix_seconds),
        };
        let end = until.map_or(NEVER, Time::unix_seconds);
        let banned = transact(&*self.store, vec![target.key()], now, move |slots| {
            write(slots.first_mut(), &record, end);
        });
        banned.await?;
        if let BanTarget::Address(address) = target {
            let banned = address.as_str().to_ascii_lowercase();
            let is_of = |found: &str| ban_spellings(found).contains(&banned);
            self.end_sessions_of(is_of).await?;
            self.forget_links(|link| is_of(&link.email)).await?;
        }
        self.note("ban", Some(target));
        Ok(())
    }

    /// Lifts a ban; false if there was none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unban(&self, target: &BanTarget) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let lifted = transact(&*self.store, vec![target.key()], now, |slots| {
            slots
                .first_mut()
                .and_then(|slot| slot.record.take())
                .is_some()
        });
        let lifted = lifted.await?;
        if lifted {
            self.note("unban", Some(target));
        }
        Ok(lifted)
    }

    /// Takes from accounts the address that their holders have confirmed, so that the next log-in
    /// asks for a code again: from the account of this id, or from all that stand for the address
    /// in any spelling. How many there were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unlink(&self, target: &BanTarget) -> Result<u64, StoreError> {
        let (mut of_account, mut of_address) = (None, None);
        match target {
            BanTarget::Account(id) => match self.identity(id).await? {
                Some(identity) => {
                    of_account = Some(link_of(&identity.connector_id, &identity.user_id));
                }
                None => return Ok(0),
            },
            BanTarget::Address(address) => {
                of_address = Some(address.as_str().to_ascii_lowercase());
            }
        }
        let is_of_address = |email: &str| {
            let spelling = of_address.as_ref();
            spelling.is_some_and(|spelling| ban_spellings(email).contains(spelling))
        };
        // A log-in that has come from the provider carries the address already.
        for found in self.all(RecordKind::Login).await? {
            let login = serde_json::from_slice::<Login>(&found.bytes).ok();
            let arrived = match login.and_then(|login| login.arrived) {
                Some(Arrived::Proven(identity)) => identity,
                _ => continue,
            };
            let link = link_of(&arrived.connector_id, &arrived.user_id);
            if of_account == Some(link) || is_of_address(&arrived.email) {
                self.remove(found).await?;
            }
        }
        let forgotten = match of_account {
            Some(link) => self.forget_link(link).await?,
            None => self.forget_links(|link| is_of_address(&link.email)).await?,
        };
        if forgotten > 0 {
            self.note("unlink", Some(target));
        }
        Ok(forgotten)
    }

    async fn end_sessions_of(&self, is_of: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        for found in self.all(RecordKind::Login).await? {
            let login = serde_json::from_slice::<Login>(&found.bytes).ok();
            let challenge = login.and_then(|login| login.challenge);
            if challenge.is_some_and(|challenge| is_of(&challenge.address)) {
                self.remove(found).await?;
            }
        }
        Ok(())
    }

    /// Who an account is, by its id.
    async fn identity(&self, id: &AccountId) -> Result<Option<Proven>, StoreError> {
        let Some(before) = id.before() else {
            return Ok(None);
        };
        let now = self.clock.now();
        let scan = self.store.scan(RecordKind::Account, Some(before), 1, now);
        let next = scan.await?.into_iter().next();
        let record =
            next.and_then(|next| serde_json::from_slice::<AccountRecord>(&next.bytes).ok());
        let identity = record.map(|record| record.identity);
        Ok(identity.filter(|identity| AccountId::of(identity) == *id))
    }

    /// Forgets one link; 1 if it stood.
    async fn forget_link(&self, link: RecordKey) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let forgotten = transact(&*self.store, vec![link], now, move |slots| {
            let slot = slots.first_mut()?;
            let link: Link = read(Some(slot))?;
            slot.record = None;
            link.stands(now).then_some(())
        });
        Ok(forgotten.await?.map_or(0, |()| 1))
    }

    /// Forgets links; how many stood.
    async fn forget_links(&self, is_of: impl Fn(&Link) -> bool) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        for found in self.all(RecordKind::Link).await? {
            let link = self.link_in(&found);
            if link.is_some_and(|link| is_of(&link)) {
                self.remove(found).await?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    /// A link that stands.
    fn link_in(&self, found: &Found) -> Option<Link> {
        let link = serde_json::from_slice::<Link>(&found.bytes).ok();
        link.filter(|link| link.stands(self.clock.now()))
    }

    async fn remove(&self, found: Found) -> Result<(), StoreError> {
        let now = self.clock.now();
        transact(&*self.store, vec![found.key], now, |slots| {
            if let Some(slot) = slots.first_mut() {
                slot.record = None;
            }
        })
        .await
    }

    async fn all(&self, kind: RecordKind) -> Result<Vec<Found>, StoreError> {
        let now = self.clock.now();
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|found: &Found| found.key);
            let page = self.store.scan(kind, after, PAGE, now).await?;
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    fn note(&self, event: &'static str, target: Option<&BanTarget>) {
        let (address, account) = match target {
            Some(BanTarget::Address(address)) => (Some(address.as_str()), None),
            Some(BanTarget::Account(id)) => (None, Some(id.as_str())),
            None => (None, None),
        };
        let entry = Entry {
            event,
            address,
            account,
            by_operator: true,
            ..Entry::default()
        };
        if let Err(error) = self.audit.append(&entry.line(self.clock.now())) {
            crate::service::log_cause("no audit line", &error);
        }
    }
}

impl std::fmt::Debug for Administration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Administration")
    }
}
