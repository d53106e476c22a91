//! Log-in at a provider: the browser leaves with a `state`, comes back with a code, and the
//! provider says whose account it is.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;
use waxseal_identity::EmailAddress;
use waxseal_serve::{Label as _, causes};

use crate::audit::Entry;
use crate::grant::{grant_key, write_grant};
use crate::limits::{FORGED_CODES_PER_PEER, peer_name};
use crate::login::{Answer, Begun, Outcome, answer_to, login_key, own, take_login};
use crate::parameters::Parameters;
use crate::records::{Arrived, AtProvider, Link, LinkedAccount, Login, Proven, read, write};
use crate::secret::Secret;
use crate::service::{LoginEvent, ProviderRefusal, Refusal, Service};
use crate::upstream::{Account, Claimed, Upstream, UpstreamError, Visit};
use crate::{RecordKey, RecordKind, transact};

/// From the browser's return to the end of our questions to the provider: at most five requests.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key of a visit: the `state` that the browser takes along.
fn visit_key(state: &str) -> RecordKey {
    RecordKey::new(RecordKind::Visit, &[state.as_bytes()])
}

/// The key of the address that an account stands for.
pub(crate) fn link_key(account: &LinkedAccount) -> RecordKey {
    link_of(&account.connector_id, &account.user_id)
}

/// The same by the account's names.
pub(crate) fn link_of(connector_id: &str, user_id: &str) -> RecordKey {
    let parts = [connector_id.as_bytes(), user_id.as_bytes()];
    RecordKey::new(RecordKind::Link, &parts)
}

/// A browser that came back. Its log-in has new secrets: whoever saw the old ones has nothing.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) begun: Begun,
    /// The key that the log-in had.
    pub(crate) before: RecordKey,
    pub(crate) next: Result<Next, Refusal>,
}

/// What comes after a provider.
#[derive(Debug)]
pub(crate) enum Next {
    /// The log-in is over.
    Answer(Answer),
    /// The person is shown who signs.
    Confirm,
    /// The person confirms an address.
    Address,
}

impl Service {
    /// Sends a browser to a provider. Several visits may be open for one log-in, as people press
    /// "back"; the first that comes to an end takes the log-in with it.
    pub(crate) async fn leave(
        &self,
        request: &str,
        cookie: Option<&str>,
        name: &str,
        peer: Option<IpAddr>,
    ) -> Result<Url, Refusal> {
        let upstream = self.upstream(name).ok_or(Refusal::UnknownProvider)?;
        let login = self.login(request, cookie).await?;
        let now = self.now();
        let endpoints = upstream.endpoints(now).await;
        let endpoints = endpoints.map_err(|error| self.refused(upstream, error, peer))?;
        let state = Secret::generate(&*self.context.random)?;
        let visit = Visit::new(&self.context.code_key, state.expose());
        let record = AtProvider {
            login: *login_key(request).as_bytes(),
            connector: name.to_owned(),
            expires: login.expires,
        };
        let keys = vec![visit_key(state.expose()), self.logins_key(peer)];
        let limited = !self.config.is_outbox();
        let written = transact(&*self.context.store, keys, now, move |slots| {
            take_login(slots.get_mut(1).filter(|_| limited), now)?;
            write(slots.first_mut(), &record, record.expires);
            Ok::<_, Refusal>(())
        });
        written.await??;
        self.counters.logins.add(LoginEvent::Sent, 1);
        Ok(upstream.authorization_url(&endpoints, &visit, login.login_hint.as_deref()))
    }

