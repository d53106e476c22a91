//! The device's side of the wait (RFC 8628 §3.4, §3.5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waxseal_crypto::{Time, sha256};

use super::{KNOWN_AFTER, POLL_INTERVAL, Settled, device_key};
use crate::records::{Device, DeviceState, read, write};
use crate::secret::same;
use crate::service::{Fault, Service};
use crate::{Slot, transact};

/// Longest interval that is asked of a device which does not wait.
const MAX_INTERVAL: i64 = 60;

/// Why a poll brings no token. All but the last two are answers of RFC 8628 §3.5.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PollRefusal {
    #[error("the person has not finished yet")]
    AuthorizationPending,
    #[error("polled too soon: wait five seconds longer from now on")]
    SlowDown,
    #[error("the person refused")]
    AccessDenied,
    #[error("the code has expired: begin again")]
    ExpiredToken,
    /// One text for every reason, as for authorization codes.
    #[error("the code is unknown or used, or belongs to another client or request")]
    InvalidGrant,
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Service {
    /// Judges a poll: `client_id` is what the client calls itself, if it does. Clients of Sigstore
    /// leave it out, and as they have no secret it would prove nothing.
    pub(crate) async fn poll_device(
        &self,
        device_code: &str,
        verifier: &str,
        client_id: Option<&str>,
    ) -> Result<Settled, PollRefusal> {
        let digest = sha256(device_code.as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        let client_id = client_id.map(str::to_owned);
        let now = self.now();
        let keys = vec![device_key(&digest)];
        let judged = transact(&*self.context.store, keys, now, move |slots| {
            judge(slots.first_mut(), &challenge, client_id.as_deref(), now)
        });
        judged.await.map_err(Fault::from)?
    }
}

/// Each check ends alone (CVE-2026-28513); who has not the verifier learns nothing and changes
/// nothing.
fn judge(
    slot: Option<&mut Slot>,
    challenge: &str,
    client_id: Option<&str>,
    now: Time,
) -> Result<Settled, PollRefusal> {
    let mut device: Device = read(slot.as_deref()).ok_or(PollRefusal::InvalidGrant)?;
    if client_id.is_some_and(|client_id| client_id != device.client_id) {
        return Err(PollRefusal::InvalidGrant);
    }
    if !same(challenge.as_bytes(), device.code_challenge.as_bytes()) {
        return Err(PollRefusal::InvalidGrant);
    }
    if device.expires <= now.unix_seconds() {
        return Err(PollRefusal::ExpiredToken);
    }
    let answer = match std::mem::replace(&mut device.state, DeviceState::Used) {
        DeviceState::Granted {
            identity,
            auth_time,
        } => Ok(Settled {
            client_id: device.client_id.clone(),
            identity,
            auth_time,
        }),
        DeviceState::Used => Err(PollRefusal::InvalidGrant),
        DeviceState::Denied => {
            device.state = DeviceState::Denied;
            Err(PollRefusal::AccessDenied)
        }
        DeviceState::Pending => {
            device.state = DeviceState::Pending;
            Err(device.pace(now))
        }
    };
    let expires = device.expires.saturating_add(KNOWN_AFTER);
    write(slot, &device, expires);
    answer
}

impl Device {
    /// Who polls too soon is told to wait longer each time. Who then waits long enough is at the
    /// first interval again: clients of Sigstore wait longer once, and then as before.
    fn pace(&mut self, now: Time) -> PollRefusal {
        let now = now.unix_seconds();
        let soon = self.polled.is_some_and(|last| now - last < self.interval);
        self.polled = Some(now);
        if soon {
            self.interval = MAX_INTERVAL.min(self.interval + POLL_INTERVAL);
            PollRefusal::SlowDown
        } else {
            self.interval = POLL_INTERVAL;
            PollRefusal::AuthorizationPending
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device {
            client_id: "sigstore".to_owned(),
            code_challenge: "c".repeat(43),
            peer: None,
            begun: 1000,
            expires: 1600,
            polled: None,
            interval: POLL_INTERVAL,
            connector_id: None,
            login_hint: None,
            state: DeviceState::Pending,
        }
    }

    fn poll(slot: &mut Slot, challenge: &str, client: Option<&str>, at: i64) -> PollRefusal {
        let now = Time::from_unix(at).unwrap();
        judge(Some(slot), challenge, client, now).err().unwrap()
    }

    fn slot(device: &Device) -> Slot {
        let mut slot = Slot::default();
        write(Some(&mut slot), device, 9999);
        slot
    }

    #[test]
    fn s_41_other_client_s_device_code() {
        let mut device = device();
        device.client_id = "another".to_owned();
        let (mut slot, good) = (slot(&device), "c".repeat(43));
        let refused = poll(&mut slot, &good, Some("sigstore"), 1001);
        assert!(matches!(refused, PollRefusal::InvalidGrant));
        let refused = poll(&mut slot, &good, Some("another"), 1001);
        assert!(matches!(refused, PollRefusal::AuthorizationPending));
    }

    #[test]
    fn poll_too_fast() {
        let (mut slot, good) = (slot(&device()), "c".repeat(43));
        let mut check = |at: i64, slow: bool| {
            let refused = poll(&mut slot, &good, None, at);
            assert_eq!(matches!(refused, PollRefusal::SlowDown), slow, "{at}");
            assert_eq!(
                matches!(refused, PollRefusal::AuthorizationPending),
                !slow,
                "{at}"
            );
        };
        check(1000, false);
        check(1005, false);
        check(1009, true);
        // Ten seconds from now on, then fifteen.
        check(1018, true);
        check(1033, false);
        check(1038, false);
        check(1042, true);
    }

    #[test]
    fn a_wrong_verifier_changes_nothing() {
        let mut slot = slot(&device());
        let before = slot.clone();
        let refused = poll(&mut slot, &"d".repeat(43), None, 1001);
        assert!(matches!(refused, PollRefusal::InvalidGrant));
        assert_eq!(slot, before);
    }
}
