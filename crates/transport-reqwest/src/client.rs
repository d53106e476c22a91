//! The transport and how it is built.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, ClientBuilder, redirect};
use waxseal_transport::{
    BoxError, BoxFuture, Headers, Method, Origin, Request, Response, Route, Transport,
    TransportError, is_loopback,
};

use crate::errors::translate;
use crate::resolver::LoopbackResolver;

/// The time for a connection, TLS included; within the request's own deadline.
const CONNECT: Duration = Duration::from_secs(10);
/// Shorter than what servers keep an idle connection for, lest a request meets its end.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Idle connections kept per host.
const POOL_SIZE: usize = 16;
/// The largest CA file: the whole web's roots are about 250 KiB.
const MAX_CA_FILE: u64 = 4 * 1024 * 1024;

/// Settings of a [`ReqwestTransport`].
#[derive(Debug, Default, Clone)]
pub struct Builder {
    roots: Vec<PathBuf>,
    system_roots_off: bool,
    user_agent: Option<String>,
}

impl Builder {
    /// Trusts the certificates in this PEM file too.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(path.into());
        self
    }

    /// Trusts the CA files alone, and not the system's roots.
    #[must_use]
    pub fn without_system_roots(mut self) -> Self {
        self.system_roots_off = true;
        self
    }

    /// Sets the `User-Agent`; `waxseal/VERSION` otherwise.
    #[must_use]
    pub fn user_agent(mut self, text: &str) -> Self {
        self.user_agent = Some(text.to_owned());
        self
    }

    /// Reads the CA files and makes the transport. Proxies come from the environment's
    /// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    ///
    /// # Errors
    /// [`BuildError`]
    pub fn build(self) -> Result<ReqwestTransport, BuildError> {
        self.build_with(LoopbackResolver::system())
    }

    pub(crate) fn build_with(
        self,
        resolver: LoopbackResolver,
    ) -> Result<ReqwestTransport, BuildError> {
        let mut roots = Vec::new();
        for path in &self.roots {
            roots.extend(read_roots(path)?);
        }
        let user_agent = self
            .user_agent
            .unwrap_or_else(|| concat!("waxseal/", env!("CARGO_PKG_VERSION")).into());
        let mut settings = Settings {
            roots: Vec::new(),
            system_roots_off: true,
            user_agent,
            resolver: Arc::new(resolver),
        };
        // Plain connections need no roots: reading the system's takes milliseconds.
        let plain = settings
            .client(Reach::Loopback)
            .map_err(|source| BuildError::Client {
                source: source.into(),
            })?;
        settings.roots = roots;
        settings.system_roots_off = self.system_roots_off;
        Ok(ReqwestTransport {
            plain,
            settings,
            local: OnceLock::new(),
            remote: OnceLock::new(),
        })
    }
}

fn read_roots(path: &Path) -> Result<Vec<Certificate>, BuildError> {
    let unreadable = |source: BoxError| BuildError::CaFile {
        path: path.to_owned(),
        source,
    };
    let length = fs::metadata(path)
        .map_err(|error| unreadable(error.into()))?
        .len();
    if length > MAX_CA_FILE {
        return Err(unreadable(
            io::Error::from(io::ErrorKind::FileTooLarge).into(),
        ));
    }
    let pem = fs::read(path).map_err(|error| unreadable(error.into()))?;
    let roots = Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(error.into()))?;
    if roots.is_empty() {
        return Err(BuildError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(roots)
}

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A CA file cannot be read as PEM.
    #[error("cannot read the CA file {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: BoxError,
    },
    /// A CA file holds no certificate.
    #[error("the CA file {} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The HTTP client refuses its settings, for instance the user agent.
    #[error("the HTTP client cannot be made")]
    Client {
        /// The cause.
        source: BoxError,
    },
}

struct Settings {
    roots: Vec<Certificate>,
    system_roots_off: bool,
    user_agent: String,
    resolver: Arc<LoopbackResolver>,
}

#[derive(Clone, Copy)]
enum Reach {
    /// Directly, to loopback addresses alone.
    Loopback,
    /// Anywhere, by the environment's proxies.
    World,
}

impl Settings {
    fn client(&self, reach: Reach) -> Result<Client, reqwest::Error> {
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .tcp_nodelay(true)
            .user_agent(&self.user_agent);
        let builder = self.trust(builder);
        match reach {
            Reach::Loopback => builder.no_proxy().dns_resolver(Arc::clone(&self.resolver)),
            Reach::World => builder.https_only(true),
        }
        .build()
    }

    fn trust(&self, builder: ClientBuilder) -> ClientBuilder {
        let roots = self.roots.iter().cloned();
        if self.system_roots_off {
            builder.tls_certs_only(roots)
        } else {
            builder.tls_certs_merge(roots)
        }
    }
}

/// A transport with three pools: plain loopback, TLS on loopback, and the world.
pub struct ReqwestTransport {
    settings: Settings,
    plain: Client,
    local: OnceLock<Client>,
    remote: OnceLock<Client>,
}

