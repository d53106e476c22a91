//! The rules, as functions that every transport calls.

use url::{Host, Url};

use crate::headers::{is_name, is_value};
use crate::{Excerpt, Headers, METADATA_FLAVOR, Origin, Redirects, Request, Route, TransportError};

/// Header fields that carry secrets, and so are not set by hand.
const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Whether the URL names this machine by `localhost`, 127.0.0.0/8 or `::1`.
///
/// This is the rule for names; that the peer's *address* is loopback too is checked by the
/// transport when it connects.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Request {
    /// The rules before sending, in this order: scheme, user name, plain http, header fields,
    /// the credential's origin.
    ///
    /// # Errors
    /// [`TransportError`]: the first rule that is broken. Nothing may be sent then.
    pub fn check(&self) -> Result<(), TransportError> {
        let url = &self.url;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TransportError::NotHttp {
                scheme: url.scheme().to_owned(),
            });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TransportError::UserInfo {
                origin: Origin::of(url),
            });
        }
        if self.route == Route::MetadataServer {
            self.check_metadata()?;
        } else if url.scheme() == "http" && !is_loopback(url) {
            return Err(TransportError::PlainHttp {
                origin: Origin::of(url),
            });
        }
        for (name, value) in self.headers.iter() {
            if !is_name(name) || !is_value(value) {
                return Err(TransportError::BadHeader {
                    name: name.to_owned(),
                });
            }
            if SECRET_HEADERS
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret))
            {
                return Err(TransportError::SecretHeader {
                    name: name.to_owned(),
                });
            }
        }
        if let Some(credential) = &self.credential {
            let sent_to = Origin::of(url);
            if *credential.origin() != sent_to {
                let bound_to = credential.origin().clone();
                return Err(TransportError::OtherOrigin { bound_to, sent_to });
            }
            if !is_value(credential.expose()) {
                return Err(TransportError::BadHeader {
                    name: credential.header().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The rules for the head of a response, before its body is read.
    ///
    /// # Errors
    /// [`TransportError`]: the response may not be taken.
    pub fn admit(&self, status: u16, headers: &Headers) -> Result<(), TransportError> {
        let (flavor, google) = METADATA_FLAVOR;
        if self.route == Route::MetadataServer && headers.only(flavor) != Some(google) {
            return Err(TransportError::NotMetadataServer);
        }
        let redirect = (300..400).contains(&status) && status != 304;
        if redirect && self.redirects == Redirects::Refuse {
            let location = headers.all("Location").next().unwrap_or("nowhere");
            return Err(TransportError::RedirectRefused {
                origin: Origin::of(&self.url),
                status,
                location: Excerpt::of(without_query(location).as_bytes()),
            });
        }
        let encoded = headers
            .all("Content-Encoding")
            .find(|v| !v.trim().eq_ignore_ascii_case("identity"));
        let asked = self.takes_gzip && is_gzip(headers);
        if let Some(encoding) = encoded.filter(|_| !asked) {
            return Err(TransportError::Encoded {
                origin: Origin::of(&self.url),
                encoding: Excerpt::of(encoding.as_bytes()),
            });
        }
        // The answer to HEAD tells the length of a body that does not come.
        let announced = headers
            .only("Content-Length")
            .and_then(|v| v.parse::<u64>().ok());
        let limit = u64::try_from(self.max_response).unwrap_or(u64::MAX);
        if self.method != crate::Method::Head && announced.is_some_and(|length| length > limit) {
            return Err(TransportError::TooLarge {
                limit: self.max_response,
            });
        }
        Ok(())
    }

    /// Where the body of the response is gathered.
    #[must_use]
    pub fn collector(&self) -> Collector {
        Collector {
            limit: self.max_response,
            body: Vec::new(),
        }
    }
}

/// Whether the body is in gzip, once.
pub(crate) fn is_gzip(headers: &Headers) -> bool {
    headers
        .only("Content-Encoding")
        .is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("gzip"))
}

/// A location without query and fragment, which may carry codes and tokens.
fn without_query(location: &str) -> &str {
    location.split(['?', '#']).next().unwrap_or_default()
}

/// Gathers a body and refuses the first byte beyond the limit, whatever length was announced.
#[derive(Debug)]
pub struct Collector {
    limit: usize,
    body: Vec<u8>,
}

impl Collector {
    /// Adds what has arrived.
    ///
    /// # Errors
    /// [`TransportError::TooLarge`]: the limit is passed; stop reading.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        // The body never exceeds the limit, so that the difference cannot wrap.
        if bytes.len() > self.limit.saturating_sub(self.body.len()) {
            return Err(TransportError::TooLarge { limit: self.limit });
        }
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    /// The whole body.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }
}
