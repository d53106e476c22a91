//! The two enums of `sigstore_common.proto` that name algorithms, as names on the wire.

use std::borrow::Cow;
use std::fmt;

use crate::json::Writer;
use crate::protojson::{EnumValue, FieldError, Message};

/// `PublicKeyDetails` of protobuf-specs 0.5.2: number and name.
const KEY_DETAILS: &[(i32, &str)] = &[
    (0, "PUBLIC_KEY_DETAILS_UNSPECIFIED"),
    (1, "PKCS1_RSA_PKCS1V5"),
    (2, "PKCS1_RSA_PSS"),
    (3, "PKIX_RSA_PKCS1V5"),
    (4, "PKIX_RSA_PSS"),
    (5, "PKIX_ECDSA_P256_SHA_256"),
    (6, "PKIX_ECDSA_P256_HMAC_SHA_256"),
    (7, "PKIX_ED25519"),
    (8, "PKIX_ED25519_PH"),
    (9, "PKIX_RSA_PKCS1V15_2048_SHA256"),
    (10, "PKIX_RSA_PKCS1V15_3072_SHA256"),
    (11, "PKIX_RSA_PKCS1V15_4096_SHA256"),
    (12, "PKIX_ECDSA_P384_SHA_384"),
    (13, "PKIX_ECDSA_P521_SHA_512"),
    (14, "LMS_SHA256"),
    (15, "LMOTS_SHA256"),
    (16, "PKIX_RSA_PSS_2048_SHA256"),
    (17, "PKIX_RSA_PSS_3072_SHA256"),
    (18, "PKIX_RSA_PSS_4096_SHA256"),
    (19, "PKIX_ECDSA_P384_SHA_256"),
    (20, "PKIX_ECDSA_P521_SHA_256"),
    (21, "ML_DSA_65"),
    (22, "ML_DSA_87"),
    (23, "ML_DSA_44"),
];

/// `HashAlgorithm` of protobuf-specs 0.5.2: number and name.
const HASH_ALGORITHMS: &[(i32, &str)] = &[
    (0, "HASH_ALGORITHM_UNSPECIFIED"),
    (1, "SHA2_256"),
    (2, "SHA2_384"),
    (3, "SHA2_512"),
    (4, "SHA3_256"),
    (5, "SHA3_384"),
];

/// The kind of a public key and of its signatures (`PublicKeyDetails`): a name on the wire, such
/// as `PKIX_ECDSA_P256_SHA_256`. Values that are not known are kept, a number as its digits: what
/// to do with such a key is for the verifier to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyDetails(Cow<'static, str>);

/// A hash algorithm (`HashAlgorithm`): a name on the wire, such as `SHA2_256`. Values that are not
/// known are kept, a number as its digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HashAlgorithm(Cow<'static, str>);

impl KeyDetails {
    /// The value of that name, whether it is known or not.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// The value of that number, whether it is known or not.
    pub fn from_number(number: i32) -> Self {
        let row = KEY_DETAILS.iter().find(|(known, _)| *known == number);
        row.map_or_else(
            || Self(Cow::Owned(number.to_string())),
            |(_, name)| Self(Cow::Borrowed(*name)),
        )
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn read(message: Message<'_, '_>, field: &'static str) -> Result<Self, FieldError> {
        read(message, field, KEY_DETAILS).map(Self)
    }

    pub(crate) fn write(&self, writer: &mut Writer, field: &str) {
        write(writer, field, &self.0);
    }
}

impl HashAlgorithm {
    /// SHA-256.
    pub const SHA2_256: Self = Self(Cow::Borrowed("SHA2_256"));
    /// SHA-384.
    pub const SHA2_384: Self = Self(Cow::Borrowed("SHA2_384"));
    /// SHA-512.
    pub const SHA2_512: Self = Self(Cow::Borrowed("SHA2_512"));
    /// No value was given.
    pub const UNSPECIFIED: Self = Self(Cow::Borrowed("HASH_ALGORITHM_UNSPECIFIED"));

    /// The value of that name, whether it is known or not.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the name that log entries of API version 0.0.1 use: `sha256`.
    pub(crate) fn from_lower_case(name: &str) -> Self {
        match name {
            "sha256" => Self::SHA2_256,
            "sha384" => Self::SHA2_384,
            "sha512" => Self::SHA2_512,
            other => Self(Cow::Owned(other.to_owned())),
        }
    }

