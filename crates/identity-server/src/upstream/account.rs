//! Whose account it is, and whether its address is believed: the rules of authority.md §2.4.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;
use waxseal_crypto::Time;
use waxseal_identity::{EmailAddress, VerifiedClaims, at_hash};

use super::exchange::TokenAnswer;
use super::{Endpoints, Upstream, UpstreamError, Visit};
use crate::connector::{ConnectorConfig, ConnectorKind, UserinfoNames};
use crate::secret::same;

/// Longest account id in bytes (OpenID Connect Core §2, `sub`).
const MAX_USER_ID: usize = 255;

/// Addresses that receive no mail: nobody could be asked whether one is theirs.
const NO_MAILBOX: &str = "users.noreply.github.com";

/// The tenant of all personal accounts: everybody is in it, and nobody its administrator.
const MICROSOFT_CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// An account at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// The provider's own name for it.
    pub(crate) user_id: String,
    pub(crate) email: Claimed,
}

/// What a provider's word for an address is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// The provider vouches for it.
    Verified(EmailAddress),
    /// Nothing: our own code has to prove it. What the provider says is filled in, no more.
    Unproven(Option<EmailAddress>),
}

impl Upstream {
    /// Asks whose account the tokens are.
    pub(crate) async fn account(
        &self,
        endpoints: &Endpoints,
        visit: &Visit,
        tokens: &TokenAnswer,
        now: Time,
    ) -> Result<Account, UpstreamError> {
        let access = &*tokens.access_token;
        let userinfo = || {
            let url = endpoints.userinfo.clone();
            url.ok_or(UpstreamError::NoEndpoint("userinfo_endpoint"))
        };
        match self.config.kind {
            ConnectorKind::Github => {
                let scopes = tokens.scope.as_deref().unwrap_or("user:email");
                if !scopes
                    .split([',', ' '])
                    .any(|s| s == "user:email" || s == "user")
                {
                    return Err(UpstreamError::MissingScope("user:email"));
                }
                let user = self.ask(userinfo()?, access, "user:email").await?;
                let mut url = userinfo()?;
                url.set_path(&format!("{}/emails", url.path()));
                // Who has more addresses than fit on a page may have the primary one on the next.
                url.query_pairs_mut().append_pair("per_page", "100");
                let emails = self.ask(url, access, "user:email").await?;
                github(&user, &emails)
            }
            ConnectorKind::Facebook => {
                let mut url = userinfo()?;
                if let Some(secret) = &self.secret {
                    let proof = appsecret_proof(secret, access);
                    url.query_pairs_mut().append_pair("appsecret_proof", &proof);
                }
                facebook(&self.ask(url, access, "").await?)
            }
            ConnectorKind::Oauth2 => {
                let answer = self.ask(userinfo()?, access, "").await?;
                oauth2(&self.config, &answer)
            }
            _ => {
                let token = tokens.id_token.as_deref();
                let token = token.ok_or(UpstreamError::NoIdToken)?;
                let claims = self.verify(token, now).await?;
                check_binding(&claims, visit, token, access)?;
                let absent = claims.value("email").is_none();
                let about = match &endpoints.userinfo {
                    Some(url) if absent && self.config.kind == ConnectorKind::Oidc => {
                        Some(self.ask(url.clone(), access, "").await?)
                    }
                    _ => None,
                };
                openid(&self.config, &claims, about.as_ref())
            }
        }
    }
}

/// That the ID token answers this visit, and belongs to this access token.
fn check_binding(
    claims: &VerifiedClaims,
    visit: &Visit,
    token: &str,
    access_token: &str,
) -> Result<(), UpstreamError> {
    let nonce = claims.text("nonce")?.unwrap_or_default();
    if !same(nonce.as_bytes(), visit.nonce.as_bytes()) {
        return Err(UpstreamError::WrongNonce);
    }
    if let Some(found) = claims.text("at_hash")? {
        let algorithm = waxseal_identity::CompactJws::parse(token).map(|jws| jws.algorithm());
        let expected = algorithm.ok().and_then(|alg| at_hash(alg, access_token));
        if expected.as_deref() != Some(found) {
            return Err(UpstreamError::WrongAccessTokenHash);
        }
    }
    Ok(())
}

