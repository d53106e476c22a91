//! The accept loops: one per socket, until shutdown, then the drain.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::connection::drive;
use crate::{Fatal, Front, Limits, Listener, Shutdown};

/// The pause after a failed accept, which most often means: out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a router, or one behind doors, on a listener until shutdown; then takes no more
/// connections, lets those that are busy finish within `limits.drain`, and cuts the rest.
///
/// # Errors
/// [`Fatal`]: an accept loop ended by itself.
pub async fn serve(
    front: impl Into<Front>,
    listener: Listener,
    shutdown: Shutdown,
    limits: Limits,
) -> Result<(), Fatal> {
    let mut limits = limits;
    if listener.proxied {
        // Every connection comes from the proxy, which has limits of its own.
        limits.connections_per_peer = usize::MAX;
    }
    let shared = Arc::new(Shared {
        front: front.into(),
        tls: listener.tls,
        shutdown,
        slots: Arc::new(Semaphore::new(
            limits.connections.min(Semaphore::MAX_PERMITS),
        )),
        peers: Mutex::default(),
        limits,
    });
    let mut loops = JoinSet::new();
    for socket in listener.sockets {
        loops.spawn(accept_loop(socket, Arc::clone(&shared)));
    }
    while let Some(ended) = loops.join_next().await {
        ended.map_err(|error| Fatal::new("an accept loop ended", error))?;
    }
    Ok(())
}

struct Shared {
    front: Front,
    tls: Option<Arc<ServerConfig>>,
    shutdown: Shutdown,
    limits: Limits,
    slots: Arc<Semaphore>,
    peers: Mutex<HashMap<IpAddr, usize>>,
}

async fn accept_loop(socket: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (slot, accepted) = tokio::select! {
            biased;
            () = shared.shutdown.triggered() => break,
            accepted = accept(&socket, &shared) => accepted,
            // A finished connection is forgotten. Its panic was one request's, not ours.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connect(stream, peer, slot, Arc::clone(&shared)));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(socket);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(shared.limits.drain, drained).await.is_err() {
        tracing::warn!("some connections were still busy when the time to drain was over");
    }
    // Dropping the set cuts what is left.
}

type Accepted = (
    Option<OwnedSemaphorePermit>,
    std::io::Result<(TcpStream, SocketAddr)>,
);

async fn accept(socket: &TcpListener, shared: &Shared) -> Accepted {
    // The semaphore is never closed, so that there is always a permit in the end.
    let slot = Arc::clone(&shared.slots).acquire_owned().await.ok();
    (slot, socket.accept().await)
}

async fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    _slot: Option<OwnedSemaphorePermit>,
    shared: Arc<Shared>,
) {
    let Some(_place) = Place::take(&shared, peer.ip()) else {
        tracing::debug!(%peer, "too many connections of one address");
        return;
    };
    // Answers are small: waiting to fill a segment only costs time.
    let _ = stream.set_nodelay(true);
    let Shared {
        front,
        shutdown,
        limits,
        ..
    } = shared.as_ref();
    let Some(config) = &shared.tls else {
        return drive(stream, peer, front.clone(), shutdown, limits).await;
    };
    let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
    let secured = tokio::select! {
        () = shutdown.triggered() => return,
        secured = timeout(limits.handshake, handshake) => secured,
    };
    match secured {
        Ok(Ok(stream)) => drive(stream, peer, front.clone(), shutdown, limits).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "the TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

/// One of the connections that an address may have.
struct Place {
    shared: Arc<Shared>,
    peer: IpAddr,
}

impl Place {
    fn take(shared: &Arc<Shared>, peer: IpAddr) -> Option<Self> {
        let mut peers = shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let open = peers.entry(peer).or_insert(0);
        if *open >= shared.limits.connections_per_peer && !peer.is_loopback() {
            return None;
        }
        *open += 1;
        Some(Self {
            shared: Arc::clone(shared),
            peer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self
            .shared
            .peers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = peers.get_mut(&self.peer) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_51_connections_of_one_address_are_limited() {
        let limits = Limits {
            connections_per_peer: 2,
            ..Limits::default()
        };
        let shared = Arc::new(Shared {
            front: axum::Router::new().into(),
            tls: None,
            shutdown: Shutdown::new(),
            slots: Arc::new(Semaphore::new(1)),
            peers: Mutex::default(),
            limits,
        });
        let take = |peer: &str| Place::take(&shared, peer.parse().unwrap());
        let first = take("192.0.2.1").unwrap();
        let second = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none());
        let other = take("192.0.2.2").unwrap();
        drop(first);
        let third = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none());
        let local: Vec<_> = (0..9).map(|_| take("127.0.0.1").unwrap()).collect();
        drop((second, third, other, local));
        assert!(shared.peers.lock().unwrap().is_empty());
    }
}
