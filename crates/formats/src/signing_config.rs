//! The signing config (`dev.sigstore.trustroot.v1.SigningConfig`), version 0.2: where to go to
//! sign. `waxseal-trust` selects the services.

use crate::TimeRange;
use crate::json::{Limits, Writer, object, parse};
use crate::protojson::{EnumValue, FieldError, Message};
use crate::trusted_root::write_range;

/// The longest signing config that is read: the public one has 1 KB.
pub const MAX_SIGNING_CONFIG_BYTES: usize = 1 << 20;
/// The most services of one kind in a signing config.
pub const MAX_SERVICES: usize = 1024;

const VALUES: usize = 1 << 15;
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

/// Why a text is not a signing config that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningConfigError {
    /// The text is not JSON, or a field breaks the protojson mapping.
    #[error("the signing config is malformed: {0}")]
    Field(#[from] FieldError),
    /// Version 0.1 names no API versions and no operators; upstream has withdrawn it.
    #[error("signing config version 0.1 is withdrawn: ask the instance for version 0.2")]
    Version01,
    /// The media type names no version that is known (`sigstore_trustroot.proto`).
    #[error("unsupported signing config media type `{media_type}`: version 0.2 is read")]
    MediaType {
        /// What was found, cut to 128 characters.
        media_type: String,
    },
    /// A selector is neither `ALL`, `ANY` nor `EXACT` (`ServiceSelector`).
    #[error("`{field}`: unknown selector `{selector}`")]
    Selector {
        /// The field that holds it.
        field: &'static str,
        /// What was found, cut to 64 characters.
        selector: String,
    },
    /// `EXACT` without a positive count (`ServiceConfiguration.count`).
    #[error("`{field}`: EXACT needs a positive count")]
    ExactCount {
        /// The field that holds it.
        field: &'static str,
    },
}

/// The services of an instance, by kind; newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SigningConfig {
    /// Certificate authorities, by base URL.
    pub ca_urls: Vec<Service>,
    /// Identity providers, by issuer URL.
    pub oidc_urls: Vec<Service>,
    /// Transparency logs, by base URL.
    pub log_urls: Vec<Service>,
    /// How many of the logs to use.
    pub log_config: Option<ServiceSelector>,
    /// Timestamp authorities, by the URL requests are posted to.
    pub tsa_urls: Vec<Service>,
    /// How many of the timestamp authorities to use.
    pub tsa_config: Option<ServiceSelector>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Where it is.
    pub url: String,
    /// The major version of the API it speaks.
    pub major_api_version: u32,
    /// When it may be used; `None` if the file does not say.
    pub valid_for: Option<TimeRange>,
    /// Who runs it; services of one operator count as one.
    pub operator: String,
}

/// How many services to use, each of another operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceSelector {
    /// One of every operator.
    All,
    /// One.
    Any,
    /// That many; never zero.
    Exact(u32),
}

impl SigningConfig {
    /// Reads a signing config. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`SigningConfigError`]: the first rule that the text breaks.
    pub fn from_json(text: &[u8]) -> Result<Self, SigningConfigError> {
        let limits = Limits {
            bytes: MAX_SIGNING_CONFIG_BYTES,
            values: VALUES,
        };
        let value = parse(text, limits).map_err(FieldError::from)?;
        Self::read(Message::of(&value, "signing config")?)
    }

    /// The signing config of the public instance, as of the release of this crate.
    pub fn public_good() -> Self {
        shipped(include_bytes!(
            "../data/trust/public-good.signing_config.json"
        ))
    }

    /// The signing config of the public instance's staging twin, as of the release of this crate.
    pub fn staging() -> Self {
        shipped(include_bytes!("../data/trust/staging.signing_config.json"))
    }

    /// The signing config as JSON.
    pub fn to_json(&self) -> String {
        object(|o| self.write(o))
    }