/// Google, Microsoft, and whoever speaks OpenID Connect.
fn openid(
    config: &ConnectorConfig,
    claims: &VerifiedClaims,
    about: Option<&Value>,
) -> Result<Account, UpstreamError> {
    let subject = claims.text("sub")?.ok_or(UpstreamError::NoUserId)?;
    let mut email = claims.text("email")?;
    let mut verified = match config.kind {
        ConnectorKind::Microsoft => microsoft_vouches(config, claims),
        _ => claims.email_verified(),
    };
    if let Some(about) = about {
        // Another subject's answer may not lend its address (OpenID Connect Core §5.3.2).
        if about.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(UpstreamError::OtherAccount);
        }
        email = about.get("email").and_then(Value::as_str);
        verified = is_true(about.get("email_verified"));
    }
    if config.kind == ConnectorKind::Google && !config.hosted_domains.is_empty() {
        let domain = claims.text("hd")?;
        let hosted = |listed: &String| Some(listed.as_str()) == domain;
        if !config.hosted_domains.iter().any(hosted) {
            return Err(UpstreamError::WrongHostedDomain);
        }
    }
    Ok(Account {
        user_id: user_id(subject)?,
        email: vouched(email, verified || config.trust_unverified_email)?,
    })
}

/// In an app that every tenant may use, each tenant's administrator writes what he likes into
/// `email` (the "nOAuth" attack), unless Microsoft says that he owns the domain. In one tenant the
/// administrator is the operator's own.
fn microsoft_vouches(config: &ConnectorConfig, claims: &VerifiedClaims) -> bool {
    let owner = claims.value("xms_edov").map(|value| match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_i64() == Some(1),
        Value::String(text) => matches!(text.as_str(), "1" | "true" | "True"),
        _ => false,
    });
    let one_tenant = config.tenant.as_deref();
    owner.unwrap_or(one_tenant.is_some_and(|tenant| tenant != MICROSOFT_CONSUMERS))
}

/// The primary address, if it is verified; `/user` has an address too, which is neither.
fn github(user: &Value, emails: &Value) -> Result<Account, UpstreamError> {
    let malformed = || UpstreamError::Malformed("list of addresses");
    let id = user.get("id").and_then(Value::as_u64);
    let id = id.ok_or(UpstreamError::NoUserId)?;
    let entries = emails.as_array().ok_or_else(malformed)?;
    let is = |entry: &Value, flag: &str| entry.get(flag) == Some(&Value::Bool(true));
    let primary = entries.iter().find(|entry| is(entry, "primary"));
    let primary = primary.ok_or(UpstreamError::NoEmail)?;
    let address = primary.get("email").and_then(Value::as_str);
    let email = vouched(address, is(primary, "verified"))?;
    match &email {
        Claimed::Verified(address) if address.domain() == NO_MAILBOX => Err(UpstreamError::NoEmail),
        _ => Ok(Account {
            user_id: id.to_string(),
            email,
        }),
    }
}

/// The address may be absent, and nothing says whether it was ever proven.
fn facebook(about: &Value) -> Result<Account, UpstreamError> {
    let id = about.get("id").and_then(Value::as_str);
    let email = about.get("email").and_then(Value::as_str);
    let email = email.and_then(|email| EmailAddress::parse(email).ok());
    Ok(Account {
        user_id: user_id(id.unwrap_or_default())?,
        email: Claimed::Unproven(email.map(|email| email.normalized())),
    })
}

fn oauth2(config: &ConnectorConfig, about: &Value) -> Result<Account, UpstreamError> {
    let empty = Map::new();
    let about = about.as_object().unwrap_or(&empty);
    let names = config.userinfo.clone().unwrap_or_default();
    let UserinfoNames {
        user_id: id,
        email,
        email_verified,
    } = names;
    let id = match about.get(&id) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
        _ => return Err(UpstreamError::NoUserId),
    };
    let verified = is_true(about.get(&email_verified)) || config.trust_unverified_email;
    Ok(Account {
        user_id: user_id(&id)?,
        email: vouched(about.get(&email).and_then(Value::as_str), verified)?,
    })
}

/// `true`, or the word that some providers write for it.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

fn vouched(email: Option<&str>, verified: bool) -> Result<Claimed, UpstreamError> {
    let email = email.filter(|email| !email.is_empty());
    let email = email.ok_or(UpstreamError::NoEmail)?;
    if !verified {
        return Err(UpstreamError::EmailNotVerified);
    }
    let address = EmailAddress::parse(email).map_err(|_| UpstreamError::BadEmail)?;
    Ok(Claimed::Verified(address.normalized()))
}

fn user_id(text: &str) -> Result<String, UpstreamError> {
    let fits = (1..=MAX_USER_ID).contains(&text.len());
    if fits && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(UpstreamError::NoUserId)
    }
}

/// Proves to Facebook that whoever uses the access token knows the app's secret.
fn appsecret_proof(secret: &str, access_token: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(access_token.as_bytes());
    let bytes: [u8; 32] = mac.finalize().into_bytes().into();
    waxseal_crypto::Digest::from(bytes).to_hex()
}

#[cfg(test)]
mod tests;
