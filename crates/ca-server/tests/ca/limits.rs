//! Rates, queues, deadlines, the end of the chain, and readiness.

use std::sync::Arc;

use waxseal_ca_server::Rate;
use waxseal_crypto::{BoxFuture, Input, PublicKey, SignError, SignatureAlgorithm, Signer};
use waxseal_serve::Shutdown;

use crate::world::*;

const AUTHORITY: &str = "error communicating with CA backend";

#[tokio::test]
async fn too_often() {
    let world = World::with(default_chain().await, |config| {
        config.identity_rate = Some(Rate::per_minute(3));
    });
    for _ in 0..3 {
        world.leaf(&world.ask().await);
    }
    let answer = world.ask().await;
    let message = "this identity asks for certificates too often";
    answer.check(429, 8, message, "IDENTITY_RATE");
    assert_eq!(answer.headers["retry-after"], "20");
    // Somebody else is not concerned, and a third of a minute later neither is the first.
    let mut other = claims();
    other["email"] = serde_json::json!("bob@example.com");
    world.leaf(&world.ask_with_token(&RSA.sign(&other).await).await);
    world.set_time(20);
    world.leaf(&world.ask().await);
    assert_eq!(world.ask().await.status.as_u16(), 429);
    let text = world.meter.text();
    assert!(
        text.contains("ca_signing_requests_total{outcome=\"issued\"} 5"),
        "{text}"
    );
    assert!(
        text.contains("ca_signing_requests_total{outcome=\"refused\"} 2"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn overloaded() {
    let world = World::with(default_chain().await, |config| config.in_flight = 2);
    world.set_log(Log::Silent);
    let (first, second, third) = tokio::join!(world.ask(), world.ask(), world.ask());
    let mut statuses = [&first, &second, &third].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [500, 500, 503]);
    third.check(503, 14, "too many requests are under way", "OVERLOADED");
    assert_eq!(third.headers["retry-after"], "1");
    world.set_log(Log::Honest);
    world.leaf(&world.ask().await);
}

/// A signer that fails in one of its ways; its public half is the chain's.
struct Bad {
    public: PublicKey,
    way: Way,
    calls: std::sync::atomic::AtomicUsize,
    inner: Arc<dyn Signer>,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Fails,
    NeverAnswers,
    OtherKey,
    OtherKeySecondTime,
}

impl Signer for Bad {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::EcdsaP256Sha256
    }

    fn sign<'a>(&'a self, input: Input<'a>) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        let call = self
            .calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let way = self.way;
        Box::pin(async move {
            match way {
                Way::Fails => Err(SignError::Failed("the token was pulled out".into())),
                Way::NeverAnswers => std::future::pending().await,
                Way::OtherKeySecondTime if call == 0 => self.inner.sign(input).await,
                _ => p256().sign(input).await,
            }
        })
    }
}

async fn with_signer(way: Way) -> World {
    let mut chain = default_chain().await;
    chain.signer = Arc::new(Bad {
        public: chain.signer.public_key().clone(),
        way,
        calls: std::sync::atomic::AtomicUsize::new(0),
        inner: chain.signer,
    });
    World::with(chain, |_| {})
}

#[tokio::test]
async fn issue() {
    let world = with_signer(Way::Fails).await;
    world.ask().await.check(500, 13, AUTHORITY, "AUTHORITY");
    assert_eq!(world.submissions(), 0);
}

#[tokio::test(start_paused = true)]
async fn signer_deadline() {
    let world = with_signer(Way::NeverAnswers).await;
    let start = tokio::time::Instant::now();
    world.ask().await.check(500, 13, AUTHORITY, "AUTHORITY");
    assert_eq!(start.elapsed().as_secs(), 10);
}

/// A signer that signs with another key than it says: nothing unverifiable leaves.
#[tokio::test]
async fn unverifiable() {
    for way in [Way::OtherKey, Way::OtherKeySecondTime] {
        let world = with_signer(way).await;
        world.ask().await.check(500, 13, AUTHORITY, "AUTHORITY");
    }
}

async fn ending(seconds: i64) -> World {
    let root = SignatureAlgorithm::EcdsaP384Sha384;
    let chain = chain(root, SignatureAlgorithm::EcdsaP256Sha256, seconds).await;
    World::with(chain, |_| {})
}

/// No leaf outlives its authority: refused at 599 seconds, issued at 600.
#[tokio::test]
async fn the_authority_ends() {
    for seconds in [-1, 300, 599] {
        let world = ending(seconds).await;
        world
            .ask()
            .await
            .check(500, 13, AUTHORITY, "AUTHORITY_EXPIRES");
        assert_eq!(world.submissions(), 0);
        assert_eq!(world.ca.health().ready().await.unwrap_err().0, "authority");
    }
    let world = ending(600).await;
    let leaf = world.leaf(&world.ask().await);
    assert_eq!(leaf.not_after(), world.chain[0].not_after());
    world.set_time(1);
    let mut claims = claims();
    claims["exp"] = serde_json::json!(NOW + 300);
    let answer = world.ask_with_token(&RSA.sign(&claims).await).await;
    answer.check(500, 13, AUTHORITY, "AUTHORITY_EXPIRES");
}

#[tokio::test]
async fn a_clock_from_before_the_authority() {
    let world = World::new().await;
    world.set_time(-2 * 365 * 86_400);
    assert_eq!(world.ca.health().ready().await.unwrap_err().0, "authority");
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_the_log() {
    let world = World::new().await;
    let health = world.ca.health();
    assert_eq!(
        health.ready().await.unwrap_err().0,
        "ct-log",
        "nobody has asked it yet"
    );
    world.set_log(Log::Down);
    let shutdown = Shutdown::new();
    let (ca, fired) = (Arc::clone(&world.ca), shutdown.clone());
    let running = tokio::spawn(async move { ca.run(fired).await });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(health.ready().await.unwrap_err().0, "ct-log");
    world.set_log(Log::Honest);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    health.ready().await.unwrap();
    // The keys of issuers that are found by discovery are at hand before the first token.
    assert_eq!(
        world
            .net
            .issuer_fetches
            .load(std::sync::atomic::Ordering::Relaxed),
        2
    );
    world.set_log(Log::Down);
    tokio::time::sleep(std::time::Duration::from_secs(31)).await;
    assert_eq!(health.ready().await.unwrap_err().0, "ct-log");
    shutdown.trigger();
    running.await.unwrap().unwrap();
}
