//! From an address to a bundle that a stranger verifies.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use waxseal_crypto::{Clock, SignatureAlgorithm, Time};
use waxseal_crypto_aws_lc::SystemClock;
use waxseal_formats::KeyMaterial;
use waxseal_sign::{Payload, Progress, SigningContext, SigningError, Step};
use waxseal_testkit::MockClock;
use waxseal_tests_e2e::{
    Client, Deployment, Liar, clock_at, e2e, e2e_alone, statement, verify_artifact, verify_policy,
};
use waxseal_verify::{
    IdentityRule, SubjectKind, TimeSource, ValidFor, VerificationPolicy, VerifyError,
};

use crate::assert_error;
use crate::common::{ARTIFACT, CA, LOG, TSA, own_key, payload};

#[test]
fn a_file_signed_as_somebody_verifies_as_theirs_and_as_nobody_elses() {
    e2e(async |deployment| {
        let address = deployment.somebody();
        let token = deployment.log_in(&address).await;
        assert_eq!(token.email(), Some(&*address));
        let client = Client::of(deployment);
        let session = client.context(&*deployment.transport).certify(token).await;
        let session = session.unwrap();
        let signed = session.sign(&payload(&session, ARTIFACT)).await.unwrap();

        let now = SystemClock.now();
        let bundle = &signed.bundle;
        let verified = verify_artifact(deployment, ARTIFACT, bundle, &address, now).unwrap();
        let identity = verified.identity().unwrap();
        assert_eq!(identity.subjects[0].value, address);
        assert_eq!(identity.subjects[0].kind, SubjectKind::Email);
        assert_eq!(
            identity.issuer.as_deref(),
            Some(&*deployment.instance.issuer())
        );
        let [time] = verified.times() else {
            panic!("one timestamp: {verified:?}")
        };
        assert!(matches!(time.source, TimeSource::TimestampAuthority { .. }));
        let [entry] = verified.log_entries() else {
            panic!("one entry: {verified:?}")
        };
        assert_eq!((&*entry.kind, &*entry.version), ("hashedrekord", "0.0.2"));
        assert_eq!(entry.origin, "localhost");

        // The certificate has long expired by then, and the evidence has not.
        let later = now
            .checked_add(Duration::from_secs(5 * 365 * 86_400))
            .unwrap();
        verify_artifact(deployment, ARTIFACT, bundle, &address, later)
            .map(drop)
            .unwrap();

        let check = |artifact: &[u8], who: &str, expected: &str| {
            let error = verify_artifact(deployment, artifact, bundle, who, now).unwrap_err();
            assert_eq!(error.code(), expected);
        };
        check(ARTIFACT, "somebody.else@example.com", "identity-mismatch");
        check(b"another artifact", &address, "artifact-mismatch");
    });
}

#[test]
fn an_attestation_carries_its_statement() {
    e2e(async |deployment| {
        let address = deployment.somebody();
        let token = deployment.log_in(&address).await;
        let client = Client::of(deployment);
        let session = client.context(&*deployment.transport).certify(token).await;
        let payload = Payload::statement(statement(ARTIFACT)).unwrap();
        let signed = session.unwrap().sign(&payload).await.unwrap();

        let rule = IdentityRule::new(&*address, deployment.instance.issuer());
        let check = |artifact: &[u8], predicate_type: &str, expected: Option<&str>| {
            let policy = VerificationPolicy::identity(rule.clone()).predicate_type(predicate_type);
            let now = SystemClock.now();
            let verified = verify_policy(deployment, artifact, &signed.bundle, &policy, now);
            assert_eq!(verified.as_ref().err().map(VerifyError::code), expected);
            verified.ok()
        };
        let wanted = "https://example.com/checked/v1";
        let verified = check(ARTIFACT, wanted, None).unwrap();
        let statement = verified.statement().unwrap();
        assert_eq!(statement.predicate_type, wanted);
        check(
            ARTIFACT,
            "https://example.com/other",
            Some("predicate-type-mismatch"),
        );
        check(b"another", wanted, Some("subject-mismatch"));
    });
}

