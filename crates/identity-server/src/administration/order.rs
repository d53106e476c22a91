//! An operator's orders by the line, for a broker that runs in another process.

use serde::{Deserialize, Serialize};
use waxseal_crypto::Time;
use waxseal_serve::causes;

use super::{Account, Administration, Ban, LoginSession};
use crate::{BanTarget, StoreError};

/// Most bytes of an order: an address, and a reason of some lines.
pub const MAX_ORDER: usize = 16 * 1024;

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Order {
    /// [`Administration::users`].
    Users,
    /// [`Administration::sessions`].
    Sessions,
    /// [`Administration::end_sessions`].
    EndSessions,
    /// [`Administration::bans`].
    Bans,
    /// [`Administration::ban`].
    Ban {
        /// Whom.
        who: BanTarget,
        /// Why, in the operator's words.
        reason: Option<String>,
        /// Seconds since the epoch when it ends; `None` for never.
        until: Option<i64>,
    },
    /// [`Administration::unban`].
    Unban {
        /// Whom.
        who: BanTarget,
    },
    /// [`Administration::unlink`].
    Unlink {
        /// Which account, or which address of any.
        who: BanTarget,
    },
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OrderDone {
    /// Who has been given tokens.
    Users(Vec<Account>),
    /// Log-ins under way.
    Sessions(Vec<LoginSession>),
    /// How many records of log-ins are gone.
    Ended(u64),
    /// Bans that stand.
    Bans(Vec<Ban>),
    /// The ban stands.
    Banned,
    /// Whether there was a ban to lift.
    Unbanned(bool),
    /// How many accounts stood for an address, and do no more.
    Unlinked(u64),
}

/// Why an order came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The line is no order that this version knows, or is too long.
    #[error("the running broker does not know this order: is it of another version?")]
    NotAnOrder,
    /// The broker's store failed; its log says why. The order may have been carried out.
    #[error("the running broker's store failed, and its log says why")]
    Store,
    /// What came back is no answer that this version knows.
    #[error("the running broker's answer is not understood: is it of another version?")]
    NotAnAnswer,
}

/// The line that goes back.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Answer {
    Done(OrderDone),
    Refused(Refused),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refused {
    NotAnOrder,
    Store,
}

impl Order {
    /// The order as one line, its end included.
    pub fn line(&self) -> String {
        line(self)
    }
}

impl OrderDone {
    /// Reads the line that [`Administration::answer`] has made.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn parse(line: &[u8]) -> Result<Self, OrderError> {
        match serde_json::from_slice(line) {
            Ok(Answer::Done(done)) => Ok(done),
            Ok(Answer::Refused(Refused::NotAnOrder)) => Err(OrderError::NotAnOrder),
            Ok(Answer::Refused(Refused::Store)) => Err(OrderError::Store),
            Err(_) => Err(OrderError::NotAnAnswer),
        }
    }
}

impl Administration {
    /// Carries an order out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn carry_out(&self, order: Order) -> Result<OrderDone, StoreError> {
        Ok(match order {
            Order::Users => OrderDone::Users(self.users().await?),
            Order::Sessions => OrderDone::Sessions(self.sessions().await?),
            Order::EndSessions => OrderDone::Ended(self.end_sessions().await?),
            Order::Bans => OrderDone::Bans(self.bans().await?),
            Order::Ban { who, reason, until } => {
                let until = until.and_then(|end| Time::from_unix(end).ok());
                self.ban(&who, reason.as_deref(), until).await?;
                OrderDone::Banned
            }
            Order::Unban { who } => OrderDone::Unbanned(self.unban(&who).await?),
            Order::Unlink { who } => OrderDone::Unlinked(self.unlink(&who).await?),
        })
    }

    /// Carries out an order that came as a line, and answers with one. Whoever can send one is
    /// trusted as an operator; the line itself is not.
    pub async fn answer(&self, order: &[u8]) -> String {
        let parsed = (order.len() <= MAX_ORDER)
            .then(|| serde_json::from_slice(order).ok())
            .flatten();
        line(&match parsed {
            None => Answer::Refused(Refused::NotAnOrder),
            Some(order) => match self.carry_out(order).await {
                Ok(done) => Answer::Done(done),
                Err(error) => {
                    let cause = causes(&error);
                    tracing::error!(cause, "an operator's order failed");
                    Answer::Refused(Refused::Store)
                }
            },
        })
    }
}

/// JSON of our own types has no line breaks, and always serialises.
fn line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}
