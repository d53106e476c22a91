//! Certificates and tokens for tests, right by default and wrong where a test wants them to be.

use waxseal_crypto::{
    CryptoProvider, Digest, HashAlgorithm, Input, LocalSigner, PublicKey, SignatureAlgorithm, Time,
};

use crate::element::{
    BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, PRINTABLE_STRING, SEQUENCE, SET, context,
    context_primitive, encode, encode_time, encode_unsigned,
};
use crate::{Certificate, algorithm};

pub(crate) fn provider() -> CryptoProvider {
    waxseal_crypto_aws_lc::provider()
}

pub(crate) fn time(text: &str) -> Time {
    Time::parse_rfc3339(text).unwrap()
}

pub(crate) const P256: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256Sha256;

pub(crate) fn fresh(algorithm: SignatureAlgorithm) -> Box<dyn LocalSigner> {
    provider()
        .signer(&provider().generate(algorithm).unwrap(), algorithm)
        .unwrap()
}

pub(crate) fn sign(signer: &dyn LocalSigner, message: &[u8]) -> Vec<u8> {
    signer.sign_now(Input::Message(message)).unwrap()
}

pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let pair = [
        encode(OID, &[[0x55, 4, 3]]),
        encode(PRINTABLE_STRING, &[common_name]),
    ];
    encode(SEQUENCE, &[encode(SET, &[encode(SEQUENCE, &pair)])])
}

pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let flag = if critical {
        encode(BOOLEAN, &[[0xff]])
    } else {
        Vec::new()
    };
    encode(
        SEQUENCE,
        &[encode(OID, &[oid]), flag, encode(OCTET_STRING, &[value])],
    )
}

pub(crate) fn ca(path_len: Option<u8>) -> Vec<u8> {
    let length = path_len.map_or(Vec::new(), |length| encode(INTEGER, &[[length]]));
    extension(
        &[0x55, 0x1d, 0x13],
        true,
        &encode(SEQUENCE, &[vec![1, 1, 0xff], length]),
    )
}

/// `bits` as in the first octet of the BIT STRING.
pub(crate) fn usage(bits: u8) -> Vec<u8> {
    let unused = u8::try_from(bits.trailing_zeros()).unwrap();
    extension(
        &[0x55, 0x1d, 0x0f],
        true,
        &encode(BIT_STRING, &[[unused, bits]]),
    )
}

/// Purposes by the last number of their identifiers: 3 is codeSigning, 8 timeStamping.
pub(crate) fn eku(critical: bool, purposes: &[u8]) -> Vec<u8> {
    let purposes: Vec<_> = purposes
        .iter()
        .map(|last| encode(OID, &[[0x2b, 6, 1, 5, 5, 7, 3, *last]]))
        .collect();
    extension(&[0x55, 0x1d, 0x25], critical, &encode(SEQUENCE, &purposes))
}

pub(crate) fn email(address: &str) -> Vec<u8> {
    let name = encode(context_primitive(1), &[address]);
    extension(&[0x55, 0x1d, 0x11], true, &encode(SEQUENCE, &[name]))
}

pub(crate) fn unknown(critical: bool) -> Vec<u8> {
    extension(&[0x2a, 3, 4], critical, b"?")
}

/// One key with a name.
pub(crate) struct Party {
    pub(crate) signer: Box<dyn LocalSigner>,
    pub(crate) name: Vec<u8>,
}

impl Party {
    pub(crate) fn new(common_name: &str) -> Self {
        Self::with(common_name, P256)
    }

    pub(crate) fn with(common_name: &str, algorithm: SignatureAlgorithm) -> Self {
        Self {
            signer: fresh(algorithm),
            name: name(common_name),
        }
    }

    pub(crate) fn key(&self) -> &PublicKey {
        self.signer.public_key()
    }
}

/// A certificate to be: valid through 2026.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) serial: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
    pub(crate) inner_algorithm: Option<Vec<u8>>,
}

impl Draft {
    pub(crate) fn new(issuer: &Party, subject: &Party, extensions: &[Vec<u8>]) -> Self {
        Self {
            serial: vec![7],
            issuer: issuer.name.clone(),
            not_before: time("2026-01-01T00:00:00Z"),
            not_after: time("2026-12-31T23:59:59Z"),
            subject: subject.name.clone(),
            spki: subject.key().spki_der().to_vec(),
            extensions: extensions.to_vec(),
            inner_algorithm: None,
        }
    }

    pub(crate) fn dates(mut self, from: &str, to: &str) -> Self {
        self.not_before = time(from);
        self.not_after = time(to);
        self
    }

    pub(crate) fn der(&self, issuer: &Party) -> Vec<u8> {
        let identifier = algorithm::signature_identifier(issuer.signer.algorithm()).unwrap();
        let list = encode(SEQUENCE, &self.extensions);
        let tbs = encode(
            SEQUENCE,
            &[
                encode(context(0), &[[2, 1, 2]]),
                encode(INTEGER, &[&self.serial]),
                self.inner_algorithm
                    .clone()
                    .unwrap_or_else(|| identifier.clone()),
                self.issuer.clone(),
                encode(
                    SEQUENCE,
                    &[encode_time(self.not_before), encode_time(self.not_after)],
                ),
                self.subject.clone(),
                self.spki.clone(),
                encode(context(3), &[list]),
            ],
        );
        seal(&tbs, &identifier, &sign(&*issuer.signer, &tbs))
    }

    pub(crate) fn certificate(&self, issuer: &Party) -> Certificate {
        Certificate::parse(self.der(issuer)).unwrap()
    }
}