#[test]
fn several_files_share_one_certificate() {
    e2e(async |deployment| {
        let address = deployment.somebody();
        let token = deployment.log_in(&address).await;
        let client = Client::of(deployment);
        let liar = Liar::before(&deployment.transport);
        let session = client.context(&liar).certify(token).await.unwrap();
        let files: Vec<String> = (0..20).map(|number| format!("file {number}")).collect();
        let payloads: Vec<_> = files
            .iter()
            .map(|file| payload(&session, file.as_bytes()))
            .collect();
        let signed = session.sign_all(&payloads).await;

        let mut certificates = Vec::new();
        let mut indexes = Vec::new();
        for (file, signed) in files.iter().zip(signed) {
            let bundle = signed.unwrap().bundle;
            let now = SystemClock.now();
            verify_artifact(deployment, file.as_bytes(), &bundle, &address, now)
                .map(drop)
                .unwrap();
            indexes.push(bundle.material.tlog_entries[0].log_index);
            let KeyMaterial::Certificate(der) = bundle.material.key else {
                panic!("a certificate: {bundle:?}")
            };
            certificates.push(der);
        }
        assert_eq!(certificates.len(), 20);
        certificates.dedup();
        assert_eq!(certificates.len(), 1);
        indexes.sort_unstable();
        indexes.dedup();
        assert_eq!(indexes.len(), 20);
        let asked = liar.asked();
        let count = |path: &str| asked.iter().filter(|asked| asked.ends_with(path)).count();
        assert_eq!((count(CA), count(TSA), count(LOG)), (1, 20, 20));
    });
}

#[test]
fn own_keys_of_every_kind_that_logs_take() {
    e2e(async |deployment| {
        for algorithm in [
            SignatureAlgorithm::EcdsaP256Sha256,
            SignatureAlgorithm::EcdsaP384Sha384,
            SignatureAlgorithm::EcdsaP521Sha512,
            SignatureAlgorithm::Ed25519ph,
            SignatureAlgorithm::RsaPkcs1Sha256,
        ] {
            let client = Client::of(deployment);
            let key = own_key(algorithm);
            let policy = VerificationPolicy::key(key.public_key().clone(), ValidFor::always());
            let context = client.context(&*deployment.transport);
            let session = context.with_key(key).unwrap();
            assert!(session.identity().is_none() && session.expires().is_none());
            let blob = session.sign(&payload(&session, ARTIFACT)).await;
            let statement = Payload::statement(statement(ARTIFACT)).unwrap();
            let attestation = session.sign(&statement).await;
            for signed in [blob, attestation] {
                let bundle = signed
                    .unwrap_or_else(|e| panic!("{algorithm:?}: {e:?}"))
                    .bundle;
                let now = SystemClock.now();
                verify_policy(deployment, ARTIFACT, &bundle, &policy, now)
                    .map(drop)
                    .unwrap_or_else(|e| panic!("{algorithm:?}: {e:?}"));
                let stranger = own_key(algorithm).public_key().clone();
                let stranger = VerificationPolicy::key(stranger, ValidFor::always());
                verify_policy(deployment, ARTIFACT, &bundle, &stranger, now).unwrap_err();
            }
        }
    });
}

#[test]
fn own_keys_get_certificates_too() {
    e2e(async |deployment| {
        for algorithm in [
            SignatureAlgorithm::EcdsaP256Sha256,
            SignatureAlgorithm::EcdsaP384Sha384,
            SignatureAlgorithm::EcdsaP521Sha512,
            SignatureAlgorithm::RsaPkcs1Sha256,
        ] {
            let address = deployment.somebody();
            let token = deployment.log_in(&address).await;
            let client = Client::of(deployment);
            let key = own_key(algorithm);
            let context = client.context(&*deployment.transport);
            let session = context.certify_key(token, Arc::clone(&key)).await;
            let session = session.unwrap_or_else(|e| panic!("{algorithm:?}: {e:?}"));
            assert_eq!(session.public_key(), key.public_key());
            let signed = session.sign(&payload(&session, ARTIFACT)).await;
            let bundle = signed
                .unwrap_or_else(|e| panic!("{algorithm:?}: {e:?}"))
                .bundle;
            verify_artifact(deployment, ARTIFACT, &bundle, &address, SystemClock.now())
                .map(drop)
                .unwrap_or_else(|e| panic!("{algorithm:?}: {e:?}"));
        }
    });
}

/// Which step began, in order, and how many requests had been sent by then.
struct Steps<'a>(&'a Liar, Mutex<Vec<(Step, usize)>>);

impl Progress for Steps<'_> {
    fn begin(&self, step: Step) {
        self.1.lock().unwrap().push((step, self.0.asked().len()));
    }
}

