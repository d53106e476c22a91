//! Files for clients: whom to trust, and where to go (authority.md §5.3, §5.4).

use waxseal_crypto::{KeyDetails, Signer};
use waxseal_formats::{
    self as formats, CertificateAuthority, ClientTrustConfig, HashAlgorithm, PublicKey, Service,
    ServiceSelector, SigningConfig, TimeRange, Timestamp, TransparencyLogInstance, TrustedRoot,
    TrustedRootVersion,
};
use waxseal_pki::Certificate;

use crate::{DataDir, DataError, InstanceUrl, Keys, Part};

/// Whom to trust.
pub const TRUSTED_ROOT: &str = "trusted_root.json";
/// Where to go.
pub const SIGNING_CONFIG: &str = "signing_config.json";
/// Both in one.
pub const TRUST_CONFIG: &str = "trust_config.json";
/// Whom to trust, as one line for `gh`.
pub const TRUSTED_ROOT_LINES: &str = "trusted_root.jsonl";

/// What clients have to know of an instance. `log_id` is the log's untruncated key id.
#[must_use]
pub fn trust_config(url: &InstanceUrl, keys: &Keys, log_id: [u8; 32]) -> ClientTrustConfig {
    ClientTrustConfig {
        trusted_root: trusted_root(url, keys, log_id),
        signing_config: signing_config(url, keys),
    }
}

/// Writes the files, where they differ from what is there.
///
/// # Errors
/// [`DataError`].
pub fn write_client_files(data: &DataDir, config: &ClientTrustConfig) -> Result<(), DataError> {
    let line = |text: String| format!("{text}\n").into_bytes();
    let trusted_root = line(config.trusted_root.to_json());
    data.replace(Part::Client, TRUSTED_ROOT, &trusted_root)?;
    data.replace(Part::Client, TRUSTED_ROOT_LINES, &trusted_root)?;
    let signing_config = line(config.signing_config.to_json());
    data.replace(Part::Client, SIGNING_CONFIG, &signing_config)?;
    // Last: who finds it finds the others too.
    data.replace(Part::Client, TRUST_CONFIG, &line(config.to_json()))
}

fn trusted_root(url: &InstanceUrl, keys: &Keys, log_id: [u8; 32]) -> TrustedRoot {
    let log = |path: &str, signer: &dyn Signer, log_id: [u8; 32]| TransparencyLogInstance {
        base_url: url.join(path),
        hash_algorithm: HashAlgorithm::new("SHA2_256"),
        public_key: public_key(signer, valid_for(keys)),
        log_id: log_id.to_vec(),
        checkpoint_key_id: None,
        operator: url.host().to_owned(),
    };
    let authority = |path: &str, chain: &[Certificate]| {
        let subject = chain.last().map(Certificate::subject);
        let organization = subject.as_ref().and_then(|s| s.organizations().next());
        let common_name = subject.as_ref().and_then(|s| s.common_name());
        CertificateAuthority {
            organization: organization.unwrap_or_default().to_owned(),
            common_name: common_name.unwrap_or_default().to_owned(),
            uri: url.join(path),
            cert_chain: chain.iter().map(|c| c.der().to_vec()).collect(),
            valid_for: valid_for(keys),
            operator: url.host().to_owned(),
        }
    };
    TrustedRoot {
        version: TrustedRootVersion::V01,
        tlogs: vec![log("", &*keys.log, log_id)],
        certificate_authorities: vec![authority("", &keys.ca_chain)],
        ctlogs: vec![log("/ct", &*keys.ct, keys.ct.public_key().spki_sha256())],
        timestamp_authorities: vec![authority("/api/v1/timestamp", &keys.tsa_chain)],
    }
}

fn signing_config(url: &InstanceUrl, keys: &Keys) -> SigningConfig {
    let service = |path: &str, major_api_version| {
        vec![Service {
            url: url.join(path),
            major_api_version,
            valid_for: valid_for(keys),
            operator: url.host().to_owned(),
        }]
    };
    SigningConfig {
        ca_urls: service("", 1),
        oidc_urls: service("/auth", 1),
        log_urls: service("", 2),
        log_config: Some(ServiceSelector::Any),
        tsa_urls: service("/api/v1/timestamp", 1),
        tsa_config: Some(ServiceSelector::Any),
    }
}

fn public_key(signer: &dyn Signer, valid_for: Option<TimeRange>) -> PublicKey {
    let key = signer.public_key();
    let details = KeyDetails::of(key, signer.algorithm()).map_or("", |details| details.name);
    PublicKey {
        raw_bytes: key.spki_der().to_vec(),
        key_details: formats::KeyDetails::new(details),
        valid_for,
    }
}

fn valid_for(keys: &Keys) -> Option<TimeRange> {
    Some(TimeRange {
        start: Some(Timestamp {
            seconds: keys.valid_from.unix_seconds(),
            nanos: keys.valid_from.subsec_nanos(),
        }),
        end: None,
    })
}
