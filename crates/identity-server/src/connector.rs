//! Ways to prove who one is. Each is a room of its own, and ends in the same
//! [`crate::records::Proven`] address under its own connector id; accounts are never merged.

mod config;
mod email;
pub(crate) mod provider;

pub use config::{ConnectorConfig, ConnectorKind, UserinfoNames};

pub(crate) use provider::Next;

pub(crate) use config::{EVERYBODY, is_tenant};

use crate::records::Login;
use crate::service::Service;
use crate::upstream::Upstream;

/// Where a log-in goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// To the page that asks for the address.
    Email,
    /// To the provider of this name.
    Provider(&'a str),
    /// To the page with a button for each.
    Choice,
}

impl Service {
    /// The id under which addresses proven by e-mail code are named: the issuer itself.
    pub(crate) fn email_connector_id(&self) -> &str {
        &self.config.issuer
    }

    /// Whether a client may ask for this connector.
    pub(crate) fn has_connector(&self, id: &str) -> bool {
        let email = self.config.has_email_login() && id == self.email_connector_id();
        email || self.upstreams.iter().any(|u| u.config.connector_id() == id)
    }

    pub(crate) fn upstream(&self, name: &str) -> Option<&Upstream> {
        self.upstreams.iter().find(|u| u.config.name() == name)
    }

    /// A connector's name for people.
    pub(crate) fn label_of(&self, name: &str) -> String {
        let upstream = self.upstream(name);
        upstream.map_or_else(|| name.to_owned(), |u| u.config.label().to_owned())
    }

    /// The same by its id.
    pub(crate) fn label_of_id(&self, connector_id: &str) -> String {
        let named = |upstream: &&Upstream| upstream.config.connector_id() == connector_id;
        let upstream = self.upstreams.iter().find(named);
        upstream.map_or_else(|| connector_id.to_owned(), |u| u.config.label().to_owned())
    }

    /// Where people go who have not chosen: to the only way in, or to the choice.
    pub(crate) fn entry(&self) -> Entry<'_> {
        match (self.config.has_email_login(), self.upstreams.as_slice()) {
            (true, []) => Entry::Email,
            (false, [only]) => Entry::Provider(only.config.name()),
            _ => Entry::Choice,
        }
    }

    /// Where a client sends them that names the connector (`connector_id`).
    pub(crate) fn entry_of(&self, connector_id: &str) -> Entry<'_> {
        let named = |upstream: &&Upstream| upstream.config.connector_id() == connector_id;
        match self.upstreams.iter().find(named) {
            Some(upstream) => Entry::Provider(upstream.config.name()),
            None if self.config.has_email_login() => Entry::Email,
            None => self.entry(),
        }
    }

    /// Whether the person is shown once more who signs before the program learns it: where that
    /// becomes public, and wherever nobody was asked before. A provider may let people through
    /// without a word, and then a link alone would get a code for whoever waits for it: on a page
    /// to be copied (CVE-2022-39222), or on a port of a machine that others use too (RFC 8252
    /// §8.6).
    pub(crate) const fn wants_confirmation(&self, login: &Login) -> bool {
        self.config.public_log || login.device.is_none()
    }
}
