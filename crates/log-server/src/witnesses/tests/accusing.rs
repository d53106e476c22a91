//! What a witness says against a log that runs: its word is nothing, a signed checkpoint is.

use super::*;

const LARGEST: Mood = Mood::Says(409, "text/x.tlog.size", "18446744073709551615\n");
const DISAGREES: Mood = Mood::Says(422, "text/plain", "no\n");

/// A log that has been cosigned by two witnesses, of which one is enough; the second has turned.
async fn turned(mode: CosignMode, mood: Mood) -> Scene {
    let scene = Scene::new(2, "any", mode);
    assert_eq!(scene.ask(300).await.unwrap().len(), 2);
    scene.town.mood(1, mood);
    scene
}

/// A checkpoint of this log's name, as a witness would show it.
async fn shown(signer: &NoteSigner, size: u64, root: Hash) -> String {
    let text = CheckpointText::new(Origin::new(ORIGIN).unwrap(), size, root).to_string();
    let note = sign_note(&text, Time::UNIX_EPOCH, &[signer]).await;
    note.unwrap().to_string()
}

#[tokio::test]
async fn d4_the_bare_word_of_a_witness_stops_no_log_that_runs() {
    for mode in [
        CosignMode::FailClosed,
        CosignMode::FailOpen,
        CosignMode::TopUp,
    ] {
        for mood in [LARGEST, DISAGREES] {
            let scene = turned(mode, mood.clone()).await;
            for size in 301..320 {
                assert_eq!(scene.ask(size).await.unwrap().len(), 1, "{mood:?}");
                settle().await;
            }
            // It is a failure like any other: it is left alone, and comes back.
            let asked = scene.town.desk(1).asked;
            assert!((3..12).contains(&asked), "{asked}");
            scene.town.mood(1, Mood::Dutiful);
            let mut size = 320;
            while scene.ask(size).await.unwrap().len() < 2 {
                settle().await;
                size += 1;
                assert!(size < 400);
            }
        }
    }
    // Where its quorum needs it, it can keep checkpoints back, and nothing else.
    let scene = Scene::new(1, "all", CosignMode::FailClosed);
    scene.ask(300).await.unwrap();
    scene.town.mood(0, LARGEST);
    for size in 301..304 {
        let refused = scene.ask(size).await;
        assert!(matches!(refused, Err(CosignError::NoQuorum { .. })));
    }
}

/// The stores are those of yesterday, and the one witness that knows better was away at the start.
#[tokio::test]
async fn d4_the_first_word_of_a_witness_that_was_away_is_believed() {
    for mode in [CosignMode::FailOpen, CosignMode::TopUp] {
        for mood in [LARGEST, DISAGREES] {
            let scene = Scene::new(2, "any", mode);
            scene.town.mood(1, Mood::Unreachable);
            assert_eq!(scene.ask(300).await.unwrap().len(), 1);
            scene.town.mood(1, mood.clone());
            let _ = scene.ask(301).await;
            settle().await;
            let stopped = scene.ask(302).await.unwrap_err();
            let (CosignError::Ahead { witness, .. } | CosignError::Forked { witness, .. }) =
                stopped
            else {
                panic!("{mood:?}: {stopped}");
            };
            assert_eq!(witness.as_str(), "w1.example");
        }
    }
}

/// What a witness in that mood has cosigned last, and whether a log that runs stops over it.
async fn check(mood: Mood, last: (u16, String), log: NoteSigner, expected: bool) {
    let town = Town::new(2);
    let witnesses = open(&town, &town.policy("any"), CosignMode::FailOpen, &log).unwrap();
    let scene = Scene {
        town,
        log,
        trees: Trees::new(600),
        witnesses,
    };
    scene.ask(300).await.unwrap();
    scene.town.mood(1, mood.clone());
    scene.town.desk(1).last = last.clone();
    let _ = scene.ask(301).await;
    settle().await;
    match scene.ask(302).await {
        Ok(lines) => assert!(!expected && lines.len() == 1, "{mood:?} {last:?}"),
        Err(CosignError::Ahead { witness, .. } | CosignError::Forked { witness, .. }) => {
            assert!(
                expected && witness.as_str() == "w1.example",
                "{mood:?} {last:?}"
            );
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn d4_a_signed_checkpoint_stops_a_log_that_runs() {
    let trees = Trees::new(600);
    let root = |size: usize| trees.roots[size];
    let log = key(ORIGIN, SignatureKind::Ed25519);
    for mood in [LARGEST, DISAGREES] {
        for (size, root, expected) in [
            // Larger than the log ever was; another tree; another past.
            (601, [7; 32], true),
            (301, [7; 32], true),
            (250, [7; 32], true),
            (1, root(2), true),
            (400, [7; 32], true),
            // Its own: an earlier one, this one, one that the log has signed since.
            (250, root(250), false),
            (301, root(301), false),
            (599, root(599), false),
            (0, root(0), false),
        ] {
            let note = shown(&log, size, root).await;
            check(mood.clone(), (200, note.clone()), log.clone(), expected).await;
            // Only what is served counts, and only the log's own signature.
            check(mood.clone(), (404, note), log.clone(), false).await;
            let stranger = key(ORIGIN, SignatureKind::Ed25519);
            let note = shown(&stranger, size, root).await;
            check(mood.clone(), (200, note), log.clone(), false).await;
        }
        check(
            mood.clone(),
            (200, "no note".to_owned()),
            log.clone(),
            false,
        )
        .await;
    }
    // In the answer itself.
    let other = shown(&log, 250, [7; 32]).await;
    let own = shown(&log, 250, root(250)).await;
    for (note, expected) in [(other, true), (own, false)] {
        let mood = Mood::Says(422, "text/plain", Box::leak(note.into_boxed_str()));
        check(mood, (404, String::new()), log.clone(), expected).await;
    }
}
