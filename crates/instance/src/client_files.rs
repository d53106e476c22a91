//! Files for clients: whom to trust, and where to go (authority.md §5.3, §5.4).

use waxseal_crypto::{KeyDetails, KeyKind, SignatureAlgorithm, Signer, Time};
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
    let operator = url.host().to_owned();
    let since = valid_for(keys);
    let log = |url: String, key: PublicKey, log_id: Vec<u8>| TransparencyLogInstance {
        base_url: url,
        hash_algorithm: HashAlgorithm::new("SHA2_256"),
        public_key: key,
        log_id,
        checkpoint_key_id: None,
        operator: operator.clone(),
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
    // Frozen shards first: what they hold stays valid.
    let archived = keys.shards.archived.iter().filter_map(|shard| {
        let key = known_key(&shard.public_key, window(shard.valid_from, shard.frozen_at));
        Some(log(shard.url.as_str().to_owned(), key, shard.log_id()?))
    });
    let mut tlogs: Vec<_> = archived.collect();
    let active = public_key(&*keys.log, window(keys.log_valid_from(), None));
    let active_url = keys.log_url_of(url).as_str().to_owned();
    tlogs.push(log(active_url, active, log_id.to_vec()));
    TrustedRoot {
        version: TrustedRootVersion::V01,
        tlogs,
        certificate_authorities: vec![authority("", &keys.ca_chain)],
        ctlogs: vec![log(
            url.join("/ct"),
            public_key(&*keys.ct, since),
            keys.ct.public_key().spki_sha256().to_vec(),
        )],
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
        log_urls: vec![Service {
            url: keys.log_url_of(url).as_str().to_owned(),
            major_api_version: 2,
            valid_for: window(keys.log_valid_from(), None),
            operator: url.host().to_owned(),
        }],
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

/// A key that nobody here signs with any more.
fn known_key(key: &waxseal_crypto::PublicKey, valid_for: Option<TimeRange>) -> PublicKey {
    let algorithm = match key.kind() {
        KeyKind::P256 => SignatureAlgorithm::EcdsaP256Sha256,
        KeyKind::P384 => SignatureAlgorithm::EcdsaP384Sha384,
        _ => SignatureAlgorithm::Ed25519,
    };
    let details = KeyDetails::of(key, algorithm);
    PublicKey {
        raw_bytes: key.spki_der().to_vec(),
        key_details: formats::KeyDetails::new(details.map_or("", |details| details.name)),
        valid_for,
    }
}

fn valid_for(keys: &Keys) -> Option<TimeRange> {
    window(keys.valid_from, None)
}

fn window(start: Time, end: Option<Time>) -> Option<TimeRange> {
    let timestamp = |time: Time| Timestamp {
        seconds: time.unix_seconds(),
        nanos: time.subsec_nanos(),
    };
    Some(TimeRange {
        start: Some(timestamp(start)),
        end: end.map(timestamp),
    })
}