impl ReqwestTransport {
    /// Settings to start from: the system's roots, the environment's proxies.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The pool for a request, made when first needed.
    fn client(&self, request: &Request) -> Result<&Client, TransportError> {
        let loopback = is_loopback(&request.url);
        if request.url.scheme() == "http" {
            return Ok(&self.plain);
        }
        let (slot, reach) = match loopback {
            true => (&self.local, Reach::Loopback),
            false => (&self.remote, Reach::World),
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = self
            .settings
            .client(reach)
            .map_err(|error| TransportError::Tls {
                origin: Origin::of(&request.url),
                source: error.into(),
            })?;
        Ok(slot.get_or_init(|| client))
    }

    /// A client for one request through a Unix socket: nothing else of ours goes there.
    fn socket_client(&self, request: &Request, path: &Path) -> Result<Client, TransportError> {
        let refused = |source: BoxError| TransportError::Connect {
            origin: Origin::of(&request.url),
            source,
        };
        #[cfg(unix)]
        {
            let builder = Client::builder()
                .redirect(redirect::Policy::none())
                .referer(false)
                .connect_timeout(CONNECT)
                .tls_certs_only([])
                .no_proxy()
                .http2_prior_knowledge()
                .unix_socket(path)
                .user_agent(&self.settings.user_agent);
            builder.build().map_err(|error| refused(error.into()))
        }
        #[cfg(not(unix))]
        {
            let _ = path;
            Err(refused(io::Error::from(io::ErrorKind::Unsupported).into()))
        }
    }

    async fn exchange(&self, mut request: Request) -> Result<Response, TransportError> {
        request.check()?;
        let socket = match &request.route {
            Route::UnixSocket(path) => Some(self.socket_client(&request, path)?),
            _ => None,
        };
        let client = match &socket {
            Some(client) => client,
            // An address needs no resolver, so that the plain pool reaches the metadata server.
            None => self.client(&request)?,
        };
        let body = std::mem::take(&mut request.body);
        let mut call = client.request(method(request.method), request.url.clone());
        for (name, value) in request.headers.iter() {
            call = call.header(name, value);
        }
        if let Some(credential) = &request.credential {
            let malformed = |_| TransportError::BadHeader {
                name: credential.header().to_owned(),
            };
            let mut value = HeaderValue::from_str(credential.expose()).map_err(malformed)?;
            value.set_sensitive(true);
            call = call.header(credential.header(), value);
        }
        if !body.is_empty() || matches!(request.method, Method::Post | Method::Put) {
            call = call.body(body);
        }
        let mut response = call
            .send()
            .await
            .map_err(|error| translate(&request, error))?;

        let status = response.status().as_u16();
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            // What is not ASCII has no meaning in any protocol of ours.
            headers.append(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
        }
        request.admit(status, &headers)?;
        let mut collector = request.collector();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| translate(&request, error))?
        {
            collector.push(&chunk)?;
        }
        Ok(Response::new(status, headers, collector.into_body()))
    }
}

impl Transport for ReqwestTransport {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        let after = request.deadline;
        Box::pin(async move {
            tokio::time::timeout(after, self.exchange(request))
                .await
                .unwrap_or(Err(TransportError::Deadline { after }))
        })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl std::fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReqwestTransport")
    }
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Head => reqwest::Method::HEAD,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
        // Every other method of ours only reads.
        _ => reqwest::Method::GET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waxseal_transport::{Credential, Url};

    async fn check(resolver: LoopbackResolver, target: &str) -> TransportError {
        let transport = ReqwestTransport::builder()
            .without_system_roots()
            .build_with(resolver)
            .unwrap();
        let url: Url = target.parse().unwrap();
        let credential = Credential::bearer(&url, "CANARYSECRET");
        transport
            .send(Request::get(url).with_credential(credential))
            .await
            .unwrap_err()
    }

    #[tokio::test]
    async fn peer_not_loopback() {
        // The first address would do, but who says which one is taken?
        const BOTH: [&str; 2] = ["127.0.0.1:0", "192.0.2.1:0"];
        for target in ["http://localhost:9/", "https://localhost:9/"] {
            let resolver = LoopbackResolver::answering(|_| {
                Box::pin(async move { Ok(BOTH.map(|a| a.parse().unwrap()).to_vec()) })
            });
            let error = check(resolver, target).await;
            let TransportError::PeerNotLoopback { host, peer } = error else {
                panic!("{error:?}")
            };
            assert_eq!(
                (host.as_str(), peer.to_string().as_str()),
                ("localhost", "192.0.2.1")
            );
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_no_connection() {
        let resolver =
            LoopbackResolver::answering(|_| Box::pin(async { Err(io::ErrorKind::Other.into()) }));
        let error = check(resolver, "http://localhost:9/").await;
        assert!(matches!(error, TransportError::Connect { .. }), "{error:?}");
    }
}
