//! A request as plain data.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::{Credential, Headers, Route};

/// The largest response body a request takes unless it says otherwise: 1 MiB, what an OIDC
/// discovery document or a certificate chain may have at most.
pub const DEFAULT_MAX_RESPONSE: usize = 1024 * 1024;

/// The time from the first byte out to the last byte in, unless the request says otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// A request method (RFC 9110 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

impl Method {
    /// The method as the wire has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What becomes of a 3xx response that names another place. None is ever followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Redirects {
    /// It is an error ([`crate::TransportError::RedirectRefused`]).
    #[default]
    Refuse,
    /// It is the response: for callers whose protocol is made of redirects (OAuth).
    Return,
}

/// A request. Every one has a limit on its response and a deadline.
///
/// `Debug` shows neither query nor body nor credential: they may be secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to: `https`, or `http` to loopback; without user or password.
    pub url: Url,
    /// Fields other than `Authorization`, `Cookie` and `Proxy-Authorization`.
    pub headers: Headers,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// The secret, if any, that the server wants.
    pub credential: Option<Credential>,
    /// The largest response body in bytes; one more is an error.
    pub max_response: usize,
    /// From the first byte out to the last byte in.
    pub deadline: Duration,
    /// What becomes of a redirect.
    pub redirects: Redirects,
    /// By which way it travels.
    pub route: Route,
    /// Whether the response body may be in gzip, which [`crate::Response::into_plain`] undoes.
    pub takes_gzip: bool,
}

impl Request {
    /// A request with the default limits and an empty body.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: Headers::new(),
            body: Vec::new(),
            credential: None,
            max_response: DEFAULT_MAX_RESPONSE,
            deadline: DEFAULT_DEADLINE,
            redirects: Redirects::Refuse,
            route: Route::Network,
            takes_gzip: false,
        }
    }

    /// A `GET` with the default limits.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self::new(Method::Get, url)
    }

    /// A `POST` with the default limits.
    #[must_use]
    pub fn post(url: Url, content_type: &str, body: Vec<u8>) -> Self {
        let mut request = Self::new(Method::Post, url).with_header("Content-Type", content_type);
        request.body = body;
        request
    }

    /// Adds a header field. It is judged by [`Request::check`].
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Adds the secret.
    #[must_use]
    pub fn with_credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Sets the largest response body, in bytes.
    #[must_use]
    pub fn with_max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Takes redirects as responses. They are not followed.
    #[must_use]
    pub fn returning_redirects(mut self) -> Self {
        self.redirects = Redirects::Return;
        self
    }

    /// Asks for a body in gzip, for files that are often kept so and told so without a question
    /// (C2SP tlog-tiles). The body is told as it came: [`crate::Response::into_plain`].
    #[must_use]
    pub fn taking_gzip(mut self) -> Self {
        self.takes_gzip = true;
        self.with_header("Accept-Encoding", "gzip")
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("method", &self.method.as_str())
            .field("origin", &format_args!("{}", crate::Origin::of(&self.url)))
            .field("path", &self.url.path())
            .field("headers", &headers)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("credential", &self.credential)
            .field("max_response", &self.max_response)
            .field("deadline", &self.deadline)
            .field("redirects", &self.redirects)
            .field("route", &self.route)
            .finish()
    }
}
