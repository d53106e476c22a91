//! Leaves: first a precertificate for the log, then the certificate with the log's promise.

use waxseal_crypto::{CryptoProvider, PublicKey, Random, Signer};
use waxseal_pki::encoding::{
    OCTET_STRING, SEQUENCE, UTF8_STRING, context, context_primitive, element, object_identifier,
};
use waxseal_pki::{
    CaChain, Certificate, ObjectIdentifier, Purpose, SctList, SubjectAltName, tbs_without_poison,
};

use crate::authority::check_dates;
use crate::profile::{
    authority_key_identifier, extended_key_usage, extension, leaf_key_usage, oid_of,
    subject_key_identifier,
};
use crate::tbs::{Fields, algorithm_of, serial};
use crate::{IssueError, Validity};

/// What a leaf shall say.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LeafRequest<'a> {
    /// The key to certify; its holder has proven to have the private half.
    pub key: &'a PublicKey,
    /// The one name: e-mail address, URI, or otherName 1.3.6.1.4.1.57264.1.7.
    pub name: &'a SubjectAltName,
    /// Claims by their number N in 1.3.6.1.4.1.57264.1.N; empty ones are left out. Numbers 1 and 8,
    /// the issuer, are mandatory and equal.
    pub claims: &'a [(u8, &'a str)],
    /// From when to when.
    pub validity: Validity,
}

impl<'a> LeafRequest<'a> {
    /// A request.
    pub const fn new(
        key: &'a PublicKey,
        name: &'a SubjectAltName,
        claims: &'a [(u8, &'a str)],
        validity: Validity,
    ) -> Self {
        Self {
            key,
            name,
            claims,
            validity,
        }
    }
}

/// Issues leaves below one chain of authorities.
#[derive(Debug)]
pub struct LeafIssuer {
    chain: CaChain,
    algorithm: Vec<u8>,
    key_id: Vec<u8>,
}

/// A leaf with its serial number chosen, not signed yet.
#[derive(Debug, Clone)]
pub struct PreparedLeaf {
    fields: Fields,
    extensions: Vec<Vec<u8>>,
}

impl LeafIssuer {
    /// An issuer whose first certificate is that of `signer`'s key; the chain is verified.
    ///
    /// # Errors
    /// [`IssueError::Chain`], [`IssueError::WrongSigner`], [`IssueError::NotAnAuthority`] or
    /// [`IssueError::UnsupportedAlgorithm`].
    pub fn new(
        provider: CryptoProvider,
        signer: &dyn Signer,
        chain: Vec<Certificate>,
    ) -> Result<Self, IssueError> {
        let chain = CaChain::from_certificates(provider, chain, Purpose::CodeSigning)?;
        if chain.issuer_key() != signer.public_key() {
            return Err(IssueError::WrongSigner);
        }
        let first = chain
            .certificates()
            .first()
            .ok_or(IssueError::NotAnAuthority)?;
        let key_id = first
            .subject_key_id()
            .ok_or(IssueError::NotAnAuthority)?
            .to_vec();
        Ok(Self {
            algorithm: algorithm_of(signer)?,
            key_id,
            chain,
        })
    }

    /// The authorities, the one that signs leaves first.
    pub fn chain(&self) -> &CaChain {
        &self.chain
    }

    /// Chooses a serial number and lays the certificate out.
    ///
    /// # Errors
    /// [`IssueError`], any but those of signing.
    pub fn prepare(
        &self,
        request: &LeafRequest<'_>,
        random: &dyn Random,
    ) -> Result<PreparedLeaf, IssueError> {
        check_dates(self.chain.certificates(), request.validity)?;
        let issuer = self
            .chain
            .certificates()
            .first()
            .ok_or(IssueError::NotAnAuthority)?;
        let mut extensions = vec![
            leaf_key_usage(),
            extended_key_usage(Purpose::CodeSigning, false),
            subject_key_identifier(request.key),
            authority_key_identifier(&self.key_id),
            subject_alt_name(request.name)?,
        ];
        extensions.extend(claims(request.claims)?);
        let fields = Fields {
            serial: serial(random)?,
            algorithm: self.algorithm.clone(),
            issuer: issuer.subject().der().to_vec(),
            validity: request.validity,
            // Whom it is for stands in subjectAltName, which is critical for that reason.
            subject: element::<&[u8]>(SEQUENCE, &[]),
            key: request.key.clone(),
        };
        Ok(PreparedLeaf { fields, extensions })
    }
}

