//! A secret that one origin may see, and no other.

use std::fmt;

use url::{Host, Url};
use zeroize::Zeroizing;

/// Scheme, host and port of a URL (RFC 6454 §4), compared exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: Option<Host<String>>,
    port: Option<u16>,
}

impl Origin {
    /// The origin of a URL; the scheme's own port counts as written.
    #[must_use]
    pub fn of(url: &Url) -> Self {
        Self {
            scheme: url.scheme().to_owned(),
            host: url.host().map(|host| host.to_owned()),
            port: url.port_or_known_default(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(host) = &self.host {
            write!(f, "{host}")?;
        }
        match (self.scheme.as_str(), self.port) {
            ("http", Some(80)) | ("https", Some(443)) | (_, None) => Ok(()),
            (_, Some(port)) => write!(f, ":{port}"),
        }
    }
}

/// The value of an `Authorization` or `Cookie` header, bound to the origin it was made for.
///
/// [`crate::Request::check`] refuses to send it anywhere else: neither a mirror, nor a host whose
/// name looks like the right one, nor the same host on another port ever sees it.
#[derive(Clone)]
pub struct Credential {
    origin: Origin,
    header: &'static str,
    value: Zeroizing<String>,
}

impl Credential {
    /// A bearer token (RFC 6750 §2.1) for the origin of `url`.
    #[must_use]
    pub fn bearer(url: &Url, token: &str) -> Self {
        Self::authorization(url, format!("Bearer {token}"))
    }

    /// A whole `Authorization` value, scheme included, for the origin of `url`.
    #[must_use]
    pub fn authorization(url: &Url, value: String) -> Self {
        Self {
            origin: Origin::of(url),
            header: "Authorization",
            value: Zeroizing::new(value),
        }
    }

    /// Cookies (RFC 6265 §4.2.1), `name=value; name=value`, for the origin of `url`: for callers
    /// whose protocol is made of pages.
    #[must_use]
    pub fn cookie(url: &Url, value: String) -> Self {
        Self {
            origin: Origin::of(url),
            header: "Cookie",
            value: Zeroizing::new(value),
        }
    }

    /// The name of the header that carries it.
    #[must_use]
    pub fn header(&self) -> &'static str {
        self.header
    }

    /// The one origin that may see it.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The secret header value. For implementors of [`crate::Transport`] alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential(redacted, for {})", self.origin)
    }
}
