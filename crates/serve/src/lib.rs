//! The chassis of every server: limits, problem bodies, health, telemetry, shutdown.
//!
//! **What it is.** What all our HTTP servers share (RFC 9110, 9112, 9113): where they listen, how
//! long a client may take, what a request must look like before anybody parses it, and how
//! refusals, faults, health and metrics are told.
//!
//! **In scope.** [`Listen`] and [`serve`]; [`Chassis`], the rules around a merged router;
//! [`accepting`], the rules of one route; [`Budget`], what clients may hold of the memory; [`Door`],
//! who is turned away before all that;
//! [`Problem`]; [`Health`]; [`Meter`]; [`telemetry`]; [`Shutdown`] and [`Fatal`];
//! [`forbid_core_dumps`].
//!
//! **Out of scope.** Routes and their meaning: each server brings its own router. Several routers
//! are merged first and wrapped once, so that one process serves them at one origin. Certificates
//! are read when the server starts; a new one needs a restart. Rates per client are not limited.
//!
//! ```
//! use axum::{Router, routing::post};
//! use waxseal_serve::{Accepts, Chassis, Meter, accepting};
//!
//! async fn echo(body: bytes::Bytes) -> bytes::Bytes {
//!     body
//! }
//!
//! let ca = Router::new().route("/echo", accepting(post(echo), Accepts::json(4096)));
//! let meter = Meter::new();
//! let served = Chassis::new(&meter).wrap(ca.merge(meter.router()));
//! # let _: Router = served;
//! ```
//!
//! **Trust.** Assumes that the process may trust its own router, its configuration and its
//! operator's terminal. Every byte from the network is hostile: sizes and times are bounded before
//! a route sees a request, a panic ends one request and not the process, a page in a browser
//! cannot reach a loopback server through another name, and neither log nor metrics hold a header
//! value, a query or a body. It does not know who the client is: authentication is the route's.

mod accept;
mod budget;
mod causes;
mod chassis;
mod connection;
mod core_dump;
mod door;
mod fatal;
mod health;
mod holding;
mod host;
mod limits;
mod listen;
mod meter;
mod problem;
mod server;
mod shutdown;
mod telemetry;
mod tls;

pub use accept::{
    Accepts, BODY_GRACE, BODY_MIN_RATE, BODY_TOTAL, MAX_DISCARDED, accepting, discard,
};
pub use budget::{Budget, Lease, Taken, client_of};
pub use causes::causes;
pub use chassis::{Chassis, RequestId, UNDECLARED_BODY};
pub use core_dump::forbid_core_dumps;
pub use door::{Door, Front, PreparedProblem};
pub use fatal::{BoxError, Fatal};
pub use health::{Health, NotReady, PROBE_DEADLINE};
pub use host::HostCheck;
pub use limits::Limits;
pub use listen::{Listen, ListenError, Listener};
pub use meter::{Counter, Gauge, Histogram, Label, Labels, Meter};
pub use problem::{Code, Problem};
pub use server::serve;
pub use shutdown::Shutdown;
pub use telemetry::{LogFormat, TelemetryError, telemetry};
