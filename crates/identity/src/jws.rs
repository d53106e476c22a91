//! Compact JWS (RFC 7515 §7.1): parsed under limits, verified with a key from a set and one list
//! of algorithms. Nothing in the token chooses a key's place or how it is used.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waxseal_crypto::{
    CryptoProvider, Input, SignError, SignatureError, Signer, ecdsa_der_from_fixed,
    ecdsa_fixed_from_der,
};

use crate::json::{JsonError, parse_object};
use crate::{Jwk, JwkSet, JwsAlgorithm};

/// Longest token in bytes (authority.md §1.9); CI tokens have two to four kilobytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// Longest decoded header in bytes (authority.md §1.9).
pub const MAX_HEADER: usize = 2 * 1024;

/// Header members that change how a token is read or where its key comes from. A verifier that
/// honours them lets the token pick its own key (`jku`, `jwk`, `x5u`, `x5c`) or hides the payload
/// (`zip`, `b64`); `crit` announces what we do not know (RFC 7515 §4.1, S-33).
const FORBIDDEN: [&str; 7] = ["crit", "jku", "jwk", "x5u", "x5c", "zip", "b64"];

/// A token that is split and decoded, and not yet verified.
#[derive(Debug)]
pub struct CompactJws<'a> {
    algorithm: JwsAlgorithm,
    key_id: Option<String>,
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Why a token is not accepted as a JWS. The order of the variants is the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Longer than [`MAX_TOKEN`].
    #[error("the token has {length} bytes, at most {MAX_TOKEN} are read")]
    TokenTooLong {
        /// Length in bytes.
        length: usize,
    },
    /// Not exactly two dots (RFC 7515 §7.1); the scan stops at the third (CVE-2025-66506).
    #[error("the token is not three parts with dots between them")]
    NotThreeParts,
    /// The header is longer than [`MAX_HEADER`].
    #[error("the token's header is longer than {MAX_HEADER} bytes")]
    HeaderTooLong,
    /// A part is not base64url without padding (RFC 7515 §2), in its only spelling.
    #[error("a part of the token is not base64url without padding")]
    NotBase64Url,
    /// The header is not a strict JSON object.
    #[error("the token's header is {0}")]
    HeaderNotJson(JsonError),
    /// The header has a member that a verifier must not honour (RFC 8725 §3.10).
    #[error("the token's header has {name:?}, which is not allowed")]
    ForbiddenHeader {
        /// The member.
        name: &'static str,
    },
    /// `alg` or `kid` is not a string, or `alg` is absent (RFC 7515 §4.1.1, §4.1.4).
    #[error("the token's header has no \"alg\", or \"alg\" or \"kid\" is not a string")]
    MalformedHeader,
    /// `alg` is `none`, an HMAC, or unknown (RFC 8725 §3.1).
    #[error("the token's algorithm is none, symmetric, or unknown")]
    UnknownAlgorithm,
    /// `alg` is not among the issuer's algorithms (RFC 8725 §3.1).
    #[error("the token is signed with {algorithm}, which this issuer does not use")]
    AlgorithmNotAllowed {
        /// The algorithm.
        algorithm: JwsAlgorithm,
    },
    /// No key of the issuer has the token's `kid`.
    #[error("the issuer has no key with the token's key id")]
    UnknownKey,
    /// The token has no `kid` and not exactly one key suits its algorithm.
    #[error("the token names no key, and not exactly one of the issuer's keys suits")]
    AmbiguousKey,
    /// `alg` does not suit the key's type or the `alg` of the JWK (RFC 8725 §3.1).
    #[error("the token's algorithm does not suit its key")]
    AlgorithmMismatch,
    /// The signature does not verify.
    #[error("the token's signature: {0}")]
    Signature(SignatureError),
}

