//! A log that fails or lies: no bundle comes of it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use waxseal_crypto::{Clock as _, Signer};
use waxseal_crypto_aws_lc::SystemClock;
use waxseal_sign::SigningError;
use waxseal_tests_e2e::{Deployment, Liar, Lie, e2e, e2e_with_other, text};
use waxseal_tlog::{
    CheckpointText, KeyName, NoteSigner, Origin, SignatureKind, SignedNote, sign_note,
};
use waxseal_transport::{Response, TransportError};
use waxseal_verify::VerifyError;

use crate::assert_error;
use crate::common::{LOG, sign_with_key, with_lie};

const JSON: &str = "application/json";

async fn failed(deployment: &Deployment, lie: Lie) -> SigningError {
    with_lie(deployment, LOG, lie).await.0
}

/// The log's answer, changed as JSON.
fn altered(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Lie {
    Lie::alter(move |answer| {
        let mut entry: Value = serde_json::from_slice(&answer.body).unwrap();
        change(&mut entry);
        text(answer.status, JSON, entry.to_string())
    })
}

/// The log's answer with another checkpoint.
fn with_checkpoint(change: impl Fn(&str) -> String + Send + Sync + 'static) -> Lie {
    altered(move |entry| {
        let envelope = &mut entry["inclusionProof"]["checkpoint"]["envelope"];
        *envelope = change(envelope.as_str().unwrap()).into();
    })
}

#[test]
fn log() {
    e2e(async |deployment| {
        let check = async |lie: Lie, expected: fn(&TransportError) -> bool| {
            assert_error!(
                failed(deployment, lie).await,
                SigningError::Log { source, .. } if expected(source)
            );
        };
        check(Lie::down(), |e| matches!(e, TransportError::Connect { .. })).await;
        check(Lie::slow(), |e| {
            matches!(e, TransportError::Deadline { .. })
        })
        .await;
        check(Lie::endless(JSON), |e| {
            matches!(e, TransportError::TooLarge { .. })
        })
        .await;
    });
}

#[test]
fn log_refused() {
    e2e(async |deployment| {
        for status in [400, 403, 405, 429, 500, 503] {
            let no = text(status, JSON, r#"{"code":9,"message":"not today"}"#);
            assert_error!(
                failed(deployment, Lie::answer(no)).await,
                SigningError::LogRefused { status: found, message, .. }
                    if *found == status && message.as_str() == "not today"
            );
        }
        // Not every server speaks JSON when it fails.
        let plain = text(502, "text/html", "<h1>bad gateway</h1>");
        assert_error!(
            failed(deployment, Lie::answer(plain)).await,
            SigningError::LogRefused { status: 502, message, .. }
                if message.as_str().contains("bad gateway")
        );
    });
}

/// 503 with that `Retry-After`.
fn busy(seconds: &str) -> Response {
    let mut answer = text(503, JSON, "{}");
    answer.headers.append("Retry-After", seconds);
    answer
}

#[test]
fn a_busy_log_is_asked_again_when_it_says() {
    e2e(async |deployment| {
        let attempts = std::sync::atomic::AtomicUsize::new(0);
        let lie = Lie::new(move |request, honest| {
            let attempt = attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async move {
                match attempt {
                    0 => Ok(busy("7")),
                    _ => honest.send(request).await,
                }
            })
        });
        let liar = Liar::before(&deployment.transport).about(LOG, lie);
        sign_with_key(deployment, &liar).await.unwrap();
        assert_eq!(liar.slept(), [Duration::from_secs(7)]);
    });
}

#[test]
fn a_log_that_is_busy_for_an_hour_is_not_waited_for() {
    e2e(async |deployment| {
        let (error, liar) = with_lie(deployment, LOG, Lie::answer(busy("3600"))).await;
        assert_error!(error, SigningError::LogRefused { status: 503, .. });
        assert!(liar.slept().is_empty());
        // And never for ever: four attempts, whatever it says.
        let (_, liar) = with_lie(deployment, LOG, Lie::answer(busy("1"))).await;
        let asked = liar.asked().iter().filter(|path| *path == LOG).count();
        assert_eq!(asked, 4);
    });
}

/// The entry is in the log although nobody heard of it: signing goes on from there.
#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    e2e(async |deployment| {
        let attempts = std::sync::atomic::AtomicUsize::new(0);
        let lie = Lie::new(move |request, honest| {
            let attempt = attempts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async move {
                let answer = honest.send(request.clone()).await?;
                match attempt {
                    0 => Err(TransportError::Deadline {
                        after: request.deadline,
                    }),
                    _ => {
                        assert_eq!(answer.status, 409);
                        Ok(answer)
                    }
                }
            })
        });
        let liar = Liar::before(&deployment.transport).about(LOG, lie);
        sign_with_key(deployment, &liar).await.unwrap();
    });
}

