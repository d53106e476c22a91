//! `waxseald broker`: an operator's look into a broker's records.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use waxseal_crypto::{Clock as _, Time};
use waxseal_crypto_aws_lc::SystemClock;
use waxseal_identity::SystemEnvironment;
use waxseal_identity_server::{Administration, Order, OrderDone, OrderError, check_connector};
use waxseal_instance::{BROKER_AUDIT, CONFIG_FILE, DataDir, DataError, Flags, Part, order_running};
use waxseal_store_embedded::{AuditFile, IdentityStore};

use crate::args::{BrokerArgs, BrokerCommand};
use crate::refusal::Refusal;
use crate::say::{self, Table};
use crate::stores::{STATE, cannot_open};
use crate::up::{config_at, world};

/// Does what was asked for.
pub(crate) async fn broker(args: BrokerArgs) -> anyhow::Result<()> {
    match &args.command {
        BrokerCommand::Check { config } => check(&args, config.as_deref()).await,
        _ => operate(args).await,
    }
}

/// What needs the broker's records: of an instance that runs through its socket, or else by
/// ourselves.
async fn operate(args: BrokerArgs) -> anyhow::Result<()> {
    let Some(order) = order(&args.command)? else {
        return Ok(());
    };
    let done = match open(&args.data) {
        Ok(data) => administration(&data)?.carry_out(order).await?,
        Err(Closed::NotThere(refusal)) => return Err(refusal.into()),
        Err(Closed::Data(held @ DataError::InUse { .. })) => {
            match order_running(&args.data, &order).await? {
                Some(done) => done,
                // Something else works on the directory.
                None => return Err(held.into()),
            }
        }
        Err(Closed::Data(error)) => return Err(error.into()),
    };
    show(&args, done)
}

/// The order of a command, if the broker's records are needed for it.
fn order(command: &BrokerCommand) -> anyhow::Result<Option<Order>> {
    Ok(Some(match command {
        BrokerCommand::Check { .. } => return Ok(None),
        BrokerCommand::Users => Order::Users,
        BrokerCommand::Sessions { end: true } => Order::EndSessions,
        BrokerCommand::Sessions { end: false } => Order::Sessions,
        BrokerCommand::Bans => Order::Bans,
        BrokerCommand::Ban { who, reason, days } => {
            let until = days
                .map(|days| Duration::from_secs(u64::from(days.get()) * 24 * 3600))
                .map(|life| SystemClock.now().checked_add(life))
                .map(|end| end.context("the ban would end after the last day there is"))
                .transpose()?;
            Order::Ban {
                who: who.clone(),
                reason: reason.clone(),
                until: until.map(Time::unix_seconds),
            }
        }
        BrokerCommand::Unban { who } => Order::Unban { who: who.clone() },
        BrokerCommand::Unlink { who } => Order::Unlink { who: who.clone() },
    }))
}

