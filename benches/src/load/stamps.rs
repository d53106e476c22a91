//! Timestamps: distinct digests, DER requests.

use anyhow::Result;
use waxseal_crypto::{Digest, HashAlgorithm};
use waxseal_crypto_aws_lc::provider;
use waxseal_pki::timestamp::{TimestampAuthority, TimestampRequest, TimestampToken};

use super::{Asking, Endpoint, Target, Work, only};

/// Work for the timestamp authority.
pub struct Timestamps {
    authority: TimestampAuthority,
    made: u64,
}

impl Timestamps {
    /// Timestamps of an instance.
    ///
    /// # Errors
    /// If its trusted root has no usable timestamp authority.
    pub fn new(target: &Target) -> Result<Self> {
        let authority = only(&target.root.timestamp_authorities, "timestamp authority")?;
        Ok(Self {
            authority: TimestampAuthority::new(provider(), &authority.cert_chain)?,
            made: 0,
        })
    }
}

impl Work for Timestamps {
    type Asked = Digest;

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            path: "/api/v1/timestamp",
            content_type: "application/timestamp-query",
            status: 200,
        }
    }

    fn request(&mut self) -> Result<Asking<Digest>> {
        self.made += 1;
        let digest = Digest::of(HashAlgorithm::Sha256, &self.made.to_be_bytes());
        let request = TimestampRequest::new(digest)
            .with_nonce(&self.made.to_be_bytes())
            .with_certificates(true);
        Ok(Asking {
            body: request.encode(),
            lines: "".into(),
            asked: digest,
        })
    }

    fn verify(&self, asked: &Digest, answer: &[u8]) -> Result<()> {
        let token = TimestampToken::from_response(answer)?;
        self.authority.verify_digest(&token, asked)?;
        Ok(())
    }
}
