//! What stands between a client and a role: nothing, or trouble.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use waxseal_transport::{BoxFuture, Headers, Origin, Request, Response, Transport, TransportError};

/// The longest wait that is a pause between attempts.
const PAUSE: Duration = Duration::from_secs(15);

/// A role of the instance, told by its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The identity broker.
    Broker,
    /// The certificate authority.
    Ca,
    /// The certificate transparency log, as the authority sees it.
    CtLog,
    /// The transparency log.
    Log,
    /// The timestamp authority.
    Tsa,
}

impl Role {
    pub(crate) fn of(path: &str) -> Option<Self> {
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
        if begins(&["/auth"]) {
            Some(Self::Broker)
        } else if begins(&["/ct/"]) {
            Some(Self::CtLog)
        } else if begins(&["/api/v1/timestamp"]) {
            Some(Self::Tsa)
        } else if begins(&[
            "/api/v2/signingCert",
            "/api/v2/trustBundle",
            "/api/v2/configuration",
        ]) {
            Some(Self::Ca)
        } else if begins(&["/api/v2/", "/checkpoint", "/tile/"]) {
            Some(Self::Log)
        } else {
            None
        }
    }
}

type Lie = Arc<dyn Fn(Response) -> Response + Send + Sync>;

/// What goes wrong with a role.
#[derive(Clone)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody answers the connection.
    Down,
    /// It answers every request with this status and no body.
    Refusing(u16),
    /// Its answers take this long. Nobody waits for it here: a request whose deadline is shorter
    /// fails at once.
    Slow(Duration),
    /// It does its work, and its answers are changed on the way.
    Lying(Lie),
    /// It does its work, and its answers are lost on the way.
    Lost,
}

impl Fault {
    /// A fault that changes answers.
    pub fn lying(lie: impl Fn(Response) -> Response + Send + Sync + 'static) -> Self {
        Self::Lying(Arc::new(lie))
    }

    /// A fault that changes the bodies of successful answers.
    pub fn lying_body(lie: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::lying(move |answer| {
            if answer.is_success() {
                Response::new(answer.status, answer.headers, lie(answer.body))
            } else {
                answer
            }
        })
    }
}

/// The faults of an instance, by role.
#[derive(Debug, Default)]
pub struct Faults(Mutex<HashMap<Role, Fault>>);

impl Faults {
    /// From now on this goes wrong with the role, and nothing else.
    pub fn set(&self, role: Role, fault: Fault) {
        self.lock().insert(role, fault);
    }

    /// From now on nothing goes wrong with the role.
    pub fn clear(&self, role: Role) {
        self.lock().remove(&role);
    }

    /// A transport past these faults. Pauses between attempts take hardly any time.
    pub(crate) fn around(self: &Arc<Self>, inner: Arc<dyn Transport>) -> Arc<dyn Transport> {
        Arc::new(Between {
            inner,
            faults: Arc::clone(self),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Role, Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Between {
    inner: Arc<dyn Transport>,
    faults: Arc<Faults>,
}

impl Between {
    async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        let role = Role::of(request.url.path());
        let fault = role.and_then(|role| self.faults.lock().get(&role).cloned());
        let origin = Origin::of(&request.url);
        match fault {
            None => self.inner.send(request).await,
            Some(Fault::Down) => Err(TransportError::Connect {
                origin,
                source: "the role is down".into(),
            }),
            Some(Fault::Refusing(status)) => Ok(Response::new(status, Headers::new(), Vec::new())),
            Some(Fault::Slow(delay)) if delay >= request.deadline => {
                let after = request.deadline;
                Err(TransportError::Deadline { after })
            }
            Some(Fault::Slow(_)) => self.inner.send(request).await,
            Some(Fault::Lying(lie)) => self.inner.send(request).await.map(|answer| lie(answer)),
            Some(Fault::Lost) => {
                self.inner.send(request).await?;
                Err(TransportError::Interrupted {
                    origin,
                    source: "the answer was lost".into(),
                })
            }
        }
    }
}

impl Transport for Between {
    fn send<'a>(&'a self, request: Request) -> BoxFuture<'a, Result<Response, TransportError>> {
        Box::pin(self.exchange(request))
    }

    fn sleep<'a>(&'a self, duration: Duration) -> BoxFuture<'a, ()> {
        // Longer waits are deadlines, which race against the work.
        if duration > PAUSE {
            return self.inner.sleep(duration);
        }
        Box::pin(tokio::time::sleep(Duration::from_millis(1)))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("Down"),
            Self::Refusing(status) => write!(f, "Refusing({status})"),
            Self::Slow(delay) => write!(f, "Slow({delay:?})"),
            Self::Lying(_) => f.write_str("Lying"),
            Self::Lost => f.write_str("Lost"),
        }
    }
}
