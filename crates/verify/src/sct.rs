//! Certificate transparency: the SCTs inside the certificate (RFC 6962 §3).

use waxseal_crypto::Time;
use waxseal_pki::VerifiedPath;

use crate::VerifyError;
use crate::authorities::CtLog;
use crate::operators::Operators;

/// Verifies the certificate's SCTs. Those of logs that the trusted root does not have are passed
/// over, as browsers do: whoever wrote them is the certificate authority, not the signer. Those of
/// known logs must hold. The issuer's key is that of the verified path, not one looked up by name.
pub(crate) fn check(
    logs: &[CtLog],
    path: &VerifiedPath<'_>,
    wanted: usize,
    now: Time,
) -> Result<(), VerifyError> {
    let list = path.leaf().scts().map_err(|_| VerifyError::SctMalformed)?;
    let Some(list) = list else {
        return if wanted == 0 {
            Ok(())
        } else {
            Err(VerifyError::SctMissing)
        };
    };
    let mut operators = Operators::default();
    for sct in list.as_slice() {
        let Some(log) = logs.iter().find(|log| *log.key.id() == sct.log_id) else {
            continue;
        };
        let time = sct.time().ok_or(VerifyError::SctMalformed)?;
        if time > now {
            return Err(VerifyError::SctInFuture { time, now });
        }
        if !log.valid_for.contains(time) {
            return Err(VerifyError::SctLogExpired { time });
        }
        sct.verify_embedded(&log.key, path.leaf(), path.issuer_key())
            .map_err(|_| VerifyError::SctInvalid)?;
        operators.add(&log.operator);
    }
    match operators.count() {
        found if found >= wanted => Ok(()),
        0 => Err(VerifyError::SctLogUnknown),
        found => Err(VerifyError::SctThreshold { found, wanted }),
    }
}
