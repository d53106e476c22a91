//! Logging in for a device that has no browser of its own (RFC 8628), with the client's PKCE.
//!
//! A device gets two codes: it keeps one and polls with it, and shows the other. Somebody types
//! the shown one into a browser, is told who asks and from where, agrees, and logs in as in any
//! other flow. That somebody may have been sent the code by the owner of the device, who then gets
//! a token in his name (RFC 8628 §5.4): nothing of this happens on a GET, or in one step.

mod poll;
mod user_code;

use std::net::IpAddr;
use std::time::Duration;

pub(crate) use poll::PollRefusal;
pub(crate) use user_code::UserCode;

use crate::client::{Caller, PublicClient, is_code_challenge};
use crate::limits::{
    DEVICES_PER_PEER, DEVICES_PER_SITE, USER_CODES_IN_ALL, USER_CODES_PER_PEER,
    USER_CODES_PER_SITE, peer_name, site_name,
};
use crate::login::{Begun, LOGIN_LIFE, Outcome, login_hint, login_key, of_browser, take_login};
use crate::parameters::Parameters;
use crate::records::{Device, DeviceState, Login, Proven, read, write};
use crate::secret::Secret;
use crate::service::{Fault, LoginEvent, Refusal, Service};
use crate::{RecordKey, RecordKind, transact};

/// How long the two codes count.
pub(crate) const DEVICE_LIFE: Duration = Duration::from_secs(600);

/// How long a device must wait between two polls, unless it is told to slow down.
pub(crate) const POLL_INTERVAL: i64 = 5;

/// How long after its end a code is still known, so that its device learns that it expired.
const KNOWN_AFTER: i64 = 600;

/// What a device gets.
#[derive(Debug)]
pub(crate) struct DeviceCodes {
    pub(crate) device_code: Secret,
    pub(crate) user_code: UserCode,
}

/// Why a device gets no codes (RFC 6749 §5.2, as RFC 8628 §3.2 has it).
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceRefusal {
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("scope must have openid")]
    InvalidScope,
    #[error("the client is unknown, or has a secret that it should not have")]
    InvalidClient { basic: bool },
    #[error("too many devices asked from this address")]
    TooMany { retry: Duration },
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What a person is asked about.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) device: Device,
    pub(crate) login: Login,
}

/// The key of a device's record. The record is named by a digest of the device's code, which the
/// record of the shown code and the log-in hold: none of them can poll.
fn device_key(digest: &[u8; 32]) -> RecordKey {
    RecordKey::new(RecordKind::Device, &[digest])
}

fn user_code_key(code: &UserCode) -> RecordKey {
    RecordKey::new(RecordKind::UserCode, &[code.letters().as_bytes()])
}

impl Service {
    /// Gives a device its codes.
    pub(crate) async fn begin_device(
        &self,
        form: &[u8],
        caller: &Caller<'_>,
    ) -> Result<DeviceCodes, DeviceRefusal> {
        let peer = caller.peer;
        let invalid = DeviceRefusal::InvalidRequest;
        let form = Parameters::parse(form)
            .map_err(|_| invalid("the form is too long, or has a parameter twice"))?;
        let client = PublicClient::authenticate(&form, caller).map_err(|refused| {
            let basic = refused.basic;
            DeviceRefusal::InvalidClient { basic }
        })?;
        let scope = form.value("scope").unwrap_or_default();
        if !scope.split(' ').any(|scope| scope == "openid") {
            return Err(DeviceRefusal::InvalidScope);
        }
        if form.value("code_challenge_method") != Some("S256") {
            return Err(invalid("code_challenge_method must be S256"));
        }
        let code_challenge = form
            .value("code_challenge")
            .filter(|text| is_code_challenge(text))
            .ok_or(invalid("code_challenge must be 43 characters of base64url"))?;
        let connector_id = form.value("connector_id");
        if connector_id.is_some_and(|id| !self.has_connector(id)) {
            return Err(invalid("connector_id names no way to log in here"));
        }
        let random = &*self.context.random;
        let device_code = Secret::generate(random).map_err(Fault::from)?;
        let user_code = UserCode::generate(random).map_err(Fault::from)?;
        let short = user_code.shortened();
        let now = self.now();
        let end = now.checked_add(DEVICE_LIFE).unwrap_or(now).unix_seconds();
        let digest = device_code.digest();
        let device = Device {
            client_id: client.id,
            code_challenge: code_challenge.to_owned(),
            peer: peer.map(|address| address.to_canonical().to_string()),
            begun: now.unix_seconds(),
            expires: end,
            polled: None,
            interval: POLL_INTERVAL,
            connector_id: connector_id.map(str::to_owned),
            login_hint: login_hint(&form),
            state: DeviceState::Pending,
        };
        let limited = !self.config.is_outbox();
        let keys = vec![
            device_key(&digest),
            user_code_key(&user_code),
            user_code_key(&short),
            DEVICES_PER_PEER.key(&peer_name(peer)),
            DEVICES_PER_SITE.key(&site_name(peer)),
            USER_CODES_IN_ALL.key(""),
        ];
        let made = transact(&*self.context.store, keys, now, move |slots| {
            let [of_device, of_long, of_short, of_peer, of_site, in_all] = slots else {
                return Ok(None);
            };
            if limited {
                DEVICES_PER_PEER.admit(Some(of_peer), now)?;
                DEVICES_PER_SITE.admit(Some(of_site), now)?;
                DEVICES_PER_PEER.note(Some(of_peer), now);
                DEVICES_PER_SITE.note(Some(of_site), now);
            }
            // Only for who is let in: it reads every wrong code of late, on the one thread that
            // commits.
            let is_long = USER_CODES_IN_ALL.is_half_used(Some(in_all), now);
            let of_user = if is_long { of_long } else { of_short };
            // One chance in 10^10 that the code is in use; its owner keeps it.
            if of_user.record.is_some() {
                return Ok(None);
            }
            write(Some(of_device), &device, end.saturating_add(KNOWN_AFTER));
            write(Some(of_user), &digest, end);
            Ok(Some(is_long))
        });
        let user_code = match made.await.map_err(Fault::from)? {
            Ok(Some(true)) => user_code,
            Ok(Some(false)) => short,
            Ok(None) => return Err(invalid("the codes collided: ask again")),
            Err(retry) => return Err(DeviceRefusal::TooMany { retry }),
        };
        self.audit(LoginEvent::DeviceBegun, "", peer);
        Ok(DeviceCodes {
            device_code,
            user_code,
        })
    }