#[test]
fn nothing_is_logged_before_everything_else_is_there() {
    e2e(async |deployment| {
        let token = deployment.log_in(&deployment.somebody()).await;
        let client = Client::of(deployment);
        let liar = Liar::before(&deployment.transport);
        let steps = Steps(&liar, Mutex::default());
        let context = SigningContext {
            progress: &steps,
            ..client.context(&liar)
        };
        let session = context.certify(token).await.unwrap();
        session.sign(&payload(&session, ARTIFACT)).await.unwrap();
        assert_eq!(liar.asked(), [CA, TSA, LOG]);
        let expected = [
            (Step::Certificate, 0),
            (Step::Signature, 1),
            (Step::Timestamp, 1),
            (Step::Log, 2),
            (Step::Verify, 3),
        ];
        assert_eq!(*steps.1.lock().unwrap(), expected);
    });
}

/// Runs a test with a deployment whose clock, and its clients', stands still.
fn with_clock(test: impl AsyncFnOnce(&Deployment, &Arc<MockClock>)) {
    let clock = clock_at(SystemClock.now().truncated_to_second());
    e2e_alone(clock.clone(), async |deployment| {
        test(deployment, &clock).await
    });
}

#[test]
fn a_certificate_signs_until_it_expires_and_not_after() {
    with_clock(async |deployment, clock| {
        let address = deployment.somebody();
        let token = deployment.log_in(&address).await;
        let client = Client {
            clock: clock.clone(),
            ..Client::of(deployment)
        };
        let session = client.context(&*deployment.transport).certify(token).await;
        let session = session.unwrap();
        let lifetime = session.expires().unwrap().saturating_since(clock.now());
        assert_eq!(lifetime.as_secs(), 600);
        clock.advance(Duration::from_secs(599));
        let signed = session.sign(&payload(&session, ARTIFACT)).await.unwrap();
        let verified = verify_artifact(deployment, ARTIFACT, &signed.bundle, &address, clock.now());
        verified.map(drop).unwrap();

        clock.advance(Duration::from_secs(3));
        let late = session
            .sign(&payload(&session, b"too late"))
            .await
            .unwrap_err();
        let SigningError::Refused(reason) = late else {
            panic!("{late:?}")
        };
        assert_error!(reason, e if matches!(**e, VerifyError::CertificateExpired { .. }));
    });
}

#[test]
fn a_token_signs_until_it_expires_and_not_after() {
    with_clock(async |deployment, clock| {
        let token = deployment.log_in(&deployment.somebody()).await;
        let client = Client {
            clock: clock.clone(),
            ..Client::of(deployment)
        };
        let lifetime = token.expires().saturating_since(clock.now());
        clock.advance(lifetime - Duration::from_secs(1));
        let context = client.context(&*deployment.transport);
        context.certify(token.clone()).await.unwrap();
        clock.advance(Duration::from_secs(1));
        let liar = Liar::before(&deployment.transport);
        let late = client.context(&liar).certify(token.clone()).await;
        assert_error!(
            late.err().unwrap(),
            SigningError::TokenExpired { expired } if *expired == token.expires()
        );
        assert!(liar.asked().is_empty(), "an expired token is not sent");
    });
}

/// A clock that is behind, and goes.
struct Behind(Duration);

impl Clock for Behind {
    fn now(&self) -> Time {
        SystemClock.now().checked_sub(self.0).unwrap()
    }
}

#[test]
fn clocks_may_differ_by_seconds() {
    e2e(async |deployment| {
        for (behind, expected) in [(4, None), (120, Some("certificate-expired"))] {
            let token = deployment.log_in(&deployment.somebody()).await;
            let client = Client {
                clock: Arc::new(Behind(Duration::from_secs(behind))),
                ..Client::of(deployment)
            };
            let session = client.context(&*deployment.transport).certify(token).await;
            let signed = match session {
                Ok(session) => session.sign(&payload(&session, ARTIFACT)).await.map(drop),
                Err(error) => Err(error),
            };
            let found = signed.as_ref().err().map(|error| match error {
                SigningError::CertificateRefused { source, .. } | SigningError::Refused(source) => {
                    source.code()
                }
                other => panic!("{other:?}"),
            });
            assert_eq!(found, expected, "{behind} seconds behind");
        }
    });
}
