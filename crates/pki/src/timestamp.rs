//! Timestamps (RFC 3161, with RFC 5816) on CMS (RFC 5652): requests, responses, tokens, and the
//! authorities that are trusted to make them.

mod authority;
mod builder;
mod request;
mod response;
mod token;
mod tst_info;

pub use authority::{AuthorityError, TimestampAuthority, TimestampError, VerifiedTimestamp};
pub use builder::{BuildError, Grant, TokenBuilder, UnsignedToken};
pub use request::{MAX_NONCE, MAX_REQUEST, MessageImprint, RequestError, TimestampRequest};
pub use response::{MAX_RESPONSE, PkiFailure, ResponseError, TimestampResponse};
pub use token::{MAX_TOKEN_CERTIFICATES, TimestampToken, TokenError};
pub use tst_info::{Accuracy, TstInfo};

use der::asn1::ObjectIdentifier;

/// `id-signedData`, 1.2.840.113549.1.7.2.
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// `id-ct-TSTInfo`, 1.2.840.113549.1.9.16.1.4.
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// `id-contentType`, 1.2.840.113549.1.9.3.
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
/// `id-messageDigest`, 1.2.840.113549.1.9.4.
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// `id-signingTime`, 1.2.840.113549.1.9.5.
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
/// `id-aa-signingCertificate`, 1.2.840.113549.1.9.16.2.12 (RFC 2634 §5.4).
const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
/// `id-aa-signingCertificateV2`, 1.2.840.113549.1.9.16.2.47 (RFC 5035 §3).
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
