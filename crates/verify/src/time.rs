//! Evidence of the time of signing: RFC 3161 timestamps and the promises of version 1 logs.

use waxseal_crypto::{Digest, Input, Time};
use waxseal_formats::TransparencyLogEntry;
use waxseal_pki::PathError;
use waxseal_pki::timestamp::{TimestampError, TimestampToken};

use crate::artifact::Message;
use crate::authorities::{Log, Tsa};
use crate::operators::Operators;
use crate::{TimeSource, VerificationPolicy, VerifiedTime, VerifyError};

/// Verifies every timestamp over the signature: all of them must hold, so that an authority that
/// was broken into cannot add a time of its own beside an honest one.
pub(crate) fn verify_timestamps(
    authorities: &[Tsa],
    tokens: &[Vec<u8>],
    signature: &[u8],
) -> Result<Vec<VerifiedTime>, VerifyError> {
    let mut signature = Message::of_bytes(signature);
    tokens
        .iter()
        .map(|token| verify_timestamp(authorities, token, &mut signature))
        .collect()
}

pub(crate) fn verify_timestamp(
    authorities: &[Tsa],
    token: &[u8],
    signature: &mut Message<'_>,
) -> Result<VerifiedTime, VerifyError> {
    let token = TimestampToken::from_response(token)
        .map_err(|source| VerifyError::TimestampMalformed { source })?;
    // Hashed once for all tokens and authorities: nothing bounds its length but the bundle's.
    let signature = signature.digest(token.info().imprint.algorithm())?;
    let mut nearest = VerifyError::TimestampAuthorityUnknown;
    for tsa in authorities {
        match verify_with(tsa, &token, &signature) {
            Ok(time) => {
                let source = TimeSource::TimestampAuthority {
                    uri: tsa.uri.clone(),
                    operator: tsa.operator.clone(),
                };
                return Ok(VerifiedTime { time, source });
            }
            Err(error) => nearest = nearest.later(error),
        }
    }
    Err(nearest)
}

/// The authority's own window applies to its own tokens only: authorities are never pooled.
fn verify_with(tsa: &Tsa, token: &TimestampToken, signature: &Digest) -> Result<Time, VerifyError> {
    let time = token.info().time;
    let verified = tsa.authority.verify_digest(token, signature);
    let time = verified.map_err(|error| timestamp_error(error, time))?.time;
    if tsa.valid_for.contains(time) {
        Ok(time)
    } else {
        Err(VerifyError::TimestampAuthorityExpired { time })
    }
}

fn timestamp_error(error: TimestampError, time: Time) -> VerifyError {
    match error {
        TimestampError::UnknownSigner => VerifyError::TimestampAuthorityUnknown,
        TimestampError::WrongMessage => VerifyError::TimestampImprintMismatch,
        TimestampError::Path(PathError::NotYetValid { .. } | PathError::Expired { .. }) => {
            VerifyError::TimestampAuthorityExpired { time }
        }
        source => VerifyError::TimestampInvalid { source },
    }
}

/// Verifies a signed entry timestamp, over the bytes that a version 1 log signs: RFC 8785 JSON of
/// body, integrated time, log id and log index. Only then is the integrated time a time. A version 2
/// log vouches for no time: one that was broken into must not begin to (Rekor v2 specification §4.2).
pub(crate) fn verify_promise(
    log: &Log,
    entry: &TransparencyLogEntry,
    promise: &[u8],
) -> Result<VerifiedTime, VerifyError> {
    let index = entry.log_index;
    let time =
        Time::from_unix(entry.integrated_time).map_err(|_| VerifyError::IntegratedTimeInvalid {
            found: entry.integrated_time,
        })?;
    let invalid = VerifyError::PromiseInvalid { index };
    let Some(key) = &log.promise_key else {
        return Err(invalid);
    };
    key.verify(Input::Message(&entry.promise_payload()), promise)
        .map_err(|_| invalid)?;
    let source = TimeSource::TransparencyLog {
        origin: log.origin.clone(),
        operator: log.operator.clone(),
    };
    Ok(VerifiedTime { time, source })
}

/// Refuses times in the future, and too few operators.
pub(crate) fn check_thresholds(
    times: &[VerifiedTime],
    policy: &VerificationPolicy,
    with_certificate: bool,
    now: Time,
) -> Result<(), VerifyError> {
    if let Some(late) = times.iter().find(|verified| verified.time > now) {
        return Err(VerifyError::TimeInFuture {
            time: late.time,
            now,
        });
    }
    let mut all = Operators::default();
    let mut authorities = Operators::default();
    for verified in times {
        match &verified.source {
            TimeSource::TimestampAuthority { operator, .. } => {
                all.add(operator);
                authorities.add(operator);
            }
            TimeSource::TransparencyLog { operator, .. } => all.add(operator),
        }
    }
    // Without a time there is nothing to hold the certificate's validity against.
    let wanted = if with_certificate {
        policy.times.max(1)
    } else {
        policy.times
    };
    if all.count() < wanted {
        return Err(VerifyError::TimeMissing {
            found: all.count(),
            wanted,
        });
    }
    if authorities.count() < policy.timestamps {
        return Err(VerifyError::TimestampThreshold {
            found: authorities.count(),
            wanted: policy.timestamps,
        });
    }
    Ok(())
}
