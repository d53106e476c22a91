//! Sending again what nobody answered.

use waxseal_formats::TransparencyLogEntry;

use crate::{ENTRIES, Entry, Outcome, Server, text};

/// What was not acknowledged is wholly there or not at all: sent again, it is either new or known.
/// Its index, and whether it was known.
///
/// # Errors
/// It is neither.
pub async fn send_again(server: &mut Server, entry: &Entry) -> Outcome<(u64, bool)> {
    let answer = server.0.post(ENTRIES, &entry.request).await;
    let answer = answer.map_err(text)?;
    let index = match answer.status {
        201 => TransparencyLogEntry::from_json(&answer.body)
            .ok()
            .and_then(|entry| u64::try_from(entry.log_index).ok()),
        409 => answer
            .header("x-log-index")
            .and_then(|index| index.parse().ok()),
        status => return Err(format!("{status}: {}", answer.text())),
    };
    let index = index.ok_or_else(|| format!("no index in {}", answer.text()))?;
    Ok((index, answer.status == 409))
}
