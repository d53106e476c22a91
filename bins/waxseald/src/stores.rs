//! The embedded stores of every role, in the data directory.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use waxseal_identity_server::Mailer;
use waxseal_identity_server::mail::SmtpMailer;
use waxseal_instance::{
    BROKER_AUDIT, BROKER_KEYS, BrokerStores, DataDir, LogStores, Part, Settings, Stores,
};
use waxseal_store_embedded::{
    AuditFile, IdentityKeys, IdentityStore, LogLedger, LogObjects, Outbox,
};

use crate::say;

/// The file that each role keeps its records in.
pub(crate) const STATE: &str = "state.redb";

/// Opens them all; makes those that are not there.
pub(crate) fn open(data: &DataDir, settings: &Settings) -> anyhow::Result<Stores> {
    let broker = data.make(Part::Broker)?.join(STATE);
    let broker = IdentityStore::open(&broker).with_context(|| cannot_open(&broker))?;
    let keys = data.make(Part::Keys)?.join(BROKER_KEYS);
    let keys = IdentityKeys::open(&keys).with_context(|| cannot_open(&keys))?;
    let audit = data.make(Part::Broker)?.join(BROKER_AUDIT);
    let audit = AuditFile::open(&audit).with_context(|| cannot_open(&audit))?;
    Ok(Stores {
        broker: BrokerStores {
            records: Arc::new(broker),
            keys: Arc::new(keys),
            audit: Arc::new(audit),
            mailer: mailer(data, settings)?,
        },
        log: log(&data.make(Part::Log)?)?,
        ct: log(&data.make(Part::CtLog)?)?,
    })
}

/// Opens a log's.
pub(crate) fn log(folder: &Path) -> anyhow::Result<LogStores> {
    let (state, tiles) = (folder.join(STATE), folder.join("tiles"));
    let ledger = LogLedger::open(&state).with_context(|| cannot_open(&state))?;
    let objects = LogObjects::open(&tiles).with_context(|| cannot_open(&tiles))?;
    Ok(LogStores {
        ledger: Arc::new(ledger),
        objects: Arc::new(objects),
    })
}

fn mailer(data: &DataDir, settings: &Settings) -> anyhow::Result<Arc<dyn Mailer>> {
    if let Some(smtp) = settings.smtp_config() {
        return Ok(Arc::new(SmtpMailer::new(&smtp).context("the mail server")?));
    }
    let folder = data.make(Part::Outbox)?;
    let outbox = Outbox::new(&folder, |mail| {
        // Whoever reads a terminal is at the machine; a file of the log may be read by others.
        if std::io::stdout().is_terminal() {
            say::code(mail.to, mail.code.grouped().as_str());
        }
    });
    Ok(Arc::new(outbox.with_context(|| cannot_open(&folder))?))
}

/// What was being done when a store was not opened.
pub(crate) fn cannot_open(path: &Path) -> String {
    format!("cannot open {}", path.display())
}