    /// Finds the device of a code that somebody typed, and begins a log-in for it in this browser.
    /// The log-in goes on only once its owner has agreed ([`Self::confirm_device`]).
    pub(crate) async fn type_user_code(
        &self,
        typed: &str,
        peer: Option<IpAddr>,
    ) -> Result<Begun, Refusal> {
        let code = UserCode::typed(typed).ok_or(Refusal::NotAUserCode)?;
        let now = self.now();
        let keys = vec![
            user_code_key(&code),
            USER_CODES_PER_PEER.key(&peer_name(peer)),
            USER_CODES_PER_SITE.key(&site_name(peer)),
            USER_CODES_IN_ALL.key(""),
        ];
        let is_long = code.is_long();
        let found = transact(&*self.context.store, keys, now, move |slots| {
            let [of_user, of_peer, of_site, in_all] = slots else {
                return Err(Refusal::WrongUserCode);
            };
            let wait = |retry| Refusal::TooManyUserCodes { retry };
            USER_CODES_PER_PEER
                .admit(Some(of_peer), now)
                .map_err(wait)?;
            USER_CODES_PER_SITE
                .admit(Some(of_site), now)
                .map_err(wait)?;
            if !is_long {
                let in_all = USER_CODES_IN_ALL.admit(Some(in_all), now);
                in_all.map_err(|_| Refusal::ShortUserCode)?;
            }
            read::<[u8; 32]>(Some(of_user)).ok_or_else(|| {
                USER_CODES_PER_PEER.note(Some(of_peer), now);
                USER_CODES_PER_SITE.note(Some(of_site), now);
                if !is_long {
                    USER_CODES_IN_ALL.note(Some(in_all), now);
                }
                Refusal::WrongUserCode
            })
        });
        match found.await? {
            Ok(digest) => self.begin_device_login(digest, peer).await,
            Err(refusal) => {
                match refusal {
                    Refusal::TooManyUserCodes { .. } | Refusal::ShortUserCode => {
                        self.audit_limited("", peer)
                    }
                    _ => self.audit(LoginEvent::WrongUserCode, "", peer),
                }
                Err(refusal)
            }
        }
    }

    async fn begin_device_login(
        &self,
        digest: [u8; 32],
        peer: Option<IpAddr>,
    ) -> Result<Begun, Refusal> {
        let begun = Begun::generate(&*self.context.random, None)?;
        let now = self.now();
        let end = now.checked_add(LOGIN_LIFE).unwrap_or(now).unix_seconds();
        let browser = begun.cookie.digest();
        let limited = !self.config.is_outbox();
        let keys = vec![
            login_key(begun.request.expose()),
            device_key(&digest),
            self.logins_key(peer),
        ];
        let written = transact(&*self.context.store, keys, now, move |slots| {
            let [of_login, of_device, of_peer] = slots else {
                return Err(Refusal::UnknownLogin);
            };
            take_login(Some(of_peer).filter(|_| limited), now)?;
            let device: Device = read(Some(of_device)).ok_or(Refusal::WrongUserCode)?;
            device.pending(now)?;
            let login = Login {
                client_id: device.client_id,
                redirect_uri: String::new(),
                state: None,
                nonce: None,
                code_challenge: device.code_challenge,
                login_hint: device.login_hint,
                browser,
                expires: end,
                challenge: None,
                device: Some(digest),
                confirmed: false,
                arrived: None,
            };
            write(Some(of_login), &login, end);
            Ok(())
        });
        written.await??;
        self.audit(LoginEvent::Begun, "", peer);
        Ok(begun)
    }

