//! Certificates of the authorities, below roots whose keys are forgotten as soon as they have
//! signed.

use waxseal_crypto::{LocalSigner, Pem, Random, SignatureAlgorithm, Time};
use waxseal_issuing::{Subject, Validity, issue_intermediate, issue_root, issue_timestamp_signer};
use waxseal_pki::{Certificate, Purpose};

use super::keys::Vault;
use super::{AUTHORITY_LIFETIME, BACKDATE};
use crate::{BirthError, Part, ProvisionError};

const CA_CHAIN: &str = "ca.chain.pem";
const TSA_CHAIN: &str = "tsa.chain.pem";

const ROOT: SignatureAlgorithm = SignatureAlgorithm::EcdsaP384Sha384;

/// What stands on every PEM block of a chain.
const LABEL: &str = "CERTIFICATE";

pub(super) struct Maker<'a> {
    pub(super) vault: &'a Vault<'a>,
    pub(super) random: &'a dyn Random,
}

/// A root while it can sign.
struct Root {
    certificate: Certificate,
    signer: Box<dyn LocalSigner>,
    validity: Validity,
}

impl Maker<'_> {
    /// The intermediate for `signer`'s key, and its root.
    pub(super) async fn ca_chain(
        &self,
        signer: &dyn LocalSigner,
    ) -> Result<Vec<Certificate>, ProvisionError> {
        if let Some(chain) = self.read(CA_CHAIN, signer)? {
            return Ok(chain);
        }
        let root = self.root("Waxseal CA Root").await?;
        let intermediate = issue_intermediate(
            &root.certificate,
            &*root.signer,
            &self.subject("Waxseal CA"),
            signer.public_key(),
            Purpose::CodeSigning,
            root.validity,
            self.random,
        )
        .await?;
        self.keep(CA_CHAIN, vec![intermediate, root.certificate])
    }

    /// The certificate of `signer`'s key, and its root.
    pub(super) async fn tsa_chain(
        &self,
        signer: &dyn LocalSigner,
    ) -> Result<Vec<Certificate>, ProvisionError> {
        if let Some(chain) = self.read(TSA_CHAIN, signer)? {
            return Ok(chain);
        }
        let root = self.root("Waxseal TSA Root").await?;
        let leaf = issue_timestamp_signer(
            &root.certificate,
            &*root.signer,
            &self.subject("Waxseal TSA"),
            signer.public_key(),
            root.validity,
            self.random,
        )
        .await?;
        self.keep(TSA_CHAIN, vec![leaf, root.certificate])
    }

    /// From when on the instance counts as there.
    pub(super) fn valid_from(&self) -> Result<Time, ProvisionError> {
        let born = self.vault.birth.born();
        born.checked_sub(BACKDATE)
            .ok_or(ProvisionError::Clock { now: born })
    }

    async fn root(&self, name: &str) -> Result<Root, ProvisionError> {
        let provider = self.vault.provider;
        let key = provider.generate(ROOT).map_err(ProvisionError::RootKey)?;
        let signer = provider
            .signer(&key, ROOT)
            .map_err(ProvisionError::RootKey)?;
        let validity = Validity::starting(self.valid_from()?, AUTHORITY_LIFETIME)?;
        let certificate = issue_root(&*signer, &self.subject(name), validity, self.random).await?;
        Ok(Root {
            certificate,
            signer,
            validity,
        })
    }

    fn subject(&self, name: &str) -> Subject {
        Subject::new(name, self.vault.birth.url().host())
    }

    fn read(
        &self,
        file: &'static str,
        signer: &dyn LocalSigner,
    ) -> Result<Option<Vec<Certificate>>, ProvisionError> {
        let Some(bytes) = self.vault.data.read(Part::Keys, file)? else {
            if self.vault.birth.is_complete() {
                return Err(BirthError::KeyMissing { file }.into());
            }
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| ProvisionError::Damaged { file })?;
        let blocks =
            Pem::parse_many(text).map_err(|source| ProvisionError::Pem { file, source })?;
        let mut chain = Vec::with_capacity(blocks.len());
        for block in blocks {
            if block.label != LABEL {
                return Err(ProvisionError::WrongChain { file });
            }
            let certificate = Certificate::parse(block.der)
                .map_err(|source| ProvisionError::Certificate { file, source })?;
            chain.push(certificate);
        }
        let first = chain.first().and_then(|first| first.public_key().ok());
        if chain.len() != 2 || first != Some(signer.public_key()) {
            return Err(ProvisionError::WrongChain { file });
        }
        Ok(Some(chain))
    }

    fn keep(
        &self,
        file: &'static str,
        chain: Vec<Certificate>,
    ) -> Result<Vec<Certificate>, ProvisionError> {
        let pem: String = chain
            .iter()
            .map(|certificate| Pem::new(LABEL, certificate.der()).encode())
            .collect();
        self.vault.data.create(Part::Keys, file, pem.as_bytes())?;
        Ok(chain)
    }
}
