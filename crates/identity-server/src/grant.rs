//! The end of a log-in: the authorization code becomes tokens (RFC 6749 §4.1.3, RFC 7636 §4.6).

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waxseal_crypto::{Time, sha256};

use crate::audit::Entry;
use crate::client::{Caller, ClientRefused, PublicClient, Redirect, is_code_verifier};
use crate::device::PollRefusal;
use crate::parameters::Parameters;
use crate::records::{Grant, Login, Proven, read, write};
use crate::secret::same;
use crate::service::{Fault, Service, TokenEvent};
use crate::token::{About, Tokens};
use crate::token_exchange::{Exchanged, TOKEN_EXCHANGE};
use crate::{RecordKey, RecordKind, Slot, transact};

/// Life of a code that a redirect carries.
const CODE_LIFE: Duration = Duration::from_secs(60);

/// Life of a code that a person copies; it is bound to the client's verifier like the other.
const COPIED_CODE_LIFE: Duration = Duration::from_secs(300);

/// How long a code counts.
const fn grant_life(redirect: Option<&Redirect>) -> Duration {
    match redirect {
        Some(Redirect::OutOfBand) => COPIED_CODE_LIFE,
        _ => CODE_LIFE,
    }
}

/// The key of a code's record: its digest.
pub(crate) fn grant_key(code: &str) -> RecordKey {
    RecordKey::new(RecordKind::Grant, &[code.as_bytes()])
}

/// What the token endpoint gives.
pub(crate) enum Granted {
    /// To somebody who logged in.
    Tokens(Tokens),
    /// To a workload, in exchange.
    Exchanged(Exchanged),
}

const AUTHORIZATION_CODE: &str = "authorization_code";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Keeps what a code stands for: this person, for the client of this log-in.
pub(crate) fn write_grant(slot: &mut Slot, login: &Login, identity: Proven, now: Time) {
    let redirect = Redirect::parse(&login.redirect_uri);
    let life = grant_life(redirect.as_ref());
    let expires = now.checked_add(life).unwrap_or(now).unix_seconds();
    let grant = Grant {
        client_id: login.client_id.clone(),
        redirect_uri: login.redirect_uri.clone(),
        code_challenge: login.code_challenge.clone(),
        nonce: login.nonce.clone(),
        identity,
        auth_time: now.unix_seconds(),
        expires,
        used: false,
    };
    write(Some(slot), &grant, expires);
}

