//! Certificates of the authorities, below roots whose keys are forgotten as soon as they have
//! signed, and exported before if they are to be.

use waxseal_crypto::{LocalSigner, Pem, PrivateKey, Random, SignatureAlgorithm, Time};
use waxseal_issuing::{Subject, Validity, issue_intermediate, issue_root, issue_timestamp_signer};
use waxseal_pki::{Certificate, Purpose};

use super::keys::Vault;
use super::{AUTHORITY_LIFETIME, BACKDATE};
use crate::root_export::ExportedRoot;
use crate::{BirthError, Part, ProvisionError, RootExport, RootExportError};

const CA_CHAIN: &str = "ca.chain.pem";
const TSA_CHAIN: &str = "tsa.chain.pem";

const ROOT: SignatureAlgorithm = SignatureAlgorithm::EcdsaP384Sha384;

/// What stands on every PEM block of a chain.
const LABEL: &str = "CERTIFICATE";

pub(super) struct Maker<'a> {
    pub(super) vault: &'a Vault<'a>,
    pub(super) random: &'a dyn Random,
    pub(super) export: Option<&'a RootExport>,
}

/// A root while it can sign.
struct Root {
    key: PrivateKey,
    certificate: Certificate,
    signer: Box<dyn LocalSigner>,
    validity: Validity,
}

impl Maker<'_> {
    /// The chains of the CA's and the timestamp authority's keys: each a certificate and its root.
    pub(super) async fn chains(
        &self,
        ca: &dyn LocalSigner,
        tsa: &dyn LocalSigner,
    ) -> Result<(Vec<Certificate>, Vec<Certificate>), ProvisionError> {
        let (ca_chain, tsa_chain) = (self.read(CA_CHAIN, ca)?, self.read(TSA_CHAIN, tsa)?);
        if self.export.is_some() && (ca_chain.is_some() || tsa_chain.is_some()) {
            return Err(RootExportError::RootsForgotten.into());
        }
        let new_ca = match &ca_chain {
            None => Some(self.ca_chain(ca).await?),
            Some(_) => None,
        };
        let new_tsa = match &tsa_chain {
            None => Some(self.tsa_chain(tsa).await?),
            Some(_) => None,
        };
        // First the keys: once a chain is kept, they can never be made again.
        if let Some(export) = self.export {
            let roots: Vec<_> = [&new_ca, &new_tsa]
                .into_iter()
                .flatten()
                .map(|(root, _)| ExportedRoot {
                    key: &root.key,
                    certificate: &root.certificate,
                })
                .collect();
            export.write(&roots)?;
        }
        Ok((
            self.chosen(CA_CHAIN, ca_chain, new_ca)?,
            self.chosen(TSA_CHAIN, tsa_chain, new_tsa)?,
        ))
    }

    /// The chain that was there, or the new one, which is kept from now on.
    fn chosen(
        &self,
        file: &'static str,
        found: Option<Vec<Certificate>>,
        new: Option<(Root, Certificate)>,
    ) -> Result<Vec<Certificate>, ProvisionError> {
        match new {
            Some((root, signer)) => self.keep(file, vec![signer, root.certificate]),
            None => Ok(found.unwrap_or_default()),
        }
    }

    async fn ca_chain(
        &self,
        signer: &dyn LocalSigner,
    ) -> Result<(Root, Certificate), ProvisionError> {
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
        Ok((root, intermediate))
    }

    async fn tsa_chain(
        &self,
        signer: &dyn LocalSigner,
    ) -> Result<(Root, Certificate), ProvisionError> {
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
        Ok((root, leaf))
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
            key,
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