#[test]
fn log_malformed() {
    e2e(async |deployment| {
        for body in ["", "{", "[]", r#"{"logIndex":"x"}"#, r#"{"a":1,"a":2}"#] {
            let error = failed(deployment, Lie::answer(text(201, JSON, body))).await;
            assert_error!(error, SigningError::LogMalformed { .. });
        }
    });
}

/// V-32: another entry, however genuine, is not ours.
#[test]
fn v_32_log_answered_another_entry() {
    e2e(async |deployment| {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let record = Lie::alter(move |answer| {
            sender.send(answer.clone()).unwrap();
            answer
        });
        let liar = Liar::before(&deployment.transport).about(LOG, record);
        sign_with_key(deployment, &liar).await.unwrap();
        let earlier = receiver.recv().await.unwrap();
        let error = failed(deployment, Lie::answer(earlier)).await;
        assert_error!(error, SigningError::LogAnsweredAnotherEntry { .. });
        let body_of_ours = altered(|entry| {
            let body = entry["canonicalizedBody"].as_str().unwrap();
            let mut body = STANDARD.decode(body).unwrap();
            body.push(b' ');
            entry["canonicalizedBody"] = STANDARD.encode(body).into();
        });
        let error = failed(deployment, body_of_ours).await;
        assert_error!(error, SigningError::LogAnsweredAnotherEntry { .. });
    });
}

