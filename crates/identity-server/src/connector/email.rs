//! Log-in by e-mail code (authority.md §2.6).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use waxseal_crypto::{Digest, Time, sha256};
use waxseal_identity::EmailAddress;

use super::provider::link_key;
use crate::account::{bans_of_address, is_banned, mailbox};
use crate::grant::{grant_key, write_grant};
use crate::limits::{
    ATTEMPTS_PER_CODE, CODES_PER_ADDRESS, CODES_PER_PEER, CODES_PER_SITE, FAILURES_IN_ALL,
    FAILURES_PER_ADDRESS, FAILURES_PER_PEER, FAILURES_PER_SITE, peer_name, site_name,
};
use crate::login::{Answer, Outcome, answer_to, login_key, own};
use crate::records::{Challenge, Link, LinkedAccount, Login, Proven, read, write};
use crate::secret::{Secret, same};
use crate::service::{Fault, LoginEvent, Refusal, Service};
use crate::{CodeMail, LoginCode, Slot, transact};

/// How long a code counts.
const CODE_LIFE: Duration = Duration::from_secs(600);

impl Service {
    /// Sends a code to an address and makes it the one that counts; an older one is void.
    ///
    /// An address that may not log in gets no mail, and everything else is the same: the page, the
    /// records and the waiting do not tell who is admitted.
    pub(crate) async fn send_code(
        self: &Arc<Self>,
        request: &str,
        cookie: Option<&str>,
        address: &str,
        peer: Option<IpAddr>,
    ) -> Result<(), Refusal> {
        // Before the address is looked at: who does not own the log-in learns nothing of it.
        let login = self.login(request, cookie).await?;
        let account = login.account().cloned();
        if account.is_none() && !self.config.has_email_login() {
            return Err(Refusal::NotProven);
        }
        let address = EmailAddress::parse(address.trim())
            .map_err(|_| Refusal::BadAddress)?
            .normalized();
        let now = self.now();
        let code = LoginCode::generate(&*self.context.random)?;
        let admitted = match &account {
            None => self.config.admits(address.domain()),
            Some(account) => self.admits_at(&account.connector, address.domain()),
        };
        let tied = account.as_ref().map(|account| account.connector.clone());
        let key = login_key(request);
        let code_key = &self.context.code_key;
        let mac = |code| code_key.mac(key.as_bytes(), address.as_str(), code);
        let (short, long_mac) = (code.shortened(), mac(&code));
        // No code has this digest, so none that is typed is right.
        let void = Secret::generate(&*self.context.random)?.digest();
        let mut challenge = Challenge {
            address: address.as_str().to_owned(),
            is_long: false,
            mac: mac(&short),
            expires: now.checked_add(CODE_LIFE).unwrap_or(now).unix_seconds(),
            attempts_left: ATTEMPTS_PER_CODE,
        };
        let mut keys = vec![
            key,
            CODES_PER_ADDRESS.key(&mailbox(address.as_str())),
            CODES_PER_PEER.key(&peer_name(peer)),
            CODES_PER_SITE.key(&site_name(peer)),
            FAILURES_IN_ALL.key(""),
        ];
        keys.extend(bans_of_address(address.as_str()));
        let (cookie, limited) = (cookie.map(str::to_owned), !self.config.is_outbox());
        let outcome = transact(&*self.context.store, keys, now, move |slots| {
            let [login, of_address, of_peer, of_site, in_all, bans @ ..] = slots else {
                return Err(Refusal::UnknownLogin);
            };
            let mut owned = own(read(Some(login)), cookie.as_deref(), now)?;
            if owned.account() != account.as_ref() {
                return Err(Refusal::NotProven);
            }
            if limited {
                let wait = |retry| Refusal::TooManyCodes { retry };
                CODES_PER_ADDRESS
                    .admit(Some(of_address), now)
                    .map_err(wait)?;
                CODES_PER_PEER.admit(Some(of_peer), now).map_err(wait)?;
                CODES_PER_SITE.admit(Some(of_site), now).map_err(wait)?;
                CODES_PER_ADDRESS.note(Some(of_address), now);
                CODES_PER_PEER.note(Some(of_peer), now);
                CODES_PER_SITE.note(Some(of_site), now);
            }
            if FAILURES_IN_ALL.is_half_used(Some(in_all), now) {
                (challenge.is_long, challenge.mac) = (true, long_mac);
            }
            let is_long = challenge.is_long;
            let banned = bans.iter().any(|ban| is_banned(Some(ban)));
            if banned || !admitted {
                challenge.mac = void;
            }
            owned.challenge = Some(challenge);
            let expires = owned.expires;
            write(Some(login), &owned, expires);
            Ok((banned, is_long))
        });
        match outcome.await? {
            Ok((false, is_long)) if admitted => {
                let code = if is_long { code } else { short };
                let account = tied.map(|connector| self.label_of(&connector));
                self.deliver(address, code, account, peer).await?;
            }
            Ok((false, _)) => self.audit(LoginEvent::NotAdmitted, address.as_str(), peer),
            Ok((true, _)) => self.audit(LoginEvent::Banned, address.as_str(), peer),
            Err(refusal) => {
                if matches!(refusal, Refusal::TooManyCodes { .. }) {
                    self.audit_limited(address.as_str(), peer);
                }
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Hands the mail over. With a mail server nobody waits for it, for the waiting would tell
    /// who is admitted; the outbox admits everybody, and a failure there is shown at once.
    async fn deliver(
        self: &Arc<Self>,
        to: EmailAddress,
        code: LoginCode,
        account: Option<String>,
        peer: Option<IpAddr>,
    ) -> Result<(), Fault> {
        let address = to.as_str().to_owned();
        let mail = CodeMail {
            to,
            code,
            instance: self.config.name(),
            host: self.config.host(),
            account,
            peer,
            time: self.now(),
        };
        if self.config.is_outbox() {
            self.context.mailer.send(mail).await?;
            self.audit(LoginEvent::CodeSent, &address, peer);
            return Ok(());
        }
        let service = Arc::clone(self);
        tokio::spawn(async move {
            let event = match service.context.mailer.send(mail).await {
                Ok(()) => LoginEvent::CodeSent,
                Err(error) => {
                    let cause = error.0.to_string();
                    tracing::error!(cause = cause.escape_debug().to_string(), "no mail was sent");
                    LoginEvent::MailFailed
                }
            };
            service.audit(event, &address, peer);
        });
        Ok(())
    }

    /// Judges a code that was typed. The right one ends the log-in: in one transaction the log-in
    /// is gone and the grant is there, so of two that come at once one wins.
    pub(crate) async fn check_code(
        &self,
        request: &str,
        cookie: Option<&str>,
        typed: &str,
        peer: Option<IpAddr>,
    ) -> Result<Answer, Refusal> {
        let login = self.login(request, cookie).await?;
        let typed = LoginCode::typed(typed).ok_or(Refusal::NotACode)?;
        let account = login.account().cloned();
        let challenge = login.challenge.ok_or(Refusal::NoCode)?;
        if challenge.is_long != typed.is_long() {
            return Err(Refusal::NotACode);
        }
        let address = challenge.address;
        let now = self.now();
        let key = login_key(request);
        let code = Secret::generate(&*self.context.random)?;
        let mut keys = vec![
            key,
            FAILURES_PER_ADDRESS.key(&mailbox(&address)),
            FAILURES_PER_PEER.key(&peer_name(peer)),
            FAILURES_PER_SITE.key(&site_name(peer)),
            FAILURES_IN_ALL.key(""),
            grant_key(code.expose()),
        ];
        keys.extend(account.as_ref().map(link_key));
        let attempt = Attempt {
            cookie: cookie.map(str::to_owned),
            is_long: typed.is_long(),
            mac: self.context.code_key.mac(key.as_bytes(), &address, &typed),
            address: address.clone(),
            account,
            connector_id: self.email_connector_id().to_owned(),
            now,
        };
        let judged = transact(&*self.context.store, keys, now, move |slots| {
            attempt.judge(slots)
        });
        match judged.await? {
            Ok(login) => {
                self.audit(LoginEvent::Granted, &address, peer);
                answer_to(&login, Outcome::Code(code))
            }
            Err(refusal) => {
                match refusal {
                    Refusal::TooManyFailures { .. } | Refusal::ShortCode => {
                        self.audit_limited(&address, peer)
                    }
                    Refusal::WrongCode { attempts_left: 0 } => {
                        self.audit(LoginEvent::Locked, &address, peer);
                    }
                    Refusal::WrongCode { .. } => self.audit(LoginEvent::WrongCode, &address, peer),
                    // Nothing was guessed: no code was waiting.
                    _ => {}
                }
                Err(refusal)
            }
        }
    }
}

/// One typed code, within the transaction that judges it.
struct Attempt {
    cookie: Option<String>,
    is_long: bool,
    mac: [u8; 32],
    address: String,
    account: Option<LinkedAccount>,
    connector_id: String,
    now: Time,
}

impl Attempt {
    fn judge(self, slots: &mut [Slot]) -> Result<Login, Refusal> {
        let [
            login,
            of_address,
            of_peer,
            of_site,
            in_all,
            grant,
            link @ ..,
        ] = slots
        else {
            return Err(Refusal::UnknownLogin);
        };
        let now = self.now;
        let mut owned = own(read(Some(login)), self.cookie.as_deref(), now)?;
        if owned.account() != self.account.as_ref() {
            return Err(Refusal::NoCode);
        }
        let live = |challenge: &Challenge| {
            challenge.address == self.address
                && challenge.is_long == self.is_long
                && challenge.attempts_left > 0
                && challenge.expires > now.unix_seconds()
        };
        let mut challenge = owned.challenge.take().filter(live).ok_or(Refusal::NoCode)?;
        let wait = |retry| Refusal::TooManyFailures { retry };
        FAILURES_PER_ADDRESS
            .admit(Some(of_address), now)
            .map_err(wait)?;
        FAILURES_PER_PEER.admit(Some(of_peer), now).map_err(wait)?;
        FAILURES_PER_SITE.admit(Some(of_site), now).map_err(wait)?;
        if !self.is_long {
            let in_all = FAILURES_IN_ALL.admit(Some(in_all), now);
            in_all.map_err(|_| Refusal::ShortCode)?;
        }
        let expires = owned.expires;
        if !same(&self.mac, &challenge.mac) {
            challenge.attempts_left -= 1;
            let attempts_left = challenge.attempts_left;
            owned.challenge = Some(challenge);
            write(Some(login), &owned, expires);
            FAILURES_PER_ADDRESS.note(Some(of_address), now);
            FAILURES_PER_PEER.note(Some(of_peer), now);
            FAILURES_PER_SITE.note(Some(of_site), now);
            if !self.is_long {
                FAILURES_IN_ALL.note(Some(in_all), now);
            }
            return Err(Refusal::WrongCode { attempts_left });
        }
        login.record = None;
        let identity = match self.account {
            None => Proven {
                user_id: user_id(&self.address),
                connector_id: self.connector_id,
                email: self.address,
            },
            Some(account) => {
                // From now on the account stands for the address, until it is to be confirmed anew.
                let email = self.address;
                let since = now.unix_seconds();
                let confirmed = Link {
                    email: email.clone(),
                    since,
                };
                write(link.first_mut(), &confirmed, confirmed.ends());
                Proven {
                    user_id: account.user_id,
                    connector_id: account.connector_id,
                    email,
                }
            }
        };
        write_grant(grant, &owned, identity, now);
        Ok(owned)
    }
}

/// A stable name for an address that is no address: 128 bits of its digest.
fn user_id(address: &str) -> String {
    let digest = Digest::from(sha256(
        &[b"waxseal e-mail user\0", address.as_bytes()].concat(),
    ));
    digest.to_hex().get(..32).unwrap_or_default().to_owned()
}
