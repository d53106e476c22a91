//! Certificates that a CA's own key signed, and that are wrong in one respect.

use std::sync::Arc;
use std::time::Duration;

use waxseal_crypto::{Input, Pem, PublicKey, Signer, Time};
use waxseal_crypto_aws_lc::{OsRandom, provider};
use waxseal_formats::ca::{RequestedKey, SigningCertificate, SigningCertificateRequest};
use waxseal_instance::Keys;
use waxseal_issuing::{LeafIssuer, LeafRequest, PreparedLeaf, Validity};
use waxseal_pki::encoding::{SEQUENCE, element};
use waxseal_pki::{CtEntry, Sct, SctList, SctScheme, SubjectAltName};
use waxseal_transport::Request;

use crate::{Lie, text};

/// AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 §3.2).
const ECDSA_SHA256: [u8; 12] = [
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];
const BIT_STRING: u8 = 0x03;

/// What the certificate says of CT logs.
#[derive(Clone)]
pub enum Scts {
    /// The promise of this log, as it should be.
    Of(Arc<dyn Signer>),
    /// The promise of this log for another certificate.
    ForAnother(Arc<dyn Signer>),
    /// Nothing.
    None,
}

/// What the certificate says; the key is the one that was asked for.
#[derive(Clone)]
pub struct Forgery {
    /// Whose CA signs.
    pub keys: Arc<Keys>,
    /// Whom it names.
    pub name: String,
    /// Who vouches for that.
    pub issuer: String,
    /// From when on it is valid.
    pub from: Time,
    /// For how long.
    pub lifetime: Duration,
    /// The promise in it.
    pub scts: Scts,
}

impl Forgery {
    /// A forged certificate in place of the CA's answer.
    pub fn lie(self) -> Lie {
        Lie::new(move |request, _| {
            let forgery = self.clone();
            Box::pin(async move {
                let key = requested_key(&request);
                let leaf = forgery.certificate(&key).await;
                let chain = forgery.keys.ca_chain.iter().map(|c| c.der().to_vec());
                let chain = std::iter::once(leaf).chain(chain);
                let chain = chain.map(|der| Pem::new("CERTIFICATE", &der).encode());
                let answer = SigningCertificate::EmbeddedSct {
                    chain: chain.collect(),
                };
                Ok(text(201, "application/json", answer.to_json()))
            })
        })
    }

    async fn certificate(&self, key: &PublicKey) -> Vec<u8> {
        let ca = &*self.keys.ca;
        let issuer = LeafIssuer::new(provider(), ca, self.keys.ca_chain.clone()).unwrap();
        let name = SubjectAltName::Email(self.name.clone());
        let claims = [(1, &*self.issuer), (8, &*self.issuer)];
        let validity = Validity::starting(self.from, self.lifetime).unwrap();
        let request = LeafRequest::new(key, &name, &claims, validity);
        let prepared = issuer.prepare(&request, &OsRandom).unwrap();
        let sct = match &self.scts {
            Scts::Of(log) => self.sct(&**log, &prepared.log_input()).await,
            Scts::ForAnother(log) => self.sct(&**log, b"another certificate").await,
            Scts::None => return self.without_sct(&prepared).await,
        };
        let scts = SctList::new(vec![sct]).unwrap();
        prepared
            .certificate(ca, &scts)
            .await
            .unwrap()
            .der()
            .to_vec()
    }

    async fn sct(&self, log: &dyn Signer, tbs: &[u8]) -> Sct {
        let entry = CtEntry::Precertificate {
            issuer_key_hash: self.keys.ca.public_key().spki_sha256(),
            tbs,
        };
        let time = self.from.unix_millis();
        let input = entry.signed_input(time, &[]).unwrap();
        let signature = log.sign(Input::Message(&input)).await.unwrap();
        let log_id = log.public_key().spki_sha256();
        Sct::new(log_id, time, Vec::new(), SctScheme::EcdsaSha256, signature)
    }

    /// What is logged is the certificate without its SCTs: signed, it is one that has none.
    async fn without_sct(&self, prepared: &PreparedLeaf) -> Vec<u8> {
        let tbs = prepared.log_input();
        let signature = self.keys.ca.sign(Input::Message(&tbs)).await.unwrap();
        let signature = element(BIT_STRING, &[&[0], &*signature]);
        element(SEQUENCE, &[&*tbs, &ECDSA_SHA256, &signature])
    }
}

fn requested_key(request: &Request) -> PublicKey {
    let request = SigningCertificateRequest::from_json(&request.body).unwrap();
    match request.key {
        Some(RequestedKey::PublicKey { content, .. }) => PublicKey::from_pem(&content).unwrap(),
        other => panic!("our client asks with a key, not {other:?}"),
    }
}
