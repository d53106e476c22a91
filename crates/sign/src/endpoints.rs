//! Where to go: one certificate authority, the logs, the timestamp authorities.

use url::Url;

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
    /// No log: nothing would be public.
    #[error("no transparency log to sign with: expected at least one in the signing config")]
    NoLog,
    /// No timestamp authority: entries of version 2 logs carry no time (client spec §2.1.5).
    #[error("no timestamp authority to sign with: version 2 logs need at least one")]
    NoTimestampAuthority,
}

impl Endpoints {
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
