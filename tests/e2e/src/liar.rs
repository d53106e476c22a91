//! Who stands between client and services, and what it says in their place.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use waxseal_transport::{BoxFuture, Headers, Origin, Request, Response, Transport, TransportError};

type Outcome = Result<Response, TransportError>;
type Answer = dyn Fn(Request, Arc<dyn Transport>) -> BoxFuture<'static, Outcome> + Send + Sync;

/// No wait is longer, except the one that ends a signing as a whole.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What happens to a request.
#[derive(Clone)]
pub struct Lie(Arc<Answer>);

impl Lie {
    /// Any.
    pub fn new(
        answer: impl Fn(Request, Arc<dyn Transport>) -> BoxFuture<'static, Outcome>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(answer))
    }

    /// Nobody listens.
    pub fn down() -> Self {
        Self::new(|request, _| {
            let origin = Origin::of(&request.url);
            let source = "connection refused".into();
            Box::pin(async { Err(TransportError::Connect { origin, source }) })
        })
    }

    /// The answer does not come in time.
    pub fn slow() -> Self {
        Self::new(|request, _| {
            let after = request.deadline;
            Box::pin(async move { Err(TransportError::Deadline { after }) })
        })
    }

    /// This answer.
    pub fn answer(answer: Response) -> Self {
        Self::new(move |request, _| {
            let answer = deliver(&request, answer.clone());
            Box::pin(async { answer })
        })
    }

    /// One byte more than the client takes.
    pub fn endless(content_type: &'static str) -> Self {
        Self::new(move |request, _| {
            let body = vec![b' '; request.max_response + 1];
            let answer = deliver(&request, text(200, content_type, body));
            Box::pin(async { answer })
        })
    }

    /// The service's own answer, changed.
    pub fn alter(change: impl Fn(Response) -> Response + Send + Sync + 'static) -> Self {
        let change = Arc::new(change);
        Self::new(move |request, honest| {
            let change = Arc::clone(&change);
            Box::pin(async move {
                let answer = honest.send(request.clone()).await?;
                deliver(&request, change(answer))
            })
        })
    }

    /// The service's own answer to a changed request.
    pub fn ask(change: impl Fn(Request) -> Request + Send + Sync + 'static) -> Self {
        Self::new(move |request, honest| {
            let request = change(request);
            Box::pin(async move { honest.send(request).await })
        })
    }

    /// Another service's answer.
    pub fn elsewhere(other: &Arc<impl Transport + 'static>, origin: &str) -> Self {
        let (other, origin): (Arc<dyn Transport>, String) = (other.clone(), origin.to_owned());
        Self::new(move |mut request, _| {
            let other = Arc::clone(&other);
            request.url = format!("{origin}{}", request.url.path()).parse().unwrap();
            Box::pin(async move { other.send(request).await })
        })
    }
}

/// An answer.
pub fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
    let mut headers = Headers::new();
    headers.append("Content-Type", content_type);
    Response::new(status, headers, body.into())
}

/// An answer as a Transport gives it: within the request's limits.
fn deliver(request: &Request, answer: Response) -> Outcome {
    request.admit(answer.status, &answer.headers)?;
    let mut collector = request.collector();
    collector.push(&answer.body)?;
    Ok(answer)
}

/// A transport that lies about some paths, and keeps what it was asked. It does not wait: what
/// the client would have waited is kept too.
pub struct Liar {
    honest: Arc<dyn Transport>,
    lies: Vec<(&'static str, Lie)>,
    asked: Mutex<Vec<Request>>,
    slept: Mutex<Vec<Duration>>,
}

impl Liar {
    /// One that does not lie yet.
    pub fn before(honest: &Arc<impl Transport + 'static>) -> Self {
        Self {
            honest: honest.clone(),
            lies: Vec::new(),
            asked: Mutex::default(),
            slept: Mutex::default(),
        }
    }

    /// Lies about every path that ends in `path`.
    pub fn about(mut self, path: &'static str, lie: Lie) -> Self {
        self.lies.push((path, lie));
        self
    }

    /// Every path that was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|request| request.url.path().to_owned())
            .collect()
    }

    /// The requests themselves.
    pub fn requests(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// How long the client would have waited between attempts.
    pub fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }
}

impl Transport for Liar {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            request.check()?;
            self.asked.lock().unwrap().push(request.clone());
            let path = request.url.path();
            let lie = self.lies.iter().find(|(about, _)| path.ends_with(about));
            match lie {
                Some((_, lie)) => (lie.0)(request, Arc::clone(&self.honest)).await,
                None => self.honest.send(request).await,
            }
        })
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        if duration > LONGEST_WAIT {
            return self.honest.sleep(duration);
        }
        self.slept.lock().unwrap().push(duration);
        Box::pin(tokio::task::yield_now())
    }
}
