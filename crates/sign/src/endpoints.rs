//! Where to go: one certificate authority, the logs, the timestamp authorities.

use url::Url;
use waxseal_crypto::Time;
use waxseal_formats::{Service, SigningConfig};
use waxseal_trust::{SelectError, Services, Versions};

/// The services that one signing uses, as `waxseal-trust` selects them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Base URL of the certificate authority; none is needed to sign with a key that is kept.
    pub certificate_authority: Option<Url>,
    /// Base URLs of version 2 logs: an entry is made in each.
    pub logs: Vec<Url>,
    /// Endpoints of timestamp authorities: a timestamp is taken from each.
    pub timestamp_authorities: Vec<Url>,
}

/// Why services cannot make a bundle that verifies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointsError {
    /// The signing config names no service that can be used.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The signing config names something that is not a URL.
    #[error("the signing config names {url:?}, which is not a URL")]
    NotUrl {
        /// What it names.
        url: String,
    },
    /// No log: nothing would be public.
    #[error("no transparency log to sign with: expected at least one in the signing config")]
    NoLog,
    /// No timestamp authority: entries of version 2 logs carry no time (client spec §2.1.5).
    #[error("no timestamp authority to sign with: version 2 logs need at least one")]
    NoTimestampAuthority,
}

impl Endpoints {
    /// The services of a signing config that are used at `now`.
    ///
    /// # Errors
    /// [`EndpointsError`].
    pub fn select(config: &SigningConfig, now: Time) -> Result<Self, EndpointsError> {
        let services = Services::new(config, Versions::CURRENT, now);
        let evidence = services.evidence()?;
        let urls =
            |services: Vec<&Service>| services.into_iter().map(url).collect::<Result<Vec<_>, _>>();
        let selected = Self {
            certificate_authority: Some(url(services.certificate_authority()?)?),
            logs: urls(evidence.logs)?,
            timestamp_authorities: urls(evidence.timestamp_authorities)?,
        };
        selected.check()?;
        Ok(selected)
    }

    /// Checks that a bundle made with these services can carry all that verifiers ask for.
    ///
    /// # Errors
    /// [`EndpointsError`].
    pub fn check(&self) -> Result<(), EndpointsError> {
        if self.logs.is_empty() {
            return Err(EndpointsError::NoLog);
        }
        if self.timestamp_authorities.is_empty() {
            return Err(EndpointsError::NoTimestampAuthority);
        }
        Ok(())
    }
}

fn url(service: &Service) -> Result<Url, EndpointsError> {
    Url::parse(&service.url).map_err(|_| EndpointsError::NotUrl {
        url: service.url.clone(),
    })
}

/// A path below a base URL, which may have a path of its own.
pub(crate) fn below(base: &Url, path: &str) -> Option<Url> {
    let mut url = base.clone();
    url.path_segments_mut()
        .ok()?
        .pop_if_empty()
        .extend(path.split('/'));
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services() -> Endpoints {
        Endpoints {
            certificate_authority: None,
            logs: vec!["https://log.example".parse().unwrap()],
            timestamp_authorities: vec!["https://tsa.example/ts".parse().unwrap()],
        }
    }

    #[test]
    fn no_log() {
        let none = Endpoints {
            logs: vec![],
            ..services()
        };
        assert_eq!(none.check(), Err(EndpointsError::NoLog));
        assert_eq!(services().check(), Ok(()));
    }

    #[test]
    fn no_timestamp_authority() {
        let none = Endpoints {
            timestamp_authorities: vec![],
            ..services()
        };
        assert_eq!(none.check(), Err(EndpointsError::NoTimestampAuthority));
    }

    fn config(ca: &str) -> SigningConfig {
        let service = |url: &str, version: u32| {
            format!(
                r#"[{{"url":"{url}","majorApiVersion":{version},"operator":"o",
                "validFor":{{"start":"2026-01-01T00:00:00Z"}}}}]"#
            )
        };
        let json = format!(
            r#"{{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","caUrls":{},
            "rekorTlogUrls":{},"tsaUrls":{},"rekorTlogConfig":{{"selector":"ANY"}},
            "tsaConfig":{{"selector":"ANY"}}}}"#,
            service(ca, 1),
            service("https://log.example", 2),
            service("https://tsa.example/ts", 1)
        );
        SigningConfig::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn select_and_not_url() {
        let at = |text| Time::parse_rfc3339(text).unwrap();
        let now = at("2026-02-01T00:00:00Z");
        let selected = Endpoints::select(&config("https://ca.example"), now).unwrap();
        let ca = selected.certificate_authority.clone().unwrap();
        assert_eq!(ca.as_str(), "https://ca.example/");
        assert_eq!(
            selected,
            Endpoints {
                certificate_authority: Some(ca),
                ..services()
            }
        );
        let not_url = EndpointsError::NotUrl {
            url: "ca".to_owned(),
        };
        assert_eq!(Endpoints::select(&config("ca"), now), Err(not_url));
        let early = Endpoints::select(&config("https://ca.example"), at("2025-01-01T00:00:00Z"));
        assert!(matches!(early, Err(EndpointsError::Select(_))));
    }

    #[test]
    fn paths_keep_the_prefix_of_the_base() {
        let check = |base: &str, expected: &str| {
            let url = below(&base.parse().unwrap(), "api/v2/log/entries").unwrap();
            assert_eq!(url.as_str(), expected);
        };
        check("https://a.example", "https://a.example/api/v2/log/entries");
        check("https://a.example/", "https://a.example/api/v2/log/entries");
        check(
            "https://a.example/log?x=1#y",
            "https://a.example/log/api/v2/log/entries",
        );
        check(
            "https://a.example/log/",
            "https://a.example/log/api/v2/log/entries",
        );
        assert_eq!(below(&"data:x".parse().unwrap(), "a"), None);
    }
}
