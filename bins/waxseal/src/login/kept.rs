//! Tokens of earlier log-ins.

use waxseal_crypto::Clock as _;
use waxseal_crypto_aws_lc::{OsRandom, SystemClock};
use waxseal_identity::{CacheError, CacheKey, IdentityToken, SystemEnvironment, TokenCache};

use super::config;
use crate::args::FlowArgs;
use crate::outcome::{Class, Failure};
use crate::services::Instance;

/// The user's own folder of them.
pub(crate) struct Kept(TokenCache);

impl Kept {
    /// The folder, whether it is there or not.
    ///
    /// # Errors
    /// [`Class::Usage`] if there is no home for it.
    pub(crate) fn of_user() -> Result<Self, Failure> {
        TokenCache::of_user(&SystemEnvironment)
            .map(Self)
            .ok_or_else(|| {
                let message = "there is no folder to keep a token in";
                Failure::new(Class::Usage, "cache-missing", message)
                    .hint("XDG_CACHE_HOME or HOME names it, as an absolute path")
            })
    }

    /// Keeps the token of a log-in, for whoever asks for its provider, and for whoever names none:
    /// then it is the last log-in that counts.
    ///
    /// # Errors
    /// [`Class::Refused`] if others can read or write the folder, [`Class::Internal`] if it cannot
    /// be written.
    pub(crate) fn keep(
        &self,
        args: &FlowArgs,
        instance: &Instance,
        token: &IdentityToken,
    ) -> Result<(), Failure> {
        let mut providers = vec![None];
        providers.extend(args.provider.as_deref().map(Some));
        for provider in providers {
            let key = key(provider, instance)?;
            let now = SystemClock.now();
            let kept = self.0.store(&key, token, now, &OsRandom);
            kept.map_err(|error| refusal(&error))?;
        }
        Ok(())
    }
}

/// The kept token of a log-in at this instance, if there is one.
pub(super) fn find(
    provider: Option<&str>,
    instance: &Instance,
) -> Result<Option<IdentityToken>, Failure> {
    let Some(cache) = TokenCache::of_user(&SystemEnvironment) else {
        return Ok(None);
    };
    let found = cache.load(&key(provider, instance)?, SystemClock.now());
    found.map_err(|error| refusal(&error))
}

/// Deletes every kept token, and says how many files there were.
///
/// # Errors
/// As [`Kept::keep`].
pub(crate) fn log_out() -> Result<usize, Failure> {
    match TokenCache::of_user(&SystemEnvironment) {
        Some(cache) => cache.clear().map_err(|error| refusal(&error)),
        None => Ok(0),
    }
}

fn key(provider: Option<&str>, instance: &Instance) -> Result<CacheKey, Failure> {
    let config = config(provider, instance)?;
    Ok(CacheKey::new(&config, instance.authority()?))
}

fn refusal(error: &CacheError) -> Failure {
    let message = error.to_string();
    match error {
        CacheError::ForeignOwner { .. } | CacheError::WrongKind { .. } => {
            Failure::new(Class::Refused, "cache-exposed", message)
                .hint("delete it: whoever made it may know what is in it, or have put it there")
        }
        CacheError::Exposed { path, mode } => {
            Failure::new(Class::Refused, "cache-exposed", message)
                .expected(
                    "nobody else's, such as mode 0600",
                    format!("mode {mode:04o}"),
                )
                .hint(format!("chmod go= {}", path.display()))
        }
        _ => Failure::new(Class::Internal, "cache-unusable", message).led_by(error),
    }
}
