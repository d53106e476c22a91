//! By which way a request travels, where that is not the network's ordinary one.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use url::{Host, Url};

use crate::{Method, Request, TransportError};

/// The address of a cloud's metadata server. It is link-local (RFC 3927 §2.7): no router forwards
/// it, and the hypervisor answers it.
pub const METADATA_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// The one path that is asked of it: the identity token of the machine's own service account.
pub const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/identity";

/// The field that Google's metadata server wants in a request, and puts into its answers.
pub const METADATA_FLAVOR: (&str, &str) = ("Metadata-Flavor", "Google");

/// By which way a request travels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Route {
    /// To the host of the URL, by the environment's proxies; in plain http to loopback alone.
    #[default]
    Network,
    /// In plain http, and past every proxy, to [`METADATA_ADDRESS`] and [`METADATA_PATH`] alone
    /// (docs/adr/0005).
    MetadataServer,
    /// Through this Unix socket, in HTTP/2 without TLS (RFC 9113 §3.3), as gRPC has it. The URL is
    /// of `localhost`: the machine's own kernel carries it.
    UnixSocket(PathBuf),
}

impl Request {
    /// A request for the metadata server's identity token.
    #[must_use]
    pub fn to_metadata_server(query: &[(&str, &str)]) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the text is a constant, parsed by the tests"
        )]
        let mut url: Url = format!("http://{METADATA_ADDRESS}{METADATA_PATH}")
            .parse()
            .expect("an address and a path are a URL");
        url.query_pairs_mut().extend_pairs(query);
        let mut request = Self::get(url).with_header(METADATA_FLAVOR.0, METADATA_FLAVOR.1);
        request.route = Route::MetadataServer;
        request
    }

    /// Sends it through a Unix socket, in HTTP/2.
    #[must_use]
    pub fn through_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.route = Route::UnixSocket(path.into());
        self
    }

    /// Whether a request that is exempt from TLS is exactly the one that the exemption is for.
    pub(crate) fn check_metadata(&self) -> Result<(), TransportError> {
        let url = &self.url;
        let is_the_one = url.scheme() == "http"
            && url.host() == Some(Host::Ipv4(METADATA_ADDRESS))
            && url.port().is_none()
            && url.path() == METADATA_PATH
            && self.method == Method::Get
            && self.body.is_empty()
            && self.credential.is_none()
            && self.headers.only(METADATA_FLAVOR.0) == Some(METADATA_FLAVOR.1);
        is_the_one
            .then_some(())
            .ok_or(TransportError::NotForMetadata)
    }
}
