//! The joint: how a request travels, and how to wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{Request, Response, TransportError};

/// A boxed future that names no runtime.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How requests travel and how to wait.
///
/// An implementor calls [`Request::check`] before anything leaves, opens a plain connection only
/// to a peer whose *address* is loopback, calls [`Request::admit`] when the head of the response
/// is there, and reads the body through a [`crate::Collector`], all within
/// [`Request::deadline`]. It takes [`Request::route`], past every proxy where that is not the
/// network's. It follows no redirect and undoes no content encoding.
pub trait Transport: Send + Sync {
    /// Sends a request and reads the whole response. Every status is `Ok`, except a redirect
    /// when the request refuses them.
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>>;
    /// Waits.
    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        (**self).send(request)
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        (**self).sleep(duration)
    }
}
