//! The end of a log-in: the authorization code becomes tokens (RFC 6749 §4.1.3, RFC 7636 §4.6).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waxseal_crypto::sha256;

use crate::client::{Redirect, is_known};
use crate::parameters::Parameters;
use crate::records::{Grant, read, write};
use crate::secret::same;
use crate::service::{Fault, Service, TokenEvent};
use crate::token::Tokens;
use crate::{RecordKey, RecordKind, transact};

/// Life of a code that a redirect carries.
const CODE_LIFE: Duration = Duration::from_secs(60);

/// Life of a code that a person copies; it is bound to the client's verifier like the other.
const COPIED_CODE_LIFE: Duration = Duration::from_secs(300);

/// How long a code counts.
pub(crate) const fn grant_life(redirect: Option<&Redirect>) -> Duration {
    match redirect {
        Some(Redirect::OutOfBand) => COPIED_CODE_LIFE,
        _ => CODE_LIFE,
    }
}

/// The key of a code's record: its digest.
pub(crate) fn grant_key(code: &str) -> RecordKey {
    RecordKey::new(RecordKind::Grant, &[code.as_bytes()])
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
    #[error("grant_type must be authorization_code")]
    UnsupportedGrantType,
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Service {
    /// Exchanges a code. `authorization` is the request's header, if it has one.
    pub(crate) async fn exchange(
        &self,
        form: &[u8],
        authorization: Option<&str>,
    ) -> Result<Tokens, TokenRefusal> {
        let outcome = self.try_exchange(form, authorization).await;
        let event = match &outcome {
            Ok(_) => TokenEvent::Issued,
            Err(_) => TokenEvent::Refused,
        };
        self.counters.tokens.add(event, 1);
        outcome
    }

    async fn try_exchange(
        &self,
        form: &[u8],
        authorization: Option<&str>,
    ) -> Result<Tokens, TokenRefusal> {
        let invalid = TokenRefusal::InvalidRequest;
        let form = Parameters::parse(form)
            .map_err(|_| invalid("the form is too long, or has a parameter twice"))?;
        match form.value("grant_type") {
            Some("authorization_code") => {}
            Some(_) => return Err(TokenRefusal::UnsupportedGrantType),
            None => return Err(invalid("grant_type is missing")),
        }
        let client_id = authenticate(&form, authorization)?;
        let code = form.value("code").ok_or(invalid("code is missing"))?;
        let verifier = form
            .value("code_verifier")
            .ok_or(invalid("code_verifier is missing"))?;
        if !is_code_verifier(verifier) {
            return Err(invalid(
                "code_verifier must be 43 to 128 unreserved characters",
            ));
        }
        let redirect_uri = form
            .value("redirect_uri")
            .ok_or(invalid("redirect_uri is missing"))?;
        let grant = self.redeem(code).await?;
        // Each check ends alone: joined conditions are how a code of another client passed
        // elsewhere (CVE-2026-28513).
        if grant.client_id != client_id {
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
        Ok(self.mint(&grant).await?)
    }

    /// Marks a code as used, whatever else is wrong with the request: it is shown once. The record
    /// stays until it expires, so that a replay is told from a guess and reaches the log.
    async fn redeem(&self, code: &str) -> Result<Grant, TokenRefusal> {
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
            tracing::warn!(target: "audit", "an authorization code was presented again");
            self.counters.tokens.add(TokenEvent::Replayed, 1);
            return Err(TokenRefusal::InvalidGrant);
        }
        Ok(grant)
    }
}

/// The client: named in the form, or by Basic with an empty secret as sigstore-python does it. A
/// public client has no secret, so one that comes with any is not it.
fn authenticate(form: &Parameters, authorization: Option<&str>) -> Result<String, TokenRefusal> {
    let basic = authorization.is_some();
    let invalid = || TokenRefusal::InvalidClient { basic };
    let named = form.value("client_id");
    let client_id = match authorization {
        None => named.ok_or_else(invalid)?.to_owned(),
        Some(header) => {
            let (user, secret) = read_basic(header).ok_or_else(invalid)?;
            if !secret.is_empty() || named.is_some_and(|named| named != user) {
                return Err(invalid());
            }
            user
        }
    };
    if form.value("client_secret").is_some() || !is_known(&client_id) {
        return Err(invalid());
    }
    Ok(client_id)
}

/// `Basic` with both halves form-encoded (RFC 6749 §2.3.1).
fn read_basic(header: &str) -> Option<(String, String)> {
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(value.trim())
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, secret) = text.split_once(':')?;
    let decode = |text: &str| {
        let mut pairs = url::form_urlencoded::parse(text.as_bytes());
        pairs
            .next()
            .map_or_else(String::new, |(name, _)| name.into_owned())
    };
    Some((decode(user), decode(secret)))
}

/// 43 to 128 unreserved characters (RFC 7636 §4.1).
fn is_code_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
}
