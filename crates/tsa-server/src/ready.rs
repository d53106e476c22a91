//! Whether tokens can be made now, and for how long still.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use waxseal_pki::Certificate;
use waxseal_serve::{Health, NotReady};

use crate::service::Service;

/// How often the end of the chain is looked at.
const PAUSE: Duration = Duration::from_secs(3600);

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How many days before the end of the chain a warning is given.
const WARN_DAYS: [u32; 3] = [90, 30, 7];

/// The probes.
pub(crate) fn health(service: &Arc<Service>) -> Health {
    let (chain, clock) = (Arc::clone(service), Arc::clone(service));
    Health::new()
        .probe("timestamp-certificate", move || {
            let valid = chain.check_validity(chain.clock.now());
            let reason = "a certificate of the timestamp authority's chain is not valid";
            std::future::ready(valid.map_err(|_| NotReady(reason)))
        })
        .probe("timestamp-clock", move || {
            let steady = clock.steady.check(clock.clock.now());
            let reason = "the clock is behind the last timestamp";
            std::future::ready(steady.map_err(|_| NotReady(reason)))
        })
}

/// Looks after the end of the chain for ever.
pub(crate) async fn watch(service: &Service) -> Infallible {
    loop {
        warn_of_end(service);
        tokio::time::sleep(PAUSE).await;
    }
}

fn warn_of_end(service: &Service) {
    let Some(end) = service.certificates().map(Certificate::not_after).min() else {
        return;
    };
    let left = end.saturating_since(service.clock.now());
    service
        .days_left
        .set((), (left.as_secs_f64() / DAY.as_secs_f64()).floor());
    let passed = WARN_DAYS.iter().filter(|days| left < DAY * **days).count();
    let passed = u8::try_from(passed).unwrap_or(u8::MAX);
    if service.warned.swap(passed, Ordering::Relaxed) < passed {
        tracing::warn!(%end, "a certificate of the timestamp authority's chain ends soon");
    }
}