/// Prints what came of it.
fn show(args: &BrokerArgs, done: OrderDone) -> anyhow::Result<()> {
    let who = match &args.command {
        BrokerCommand::Ban { who, .. }
        | BrokerCommand::Unban { who }
        | BrokerCommand::Unlink { who } => who.as_str(),
        _ => "",
    };
    match done {
        OrderDone::Users(users) => say::list(
            args.json,
            &users,
            &Table {
                heads: &[
                    "ADDRESS",
                    "LAST TOKEN",
                    "TOKENS",
                    "PROVEN BY",
                    "ACCOUNT",
                    "CONFIRMED UNTIL",
                    "",
                ],
                nothing: "nobody has logged in",
                row: &|user| {
                    vec![
                        user.email.clone(),
                        date(user.last),
                        user.tokens.to_string(),
                        user.connector_id.clone(),
                        user.id.clone(),
                        user.confirmed_until.map(date).unwrap_or_default(),
                        (if user.banned { "banned" } else { "" }).to_owned(),
                    ]
                },
            },
        ),
        OrderDone::Ended(ended) => {
            say::done(args.json, &format!("{ended} records of log-ins are gone"))
        }
        OrderDone::Sessions(sessions) => say::list(
            args.json,
            &sessions,
            &Table {
                heads: &["BEGUN", "ENDS", "CLIENT", "ANSWER", "ADDRESS"],
                nothing: "no log-in is under way",
                row: &|session| {
                    vec![
                        date(session.begun),
                        date(session.expires),
                        session.client_id.clone(),
                        session.answer.as_str().to_owned(),
                        session.email.clone().unwrap_or_default(),
                    ]
                },
            },
        ),
        OrderDone::Bans(bans) => say::list(
            args.json,
            &bans,
            &Table {
                heads: &["WHO", "SINCE", "UNTIL", "WHY"],
                nothing: "nobody is banned",
                row: &|ban| {
                    vec![
                        ban.target.clone(),
                        date(ban.since),
                        ban.until.map_or_else(|| "for good".to_owned(), date),
                        ban.reason.clone().unwrap_or_default(),
                    ]
                },
            },
        ),
        OrderDone::Banned => say::done(args.json, &format!("{who} is banned")),
        OrderDone::Unbanned(lifted) => {
            if !lifted {
                let text = format!("{who} is not banned");
                return Err(Refusal::new("not_banned", text).into());
            }
            say::done(args.json, &format!("{who} may log in again"))
        }
        OrderDone::Unlinked(count) => {
            if count == 0 {
                let text = format!("{who}: no account there has confirmed an address");
                return Err(Refusal::new("not_linked", text).into());
            }
            say::done(
                args.json,
                &format!("{count} accounts confirm their address anew"),
            )
        }
        _ => anyhow::bail!(OrderError::NotAnAnswer),
    }
}

/// Tries every provider of a configuration. The instance may run meanwhile, or not be there yet.
async fn check(args: &BrokerArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let path = config.map_or_else(|| args.data.join(CONFIG_FILE), Path::to_path_buf);
    let settings = config_at(&path)?.settle(Flags::default())?;
    if settings.connectors.is_empty() {
        let text = format!(
            "{} has no [[connectors]]: people log in by e-mail code alone",
            path.display()
        );
        return Err(Refusal::new("no_connectors", text).into());
    }
    let world = world()?;
    let (mut checks, issuer) = (Vec::new(), settings.issuer());
    for connector in &settings.connectors {
        let found = check_connector(
            connector,
            &issuer,
            &SystemEnvironment,
            Arc::clone(&world.transport),
            world.provider,
            &*world.random,
            world.clock.now(),
        );
        checks.push(found.await);
    }
    say::checks(args.json, &checks)?;
    let failed = checks.iter().filter(|check| !check.passed()).count();
    if failed > 0 {
        let text = format!(
            "at {failed} of {} providers nobody can log in",
            checks.len()
        );
        return Err(Refusal::told("providers_fail", text).into());
    }
    Ok(())
}

/// Why a directory was not opened.
enum Closed {
    NotThere(Refusal),
    Data(DataError),
}

/// The directory of an instance that is there: looking makes none.
fn open(path: &Path) -> Result<DataDir, Closed> {
    let state = path.join("broker").join(STATE);
    if !state.exists() {
        let text = format!(
            "no instance has run on {}: --data names its directory",
            path.display()
        );
        return Err(Closed::NotThere(Refusal::new("no_instance", text)));
    }
    DataDir::open(path).map_err(Closed::Data)
}

fn administration(data: &DataDir) -> anyhow::Result<Administration> {
    let folder = data.make(Part::Broker)?;
    let (state, audit) = (folder.join(STATE), folder.join(BROKER_AUDIT));
    let store = IdentityStore::open(&state).with_context(|| cannot_open(&state))?;
    let audit = AuditFile::open(&audit).with_context(|| cannot_open(&audit))?;
    Ok(Administration::new(
        Arc::new(store),
        Arc::new(SystemClock),
        Arc::new(audit),
    ))
}

fn date(seconds: i64) -> String {
    Time::from_unix(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}
