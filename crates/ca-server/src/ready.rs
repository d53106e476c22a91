//! Whether certificates can be issued now, and the background work that keeps it so.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use waxseal_crypto::Time;
use waxseal_serve::{Health, NotReady};

use crate::problem::causes;
use crate::service::Service;

/// How often keys and log are looked after when all is well, and when it is not.
const WELL: Duration = Duration::from_secs(30);
const UNWELL: Duration = Duration::from_millis(250);

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How many days before the end of the chain a warning is given.
const WARN_DAYS: [u32; 3] = [90, 30, 7];

/// The probes.
pub(crate) fn health(service: &Arc<Service>) -> Health {
    let authority = Arc::clone(service);
    let log = Arc::clone(service);
    Health::new()
        .probe("authority", move || {
            let alive = authority.authority.is_alive(authority.clock.now());
            let reason = "a certificate of the chain is not valid for as long as a leaf lives";
            std::future::ready(alive.then_some(()).ok_or(NotReady(reason)))
        })
        .probe("ct-log", move || {
            let answers = log.ct_answers.load(Ordering::Relaxed);
            let reason = "the certificate transparency log does not answer";
            std::future::ready(answers.then_some(()).ok_or(NotReady(reason)))
        })
}

/// Looks after keys, log and chain for ever.
pub(crate) async fn watch(service: &Service) -> Infallible {
    loop {
        let pause = tend(service).await;
        service.transport.sleep(pause).await;
    }
}

async fn tend(service: &Service) -> Duration {
    let now = service.clock.now();
    warn_of_end(service, now);
    let asked = service.ct.answers().await;
    let answers = asked.is_ok();
    service.ct_answers.store(answers, Ordering::Relaxed);
    // Told once, however long it lasts.
    let told = service.ct_silence_told.swap(!answers, Ordering::Relaxed);
    match asked {
        Ok(()) if told => tracing::info!("the CT log answers again"),
        Err(error) if !told => {
            tracing::error!(cause = causes(&error), "the CT log does not answer");
        }
        _ => {}
    }
    // An issuer that is down keeps nobody but its own users from working: it is not unreadiness.
    for (issuer, error) in service.tokens.refresh(now).await {
        tracing::warn!(
            issuer,
            cause = causes(&error),
            "the issuer's keys are not at hand"
        );
    }
    if answers { WELL } else { UNWELL }
}

fn warn_of_end(service: &Service, now: Time) {
    let Some(end) = service.authority.ends() else {
        return;
    };
    let left = end.saturating_since(now);
    let passed = WARN_DAYS.iter().filter(|days| left < DAY * **days).count();
    let passed = u8::try_from(passed).unwrap_or(u8::MAX);
    if service.warned.swap(passed, Ordering::Relaxed) < passed {
        tracing::warn!(%end, "a certificate of the authority's chain ends soon");
    }
}