    /// Takes a browser back that comes from a provider. The visit is over in the same transaction
    /// that moves the log-in to its new secrets, so a redirect counts once.
    pub(crate) async fn arrive(
        &self,
        name: &str,
        query: &[u8],
        cookie_of: impl Fn(&RecordKey) -> Option<String>,
        peer: Option<IpAddr>,
    ) -> Result<Arrival, Refusal> {
        let upstream = self.upstream(name).ok_or(Refusal::UnknownProvider)?;
        let callback = Parameters::parse(query).map_err(|_| Refusal::UnknownLogin)?;
        let state = callback.value("state").ok_or(Refusal::UnknownLogin)?;
        let now = self.now();
        let keys = vec![visit_key(state)];
        let found = transact(&*self.context.store, keys, now, |slots| {
            read::<AtProvider>(slots.first())
        });
        let at = found.await?.ok_or(Refusal::UnknownLogin)?;
        if at.connector != name {
            return Err(Refusal::OtherProvider);
        }
        let before = RecordKey::from_parts(RecordKind::Login, at.login);
        let cookie = cookie_of(&before);
        let begun = Begun::generate(&*self.context.random, None)?;
        let (after, browser) = (login_key(begun.request.expose()), begun.cookie.digest());
        let of_peer = FORGED_CODES_PER_PEER.key(&peer_name(peer));
        let keys = vec![visit_key(state), before, after, of_peer];
        let moved = transact(&*self.context.store, keys, now, move |slots| {
            let [visit, old, new, of_peer] = slots else {
                return Err(Refusal::UnknownLogin);
            };
            let wait = |retry| Refusal::TooManyFailures { retry };
            // Where nobody knows who asks, one could keep everybody out.
            if peer.is_some() {
                let admitted = FORGED_CODES_PER_PEER.admit(Some(of_peer), now);
                admitted.map_err(wait)?;
            }
            if read::<AtProvider>(Some(visit)).as_ref() != Some(&at) {
                return Err(Refusal::UnknownLogin);
            }
            // Another browser changes nothing: the visit stays for the one that began it.
            let mut login = own(read(Some(old)), cookie.as_deref(), now)?;
            (visit.record, old.record) = (None, None);
            // A code that was sent is bound to the log-in's old name, and so is void.
            (login.browser, login.arrived, login.challenge) = (browser, None, None);
            let expires = login.expires;
            write(Some(new), &login, expires);
            Ok(login)
        });
        let login = moved.await??;
        let visit = Visit::new(&self.context.code_key, state);
        let next = match self.ask_provider(upstream, &callback, &visit).await {
            Ok(account) => self.settle(upstream, account, &login, &begun, peer).await,
            Err(error) => {
                if peer.is_some() && matches!(error, UpstreamError::Exchange(_)) {
                    let noted = transact(&*self.context.store, vec![of_peer], now, move |slots| {
                        FORGED_CODES_PER_PEER.note(slots.first_mut(), now);
                    });
                    noted.await?;
                }
                Err(self.refused(upstream, error, peer))
            }
        };
        Ok(Arrival {
            begun,
            before,
            next,
        })
    }

