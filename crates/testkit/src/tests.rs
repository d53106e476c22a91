//! The kit works, and its faults are what they say.

use std::time::Duration;

use waxseal_crypto::{Digest, HashAlgorithm, Time};
use waxseal_sign::Payload;
use waxseal_transport::{Request, TransportError};
use waxseal_verify::{Artifact, IdentityRule, VerificationPolicy};

use super::*;

const WHO: &str = "you@example.com";

async fn sign_and_verify(kit: &Testkit) -> i64 {
    let session = kit.session(WHO).await.unwrap();
    let digest = Digest::of(HashAlgorithm::Sha256, b"hello");
    let signed = session.sign(&Payload::artifact(digest)).await.unwrap();
    let policy = VerificationPolicy::identity(IdentityRule::new(WHO, kit.issuer()));
    let artifact = Artifact::bytes(b"hello");
    let verified = kit
        .verifier()
        .verify(artifact, &signed.bundle, &policy, kit.clock().now())
        .unwrap();
    verified.log_entries()[0].log_index
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_signs_through_its_router_and_after_a_restart() {
    let kit = Testkit::start().await;
    // Index 0 is the genesis entry.
    assert_eq!(sign_and_verify(&kit).await, 1);
    kit.clock().advance(Duration::from_secs(3600));
    assert_eq!(sign_and_verify(&kit).await, 2);
    let kit = kit.restart().await;
    assert_eq!(sign_and_verify(&kit).await, 3);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_signs_while_its_broker_changes_keys() {
    let mut kit = Testkit::start().await;
    let mut seen = Vec::new();
    for round in 0..3 {
        let hours = if round == 0 { 0 } else { 6 };
        kit.clock().advance(Duration::from_secs(hours * 3600));
        let keys = kit.instance().broker().keys();
        keys.turn(kit.clock().now()).await.unwrap();
        assert!(!seen.contains(&keys.current().spki_sha256()));
        seen.push(keys.current().spki_sha256());
        sign_and_verify(&kit).await;
        kit = kit.restart().await;
        let keys = kit.instance().broker().keys();
        assert_eq!(seen.last(), Some(&keys.current().spki_sha256()));
        sign_and_verify(&kit).await;
    }
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_retired_key_counts_for_as_long_as_it_lives() {
    let kit = Testkit::start().await;
    kit.clock().advance(Duration::from_secs(6 * 3600 - 60));
    let before = kit.login(WHO).await;
    kit.clock().advance(Duration::from_secs(60));
    let keys = kit.instance().broker().keys();
    let first = keys.current();
    keys.turn(kit.clock().now()).await.unwrap();
    assert_ne!(first.spki_sha256(), keys.current().spki_sha256());
    kit.signing().certify(before).await.unwrap();
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_signs_over_loopback() {
    let kit = Testkit::start_on_loopback().await;
    assert_eq!(sign_and_verify(&kit).await, 1);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults() {
    let kit = Testkit::start().await;
    let ask = async || {
        let url = format!("{}/checkpoint", kit.instance().url());
        kit.transport()
            .send(Request::get(url.parse().unwrap()))
            .await
    };
    assert_eq!(ask().await.unwrap().status, 200);
    let log = |fault| kit.faults().set(Role::Log, fault);
    log(Fault::Down);
    assert!(matches!(ask().await, Err(TransportError::Connect { .. })));
    log(Fault::Refusing(503));
    assert_eq!(ask().await.unwrap().status, 503);
    log(Fault::Slow(Duration::from_secs(3600)));
    assert!(matches!(ask().await, Err(TransportError::Deadline { .. })));
    log(Fault::Slow(Duration::from_secs(1)));
    assert_eq!(ask().await.unwrap().status, 200);
    log(Fault::lying_body(|_| b"lie".to_vec()));
    assert_eq!(ask().await.unwrap().body, b"lie");
    log(Fault::Lost);
    assert!(matches!(
        ask().await,
        Err(TransportError::Interrupted { .. })
    ));
    kit.faults().clear(Role::Log);
    assert_eq!(ask().await.unwrap().status, 200);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ct_log_is_behind_the_faults_too() {
    let kit = Testkit::start().await;
    kit.faults().set(Role::CtLog, Fault::Down);
    assert!(kit.session(WHO).await.is_err());
    kit.faults().clear(Role::CtLog);
    assert!(kit.session(WHO).await.is_ok());
    kit.stop().await;
}

#[test]
fn roles_by_path() {
    let check = |path: &str, expected| assert_eq!(Role::of(path), expected, "{path}");
    check("/auth/token", Some(Role::Broker));
    check("/api/v2/signingCert", Some(Role::Ca));
    check("/ct/ct/v1/add-pre-chain", Some(Role::CtLog));
    check("/api/v2/log/entries", Some(Role::Log));
    check("/api/v2/checkpoint", Some(Role::Log));
    check("/tile/0/000", Some(Role::Log));
    check("/api/v1/timestamp", Some(Role::Tsa));
    check("/healthz", None);
}

#[test]
fn clocks_stand_still() {
    let clock = MockClock::new();
    assert_eq!(
        (clock.now(), clock.now()),
        (Time::from_unix(START).unwrap(), clock.now())
    );
    clock.advance(Duration::from_secs(1));
    assert_eq!(clock.now(), Time::from_unix(START + 1).unwrap());
    clock.set(Time::UNIX_EPOCH);
    assert_eq!(clock.now(), Time::UNIX_EPOCH);
}