    pub(crate) fn read(message: Message<'_, '_>) -> Result<Self, SigningConfigError> {
        match message.str("mediaType")? {
            MEDIA_TYPE | "application/vnd.dev.sigstore.signingconfig+json;version=0.2" => {}
            "application/vnd.dev.sigstore.signingconfig.v0.1+json"
            | "application/vnd.dev.sigstore.signingconfig+json;version=0.1" => {
                return Err(SigningConfigError::Version01);
            }
            other => {
                return Err(SigningConfigError::MediaType {
                    media_type: other.chars().take(128).collect(),
                });
            }
        }
        let services = |field| message.messages(field, MAX_SERVICES, Service::read);
        Ok(Self {
            ca_urls: services("caUrls")?,
            oidc_urls: services("oidcUrls")?,
            log_urls: services("rekorTlogUrls")?,
            log_config: ServiceSelector::read(message, "rekorTlogConfig")?,
            tsa_urls: services("tsaUrls")?,
            tsa_config: ServiceSelector::read(message, "tsaConfig")?,
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.text("mediaType", MEDIA_TYPE);
        let write = |o: &mut Writer, service: &Service| {
            o.text("url", &service.url);
            o.number("majorApiVersion", service.major_api_version);
            write_range(o, service.valid_for);
            o.text("operator", &service.operator);
        };
        writer.objects("caUrls", &self.ca_urls, write);
        writer.objects("oidcUrls", &self.oidc_urls, write);
        writer.objects("rekorTlogUrls", &self.log_urls, write);
        writer.objects("tsaUrls", &self.tsa_urls, write);
        for (field, selector) in [
            ("rekorTlogConfig", self.log_config),
            ("tsaConfig", self.tsa_config),
        ] {
            if let Some(selector) = selector {
                writer.object(field, |o| selector.write(o));
            }
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "the file is part of this crate, and a test reads it"
)]
fn shipped(text: &[u8]) -> SigningConfig {
    SigningConfig::from_json(text).expect("the shipped signing config is well-formed")
}

impl Service {
    fn read(message: Message<'_, '_>) -> Result<Self, FieldError> {
        Ok(Self {
            url: message.string("url")?,
            major_api_version: message.uint32("majorApiVersion")?,
            valid_for: message.time_range("validFor")?,
            operator: message.string("operator")?,
        })
    }
}

impl ServiceSelector {
    fn read(
        message: Message<'_, '_>,
        field: &'static str,
    ) -> Result<Option<Self>, SigningConfigError> {
        let Some(config) = message.message(field)? else {
            return Ok(None);
        };
        let selector = match config.enumeration("selector")? {
            Some(EnumValue::Name("ALL") | EnumValue::Number(1)) => Self::All,
            Some(EnumValue::Name("ANY") | EnumValue::Number(2)) => Self::Any,
            Some(EnumValue::Name("EXACT") | EnumValue::Number(3)) => {
                match config.uint32("count")? {
                    0 => return Err(SigningConfigError::ExactCount { field }),
                    count => Self::Exact(count),
                }
            }
            other => {
                let selector = match other {
                    Some(EnumValue::Name(name)) => name.chars().take(64).collect(),
                    Some(EnumValue::Number(number)) => number.to_string(),
                    None => "SERVICE_SELECTOR_UNDEFINED".to_owned(),
                };
                return Err(SigningConfigError::Selector { field, selector });
            }
        };
        Ok(Some(selector))
    }

    fn write(self, writer: &mut Writer) {
        match self {
            Self::All => writer.text("selector", "ALL"),
            Self::Any => writer.text("selector", "ANY"),
            Self::Exact(count) => {
                writer.text("selector", "EXACT");
                writer.number("count", count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V02: &str = r#""mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json""#;

    fn check(members: &str, expected: Result<SigningConfig, SigningConfigError>) {
        let text = format!("{{{members}}}");
        assert_eq!(
            SigningConfig::from_json(text.as_bytes()),
            expected,
            "{text}"
        );
    }

    fn with_tsa(tsa_config: ServiceSelector) -> SigningConfig {
        SigningConfig {
            tsa_config: Some(tsa_config),
            ..SigningConfig::default()
        }
    }

    #[test]
    fn selectors_by_name_or_number() {
        for (config, expected) in [
            (r#"{"selector":"ANY"}"#, ServiceSelector::Any),
            (r#"{"selector":2}"#, ServiceSelector::Any),
            (r#"{"selector":"ALL","count":7}"#, ServiceSelector::All),
            (r#"{"selector":1}"#, ServiceSelector::All),
            (
                r#"{"selector":"EXACT","count":2}"#,
                ServiceSelector::Exact(2),
            ),
            (r#"{"selector":3,"count":"2"}"#, ServiceSelector::Exact(2)),
        ] {
            check(
                &format!(r#"{V02},"tsaConfig":{config},"new":[]"#),
                Ok(with_tsa(expected)),
            );
            check(
                &format!(r#"{V02},"tsa_config":{config}"#),
                Ok(with_tsa(expected)),
            );
        }
    }

    #[test]
    fn round_trip() {
        for config in [
            SigningConfig::default(),
            SigningConfig::public_good(),
            SigningConfig::staging(),
            with_tsa(ServiceSelector::Exact(3)),
            with_tsa(ServiceSelector::All),
        ] {
            let text = config.to_json();
            let again = SigningConfig::from_json(text.as_bytes());
            assert_eq!(again.as_ref(), Ok(&config));
            assert_eq!(again.unwrap().to_json(), text);
        }
    }

    #[test]
    fn the_public_configs_name_their_services() {
        let public = SigningConfig::public_good();
        assert_eq!(public.ca_urls[0].url, "https://fulcio.sigstore.dev");
        assert_eq!(public.tsa_config, Some(ServiceSelector::Any));
        let staging = SigningConfig::staging();
        assert_eq!(staging.log_urls.len(), 4);
        assert_eq!(staging.log_urls[0].major_api_version, 2);
    }

    #[test]
    fn field() {
        let error = FieldError::WrongType {
            field: "url",
            expected: "a string",
        };
        check(
            &format!(r#"{V02},"caUrls":[{{"url":1}}]"#),
            Err(error.into()),
        );
        let list = vec!["{}"; MAX_SERVICES + 1].join(",");
        let error = FieldError::TooMany {
            field: "tsaUrls",
            count: 1025,
            limit: 1024,
        };
        check(&format!(r#"{V02},"tsaUrls":[{list}]"#), Err(error.into()));
    }

    #[test]
    fn version01() {
        for media_type in [
            "application/vnd.dev.sigstore.signingconfig.v0.1+json",
            "application/vnd.dev.sigstore.signingconfig+json;version=0.1",
        ] {
            check(
                &format!(r#""mediaType":"{media_type}","caUrl":"https://ca.test""#),
                Err(SigningConfigError::Version01),
            );
        }
    }

    #[test]
    fn media_type() {
        check(
            "",
            Err(SigningConfigError::MediaType {
                media_type: String::new(),
            }),
        );
        check(
            r#""mediaType":"application/vnd.dev.sigstore.signingconfig.v0.3+json""#,
            Err(SigningConfigError::MediaType {
                media_type: "application/vnd.dev.sigstore.signingconfig.v0.3+json".into(),
            }),
        );
    }

    #[test]
    fn selector() {
        for (config, found) in [
            ("{}", "SERVICE_SELECTOR_UNDEFINED"),
            (r#"{"selector":"any"}"#, "any"),
            (r#"{"selector":4}"#, "4"),
        ] {
            check(
                &format!(r#"{V02},"tsaConfig":{config}"#),
                Err(SigningConfigError::Selector {
                    field: "tsaConfig",
                    selector: found.into(),
                }),
            );
        }
    }

    #[test]
    fn exact_count() {
        check(
            &format!(r#"{V02},"rekorTlogConfig":{{"selector":"EXACT"}}"#),
            Err(SigningConfigError::ExactCount {
                field: "rekorTlogConfig",
            }),
        );
    }
}
