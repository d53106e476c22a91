//! TBSCertificates: put together, signed, and read back.

use waxseal_crypto::{Input, PublicKey, Random, Signer};
use waxseal_pki::Certificate;
use waxseal_pki::encoding::{
    BIT_STRING, SEQUENCE, context, element, signature_algorithm, time, unsigned,
};

use crate::{IssueError, Validity};

/// Everything of a TBSCertificate but its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    pub(crate) serial: [u8; 20],
    /// The AlgorithmIdentifier of the signature to come.
    pub(crate) algorithm: Vec<u8>,
    /// The issuer's name, byte for byte as in its own certificate.
    pub(crate) issuer: Vec<u8>,
    pub(crate) validity: Validity,
    pub(crate) subject: Vec<u8>,
    pub(crate) key: PublicKey,
}

impl Fields {
    /// The TBSCertificate (RFC 5280 §4.1.2).
    pub(crate) fn tbs(&self, extensions: &[Vec<u8>]) -> Vec<u8> {
        let version = element(context(0), &[unsigned(&[2])]);
        let validity = element(
            SEQUENCE,
            &[
                time(self.validity.not_before),
                time(self.validity.not_after),
            ],
        );
        let extensions = element(context(3), &[element(SEQUENCE, extensions)]);
        element(
            SEQUENCE,
            &[
                &version[..],
                &unsigned(&self.serial),
                &self.algorithm,
                &self.issuer,
                &validity,
                &self.subject,
                self.key.spki_der(),
                &extensions,
            ],
        )
    }

    /// Signs a TBSCertificate of these fields and reads the result back: a certificate that says
    /// anything else than was asked for never leaves.
    pub(crate) async fn sign(
        &self,
        signer: &dyn Signer,
        extensions: &[Vec<u8>],
    ) -> Result<Certificate, IssueError> {
        let tbs = self.tbs(extensions);
        let signature = signer.sign(Input::Message(&tbs)).await?;
        let bits = element(BIT_STRING, &[&[0], &signature[..]]);
        let der = element(SEQUENCE, &[&tbs[..], &self.algorithm, &bits]);
        let made = Certificate::parse(der).map_err(|error| IssueError::Unfaithful(Some(error)))?;
        if made.spki_der() != self.key.spki_der() || made.tbs() != tbs {
            return Err(IssueError::Unfaithful(None));
        }
        Ok(made)
    }
}

/// The AlgorithmIdentifier of a signer's signatures.
pub(crate) fn algorithm_of(signer: &dyn Signer) -> Result<Vec<u8>, IssueError> {
    let algorithm = signer.algorithm();
    signature_algorithm(algorithm).ok_or(IssueError::UnsupportedAlgorithm { algorithm })
}

/// A serial number: 20 octets, positive, 158 random bits (RFC 5280 §4.1.2.2 allows 20 octets).
pub(crate) fn serial(random: &dyn Random) -> Result<[u8; 20], IssueError> {
    let mut serial = [0; 20];
    random.fill(&mut serial)?;
    let [first, ..] = &mut serial;
    // The sign bit is clear, and the next is set, so that every serial number is as long.
    *first = (*first & 0x3f) | 0x40;
    Ok(serial)
}
