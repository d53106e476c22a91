//! One connection: HTTP/1 or HTTP/2, watched by a clock.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use crate::holding::Holding;
use crate::{Front, Limits, Shutdown, discard};

/// Resets of streams that a client may leave unseen before its connection ends (CVE-2023-44487).
const H2_PENDING_RESETS: usize = 20;

/// Speaks HTTP until the peer is done, a limit of time is passed, or the drain is over.
pub(crate) async fn drive<I>(
    stream: I,
    peer: SocketAddr,
    front: Front,
    shutdown: &Shutdown,
    limits: &Limits,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new());
    let watched = Arc::clone(&activity);
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let exchange = Exchange::begin(&watched);
        // The router is copied for those alone that go in.
        let way = match front.turns_away(request.method(), request.uri().path()) {
            Some(response) => Err(response),
            None => Ok(front.router.clone()),
        };
        async move {
            let mut request = request.map(Body::new);
            let response = match way {
                Ok(router) => {
                    request.extensions_mut().insert(ConnectInfo(peer));
                    router.oneshot(request).await?
                }
                Err(response) => {
                    discard(request).await;
                    response
                }
            };
            // The exchange is open as long as its answer is not sent.
            Ok::<_, Infallible>(response.map(|body| Holding::new(body, exchange)))
        }
    });

    let builder = builder(limits);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Once asked to finish: when it is cut.
    let mut cut: Option<Instant> = None;
    loop {
        let deadline = cut.unwrap_or_else(|| activity.deadline(limits));
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection broke");
                }
                return;
            }
            () = shutdown.triggered(), if cut.is_none() => {
                connection.as_mut().graceful_shutdown();
                // The accept loop cuts earlier connections and later ones at one time.
                cut = Some(Instant::now() + limits.drain);
            }
            () = sleep_until(deadline) => {
                if cut.is_some() || activity.is_idle_at(deadline, limits) {
                    tracing::debug!(%peer, "a connection took too long");
                    return;
                }
                if activity.deadline(limits) <= deadline {
                    // Still busy: it takes no further request, and the last one may end.
                    connection.as_mut().graceful_shutdown();
                    cut = Some(Instant::now() + limits.drain);
                }
            }
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let head_size = usize::try_from(limits.head_size).unwrap_or(usize::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        // Counted from the end of the previous exchange: it covers idling, and what drips in
        // after it. The first head is watched by `Activity`.
        .header_read_timeout(limits.idle)
        // Hyper does not take less than 8 KiB.
        .max_buf_size(head_size.max(8192))
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .max_header_list_size(limits.head_size)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS)
        .keep_alive_interval(limits.idle)
        .keep_alive_timeout(limits.head);
    builder
}

/// What a connection is doing, and since when.
struct Activity(Mutex<Doing>);

struct Doing {
    exchanges: usize,
    /// Whether a request's head has ever been complete.
    greeted: bool,
    since: Instant,
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Doing {
            exchanges: 0,
            greeted: false,
            since: Instant::now(),
        }))
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Doing) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn deadline(&self, limits: &Limits) -> Instant {
        self.with(|doing| match (doing.exchanges, doing.greeted) {
            (0, false) => doing.since + limits.head,
            (0, true) => doing.since + limits.idle,
            _ => doing.since + limits.exchange,
        })
    }

    fn is_idle_at(&self, now: Instant, limits: &Limits) -> bool {
        self.with(|doing| doing.exchanges == 0) && self.deadline(limits) <= now
    }
}

/// A request that is being answered, until the last byte of its response.
struct Exchange(Arc<Activity>);

impl Exchange {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.with(|doing| {
            if doing.exchanges == 0 {
                doing.since = Instant::now();
            }
            doing.exchanges += 1;
            doing.greeted = true;
        });
        Self(Arc::clone(activity))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.with(|doing| {
            doing.exchanges = doing.exchanges.saturating_sub(1);
            if doing.exchanges == 0 {
                doing.since = Instant::now();
            }
        });
    }
}
