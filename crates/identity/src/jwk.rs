//! Public keys as JSON: JWK and JWK set (RFC 7517, RFC 8037), and the thumbprint (RFC 7638).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use waxseal_crypto::{KeyKind, PublicKey, sha256};

use crate::JwsAlgorithm;
use crate::json::{JsonError, parse_object};

/// Longest JWK set in bytes (authority.md §1.9).
pub const MAX_JWKS: usize = 256 * 1024;

/// Most keys in a set (security.md §3.2).
pub const MAX_KEYS: usize = 100;

/// A public key for verifying signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    key: PublicKey,
    key_id: Option<String>,
    algorithm: Option<JwsAlgorithm>,
}

impl Jwk {
    /// A key under its own thumbprint, for one algorithm.
    ///
    /// # Errors
    /// [`JwkError::UnsupportedKey`] if no such JWK exists, or the algorithm does not suit the key.
    pub fn new(key: PublicKey, algorithm: JwsAlgorithm) -> Result<Self, JwkError> {
        let key_id = thumbprint(&key).ok_or(JwkError::UnsupportedKey)?;
        if algorithm.signature_algorithm(key.kind()).is_none() {
            return Err(JwkError::UnsupportedKey);
        }
        Ok(Self {
            key,
            key_id: Some(key_id),
            algorithm: Some(algorithm),
        })
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Its id in the set.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The one algorithm that the set reserves it for.
    pub const fn algorithm(&self) -> Option<JwsAlgorithm> {
        self.algorithm
    }

    /// SHA-256 thumbprint in base64url (RFC 7638 §3).
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.key).unwrap_or_default()
    }

    /// The JSON form, with `use: sig`.
    pub fn to_json(&self) -> Value {
        let mut object: Map<String, Value> = required_members(&self.key)
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        object.insert("use".to_owned(), json!("sig"));
        if let Some(id) = &self.key_id {
            object.insert("kid".to_owned(), json!(id));
        }
        if let Some(algorithm) = self.algorithm {
            object.insert("alg".to_owned(), json!(algorithm.name()));
        }
        Value::Object(object)
    }
}

/// An issuer's keys: those of the set that can verify a signature of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    skipped: usize,
}

/// Why a JWK set is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwkError {
    /// Longer than [`MAX_JWKS`].
    #[error("the key set is longer than {MAX_JWKS} bytes")]
    TooLong,
    /// Not strict JSON.
    #[error("the key set is {0}")]
    NotJson(#[from] JsonError),
    /// No array `keys` of objects (RFC 7517 §5).
    #[error("the key set has no array \"keys\" of objects")]
    Malformed,
    /// More than [`MAX_KEYS`].
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooManyKeys,
    /// A symmetric key in a public document: its owner has lost it, and an HMAC could be made
    /// with it (RFC 8725 §3.1).
    #[error("the key set publishes a symmetric key")]
    SymmetricKey,
    /// Two verification keys with the same `kid`: which one is meant would be the attacker's
    /// choice (RFC 7517 §4.5).
    #[error("two keys of the set have the same \"kid\"")]
    DuplicateKeyId,
    /// A key that has no JWK form here, or not for this algorithm.
    #[error("the key has no JWK form for this algorithm")]
    UnsupportedKey,
}

impl JwkSet {
    /// A set of these keys.
    ///
    /// # Errors
    /// [`JwkError::TooManyKeys`] or [`JwkError::DuplicateKeyId`].
    pub fn new(keys: Vec<Jwk>) -> Result<Self, JwkError> {
        Self { keys, skipped: 0 }.checked()
    }

    /// Parses a set. Keys for encryption, of unknown types, or malformed ones are skipped
    /// (RFC 7517 §5), so that a new kind of key does not lock everybody out.
    ///
    /// # Errors
    /// [`JwkError`].
    pub fn parse(text: &[u8]) -> Result<Self, JwkError> {
        if text.len() > MAX_JWKS {
            return Err(JwkError::TooLong);
        }
        let object = parse_object(text, MAX_JWKS)?;
        let Some(Value::Array(items)) = object.get("keys") else {
            return Err(JwkError::Malformed);
        };
        if items.len() > MAX_KEYS {
            return Err(JwkError::TooManyKeys);
        }
        let mut set = Self::default();
        for item in items {
            let item = item.as_object().ok_or(JwkError::Malformed)?;
            if item.get("kty").and_then(Value::as_str) == Some("oct") {
                return Err(JwkError::SymmetricKey);
            }
            match read_key(item) {
                Some(key) => set.keys.push(key),
                None => set.skipped += 1,
            }
        }
        set.checked()
    }

