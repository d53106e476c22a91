//! The embedded stores of the broker, in the data directory.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use waxseal_identity_server::Mailer;
use waxseal_identity_server::mail::SmtpMailer;
use waxseal_instance::{BROKER_AUDIT, BROKER_KEYS, BrokerStores, DataDir, Part, Settings};
use waxseal_store_embedded::{AuditFile, IdentityKeys, IdentityStore, Outbox};

/// Opens them; makes those that are not there.
pub(crate) fn open(data: &DataDir, settings: &Settings) -> anyhow::Result<BrokerStores> {
    let records = data.make(Part::Broker)?.join("state.redb");
    let keys = data.make(Part::Keys)?.join(BROKER_KEYS);
    let audit = data.make(Part::Broker)?.join(BROKER_AUDIT);
    let outbox = data.make(Part::Outbox)?;
    let mailer: Arc<dyn Mailer> = match settings.smtp_config() {
        Some(smtp) => Arc::new(SmtpMailer::new(&smtp).context("the mail server")?),
        None => Arc::new(Outbox::new(&outbox, |_| {}).with_context(|| named(&outbox))?),
    };
    Ok(BrokerStores {
        records: Arc::new(IdentityStore::open(&records).with_context(|| named(&records))?),
        keys: Arc::new(IdentityKeys::open(&keys).with_context(|| named(&keys))?),
        audit: Arc::new(AuditFile::open(&audit).with_context(|| named(&audit))?),
        mailer,
    })
}

fn named(path: &Path) -> String {
    format!("cannot open {}", path.display())
}
