//! Why there is no response. One variant per rule.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use crate::{Excerpt, Origin};

/// A boxed cause.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a request was not sent, or its response not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Only `https` and, for loopback, `http` are spoken.
    #[error("the URL scheme is {scheme:?}; only https (and http to loopback) is spoken")]
    NotHttp {
        /// The scheme that was found.
        scheme: String,
    },
    /// Plain http is for `localhost`, 127.0.0.0/8 and `::1`: anywhere else the network reads and
    /// rewrites it.
    #[error("plain http to {origin} is refused; only loopback may be reached without TLS")]
    PlainHttp {
        /// Where the request was to go.
        origin: Origin,
    },
    /// The request is not the one that may go to a cloud's metadata server without TLS: a `GET` of
    /// the identity token, with `Metadata-Flavor` and no secret (docs/adr/0005).
    #[error("only the identity token may be asked of a metadata server in plain http")]
    NotForMetadata,
    /// Whatever answered for the metadata server did not say that it is one.
    #[error("the answer is not a Google metadata server's: it lacks Metadata-Flavor: Google")]
    NotMetadataServer,
    /// A loopback name resolved to an address that is not loopback. Nothing was sent.
    #[error("{host} is refused: it resolves to {peer}, which is not loopback")]
    PeerNotLoopback {
        /// The name.
        host: String,
        /// The address that the name resolved to.
        peer: IpAddr,
    },
    /// A user or password in a URL ends up in logs and histories (RFC 9110 §4.2.4).
    #[error("the URL for {origin} carries a user name or password")]
    UserInfo {
        /// Where the request was to go.
        origin: Origin,
    },
    /// The credential was made for another origin (CVE-2026-48501: a token sent to a mirror).
    #[error("the credential is for {bound_to}, and the request goes to {sent_to}")]
    OtherOrigin {
        /// The origin the credential was made for.
        bound_to: Origin,
        /// Where the request was to go.
        sent_to: Origin,
    },
    /// A secret header field was set by hand; it belongs in [`crate::Request::credential`].
    #[error("the header field {name:?} carries a secret: use the request's credential")]
    SecretHeader {
        /// The field's name.
        name: String,
    },
    /// A header name is not a token, or a value has characters that could end the line
    /// (RFC 9110 §5.5).
    #[error("the header field {name:?} is malformed")]
    BadHeader {
        /// The field's name.
        name: String,
    },
    /// The server sent the client elsewhere; no redirect is followed, for it would carry body
    /// and credential to a place nobody named.
    #[error(
        "the server at {origin} redirects (status {status}) to {location}, and redirects are refused"
    )]
    RedirectRefused {
        /// Who redirects.
        origin: Origin,
        /// The status.
        status: u16,
        /// The `Location` field.
        location: Excerpt,
    },
    /// The body is encoded, though no encoding was asked for: it is not decoded, since a few
    /// bytes can become gigabytes.
    #[error("the response from {origin} has content encoding {encoding}, which was not asked for")]
    Encoded {
        /// Who answered.
        origin: Origin,
        /// The `Content-Encoding` field.
        encoding: Excerpt,
    },
    /// A body that says it is in gzip (RFC 1952), as the request asked, is in none that is whole.
    #[error("the response is not in gzip, as it says")]
    BrokenGzip(#[source] std::io::Error),
    /// The response body is longer than the request allows.
    #[error("the response is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The whole response was not there in time.
    #[error("no complete response within {after:?}")]
    Deadline {
        /// The time allowed.
        after: Duration,
    },
    /// No connection: the name did not resolve, or nobody answered. Nothing was sent.
    #[error("cannot connect to {origin}")]
    Connect {
        /// Where to.
        origin: Origin,
        /// The cause.
        source: BoxError,
    },
    /// The TLS handshake failed: most often an unknown or expired certificate. Nothing was sent.
    #[error("no secure connection to {origin}")]
    Tls {
        /// Where to.
        origin: Origin,
        /// The cause.
        source: BoxError,
    },
    /// The connection broke, or the peer does not speak HTTP. The request may have arrived.
    #[error("the connection to {origin} broke")]
    Interrupted {
        /// Where to.
        origin: Origin,
        /// The cause.
        source: BoxError,
    },
    /// The status is not what the protocol says.
    #[error("status {found}, expected {expected:?}: {body}")]
    UnexpectedStatus {
        /// What the protocol says.
        expected: &'static [u16],
        /// What came.
        found: u16,
        /// The beginning of the body.
        body: Excerpt,
    },
    /// The media type is not what the protocol says.
    #[error("content type {}, expected {expected:?}: {body}",
        found.as_ref().map_or("none", |found| found.as_str()))]
    UnexpectedContentType {
        /// What the protocol says.
        expected: &'static [&'static str],
        /// What came, if there is exactly one.
        found: Option<Excerpt>,
        /// The beginning of the body.
        body: Excerpt,
    },
}
