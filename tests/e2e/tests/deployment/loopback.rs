//! The same over sockets, as every program of its own does it.

use waxseal_crypto::{Clock as _, Random as _};
use waxseal_crypto_aws_lc::{OsRandom, SystemClock};
use waxseal_instance::{OutboxReader, email_login};
use waxseal_tests_e2e::{Client, e2e, verify_artifact};
use waxseal_transport::{Request, Transport as _};
use waxseal_transport_reqwest::ReqwestTransport;

use crate::common::{ARTIFACT, payload};

#[test]
fn from_the_log_in_to_the_bundle_over_http() {
    e2e(async |deployment| {
        let transport = ReqwestTransport::builder().build().unwrap();
        let address = deployment.somebody();
        let mail = OutboxReader::new(deployment.outbox());
        let issuer = deployment.instance.issuer();
        let token = email_login(&transport, &OsRandom, &issuer, &address, &mail).await;
        let client = Client::of(deployment);
        let session = client.context(&transport).certify(token.unwrap()).await;
        let session = session.unwrap();
        let mut artifact = ARTIFACT.to_vec();
        artifact.extend([0; 8]);
        OsRandom.fill(&mut artifact[ARTIFACT.len()..]).unwrap();
        let signed = session.sign(&payload(&session, &artifact)).await.unwrap();
        let now = SystemClock.now();
        verify_artifact(deployment, &artifact, &signed.bundle, &address, now)
            .map(drop)
            .unwrap();
    });
}

#[test]
fn both_loopback_addresses_answer_and_other_names_do_not() {
    e2e(async |deployment| {
        let transport = ReqwestTransport::builder().build().unwrap();
        let port = deployment.instance.url().url().port().unwrap();
        let mut hosts = vec!["localhost", "127.0.0.1"];
        // Not every machine has ::1; the server takes it where there is one.
        if std::net::TcpListener::bind("[::1]:0").is_ok() {
            hosts.push("[::1]");
        }
        for host in hosts {
            let url = format!("http://{host}:{port}/healthz").parse().unwrap();
            let answer = transport.send(Request::get(url)).await.unwrap();
            assert_eq!(answer.status, 200, "{host}");
        }
        // DNS rebinding: a page of somebody else's whose name leads here.
        for path in [
            "/healthz",
            "/api/v2/configuration",
            "/auth/keys",
            "/checkpoint",
        ] {
            let url = format!("http://127.0.0.1:{port}{path}").parse().unwrap();
            let request = Request::get(url).with_header("Origin", "http://evil.example");
            let answer = transport.send(request).await.unwrap();
            assert_eq!(answer.status, 403, "{path}: {}", answer.excerpt());
        }
    });
}
