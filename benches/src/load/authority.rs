//! Certificates: some tokens, one key, many leaf certificates, each with an SCT of its own.

use anyhow::{Context as _, Result, ensure};
use waxseal_crypto::{Pem, PublicKey};
use waxseal_crypto_aws_lc::provider;
use waxseal_formats::ca::{RequestedKey, SigningCertificate, SigningCertificateRequest};
use waxseal_identity::IdentityToken;
use waxseal_pki::{Certificate, CtLogKey};
use waxseal_tests_simulation::Author;

use super::{Asking, Endpoint, Target, Work, only, told};

/// Work for the certificate authority.
pub struct Certificates {
    /// One for each token, to be sent in turn.
    requests: Vec<Asking<()>>,
    made: usize,
    key: PublicKey,
    issuer: PublicKey,
    ct_log: CtLogKey,
}

impl Certificates {
    /// Certificates that one token is good for in one minute.
    pub const PER_TOKEN: usize = 300;

    /// Certificates for an author whose tokens these are: an authority gives one identity so many
    /// in a minute ([`Self::PER_TOKEN`]), and not more.
    ///
    /// # Errors
    /// If the token or the trusted root is not what it should be.
    pub fn new(target: &Target, author: &Author, tokens: &[String]) -> Result<Self> {
        let requests = tokens.iter().map(|token| ask(author, token));
        let root = &target.root;
        let authority = only(&root.certificate_authorities, "certificate authority")?;
        let intermediate = authority.cert_chain.first().context("an empty chain")?;
        let intermediate = Certificate::parse(intermediate.as_slice())?;
        let issuer = intermediate.public_key().map_err(Clone::clone)?.clone();
        let ct_log = only(&root.ctlogs, "certificate transparency log")?;
        let ct_log = PublicKey::from_spki_der(&ct_log.public_key.raw_bytes)?;
        Ok(Self {
            requests: requests.collect::<Result<_>>()?,
            made: 0,
            key: author.public_key().clone(),
            issuer,
            ct_log: CtLogKey::new(provider(), &ct_log)?,
        })
    }

    /// The certificate in an answer, DER: for the key that asked, signed by the authority, with
    /// one SCT that is the log's.
    ///
    /// # Errors
    /// If it is not such a certificate.
    pub fn certificate(&self, answer: &[u8]) -> Result<Vec<u8>> {
        let answer = SigningCertificate::from_json(answer)?;
        let leaf = answer.chain().first().context("an empty chain")?;
        let leaf = Certificate::parse(Pem::parse_labelled(leaf, "CERTIFICATE")?)?;
        ensure!(
            leaf.public_key().ok() == Some(&self.key),
            "the certificate is for another key"
        );
        leaf.verify_signature(provider(), &self.issuer)?;
        let scts = leaf.scts()?.context("the certificate has no SCT")?;
        let sct = only(scts.as_slice(), "SCT")?;
        sct.verify_embedded(&self.ct_log, &leaf, &self.issuer)?;
        Ok(leaf.der().to_vec())
    }
}

fn ask(author: &Author, token: &str) -> Result<Asking<()>> {
    let parsed = IdentityToken::parse(token)?;
    let request = SigningCertificateRequest {
        identity_token: None,
        key: Some(RequestedKey::PublicKey {
            algorithm: "ECDSA".to_owned(),
            content: author.public_key().to_pem(),
            proof_of_possession: told(author.sign(parsed.challenge().as_bytes()))?,
        }),
    };
    Ok(Asking {
        body: request.to_json().expose().as_bytes().to_vec(),
        lines: format!("authorization: Bearer {token}\r\n").into(),
        asked: (),
    })
}

impl Work for Certificates {
    type Asked = ();

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            path: "/api/v2/signingCert",
            content_type: "application/json",
            status: 200,
        }
    }

    fn request(&mut self) -> Result<Asking<()>> {
        let turn = self.made.checked_rem(self.requests.len());
        let request = turn.and_then(|turn| self.requests.get(turn));
        self.made += 1;
        request.cloned().context("there is no token")
    }

    fn verify(&self, _: &(), answer: &[u8]) -> Result<()> {
        self.certificate(answer).map(drop)
    }
}
