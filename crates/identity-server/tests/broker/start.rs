//! Starting, and starting again.

use std::sync::Arc;

use waxseal_identity_server::{ConfigError, StartError};
use waxseal_serve::Shutdown;

use crate::world::{MemoryStore, on_store, outbox, smtp, world};

#[tokio::test]
async fn config() {
    let mut bad = outbox();
    bad.issuer = "https://id.example/auth".to_owned();
    let found = on_store(bad, Arc::default()).await;
    assert!(matches!(
        found.err(),
        Some(StartError::Config(ConfigError::OutboxNotLoopback))
    ));
}

#[tokio::test]
async fn mail_mode_changed() {
    for (first, second, expected) in [(outbox(), smtp(), "outbox"), (smtp(), outbox(), "smtp")] {
        let store = Arc::<MemoryStore>::default();
        on_store(first.clone(), Arc::clone(&store)).await.unwrap();
        on_store(first, Arc::clone(&store)).await.unwrap();
        let Some(StartError::MailModeChanged { born }) = on_store(second, store).await.err() else {
            panic!("{expected}");
        };
        assert_eq!(born, expected);
    }
}

#[tokio::test]
async fn store() {
    let store = Arc::<MemoryStore>::default();
    *store.broken.lock().unwrap() = true;
    assert!(matches!(
        on_store(outbox(), store).await.err(),
        Some(StartError::Store(_))
    ));
}

#[tokio::test]
async fn health_follows_the_store() {
    let world = world(outbox()).await;
    assert!(world.server.health().ready().await.is_ok());
    *world.store.broken.lock().unwrap() = true;
    assert!(world.server.health().ready().await.is_err());
}

#[tokio::test]
async fn the_background_work_ends_at_shutdown() {
    let world = world(outbox()).await;
    let shutdown = Shutdown::new();
    shutdown.trigger();
    assert!(world.server.run(shutdown).await.is_ok());
}

#[tokio::test]
async fn exchange() {
    let mut twice = smtp();
    let issuer = waxseal_identity_server::ExchangeIssuer::new("https://ci.example");
    twice.token_exchange = vec![issuer.clone(), issuer];
    let found = on_store(twice, Arc::default()).await;
    assert!(matches!(found.err(), Some(StartError::Exchange(_))));
}
