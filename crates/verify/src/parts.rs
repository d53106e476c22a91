//! Parts of a bundle, verified while it is being made: a signer must not publish what the whole
//! bundle would then be refused for (client spec §2.1.3 and §2.1.5).

use waxseal_crypto::Time;
use waxseal_pki::Certificate;

use crate::artifact::Message;
use crate::{Identity, VerifiedTime, Verifier, VerifyError, certificate, sct, time};

impl Verifier {
    /// Verifies a leaf certificate as of `now`: its path to a trusted authority, and SCTs of at
    /// least `scts` operators' logs. It says whom the certificate names, and not that they signed
    /// anything.
    ///
    /// # Errors
    /// The [`VerifyError`] of the rule that is broken, as in [`Verifier::verify`].
    pub fn verify_certificate(
        &self,
        leaf: &Certificate,
        scts: usize,
        now: Time,
    ) -> Result<Identity, VerifyError> {
        let times = std::iter::once(now);
        let path = certificate::verify_path(&self.authorities.certificate, leaf, &times)?;
        sct::check(&self.authorities.ct_logs, &path, scts, now)?;
        certificate::identity_of(leaf)
    }

    /// Verifies an RFC 3161 answer (DER, `TimeStampResp`) over a signature.
    ///
    /// # Errors
    /// The [`VerifyError`] of the rule that is broken, as in [`Verifier::verify`].
    pub fn verify_timestamp(
        &self,
        answer: &[u8],
        signature: &[u8],
    ) -> Result<VerifiedTime, VerifyError> {
        let mut signature = Message::of_bytes(signature);
        time::verify_timestamp(&self.authorities.timestamp, answer, &mut signature)
    }
}