#[test]
fn log_conflict_without_index() {
    e2e(async |deployment| {
        let conflict = || text(409, JSON, r#"{"code":6,"message":"exists"}"#);
        let error = failed(deployment, Lie::answer(conflict())).await;
        assert_error!(error, SigningError::LogConflictWithoutIndex { .. });
        for index in ["", "-1", "first", "18446744073709551616"] {
            let mut answer = conflict();
            answer.headers.append("X-Log-Index", index);
            let error = failed(deployment, Lie::answer(answer)).await;
            assert_error!(error, SigningError::LogConflictWithoutIndex { .. });
        }
        let mut twice = conflict();
        twice.headers.append("X-Log-Index", "1");
        twice.headers.append("X-Log-Index", "2");
        let error = failed(deployment, Lie::answer(twice)).await;
        assert_error!(error, SigningError::LogConflictWithoutIndex { .. });
    });
}

/// A note over `text`, signed by `signer` under `name`.
async fn note(name: &str, signer: &Arc<dyn Signer>, text: &str) -> SignedNote {
    let name = KeyName::new(name).unwrap();
    let signer = NoteSigner::new(name, SignatureKind::Ed25519, Arc::clone(signer)).unwrap();
    sign_note(text, SystemClock.now(), &[&signer])
        .await
        .unwrap()
}

/// The log's answer with its checkpoint signed anew, by that key, under that name, for that origin.
fn signed_anew(signer: &Arc<dyn Signer>, name: &'static str, origin: &'static str) -> Lie {
    let signer = Arc::clone(signer);
    Lie::new(move |request, honest| {
        let signer = Arc::clone(&signer);
        Box::pin(async move {
            let answer = honest.send(request).await?;
            let mut entry: Value = serde_json::from_slice(&answer.body).unwrap();
            let envelope = &mut entry["inclusionProof"]["checkpoint"]["envelope"];
            let old = SignedNote::parse(envelope.as_str().unwrap()).unwrap();
            let old = old.unverified_checkpoint().unwrap();
            let origin = Origin::new(origin).unwrap();
            let new = CheckpointText::new(origin, old.tree_size(), *old.root_hash());
            *envelope = note(name, &signer, &new.to_string())
                .await
                .to_string()
                .into();
            Ok(text(answer.status, JSON, entry.to_string()))
        })
    })
}

#[test]
fn refused() {
    e2e_with_other(async |deployment, other| {
        let check = async |lie: Lie, expected: &str| {
            let error = failed(deployment, lie).await;
            assert_error!(
                error,
                SigningError::Refused(source) if source.code() == expected
            );
        };
        let wrong_proof = altered(|entry| {
            let hash = STANDARD.encode([7; 32]);
            let hashes = entry["inclusionProof"]["hashes"].as_array_mut().unwrap();
            hashes[0] = hash.into();
        });
        check(wrong_proof, "inclusion-proof-invalid").await;
        let no_proof = altered(|entry| {
            entry.as_object_mut().unwrap().remove("inclusionProof");
        });
        check(no_proof, "entry-without-evidence").await;
        let promise_only = altered(|entry| {
            let entry = entry.as_object_mut().unwrap();
            entry.remove("inclusionProof");
            let promise = json!({"signedEntryTimestamp": STANDARD.encode("promised")});
            entry.insert("inclusionPromise".to_owned(), promise);
        });
        check(promise_only, "inclusion-proof-missing").await;
        let other_index = altered(|entry| entry["logIndex"] = "0".into());
        check(other_index, "log-index-mismatch").await;
        let other_root = altered(|entry| {
            entry["inclusionProof"]["rootHash"] = STANDARD.encode([7; 32]).into();
        });
        check(other_root, "inclusion-proof-invalid").await;
        let unknown_log = altered(|entry| {
            entry["logId"]["keyId"] = STANDARD.encode([7; 32]).into();
        });
        check(unknown_log, "log-unknown").await;

        let wrong_signature = with_checkpoint(|checkpoint| {
            // The last characters are of the signature, whatever comes before.
            let (rest, last) = checkpoint.trim_end().split_at(checkpoint.len() - 9);
            let swapped = if last.starts_with('A') { "B" } else { "A" };
            format!("{rest}{swapped}{}\n", &last[1..])
        });
        check(wrong_signature, "checkpoint-invalid").await;
        let unsigned = with_checkpoint(|checkpoint| {
            let (text, _) = checkpoint.split_once("\n\n").unwrap();
            format!("{text}\n")
        });
        check(unsigned, "checkpoint-malformed").await;
        let ours = &deployment.keys.log;
        check(
            signed_anew(ours, "localhost", "elsewhere.example"),
            "checkpoint-origin-mismatch",
        )
        .await;
        check(
            signed_anew(ours, "elsewhere.example", "elsewhere.example"),
            "checkpoint-signature-missing",
        )
        .await;
        check(
            signed_anew(&other.keys.log, "localhost", "localhost"),
            "checkpoint-signature-missing",
        )
        .await;
        // The other log's own entry for the same request: nobody here trusts it.
        check(Lie::elsewhere(&other.transport, other.url()), "log-unknown").await;
        // What the log signs anew in the same words, it may.
        let liar = Liar::before(&deployment.transport)
            .about(LOG, signed_anew(ours, "localhost", "localhost"));
        sign_with_key(deployment, &liar).await.unwrap();
    });
}

#[test]
fn a_smaller_tree_than_the_checkpoint_says_is_refused() {
    e2e(async |deployment| {
        let smaller = altered(|entry| {
            let size = &mut entry["inclusionProof"]["treeSize"];
            let less: u64 = size.as_str().unwrap().parse().unwrap();
            *size = (less + 1).to_string().into();
        });
        let error = failed(deployment, smaller).await;
        let SigningError::Refused(error) = error else {
            panic!("{error:?}")
        };
        assert_error!(
            *error,
            VerifyError::CheckpointMismatch { .. } | VerifyError::InclusionProofInvalid { .. }
        );
    });
}
