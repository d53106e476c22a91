//! A log that holds the entry already: its proof is built from tiles, and nothing is taken on trust.

use std::collections::BTreeMap;
use std::sync::Arc;

use waxseal_crypto::{Clock as _, Digest, HashAlgorithm, SignatureAlgorithm, Signer};
use waxseal_crypto_aws_lc::SystemClock;
use waxseal_sign::{Payload, RecoveryError, Session, SignedBundle, SigningError};
use waxseal_tests_e2e::{
    BrokenRandom, Client, Deployment, Liar, Lie, e2e, e2e_alone, text, verify_policy,
};
use waxseal_tlog::EntryBundle;
use waxseal_transport::{Request, Response, Transport as _, TransportError};
use waxseal_verify::{ValidFor, VerificationPolicy};

use crate::assert_error;
use crate::common::{LOG, own_key, payload};

/// Signatures of this algorithm are always the same: signed twice is submitted twice.
const REPEATABLE: SignatureAlgorithm = SignatureAlgorithm::Ed25519ph;

#[test]
fn an_entry_that_is_there_is_found_around_the_edges_of_tiles() {
    // A log that nobody else makes grow.
    e2e_alone(Arc::new(SystemClock), async |deployment| {
        let client = Client::of(deployment);
        let liar = Liar::before(&deployment.transport);
        let key = own_key(REPEATABLE);
        let policy = VerificationPolicy::key(key.public_key().clone(), ValidFor::always());
        let session_key = Arc::clone(&key);
        let session = client.context(&liar).with_key(key).unwrap();
        let sign = async |name: &str| session.sign(&payload(&session, name.as_bytes())).await;
        let mut names = BTreeMap::new();
        let mut at_255 = String::new();
        // Entry 0 is the log's own. These are acknowledged in any order.
        let first: Vec<_> = (1..254).map(|number| format!("file {number}")).collect();
        let payloads: Vec<_> = first
            .iter()
            .map(|name| payload(&session, name.as_bytes()))
            .collect();
        for (name, signed) in first.iter().zip(session.sign_all(&payloads).await) {
            names.insert(place(&signed.unwrap()).0, name.clone());
        }
        for index in 254..259 {
            let name = format!("file {index}");
            let signed = sign(&name).await.unwrap();
            let size = index + 1;
            assert_eq!(place(&signed), (index, size));
            names.insert(index, name);
            if size == 255 {
                at_255 = fetch(deployment, "checkpoint").await;
            }
            for again in [1, 128, 253, 254, 255, 256, 257, 258] {
                let Some(name) = names.get(&again) else {
                    continue;
                };
                let recovered = sign(name).await.unwrap();
                assert_eq!(place(&recovered), (again, size));
                let now = SystemClock.now();
                verify_policy(deployment, name.as_bytes(), &recovered.bundle, &policy, now)
                    .map(drop)
                    .unwrap();
            }
            assert!(names.contains_key(&1) && names.contains_key(&index));
        }
        // Recovered means: from tiles, after a 409.
        let asked = liar.asked();
        assert!(
            asked
                .iter()
                .any(|path| path.contains("/tile/entries/000.p/"))
        );
        assert!(asked.iter().any(|path| path.ends_with("/tile/entries/000")));
        assert!(
            asked
                .iter()
                .any(|path| path.contains("/tile/entries/001.p/"))
        );
        assert!(asked.iter().any(|path| path.contains("/tile/1/000.p/")));

        // A partial tile may be gone once it is full: the full one has what was in it.
        let liar = Liar::before(&deployment.transport)
            .about("checkpoint", checkpoint(at_255))
            .about(".p/255", gone());
        let context = client.context(&liar);
        let session = context.with_key(session_key).unwrap();
        for again in [1, 254] {
            let name = payload(&session, names[&again].as_bytes());
            let recovered = session.sign(&name).await.unwrap();
            assert_eq!(place(&recovered), (again, 255));
        }
        let asked = liar.asked();
        assert!(asked.iter().any(|path| path.ends_with("/tile/0/000.p/255")));
        assert!(asked.iter().any(|path| path.ends_with("/tile/0/000")));
        // What was not in the tree yet has no proof in it.
        let late = payload(&session, names[&255].as_bytes());
        let late = session.sign(&late).await.unwrap_err();
        assert_error!(late, SigningError::LogRecovery { source, .. }
            if matches!(**source, RecoveryError::NotPublished { index: 255, size: 255 }));
    });
}

