//! The URL of an instance: the root of one origin, for good.

use std::fmt;

use waxseal_transport::{Url, is_loopback};

/// The longest host name: it becomes the organization in certificates, which has at most 64
/// characters (RFC 5280 appendix A, `ub-organization-name`).
pub const MAX_HOST: usize = 64;

/// Scheme, host and port under which clients know the instance. Its text has no closing slash,
/// no path and no query, and is the one that the URL standard gives.
///
/// The broker's issuer and the log's origin follow from it, so it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceUrl {
    text: String,
    url: Box<Url>,
}

/// Why a text is not the URL of an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceUrlError {
    /// Not an absolute `http` or `https` URL with a host.
    #[error("{given:?} is not a URL such as https://sig.example.com")]
    Malformed {
        /// As given.
        given: String,
    },
    /// A path, query, fragment or user. `sigstore-python` joins paths to the host alone, and a log's
    /// origin is its host name, so an instance has an origin of its own.
    #[error("{given:?} must be scheme, host and port alone: {would_be}")]
    NotAnOrigin {
        /// As given.
        given: String,
        /// What it would be without the rest.
        would_be: String,
    },
    /// Plain http is for loopback: anywhere else the network reads and rewrites it.
    #[error("plain http is for localhost alone: {given:?} must begin with https://")]
    PlainHttp {
        /// As given.
        given: String,
    },
    /// The host name is longer than [`MAX_HOST`].
    #[error("the host name has {length} characters, and certificates have room for {MAX_HOST}")]
    HostTooLong {
        /// Its length.
        length: usize,
    },
}

impl InstanceUrl {
    /// Parses a URL; a closing slash is dropped.
    ///
    /// # Errors
    /// [`InstanceUrlError`].
    pub fn parse(given: &str) -> Result<Self, InstanceUrlError> {
        let malformed = || InstanceUrlError::Malformed {
            given: given.to_owned(),
        };
        let url = Url::parse(given).map_err(|_| malformed())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(malformed());
        }
        let text = url.origin().ascii_serialization();
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain || url.path() != "/" {
            return Err(InstanceUrlError::NotAnOrigin {
                given: given.to_owned(),
                would_be: text,
            });
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(InstanceUrlError::PlainHttp {
                given: given.to_owned(),
            });
        }
        let parsed = Self {
            text,
            url: Box::new(url),
        };
        let length = parsed.host().len();
        if length > MAX_HOST {
            return Err(InstanceUrlError::HostTooLong { length });
        }
        Ok(parsed)
    }

    /// The text, without a closing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL, which has the path `/`.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The bare host name, no port, no brackets: the log's origin and the operator's name.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// `host` or `host:port`, as it stands in a `Host` field.
    #[must_use]
    pub fn authority(&self) -> &str {
        let at = self.text.find("://").map_or(0, |at| at + 3);
        self.text.get(at..).unwrap_or_default()
    }

    /// Whether only this machine can be meant.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Whether clients speak TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// A path below it; `path` begins with a slash.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

impl fmt::Display for InstanceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better in the cases")]
    fn check(given: &str, expected: Result<(&str, &str, &str), InstanceUrlError>) {
        let parsed = InstanceUrl::parse(given);
        let found = parsed
            .as_ref()
            .map(|url| (url.as_str(), url.host(), url.authority()))
            .map_err(Clone::clone);
        assert_eq!(found, expected, "{given}");
    }

    #[test]
    fn origins() {
        let local = ("http://localhost:8383", "localhost", "localhost:8383");
        check("http://localhost:8383", Ok(local));
        check("HTTP://LOCALHOST:8383/", Ok(local));
        check(
            "http://127.0.0.1:1",
            Ok(("http://127.0.0.1:1", "127.0.0.1", "127.0.0.1:1")),
        );
        check("http://[::1]:1", Ok(("http://[::1]:1", "::1", "[::1]:1")));
        let public = (
            "https://sig.example.com",
            "sig.example.com",
            "sig.example.com",
        );
        check("https://sig.example.com:443/", Ok(public));
        let url = InstanceUrl::parse("https://sig.example.com").unwrap();
        assert_eq!(url.join("/auth"), "https://sig.example.com/auth");
    }

    #[test]
    fn malformed() {
        for given in [
            "",
            "localhost:8383",
            "sig.example.com",
            "ftp://sig.example.com",
            "http://",
        ] {
            let given = given.to_owned();
            check(&given.clone(), Err(InstanceUrlError::Malformed { given }));
        }
    }

    #[test]
    fn not_an_origin() {
        for rest in ["sigstore", "?x=1", "#x"] {
            let given = format!("https://a.example/{rest}");
            let would_be = "https://a.example".to_owned();
            check(
                &given.clone(),
                Err(InstanceUrlError::NotAnOrigin { given, would_be }),
            );
        }
        let given = "https://user@a.example".to_owned();
        let would_be = "https://a.example".to_owned();
        check(
            &given.clone(),
            Err(InstanceUrlError::NotAnOrigin { given, would_be }),
        );
    }

    #[test]
    fn plain_http() {
        for given in [
            "http://sig.example.com",
            "http://localhost.example:1",
            "http://10.0.0.1",
        ] {
            let given = given.to_owned();
            check(&given.clone(), Err(InstanceUrlError::PlainHttp { given }));
        }
    }

    #[test]
    fn host_too_long() {
        let label = "a".repeat(31);
        let fits = format!("{label}.{label}a");
        assert_eq!(fits.len(), 64);
        assert!(InstanceUrl::parse(&format!("https://{fits}")).is_ok());
        check(
            &format!("https://{fits}a"),
            Err(InstanceUrlError::HostTooLong { length: 65 }),
        );
    }
}