    /// What the owner of a log-in is asked to agree to.
    pub(crate) async fn waiting_device(
        &self,
        request: &str,
        cookie: Option<&str>,
    ) -> Result<Waiting, Refusal> {
        let login = self.login_to_confirm(request, cookie).await?;
        let digest = login.device.ok_or(Refusal::UnknownLogin)?;
        let now = self.now();
        let keys = vec![device_key(&digest)];
        let device = transact(&*self.context.store, keys, now, |slots| {
            read::<Device>(slots.first())
        });
        let device = device.await?.ok_or(Refusal::DeviceGone)?;
        device.pending(now)?;
        Ok(Waiting { device, login })
    }

    /// The owner of a log-in agrees that the device gets its outcome. Gives the connector that the
    /// device has named.
    pub(crate) async fn confirm_device(
        &self,
        request: &str,
        cookie: Option<&str>,
    ) -> Result<Option<String>, Refusal> {
        let waiting = self.waiting_device(request, cookie).await?;
        let keys = vec![login_key(request)];
        let (now, cookie) = (self.now(), cookie.map(str::to_owned));
        let confirmed = transact(&*self.context.store, keys, now, move |slots| {
            let mut login = of_browser(read(slots.first()), cookie.as_deref(), now)?;
            login.confirmed = true;
            write(slots.first_mut(), &login, login.expires);
            Ok::<_, Refusal>(())
        });
        confirmed.await??;
        Ok(waiting.device.connector_id)
    }

    /// The owner of a log-in refuses: the device learns it, and the log-in is gone.
    pub(crate) async fn deny_device(
        &self,
        request: &str,
        cookie: Option<&str>,
    ) -> Result<(), Refusal> {
        let digest = self.waiting_device(request, cookie).await?.login.device;
        let digest = digest.ok_or(Refusal::UnknownLogin)?;
        let keys = vec![login_key(request), device_key(&digest)];
        let (now, cookie) = (self.now(), cookie.map(str::to_owned));
        let denied = transact(&*self.context.store, keys, now, move |slots| {
            let [of_login, of_device] = slots else {
                return Err(Refusal::UnknownLogin);
            };
            of_browser(read(Some(of_login)), cookie.as_deref(), now)?;
            of_login.record = None;
            settle(of_device, DeviceState::Denied, now)
        });
        denied.await??;
        self.audit(LoginEvent::DeviceDenied, "", None);
        Ok(())
    }

    /// Brings a log-in's outcome to its device. The authorization code of the log-in stays in the
    /// broker: it is used up here, so of two outcomes one wins.
    pub(crate) async fn end_device(
        &self,
        digest: &[u8; 32],
        outcome: &Outcome,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let digest = *digest;
        let state = match outcome {
            Outcome::Code(code) => {
                let grant = self.redeem(code.expose(), None).await.map_err(|_| {
                    // Only whoever runs this very function knows the code.
                    Refusal::UnknownLogin
                })?;
                DeviceState::Granted {
                    identity: grant.identity,
                    auth_time: grant.auth_time,
                }
            }
            Outcome::Error { .. } => DeviceState::Denied,
        };
        let (event, address) = match &state {
            DeviceState::Granted { identity, .. } => {
                (LoginEvent::DeviceGranted, identity.email.clone())
            }
            _ => (LoginEvent::DeviceDenied, String::new()),
        };
        let keys = vec![device_key(&digest)];
        let settled = transact(&*self.context.store, keys, now, move |slots| {
            let slot = slots.first_mut().ok_or(Refusal::DeviceGone)?;
            settle(slot, state, now)
        });
        settled.await??;
        self.audit(event, &address, None);
        Ok(())
    }
}

/// Settles a device that still waits: the first outcome is the one.
fn settle(
    slot: &mut crate::Slot,
    state: DeviceState,
    now: waxseal_crypto::Time,
) -> Result<(), Refusal> {
    let mut device: Device = read(Some(slot)).ok_or(Refusal::DeviceGone)?;
    device.pending(now)?;
    device.state = state;
    let expires = device.expires.saturating_add(KNOWN_AFTER);
    write(Some(slot), &device, expires);
    Ok(())
}

impl Device {
    /// Whether it can still be given an outcome.
    fn pending(&self, now: waxseal_crypto::Time) -> Result<(), Refusal> {
        let waits = matches!(self.state, DeviceState::Pending);
        if waits && self.expires > now.unix_seconds() {
            Ok(())
        } else {
            Err(Refusal::DeviceGone)
        }
    }
}

/// What a settled device stands for.
pub(crate) struct Settled {
    pub(crate) client_id: String,
    pub(crate) identity: Proven,
    pub(crate) auth_time: i64,
}
