//! Where a server listens, and when it refuses to.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;

use crate::tls::server_config;
use crate::{BoxError, HostCheck};

/// How often a free port is looked for that is free on both loopback addresses.
const PORT_ATTEMPTS: usize = 16;

/// Where to listen. Plain http is for loopback alone, unless a proxy speaks TLS.
#[derive(Debug, Clone)]
pub struct Listen {
    address: String,
    tls: Option<(PathBuf, PathBuf)>,
    behind_tls_proxy: bool,
}

impl Listen {
    /// `localhost:PORT` (both 127.0.0.1 and, where the host has it, ::1) or `IP:PORT`; port 0
    /// takes a free one.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            tls: None,
            behind_tls_proxy: false,
        }
    }

    /// Speaks TLS with the PEM chain and the PEM key in these files.
    #[must_use]
    pub fn with_tls(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some((cert.into(), key.into()));
        self
    }

    /// States that clients reach this server only through a proxy that speaks TLS.
    #[must_use]
    pub fn behind_tls_proxy(mut self) -> Self {
        self.behind_tls_proxy = true;
        self
    }

    /// Checks the rules, reads the TLS files and takes the port.
    ///
    /// # Errors
    /// [`ListenError`]; nothing is bound then.
    pub async fn bind(&self) -> Result<Listener, ListenError> {
        let (local, port) = self.parse()?;
        if self.tls.is_some() && self.behind_tls_proxy {
            return Err(ListenError::TlsTwice);
        }
        let loopback = local.is_none_or(|address| address.is_loopback());
        if !loopback && self.tls.is_none() && !self.behind_tls_proxy {
            return Err(ListenError::NeedsTls {
                address: self.address.clone(),
            });
        }
        let tls = match &self.tls {
            Some((cert, key)) => Some(server_config(cert, key)?),
            None => None,
        };
        let sockets = match local {
            Some(address) => vec![bind(SocketAddr::new(address, port)).await?],
            None => bind_both(port).await?,
        };
        let mut addresses = Vec::with_capacity(sockets.len());
        for socket in &sockets {
            let address = SocketAddr::new(local.unwrap_or(Ipv4Addr::LOCALHOST.into()), port);
            addresses.push(
                socket
                    .local_addr()
                    .map_err(|source| ListenError::Bind { address, source })?,
            );
        }
        Ok(Listener {
            sockets,
            addresses,
            tls,
            loopback,
            proxied: self.behind_tls_proxy,
        })
    }

    /// The address, `None` for `localhost`, and the port.
    fn parse(&self) -> Result<(Option<IpAddr>, u16), ListenError> {
        let bad = || ListenError::BadAddress {
            given: self.address.clone(),
        };
        if let Some(port) = self.address.strip_prefix("localhost:") {
            return port.parse().map(|port| (None, port)).map_err(|_| bad());
        }
        let address: SocketAddr = self.address.parse().map_err(|_| bad())?;
        Ok((Some(address.ip()), address.port()))
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::PortTaken { address },
            io::ErrorKind::PermissionDenied => ListenError::Denied { address },
            _ => ListenError::Bind { address, source },
        })
}

/// Takes the port on both loopback addresses: whoever held the other one could answer in our
/// place to the clients that try it first.
async fn bind_both(port: u16) -> Result<Vec<TcpListener>, ListenError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let v4_address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let v4 = bind(v4_address).await?;
        let taken = v4
            .local_addr()
            .map_err(|source| ListenError::Bind {
                address: v4_address,
                source,
            })?
            .port();
        match bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), taken)).await {
            Ok(v6) => return Ok(vec![v4, v6]),
            Err(ListenError::PortTaken { .. }) if port == 0 && attempt < PORT_ATTEMPTS => {}
            // The host has no IPv6, or no ::1: nobody else can hold it either.
            Err(ListenError::Bind { source, .. }) if is_absent(&source) => return Ok(vec![v4]),
            Err(error) => return Err(error),
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no ErrorKind of its own: 97 on Linux, 47 on macOS, 10047 on Windows.
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || matches!(error.raw_os_error(), Some(97 | 47 | 10047))
}

/// Bound sockets. Connections wait in the kernel until [`crate::serve`] takes them.
pub struct Listener {
    pub(crate) sockets: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    loopback: bool,
    pub(crate) proxied: bool,
}

impl Listener {
    /// The bound addresses, with the real port.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The bound port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addresses.first().map_or(0, SocketAddr::port)
    }

    /// Whether only this machine can connect.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether it speaks TLS itself.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The check that suits the address: loopback names for loopback, none for the others and
    /// for a server behind a proxy, which is called by its public name.
    #[must_use]
    pub fn host_check(&self) -> HostCheck {
        if self.loopback && !self.proxied {
            HostCheck::loopback(self.port(), self.is_tls())
        } else {
            HostCheck::off()
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("addresses", &self.addresses)
            .field("tls", &self.is_tls())
            .finish_non_exhaustive()
    }
}

/// Why a server does not start to listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Neither `localhost:PORT` nor `IP:PORT`.
    #[error("{given:?} is no address to listen on: use localhost:PORT or IP:PORT")]
    BadAddress {
        /// What was given.
        given: String,
    },
    /// Tokens would cross the network in the clear.
    #[error(
        "{address} is not loopback: give a TLS certificate and key, or say that a proxy speaks TLS"
    )]
    NeedsTls {
        /// The address.
        address: String,
    },
    /// TLS here and TLS at a proxy exclude each other.
    #[error("either this server speaks TLS or a proxy does: not both")]
    TlsTwice,
    /// Another process listens there.
    #[error("another process listens on {address}")]
    PortTaken {
        /// The address.
        address: SocketAddr,
    },
    /// The system does not allow it; ports below 1024 are often reserved.
    #[error("this user may not listen on {address}")]
    Denied {
        /// The address.
        address: SocketAddr,
    },
    /// The system refuses for another reason.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// A TLS file cannot be read as PEM.
    #[error("cannot read {}", path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: BoxError,
    },
    /// The certificate file holds no certificate.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key file holds no private key.
    #[error("{} holds no private key", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or are of a kind that TLS does not know.
    #[error("the TLS certificate and key do not fit")]
    KeyMismatch {
        /// The cause.
        source: BoxError,
    },
}