impl PreparedLeaf {
    /// The serial number.
    pub const fn serial(&self) -> &[u8; 20] {
        &self.fields.serial
    }

    /// Signs the precertificate: the leaf with the poison as its last extension (RFC 6962 §3.1).
    ///
    /// # Errors
    /// [`IssueError::Sign`] or [`IssueError::Unfaithful`].
    pub async fn precertificate(&self, signer: &dyn Signer) -> Result<Certificate, IssueError> {
        self.fields.sign(signer, &self.with(poison())).await
    }

    /// The bytes that a log signs: the TBSCertificate without poison and without SCTs.
    pub fn log_input(&self) -> Vec<u8> {
        self.fields.tbs(&self.extensions)
    }

    /// Signs the certificate: the leaf with the SCTs where the poison was.
    ///
    /// # Errors
    /// [`IssueError::Scts`], [`IssueError::Sign`] or [`IssueError::Unfaithful`].
    pub async fn certificate(
        &self,
        signer: &dyn Signer,
        scts: &SctList,
    ) -> Result<Certificate, IssueError> {
        let list = scts.encode().ok_or(IssueError::Scts)?;
        let oid = oid_of("1.3.6.1.4.1.11129.2.4.2");
        let list = extension(oid, false, &element(OCTET_STRING, &[list]));
        let certificate = self.fields.sign(signer, &self.with(list)).await?;
        // What the log promised is over exactly these bytes.
        let poisoned = self.fields.tbs(&self.with(poison()));
        let logged = waxseal_pki::tbs_without_scts(certificate.tbs());
        if logged.is_err() || logged != tbs_without_poison(&poisoned) {
            return Err(IssueError::Unfaithful(None));
        }
        Ok(certificate)
    }

    fn with(&self, last: Vec<u8>) -> Vec<Vec<u8>> {
        let mut extensions = self.extensions.clone();
        extensions.push(last);
        extensions
    }
}

/// The poison: critical, NULL.
fn poison() -> Vec<u8> {
    extension(oid_of("1.3.6.1.4.1.11129.2.4.3"), true, &[5, 0])
}

/// The one kind of otherName: `user!domain`.
const USER_NAME: &str = "1.3.6.1.4.1.57264.1.7";

fn subject_alt_name(name: &SubjectAltName) -> Result<Vec<u8>, IssueError> {
    let ascii = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let name = match name {
        SubjectAltName::Email(text) if ascii(text) && !text.is_empty() => {
            element(context_primitive(1), &[text])
        }
        SubjectAltName::Uri(text) if ascii(text) && !text.is_empty() => {
            element(context_primitive(6), &[text])
        }
        SubjectAltName::OtherName { oid, value }
            if *oid == oid_of(USER_NAME) && !value.is_empty() =>
        {
            let value = element(context(0), &[element(UTF8_STRING, &[value])]);
            element(context(0), &[object_identifier(*oid), value])
        }
        _ => return Err(IssueError::Name),
    };
    Ok(extension(
        oid_of("2.5.29.17"),
        true,
        &element(SEQUENCE, &[name]),
    ))
}

fn claims(claims: &[(u8, &str)]) -> Result<Vec<Vec<u8>>, IssueError> {
    let mut claims: Vec<_> = claims.iter().filter(|(_, text)| !text.is_empty()).collect();
    claims.sort_by_key(|(number, _)| *number);
    let value = |wanted: u8| {
        claims
            .iter()
            .find(|(number, _)| *number == wanted)
            .map(|c| c.1)
    };
    if value(1).is_none() || value(1) != value(8) {
        return Err(IssueError::IssuerClaim);
    }
    let mut last = 0;
    let mut extensions = Vec::with_capacity(claims.len());
    for (number, text) in claims {
        let number = *number;
        let value = match number {
            _ if number == last => return Err(IssueError::Claim { number }),
            1..=6 => text.as_bytes().to_vec(),
            8..=24 => element(UTF8_STRING, &[text]),
            _ => return Err(IssueError::Claim { number }),
        };
        extensions.push(extension(claim_oid(number), false, &value));
        last = number;
    }
    Ok(extensions)
}

fn claim_oid(number: u8) -> ObjectIdentifier {
    oid_of(&format!("1.3.6.1.4.1.57264.1.{number}"))
}

#[cfg(test)]
mod tests;
