//! DER for those who write certificates: tags and the shortest encodings (X.690 §10, §11).

use der::asn1::ObjectIdentifier;
use waxseal_crypto::{SignatureAlgorithm, Time};

use crate::{algorithm, element};

/// `BOOLEAN`.
pub const BOOLEAN: u8 = element::BOOLEAN;
/// `INTEGER`.
pub const INTEGER: u8 = element::INTEGER;
/// `BIT STRING`.
pub const BIT_STRING: u8 = element::BIT_STRING;
/// `OCTET STRING`.
pub const OCTET_STRING: u8 = element::OCTET_STRING;
/// `UTF8String`.
pub const UTF8_STRING: u8 = element::UTF8_STRING;
/// `SEQUENCE`.
pub const SEQUENCE: u8 = element::SEQUENCE;
/// `SET`.
pub const SET: u8 = element::SET;

/// The context-specific constructed tag `[number]`, as of EXPLICIT; numbers below 31.
pub const fn context(number: u8) -> u8 {
    element::context(number)
}

/// The context-specific primitive tag `[number]`, as of IMPLICIT on a string; numbers below 31.
pub const fn context_primitive(number: u8) -> u8 {
    element::context_primitive(number)
}

/// An element whose contents are these parts, one after the other.
pub fn element<P: AsRef<[u8]>>(tag: u8, parts: &[P]) -> Vec<u8> {
    element::encode(tag, parts)
}

/// An object identifier.
pub fn object_identifier(oid: ObjectIdentifier) -> Vec<u8> {
    element::encode_oid(oid)
}

/// A non-negative INTEGER from its big-endian magnitude.
pub fn unsigned(magnitude: &[u8]) -> Vec<u8> {
    element::encode_unsigned(magnitude)
}

/// A `Time` of RFC 5280 §4.1.2.5: UTCTime from 1950 to 2049, else GeneralizedTime; the fraction of
/// a second is dropped.
pub fn time(time: Time) -> Vec<u8> {
    element::encode_time(time)
}

/// The AlgorithmIdentifier of a signature; `None` for Ed25519ph, which signs no certificates.
pub fn signature_algorithm(algorithm: SignatureAlgorithm) -> Option<Vec<u8>> {
    algorithm::signature_identifier(algorithm)
}
