//! A response as plain data, and the words for what was expected of it.

use std::fmt;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;

use crate::rules::is_gzip;
use crate::{Excerpt, Headers, TransportError};

/// A response, read whole. `Debug` does not show the body: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body, no longer than the request allowed.
    pub body: Vec<u8>,
}

impl Response {
    /// A response; for implementors of [`crate::Transport`].
    #[must_use]
    pub fn new(status: u16, headers: Headers, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The media type in lower case, without parameters (RFC 9110 §8.3.1).
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        let value = self.headers.only("Content-Type")?;
        Some(
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase(),
        )
    }

    /// The body, out of the gzip that [`crate::Request::taking_gzip`] asked for, if it is in one.
    ///
    /// # Errors
    /// [`TransportError::TooLarge`] for more than `limit` bytes, however few they came in;
    /// [`TransportError::BrokenGzip`].
    pub fn into_plain(self, limit: usize) -> Result<Vec<u8>, TransportError> {
        if !is_gzip(&self.headers) {
            return Ok(self.body);
        }
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut plain = Vec::new();
        MultiGzDecoder::new(self.body.as_slice())
            .take(most)
            .read_to_end(&mut plain)
            .map_err(TransportError::BrokenGzip)?;
        if plain.len() > limit {
            return Err(TransportError::TooLarge { limit });
        }
        Ok(plain)
    }

    /// The beginning of the body, safe to show.
    #[must_use]
    pub fn excerpt(&self) -> Excerpt {
        Excerpt::of(&self.body)
    }

    /// Passes the response on if its status is one of these.
    ///
    /// # Errors
    /// [`TransportError::UnexpectedStatus`], which shows what was found.
    pub fn expect_status(self, expected: &'static [u16]) -> Result<Self, TransportError> {
        if expected.contains(&self.status) {
            return Ok(self);
        }
        Err(TransportError::UnexpectedStatus {
            expected,
            found: self.status,
            body: self.excerpt(),
        })
    }

    /// Passes the response on if its media type is one of these (lower case, no parameters).
    ///
    /// # Errors
    /// [`TransportError::UnexpectedContentType`], which shows what was found.
    pub fn expect_content_type(
        self,
        expected: &'static [&'static str],
    ) -> Result<Self, TransportError> {
        let found = self.media_type();
        if found
            .as_deref()
            .is_some_and(|found| expected.contains(&found))
        {
            return Ok(self);
        }
        Err(TransportError::UnexpectedContentType {
            expected,
            found: found.map(|found| Excerpt::of(found.as_bytes())),
            body: self.excerpt(),
        })
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("media_type", &self.media_type())
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}
