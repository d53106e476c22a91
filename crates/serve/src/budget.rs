//! What exchanges hold of a server's memory, fairly among clients.
//!
//! Requests that trickle in and answers that nobody reads cost a client next to nothing, and the
//! server their bytes. A budget bounds them all; and no client ever holds more of it than is left for
//! the others, so that one alone cannot shut them out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::Extensions;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::holding::Holding;

/// A number of units that exchanges hold, and give back.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    free: usize,
    /// What clients that are told apart hold: none of them is 0.
    clients: HashMap<IpAddr, usize>,
}

/// What one exchange holds; given back when it is dropped.
#[derive(Debug)]
pub struct Lease {
    budget: Budget,
    client: Option<IpAddr>,
    units: usize,
}

impl Budget {
    /// A budget of so many units.
    #[must_use]
    pub fn new(units: usize) -> Self {
        Self(Arc::new(Mutex::new(Held {
            free: units,
            clients: HashMap::new(),
        })))
    }

    /// So many units for an exchange with a client; `None` if they are not there, or the client
    /// would hold more than is left. [`client_of`] says who is a client.
    #[must_use]
    pub fn lease(&self, client: Option<IpAddr>, units: usize) -> Option<Lease> {
        let mut lease = Lease {
            budget: self.clone(),
            client,
            units: 0,
        };
        lease.grow_to(units).then_some(lease)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Holds so many units, if it does not hold more; whether it does.
    pub fn grow_to(&mut self, units: usize) -> bool {
        let more = units.saturating_sub(self.units);
        if more == 0 {
            return true;
        }
        let mut held = self.budget.held();
        let Some(left) = held.free.checked_sub(more) else {
            return false;
        };
        if let Some(client) = self.client {
            let own = held.clients.get(&client).copied().unwrap_or(0);
            if own.saturating_add(more) > left {
                return false;
            }
            held.clients.insert(client, own + more);
        }
        held.free = left;
        self.units += more;
        true
    }

    /// A body that holds the lease until its last byte is sent.
    pub fn hold(self, body: Body) -> Body {
        Body::new(Holding::new(body, self))
    }

    /// A body whose bytes are counted as they come, in units of so many; the lease is held as long
    /// as what says how that went. The body breaks off where the budget does.
    pub fn count(self, body: Body, unit: usize) -> (Body, Arc<Taken>) {
        let taken = Arc::new(Taken {
            lease: Mutex::new(self),
            is_refused: AtomicBool::new(false),
        });
        let counting = Counting {
            body,
            unit: unit.max(1),
            read: 0,
            taken: Arc::clone(&taken),
        };
        (Body::new(counting), taken)
    }
}

/// How the counting of a body went.
#[derive(Debug)]
pub struct Taken {
    lease: Mutex<Lease>,
    is_refused: AtomicBool,
}

impl Taken {
    /// Whether there was no room for it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Acquire)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.budget.held();
        held.free += self.units;
        let Some(client) = self.client else { return };
        if let Some(own) = held.clients.get_mut(&client) {
            *own = own.saturating_sub(self.units);
            if *own == 0 {
                held.clients.remove(&client);
            }
        }
    }
}

/// The client of a request with these extensions, as far as clients are told apart.
#[must_use]
pub fn client_of(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    told_apart(peer.map(|ConnectInfo(peer)| peer.ip())?)
}

/// A loopback peer is a proxy or the operator's own: it has no share of its own. A client of IPv6
/// has a whole /64.
fn told_apart(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    if address.is_loopback() {
        return None;
    }
    Some(match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    })
}

struct Counting {
    body: Body,
    unit: usize,
    read: usize,
    taken: Arc<Taken>,
}

impl HttpBody for Counting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = &polled else {
            return polled;
        };
        self.read += frame.data_ref().map_or(0, Bytes::len);
        let units = self.read.div_ceil(self.unit);
        let lease = self.taken.lease.lock();
        if lease.unwrap_or_else(PoisonError::into_inner).grow_to(units) {
            return polled;
        }
        self.taken.is_refused.store(true, Ordering::Release);
        let refused = axum::Error::new("too many requests are being taken in");
        Poll::Ready(Some(Err(refused)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn no_client_holds_more_than_is_left_for_the_others() {
        let budget = Budget::new(100);
        let mut first = budget.lease(client(1), 50).unwrap();
        assert!(!first.grow_to(51));
        assert!(budget.lease(client(1), 1).is_none());
        let second = budget.lease(client(2), 25).unwrap();
        assert!(budget.lease(client(2), 1).is_none());
        let third = budget.lease(client(3), 12).unwrap();
        drop(first);
        assert!(budget.lease(client(2), 12).is_some());
        drop((second, third));
        assert!(budget.held().clients.is_empty());
        assert_eq!(budget.held().free, 100);
    }

    #[test]
    fn a_proxy_may_hold_all_of_it() {
        let budget = Budget::new(100);
        let mut all = budget.lease(None, 1).unwrap();
        assert!(all.grow_to(100) && all.grow_to(1));
        assert!(budget.lease(None, 1).is_none() && budget.lease(client(1), 1).is_none());
        let body = all.hold(Body::from("held"));
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(budget.lease(None, 1).is_none());
        drop(body);
        assert!(budget.lease(None, 100).is_some());
    }

    #[test]
    fn who_is_one_client() {
        let apart = |text: &str| told_apart(text.parse().unwrap()).map(|a| a.to_string());
        for (address, client) in [
            ("127.0.0.1", None),
            ("::1", None),
            ("::ffff:127.0.0.1", None),
            ("192.0.2.7", Some("192.0.2.7")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1:2::")),
        ] {
            assert_eq!(apart(address).as_deref(), client, "{address}");
        }
    }
}