impl<'a> CompactJws<'a> {
    /// Splits and decodes a token.
    ///
    /// # Errors
    /// [`JwsError`], the variants up to `UnknownAlgorithm`.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        let length = token.len();
        if length > MAX_TOKEN {
            return Err(JwsError::TokenTooLong { length });
        }
        let (header, rest) = token.split_once('.').ok_or(JwsError::NotThreeParts)?;
        let (payload, signature) = rest.split_once('.').ok_or(JwsError::NotThreeParts)?;
        if signature.contains('.') {
            return Err(JwsError::NotThreeParts);
        }
        if header.len() > MAX_HEADER.div_ceil(3) * 4 {
            return Err(JwsError::HeaderTooLong);
        }
        let decode = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| JwsError::NotBase64Url)
        };
        let (algorithm, key_id) = read_header(&decode(header)?)?;
        Ok(Self {
            algorithm,
            key_id,
            signing_input: token
                .get(..header.len() + 1 + payload.len())
                .unwrap_or_default(),
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// The payload, unverified.
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The key id that the token names, unverified.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The algorithm that the token names, unverified.
    pub fn algorithm(&self) -> JwsAlgorithm {
        self.algorithm
    }

    /// Verifies the signature, and gives the payload.
    ///
    /// # Errors
    /// [`JwsError`], the variants from `AlgorithmNotAllowed`.
    pub fn verify(
        &self,
        provider: CryptoProvider,
        keys: &JwkSet,
        allowed: &[JwsAlgorithm],
    ) -> Result<&[u8], JwsError> {
        let algorithm = self.algorithm;
        if !allowed.contains(&algorithm) {
            return Err(JwsError::AlgorithmNotAllowed { algorithm });
        }
        let jwk = self.choose(keys)?;
        let kind = jwk.key().kind();
        let signature_algorithm = algorithm
            .signature_algorithm(kind)
            .filter(|_| jwk.algorithm().is_none_or(|named| named == algorithm))
            .ok_or(JwsError::AlgorithmMismatch)?;
        let der;
        let signature = if algorithm.is_ecdsa() {
            der = ecdsa_der_from_fixed(kind, &self.signature)
                .map_err(|_| JwsError::Signature(SignatureError::Invalid))?;
            &der
        } else {
            &self.signature
        };
        let input = Input::Message(self.signing_input.as_bytes());
        provider
            .verify(jwk.key(), signature_algorithm, input, signature)
            .map_err(JwsError::Signature)?;
        Ok(&self.payload)
    }

    fn choose<'k>(&self, keys: &'k JwkSet) -> Result<&'k Jwk, JwsError> {
        if let Some(id) = &self.key_id {
            return keys.by_id(id).ok_or(JwsError::UnknownKey);
        }
        let suits = |jwk: &&Jwk| {
            let kind = jwk.key().kind();
            self.algorithm.signature_algorithm(kind).is_some()
                && jwk.algorithm().is_none_or(|named| named == self.algorithm)
        };
        let mut suiting = keys.keys().iter().filter(suits);
        match (suiting.next(), suiting.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(JwsError::AmbiguousKey),
        }
    }
}

fn read_header(header: &[u8]) -> Result<(JwsAlgorithm, Option<String>), JwsError> {
    if header.len() > MAX_HEADER {
        return Err(JwsError::HeaderTooLong);
    }
    let header = parse_object(header, MAX_HEADER).map_err(JwsError::HeaderNotJson)?;
    if let Some(name) = FORBIDDEN
        .into_iter()
        .find(|name| header.contains_key(*name))
    {
        return Err(JwsError::ForbiddenHeader { name });
    }
    let algorithm = header
        .get("alg")
        .and_then(serde_json::Value::as_str)
        .ok_or(JwsError::MalformedHeader)?;
    let algorithm = JwsAlgorithm::by_name(algorithm).ok_or(JwsError::UnknownAlgorithm)?;
    let key_id = match header.get("kid") {
        None => None,
        Some(id) => Some(id.as_str().ok_or(JwsError::MalformedHeader)?.to_owned()),
    };
    Ok((algorithm, key_id))
}

/// Why a token was not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwsSignError {
    /// The signer's algorithm has no name in JOSE (RFC 7518 §3.1, RFC 8037).
    #[error("the key's algorithm cannot sign a JWS")]
    NoJwsAlgorithm,
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The signer gave something that is not a signature of its own algorithm.
    #[error("the signer gave a malformed signature")]
    MalformedSignature,
}

/// Signs a payload as a compact JWS with the header `alg`, `kid` and `typ: JWT`.
///
/// # Errors
/// [`JwsSignError`].
pub async fn sign_jws(
    signer: &dyn Signer,
    key_id: &str,
    payload: &[u8],
) -> Result<String, JwsSignError> {
    let algorithm = JwsAlgorithm::of(signer.algorithm()).ok_or(JwsSignError::NoJwsAlgorithm)?;
    let header = serde_json::json!({"alg": algorithm.name(), "kid": key_id, "typ": "JWT"});
    let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let mut signature = signer.sign(Input::Message(token.as_bytes())).await?;
    if algorithm.is_ecdsa() {
        signature = ecdsa_fixed_from_der(signer.algorithm().key_kind(), &signature)
            .map_err(|_| JwsSignError::MalformedSignature)?;
    }
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

#[cfg(test)]
mod tests;
