//! The broker's domain, without HTTP: what each step takes, and how it ends.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use waxseal_crypto::{RandomError, Time};
use waxseal_identity::TokenVerifier;
use waxseal_serve::{Counter, Label, Meter, causes};

use crate::audit::Entry;
use crate::config::ConfigError;
use crate::limits::LINES_ABOUT_LIMITS;
use crate::upstream::{Upstream, UpstreamError};
use crate::{Config, ConnectorConfig, Context, MailError, Rotation, Slot, StartError, StoreError};

/// Configuration, the world, and counters.
pub(crate) struct Service {
    pub(crate) config: Config,
    /// The providers, in the order of the configuration.
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) context: Context,
    pub(crate) counters: Counters,
    /// Verifies the tokens that workloads bring.
    pub(crate) issuers: TokenVerifier,
    /// How many lines about limits there were.
    lines: Mutex<Slot>,
}

pub(crate) struct Counters {
    pub(crate) logins: Counter<LoginEvent>,
    pub(crate) tokens: Counter<TokenEvent>,
    pub(crate) audit_failures: Counter<()>,
}

/// A step of a log-in, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginEvent {
    Begun,
    CodeSent,
    MailFailed,
    WrongCode,
    Locked,
    Limited,
    Banned,
    NotAdmitted,
    /// Sent to a provider.
    Sent,
    /// A provider, or its account, lets nobody in.
    ProviderRefused,
    Granted,
    DeviceBegun,
    WrongUserCode,
    DeviceGranted,
    DeviceDenied,
}

impl Label for LoginEvent {
    const NAME: &'static str = "event";

    fn value(&self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::CodeSent => "code_sent",
            Self::MailFailed => "mail_failed",
            Self::WrongCode => "wrong_code",
            Self::Locked => "locked",
            Self::Limited => "limited",
            Self::Banned => "banned",
            Self::NotAdmitted => "not_admitted",
            Self::Sent => "sent",
            Self::ProviderRefused => "provider_refused",
            Self::Granted => "granted",
            Self::DeviceBegun => "device_begun",
            Self::WrongUserCode => "wrong_user_code",
            Self::DeviceGranted => "device_granted",
            Self::DeviceDenied => "device_denied",
        }
    }
}

/// An answer of the token endpoint, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenEvent {
    Issued,
    Pending,
    Refused,
    Replayed,
}

impl Label for TokenEvent {
    const NAME: &'static str = "event";

    fn value(&self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::Replayed => "replayed",
        }
    }
}

impl Counters {
    pub(crate) fn register(meter: &Meter) -> Self {
        Self {
            logins: meter.counter("waxseal_broker_logins", "Steps of log-ins"),
            tokens: meter.counter("waxseal_broker_tokens", "Answers of the token endpoint"),
            audit_failures: meter.counter(
                "waxseal_broker_audit_failures",
                "Audit lines that were not written",
            ),
        }
    }
}

/// Ours, not the client's: the cause goes to the log, the client learns nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Sign(#[from] waxseal_identity::JwsSignError),
}

/// Why a step of a log-in is refused. Each has a page that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// No such log-in: never begun, finished, or expired.
    #[error("no such log-in")]
    UnknownLogin,
    /// The browser is not the one that began it.
    #[error("another browser")]
    OtherBrowser,
    #[error("not a plain e-mail address")]
    BadAddress,
    /// The log-in is for a device, and its owner has not agreed to that.
    #[error("not confirmed")]
    NotConfirmed,
    /// Not eight letters, nor twelve; it costs no attempt.
    #[error("not a device's code")]
    NotAUserCode,
    #[error("wrong device code")]
    WrongUserCode,
    /// Too many log-ins, or visits to providers, were begun from this client.
    #[error("too many log-ins")]
    TooManyLogins { retry: Duration },
    /// Too many wrong device codes from this client.
    #[error("too many wrong device codes")]
    TooManyUserCodes { retry: Duration },
    /// So many wrong device codes in all that short ones count no more.
    #[error("short device codes count no more")]
    ShortUserCode,
    /// The device has its answer already, or waits no longer.
    #[error("the device waits no longer")]
    DeviceGone,
    /// Too many codes, or too soon.
    #[error("too many codes")]
    TooManyCodes { retry: Duration },
    /// Too many wrong codes, for this address, or from this client.
    #[error("too many wrong codes")]
    TooManyFailures { retry: Duration },
    /// So many wrong codes in all that short ones count no more.
    #[error("short codes count no more")]
    ShortCode,
    /// No code is waiting: none was asked for, or it is void or expired.
    #[error("no code is waiting")]
    NoCode,
    /// Not as many digits as the code has; it costs no attempt.
    #[error("not a code")]
    NotACode,
    #[error("wrong code")]
    WrongCode { attempts_left: u32 },
    /// No provider of this name.
    #[error("no such provider")]
    UnknownProvider,
    /// An answer that one provider's redirect brings to another's (RFC 9700 §4.4).
    #[error("the answer belongs to a log-in at another provider")]
    OtherProvider,
    /// The person has proven nothing yet.
    #[error("nothing is proven")]
    NotProven,
    /// The provider, or its account, lets nobody in.
    #[error("{}", .0.error)]
    Upstream(Box<ProviderRefusal>),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Who let nobody in, and why.
