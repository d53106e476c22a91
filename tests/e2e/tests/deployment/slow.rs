//! Services that take their time: the client does not.
//!
//! Time is tokio's and stands still: it goes on to the next timer when nothing else is left to do.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use tokio::time::Instant;
use waxseal_crypto::SignatureAlgorithm;
use waxseal_instance::{Nowhere, RouterTransport};
use waxseal_serve::HostCheck;
use waxseal_sign::SigningError;
use waxseal_tests_e2e::{Client, e2e};
use waxseal_transport::{Transport, TransportError};

use crate::assert_error;
use crate::common::{ARTIFACT, CA, LOG, TSA, own_key, payload};

/// All attempts together, whatever the deadline of one.
const TOTAL: Duration = Duration::from_secs(60);

/// What comes of a signing when the service at `path` never answers, and how long it takes.
fn never_answered(path: &'static str) -> (SigningError, Duration) {
    let mut came = None;
    e2e(async |deployment| {
        let instance = &deployment.instance;
        let port = instance.url().url().port().unwrap();
        let silent = any(std::future::pending::<()>);
        let honest = instance.router(HostCheck::loopback(port, false));
        let router = Router::new().route(path, silent).fallback_service(honest);
        let url = instance.url().url();
        let transport: Arc<dyn Transport> =
            Arc::new(RouterTransport::new(url, router, Arc::new(Nowhere)));
        let token = deployment.log_in(&deployment.somebody()).await;
        let client = Client::of(deployment);
        came = Some(
            std::thread::scope(|scope| {
                let run = || paused(signing(&client, &*transport, path == CA, token));
                scope.spawn(run).join()
            })
            .unwrap(),
        );
    });
    came.unwrap()
}

async fn signing(
    client: &Client,
    transport: &dyn Transport,
    with_identity: bool,
    token: waxseal_identity::IdentityToken,
) -> (SigningError, Duration) {
    let started = Instant::now();
    let context = client.context(transport);
    let session = if with_identity {
        context.certify(token).await
    } else {
        context.with_key(own_key(SignatureAlgorithm::EcdsaP256Sha256))
    };
    let outcome = match session {
        Ok(session) => session.sign(&payload(&session, ARTIFACT)).await.map(drop),
        Err(error) => Err(error),
    };
    (outcome.unwrap_err(), started.elapsed())
}

fn paused<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

#[test]
fn no_service_is_waited_for_longer_than_a_minute() {
    let (error, took) = never_answered(CA);
    assert_error!(error, SigningError::CertificateAuthority { source, .. }
        if matches!(**source, TransportError::Deadline { .. }));
    assert!(took <= TOTAL, "{took:?}");

    let (error, took) = never_answered(TSA);
    assert_error!(error, SigningError::Timestamp { source, .. }
        if matches!(**source, TransportError::Deadline { .. }));
    assert!(took <= TOTAL, "{took:?}");

    let (error, took) = never_answered(LOG);
    assert_error!(error, SigningError::Log { source, .. }
        if matches!(**source, TransportError::Deadline { .. }));
    assert!(took <= TOTAL, "{took:?}");
}
