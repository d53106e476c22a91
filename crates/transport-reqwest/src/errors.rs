//! What reqwest says, in our words.

use std::error::Error;
use std::io;

use waxseal_transport::{Origin, Request, TransportError};

use crate::resolver::NotLoopback;

/// Sorts an error by what is known of the request: not sent, or perhaps arrived.
pub(crate) fn translate(request: &Request, error: reqwest::Error) -> TransportError {
    let origin = Origin::of(&request.url);
    // The URL in reqwest's text has the query in it, which may be a secret.
    let error = error.without_url();
    if let Some(NotLoopback { peer }) = find(&error) {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        return TransportError::PeerNotLoopback { host, peer: *peer };
    }
    if error.is_timeout() && !error.is_connect() {
        return TransportError::Deadline {
            after: request.deadline,
        };
    }
    let is_tls = find::<rustls::Error>(&error).is_some();
    match error.is_connect() {
        true if is_tls => TransportError::Tls {
            origin,
            source: error.into(),
        },
        true => TransportError::Connect {
            origin,
            source: error.into(),
        },
        false => TransportError::Interrupted {
            origin,
            source: error.into(),
        },
    }
}

/// The first error of that type in the chain of causes. `io::Error` hides the error that it
/// wraps from the chain, and so is opened.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref::<T>() {
        return Some(found);
    }
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    if let Some(found) = wrapped.and_then(|inner| find::<T>(inner)) {
        return Some(found);
    }
    error.source().and_then(find::<T>)
}