#[derive(Debug)]
pub(crate) struct ProviderRefusal {
    /// The connector's name in URLs.
    pub(crate) connector: String,
    /// Its name for people.
    pub(crate) label: String,
    pub(crate) error: UpstreamError,
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<RandomError> for Refusal {
    fn from(error: RandomError) -> Self {
        Self::Fault(error.into())
    }
}

/// An error with its causes goes to the log, on one line.
pub(crate) fn log_cause(what: &'static str, error: &dyn std::error::Error) {
    tracing::error!(cause = causes(error), "{what}");
}

impl Service {
    pub(crate) fn new(config: Config, context: Context) -> Result<Arc<Self>, StartError> {
        let upstream = |connector: &ConnectorConfig| {
            Upstream::new(
                connector.clone(),
                &config.issuer,
                &*context.environment,
                Arc::clone(&context.transport),
                context.provider,
            )
        };
        let upstreams = config.connectors.iter().map(upstream);
        let rows = config.token_exchange.iter();
        let issuers = rows.map(|row| row.issuer_config(&config.issuer)).collect();
        let transport = Arc::clone(&context.transport);
        Ok(Arc::new(Self {
            upstreams: upstreams.collect::<Result<_, ConfigError>>()?,
            counters: Counters::register(&context.meter),
            issuers: TokenVerifier::new(context.provider, transport, issuers)?,
            lines: Mutex::default(),
            config,
            context,
        }))
    }

    /// Changes the signing keys if that is due. A failure changes nothing, and the next minute
    /// tries again.
    pub(crate) async fn turn_keys(&self) {
        match self.context.keys.turn(self.now()).await {
            Ok(Rotation::NotDue) => {}
            Ok(done) => {
                let event = match done {
                    Rotation::Rotated => "key_rotated",
                    _ => "key_announced",
                };
                self.record(&Entry {
                    event,
                    ..Entry::default()
                });
            }
            Err(error) => log_cause("the signing keys were not changed", &error),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.context.clock.now()
    }

    /// A step of a log-in: one line for the operator, and one more in the counter.
    pub(crate) fn audit(&self, event: LoginEvent, address: &str, peer: Option<IpAddr>) {
        self.counters.logins.add(event, 1);
        self.record(&Entry {
            event: event.value(),
            address: Some(address).filter(|address| !address.is_empty()),
            peer,
            ..Entry::default()
        });
    }

    /// The same for one that a limit refused; the counter has them all, the audit log the first
    /// ones of each hour.
    pub(crate) fn audit_limited(&self, address: &str, peer: Option<IpAddr>) {
        let taken = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            LINES_ABOUT_LIMITS.take(Some(&mut lines), self.now())
        };
        match taken {
            Ok(()) => self.audit(LoginEvent::Limited, address, peer),
            Err(_) => self.counters.logins.add(LoginEvent::Limited, 1),
        }
    }

    /// Writes an audit line.
    pub(crate) fn record(&self, entry: &Entry<'_>) {
        let line = entry.line(self.now());
        tracing::info!(target: "audit", "{line}");
        if let Err(error) = self.context.audit.append(&line) {
            self.counters.audit_failures.add((), 1);
            log_cause("no audit line", &error);
        }
    }
}