/// Why the token endpoint refuses (RFC 6749 §5.2).
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenRefusal {
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// `basic` says whether the client tried `Authorization: Basic`, which wants a challenge back.
    #[error("the client is unknown, or has a secret that it should not have")]
    InvalidClient { basic: bool },
    /// One text for every reason: which of them it was helps only who stole the code.
    #[error("the code is unknown, used or expired, or belongs to another client or request")]
    InvalidGrant,
    #[error("grant_type must be one that discovery lists")]
    UnsupportedGrantType,
    #[error(transparent)]
    Poll(#[from] PollRefusal),
    /// One text for every reason: the issuer's own tools say more to its owner (RFC 8693 §2.2.2).
    #[error("subject_token is not one that is taken here, or speaks for nobody who may log in")]
    ForeignToken,
    /// RFC 8693 §2.2.2.
    #[error("tokens are for the client that asks, and for nothing else")]
    InvalidTarget,
    #[error("the keys of the token's issuer are not available: try again")]
    IssuerUnavailable,
    #[error("too many tokens for this account")]
    TooMany { retry: Duration },
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<ClientRefused> for TokenRefusal {
    fn from(refused: ClientRefused) -> Self {
        let basic = refused.basic;
        Self::InvalidClient { basic }
    }
}

impl Service {
    /// The grants that the token endpoint takes.
    pub(crate) fn grant_types(&self) -> Vec<&'static str> {
        let exchange = (!self.config.token_exchange.is_empty()).then_some(TOKEN_EXCHANGE);
        [AUTHORIZATION_CODE, DEVICE_CODE]
            .into_iter()
            .chain(exchange)
            .collect()
    }

    /// Exchanges what a client was given for tokens.
    pub(crate) async fn exchange(
        &self,
        form: &[u8],
        caller: &Caller<'_>,
    ) -> Result<Granted, TokenRefusal> {
        let outcome = self.try_exchange(form, caller).await;
        let event = match &outcome {
            Ok(_) => TokenEvent::Issued,
            Err(TokenRefusal::Poll(PollRefusal::AuthorizationPending | PollRefusal::SlowDown)) => {
                TokenEvent::Pending
            }
            Err(_) => TokenEvent::Refused,
        };
        self.counters.tokens.add(event, 1);
        outcome
    }

    /// Says whether a token of ours counts; the client names itself as at the token endpoint.
    pub(crate) fn introspection(
        &self,
        form: &[u8],
        caller: &Caller<'_>,
    ) -> Result<serde_json::Value, TokenRefusal> {
        let invalid = TokenRefusal::InvalidRequest;
        let form = Parameters::parse(form)
            .map_err(|_| invalid("the form is too long, or has a parameter twice"))?;
        PublicClient::authenticate(&form, caller)?;
        let token = form.value("token").ok_or(invalid("token is missing"))?;
        Ok(self.introspect(token))
    }

    async fn try_exchange(
        &self,
        form: &[u8],
        caller: &Caller<'_>,
    ) -> Result<Granted, TokenRefusal> {
        let twice = "the form is too long, or has a parameter twice";
        let twice = || TokenRefusal::InvalidRequest(twice);
        // cosign polls for a device with `scope` twice; there it means nothing.
        let form = Parameters::parse_tolerating(form, "scope").map_err(|_| twice())?;
        match form.value("grant_type") {
            Some(DEVICE_CODE) => {
                let tokens = self.exchange_device_code(&form, caller).await?;
                Ok(Granted::Tokens(tokens))
            }
            _ if form.has_repeated() => Err(twice()),
            Some(AUTHORIZATION_CODE) => {
                let tokens = self.exchange_code(&form, caller).await?;
                Ok(Granted::Tokens(tokens))
            }
            Some(TOKEN_EXCHANGE) if !self.config.token_exchange.is_empty() => {
                let exchanged = self.exchange_token(&form, caller).await?;
                Ok(Granted::Exchanged(exchanged))
            }
            Some(_) => Err(TokenRefusal::UnsupportedGrantType),
            None => Err(TokenRefusal::InvalidRequest("grant_type is missing")),
        }
    }

    async fn exchange_code(
        &self,
        form: &Parameters,
        caller: &Caller<'_>,
    ) -> Result<Tokens, TokenRefusal> {
        let invalid = TokenRefusal::InvalidRequest;
        let client = PublicClient::authenticate(form, caller)?;
        let code = form.value("code").ok_or(invalid("code is missing"))?;
        let verifier = code_verifier(form)?;
        let redirect_uri = form
            .value("redirect_uri")
            .ok_or(invalid("redirect_uri is missing"))?;
        let grant = self.redeem(code, caller.peer).await?;
        // Each check ends alone: joined conditions are how a code of another client passed
        // elsewhere (CVE-2026-28513).
        if grant.client_id != client.id {
            return Err(TokenRefusal::InvalidGrant);
        }
        if grant.redirect_uri != redirect_uri {
            return Err(TokenRefusal::InvalidGrant);
        }
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        if !same(challenge.as_bytes(), grant.code_challenge.as_bytes()) {
            return Err(TokenRefusal::InvalidGrant);
        }
        if grant.expires <= self.now().unix_seconds() {
            return Err(TokenRefusal::InvalidGrant);
        }
        let (identity, peer) = (&grant.identity, caller.peer);
        if !self.admit(identity, &grant.client_id, peer).await? {
            return Err(TokenRefusal::InvalidGrant);
        }
        let about = About {
            client_id: &grant.client_id,
            nonce: grant.nonce.as_deref(),
            identity: &grant.identity,
            auth_time: Some(grant.auth_time),
            ends: None,
        };
        Ok(self.mint(&about).await?)
    }

    /// One poll of a device (RFC 8628 §3.4).
    async fn exchange_device_code(
        &self,
        form: &Parameters,
        caller: &Caller<'_>,
    ) -> Result<Tokens, TokenRefusal> {
        let client = PublicClient::authenticate_if_named(form, caller)?;
        let client_id = client.as_ref().map(|client| client.id.as_str());
        let device_code = form
            .value("device_code")
            .ok_or(TokenRefusal::InvalidRequest("device_code is missing"))?;
        let verifier = code_verifier(form)?;
        let settled = self.poll_device(device_code, verifier, client_id).await?;
        let (identity, peer) = (&settled.identity, caller.peer);
        if !self.admit(identity, &settled.client_id, peer).await? {
            return Err(PollRefusal::AccessDenied.into());
        }
        let about = About {
            client_id: &settled.client_id,
            nonce: None,
            identity: &settled.identity,
            auth_time: Some(settled.auth_time),
            ends: None,
        };
        Ok(self.mint(&about).await?)
    }

    /// Marks a code as used, whatever else is wrong with the request: it is shown once. The record
    /// stays until it expires, so that a replay is told from a guess and reaches the log.
    pub(crate) async fn redeem(
        &self,
        code: &str,
        peer: Option<IpAddr>,
    ) -> Result<Grant, TokenRefusal> {
        let keys = vec![grant_key(code)];
        let found = transact(&*self.context.store, keys, self.now(), |slots| {
            let grant: Grant = read(slots.first())?;
            let mut used = grant.clone();
            used.used = true;
            write(slots.first_mut(), &used, used.expires);
            Some(grant)
        });
        let grant = found
            .await
            .map_err(Fault::from)?
            .ok_or(TokenRefusal::InvalidGrant)?;
        if grant.used {
            self.record(&Entry {
                event: "code_replayed",
                address: Some(&grant.identity.email),
                connector: Some(&grant.identity.connector_id),
                client: Some(&grant.client_id),
                peer,
                ..Entry::default()
            });
            self.counters.tokens.add(TokenEvent::Replayed, 1);
            return Err(TokenRefusal::InvalidGrant);
        }
        Ok(grant)
    }
}

fn code_verifier(form: &Parameters) -> Result<&str, TokenRefusal> {
    let invalid = TokenRefusal::InvalidRequest;
    let verifier = form
        .value("code_verifier")
        .ok_or(invalid("code_verifier is missing"))?;
    if is_code_verifier(verifier) {
        Ok(verifier)
    } else {
        let text = "code_verifier must be 43 to 128 unreserved characters";
        Err(invalid(text))
    }
}