/// Index and tree size of a bundle's entry.
fn place(signed: &SignedBundle) -> (i64, i64) {
    let entry = &signed.bundle.material.tlog_entries[0];
    let proof = entry.inclusion_proof.as_ref().unwrap();
    (entry.log_index, proof.tree_size)
}

/// One signing whose entry is in the log already, with lies on the way to its recovery.
struct Again<'a> {
    deployment: &'a Deployment,
    client: Client,
    key: Arc<dyn Signer>,
    index: i64,
}

const NAME: &[u8] = b"signed before";

impl<'a> Again<'a> {
    async fn new(deployment: &'a Deployment) -> Self {
        let client = Client::of(deployment);
        let key = own_key(REPEATABLE);
        let context = client.context(&*deployment.transport);
        let session = context.with_key(Arc::clone(&key)).unwrap();
        let signed = session.sign(&payload(&session, NAME)).await.unwrap();
        let index = signed.bundle.material.tlog_entries[0].log_index;
        Self {
            deployment,
            client,
            key,
            index,
        }
    }

    fn liar(&self) -> Liar {
        Liar::before(&self.deployment.transport)
    }

    fn session<'s>(&'s self, liar: &'s Liar) -> Session<'s> {
        let context = self.client.context(liar);
        context.with_key(Arc::clone(&self.key)).unwrap()
    }

    async fn through(&self, liar: &Liar) -> Result<SignedBundle, SigningError> {
        let digest = Digest::of(HashAlgorithm::Sha512, NAME);
        self.session(liar).sign(&Payload::artifact(digest)).await
    }

    /// Why it was not recovered, and the index it was looked for at.
    async fn failed(&self, liar: Liar) -> (u64, RecoveryError) {
        match self.through(&liar).await {
            Err(SigningError::LogRecovery { index, source, .. }) => (index, *source),
            other => panic!("expected a failed recovery, found {other:?}"),
        }
    }
}

/// A 409 that names another index.
fn at(index: u64) -> Lie {
    let mut answer = text(409, "application/json", "{}");
    answer.headers.append("X-Log-Index", index.to_string());
    Lie::answer(answer)
}

fn checkpoint(text_: impl Into<Vec<u8>>) -> Lie {
    Lie::answer(text(200, "text/plain", text_))
}

fn gone() -> Lie {
    Lie::answer(text(404, "text/plain", "not here"))
}

