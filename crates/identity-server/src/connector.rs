//! Ways to prove who one is. Each is a room of its own, and ends in the same
//! [`crate::records::Proven`] address under its own connector id; accounts are never merged.

mod config;
mod email;

pub use config::{ConnectorConfig, ConnectorKind, UserinfoNames};

pub(crate) use config::EVERYBODY;

use crate::service::Service;

impl Service {
    /// The id under which addresses proven by e-mail code are named: the issuer itself.
    pub(crate) fn email_connector_id(&self) -> &str {
        &self.config.issuer
    }

    /// Whether a client may ask for this connector.
    pub(crate) fn has_connector(&self, id: &str) -> bool {
        self.config.has_email_login() && id == self.email_connector_id()
    }
}
