//! Loopback names resolve to loopback addresses, or to nothing.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Resolves as the system does, and refuses a name as soon as one address is not loopback.
///
/// It stands before the connection: when it refuses, not a byte has been sent.
pub(crate) struct LoopbackResolver {
    look_up: fn(String) -> Looking,
}

impl LoopbackResolver {
    /// The system's resolver.
    pub(crate) fn system() -> Self {
        Self {
            look_up: |name| Box::pin(system(name)),
        }
    }

    /// A resolver that answers what a test says.
    #[cfg(test)]
    pub(crate) fn answering(look_up: fn(String) -> Looking) -> Self {
        Self { look_up }
    }
}

async fn system(name: String) -> io::Result<Vec<SocketAddr>> {
    match tokio::net::lookup_host((name.as_str(), 0)).await {
        Ok(addresses) => Ok(addresses.collect()),
        // RFC 6761 §6.3: `localhost` is loopback, also where no file says so.
        Err(_) => Ok(vec![
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
            SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0),
        ]),
    }
}

impl Resolve for LoopbackResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let looking = (self.look_up)(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = looking.await?;
            if let Some(peer) = addresses
                .iter()
                .map(SocketAddr::ip)
                .find(|ip| !ip.is_loopback())
            {
                return Err(NotLoopback { peer }.into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// What the resolver says through reqwest; [`crate::errors`] finds it again.
#[derive(Debug)]
pub(crate) struct NotLoopback {
    pub(crate) peer: IpAddr,
}

impl fmt::Display for NotLoopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not loopback", self.peer)
    }
}

impl Error for NotLoopback {}