#[test]
fn log_recovery() {
    e2e(async |deployment| {
        let again = Again::new(deployment).await;
        let index = u64::try_from(again.index).unwrap();
        again.through(&again.liar()).await.unwrap();

        // Some logs serve their tiles at the root.
        let liar = again.liar().about("/api/v2/checkpoint", gone());
        let recovered = again.through(&liar).await.unwrap();
        assert_eq!(place(&recovered).0, again.index);
        assert!(
            liar.asked()
                .iter()
                .any(|path| path.starts_with("/tile/entries/"))
        );

        // Nothing is fetched for an index that no proof can hold.
        let liar = again.liar().about(LOG, at(u64::MAX));
        let failed = again.through(&liar).await.unwrap_err();
        assert_error!(failed, SigningError::LogRecovery { source, .. }
            if matches!(**source, RecoveryError::TooLarge));
        assert!(!liar.asked().iter().any(|path| path.ends_with("checkpoint")));

        // RecoveryError::OtherEntry
        let (found, error) = again.failed(again.liar().about(LOG, at(0))).await;
        assert_eq!(found, 0);
        assert_error!(error, RecoveryError::OtherEntry { index: 0 });

        // RecoveryError::NotPublished
        let (_, error) = again.failed(again.liar().about(LOG, at(1 << 40))).await;
        assert_error!(error, RecoveryError::NotPublished { index, size }
            if *index == 1 << 40 && *size < 1 << 40);

        // RecoveryError::Transport
        let (_, error) = again.failed(again.liar().about("checkpoint", gone())).await;
        assert_error!(error, RecoveryError::Transport(e)
            if matches!(**e, TransportError::UnexpectedStatus { found: 404, .. }));
        let liar = again.liar().about("checkpoint", Lie::down());
        let (_, error) = again.failed(liar).await;
        assert_error!(error, RecoveryError::Transport(e)
            if matches!(**e, TransportError::Connect { .. }));
        let liar = again.liar().about("checkpoint", Lie::endless("text/plain"));
        let (_, error) = again.failed(liar).await;
        assert_error!(error, RecoveryError::Transport(e)
            if matches!(**e, TransportError::TooLarge { .. }));

        // RecoveryError::NotText
        let liar = again.liar().about("checkpoint", checkpoint([0xff]));
        assert_error!(again.failed(liar).await.1, RecoveryError::NotText);

        // RecoveryError::Note
        let liar = again.liar().about("checkpoint", checkpoint("no note"));
        assert_error!(again.failed(liar).await.1, RecoveryError::Note(_));

        // RecoveryError::Checkpoint
        let honest = fetch(deployment, "checkpoint").await;
        let (_, signatures) = honest.split_once("\n\n").unwrap();
        let other_text = checkpoint(format!("localhost\nmany\n\n{signatures}"));
        let liar = again.liar().about("checkpoint", other_text);
        assert_error!(again.failed(liar).await.1, RecoveryError::Checkpoint(_));

        let entries = entries_path(&honest, index);

        // RecoveryError::Entries
        let short = Lie::answer(text(200, "application/octet-stream", [0, 9, 1]));
        let full = Lie::answer(text(200, "application/octet-stream", [0, 9, 1]));
        let liar = pinned(&again, &honest)
            .about(entries, short)
            .about("/tile/entries/000", full);
        assert_error!(again.failed(liar).await.1, RecoveryError::Entries(_));

        // RecoveryError::Tile
        let flipped = Lie::alter(|answer| {
            let mut body = answer.body;
            body[0] ^= 1;
            text(200, "application/octet-stream", body)
        });
        let tile = entries.replace("entries", "0").leak();
        let liar = pinned(&again, &honest).about(tile, flipped);
        assert_error!(again.failed(liar).await.1, RecoveryError::Tile(_));

        // RecoveryError::Proof: the entries say that ours is at 0, and the tree has another there.
        let ours = usize::try_from(index).unwrap();
        let swapped = Lie::alter(move |answer| {
            let width = width_of(&answer.body);
            let entries = EntryBundle::parse(&answer.body, width).unwrap();
            let mut forged = EntryBundle::default();
            for (position, entry) in entries.entries().iter().enumerate() {
                let entry = if position == 0 {
                    &entries.entries()[ours]
                } else {
                    entry
                };
                forged.push(entry.clone()).unwrap();
            }
            text(200, "application/octet-stream", forged.encode())
        });
        let liar = pinned(&again, &honest)
            .about(LOG, at(0))
            .about(entries, swapped);
        assert_error!(again.failed(liar).await.1, RecoveryError::Proof(_));

        // A log that signs a tree and serves another's checkpoint: the whole bundle is looked at.
        let unsigned = honest.rsplit_once(' ').unwrap().0;
        let forged = format!("{unsigned} {}\n", "A".repeat(96));
        let liar = again.liar().about("checkpoint", checkpoint(forged));
        assert_error!(
            again.through(&liar).await.unwrap_err(),
            SigningError::LogRecovery { .. } | SigningError::Refused(_)
        );
    });
}

#[test]
fn unknown_log() {
    e2e(async |deployment| {
        let again = Again::new(deployment).await;
        let mut client = Client::of(deployment);
        client.config.trusted_root.tlogs.clear();
        let again = Again { client, ..again };
        let (_, error) = again.failed(again.liar()).await;
        assert_error!(error, RecoveryError::UnknownLog);
    });
}

#[test]
fn random() {
    e2e(async |deployment| {
        // Nonce and jitter of the timestamp, jitter of the log: then it is over.
        let again = Again::new(deployment).await;
        let mut client = Client::of(deployment);
        client.random = Arc::new(BrokenRandom::after(3));
        let again = Again { client, ..again };
        let (_, error) = again.failed(again.liar()).await;
        assert_error!(error, RecoveryError::Random);
    });
}

/// A liar whose checkpoint does not move while other tests write to the log.
fn pinned(again: &Again<'_>, honest: &str) -> Liar {
    again.liar().about("checkpoint", checkpoint(honest))
}

async fn fetch(deployment: &Deployment, path: &str) -> String {
    let url = format!("{}/{path}", deployment.url()).parse().unwrap();
    let answer: Response = deployment.transport.send(Request::get(url)).await.unwrap();
    String::from_utf8(answer.expect_status(&[200]).unwrap().body).unwrap()
}

/// The path of the bundle that holds an entry, in the tree of a checkpoint.
fn entries_path(checkpoint: &str, index: u64) -> &'static str {
    let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    assert!(index < 256 && size < 256, "the shared log is small");
    format!("/tile/entries/000.p/{size}").leak()
}

fn width_of(bundle: &[u8]) -> u16 {
    let (mut rest, mut width) = (bundle, 0);
    while let [high, low, after @ ..] = rest {
        rest = &after[usize::from(u16::from_be_bytes([*high, *low]))..];
        width += 1;
    }
    width
}
