//! Verifying identity tokens: from text to [`Principal`] (OpenID Connect Core §3.1.3.7, with the
//! stricter limits of authority.md §1.9).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use waxseal_crypto::{CryptoProvider, Time};
use waxseal_transport::Transport;

use crate::claims::Claims;
use crate::issuer::MAX_TOKEN_LIFETIME;
use crate::keys::{IssuerKeys, KeysError, Loaded};
use crate::principal::principal_of;
use crate::{
    ClaimError, CompactJws, IdentityError, IssuerConfig, IssuerConfigError, JwkSet, JwsError,
    Principal,
};

/// How far in the future `iat` may be.
pub const MAX_FUTURE_IAT: Duration = Duration::from_secs(60);

/// How far in the future `nbf` may be, as upstream allows.
pub const NBF_LEEWAY: Duration = Duration::from_secs(300);

/// Verifies the tokens of configured issuers. Share one; it keeps the issuers' keys.
pub struct TokenVerifier {
    provider: CryptoProvider,
    transport: Arc<dyn Transport>,
    issuers: Vec<Issuer>,
    by_name: HashMap<String, usize>,
}

struct Issuer {
    config: IssuerConfig,
    keys: IssuerKeys,
}

/// Why a token is not accepted. The order of the variants is the order of the checks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not a JWS of ours, or its signature fails.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A registered claim is missing or malformed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// `iss` is not configured. Nothing was fetched for it.
    #[error("the token's issuer is not trusted here")]
    UnknownIssuer,
    /// The issuer's keys are not at hand: a fault, not the token's.
    #[error("the issuer's keys are not available")]
    IssuerUnavailable(#[source] KeysError),
    /// `aud` has none of the accepted audiences.
    #[error("the token is for another audience")]
    WrongAudience,
    /// Several audiences, and `azp` is not an accepted one (OpenID Connect Core §3.1.3.7).
    #[error("the token has several audiences, and was made for another party")]
    WrongAuthorizedParty,
    /// `exp` is not in the future.
    #[error("the token expired at {expired}")]
    Expired {
        /// `exp`.
        expired: Time,
    },
    /// `nbf` is more than [`NBF_LEEWAY`] in the future.
    #[error("the token is not valid before {from}")]
    NotYetValid {
        /// `nbf`.
        from: Time,
    },
    /// `iat` is more than [`MAX_FUTURE_IAT`] in the future.
    #[error("the token was issued in the future, at {at}")]
    IssuedInFuture {
        /// `iat`.
        at: Time,
    },
    /// More than [`MAX_TOKEN_LIFETIME`] from `iat` to `exp`.
    #[error("the token lives longer than {} hours", MAX_TOKEN_LIFETIME.as_secs() / 3600)]
    LifetimeTooLong,
    /// The claims give no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl TokenVerifier {
    /// A verifier of these issuers. Nothing is fetched yet, so that an issuer that is down does
    /// not keep the others from working.
    ///
    /// # Errors
    /// [`IssuerConfigError`].
    pub fn new(
        provider: CryptoProvider,
        transport: Arc<dyn Transport>,
        issuers: Vec<IssuerConfig>,
    ) -> Result<Self, IssuerConfigError> {
        let mut by_name = HashMap::new();
        for (index, config) in issuers.iter().enumerate() {
            config.check()?;
            for name in [&config.issuer].into_iter().chain(&config.aliases) {
                if by_name.insert(name.clone(), index).is_some() {
                    let issuer = name.clone();
                    return Err(IssuerConfigError::DuplicateIssuer { issuer });
                }
            }
        }
        let issuers = issuers
            .into_iter()
            .map(|config| Issuer {
                keys: IssuerKeys::new(&config),
                config,
            })
            .collect();
        Ok(Self {
            provider,
            transport,
            issuers,
            by_name,
        })
    }

    /// The configured issuers.
    pub fn issuers(&self) -> impl Iterator<Item = &IssuerConfig> {
        self.issuers.iter().map(|issuer| &issuer.config)
    }

    /// Puts new keys in place for an issuer with static ones (R-ID-18); false if there is none.
    pub fn replace_static_keys(&self, issuer: &str, keys: JwkSet) -> bool {
        match self.issuer(issuer) {
            Some(issuer) if matches!(issuer.config.keys, crate::KeySource::Static(_)) => {
                issuer.keys.replace(keys, &issuer.config);
                true
            }
            _ => false,
        }
    }

    /// Fetches keys that are missing or no longer fresh; a server's background work calls it, so
    /// that no request waits.
    pub async fn refresh(&self, now: Time) -> Vec<(&str, KeysError)> {
        let mut failures = Vec::new();
        for issuer in &self.issuers {
            let config = &issuer.config;
            if let Err(error) = issuer.keys.current(config, &*self.transport, now).await {
                failures.push((config.issuer.as_str(), error));
            }
        }
        failures
    }

    /// Verifies a token at an instant.
    ///
    /// # Errors
    /// [`TokenError`]; `IssuerUnavailable` is a fault of ours or the issuer's, the others are
    /// refusals.
    pub async fn verify(&self, token: &str, now: Time) -> Result<Principal, TokenError> {
        let (issuer, claims, expires) = self.check(token, now).await?;
        Ok(principal_of(&issuer.config, &claims, expires)?)
    }

    /// Verifies a token for its claims alone, whatever its issuer's kind: for a relying party with
    /// rules of its own about who may come in.
    ///
    /// # Errors
    /// [`TokenError`], any but `Identity`.
    pub async fn verify_claims(
        &self,
        token: &str,
        now: Time,
    ) -> Result<VerifiedClaims, TokenError> {
        let (_, claims, _) = self.check(token, now).await?;
        Ok(VerifiedClaims(claims))
    }

    async fn check(&self, token: &str, now: Time) -> Result<(&Issuer, Claims, Time), TokenError> {
        let jws = CompactJws::parse(token)?;
        let unverified = Claims::parse(jws.unverified_payload())?;
        // `iss` only selects a row of the configuration; no URL is made of it (S-30).
        let issuer = self
            .issuer(unverified.text(&["iss"])?)
            .ok_or(TokenError::UnknownIssuer)?;
        let payload = self.check_signature(issuer, &jws, now).await?;
        let claims = Claims::parse(payload)?;
        check_audience(&issuer.config, &claims)?;
        let expires = check_dates(&issuer.config, &claims, now)?;
        Ok((issuer, claims, expires))
    }

    fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.get(*self.by_name.get(name)?)
    }

    async fn check_signature<'a>(
        &self,
        issuer: &Issuer,
        jws: &'a CompactJws<'_>,
        now: Time,
    ) -> Result<&'a [u8], TokenError> {
        let transport = &*self.transport;
        let config = &issuer.config;
        let check = |loaded: &Loaded| jws.verify(self.provider, &loaded.keys, &loaded.algorithms);
        let loaded = issuer
            .keys
            .current(config, transport, now)
            .await
            .map_err(TokenError::IssuerUnavailable)?;
        match check(&loaded) {
            Err(JwsError::UnknownKey) => match issuer.keys.renewed(config, transport, now).await {
                Some(loaded) => Ok(check(&loaded)?),
                None => Err(JwsError::UnknownKey.into()),
            },
            verdict => Ok(verdict?),
        }
    }
}