    fn checked(self) -> Result<Self, JwkError> {
        if self.keys.len() > MAX_KEYS {
            return Err(JwkError::TooManyKeys);
        }
        let mut ids: Vec<_> = self.keys.iter().filter_map(Jwk::key_id).collect();
        ids.sort_unstable();
        let total = ids.len();
        ids.dedup();
        if ids.len() == total {
            Ok(self)
        } else {
            Err(JwkError::DuplicateKeyId)
        }
    }

    /// The keys that can verify.
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// How many keys of the document were skipped.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// The key of that id.
    pub fn by_id(&self, id: &str) -> Option<&Jwk> {
        self.keys.iter().find(|key| key.key_id() == Some(id))
    }

    /// The JSON form.
    pub fn to_json(&self) -> Value {
        let keys: Vec<_> = self.keys.iter().map(Jwk::to_json).collect();
        json!({ "keys": keys })
    }
}

fn read_key(item: &Map<String, Value>) -> Option<Jwk> {
    // A member of another type than the RFC's makes the key malformed, not the member absent.
    let text = |name: &str| match item.get(name) {
        None => Some(None),
        Some(value) => value.as_str().map(Some),
    };
    if text("use")?.is_some_and(|use_| use_ != "sig") {
        return None;
    }
    if let Some(operations) = item.get("key_ops")
        && !operations.as_array()?.iter().any(|op| op == "verify")
    {
        return None;
    }
    let key = read_public_key(text("kty")??, &text)?;
    let algorithm = match text("alg")? {
        None => None,
        Some(name) => {
            let algorithm = JwsAlgorithm::by_name(name)?;
            algorithm.signature_algorithm(key.kind())?;
            Some(algorithm)
        }
    };
    let key_id = text("kid")?.map(str::to_owned);
    Some(Jwk {
        key,
        key_id,
        algorithm,
    })
}

fn read_public_key<'a>(
    kty: &str,
    text: &impl Fn(&str) -> Option<Option<&'a str>>,
) -> Option<PublicKey> {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)??).ok();
    let key = match kty {
        "RSA" => PublicKey::from_rsa_components(&bytes("n")?, &bytes("e")?),
        "EC" => {
            let (kind, length) = match text("crv")?? {
                "P-256" => (KeyKind::P256, 32),
                "P-384" => (KeyKind::P384, 48),
                "P-521" => (KeyKind::P521, 66),
                _ => return None,
            };
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != length || y.len() != length {
                return None;
            }
            PublicKey::from_key_bytes(kind, &[&[4], x.as_slice(), y.as_slice()].concat())
        }
        "OKP" if text("crv")?? == "Ed25519" => {
            PublicKey::from_key_bytes(KeyKind::Ed25519, &bytes("x")?)
        }
        _ => return None,
    };
    key.ok()
}

/// The members that make the thumbprint, in the order of RFC 7638 §3.2.
fn required_members(key: &PublicKey) -> Option<Vec<(&'static str, String)>> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let curve = match key.kind() {
        KeyKind::Rsa => {
            let (modulus, exponent) = key.rsa_components()?;
            return Some(vec![
                ("e", encode(exponent)),
                ("kty", "RSA".to_owned()),
                ("n", encode(modulus)),
            ]);
        }
        KeyKind::Ed25519 => {
            return Some(vec![
                ("crv", "Ed25519".to_owned()),
                ("kty", "OKP".to_owned()),
                ("x", encode(key.key_bytes())),
            ]);
        }
        KeyKind::P256 => "P-256",
        KeyKind::P384 => "P-384",
        KeyKind::P521 => "P-521",
        _ => return None,
    };
    let (_, point) = key.key_bytes().split_first()?;
    let (x, y) = point.split_at_checked(point.len() / 2)?;
    Some(vec![
        ("crv", curve.to_owned()),
        ("kty", "EC".to_owned()),
        ("x", encode(x)),
        ("y", encode(y)),
    ])
}

fn thumbprint(key: &PublicKey) -> Option<String> {
    let members: Vec<_> = required_members(key)?
        .into_iter()
        .map(|(name, value)| format!("\"{name}\":\"{value}\""))
        .collect();
    let canonical = format!("{{{}}}", members.join(","));
    Some(URL_SAFE_NO_PAD.encode(sha256(canonical.as_bytes())))
}

#[cfg(test)]
mod tests;
