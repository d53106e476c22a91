//! A trusted root and a signing config in one file
//! (`dev.sigstore.trustroot.v1.ClientTrustConfig`, version 0.1).

use crate::json::{Limits, object, parse};
use crate::protojson::{FieldError, Message};
use crate::signing_config::MAX_SIGNING_CONFIG_BYTES;
use crate::trusted_root::{MAX_TRUSTED_ROOT_BYTES, MAX_TRUSTED_ROOT_VALUES};
use crate::{SigningConfig, SigningConfigError, TrustedRoot, TrustedRootParseError};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";

/// Why a text is not a client trust config that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientTrustConfigError {
    /// The text is not JSON, or one of the two parts is missing.
    #[error("the client trust config is malformed: {0}")]
    Field(#[from] FieldError),
    /// The media type names no version that is known (`sigstore_trustroot.proto`).
    #[error("unsupported client trust config media type `{media_type}`: version 0.1 is read")]
    MediaType {
        /// What was found, cut to 128 characters.
        media_type: String,
    },
    /// The trusted root in it is not one that is read here.
    #[error(transparent)]
    TrustedRoot(#[from] TrustedRootParseError),
    /// The signing config in it is not one that is read here.
    #[error(transparent)]
    SigningConfig(#[from] SigningConfigError),
}

/// All that a client needs to know of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientTrustConfig {
    /// Whom to trust.
    pub trusted_root: TrustedRoot,
    /// Where to go.
    pub signing_config: SigningConfig,
}

impl ClientTrustConfig {
    /// Reads a client trust config. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`ClientTrustConfigError`]: the first rule that the text breaks.
    pub fn from_json(text: &[u8]) -> Result<Self, ClientTrustConfigError> {
        let limits = Limits {
            bytes: MAX_TRUSTED_ROOT_BYTES + MAX_SIGNING_CONFIG_BYTES,
            values: MAX_TRUSTED_ROOT_VALUES,
        };
        let value = parse(text, limits).map_err(FieldError::from)?;
        let message = Message::of(&value, "client trust config")?;
        match message.str("mediaType")? {
            MEDIA_TYPE | "application/vnd.dev.sigstore.clienttrustconfig+json;version=0.1" => {}
            other => {
                return Err(ClientTrustConfigError::MediaType {
                    media_type: other.chars().take(128).collect(),
                });
            }
        }
        Ok(Self {
            trusted_root: TrustedRoot::read(message.required("trustedRoot")?)?,
            signing_config: SigningConfig::read(message.required("signingConfig")?)?,
        })
    }

    /// The client trust config as JSON.
    pub fn to_json(&self) -> String {
        object(|o| {
            o.text("mediaType", MEDIA_TYPE);
            o.object("trustedRoot", |o| self.trusted_root.write(o));
            o.object("signingConfig", |o| self.signing_config.write(o));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: ClientTrustConfigError) {
        assert_eq!(
            ClientTrustConfig::from_json(text.as_bytes()),
            Err(expected),
            "{text}"
        );
    }

    fn public() -> ClientTrustConfig {
        ClientTrustConfig {
            trusted_root: TrustedRoot::public_good(),
            signing_config: SigningConfig::public_good(),
        }
    }

    #[test]
    fn round_trip() {
        assert_eq!(
            ClientTrustConfig::from_json(public().to_json().as_bytes()),
            Ok(public())
        );
    }

    #[test]
    fn field() {
        check(
            &format!(r#"{{"mediaType":"{MEDIA_TYPE}"}}"#),
            FieldError::Missing {
                field: "trustedRoot",
            }
            .into(),
        );
    }

    #[test]
    fn media_type() {
        check(
            "{}",
            ClientTrustConfigError::MediaType {
                media_type: String::new(),
            },
        );
    }

    #[test]
    fn trusted_root() {
        check(
            &public()
                .to_json()
                .replace("trustedroot+json;version=0.1", "trustedroot"),
            ClientTrustConfigError::TrustedRoot(TrustedRootParseError::MediaType {
                media_type: "application/vnd.dev.sigstore.trustedroot".into(),
            }),
        );
    }

    #[test]
    fn signing_config() {
        check(
            &public()
                .to_json()
                .replace("signingconfig.v0.2", "signingconfig.v0.1"),
            ClientTrustConfigError::SigningConfig(SigningConfigError::Version01),
        );
    }
}
