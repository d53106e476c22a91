//! The audit log: one JSON object a line for each event that matters to security.

use std::error::Error;
use std::net::IpAddr;

use serde::Serialize;
use waxseal_crypto::{Digest, Time, sha256};

use crate::limits::peer_name;

/// Where audit lines go.
///
/// **Content.** A line is one JSON object in UTF-8 without line breaks. It holds no code, no token,
/// no secret and no address: an address is its digest, so that the lines of one person are found
/// by who knows the address.
///
/// **Durability.** A line that was answered `Ok` outlives the process; it need not outlive the
/// loss of power. Order is that of the calls.
///
/// **Failure.** The broker goes on, says so in its own log, and counts
/// `waxseal_broker_audit_failures`: who fills a disk must not be able to lock everybody out.
pub trait AuditLog: Send + Sync {
    /// Appends a line, to which a line break is added.
    ///
    /// # Errors
    /// [`AuditError`].
    fn append(&self, line: &str) -> Result<(), AuditError>;
}

/// A line was not written.
#[derive(Debug, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct AuditError(#[source] pub Box<dyn Error + Send + Sync>);

/// No audit log: lines go to the process's log alone, under the target `audit`.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::exhaustive_structs, reason = "it holds nothing")]
pub struct NoAuditLog;

impl AuditLog for NoAuditLog {
    fn append(&self, _: &str) -> Result<(), AuditError> {
        Ok(())
    }
}

/// What a line says.
#[derive(Debug, Default)]
pub(crate) struct Entry<'a> {
    pub(crate) event: &'static str,
    /// Becomes a digest.
    pub(crate) address: Option<&'a str>,
    /// An account's id, as `waxseald broker users` lists it.
    pub(crate) account: Option<&'a str>,
    pub(crate) connector: Option<&'a str>,
    pub(crate) client: Option<&'a str>,
    pub(crate) peer: Option<IpAddr>,
    /// Whether an operator did it, in another process.
    pub(crate) by_operator: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    by_operator: bool,
}

impl Entry<'_> {
    /// The line.
    pub(crate) fn line(&self, now: Time) -> String {
        let line = Line {
            time: now.truncated_to_second().to_string(),
            event: self.event,
            address: self.address.map(address_digest),
            account: self.account,
            connector: self.connector,
            client: self.client,
            peer: self.peer.map(|peer| peer_name(Some(peer))),
            by_operator: self.by_operator,
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// How audit lines name an address: 64 bits of its digest, in hex.
pub fn address_digest(address: &str) -> String {
    let digest = Digest::from(sha256(address.as_bytes())).to_hex();
    digest.get(..16).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_and_names_no_address() {
        let entry = Entry {
            event: "granted",
            address: Some("you@example.com"),
            connector: Some("https://x.example/\n\"\u{2028}"),
            peer: "2001:db8:1:2:3:4:5:6".parse().ok(),
            ..Entry::default()
        };
        let line = entry.line(Time::from_unix(1_767_225_600).unwrap());
        assert!(!line.contains('\n') && !line.contains("you@"), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "time": "2026-01-01T00:00:00Z",
                "event": "granted",
                "address": address_digest("you@example.com"),
                "connector": "https://x.example/\n\"\u{2028}",
                "peer": "2001:db8:1:2::/64",
            })
        );
    }
}