    /// Its name where log entries of API version 0.0.1 and timestamp requests need one.
    pub(crate) fn lower_case(&self) -> &str {
        match &*self.0 {
            "SHA2_256" => "sha256",
            "SHA2_384" => "sha384",
            "SHA2_512" => "sha512",
            other => other,
        }
    }

    pub(crate) fn read(message: Message<'_, '_>, field: &'static str) -> Result<Self, FieldError> {
        read(message, field, HASH_ALGORITHMS).map(Self)
    }

    pub(crate) fn write(&self, writer: &mut Writer, field: &str) {
        write(writer, field, &self.0);
    }
}

impl fmt::Display for KeyDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn read(
    message: Message<'_, '_>,
    field: &'static str,
    table: &'static [(i32, &'static str)],
) -> Result<Cow<'static, str>, FieldError> {
    let row = |wanted: i32| table.iter().find(|(number, _)| *number == wanted);
    let name = match message.enumeration(field)? {
        None => row(0).map_or(Cow::Borrowed(""), |(_, name)| Cow::Borrowed(*name)),
        Some(EnumValue::Number(number)) => row(number).map_or_else(
            || Cow::Owned(number.to_string()),
            |(_, name)| Cow::Borrowed(*name),
        ),
        // A name of digits would come back as a number when it is written and read again.
        Some(EnumValue::Name(written)) if !is_identifier(written) => {
            return Err(FieldError::EnumValue {
                field,
                value: written.chars().take(64).collect(),
            });
        }
        Some(EnumValue::Name(written)) => {
            table.iter().find(|(_, name)| *name == written).map_or_else(
                || Cow::Owned(written.to_owned()),
                |(_, name)| Cow::Borrowed(*name),
            )
        }
    };
    Ok(name)
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A number that has no name is written as the number that it was.
fn write(writer: &mut Writer, field: &str, name: &str) {
    match name.parse::<i32>() {
        Ok(number) if number.to_string() == name => writer.number(field, number),
        _ => writer.text(field, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, object, parse};

    fn check(json: &str, key_details: &str, hash_algorithm: &str) {
        let text = format!("{{\"f\":{json}}}");
        let limits = Limits {
            bytes: 100,
            values: 9,
        };
        let value = parse(text.as_bytes(), limits).unwrap();
        let message = Message::of(&value, "test").unwrap();
        let key = KeyDetails::read(message, "f").unwrap();
        let hash = HashAlgorithm::read(message, "f").unwrap();
        assert_eq!((key.as_str(), hash.as_str()), (key_details, hash_algorithm));
        let written = object(|o| key.write(o, "f"));
        let again = parse(written.as_bytes(), limits).unwrap();
        assert_eq!(
            KeyDetails::read(Message::of(&again, "test").unwrap(), "f"),
            Ok(key)
        );
    }

    #[test]
    fn numbers_become_names() {
        assert_eq!(
            KeyDetails::from_number(5).as_str(),
            "PKIX_ECDSA_P256_SHA_256"
        );
        assert_eq!(KeyDetails::from_number(99).as_str(), "99");
        check("5", "PKIX_ECDSA_P256_SHA_256", "SHA3_384");
        check("23", "ML_DSA_44", "23");
        check("21", "ML_DSA_65", "21");
        check("22.0", "ML_DSA_87", "22");
        check("1", "PKCS1_RSA_PKCS1V5", "SHA2_256");
        check("2", "PKCS1_RSA_PSS", "SHA2_384");
        check("3", "PKIX_RSA_PKCS1V5", "SHA2_512");
        check(
            "null",
            "PUBLIC_KEY_DETAILS_UNSPECIFIED",
            "HASH_ALGORITHM_UNSPECIFIED",
        );
        check("-7", "-7", "-7");
        check("\"FALCON\"", "FALCON", "FALCON");
    }

    #[test]
    fn enum_value() {
        for name in ["", "7", "-7", "a b", "é"] {
            let text = format!("{{\"f\":\"{name}\"}}");
            let value = parse(
                text.as_bytes(),
                Limits {
                    bytes: 100,
                    values: 9,
                },
            )
            .unwrap();
            assert_eq!(
                KeyDetails::read(Message::of(&value, "test").unwrap(), "f"),
                Err(FieldError::EnumValue {
                    field: "f",
                    value: name.to_owned()
                })
            );
        }
    }

    #[test]
    fn numbers_are_distinct_and_in_order() {
        for table in [KEY_DETAILS, HASH_ALGORITHMS] {
            assert!(
                table
                    .iter()
                    .enumerate()
                    .all(|(at, row)| i32::try_from(at) == Ok(row.0))
            );
        }
    }
}
