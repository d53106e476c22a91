//! By which names a server may be called: the answer to DNS rebinding.

use std::collections::BTreeSet;

use http::{HeaderMap, StatusCode, Uri, header};

use crate::{Code, Problem};

/// Which `Host` and `Origin` values are ours.
///
/// A web page can make a name of its own resolve to 127.0.0.1 and then talk to a loopback server
/// as if it were its own origin. The name it uses gives it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCheck(Option<Names>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    hosts: BTreeSet<String>,
    /// `None`: pages of other origins may call (the routes decide by CORS).
    origins: Option<BTreeSet<String>>,
}

impl HostCheck {
    /// No check.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// For a server on loopback: `localhost`, `127.0.0.1` and `[::1]` on that port, and pages of
    /// those origins alone.
    #[must_use]
    pub fn loopback(port: u16, tls: bool) -> Self {
        let (scheme, default) = if tls { ("https", 443) } else { ("http", 80) };
        let mut hosts = BTreeSet::new();
        for name in ["localhost", "127.0.0.1", "[::1]"] {
            hosts.insert(format!("{name}:{port}"));
            if port == default {
                hosts.insert(name.to_owned());
            }
        }
        let origins = hosts
            .iter()
            .map(|host| format!("{scheme}://{host}"))
            .collect();
        Self(Some(Names {
            hosts,
            origins: Some(origins),
        }))
    }

    /// For a server with a public name: this authority (`host` or `host:port`, lower case).
    #[must_use]
    pub fn named(authority: impl Into<String>) -> Self {
        Self::named_any([authority])
    }

    /// For a server with several public names.
    #[must_use]
    pub fn named_any(authorities: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Some(Names {
            hosts: authorities.into_iter().map(Into::into).collect(),
            origins: None,
        }))
    }

    /// Refuses a request that calls this server by another name (421), by none or by two (400),
    /// or that a page of another origin made (403).
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(names) = &self.0 else { return Ok(()) };
        let mut called = Vec::new();
        for value in headers.get_all(header::HOST) {
            called.push(value.to_str().unwrap_or_default().to_ascii_lowercase());
        }
        if called.len() > 1 {
            let message = "the request has several Host fields";
            return Err(Problem::refusal(
                Code::InvalidArgument,
                "HOST_TWICE",
                message,
            ));
        }
        // HTTP/2 has the authority in the URI; where both are there, both must be ours.
        called.extend(
            uri.authority()
                .map(|authority| authority.as_str().to_ascii_lowercase()),
        );
        if called.is_empty() {
            let message = "the request names no host";
            return Err(Problem::refusal(
                Code::InvalidArgument,
                "HOST_MISSING",
                message,
            ));
        }
        if !called.iter().all(|host| names.hosts.contains(host)) {
            let message = "this server is not called by that name";
            return Err(
                Problem::refusal(Code::PermissionDenied, "HOST_FOREIGN", message)
                    .with_status(StatusCode::MISDIRECTED_REQUEST),
            );
        }
        let Some(origins) = &names.origins else {
            return Ok(());
        };
        for value in headers.get_all(header::ORIGIN) {
            let origin = value.to_str().unwrap_or_default().to_ascii_lowercase();
            if !origins.contains(&origin) {
                let message = "pages of other origins may not call this server";
                return Err(Problem::refusal(
                    Code::PermissionDenied,
                    "ORIGIN_FOREIGN",
                    message,
                ));
            }
        }
        Ok(())
    }
}