/// The claims of a verified token. Only [`TokenVerifier::verify_claims`] makes them.
#[derive(Debug, Clone)]
pub struct VerifiedClaims(Claims);

impl VerifiedClaims {
    /// A claim that is a string of printable characters; `None` if it is absent.
    ///
    /// # Errors
    /// [`ClaimError`] if it is there and something else.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ClaimError> {
        self.0.optional_text(name)
    }

    /// `email_verified`: true, or the word.
    pub fn email_verified(&self) -> bool {
        self.0.email_verified()
    }

    /// A claim as it is.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.value(name)
    }
}

impl fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<_> = self.issuers().map(|config| &config.issuer).collect();
        f.debug_struct("TokenVerifier")
            .field("issuers", &issuers)
            .finish_non_exhaustive()
    }
}

fn check_audience(config: &IssuerConfig, claims: &Claims) -> Result<(), TokenError> {
    let accepted = |audience: &str| config.audiences.iter().any(|ours| ours == audience);
    let audiences = claims.audiences()?;
    if !audiences.iter().any(|audience| accepted(audience)) {
        return Err(TokenError::WrongAudience);
    }
    // With one audience `azp` says only who asked for the token, and issuers put their own client
    // ids there; with several, somebody else may hold it, and `azp` says who should.
    if audiences.len() > 1 && !claims.optional_text("azp")?.is_some_and(accepted) {
        return Err(TokenError::WrongAuthorizedParty);
    }
    Ok(())
}

fn check_dates(config: &IssuerConfig, claims: &Claims, now: Time) -> Result<Time, TokenError> {
    let required = |claim: &str| {
        let missing = ClaimError::Missing {
            claim: claim.to_owned(),
        };
        claims.time(claim)?.ok_or(TokenError::Claim(missing))
    };
    let expires = required("exp")?;
    if expires
        .checked_add(config.leeway)
        .is_none_or(|end| end <= now)
    {
        return Err(TokenError::Expired { expired: expires });
    }
    if let Some(from) = claims.time("nbf")?
        && from.saturating_since(now) > NBF_LEEWAY
    {
        return Err(TokenError::NotYetValid { from });
    }
    let issued = required("iat")?;
    if issued.saturating_since(now) > MAX_FUTURE_IAT {
        return Err(TokenError::IssuedInFuture { at: issued });
    }
    if expires.saturating_since(issued) > MAX_TOKEN_LIFETIME {
        return Err(TokenError::LifetimeTooLong);
    }
    Ok(expires)
}

#[cfg(test)]
mod tests;