pub(crate) fn seal(tbs: &[u8], identifier: &[u8], signature: &[u8]) -> Vec<u8> {
    let bits = encode(BIT_STRING, &[&[0], signature]);
    encode(SEQUENCE, &[tbs, identifier, &bits])
}

/// A timestamp token to be, over "hello" at noon on 2026-06-01.
#[derive(Clone)]
pub(crate) struct TokenDraft {
    pub(crate) outer_type: Vec<u8>,
    pub(crate) version: u8,
    pub(crate) content_type: Vec<u8>,
    pub(crate) content: Vec<u8>,
    pub(crate) certificates: Option<Vec<Vec<u8>>>,
    pub(crate) signer_version: u8,
    pub(crate) sid: Vec<u8>,
    pub(crate) digest: Vec<u8>,
    pub(crate) attributes: Option<Vec<Vec<u8>>>,
    pub(crate) sorted: bool,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) signers: usize,
    pub(crate) spoil: bool,
}

pub(crate) fn signed_attribute(oid: &str, value: &[u8]) -> Vec<u8> {
    let oid = crate::ObjectIdentifier::new(oid).unwrap();
    encode(
        SEQUENCE,
        &[encode(OID, &[oid.as_bytes()]), encode(SET, &[value])],
    )
}

pub(crate) const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 1, 4];

pub(crate) fn tst_info(extra: &[Vec<u8>]) -> Vec<u8> {
    let digest = Digest::of(HashAlgorithm::Sha256, b"hello");
    tst_info_over(
        &algorithm::digest_identifier(HashAlgorithm::Sha256),
        digest.as_bytes(),
        extra,
    )
}

pub(crate) fn tst_info_over(identifier: &[u8], digest: &[u8], extra: &[Vec<u8>]) -> Vec<u8> {
    let mut parts = vec![
        vec![2, 1, 1],
        encode(OID, &[[0x2a, 3]]),
        encode(SEQUENCE, &[identifier, &encode(OCTET_STRING, &[digest])]),
        encode_unsigned(&[9]),
        encode(0x18, &["20260601120000Z"]),
    ];
    parts.extend(extra.iter().cloned());
    encode(SEQUENCE, &parts)
}

impl TokenDraft {
    pub(crate) fn new(certificate: &Certificate, signer: &Party) -> Self {
        let content = tst_info(&[]);
        let serial = encode(INTEGER, &[certificate.serial()]);
        let sid = encode(SEQUENCE, &[certificate.issuer().der(), &serial]);
        let hash = signer
            .signer
            .algorithm()
            .prehash()
            .unwrap_or(HashAlgorithm::Sha512);
        let mut draft = Self {
            outer_type: encode(OID, &[[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]]),
            version: 3,
            content_type: encode(OID, &[TST_INFO]),
            content: Vec::new(),
            certificates: None,
            signer_version: 1,
            sid,
            digest: algorithm::digest_identifier(hash),
            attributes: None,
            sorted: true,
            algorithm: algorithm::signature_identifier(signer.signer.algorithm()).unwrap(),
            signers: 1,
            spoil: false,
        };
        draft.set_content(content, hash, certificate);
        draft
    }

    pub(crate) fn set_content(
        &mut self,
        content: Vec<u8>,
        hash: HashAlgorithm,
        certificate: &Certificate,
    ) {
        self.attributes = Some(attributes(&content, hash, certificate));
        self.content = content;
    }

    pub(crate) fn der(&self, signer: &Party) -> Vec<u8> {
        let mut members = self.attributes.clone().unwrap_or_default();
        if self.sorted {
            members.sort();
        }
        let mut signature = sign(&*signer.signer, &encode(SET, &members));
        if self.spoil {
            signature = sign(&*signer.signer, b"something else");
        }
        let attributes = match &self.attributes {
            Some(_) => encode(context(0), &members),
            None => Vec::new(),
        };
        let info = encode(
            SEQUENCE,
            &[
                encode(INTEGER, &[[self.signer_version]]),
                self.sid.clone(),
                self.digest.clone(),
                attributes,
                self.algorithm.clone(),
                encode(OCTET_STRING, &[signature]),
            ],
        );
        let content = encode(context(0), &[encode(OCTET_STRING, &[&self.content])]);
        let mut parts = vec![
            encode(INTEGER, &[[self.version]]),
            encode(SET, &[&self.digest]),
            encode(SEQUENCE, &[self.content_type.clone(), content]),
        ];
        parts.extend(
            self.certificates
                .as_ref()
                .map(|list| encode(context(0), list)),
        );
        parts.push(encode(SET, &vec![info; self.signers]));
        let data = encode(context(0), &[encode(SEQUENCE, &parts)]);
        encode(SEQUENCE, &[self.outer_type.clone(), data])
    }
}

pub(crate) fn attributes(
    content: &[u8],
    hash: HashAlgorithm,
    certificate: &Certificate,
) -> Vec<Vec<u8>> {
    let digest = Digest::of(hash, content);
    vec![
        signed_attribute("1.2.840.113549.1.9.3", &encode(OID, &[TST_INFO])),
        signed_attribute(
            "1.2.840.113549.1.9.4",
            &encode(OCTET_STRING, &[digest.as_bytes()]),
        ),
        signed_attribute(
            "1.2.840.113549.1.9.16.2.47",
            &signing_certificate(certificate),
        ),
    ]
}

pub(crate) fn signing_certificate(certificate: &Certificate) -> Vec<u8> {
    let hash = Digest::of(HashAlgorithm::Sha256, certificate.der());
    let id = encode(SEQUENCE, &[encode(OCTET_STRING, &[hash.as_bytes()])]);
    encode(SEQUENCE, &[encode(SEQUENCE, &[id])])
}
