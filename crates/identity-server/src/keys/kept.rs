//! The ring as it is kept: one secret document, in JSON of our own.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use waxseal_crypto::{PrivateKey, Time};
use waxseal_identity::{JwkError, JwkSet};
use zeroize::Zeroizing;

use super::{RetiredKey, TokenAlgorithm};

/// The form of the document that this version writes.
const VERSION: u32 = 1;

/// A private key in a ring.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptKey {
    /// The key.
    pub private: PrivateKey,
    /// What it signs with.
    pub algorithm: TokenAlgorithm,
    /// Since when it signs, or is announced.
    pub since: Time,
}

/// The signing key, the next one, and what is left of those before.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptRing {
    /// Signs.
    pub current: KeptKey,
    /// Is announced, and signs after it.
    pub next: KeptKey,
    /// Sign no more; their private halves are gone.
    pub retired: Vec<RetiredKey>,
}

/// What is kept is not a ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeptRingError {
    /// Not the document that [`KeptRing::encode`] writes.
    #[error("the kept keys are damaged: restore them from a backup, or remove them for new ones")]
    Malformed,
    /// A newer version has written it.
    #[error("the kept keys are of form {found}, and this version knows {VERSION}")]
    UnknownVersion {
        /// The form.
        found: u32,
    },
    /// A retired key is no key.
    #[error("a retired key is damaged")]
    Retired(#[source] JwkError),
}

impl KeptKey {
    /// A key that signs, or is announced, since then.
    pub const fn new(private: PrivateKey, algorithm: TokenAlgorithm, since: Time) -> Self {
        Self {
            private,
            algorithm,
            since,
        }
    }
}

impl KeptRing {
    /// A ring that has retired nothing yet.
    pub const fn new(current: KeptKey, next: KeptKey) -> Self {
        Self {
            current,
            next,
            retired: Vec::new(),
        }
    }

    /// The document: whoever reads it signs tokens.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (current, next) = (self.current.private.to_pem(), self.next.private.to_pem());
        let key = |kept: &KeptKey, pem| Key {
            algorithm: kept.algorithm,
            since: kept.since.unix_seconds(),
            pkcs8: pem,
        };
        let retired = self.retired.iter().map(|retired| Retired {
            jwk: retired.jwk.to_json(),
            until: retired.until.unix_seconds(),
        });
        let document = Document {
            version: VERSION,
            current: key(&self.current, current.as_str()),
            next: key(&self.next, next.as_str()),
            retired: retired.collect(),
        };
        Zeroizing::new(serde_json::to_vec_pretty(&document).unwrap_or_default())
    }

    /// Reads the document.
    ///
    /// # Errors
    /// [`KeptRingError`].
    pub fn decode(document: &[u8]) -> Result<Self, KeptRingError> {
        let malformed = |_| KeptRingError::Malformed;
        // The form first: a newer one may have fields that we do not know.
        let form: Form = serde_json::from_slice(document).map_err(malformed)?;
        if form.version != VERSION {
            let found = form.version;
            return Err(KeptRingError::UnknownVersion { found });
        }
        let document: Document<String> = serde_json::from_slice(document).map_err(malformed)?;
        let mut retired = Vec::new();
        for Retired { jwk, until } in document.retired {
            let set = serde_json::json!({ "keys": [jwk] }).to_string();
            let set = JwkSet::parse(set.as_bytes()).map_err(KeptRingError::Retired)?;
            let until = Time::from_unix(until).map_err(|_| KeptRingError::Malformed)?;
            let keys = set.keys().iter().cloned();
            retired.extend(keys.map(|jwk| RetiredKey { jwk, until }));
        }
        Ok(Self {
            current: document.current.decode()?,
            next: document.next.decode()?,
            retired,
        })
    }
}

#[derive(Deserialize)]
struct Form {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    version: u32,
    current: Key<T>,
    next: Key<T>,
    retired: Vec<Retired>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key<T> {
    algorithm: TokenAlgorithm,
    since: i64,
    pkcs8: T,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retired {
    jwk: Value,
    until: i64,
}

impl Key<String> {
    fn decode(self) -> Result<KeptKey, KeptRingError> {
        let pem = Zeroizing::new(self.pkcs8);
        Ok(KeptKey {
            private: PrivateKey::from_pem(&pem).map_err(|_| KeptRingError::Malformed)?,
            algorithm: self.algorithm,
            since: Time::from_unix(self.since).map_err(|_| KeptRingError::Malformed)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use waxseal_identity::Jwk;

    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_unix(seconds).unwrap()
    }

    fn ring() -> KeptRing {
        let provider = waxseal_crypto_aws_lc::provider();
        let algorithm = TokenAlgorithm::Es256;
        let key = |since| {
            let private = provider.generate(algorithm.signature()).unwrap();
            KeptKey::new(private, algorithm, at(since))
        };
        let mut ring = KeptRing::new(key(1), key(2));
        let signer = provider
            .signer(&key(0).private, algorithm.signature())
            .unwrap();
        let jwk = Jwk::new(signer.public_key().clone(), algorithm.jws()).unwrap();
        ring.retired.push(RetiredKey { jwk, until: at(9) });
        ring
    }

    #[test]
    fn a_ring_comes_back_as_it_was_kept() {
        let ring = ring();
        let document = ring.encode();
        let back = KeptRing::decode(&document).unwrap();
        assert_eq!(back.encode(), document);
        assert_eq!((back.current.since, back.next.since), (at(1), at(2)));
        assert_eq!(back.retired[0].jwk, ring.retired[0].jwk);
        assert_eq!(back.retired[0].until, at(9));
    }

    fn check(change: impl Fn(&mut Value), expected: &KeptRingError) {
        let mut document: Value = serde_json::from_slice(&ring().encode()).unwrap();
        change(&mut document);
        let error = KeptRing::decode(document.to_string().as_bytes()).unwrap_err();
        assert_eq!(&error, expected);
    }

    #[test]
    fn malformed() {
        let malformed = KeptRingError::Malformed;
        check(|d| *d = Value::Null, &malformed);
        check(|d| d["more"] = Value::Null, &malformed);
        check(|d| d["next"]["algorithm"] = "none".into(), &malformed);
        check(|d| d["current"]["pkcs8"] = "x".into(), &malformed);
        check(|d| d["retired"][0]["until"] = i64::MAX.into(), &malformed);
        assert_eq!(KeptRing::decode(b"").unwrap_err(), malformed);
    }

    #[test]
    fn unknown_version() {
        let expected = KeptRingError::UnknownVersion { found: 2 };
        check(
            |d| {
                d["version"] = 2.into();
                d["more"] = 1.into();
            },
            &expected,
        );
    }

    #[test]
    fn retired() {
        let mut document: Value = serde_json::from_slice(&ring().encode()).unwrap();
        document["retired"][0]["jwk"] = "x".into();
        let error = KeptRing::decode(document.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, KeptRingError::Retired(_)), "{error:?}");
    }

    #[test]
    fn s_56_debug_is_redacted() {
        let ring = ring();
        let pem = ring.current.private.to_pem();
        let line = pem.lines().nth(1).unwrap();
        assert!(!format!("{ring:?}").contains(line));
    }
}