    async fn ask_provider(
        &self,
        upstream: &Upstream,
        callback: &Parameters,
        visit: &Visit,
    ) -> Result<Account, UpstreamError> {
        let now = self.now();
        let endpoints = upstream.endpoints(now).await?;
        let code = upstream.code_of(&endpoints, callback)?;
        let _slot = upstream
            .slots
            .try_acquire()
            .map_err(|_| UpstreamError::Busy)?;
        let asked = async {
            let tokens = upstream.exchange(&endpoints, visit, &code).await?;
            upstream.account(&endpoints, visit, &tokens, now).await
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        answer.unwrap_or(Err(UpstreamError::TimedOut))
    }

    /// Makes of an account what the broker's rules make of it.
    async fn settle(
        &self,
        upstream: &Upstream,
        account: Account,
        login: &Login,
        begun: &Begun,
        peer: Option<IpAddr>,
    ) -> Result<Next, Refusal> {
        let account_of = |user_id| LinkedAccount {
            connector: upstream.config.name().to_owned(),
            connector_id: upstream.config.connector_id(),
            user_id,
        };
        let account_id = account_of(account.user_id);
        let (proven, hint) = match account.email {
            Claimed::Verified(email) => (Some(email), None),
            Claimed::Unproven(hint) => (self.linked(&account_id).await?, hint),
        };
        let Some(email) = proven else {
            let hint = hint.map(|hint| hint.as_str().to_owned());
            let arrived = Arrived::Unproven(account_id);
            self.keep_arrived(begun, arrived, hint).await?;
            return Ok(Next::Address);
        };
        if !self.admits_at(upstream.config.name(), email.domain()) {
            return Err(self.refused(upstream, UpstreamError::NotAdmitted, peer));
        }
        let identity = Proven {
            connector_id: account_id.connector_id,
            user_id: account_id.user_id,
            email: email.as_str().to_owned(),
        };
        if self.is_banned(&identity, peer).await? {
            return Err(self.refused(upstream, UpstreamError::Banned, peer));
        }
        if self.wants_confirmation(login) {
            self.keep_arrived(begun, Arrived::Proven(identity), None)
                .await?;
            return Ok(Next::Confirm);
        }
        let (request, cookie) = (begun.request.expose(), begun.cookie.expose());
        let answer = self.finish(request, Some(cookie), Some(identity), peer);
        Ok(Next::Answer(answer.await?))
    }

    /// The address that an account has confirmed before.
    async fn linked(&self, account: &LinkedAccount) -> Result<Option<EmailAddress>, Refusal> {
        let (keys, now) = (vec![link_key(account)], self.now());
        let found = transact(&*self.context.store, keys, now, |slots| {
            read::<Link>(slots.first())
        });
        let link = found.await?.filter(|link| link.stands(now));
        Ok(link.and_then(|link| EmailAddress::parse(&link.email).ok()))
    }

    async fn keep_arrived(
        &self,
        begun: &Begun,
        arrived: Arrived,
        hint: Option<String>,
    ) -> Result<(), Refusal> {
        let keys = vec![login_key(begun.request.expose())];
        let (cookie, now) = (begun.cookie.expose().to_owned(), self.now());
        let kept = transact(&*self.context.store, keys, now, move |slots| {
            let mut login: Login = own(read(slots.first()), Some(&cookie), now)?;
            login.arrived = Some(arrived);
            login.challenge = None;
            login.login_hint = hint.or(login.login_hint);
            let expires = login.expires;
            write(slots.first_mut(), &login, expires);
            Ok(())
        });
        kept.await?
    }

    /// The log-in of somebody who chooses anew: an account that waits for its address is left.
    pub(crate) async fn choose(
        &self,
        request: &str,
        cookie: Option<&str>,
    ) -> Result<Login, Refusal> {
        let login = self.login(request, cookie).await?;
        if login.account().is_none() {
            return Ok(login);
        }
        let keys = vec![login_key(request)];
        let (cookie, now) = (cookie.map(str::to_owned), self.now());
        let left = transact(&*self.context.store, keys, now, move |slots| {
            let mut login: Login = own(read(slots.first()), cookie.as_deref(), now)?;
            (login.arrived, login.challenge) = (None, None);
            let expires = login.expires;
            write(slots.first_mut(), &login, expires);
            Ok(login)
        });
        left.await?
    }

    /// Ends a log-in whose person has agreed to what the page says.
    pub(crate) async fn confirm(
        &self,
        request: &str,
        cookie: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Result<Answer, Refusal> {
        self.finish(request, cookie, None, peer).await
    }

    /// Ends a log-in: as this identity, or as the one that is kept with it.
    async fn finish(
        &self,
        request: &str,
        cookie: Option<&str>,
        identity: Option<Proven>,
        peer: Option<IpAddr>,
    ) -> Result<Answer, Refusal> {
        let code = Secret::generate(&*self.context.random)?;
        let keys = vec![login_key(request), grant_key(code.expose())];
        let (cookie, now) = (cookie.map(str::to_owned), self.now());
        let ended = transact(&*self.context.store, keys, now, move |slots| {
            let [login, grant] = slots else {
                return Err(Refusal::UnknownLogin);
            };
            let owned = own(read(Some(login)), cookie.as_deref(), now)?;
            let identity = match (identity, &owned.arrived) {
                (Some(identity), _) => identity,
                (None, Some(Arrived::Proven(identity))) => identity.clone(),
                _ => return Err(Refusal::NotProven),
            };
            login.record = None;
            let email = identity.email.clone();
            write_grant(grant, &owned, identity, now);
            Ok((owned, email))
        });
        let (login, email) = ended.await??;
        self.audit(LoginEvent::Granted, &email, peer);
        answer_to(&login, Outcome::Code(code))
    }

    /// Whether an address of this domain may log in by a connector.
    pub(crate) fn admits_at(&self, connector: &str, domain: &str) -> bool {
        let config = &self.config;
        self.upstream(connector).is_some_and(|upstream| {
            upstream
                .config
                .admits(domain, &config.allow_domains, &config.deny_domains)
        })
    }

    /// Writes down why a provider let nobody in: codes and names, nothing that a person typed or
    /// a token carries.
    fn refused(&self, upstream: &Upstream, error: UpstreamError, peer: Option<IpAddr>) -> Refusal {
        let connector = upstream.config.name().to_owned();
        let cause = causes(&error);
        if error.is_fault() {
            tracing::error!(connector, cause, "no log-in at a provider");
        } else {
            tracing::info!(connector, cause, "no log-in at a provider");
        }
        let event = LoginEvent::ProviderRefused;
        self.counters.logins.add(event, 1);
        self.record(&Entry {
            event: event.value(),
            connector: Some(&upstream.config.connector_id()),
            peer,
            ..Entry::default()
        });
        Refusal::Upstream(Box::new(ProviderRefusal {
            connector,
            label: upstream.config.label().to_owned(),
            error,
        }))
    }
}
